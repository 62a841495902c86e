//! Reports, and what they are made of.

use super::World;
use crate::{
    AccountChange, Activity, CommitReply, ModelTokens, OpenConversation, Period, Report, Sample, Stale, Stretch,
    TokenUse,
};
use aim_domain::{Figures, Incarnation, Tier, Times, Timestamp};
use serde_json::json;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

fn stretch(from: Timestamp, length: Duration) -> Stretch {
    Stretch { from, to: from.plus(length) }
}

pub async fn what_people_did_is_counted_in_its_stretch_of_time(world: World) {
    let store = &world.store;
    let began = world.now();
    let (user, character) = (world.user("tess").await, world.character("Mara").await);
    let greeting = Some((world.ambient.id(), "Come in.".to_owned()));
    let opening = OpenConversation { greeting, ..world.opening(&user, &character) };
    let conversation = store.open_conversation(opening).await.unwrap().0.conversation;
    world.send(&conversation, "one").await;
    world.send(&conversation, "two").await;
    let server = world.server().await;
    world.answer(&conversation, &server, "an answer").await;
    store.cancel(&conversation).await.unwrap();
    let first = stretch(began, HOUR);
    let counted = store.activity(first).await.unwrap();
    let expected = Activity {
        active_users: 1,
        new_users: 1,
        text_messages: 2,
        replies: 1,
        cancelled_replies: 1,
        ..Default::default()
    };
    assert_eq!(counted, expected, "the greeting is no reply");

    world.clock.advance(HOUR);
    world.user("late").await;
    world.send(&conversation, "three").await;
    let second = stretch(began.plus(HOUR), HOUR);
    let counted = store.activity(second).await.unwrap();
    assert_eq!(counted, Activity { active_users: 1, new_users: 1, text_messages: 1, ..Default::default() });
    assert_eq!(store.activity(first).await.unwrap(), expected);
    let both = store.activity(stretch(began, HOUR * 2)).await.unwrap();
    assert_eq!((both.active_users, both.text_messages, both.new_users), (1, 3, 2));
}

pub async fn changes_of_a_tier_are_counted_once_each(world: World) {
    let store = &world.store;
    let began = world.now();
    let user = world.user("tess").await;
    for tier in [Tier::Premium, Tier::Premium, Tier::Free, Tier::Premium] {
        store.change_user(&user.id, AccountChange { tier: Some(tier), ..Default::default() }).await.unwrap();
    }
    store.change_user(&user.id, AccountChange::default()).await.unwrap();
    store.delete_user(&user.id).await.unwrap();
    let counted = store.activity(stretch(began, HOUR)).await.unwrap();
    assert_eq!((counted.upgrades, counted.downgrades, counted.new_users), (2, 1, 0), "that it happened is kept");
}

pub async fn samples_add_up_and_count_once(world: World) {
    let store = &world.store;
    let began = Period::Hour.start_of(world.now());
    let (one, other) = (world.ambient.id(), world.ambient.id());
    let figures = |asked: u64| Figures {
        counts: [("cache.asked".to_owned(), asked)].into(),
        times: [("reply".to_owned(), Times::of([0, asked]))].into(),
    };
    let sample =
        |server: &Incarnation, at: Timestamp, asked| Sample { server: server.clone(), at, figures: figures(asked) };
    store.add_sample(sample(&one, began, 1)).await.unwrap();
    store.add_sample(sample(&one, began, 100)).await.unwrap();
    store.add_sample(sample(&other, began, 2)).await.unwrap();
    store.add_sample(sample(&one, began.plus(MINUTE), 4)).await.unwrap();
    store.add_sample(sample(&one, began.plus(HOUR), 8)).await.unwrap();
    assert_eq!(store.measured(stretch(began, HOUR)).await.unwrap(), figures(7));
    assert_eq!(store.measured(stretch(began, HOUR * 2)).await.unwrap(), figures(15));
    assert!(store.measured(stretch(began.plus(HOUR * 5), HOUR)).await.unwrap().is_empty());

    let mut first = Vec::new();
    for since in [Timestamp(0), began, Timestamp(began.0 + 1), began.plus(HOUR), began.plus(HOUR * 2)] {
        first.push(store.first_sample(since).await.unwrap());
    }
    let hour = Some(began.plus(HOUR));
    assert_eq!(first, [Some(began), Some(began), Some(began.plus(MINUTE)), hour, None]);
}

pub async fn tokens_of_days_add_up_by_model(world: World) {
    let store = &world.store;
    let (_, _, conversation) = world.pair().await;
    let first = world.now().day();
    for day in 0..2 {
        if day == 1 {
            world.clock.advance(HOUR * 24);
        }
        world.send(&conversation, "hello").await;
        let claim = world.claimed(&conversation, &world.server().await).await;
        let tokens = TokenUse {
            user: conversation.owner_id.clone(),
            character: conversation.character_id.clone(),
            model: "openai/tiny".into(),
            prompt: 10,
            completion: 5,
        };
        store.commit_reply(CommitReply { tokens: Some(tokens), ..world.reply(&claim, "hello") }).await.unwrap();
    }
    let last = world.now().day();
    assert_ne!(first, last);
    let sum =
        |found: Vec<ModelTokens>| found.iter().map(|of| (of.prompt, of.completion, of.requests)).collect::<Vec<_>>();
    assert_eq!(sum(store.tokens_between(&first, &last).await.unwrap()), [(20, 10, 2)]);
    assert_eq!(sum(store.tokens_between(&last, &last).await.unwrap()), [(10, 5, 1)]);
    assert_eq!(sum(store.tokens_between("2001-01-01", "2001-12-31").await.unwrap()), []);
}

pub async fn a_report_is_replaced_and_read_in_order(world: World) {
    let store = &world.store;
    let start = Period::Hour.start_of(world.now());
    let report = |period: Period, hours: u32, n: u32| Report {
        period,
        start: start.plus(HOUR * hours),
        body: json!({ "n": n }),
    };
    for (hours, n) in [(2, 1), (0, 2), (1, 3), (2, 4)] {
        store.save_report(report(Period::Hour, hours, n)).await.unwrap();
    }
    store.save_report(report(Period::Day, 1, 9)).await.unwrap();
    let all = store.reports(Period::Hour, stretch(start, HOUR * 24), 100).await.unwrap();
    assert_eq!(all, [report(Period::Hour, 0, 2), report(Period::Hour, 1, 3), report(Period::Hour, 2, 4)]);
    let some = store.reports(Period::Hour, stretch(start.plus(HOUR), HOUR), 100).await.unwrap();
    assert_eq!(some, [report(Period::Hour, 1, 3)]);
    assert_eq!(store.reports(Period::Hour, stretch(start, HOUR * 24), 2).await.unwrap().len(), 2);
}

pub async fn a_sweep_takes_more_than_a_portion_and_keeps_days(world: World) {
    let store = &world.store;
    let start = Period::Hour.start_of(world.now());
    let server: Incarnation = world.ambient.id();
    for minute in 0..1_050 {
        let figures = Figures { counts: [("asked".to_owned(), 1)].into(), ..Default::default() };
        store.add_sample(Sample { server: server.clone(), at: start.plus(MINUTE * minute), figures }).await.unwrap();
    }
    for period in [Period::Hour, Period::Day] {
        store.save_report(Report { period, start, body: json!({}) }).await.unwrap();
    }
    world.clock.advance(HOUR * 48);
    assert_eq!(store.count_stale(Stale::Samples, HOUR).await.unwrap(), 1_050);
    assert_eq!(store.sweep(Stale::Samples, HOUR).await.unwrap(), 1_050);
    assert_eq!(store.sweep(Stale::Samples, HOUR).await.unwrap(), 0);
    assert_eq!(store.sweep(Stale::HourReports, HOUR * 100).await.unwrap(), 0);
    assert_eq!(store.sweep(Stale::HourReports, HOUR).await.unwrap(), 1);
    assert_eq!(store.reports(Period::Day, stretch(start, HOUR), 10).await.unwrap().len(), 1);
}
