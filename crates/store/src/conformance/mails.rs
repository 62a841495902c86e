//! Mails: queued once, claimed by one, never sent twice; their tokens; who is there.

use super::World;
use super::world::LEASE;
use crate::mail::IN_DOUBT;
use crate::{Change, DueMail, MailEnd, NewMail, NewToken, Stale, StoredMail};
use aim_domain::{Incarnation, MailId, MailKind, MailState, Notice, Purpose, TokenHash, User};
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn new(world: &World, user: &User, occasion: &str) -> NewMail {
    world.tick();
    NewMail {
        id: world.ambient.id(),
        user: user.id.clone(),
        address: user.email.clone(),
        kind: MailKind::Welcome,
        occasion: occasion.into(),
        data: json!({ "name": "Mara" }),
        wait: Duration::ZERO,
    }
}

async fn queued(world: &World, user: &User, occasion: &str) -> DueMail {
    world.store.queue_mail(new(world, user, occasion)).await.unwrap().unwrap()
}

async fn claim(world: &World, mail: &DueMail, holder: &Incarnation) -> Option<StoredMail> {
    world.store.claim_mail(&mail.id, mail.attempt, holder).await.unwrap()
}

async fn state(world: &World, id: &MailId) -> (MailState, Option<String>) {
    let mail = world.store.mail(id).await.unwrap().unwrap();
    (mail.state, mail.reason)
}

fn token(of: &str, purpose: Purpose) -> NewToken {
    NewToken { hash: TokenHash::of(of), purpose, lives: HOUR }
}

/// A mail that was handed over with this token.
async fn delivered(world: &World, user: &User, of: &str, purpose: Purpose) {
    let (server, mail) = (world.server().await, queued(world, user, of).await);
    claim(world, &mail, &server).await.unwrap();
    assert!(world.store.begin_sending(&mail.id, &server, vec![token(of, purpose)]).await.unwrap());
    assert!(world.store.end_mail(&mail.id, &server, MailEnd::Sent).await.unwrap());
}

pub async fn an_occasion_has_one_mail(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let mail = queued(&world, &tess, "welcome:1").await;
    assert_eq!((mail.kind, mail.attempt), (MailKind::Welcome, 1));
    assert_eq!(store.queue_mail(new(&world, &tess, "welcome:1")).await.unwrap(), None);
    let other = queued(&world, &tess, "welcome:2").await;
    let stored = store.mail(&mail.id).await.unwrap().unwrap();
    assert_eq!((stored.user, stored.address, stored.data), (tess.id.clone(), tess.email, json!({ "name": "Mara" })));
    assert_eq!((stored.state, stored.holder, stored.reason), (MailState::Due, None, None));
    let ids = |due: Vec<DueMail>| due.into_iter().map(|mail| mail.id).collect::<Vec<_>>();
    assert_eq!(ids(store.due_mails(None, 10).await.unwrap()), [mail.id.clone(), other.id.clone()]);
    assert_eq!(ids(store.due_mails(Some(&mail.id), 10).await.unwrap()), [other.id]);
    assert_eq!(store.due_mails(None, 1).await.unwrap().len(), 1);
    let mut nobodys = new(&world, &world.user("ines").await, "welcome:3");
    nobodys.user = world.ambient.id();
    assert_eq!(store.queue_mail(nobodys).await.unwrap(), None);
    assert!(store.delete_user(&tess.id).await.unwrap());
    assert_eq!(store.mail(&mail.id).await.unwrap(), None, "an account takes its mails with it");
}

pub async fn a_mail_waits_for_its_time(world: World) {
    let (store, tess, server) = (&world.store, world.user("tess").await, world.server().await);
    let mail = NewMail { wait: LEASE / 2, ..new(&world, &tess, "reply:1") };
    let mail = store.queue_mail(mail).await.unwrap().unwrap();
    assert!(store.due_mails(None, 10).await.unwrap().is_empty());
    assert_eq!(claim(&world, &mail, &server).await, None);
    world.clock.advance(LEASE / 2);
    assert_eq!(store.due_mails(None, 10).await.unwrap(), std::slice::from_ref(&mail));
    assert!(claim(&world, &mail, &server).await.is_some());
}

pub async fn one_server_claims_a_mail(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let mail = queued(&world, &tess, "welcome:1").await;
    let (server, other) = (world.server().await, world.server().await);
    assert_eq!(claim(&world, &mail, &world.ambient.id()).await, None, "nobody claims without a lease");
    assert_eq!(claim(&world, &DueMail { attempt: 2, ..mail.clone() }, &server).await, None);
    let claimed = claim(&world, &mail, &server).await.unwrap();
    assert_eq!((claimed.state, claimed.holder.as_ref()), (MailState::Due, Some(&server)));
    assert_eq!(claim(&world, &mail, &other).await, None);
    assert_eq!(claim(&world, &mail, &server).await, None, "nor itself, twice");
    assert!(store.due_mails(None, 10).await.unwrap().is_empty(), "it is in good hands");
    assert!(!store.begin_sending(&mail.id, &other, vec![]).await.unwrap());
    assert!(!store.end_mail(&mail.id, &other, MailEnd::Sent).await.unwrap());
    assert!(store.begin_sending(&mail.id, &server, vec![]).await.unwrap());
    assert!(!store.begin_sending(&mail.id, &server, vec![]).await.unwrap(), "it is handed over once");
    assert!(store.end_mail(&mail.id, &server, MailEnd::Sent).await.unwrap());
    assert_eq!(state(&world, &mail.id).await, (MailState::Sent, None));
    assert_eq!(claim(&world, &mail, &server).await, None);
    assert!(!store.end_mail(&mail.id, &server, MailEnd::Failed { reason: "late".into() }).await.unwrap());
}

pub async fn claims_of_a_mail_at_once_from_two_stores_never_meet(world: World) {
    let (tess, other) = (world.user("tess").await, world.another().await);
    let mail = queued(&world, &tess, "welcome:1").await;
    let servers = [world.server().await, world.server().await, world.server().await, world.server().await];
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let store = if n % 2 == 0 { world.store.clone() } else { other.clone() };
            let (mail, server) = (mail.clone(), servers[n % 4].clone());
            tokio::spawn(async move { store.claim_mail(&mail.id, mail.attempt, &server).await.unwrap().is_some() })
        })
        .collect();
    let claimed = futures::future::join_all(tasks).await.into_iter().filter(|task| *task.as_ref().unwrap()).count();
    assert_eq!(claimed, 1);
}

pub async fn a_dead_servers_mail_is_sent_by_another_unless_it_was_handed_over(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let (before, within) = (queued(&world, &tess, "welcome:1").await, queued(&world, &tess, "welcome:2").await);
    let dead = world.server().await;
    claim(&world, &before, &dead).await.unwrap();
    claim(&world, &within, &dead).await.unwrap();
    assert!(store.begin_sending(&within.id, &dead, vec![]).await.unwrap());
    assert_eq!(store.doubt_mails().await.unwrap(), 0, "it lives");
    world.clock.advance(LEASE);
    assert!(!store.begin_sending(&before.id, &dead, vec![]).await.unwrap(), "a lapsed claim hands nothing over");
    let server = world.server().await;
    assert_eq!(store.due_mails(None, 10).await.unwrap(), std::slice::from_ref(&before));
    assert!(claim(&world, &before, &server).await.is_some());
    assert_eq!(store.doubt_mails().await.unwrap(), 1);
    assert_eq!(state(&world, &within.id).await, (MailState::Failed, Some(IN_DOUBT.into())));
    assert_eq!(claim(&world, &within, &server).await, None);
    // It was only asleep, and knows better.
    assert!(store.end_mail(&within.id, &dead, MailEnd::Sent).await.unwrap());
    assert_eq!(state(&world, &within.id).await, (MailState::Sent, None));
    assert!(!store.end_mail(&before.id, &dead, MailEnd::Sent).await.unwrap(), "another has it");
}

pub async fn what_was_not_taken_is_tried_again_later(world: World) {
    let (store, tess, server) = (&world.store, world.user("tess").await, world.server().await);
    let mail = queued(&world, &tess, "welcome:1").await;
    claim(&world, &mail, &server).await.unwrap();
    assert!(store.begin_sending(&mail.id, &server, vec![]).await.unwrap());
    let later = MailEnd::Later { reason: "451 busy".into(), wait: Duration::from_secs(2) };
    assert!(store.end_mail(&mail.id, &server, later).await.unwrap());
    let next = DueMail { attempt: 2, ..mail.clone() };
    assert_eq!(state(&world, &mail.id).await, (MailState::Due, Some("451 busy".into())));
    assert_eq!(claim(&world, &next, &server).await, None, "not yet");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(claim(&world, &mail, &server).await, None, "the first attempt is over");
    assert!(claim(&world, &next, &server).await.is_some());
    assert!(store.end_mail(&mail.id, &server, MailEnd::Failed { reason: "550 no".into() }).await.unwrap());
    assert_eq!(state(&world, &mail.id).await, (MailState::Failed, Some("550 no".into())));
    assert_eq!(store.queue_mail(new(&world, &tess, "welcome:1")).await.unwrap(), None, "its occasion is over");
}

pub async fn a_dropped_mail_comes_up_again_with_its_occasion(world: World) {
    let (store, tess, server) = (&world.store, world.user("tess").await, world.server().await);
    let mail = queued(&world, &tess, "reply:1").await;
    claim(&world, &mail, &server).await.unwrap();
    assert!(store.end_mail(&mail.id, &server, MailEnd::Dropped { reason: "was there".into() }).await.unwrap());
    assert!(store.due_mails(None, 10).await.unwrap().is_empty());
    let again = NewMail { data: json!({ "name": "Ines" }), ..new(&world, &tess, "reply:1") };
    let again = store.queue_mail(again).await.unwrap().unwrap();
    assert_eq!(again, DueMail { attempt: 2, ..mail });
    let claimed = claim(&world, &again, &server).await.unwrap();
    assert_eq!((claimed.data, claimed.reason), (json!({ "name": "Ines" }), None));
}

pub async fn a_link_that_could_not_be_delivered_shows_in_its_readers_standing(world: World) {
    let (store, tess, server) = (&world.store, world.user("tess").await, world.server().await);
    let failure = async || store.mail_standing(&tess.id).await.unwrap().failure;
    let ends = async |mail: NewMail, end: MailEnd| {
        let due = store.queue_mail(mail).await.unwrap().unwrap();
        assert_eq!(failure().await, None, "it is on its way");
        claim(&world, &due, &server).await.unwrap();
        assert!(store.end_mail(&due.id, &server, end).await.unwrap());
    };
    let refused = || MailEnd::Failed { reason: "550 no such user".into() };
    let of = |kind, occasion| NewMail { kind, ..new(&world, &tess, occasion) };
    assert_eq!(failure().await, None);
    ends(of(MailKind::Welcome, "welcome"), refused()).await;
    let told = failure().await.unwrap();
    assert_eq!((told.reason.as_str(), told.at), ("550 no such user", world.now()));
    let ines = world.user("ines").await;
    assert_eq!(store.mail_standing(&ines.id).await.unwrap().failure, None, "it is somebody else's");
    ends(of(MailKind::Confirm, "confirm:1"), MailEnd::Sent).await;
    ends(of(MailKind::Reset, "reset:1"), refused()).await;
    assert_eq!(failure().await, None, "it is not about the address");
    ends(of(MailKind::Confirm, "confirm:2"), refused()).await;
    assert!(failure().await.is_some());
    store.change_email(&tess.id, "tess@example.org").await.unwrap();
    assert_eq!(failure().await, None, "it went to another address");
    ends(NewMail { address: "tess@example.org".into(), ..of(MailKind::Confirm, "confirm:3") }, refused()).await;
    assert!(failure().await.is_some());
    let mail = store.queue_mail(NewMail { address: "tess@example.org".into(), ..of(MailKind::Confirm, "confirm:4") });
    let mail = mail.await.unwrap().unwrap();
    claim(&world, &mail, &server).await.unwrap();
    assert!(store.begin_sending(&mail.id, &server, vec![token("a", Purpose::Confirm)]).await.unwrap());
    // The link arrived, and nobody knows it.
    assert!(store.end_mail(&mail.id, &server, MailEnd::Failed { reason: IN_DOUBT.into() }).await.unwrap());
    assert!(failure().await.is_some());
    store.confirm_address(&TokenHash::of("a")).await.unwrap().unwrap();
    assert_eq!(failure().await, None, "it is confirmed");
}

pub async fn a_token_confirms_an_address_once(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    assert!(!store.mail_standing(&tess.id).await.unwrap().confirmed);
    delivered(&world, &tess, "a", Purpose::Confirm).await;
    let hash = TokenHash::of("a");
    let owner = store.token(Purpose::Confirm, &hash).await.unwrap().unwrap();
    assert_eq!((owner.user, owner.address), (tess.id.clone(), tess.email.clone()));
    assert_eq!(store.token(Purpose::Reset, &hash).await.unwrap(), None, "it is for one purpose");
    assert!(store.use_reset(&hash, "hash").await.unwrap().is_none());
    assert_eq!(store.confirm_address(&TokenHash::of("b")).await.unwrap(), None);
    assert_eq!(store.confirm_address(&hash).await.unwrap(), Some(tess.id.clone()));
    assert!(store.mail_standing(&tess.id).await.unwrap().confirmed);
    assert_eq!(store.confirm_address(&hash).await.unwrap(), None);
    assert_eq!(store.token(Purpose::Confirm, &hash).await.unwrap(), None);
    delivered(&world, &tess, "c", Purpose::Confirm).await;
    world.clock.advance(HOUR);
    assert_eq!(store.confirm_address(&TokenHash::of("c")).await.unwrap(), None, "it is over");
    assert!(store.mail_standing(&tess.id).await.unwrap().confirmed);
}

pub async fn a_token_sets_a_password_once_and_ends_all_sessions(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let session = world.session(&tess, "phone").await;
    world.session(&world.user("ines").await, "other").await;
    delivered(&world, &tess, "a", Purpose::Reset).await;
    delivered(&world, &tess, "b", Purpose::Reset).await;
    let cursor = store.last_change().await.unwrap();
    let reset = store.use_reset(&TokenHash::of("a"), "new hash").await.unwrap().unwrap();
    assert_eq!(reset.user, tess.id);
    let ended = Change::Session { token: session.token_hash.clone(), id: session.id, user: tess.id.clone() };
    assert_eq!(reset.changes, [ended, Change::User { id: tess.id.clone(), username: "tess".into() }]);
    let told: Vec<Change> = store.changes(cursor, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    assert_eq!(told, reset.changes);
    let credentials = store.credentials("tess").await.unwrap().unwrap();
    assert_eq!(credentials.password_hash.as_deref(), Some("new hash"));
    assert_eq!(store.member(&session.token_hash).await.unwrap(), None);
    assert!(store.member(&TokenHash::of("other")).await.unwrap().is_some());
    assert!(store.mail_standing(&tess.id).await.unwrap().confirmed, "who has the mail has the address");
    for used in ["a", "b"] {
        assert!(store.use_reset(&TokenHash::of(used), "another").await.unwrap().is_none());
    }
}

pub async fn a_reset_at_once_from_two_stores_is_done_once(world: World) {
    let (tess, other) = (world.user("tess").await, world.another().await);
    delivered(&world, &tess, "a", Purpose::Reset).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let store = if n % 2 == 0 { world.store.clone() } else { other.clone() };
            let hash = TokenHash::of("a");
            tokio::spawn(async move { store.use_reset(&hash, &format!("hash {n}")).await.unwrap().is_some() })
        })
        .collect();
    let done = futures::future::join_all(tasks).await.into_iter().filter(|task| *task.as_ref().unwrap()).count();
    assert_eq!(done, 1);
}

pub async fn notices_are_unwanted_each_by_itself(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    assert!(store.mail_standing(&tess.id).await.unwrap().wants(Notice::ReplyWaiting));
    for _ in 0..2 {
        assert!(store.want_notice(&tess.id, Notice::ReplyWaiting, false).await.unwrap());
    }
    let standing = store.mail_standing(&tess.id).await.unwrap();
    assert!(!standing.wants(Notice::ReplyWaiting) && standing.wants(Notice::Usage));
    assert!(store.want_notice(&tess.id, Notice::ReplyWaiting, true).await.unwrap());
    assert!(store.mail_standing(&tess.id).await.unwrap().wants(Notice::ReplyWaiting));
    assert!(!store.want_notice(&world.ambient.id(), Notice::Usage, false).await.unwrap());
}

pub async fn presence_ends_with_a_socket_or_with_its_time(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    let note = |is_here: bool| store.note_presence(vec![(tess.id.clone(), is_here), (world.ambient.id(), true)], LEASE);
    assert_eq!(store.presence(&tess.id).await.unwrap(), None);
    note(true).await.unwrap();
    let seen = world.now();
    world.clock.advance(LEASE / 2);
    let presence = store.presence(&tess.id).await.unwrap().unwrap();
    assert_eq!((presence.seen_at, presence.is_here), (seen, true));
    world.clock.advance(LEASE / 2);
    assert!(!store.presence(&tess.id).await.unwrap().unwrap().is_here, "nobody noted it anew");
    note(true).await.unwrap();
    note(false).await.unwrap();
    let presence = store.presence(&tess.id).await.unwrap().unwrap();
    assert_eq!((presence.seen_at, presence.is_here), (world.now(), false));
}

pub async fn a_sweep_takes_mails_that_ended_and_tokens_that_are_over(world: World) {
    let (store, tess) = (&world.store, world.user("tess").await);
    delivered(&world, &tess, "a", Purpose::Confirm).await;
    let due = queued(&world, &tess, "welcome:1").await;
    world.clock.advance(HOUR / 2);
    assert_eq!(
        (store.sweep(Stale::Mails, HOUR).await.unwrap(), store.sweep(Stale::Tokens, HOUR).await.unwrap()),
        (0, 0)
    );
    world.clock.advance(HOUR);
    assert_eq!(store.sweep(Stale::Mails, HOUR).await.unwrap(), 1);
    world.clock.advance(HOUR);
    assert_eq!(store.sweep(Stale::Tokens, HOUR).await.unwrap(), 1);
    assert_eq!(state(&world, &due.id).await.0, MailState::Due);
    assert!(store.queue_mail(new(&world, &tess, "a")).await.unwrap().is_some(), "its occasion went with it");
}

pub async fn a_warning_goes_where_it_was_going_whatever_comes_next(world: World) {
    let (store, tess, server) = (&world.store, world.user("tess").await, world.server().await);
    let mut mails = Vec::new();
    for kind in [MailKind::Confirm, MailKind::AddressChanged, MailKind::PasswordChanged, MailKind::Listing] {
        let mail = NewMail { kind, ..new(&world, &tess, kind.as_str()) };
        mails.push(store.queue_mail(mail).await.unwrap().unwrap());
    }
    store.change_email(&tess.id, "thief@example.test").await.unwrap();
    for mail in &mails {
        let stored = store.mail(&mail.id).await.unwrap().unwrap();
        let goes_to = if mail.kind.is_warning() { "tess@example.test" } else { "thief@example.test" };
        assert_eq!((stored.kind, stored.address.as_str()), (mail.kind, goes_to));
    }
    store.close_account(&tess.id, HOUR).await.unwrap().unwrap();
    for mail in &mails {
        assert_eq!(claim(&world, mail, &server).await.is_some(), mail.kind.is_warning(), "{:?}", mail.kind);
    }
}
