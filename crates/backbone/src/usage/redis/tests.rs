//! Usage copies of several servers over one Redis, and over a network that breaks.

mod caller;

use super::*;
use crate::conformance::guarded::{RedisCluster, RedisServer};
use crate::conformance::storm::{PATIENCE, Patient, Site, WITHIN_BUDGET, within};
use crate::conformance::{Bench, eventually, unhurried};
use crate::link::{Link, Passage, Settings};
use aim_domain::{Kind, SystemClock};
use std::time::Instant;

async fn server(url: String) -> RedisUsage {
    let link = Link::open("main", Settings { url, prefix: "aim:".into(), ..Settings::default() }).unwrap();
    assert!(link.ready(PATIENCE).await);
    RedisUsage::new(link.client("usage"), &Ambient::system())
}

fn names() -> (UserId, CharacterId) {
    (UserId::trusted("u1"), CharacterId::trusted("mara"))
}

fn row(uses: u64) -> UsageCount {
    (0..uses).fold(UsageCount::default(), |row, _| row.raised(Kind::Text, Ambient::system().now()))
}

mod alone {
    use super::*;

    async fn open() -> Bench<dyn Usage> {
        let site = Site::open().await;
        let usage: Arc<dyn Usage> = Arc::new(Patient(Arc::new(server(site.redis.url()).await)));
        Bench::waiting(usage, Arc::new(SystemClock)).keeping(site)
    }

    crate::usage_promises!(open);
}

#[tokio::test]
async fn what_one_server_counted_all_show_and_operators_read() {
    unhurried(async {
        let redis = RedisServer::start().await.unwrap();
        let (one, other) = (server(redis.url()).await, server(redis.url()).await);
        let (user, character) = names();
        one.keep(&user, &character, row(3)).await.unwrap();
        assert_eq!(other.of(&user, &character).await.unwrap().unwrap().text, 3);
        other.keep(&user, &character, row(2)).await.unwrap();
        assert_eq!(one.of(&user, &character).await.unwrap().unwrap().text, 3, "an older row overwrites nothing");
        let text = redis.command(&["HGET", "aim:user:usage:u1:mara", "text"]).await.unwrap();
        assert_eq!(text, aim_testkit::resp::Reply::Bulk(b"3".to_vec()));
        let characters = redis.command(&["SISMEMBER", "aim:user:usages:u1", "mara"]).await.unwrap();
        assert_eq!(characters, aim_testkit::resp::Reply::Number(1));
    })
    .await;
}

#[tokio::test]
async fn a_row_that_redis_did_not_hear_of_is_delivered_before_any_is_read() {
    let site = Site::open().await;
    let (cut_off, other) = (server(site.url()).await, server(site.redis.url()).await);
    let (user, character) = names();
    cut_off.keep(&user, &character, row(1)).await.unwrap();
    site.proxy.cut().await;
    for uses in [2, 4, 3] {
        cut_off.keep(&user, &character, row(uses)).await.unwrap();
    }
    assert_eq!(cut_off.of(&user, &character).await.unwrap(), None, "the store knows");
    site.proxy.heal().await;
    let shown = async |server: &RedisUsage| server.of(&user, &character).await.unwrap().map(|row| row.text);
    eventually("it is delivered", async || {
        assert!(shown(&cut_off).await.is_none_or(|text| text == 4));
        shown(&other).await == Some(4)
    })
    .await;
}

#[tokio::test]
async fn all_rows_are_one_command_and_every_server_adds_to_them() {
    unhurried(async {
        let site = Site::open().await;
        let (one, other) = (server(site.url()).await, server(site.redis.url()).await);
        let (user, mara) = names();
        let finn = CharacterId::trusted("finn");
        let mark = one.begin_load(&user).await.unwrap();
        one.keep_all(mark, &user, &[(mara.clone(), row(3))]).await.unwrap();
        other.keep(&user, &finn, row(1)).await.unwrap();
        // Redis learns the script from the first call.
        one.all_of(&user).await.unwrap().unwrap();
        let exchanges = site.proxy.exchanges();
        let mut rows = one.all_of(&user).await.unwrap().unwrap();
        assert_eq!(site.proxy.exchanges() - exchanges, 1);
        rows.sort_by_key(|(_, row)| row.text);
        assert_eq!(rows.iter().map(|(id, row)| (id, row.text)).collect::<Vec<_>>(), [(&finn, 1), (&mara, 3)]);
        // What is lost of them is missed.
        site.redis.command(&["DEL", "aim:user:usage:u1:finn"]).await.unwrap();
        assert_eq!(one.all_of(&user).await.unwrap(), None);
        one.keep_all(mark, &user, &[(mara, row(4))]).await.unwrap();
        assert_eq!(one.all_of(&user).await.unwrap().unwrap().len(), 1);
        site.redis.command(&["DEL", "aim:user:usages:u1"]).await.unwrap();
        assert_eq!(one.all_of(&user).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn all_rows_come_from_the_store_when_redis_was_wiped_or_is_another() {
    unhurried(async {
        let site = Site::open().await;
        let server = server(site.redis.url()).await;
        let (user, mara) = names();
        let all = async || server.all_of(&user).await.unwrap().map(|rows| rows[0].1.text);
        let keep_all = async |uses| server.keep_all(LoadMark(0), &user, &[(mara.clone(), row(uses))]).await.unwrap();
        keep_all(1).await;
        assert_eq!(all().await, Some(1));
        site.redis.flush().await.unwrap();
        assert_eq!(all().await, None, "wiped");
        eventually("its epoch is told again", async || {
            keep_all(2).await;
            all().await == Some(2)
        })
        .await;

        site.redis.command(&["HSET", "aim:epoch", "epoch", "7"]).await.unwrap();
        eventually("it is another", async || server.shared.client.link().epoch() == 7).await;
        assert_eq!(all().await, None, "what was kept before is not believed");
        server.keep(&user, &mara, row(3)).await.unwrap();
        assert_eq!(all().await, None, "one row of this epoch says nothing of the others");
        keep_all(3).await;
        assert_eq!(all().await, Some(3));

        site.redis.command(&["SAVE"]).await.unwrap();
        server.keep(&user, &mara, row(4)).await.unwrap();
        site.redis.kill();
        site.redis.restart().await.unwrap();
        eventually("it is back", async || {
            server.shared.client.link().epoch() != 7 && {
                assert!(all().await.is_none_or(|text| text == 4));
                server.shared.client.link().passage() == Passage::Open
            }
        })
        .await;
        assert_eq!(all().await, None, "an old snapshot is not believed");
    })
    .await;
}

#[tokio::test]
async fn it_is_known_for_minutes_which_rows_are_all() {
    unhurried(async {
        let site = Site::open().await;
        let server = server(site.redis.url()).await;
        let (user, mara) = names();
        server.keep_all(LoadMark(0), &user, &[(mara.clone(), row(1))]).await.unwrap();
        server.keep(&user, &CharacterId::trusted("finn"), row(1)).await.unwrap();
        let left = site.redis.command(&["PTTL", "aim:user:usages:u1:whole"]).await.unwrap();
        assert!(matches!(left, aim_testkit::resp::Reply::Number(1..=300_000)), "{left:?}");
        let many: Vec<_> = (0..=MOST).map(|n| (CharacterId::trusted(format!("c{n}")), row(1))).collect();
        server.keep_all(LoadMark(0), &UserId::trusted("u2"), &many).await.unwrap();
        assert_eq!(server.all_of(&UserId::trusted("u2")).await.unwrap(), None, "too many for one call");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_keeps_the_promises() {
    use crate::conformance::usage as promises;
    let cluster = RedisCluster::start(3, 0).await.unwrap();
    let open = async |prefix: &str| -> Bench<dyn Usage> {
        let settings = Settings { url: cluster.url(), prefix: prefix.into(), ..Settings::default() };
        let link = Link::open("main", settings).unwrap();
        assert!(link.ready(PATIENCE).await);
        let usage = RedisUsage::new(link.client("usage"), &Ambient::system());
        let usage: Arc<dyn Usage> = Arc::new(Patient(Arc::new(usage)));
        Bench::waiting(usage, Arc::new(SystemClock))
    };
    promises::all_rows_are_told_once_all_were_kept(open("aim:a:").await).await;
    promises::what_was_used_since_is_among_all(open("aim:b:").await).await;
    promises::forgetting_a_user_forgets_all_of_its_characters(open("aim:c:").await).await;
}

/// In a storm there may be no copy; one that is there is the newest.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_storm_no_older_row_is_shown() {
    let (user, character) = names();
    let since = Some(Ambient::system().now());
    for fault in 0..5 {
        let site = Site::open().await;
        let (server, other) = (server(site.url()).await, server(site.redis.url()).await);
        let storm = site.storm(fault);
        let (mut uses, mut seen) = (0, 0);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            uses += 1;
            let row = UsageCount { text: uses, since, version: uses as i64, ..UsageCount::default() };
            within(WITHIN_BUDGET, server.keep(&user, &character, row)).await.unwrap();
            if uses % 5 == 0 {
                within(WITHIN_BUDGET, server.keep_all(LoadMark(0), &user, &[(character.clone(), row)])).await.unwrap();
            }
            let shown = within(WITHIN_BUDGET, server.of(&user, &character)).await.unwrap();
            let all = within(WITHIN_BUDGET, server.all_of(&user)).await.unwrap();
            assert!(shown.is_none_or(|shown| shown == row), "{shown:?} after {row:?}");
            assert!(all.as_ref().is_none_or(|all| *all == [(character.clone(), row)]), "{all:?} after {row:?}");
            seen += u32::from(shown.is_some());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        drop(storm);
        site.proxy.heal().await;
        assert!(seen > 0, "a copy is there in fair weather");
        let shown = async || other.of(&user, &character).await.unwrap().map(|row| row.text);
        eventually("all show the newest", async || shown().await == Some(uses)).await;
    }
}
