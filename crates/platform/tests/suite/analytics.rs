//! Reports: what people did and servers measured, rolled up by the jobs of `analytics`.

use crate::world::{Server, World, eventually, settings};
use aim_ai::LanguageModel;
use aim_backbone::queue::board::Pace;
use aim_backbone::queue::{ANALYTICS, CLEANUP};
use aim_domain::{Figures, ReplyState, Times, Timestamp};
use aim_platform::Settings;
use aim_platform::reports::Prices;
use aim_store::{AccountChange, Period, Sample, Stretch};
use std::time::Duration;

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

/// Starts of the reports between two times, with the time at which each was made and how often the cache was asked.
async fn made(server: &Server, period: Period, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp, u64)> {
    let made = server.platform.reports(period, Stretch { from, to }, 200).await.unwrap();
    made.into_iter().map(|report| (report.start, report.made_at, report.cache.asked)).collect()
}

async fn stop(server: &Server) {
    for worker in &server.workers {
        assert!(worker.stop(Duration::from_secs(5)).await);
    }
}

#[tokio::test]
async fn what_passed_without_a_worker_is_reported_when_one_is_back() {
    let world = World::new().await;
    let early = world.running(settings()).await;
    let began = early.platform.ambient.now();
    let (hour, day) = (Period::Hour.start_of(began), Period::Day.start_of(began));
    eventually("this hour and day are reported so far", || async {
        !made(&early, Period::Hour, hour, began).await.is_empty()
            && !made(&early, Period::Day, day, began).await.is_empty()
    })
    .await;
    stop(&early).await;
    // In the middle of it, while nobody works.
    let at = Timestamp(began.0 - began.0 % 60_000).plus(Duration::from_secs(2 * 3_600));
    let sample = Sample { server: early.platform.ambient.id(), at, figures: minute(8) };
    early.platform.store.add_sample(sample).await.unwrap();
    world.clock.advance(Duration::from_secs(5 * 3_600));

    let back = world.running(settings()).await;
    let now = back.platform.ambient.now();
    eventually("all six hours are made after their end, the last so far", || async {
        let hours = made(&back, Period::Hour, hour, now).await;
        hours.len() == 6 && hours.iter().all(|(_, made_at, _)| *made_at == now)
    })
    .await;
    let hours = made(&back, Period::Hour, hour, now).await;
    assert_eq!(hours.iter().map(|(_, _, asked)| *asked).collect::<Vec<_>>(), [0, 0, 8, 0, 0, 0]);

    // A server that could not hand it in earlier does so now.
    let at = at.plus(Duration::from_secs(3_600));
    back.platform.hand_in_figures(at, minute(4)).await;
    eventually("the hour of a late sample is made anew", || async {
        made(&back, Period::Hour, Period::Hour.start_of(at), at).await[0].2 == 4
    })
    .await;

    stop(&back).await;
    world.clock.advance(Duration::from_secs(4 * 86_400));
    let later = world.running(settings()).await;
    let now = later.platform.ambient.now();
    eventually("all days are there", || async {
        let days = made(&later, Period::Day, day, now).await;
        days.len() == 5 && days.iter().all(|(_, made_at, _)| *made_at == now)
    })
    .await;
    assert_eq!(made(&later, Period::Day, day, now).await[0].2, 12, "both samples");
    // The six from before, this hour and the one before, and 48 that were missing or not made to their end, as the sixth.
    eventually("two days of hours are made in one run", || async {
        made(&later, Period::Hour, hour, now).await.len() == 6 + 2 + 47
    })
    .await;
    stop(&later).await;
    assert_eq!(later.platform.roll_up_missing(Period::Hour, 1_000).await.unwrap(), 47);
    assert_eq!(made(&later, Period::Hour, hour, now).await.len(), 4 * 24 + 6);
    assert_eq!(later.platform.roll_up_missing(Period::Hour, 1_000).await.unwrap(), 0, "what is made stays");
}

#[tokio::test]
async fn nothing_is_reported_of_a_time_before_anybody_was_there() {
    let world = World::new().await;
    let server = world.idle(settings()).await;
    let platform = &server.platform;
    assert_eq!(platform.roll_up_missing(Period::Hour, 1_000).await.unwrap(), 0);
    let old = Timestamp(platform.ambient.now().0 - 20 * 86_400_000);
    let sample = Sample { server: platform.ambient.id(), at: old, figures: minute(8) };
    platform.store.add_sample(sample).await.unwrap();
    assert_eq!(platform.roll_up_missing(Period::Hour, 1_000).await.unwrap(), 0, "it is not kept so long");
}

#[tokio::test]
async fn a_run_by_the_clock_that_fails_is_tried_again_before_the_next_one() {
    let world = World::new().await;
    let server = world.running(settings()).await;
    for queue in [ANALYTICS, CLEANUP] {
        let schedules = server.platform.backbone.board.schedules(queue).await.unwrap();
        assert!(schedules.len() >= 2);
        for schedule in schedules {
            let options = schedule.options.unwrap();
            let (attempts, first) =
                (options["attempts"].as_u64().unwrap(), options["backoff"]["delay"].as_u64().unwrap());
            let waits = Duration::from_millis(first * ((1 << (attempts - 1)) - 1));
            let Pace::Every(every) = schedule.timetable.pace else { unreachable!("{:?}", schedule.timetable) };
            assert!(attempts > 3 && waits > Duration::from_secs(60) && waits < every, "{}: {waits:?}", schedule.id);
        }
    }
}
