//! Two servers over one database: what one does the other knows, and no reply is paid for twice.

use crate::world::{LEASE, World, code, settings, until, within_a_second};
use aim_backbone::turns::Turn;
use aim_domain::{Code, ReplyState, RuleSet, Tier};
use aim_platform::Settings;
use aim_platform::jobs::ai_response;
use aim_testkit::model_stub::Behaviour;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_stale_holder_never_commits() {
    let world = World::with(Behaviour { delay: Duration::from_millis(150), ..Default::default() }).await;
    // It believes in its lease, as a process does that was only asleep.
    let mut asleep = world.idle(Settings { server_lease: Duration::from_secs(60), ..settings() }).await;
    asleep.work().await;
    let (ann, mara) = (asleep.person("ann").await, asleep.character("Mara").await);
    let talk = asleep.talk(&ann, &mara).await;
    let asked = asleep.send(&ann, &talk, "Are you there?").await;
    until("something is said", || asleep.heard.count("reply:delta") > 0).await;

    world.clock.advance(Duration::from_secs(61));
    world.model.set(|behaviour| behaviour.delay = Duration::ZERO);
    let awake = world.server().await;
    awake.listen(&talk).await;
    awake.until(&ann, &asked, ReplyState::Done).await;
    asleep.quiet().await;

    let turn =
        Turn { conversation: talk.clone(), character: mara.id, message: asked.id.clone(), attempt: 1, premium: false };
    let job = asleep.platform.backbone.queue.job(ai_response::QUEUE, &ai_response::job(&turn).id).await.unwrap();
    assert_eq!(job.unwrap().returned.unwrap()["outcome"], "stale");
    assert_eq!((asleep.heard.count("message:new"), asleep.heard.count("message:updated")), (1, 0));
    assert_eq!((awake.replies_to(&ann, &asked).await.len(), world.model.calls()), (1, 2));
}

#[tokio::test]
async fn a_message_of_a_server_that_died_is_answered_once_its_lease_is_over() {
    let world = World::with(Behaviour { hang_after: Some(2), ..Default::default() }).await;
    let mut dead = world.idle(settings()).await;
    dead.work().await;
    let (ann, mara) = (dead.person("ann").await, dead.character("Mara").await);
    let talk = dead.talk(&ann, &mara).await;
    let asked = dead.send(&ann, &talk, "Are you there?").await;
    until("something is said", || dead.heard.count("reply:delta") > 0).await;

    world.model.set(|behaviour| behaviour.hang_after = None);
    let other = world.server().await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(world.model.calls(), 1, "its lease holds");
    world.clock.advance(LEASE + Duration::from_millis(1));
    other.until(&ann, &asked, ReplyState::Done).await;
    assert_eq!(other.replies_to(&ann, &asked).await.len(), 1);
}

#[tokio::test]
async fn the_model_is_called_once_for_each_message_of_two_servers() {
    let world = World::new().await;
    let servers = [world.server().await, world.server().await];
    let mara = servers[0].character("Mara").await;
    let mut sent = Vec::new();
    for name in ["ann", "bob", "cleo"] {
        let person = servers[0].person(name).await;
        let talk = servers[0].talk(&person, &mara).await;
        for n in 0..4 {
            let asked = servers[n % 2].send(&person, &talk, &format!("{name} {n}")).await;
            sent.push((asked, person.token.clone()));
        }
    }
    for (asked, token) in &sent {
        let who = servers[0].platform.authenticate(token).await.unwrap();
        let person = crate::world::Person { who, token: token.clone() };
        servers[0].until(&person, asked, ReplyState::Done).await;
        assert_eq!(servers[0].replies_to(&person, asked).await.len(), 1);
    }
    assert_eq!(world.model.calls(), sent.len());
}

#[tokio::test]
async fn a_server_that_ends_gives_its_replies_back() {
    let world = World::with(Behaviour { hang_after: Some(2), ..Default::default() }).await;
    let going = world.server().await;
    let (ann, mara) = (going.person("ann").await, going.character("Mara").await);
    let talk = going.talk(&ann, &mara).await;
    let asked = going.send(&ann, &talk, "Are you there?").await;
    until("something is said", || going.heard.count("reply:delta") > 0).await;

    world.model.set(|behaviour| behaviour.hang_after = None);
    let staying = world.server().await;
    assert!(!going.workers[0].stop(Duration::from_millis(100)).await);
    going.platform.end_lease().await;
    let began = Instant::now();
    staying.until(&ann, &asked, ReplyState::Done).await;
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for a lease: {:?}", began.elapsed());
    tokio::time::sleep(LEASE / 2).await;
    assert_eq!(staying.platform.store.live_servers().await.unwrap(), 1, "a lease that was given back stays so");
}

#[tokio::test]
async fn a_server_that_lost_its_lease_drops_its_replies_and_goes_on_under_another_name() {
    let world = World::with(Behaviour { delay: Duration::from_millis(400), ..Default::default() }).await;
    let server = world.server().await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let name = server.platform.incarnation();
    let asked = server.send(&ann, &talk, "Are you there?").await;
    until("something is said", || server.heard.count("reply:delta") > 0).await;
    world.model.set(|behaviour| behaviour.delay = Duration::ZERO);
    world.clock.advance(LEASE + Duration::from_millis(1));
    server.until(&ann, &asked, ReplyState::Done).await;
    server.quiet().await;
    assert_ne!(server.platform.incarnation(), name);
    let replies = server.replies_to(&ann, &asked).await;
    assert_eq!((replies.len(), server.heard.streamed()), (1, replies[0].text.clone()));
    assert_eq!((world.model.calls(), world.model.cancelled()), (2, 1));
}

#[tokio::test]
async fn a_revoked_session_is_unknown_at_once_here_and_within_a_second_elsewhere() {
    let world = World::new().await;
    let (here, there) = (world.server().await, world.server().await);
    let ann = here.person("ann").await;
    there.platform.authenticate(&ann.token).await.unwrap();
    let mut told = there.platform.changes();
    here.platform.logout(&ann.who).await.unwrap();
    assert_eq!(code(here.platform.authenticate(&ann.token).await), Code::Unauthenticated);
    let (platform, token) = (&there.platform, ann.token.as_str());
    within_a_second("the other server", || async { platform.authenticate(token).await.is_err() }).await;
    let revoked = async {
        // Her account is a change as well, told before.
        loop {
            if let aim_store::Change::Session { id, .. } = told.recv().await.unwrap() {
                return id;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), revoked).await.unwrap(), ann.who.session.id);
}

#[tokio::test]
async fn a_changed_tier_counts_elsewhere_within_a_second() {
    let world = World::new().await;
    let (here, there) = (world.idle(settings()).await, world.server().await);
    let ann = there.person("ann").await;
    here.platform.set_user("ann", Some(Tier::Premium), None).await.unwrap();
    let (platform, token) = (&there.platform, ann.token.as_str());
    within_a_second("the other server", || async { platform.authenticate(token).await.unwrap().tier == Tier::Premium })
        .await;
}

#[tokio::test]
async fn exactly_the_days_allowance_is_admitted_over_two_servers() {
    let world = World::new().await;
    let strict = Settings { usage_multiplier: 1, ..settings() };
    let servers = [world.idle(strict.clone()).await, world.idle(strict).await];
    let (ann, mara) = (servers[0].person("ann").await, servers[0].character("Mara").await);
    let talk = servers[0].talk(&ann, &mara).await;
    let sends = (0..50).map(|n| {
        let (server, ann, talk) = (&servers[n % 2], &ann, &talk);
        async move { server.try_send(ann, talk, "Again").await }
    });
    let outcomes = futures::future::join_all(sends).await;
    let refused: Vec<Code> = outcomes.iter().filter_map(|one| Some(one.as_ref().err()?.code)).collect();
    assert_eq!((outcomes.len() - refused.len(), refused), (30, vec![Code::UsageLimitReached; 20]));

    let full = servers[0].platform.usage(&ann.who).await.unwrap().characters[mara.id.as_str()];
    assert_eq!((full.text.used, full.text.remaining), (30, Some(0)));
    world.clock.advance(Duration::from_secs(24 * 3600) - Duration::from_millis(1));
    assert_eq!(code(servers[1].try_send(&ann, &talk, "Early").await), Code::UsageLimitReached);
    world.clock.advance(Duration::from_millis(1));
    let again = servers[0].platform.usage_of(&ann.who, &mara.id).await.unwrap();
    assert_eq!((again.text.used, again.resets_at), (0, None));
    assert_eq!(servers[1].try_send(&ann, &talk, "In time").await.unwrap().usage.text.used, 1);
}

#[tokio::test]
async fn a_repeated_client_id_counts_nothing_and_answers_the_first() {
    let world = World::new().await;
    let rules = RuleSet::default();
    let server = world.idle(Settings { rules, usage_multiplier: 1, ..settings() }).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let outgoing = aim_platform::Outgoing {
            conversation: talk.clone(),
            client_id: "same".into(),
            kind: aim_domain::Kind::Text,
            text: Some("Ahoy".into()),
            upload_id: None,
        };
        let origin = aim_backbone::bus::Origin { server: server.platform.incarnation(), socket: "s".into() };
        let report = server.platform.send_message(&ann.who, outgoing, aim_platform::Via::Socket { origin }).await;
        let accepted = report.outcome.unwrap();
        assert_eq!(accepted.usage.text.used, 1);
        ids.push(accepted.message.id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    for _ in 0..9 {
        server.send(&ann, &talk, "Another").await;
    }
    assert_eq!(code(server.try_send(&ann, &talk, "One too many").await), Code::RateLimited);
}
