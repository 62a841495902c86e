//! Reports: what people did and servers measured, rolled up by the jobs of `analytics`.

use crate::world::{World, eventually, settings};
use aim_ai::LanguageModel;
use aim_domain::{Figures, ReplyState, Times, Timestamp};
use aim_platform::Settings;
use aim_platform::reports::Prices;
use aim_store::{AccountChange, Period, Stretch};

fn all() -> Stretch {
    Stretch { from: Timestamp(0), to: Timestamp(i64::MAX) }
}

fn minute(asked: u64) -> Figures {
    Figures {
        counts: [
            ("cache-asked".to_owned(), asked),
            ("cache-hits".to_owned(), asked / 2),
            ("rate-limited:api".to_owned(), 3),
        ]
        .into(),
        times: [
            ("reply".to_owned(), Times::of([0, 0, 0, 0, 0, 0, 0, 0, 0, asked])),
            ("queue-wait:ai-response".to_owned(), Times::of([asked])),
        ]
        .into(),
    }
}

#[tokio::test]
async fn an_hour_and_a_day_tell_what_people_did_and_servers_measured() {
    let world = World::new().await;
    let model = world.remote().name().to_string();
    let prices = Prices([(model.clone(), (1_000_000.0, 0.0))].into());
    let server = world.running(Settings { prices, ..settings() }).await;
    let (ann, mara) = (server.person("ann").await, server.character("Mara").await);
    let talk = server.talk(&ann, &mara).await;
    let asked = server.send(&ann, &talk, "Ahoy").await;
    server.until(&ann, &asked, ReplyState::Done).await;
    let premium = AccountChange { tier: Some(aim_domain::Tier::Premium), ..Default::default() };
    server.platform.store.change_user(ann.who.user_id(), premium).await.unwrap();

    let now = server.platform.ambient.now();
    server.platform.hand_in_figures(Timestamp(now.0 - now.0 % 60_000), minute(10)).await;
    // The same minute, once more: an answer to the queue was lost.
    server.platform.hand_in_figures(Timestamp(now.0 - now.0 % 60_000), minute(10)).await;
    let stretch = Stretch { from: Period::Day.start_of(now), to: now.plus(Period::Day.length()) };
    let store = &server.platform.store;
    eventually("the sample is stored", || async { !store.measured(stretch).await.unwrap().is_empty() }).await;
    assert_eq!(store.measured(stretch).await.unwrap(), minute(10), "once, however often it was handed in");

    for period in [Period::Hour, Period::Day] {
        let made = server.platform.roll_up(period, now).await.unwrap();
        assert_eq!((made.activity.active_users, made.activity.text_messages, made.activity.replies), (1, 1, 1));
        assert_eq!(made.activity.upgrades, 1);
        assert_eq!((made.cache.asked, made.cache.ratio), (10, Some(0.5)));
        assert_eq!(made.reply.count, 10);
        assert!(made.reply.p50.is_some_and(|p50| (250.0..=500.0).contains(&p50)), "{made:?}");
        assert_eq!(made.queue_waits["ai-response"].count, 10);
        assert_eq!(made.rate_limited["api"], 3);
        let kept = server.platform.reports(period, all(), 10).await.unwrap();
        assert_eq!(kept.iter().filter(|report| report.start == made.start).collect::<Vec<_>>(), [&made]);
    }
    let day = server.platform.roll_up(Period::Day, now).await.unwrap();
    let tokens = &day.models[0];
    assert_eq!((&tokens.model, tokens.requests), (&model, 1));
    assert!(tokens.prompt > 0 && tokens.cost == Some(tokens.prompt as f64), "{tokens:?}");
}

#[tokio::test]
async fn reports_are_made_by_the_clock() {
    let world = World::new().await;
    let server = world.running(settings()).await;
    let now = server.platform.ambient.now();
    for period in [Period::Hour, Period::Day] {
        eventually("a report is made", || async {
            let made = server.platform.reports(period, all(), 10).await.unwrap();
            made.iter().any(|report| report.start == period.start_of(now))
        })
        .await;
    }
}
