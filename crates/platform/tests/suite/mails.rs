//! Mails: what people wait for arrives, what fails for a moment is tried again, and nothing is ever sent twice.

use crate::post_office::{Plan, PostOffice, Taken, with};
use crate::world::{LEASE, PASSWORD, World, code, settings, until, within_a_second};
use aim_backbone::queue::{self, JobState};
use aim_domain::{Code, MailState, RuleSet, Undelivered};
use aim_mail::Fault;
use aim_platform::{AddressStanding, Device, Settings};
use std::sync::Arc;
use std::time::Duration;

fn device(address: &str) -> Device {
    Device { name: "test".into(), address: address.into() }
}

async fn state(server: &crate::world::Server, id: &str) -> (MailState, Option<String>) {
    let mail = server.platform.store.mail(&id.parse().unwrap()).await.unwrap().unwrap();
    (mail.state, mail.reason)
}

#[tokio::test]
async fn registering_sends_a_welcome_whose_link_confirms_the_address_once() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    let server = world.running(with(&office)).await;
    let ann = server.person("ann").await;
    let Taken { id, to, subject, html, .. } = office.of("Welcome", 1).await.remove(0);
    assert_eq!((to.as_str(), subject.as_str()), ("ann@example.test", "Welcome to aim"));
    assert!(!html.contains("src="), "a letter loads nothing");
    assert!(!html.contains("ANN"), "an address that is not confirmed gets no words that somebody chose");
    let platform = &server.platform;
    assert!(!platform.email_confirmed(ann.who.user_id()).await.unwrap());
    let token = office.taken()[0].token("confirm");
    assert_eq!(code(platform.confirm_email("another").await), Code::Validation);
    platform.confirm_email(&token).await.unwrap();
    assert!(platform.email_confirmed(ann.who.user_id()).await.unwrap());
    assert_eq!(code(platform.confirm_email(&token).await), Code::Validation, "once");
    assert_eq!(code(platform.resend_confirmation(&ann.who).await), Code::Conflict);
    within_a_second("it is noted as sent", || async { state(&server, &id).await.0 == MailState::Sent }).await;
    let stored = platform.store.mail(&id.parse().unwrap()).await.unwrap().unwrap();
    assert!(!format!("{stored:?}").contains(&token), "no row holds the token");
}

#[tokio::test]
async fn without_mail_nothing_is_queued_and_everything_works() {
    let world = World::new().await;
    let server = world.server().await;
    let ann = server.person("ann").await;
    let platform = &server.platform;
    assert_eq!(code(platform.resend_confirmation(&ann.who).await), Code::Unavailable);
    platform.forgot_password("ann", &device("a")).await.outcome.unwrap();
    platform.settle().await;
    world.clock.advance(Duration::from_secs(3_600));
    assert!(platform.store.due_mails(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_until_it_is_or_too_often() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    world.let_time_pass();
    let server = world.running(with(&office)).await;
    let busy = || Fault::Later("451 busy".into());
    office.plan([Plan::Refuse(busy()), Plan::Lose(busy())]);
    server.person("ann").await;
    let taken = office.of("Welcome", 1).await.remove(0);
    assert_eq!(office.brought(), 3);
    within_a_second("it is noted", || async { state(&server, &taken.id).await.0 == MailState::Sent }).await;

    office.plan([Plan::Refuse(busy()), Plan::Refuse(busy()), Plan::Refuse(busy())]);
    let eve = server.person("eve").await;
    until("it was tried three times", || office.brought() == 6).await;
    let queue = &server.platform.backbone.queue;
    let failed = || async { queue.jobs(queue::EMAIL, JobState::Failed, 0, 10).await.unwrap() };
    within_a_second("the job failed", || async { failed().await.len() == 1 }).await;
    let reason = failed().await.remove(0).failed_reason.unwrap();
    assert_eq!(reason, "given up after 3 attempts: 451 busy");
    assert_eq!((office.taken().len(), office.brought()), (1, 6));
    let standing = async || server.platform.address_standing(eve.who.user_id()).await.unwrap();
    assert_eq!(standing().await.failure.map(|(_, why)| why), Some(Undelivered::GivenUp));
    server.platform.resend_confirmation(&eve.who).await.unwrap();
    assert_eq!(standing().await.failure, None, "another link is on its way");
    let token = office.of("Confirm", 1).await[0].token("confirm");
    server.platform.confirm_email(&token).await.unwrap();
    assert_eq!(standing().await, AddressStanding { confirmed: true, failure: None });
}

#[tokio::test]
async fn a_refusal_is_final_and_so_is_a_doubt() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    world.let_time_pass();
    let server = world.running(with(&office)).await;
    office.plan([
        Plan::Refuse(Fault::Never("550 nobody here".into())),
        Plan::Lose(Fault::Never("554 spam".into())),
        Plan::Lose(Fault::Doubt("the connection broke".into())),
    ]);
    let mut reasons = Vec::new();
    let mut people = Vec::new();
    for (name, brought) in [("ann", 1), ("eve", 2), ("ida", 3)] {
        people.push(server.person(name).await);
        until("it was tried", || office.brought() == brought).await;
    }
    let queue = &server.platform.backbone.queue;
    let failed = || async { queue.jobs(queue::EMAIL, JobState::Failed, 0, 10).await.unwrap() };
    within_a_second("the jobs failed", || async { failed().await.len() == 3 }).await;
    reasons.extend(failed().await.into_iter().map(|job| job.failed_reason.unwrap()));
    reasons.sort();
    assert_eq!(reasons, ["550 nobody here", "554 spam", "in doubt: the connection broke"]);
    let mut told = Vec::new();
    for one in &people {
        let standing = server.platform.address_standing(one.who.user_id()).await.unwrap();
        told.push((standing.confirmed, standing.failure.map(|(_, why)| why)));
    }
    use Undelivered::{InDoubt, Refused};
    assert_eq!(told, [(false, Some(Refused)), (false, Some(Refused)), (false, Some(InDoubt))], "its reader is told");
    // Longer than the longest wait here, and a look of the reconciler.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((office.taken().len(), office.brought()), (0, 3));
}

#[tokio::test]
async fn a_mail_of_a_server_that_died_before_handing_it_over_is_sent_by_another() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    let mut dead = world.idle(with(&office)).await;
    dead.work().await;
    office.plan([Plan::HangBefore]);
    dead.person("ann").await;
    until("it is at the door", || office.brought() == 1).await;
    let _other = world.running(with(&office)).await;
    world.clock.advance(LEASE + Duration::from_millis(1));
    office.of("Welcome", 1).await;
    assert_eq!(office.brought(), 2);
}

#[tokio::test]
async fn a_mail_of_a_server_that_died_while_handing_it_over_is_not_sent_again() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    let mut dead = world.idle(with(&office)).await;
    dead.work().await;
    office.plan([Plan::HangAfter]);
    dead.person("ann").await;
    let taken = office.of("Welcome", 1).await.remove(0);
    let other = world.running(with(&office)).await;
    world.clock.advance(LEASE + Duration::from_millis(1));
    let told = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            match state(&other, &taken.id).await {
                (MailState::Sending, _) => tokio::time::sleep(Duration::from_millis(50)).await,
                told => return told,
            }
        }
    });
    assert_eq!(told.await.unwrap(), (MailState::Failed, Some("in doubt".into())));
    assert_eq!((office.taken().len(), office.brought()), (1, 1));
}

#[tokio::test]
async fn a_mail_whose_job_was_lost_is_found_in_the_store() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    // Nobody works where it was queued: its job waits there for ever.
    let silent = world.idle(with(&office)).await;
    silent.person("ann").await;
    let _other = world.running(with(&office)).await;
    office.of("Welcome", 1).await;
    assert_eq!(office.brought(), 1);
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_the_mail_and_ends_all_sessions() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    let server = world.running(with(&office)).await;
    let (ann, platform) = (server.person("ann").await, &server.platform);
    for login in ["nobody", "nobody@example.test", "ANN@example.test"] {
        platform.forgot_password(login, &device("a")).await.outcome.unwrap();
    }
    let taken = office.of("new password", 1).await.remove(0);
    assert_eq!(taken.to, "ann@example.test");
    let token = taken.token("reset");
    let set_to = async |token: &str, password: &str| platform.set_password(token, password.into(), &device("b")).await;
    assert_eq!(code(set_to(&token, "short").await.outcome), Code::Validation);
    assert_eq!(code(set_to("another", "battery staple").await.outcome), Code::Validation);
    set_to(&token, "battery staple").await.outcome.unwrap();
    assert_eq!(code(platform.authenticate(&ann.token).await), Code::Unauthenticated, "its sessions are over");
    assert_eq!(code(platform.login("ann", PASSWORD, false, &device("c")).await.outcome), Code::Unauthenticated);
    platform.login("ann", "battery staple", false, &device("c")).await.outcome.unwrap();
    assert_eq!(code(set_to(&token, "battery staple 2").await.outcome), Code::Validation, "once");
    assert!(platform.email_confirmed(ann.who.user_id()).await.unwrap());

    platform.forgot_password("ann", &device("a")).await.outcome.unwrap();
    let late = office.of("new password", 2).await.remove(1).token("reset");
    world.clock.advance(Duration::from_secs(3_601));
    assert_eq!(code(set_to(&late, "battery staple 3").await.outcome), Code::Validation, "its hour is over");
}

#[tokio::test]
async fn nobody_is_buried_under_mails_that_others_ask_for() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    let server = world.running(with(&office)).await;
    let (ann, platform) = (server.person("ann").await, &server.platform);
    for n in 0..6 {
        platform.forgot_password("ann", &device(&format!("address {n}"))).await.outcome.unwrap();
    }
    for _ in 0..3 {
        platform.resend_confirmation(&ann.who).await.unwrap();
    }
    assert_eq!(code(platform.resend_confirmation(&ann.who).await), Code::RateLimited);
    office.of("Confirm", 3).await;
    platform.settle().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(office.of("new password", 3).await.len(), 3);
}

#[tokio::test]
async fn forgetting_counts_as_an_attempt_of_the_address() {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    let rules = RuleSet { multiplier: 1, ..settings().rules };
    let server = world.idle(Settings { rules, ..with(&office) }).await;
    for left in [4, 3, 2, 1, 0] {
        let report = server.platform.forgot_password("nobody", &device("a")).await;
        assert_eq!((report.outcome.is_ok(), report.standing.unwrap().remaining), (true, left));
    }
    assert_eq!(code(server.platform.forgot_password("nobody", &device("a")).await.outcome), Code::RateLimited);
    assert_eq!(code(server.platform.set_password("t", PASSWORD.into(), &device("a")).await.outcome), Code::RateLimited);
}
