//! Notices by mail: only to who is away, not too often, and never to who does not want them.

use crate::post_office::{PostOffice, Taken, with};
use crate::world::{Person, Server, World, code, eventually, settings, until};
use aim_domain::{Code, ConversationId, MailState, ReplyState, Tier};
use aim_platform::{NoticeChoices, Settings};
use std::sync::Arc;
use std::time::Duration;

const WAITS: &str = "has answered you";
/// Longer than a notice of a reply waits here.
const A_WHILE: Duration = Duration::from_millis(900);

struct Evening {
    world: World,
    office: Arc<PostOffice>,
    server: Server,
    ann: Person,
    talk: ConversationId,
}

impl Evening {
    async fn new(settings: impl FnOnce(Settings) -> Settings) -> Self {
        let (world, office) = (World::new().await, Arc::new(PostOffice::default()));
        world.let_time_pass();
        let server = world.running(settings(with(&office))).await;
        let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
        let talk = server.talk(&ann, &mara).await;
        Self { world, office, server, ann, talk }
    }

    /// Sends, and waits until it is answered.
    async fn says(&self, text: &str) {
        let asked = self.server.send(&self.ann, &self.talk, text).await;
        let done = || async {
            let store = &self.server.platform.store;
            let all = store.missed(&self.talk, asked.seq - 1, 1).await.unwrap();
            all[0].reply_state == Some(ReplyState::Done)
        };
        crate::world::within_a_second("it is answered", done).await;
    }

    fn told(&self) -> Vec<Taken> {
        self.office.taken().into_iter().filter(|taken| taken.subject.contains(WAITS)).collect()
    }
}

#[tokio::test]
async fn a_reply_is_told_once_a_day_to_who_is_away_and_no_more_after_one_click() {
    let evening = Evening::new(|settings| settings).await;
    let platform = &evening.server.platform;
    evening.says("Good night").await;
    let told = evening.office.of(WAITS, 1).await.remove(0);
    assert_eq!(told.subject, "A character has answered you", "the address is not confirmed: no name is in it");
    assert!(told.text.contains(&format!("https://aim.example.test/c/{}", evening.talk)), "{}", told.text);
    assert!(!told.text.contains("Good night"));
    evening.says("And again").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(evening.told().len(), 1, "once a day");

    let (link, post) = told.unsubscribe.clone().unwrap();
    assert_eq!(post, "List-Unsubscribe=One-Click");
    let start = "https://aim.example.test/api/mail/unsubscribe?token=";
    let token = link.trim_matches(['<', '>']).strip_prefix(start).unwrap().to_owned();
    assert_eq!(token, told.token("unsubscribe"));
    for _ in 0..2 {
        assert_eq!(platform.unsubscribe(&token).await.unwrap().as_str(), "reply-waiting");
    }
    assert_eq!(code(platform.unsubscribe("another").await), Code::Validation);
    let choices = platform.notice_choices(&evening.ann.who).await.unwrap();
    assert_eq!(choices, NoticeChoices { reply_waiting: false, usage: true });
    evening.world.clock.advance(Duration::from_secs(24 * 3_600));
    evening.says("The next day").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(evening.told().len(), 1);

    let welcome = evening.office.of("Welcome", 1).await.remove(0);
    platform.confirm_email(&welcome.token("confirm")).await.unwrap();
    platform.choose_notices(&evening.ann.who, NoticeChoices { reply_waiting: true, usage: true }).await.unwrap();
    evening.says("Once more").await;
    assert_eq!(evening.office.of(WAITS, 2).await[1].subject, "Mara has answered you");
}

#[tokio::test]
async fn who_is_here_or_comes_back_in_time_is_not_told() {
    let evening = Evening::new(|settings| settings).await;
    let (platform, ann) = (&evening.server.platform, evening.ann.who.user_id().clone());
    // Here, on this server.
    platform.enters(&ann);
    evening.says("I stay").await;
    platform.leaves(&ann);
    // Here, on another.
    platform.store.note_presence(vec![(ann.clone(), true)], Duration::from_secs(60)).await.unwrap();
    evening.says("I am elsewhere").await;
    platform.store.note_presence(vec![(ann.clone(), false)], Duration::ZERO).await.unwrap();
    assert!(platform.store.due_mails(None, 10).await.unwrap().is_empty());
    // Away, and back in time.
    evening.says("I look in").await;
    platform.store.note_presence(vec![(ann.clone(), false)], Duration::ZERO).await.unwrap();
    tokio::time::sleep(A_WHILE).await;
    assert!(evening.told().is_empty());
    // What was dropped comes up again with the next reply.
    evening.says("I am gone").await;
    evening.office.of(WAITS, 1).await;
}

#[tokio::test]
async fn presence_is_told_to_the_store() {
    let evening = Evening::new(|settings| settings).await;
    let (platform, ann) = (evening.server.platform.clone(), evening.ann.who.user_id().clone());
    let stop = tokio_util::sync::CancellationToken::new();
    let keeping = tokio::spawn({
        let (platform, stop) = (platform.clone(), stop.clone());
        async move { platform.keep_presence(stop).await }
    });
    let is_here = || async { platform.store.presence(&ann).await.unwrap().map(|presence| presence.is_here) };
    platform.enters(&ann);
    platform.enters(&ann);
    platform.leaves(&ann);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(is_here().await, Some(true));
    platform.leaves(&ann);
    stop.cancel();
    keeping.await.unwrap();
    assert_eq!(is_here().await, Some(false), "the last thing it does");
}

#[tokio::test]
async fn used_up_messages_are_told_once_a_day() {
    let evening = Evening::new(|with_mail| Settings { usage_multiplier: 1, ..with_mail }).await;
    let server = &evening.server;
    let mut refused = 0;
    for n in 0..34 {
        refused += usize::from(server.try_send(&evening.ann, &evening.talk, &format!("{n}")).await.is_err());
    }
    assert_eq!(refused, 4);
    let told = evening.office.of("used up", 1).await.remove(0);
    assert!(told.text.contains("all 30 text messages") && told.unsubscribe.is_some(), "{}", told.text);
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(evening.office.of("used up", 1).await.len(), 1);
}

#[tokio::test]
async fn a_new_tier_is_told_and_the_same_again_is_not() {
    let evening = Evening::new(|settings| settings).await;
    let platform = &evening.server.platform;
    for _ in 0..2 {
        platform.set_user("ann", Some(Tier::Premium), None).await.unwrap();
    }
    let told = evening.office.of("premium now", 1).await;
    assert!(told[0].unsubscribe.is_none());
    platform.set_user("ann", Some(Tier::Free), None).await.unwrap();
    evening.office.of("free tier", 1).await;
    assert_eq!(evening.office.of("premium now", 1).await.len(), 1);
}

#[tokio::test]
async fn a_notice_of_a_closed_account_goes_with_it() {
    let evening = Evening::new(|with_mail| {
        let mut post = with_mail.post.unwrap();
        post.reply_wait = Duration::from_secs(60);
        Settings { post: Some(post), ..settings() }
    })
    .await;
    let (platform, office) = (&evening.server.platform, &evening.office);
    office.of("Welcome", 1).await;
    evening.says("Good night").await;
    // A notice is queued behind the reply, which is seen as answered before.
    evening.server.quiet().await;
    platform.settle().await;
    platform.close_account(&evening.ann.who).await.unwrap();
    office.of("account was closed", 1).await;
    evening.world.clock.advance(Duration::from_secs(61));
    eventually("nothing is due", || async { platform.store.due_mails(None, 10).await.unwrap().is_empty() }).await;
    until("nothing else was sent", || office.taken().len() == 2).await;
    let id = office.taken()[0].id.parse().unwrap();
    assert!(platform.store.mail(&id).await.unwrap().is_none_or(|mail| mail.state == MailState::Sent));
}
