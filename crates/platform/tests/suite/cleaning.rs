//! Cleanup: what is over goes, by the jobs' schedules and by hand; a dry run only counts.

use crate::world::{World, eventually, settings};
use aim_backbone::queue::{EMAIL, Failure, Handler, NewJob, WorkerSettings};
use aim_domain::{Figures, Incarnation, Timestamp};
use aim_platform::Settings;
use aim_platform::jobs::cleanup::Cleaned;
use aim_store::{Sample, Stale, Stretch};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn count(cleaned: &[Cleaned], what: Stale) -> u64 {
    cleaned.iter().find(|of| of.what == what.as_str()).unwrap().count
}

#[tokio::test]
async fn a_dry_run_says_what_goes_and_the_workers_take_it() {
    let world = World::new().await;
    let settings = Settings { keep_samples: Duration::from_secs(60), ..settings() };
    let mut server = world.made_of(world.store(), Arc::new(world.remote()), settings).await;
    let (platform, id): (_, Incarnation) = (server.platform.clone(), server.platform.ambient.id());
    let old = Timestamp(platform.ambient.now().0 - 120_000);
    let figures = Figures { counts: [("cache-asked".to_owned(), 1)].into(), ..Default::default() };
    for at in [old, Timestamp(old.0 - 60_000), platform.ambient.now()] {
        platform.store.add_sample(Sample { server: id.clone(), at, figures: figures.clone() }).await.unwrap();
    }
    for _ in 0..2 {
        let dry = platform.clean_up(true).await.unwrap();
        assert_eq!(
            dry.len(),
            Stale::ALL.len() + 5,
            "everything is told of: uploads, accounts, conversations, words and jobs too"
        );
        assert_eq!((count(&dry, Stale::Samples), count(&dry, Stale::Changes)), (2, 0), "nothing went");
    }
    server.work().await;
    eventually("the schedule runs at once", || async {
        count(&platform.clean_up(true).await.unwrap(), Stale::Samples) == 0
    })
    .await;
    assert_eq!(count(&platform.clean_up(false).await.unwrap(), Stale::Samples), 0);
    let ever = Stretch { from: Timestamp(0), to: Timestamp(i64::MAX) };
    let kept = platform.store.measured(ever).await.unwrap();
    assert_eq!(kept.count("cache-asked"), 1, "the new one stays");
}

#[tokio::test]
async fn jobs_that_ended_long_ago_go_and_younger_ones_stay() {
    let world = World::new().await;
    let settings = Settings { keep_finished_jobs: Duration::from_secs(3_600), ..settings() };
    let server = world.made_of(world.store(), Arc::new(world.remote()), settings).await;
    let queue = &server.platform.backbone.queue;
    let settings = WorkerSettings { concurrency: 1, stalled_after: Duration::from_secs(5) };
    let answer: Handler = Arc::new(|run| {
        Box::pin(async move { if run.id.contains("bad") { Err(Failure::Final("no".into())) } else { Ok(json!({})) } })
    });
    queue.work(EMAIL, settings, answer).await.unwrap();
    let end = async |id: &str| {
        let job = NewJob {
            queue: EMAIL,
            name: "m",
            id: id.to_owned(),
            data: json!({}),
            attempts: 1,
            backoff: Duration::ZERO,
            delay: Duration::ZERO,
            priority: 0,
        };
        queue.add(job).await.unwrap();
        eventually("it ends", || async { queue.job(EMAIL, id).await.unwrap().unwrap().finished_at.is_some() }).await;
    };
    end("old-good").await;
    end("old-bad").await;
    world.clock.advance(Duration::from_secs(3_601));
    end("new-good").await;
    end("new-bad").await;
    let jobs = async |dry_run| {
        let cleaned = server.platform.clean_up(dry_run).await.unwrap();
        cleaned.iter().find(|of| of.what == "jobs").unwrap().count
    };
    assert_eq!((jobs(true).await, jobs(false).await, jobs(true).await), (2, 2, 0));
    assert!(queue.job(EMAIL, "old-bad").await.unwrap().is_none());
    assert!(queue.job(EMAIL, "new-good").await.unwrap().is_some());
}
