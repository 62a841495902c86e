//! Accounts and sessions.

use super::World;
use super::world::MONTH;
use crate::personal::{ERASED, ERASED_TEXT};
use crate::{AccountChange, Change, CreateUser, NewSession};
use aim_domain::{Role, Tier, TokenHash, Username, Visibility};
use std::time::Duration;

pub async fn a_user_is_found_by_id_username_and_login(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    assert_eq!(user.version, 1);
    assert_eq!(user.created_at, world.now());
    assert_eq!(store.user(&user.id).await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.user_by_username(&Username::parse("TESS").unwrap()).await.unwrap().as_ref(), Some(&user));
    for login in ["tess", "TESS", "tess@example.test", "Tess@Example.TEST"] {
        let credentials = store.credentials(login).await.unwrap().unwrap();
        assert_eq!(credentials.user, user, "{login}");
        assert_eq!(credentials.password_hash.as_deref(), Some("$argon2id$hash"));
    }
    assert!(store.credentials("nobody").await.unwrap().is_none());
    assert!(store.user(&world.ambient.id()).await.unwrap().is_none());
}

pub async fn emails_and_usernames_are_unique_without_case(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let mut same_email = world.new_user("other");
    same_email.email = "TESS@example.test".into();
    assert_eq!(store.create_user(same_email).await.unwrap(), CreateUser::EmailTaken);
    let mut same_name = world.new_user("TESS");
    same_name.email = "other@example.test".into();
    assert_eq!(store.create_user(same_name).await.unwrap(), CreateUser::UsernameTaken);
    let mut same_id = world.new_user("third");
    same_id.id = user.id.clone();
    assert_eq!(store.create_user(same_id).await.unwrap(), CreateUser::IdTaken);

    let all = (0..40).map(|_| store.create_user(world.new_user("many")));
    let outcomes = futures::future::join_all(all).await;
    let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(CreateUser::Created(_)))).count();
    assert_eq!(created, 1);
}

pub async fn a_change_of_a_user_keeps_what_is_not_given(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let picture = AccountChange { avatar_url: Some(Some("/media/t.webp".into())), ..Default::default() };
    let changed = store.change_user(&user.id, picture).await.unwrap().unwrap();
    assert_eq!((changed.avatar_url.as_deref(), changed.version), (Some("/media/t.webp"), 2));
    assert_eq!((&changed.display_name, changed.tier, changed.role), (&user.display_name, Tier::Free, Role::User));

    let promoted = AccountChange {
        display_name: Some("Tess".into()),
        tier: Some(Tier::Premium),
        role: Some(Role::Admin),
        password_hash: Some("$new".into()),
        ..Default::default()
    };
    let changed = store.change_user(&user.id, promoted).await.unwrap().unwrap();
    assert_eq!(changed.avatar_url.as_deref(), Some("/media/t.webp"));
    assert_eq!((changed.display_name.as_str(), changed.tier, changed.role), ("Tess", Tier::Premium, Role::Admin));
    assert_eq!(store.credentials("tess").await.unwrap().unwrap().password_hash.as_deref(), Some("$new"));

    let without = AccountChange { avatar_url: Some(None), ..Default::default() };
    let changed = store.change_user(&user.id, without).await.unwrap().unwrap();
    assert_eq!((changed.avatar_url, changed.version), (None, 4));
    assert!(store.change_user(&world.ambient.id(), AccountChange::default()).await.unwrap().is_none());
}

pub async fn a_session_ends_with_its_time_and_lives_on_when_used(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let session = world.session(&user, "secret").await;
    let hash = TokenHash::of("secret");
    assert_eq!(store.member(&hash).await.unwrap().unwrap().session, session);
    assert!(store.member(&TokenHash::of("another")).await.unwrap().is_none());

    world.clock.advance(MONTH - Duration::from_millis(1));
    assert!(store.member(&hash).await.unwrap().is_some());
    store.touch_session(&hash, MONTH).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    let member = store.member(&hash).await.unwrap().unwrap();
    assert_eq!(member.session.expires_at, member.session.last_used_at.plus(MONTH));

    world.clock.advance(MONTH - Duration::from_secs(60));
    assert!(store.member(&hash).await.unwrap().is_none());
    assert!(store.sessions(&user.id).await.unwrap().is_empty());
    store.touch_session(&hash, MONTH).await.unwrap();
    assert!(store.member(&hash).await.unwrap().is_none(), "a use does not bring an ended session back");
}

pub async fn a_session_that_is_made_again_changes_nothing(world: World) {
    let store = &world.store;
    let session = world.session(&world.user("tess").await, "secret").await;
    let again = NewSession { device: "another".into(), ..session.clone() };
    store.create_session(again).await.unwrap();
    assert_eq!(store.sessions(&session.user_id).await.unwrap(), [session]);
}

pub async fn a_revoked_session_has_no_member(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let session = world.session(&tess, "secret").await;
    assert!(!store.revoke_session(&ines.id, &session.id).await.unwrap(), "another's");
    let cursor = store.last_change().await.unwrap();
    assert!(store.revoke_session(&tess.id, &session.id).await.unwrap());
    assert!(!store.revoke_session(&tess.id, &session.id).await.unwrap());
    assert!(store.member(&session.token_hash).await.unwrap().is_none());
    let told = Change::Session { token: session.token_hash, id: session.id, user: tess.id };
    assert_eq!(store.changes(cursor, 10).await.unwrap(), [(cursor + 1, told)]);
}

pub async fn all_sessions_but_one_are_revoked(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let first = world.session(&user, "first").await;
    let second = world.session(&user, "second").await;
    let third = world.session(&user, "third").await;
    let listed = store.sessions(&user.id).await.unwrap();
    assert_eq!(listed, [third.clone(), second.clone(), first.clone()], "newest first");
    let cursor = store.last_change().await.unwrap();
    assert_eq!(store.revoke_sessions(&user.id, Some(&second.id)).await.unwrap(), 2);
    assert_eq!(store.sessions(&user.id).await.unwrap(), [second]);
    assert_eq!(store.changes(cursor, 10).await.unwrap().len(), 2);
    assert_eq!(store.revoke_sessions(&user.id, None).await.unwrap(), 1);
    assert!(store.sessions(&user.id).await.unwrap().is_empty());
}

pub async fn a_member_is_its_user_as_it_is_now(world: World) {
    let store = &world.store;
    let user = world.user("tess").await;
    let session = world.session(&user, "secret").await;
    let change = AccountChange { tier: Some(Tier::Premium), role: Some(Role::Admin), ..Default::default() };
    store.change_user(&user.id, change).await.unwrap();
    let member = store.member(&session.token_hash).await.unwrap().unwrap();
    assert!(member.is_premium() && member.is_admin());
    assert_eq!((member.username.as_str(), &member.display_name), ("tess", &user.display_name));
}

pub async fn a_deleted_user_leaves_nothing_private(world: World) {
    let store = &world.store;
    let tess = world.user("tess").await;
    let session = world.session(&tess, "secret").await;
    let public = world.save(world.new_character("Mara", Some(&tess))).await;
    let mut private = world.new_character("Secret", Some(&tess));
    private.visibility = Visibility::Private;
    let private = world.save(private).await;
    let lonely = world.save(world.new_character("Lonely", Some(&tess))).await;
    let conversation = world.conversation(&tess, &public).await;
    world.send(&conversation, "hello").await;
    world.conversation(&world.user("ines").await, &public).await;
    let cursor = store.last_change().await.unwrap();

    assert!(store.delete_user(&tess.id).await.unwrap());
    assert!(!store.delete_user(&tess.id).await.unwrap());
    assert!(store.user(&tess.id).await.unwrap().is_none());
    assert!(store.credentials("tess").await.unwrap().is_none());
    assert!(store.member(&session.token_hash).await.unwrap().is_none());
    assert!(store.conversation(&conversation.id, &tess.id).await.unwrap().is_none());
    assert_eq!(store.last_seq(&conversation.id).await.unwrap(), 0);
    assert!(store.due_replies(None, 10).await.unwrap().is_empty());
    assert!(store.usages(&tess.id).await.unwrap().is_empty());
    assert!(store.character(&private.id).await.unwrap().is_none());
    assert!(store.character(&lonely.id).await.unwrap().is_none(), "nobody else talks with it");
    let kept = store.character(&public.id).await.unwrap().unwrap();
    assert_eq!((kept.owner_id, &kept.description), (None, &public.description));

    let told: Vec<Change> = store.changes(cursor, 100).await.unwrap().into_iter().map(|(_, change)| change).collect();
    for expected in [
        Change::User { id: tess.id.clone(), username: "tess".into() },
        Change::Session { token: session.token_hash, id: session.id, user: tess.id },
        Change::Conversation { id: conversation.id },
        Change::Character { id: public.id },
        Change::Character { id: private.id },
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:?}");
    }
    // The name is free again.
    world.user("tess").await;
}

pub async fn a_shared_conversation_survives_a_member_and_not_its_owner(world: World) {
    let store = &world.store;
    let (tess, ines) = (world.user("tess").await, world.user("ines").await);
    let mut private = world.new_character("Secret", Some(&ines));
    private.visibility = Visibility::Private;
    let private = world.save(private).await;
    let conversation = world.conversation(&tess, &private).await;
    store.add_member(&conversation.id, &tess.id, &ines.id).await.unwrap();
    let theirs = world.message(&conversation, &ines.id, "mine too");
    store.send_message(theirs).await.unwrap();
    let server = world.server().await;
    world.answer(&conversation, &server, "You said: mine too").await;
    world.send(&conversation, "and mine").await;
    world.answer(&conversation, &server, "You said: and mine").await;

    assert!(store.delete_user(&ines.id).await.unwrap());
    let item = store.conversation(&conversation.id, &tess.id).await.unwrap().unwrap();
    assert_eq!(item.conversation.member_ids, std::slice::from_ref(&tess.id));
    assert_eq!(item.character.name, "Secret", "it stays readable");
    assert_eq!(item.last_message.unwrap().text, "You said: and mine");
    let said = world.all_messages(&conversation).await;
    let (texts, senders): (Vec<_>, Vec<_>) = said.iter().map(|one| (&*one.text, &*one.sender_id)).unzip();
    assert_eq!(
        texts,
        [ERASED_TEXT, ERASED_TEXT, "and mine", "You said: and mine"],
        "places stay, what was said does not"
    );
    assert_eq!((senders[0], senders[2]), (ERASED, tess.id.as_str()));

    assert!(store.delete_user(&tess.id).await.unwrap());
    assert_eq!(store.last_seq(&conversation.id).await.unwrap(), 0);
}
