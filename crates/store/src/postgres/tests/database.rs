//! The database itself: its schema, who may use it, and its clock.

use super::{fresh, open, refused, world};
use crate::conformance::World;
use crate::postgres::{PostgresOptions, PostgresStore};
use crate::{Claimed, SaveCharacter, Store, StoreError};
use aim_domain::{Ambient, Incarnation, ManualClock, SeededRandom, Timestamp, Visibility};
use aim_testkit::{Certificates, PostgresServer};
use sqlx::{AssertSqlSafe, Connection, Row};
use std::time::{Duration, Instant};

/// A server in service needs rights over rows alone, once an administrator has run `aim migrate`.
#[tokio::test]
async fn a_server_without_rights_over_the_schema_opens_what_is_in_its_form() {
    let database = fresh().await;
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    let mut raw = database.connect().await.unwrap();
    let role = format!("plain_{name}");
    let make = format!(
        "CREATE ROLE {role} LOGIN; REVOKE ALL ON SCHEMA public FROM public; GRANT USAGE ON SCHEMA public TO {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut raw).await.unwrap();
    let url = database.url().replace("//aim@", &format!("//{role}@"));
    let StoreError::Failed(why) = refused(&url).await else { panic!("unavailable") };
    assert!(why.contains("may not change the database's schema") && why.contains("aim migrate"), "{why}");
    open(&database.url()).await.close().await;
    let grant = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}");
    sqlx::raw_sql(AssertSqlSafe(grant)).execute(&mut raw).await.unwrap();
    let store = open(&url).await;
    assert!(store.renew_lease(&Ambient::system().id(), Duration::from_secs(10), true).await.unwrap());
    store.close().await;
    let forget = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(forget)).execute(&mut raw).await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_and_a_password_are_not_repeated() {
    for url in ["postgres://aim:hunter2@:::/x", "postgres://aim:hunter2@127.0.0.1:1/aim?sslmode=perhaps"] {
        let error = refused(url).await.to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    let database = fresh().await;
    let error = refused(&format!("{}_that_is_not_there", database.url())).await;
    assert!(matches!(&error, StoreError::Failed(why) if why.contains("does not exist")), "{error}");
}

/// Two servers whose own clocks are ten minutes apart judge the same lease alike.
#[tokio::test]
async fn leases_are_judged_by_the_databases_clock() {
    let (world, _, database) = world().await;
    let (_, _, conversation) = world.pair().await;
    world.send(&conversation, "hello").await;
    let mut stores = Vec::new();
    for minutes in [-5_i64, 5] {
        let now = Timestamp(Ambient::system().now().0 + minutes * 60_000);
        let ambient = Ambient { clock: ManualClock::at(now), random: SeededRandom::new(minutes.unsigned_abs()) };
        let options = PostgresOptions { max_connections: 2, ..Default::default() };
        stores.push(PostgresStore::open(&database.url(), options, ambient).await.unwrap());
    }
    let servers: [Incarnation; 2] = [world.ambient.id(), world.ambient.id()];
    let lease = Duration::from_millis(1_500);
    assert!(stores[0].renew_lease(&servers[0], lease, true).await.unwrap());
    assert!(stores[1].renew_lease(&servers[1], Duration::from_secs(60), true).await.unwrap());
    let ask = |n: usize| stores[n].claim_reply(world.asking(&conversation, &servers[n]));
    let Claimed::Claimed(first) = ask(0).await.unwrap() else { panic!("not claimed") };
    assert_eq!(ask(1).await.unwrap(), Claimed::ConversationBusy);
    let began = Instant::now();
    let second = loop {
        if let Claimed::Claimed(claim) = ask(1).await.unwrap() {
            break claim;
        }
        assert!(began.elapsed() < lease * 5);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(second.message, first.message);
    assert!(second.fence > first.fence);
    assert!(!stores[0].renew_lease(&servers[0], lease, true).await.unwrap());
}

/// Fifty thousand waiting messages, and no command of the protocol looks through them; also on connections that planned
/// their statements when the tables were empty.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_line_costs_no_more_than_a_short_one() {
    let database = fresh().await;
    let world = World::new(database.clone()).await;
    let (user, _, conversation) = world.pair().await;
    let server = world.server().await;
    let round = || async {
        let mut quickest = Duration::MAX;
        for _ in 0..8 {
            let began = Instant::now();
            for _ in 0..5 {
                let send = crate::SendMessage { max_due: u64::MAX, ..world.message(&conversation, &user.id, "hello") };
                assert!(matches!(world.store.send_message(send).await.unwrap(), crate::Sent::Accepted { .. }));
                let claim = world.claimed(&conversation, &server).await;
                world.store.context(&claim, 10).await.unwrap();
                world.store.due_replies(None, 10).await.unwrap();
                world.commit(&claim, "yes").await;
            }
            quickest = quickest.min(began.elapsed());
        }
        quickest
    };
    let short = round().await;
    let mut raw = database.connect().await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO messages (conversation, seq, turn, id, role, sender, kind, text, client_id, created_at, reply_state)
             SELECT c.key, c.last_seq + n, c.last_seq + n, 'many-' || n, 'user', c.owner_id, 'text', 'hello', n, 1, 'due'
             FROM conversations c, generate_series(1, 50000) n;
         UPDATE conversations SET last_seq = last_seq + 50000, due = due + 50000",
    )
    .execute(&mut raw)
    .await
    .unwrap();
    let long = round().await;
    assert!(long < short * 8, "{short:?} with a short line, {long:?} with a long one");
}

#[tokio::test]
async fn tls_checks_who_answers_and_shows_who_asks() {
    let (ours, others) = (Certificates::make().unwrap(), Certificates::make().unwrap());
    let server = PostgresServer::start_with_tls(&ours).await.unwrap();
    let checked = |authority: &Certificates| {
        format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), authority.ca_file.display())
    };
    let store = open(&checked(&ours)).await;
    let secured = crate::postgres::sql("SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl");
    assert_eq!(store.pg.take().await.unwrap().number(secured).await.unwrap(), 1);
    refused(&checked(&others)).await;

    let mut raw = sqlx::postgres::PgConnection::connect(&server.url()).await.unwrap();
    sqlx::raw_sql("CREATE ROLE \"client.test\" SUPERUSER LOGIN").execute(&mut raw).await.unwrap();
    let anonymous = checked(&ours).replace("//aim@", "//client.test@");
    refused(&anonymous).await;
    let (certificate, key) = (ours.client_cert.display(), ours.client_key.display());
    open(&format!("{anonymous}&sslcert={certificate}&sslkey={key}")).await.ping().await.unwrap();

    let plain = fresh().await;
    refused(&format!("{}?sslmode=require", plain.url())).await;
}

/// Of a character that somebody else still has a conversation with.
#[tokio::test]
async fn of_an_erased_accounts_private_character_its_name_alone_is_left() {
    let (world, store, database) = world().await;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let mut character = world.new_character("Mara", Some(&tess));
    (character.details.creator, character.details.creator_notes) = ("Tess".into(), "Mine.".into());
    store.import_character(character.clone(), "{\"data\":{}}".into()).await.unwrap();
    world.conversation(&ines, &character).await;
    (character.visibility, character.revision) = (Visibility::Private, 2);
    assert!(matches!(store.update_character(character).await.unwrap(), SaveCharacter::Saved(_)));
    assert!(store.delete_user(&tess.id).await.unwrap());
    let mut raw = database.connect().await.unwrap();
    let left =
        "SELECT name, coalesce(details, card, creator, nullif(concat(description, personality, system_prompt), ''))
         FROM characters";
    let left = sqlx::query(left).fetch_one(&mut raw).await.unwrap();
    assert_eq!((left.get::<String, _>(0), left.get::<Option<String>, _>(1)), ("Mara".into(), None));
}
