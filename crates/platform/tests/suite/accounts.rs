//! Accounts, and who may see what.

use crate::world::{PASSWORD, World, code, settings};
use aim_domain::{Code, Role, RuleSet, Tier};
use aim_platform::{Device, Registration, Settings};
use aim_store::MessageQuery;
use std::time::Duration;

fn form(name: &str) -> Registration {
    Registration {
        email: format!("{name}@example.test"),
        username: name.into(),
        password: PASSWORD.into(),
        display_name: None,
    }
}

#[tokio::test]
async fn closed_registration_takes_accounts_from_the_operator_alone() {
    let world = World::new().await;
    let server = world.idle(Settings { registration_open: false, ..settings() }).await;
    let device = Device::default();
    assert_eq!(code(server.platform.register(form("ann"), &device).await.outcome), Code::Forbidden);
    server.platform.create_user(form("ann"), Tier::Free, Role::User).await.unwrap();
    assert_eq!(server.platform.login("ANN", PASSWORD, false, &device).await.outcome.unwrap().user.username, "ann");
}

#[tokio::test]
async fn a_session_lives_from_its_last_use_however_short_its_life() {
    let world = World::new().await;
    let server = world.idle(Settings { session_ttl: Duration::from_secs(1_200), ..settings() }).await;
    let ann = server.person("ann").await;
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(600));
        server.platform.authenticate(&ann.token).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(1_201));
    assert_eq!(code(server.platform.authenticate(&ann.token).await), Code::Unauthenticated);
}

#[tokio::test]
async fn what_belongs_to_someone_else_is_not_found() {
    let world = World::new().await;
    let server = world.idle(settings()).await;
    let (ann, eve, mara) = (server.person("ann").await, server.person("eve").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "A secret").await;
    let (platform, eve_is) = (&server.platform, &eve.who);
    assert_eq!(code(platform.conversation(eve_is, &talk).await), Code::NotFound);
    assert_eq!(code(platform.messages(eve_is, &talk, MessageQuery::default()).await), Code::NotFound);
    assert_eq!(code(platform.conversation_state(eve_is, &talk).await), Code::NotFound);
    assert_eq!(code(server.try_send(&eve, &talk, "Hi").await), Code::NotFound);
    assert_eq!(code(platform.cancel(eve_is, &talk).await), Code::NotFound);
    assert_eq!(code(platform.retry(eve_is, &talk, &asked.id).await), Code::NotFound);
    assert_eq!(code(platform.delete_conversation(eve_is, &talk).await), Code::NotFound);
    assert_eq!(code(platform.rename_conversation(eve_is, &talk, "Mine").await), Code::NotFound);
    assert_eq!(code(platform.add_member(eve_is, &talk, eve_is.user_id()).await), Code::NotFound);
    assert_eq!(code(platform.revoke_session(eve_is, &ann.who.session.id).await), Code::NotFound);
    assert_eq!(platform.usage(eve_is).await.unwrap().characters.len(), 0);

    platform.add_member(&ann.who, &talk, eve_is.user_id()).await.unwrap();
    assert!(platform.messages(eve_is, &talk, MessageQuery::default()).await.is_ok());
    assert_eq!(code(platform.delete_conversation(eve_is, &talk).await), Code::Forbidden);
    platform.remove_member(&ann.who, &talk, eve_is.user_id()).await.unwrap();
    assert_eq!(code(platform.conversation(eve_is, &talk).await), Code::NotFound);
}

#[tokio::test]
async fn demo_characters_are_saved_once_and_left_as_they_are() {
    let world = World::new().await;
    let server = world.idle(settings()).await;
    let draft =
        aim_domain::CharacterDraft { id: Some("mara".parse().unwrap()), name: "Mara".into(), ..Default::default() };
    let demo = || vec![aim_platform::DemoCharacter(draft.clone())];
    assert_eq!(server.platform.seed_demo(demo()).await.unwrap(), 1);
    assert_eq!(server.platform.seed_demo(demo()).await.unwrap(), 0);
    server.platform.store.delete_character(&"mara".parse().unwrap()).await.unwrap();
    assert_eq!(server.platform.seed_demo(demo()).await.unwrap(), 0);
}

#[tokio::test]
async fn attempts_to_sign_in_are_counted_though_the_limiter_forgets() {
    let world = World::new().await;
    let strict = || Settings { rules: RuleSet::default(), ..settings() };
    let (one, other) = (world.idle(strict()).await, world.idle(strict()).await);
    one.platform.create_user(form("ann"), Tier::Free, Role::User).await.unwrap();
    // Two servers whose limiters know nothing of each other, as when their Redis is away.
    for n in 0..5 {
        let (server, device) = (if n % 2 == 0 { &one } else { &other }, Device::default());
        let report = server.platform.login("ann", "wrong wrong", false, &device).await;
        assert_eq!(report.standing.unwrap().remaining, 4 - n);
        assert_eq!(code(report.outcome), Code::Unauthenticated);
    }
    for server in [&one, &other] {
        let report = server.platform.login("ann", PASSWORD, false, &Device::default()).await;
        assert_eq!(code(report.outcome), Code::RateLimited);
    }
    world.clock.advance(Duration::from_secs(901));
    one.platform.login("ann", PASSWORD, false, &Device::default()).await.outcome.unwrap();
}
