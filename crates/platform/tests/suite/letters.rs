//! Letters about an account itself: of what may be somebody else's doing, of its end, and of what operators did.

use crate::post_office::{Plan, PostOffice, Taken, with};
use crate::world::{PASSWORD, Person, Server, World, eventually, until};
use aim_backbone::queue::{self, JobState};
use aim_domain::{Character, CharacterDraft, Visibility};
use aim_mail::Fault;
use aim_platform::{Device, Post, Settings};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Longer than a letter takes here.
const A_WHILE: Duration = Duration::from_millis(500);
/// Longer than signing in takes.
const LONGER: Duration = Duration::from_secs(5);

fn device() -> Device {
    Device { name: "test".into(), address: "a".into() }
}

async fn world() -> (World, Arc<PostOffice>, Server, Person) {
    patient(Duration::from_millis(100)).await
}

/// Where a letter that was not taken is brought again after so long.
async fn patient(backoff: Duration) -> (World, Arc<PostOffice>, Server, Person) {
    let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
    world.let_time_pass();
    let settings = with(&office);
    let post = settings.post.map(|post| Post { backoff, ..post });
    let server = world.running(Settings { post, ..settings }).await;
    let ann = server.person("ann").await;
    office.of("Welcome", 1).await;
    (world, office, server, ann)
}

fn assert_for_everyone(letter: &Taken) {
    assert!(letter.unsubscribe.is_none() && !letter.html.contains("src="), "{}", letter.subject);
}

/// No letter but these many came in a while.
async fn assert_no_more(office: &PostOffice, count: usize) {
    tokio::time::sleep(A_WHILE).await;
    let subjects: Vec<_> = office.taken().into_iter().map(|taken| taken.subject).collect();
    assert_eq!(subjects.len(), count, "{subjects:?}");
}

/// A letter was dropped for this reason, once its next attempt came.
async fn assert_dropped(server: &Server, reason: &str) {
    let queue = &server.platform.backbone.queue;
    let dropped = || async {
        let jobs = queue.jobs(queue::EMAIL, JobState::Completed, 0, 50).await.unwrap();
        jobs.iter().any(|job| job.returned.as_ref().is_some_and(|told| told["reason"] == reason))
    };
    eventually(reason, dropped).await;
}

#[tokio::test]
async fn another_address_is_told_to_the_one_before() {
    let (_world, office, server, ann) = world().await;
    let change = async |email: &str| {
        server.platform.change_email(&ann.who, email, PASSWORD.into(), &device()).await.outcome.unwrap()
    };
    change("buy@spam.example.test").await;
    let letter = office.of("address of your account was changed", 1).await.remove(0);
    assert_eq!(letter.to, "ann@example.test");
    assert!(letter.text.contains("b…@s…") && letter.text.contains("had this address until now"), "{}", letter.text);
    for body in [&letter.text, &letter.html] {
        assert!(!body.contains("buy@") && !body.contains("spam"), "nobody says anything with it: {body}");
    }
    assert_for_everyone(&letter);
    assert_eq!(office.of("Confirm", 1).await[0].to, "buy@spam.example.test");
    // The same in other letters is no other address.
    change("Buy@spam.example.test").await;
    office.of("Confirm", 2).await;
    assert_no_more(&office, 4).await;
}

#[tokio::test]
async fn a_warning_reaches_the_old_address_though_more_is_done_to_the_account() {
    let (_world, office, server, ann) = world().await;
    let platform = &server.platform;
    office.plan([Plan::Refuse(Fault::Later("451 busy".into())), Plan::Refuse(Fault::Later("451 busy".into()))]);
    platform.change_password(&ann.who, PASSWORD.into(), "stolen by now".into(), &device()).await.outcome.unwrap();
    let email = "thief@example.test";
    platform.change_email(&ann.who, email, "stolen by now".into(), &device()).await.outcome.unwrap();
    platform.close_account(&ann.who).await.unwrap();
    for subject in ["password was changed", "address of your account was changed"] {
        assert_eq!(office.of(subject, 1).await[0].to, "ann@example.test", "{subject}");
    }
    assert_eq!(office.of("account was closed", 1).await[0].to, email);
}

#[tokio::test]
async fn a_changed_password_is_told_however_it_was_changed() {
    let (_world, office, server, ann) = world().await;
    let platform = &server.platform;
    platform.change_password(&ann.who, PASSWORD.into(), "battery staple".into(), &device()).await.outcome.unwrap();
    let letter = office.of("Your password was changed", 1).await.remove(0);
    assert_eq!(letter.to, "ann@example.test");
    assert!(letter.text.contains("https://aim.example.test/forgot"), "{}", letter.text);
    assert_for_everyone(&letter);
    platform.forgot_password("ann", &device()).await.outcome.unwrap();
    let token = office.of("new password", 1).await[0].token("reset");
    platform.set_password(&token, "correct horse".into(), &device()).await.outcome.unwrap();
    office.of("Your password was changed", 2).await;
    platform.reset_password("ann", "donkey bridge".into()).await.unwrap();
    office.of("Your password was changed", 3).await;
    assert_no_more(&office, 5).await;
}

#[tokio::test]
async fn a_closed_account_is_told_until_when_it_can_be_had_back() {
    let (world, office, server, ann) = patient(LONGER).await;
    let platform = &server.platform;
    let erase_at = platform.close_account(&ann.who).await.unwrap();
    let letter = office.of("account was closed", 1).await.remove(0);
    let day = erase_at.to_string()[..10].to_owned();
    assert!(letter.text.contains(&day) && letter.text.contains("https://aim.example.test/login"), "{}", letter.text);
    assert_for_everyone(&letter);
    platform.close_account(&ann.who).await.unwrap();
    assert_no_more(&office, 2).await;

    // Had back before the letter was taken: it is of no use any more.
    platform.login("ann", PASSWORD, true, &device()).await.outcome.unwrap();
    world.clock.advance(DAY);
    office.plan([Plan::Refuse(Fault::Later("451 busy".into()))]);
    platform.close_account(&ann.who).await.unwrap();
    until("it is at the door", || office.brought() == 3).await;
    platform.login("ann", PASSWORD, true, &device()).await.outcome.unwrap();
    assert_dropped(&server, "the account was had back").await;
    assert_no_more(&office, 2).await;
}

async fn vera(server: &Server, owner: &Person) -> Character {
    let draft = CharacterDraft { name: "Vera".into(), visibility: Visibility::Public, ..Default::default() };
    server.platform.create_character(&owner.who, draft).await.unwrap()
}

#[tokio::test]
async fn an_owner_is_told_what_operators_do_about_a_character() {
    let (_world, office, server, ann) = world().await;
    let (platform, vera) = (&server.platform, vera(&server, &ann).await);
    let unlist = async |unlist: bool, why: &str| {
        platform.set_unlisted(None, &vera.id, unlist, why).await.unwrap();
    };
    unlist(false, "It was never out.").await;
    unlist(true, "It shows <somebody else>.").await;
    let letter = office.of("taken out of the lists", 1).await.remove(0);
    assert_eq!(letter.to, "ann@example.test");
    assert!(letter.text.contains("The reason given: It shows <somebody else>."), "{}", letter.text);
    assert!(letter.html.contains("&lt;somebody else&gt;"), "{}", letter.html);
    assert!(letter.text.contains("One of your characters was"), "the address is not confirmed: {}", letter.text);
    assert!(letter.text.contains(&format!("https://aim.example.test/characters/{}", vera.id)), "{}", letter.text);
    assert_for_everyone(&letter);
    unlist(true, "It shows <somebody else>.").await;
    assert_no_more(&office, 2).await;

    let welcome = office.of("Welcome", 1).await.remove(0);
    platform.confirm_email(&welcome.token("confirm")).await.unwrap();
    unlist(false, "It was changed.").await;
    let letter = office.of("in the lists again", 1).await.remove(0);
    assert!(letter.text.contains("Vera was put back") && letter.text.contains("It was changed."), "{}", letter.text);
    // Nobody's own.
    let demo = server.character("Mara").await;
    platform.set_unlisted(None, &demo.id, true, "No longer.").await.unwrap();
    assert_no_more(&office, 3).await;
}

#[tokio::test]
async fn somebody_suspended_is_told_until_when_and_why() {
    let (_world, office, server, ann) = patient(LONGER).await;
    let (platform, id) = (&server.platform, ann.who.user_id().clone());
    let until_then = platform.ambient.now().plus(3 * DAY);
    for _ in 0..2 {
        platform.suspend(None, &id, Some(until_then), "Spam in rooms.").await.unwrap();
    }
    let letter = office.of("suspended", 1).await.remove(0);
    let day = until_then.to_string()[..10].to_owned();
    assert!(letter.text.contains(&day) && letter.text.contains("Spam in rooms."), "{}", letter.text);
    assert_for_everyone(&letter);
    platform.suspend(None, &id, None, "Threats.").await.unwrap();
    let letter = office.of("suspended", 2).await.remove(1);
    assert!(letter.text.contains("until an operator ends that") && letter.text.contains("Threats."), "{}", letter.text);
    assert_no_more(&office, 3).await;

    // Over before the letter was taken.
    platform.end_suspension(None, &id, "Appealed.").await.unwrap();
    office.plan([Plan::Refuse(Fault::Later("451 busy".into()))]);
    let brought = office.brought();
    platform.suspend(None, &id, None, "By mistake.").await.unwrap();
    until("it is at the door", || office.brought() == brought + 1).await;
    platform.end_suspension(None, &id, "A mistake.").await.unwrap();
    assert_dropped(&server, "the suspension is another, or over").await;
    assert_no_more(&office, 3).await;
}
