//! What the queue survives: workers that are lost, a Redis that forgets, hangs, is full or is away.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Redis's return until all works again.
const BACK: Duration = Duration::from_secs(5);

async fn within(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !check().await {
        assert!(began.elapsed() < limit, "it did not come about in {limit:?} that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_not_there_at_the_start_costs_nobody_time_and_is_found_later() {
    let redis = RedisServer::start().await.unwrap();
    redis.kill();
    let queue = queue(settings(redis.url()), "aim");
    let (handler, runs) = recorder();
    let began = Instant::now();
    let worker = queue.work(EMAIL, SETTINGS, handler).await.unwrap();
    queue.add(job("m-1")).await.unwrap_err();
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    redis.restart().await.unwrap();
    within(BACK, "jobs are added", async || queue.add(job("m-1")).await.is_ok()).await;
    within(BACK, "jobs run", async || !runs.lock().is_empty()).await;
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn the_job_of_a_lost_worker_runs_again_soon() {
    unhurried(async {
        let rig = rig().await;
        let began = Arc::new(AtomicUsize::new(0));
        let seen = began.clone();
        let stuck: Handler = Arc::new(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::pending())
        });
        let lost = rig.queue.work(EMAIL, SETTINGS, stuck).await.unwrap();
        let other = queue(settings(rig.redis.url()), "aim");
        assert!(other.ready(PATIENCE).await);
        other.add(job("m-1")).await.unwrap();
        eventually("it runs", async || began.load(Ordering::SeqCst) == 1).await;
        rig.proxy.cut().await;
        let (handler, runs) = recorder();
        let worker = other.work(EMAIL, SETTINGS, handler).await.unwrap();
        let began = Instant::now();
        within(STALLED_AFTER * 5, "it runs again", async || !runs.lock().is_empty()).await;
        println!("lost after {:?}", began.elapsed());
        assert_eq!(runs.lock()[0].attempt, 1, "what was lost was no attempt");
        assert!(worker.stop(PATIENCE).await);
        assert!(!lost.stop(Duration::ZERO).await);
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_forgets_its_scripts_or_all_it_has_goes_on() {
    unhurried(async {
        let rig = rig().await;
        let (handler, runs) = recorder();
        let worker = rig.queue.work(EMAIL, SETTINGS, handler).await.unwrap();
        rig.queue.add(job("m-1")).await.unwrap();
        ran(&runs, "m-1").await;
        rig.redis.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        rig.queue.add(job("m-2")).await.unwrap();
        ran(&runs, "m-2").await;
        rig.redis.command(&["FLUSHALL"]).await.unwrap();
        assert!(rig.queue.job(EMAIL, "m-1").await.unwrap().is_none());
        rig.queue.add(job("m-3")).await.unwrap();
        ran(&runs, "m-3").await;
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn what_runs_while_all_is_lost_ends_and_holds_nothing_up() {
    unhurried(async {
        let rig = rig().await;
        let (gate, runs) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let (held, count) = (gate.clone(), runs.clone());
        let handler: Handler = Arc::new(move |_| {
            let (held, count) = (held.clone(), count.clone());
            Box::pin(async move {
                count.fetch_add(1, Ordering::SeqCst);
                let _permit = held.acquire().await;
                Ok(Value::Null)
            })
        });
        let worker = rig.queue.work(EMAIL, SETTINGS, handler).await.unwrap();
        for n in 0..SETTINGS.concurrency {
            rig.queue.add(job(&format!("m-{n}"))).await.unwrap();
        }
        eventually("all run", async || runs.load(Ordering::SeqCst) == SETTINGS.concurrency).await;
        rig.redis.command(&["FLUSHALL"]).await.unwrap();
        rig.queue.add(job("after")).await.unwrap();
        gate.add_permits(100);
        eventually("the next one ran", async || {
            rig.queue.job(EMAIL, "after").await.unwrap().is_some_and(|job| job.state == JobState::Completed)
        })
        .await;
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn after_a_restart_workers_go_on_within_five_seconds() {
    let redis = RedisServer::with(|redis| redis.persistent()).await.unwrap();
    let queue = queue(settings(redis.url()), "aim");
    assert!(queue.ready(PATIENCE).await);
    let (handler, runs) = recorder();
    let worker = queue.work(EMAIL, SETTINGS, handler).await.unwrap();
    for round in 0..2 {
        redis.kill();
        // Long enough that ways to reconnect which wait ever longer are at their longest.
        tokio::time::sleep(Duration::from_secs(round * 7)).await;
        redis.restart().await.unwrap();
        let began = Instant::now();
        let mut n = 0;
        within(BACK, "a job is added and runs", async || {
            n += 1;
            let id = format!("m-{round}-{n}");
            let _ = queue.add(job(&id)).await;
            runs.lock().iter().any(|run| run.id.starts_with(&format!("m-{round}-")))
        })
        .await;
        println!("back after {:?}", began.elapsed());
    }
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_run_outlives_the_loss_of_its_connections_and_is_alone() {
    unhurried(async {
        let rig = rig().await;
        let running = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let seen = running.clone();
        let handler: Handler = Arc::new(move |_| {
            let seen = seen.clone();
            Box::pin(async move {
                seen.1.fetch_max(seen.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(300)).await;
                seen.0.fetch_sub(1, Ordering::SeqCst);
                Ok(Value::Null)
            })
        });
        let settings = WorkerSettings { concurrency: 2, ..SETTINGS };
        let worker = rig.queue.work(EMAIL, settings, handler).await.unwrap();
        rig.proxy.flapping(Duration::from_millis(700), Duration::from_millis(200));
        let mut added = 0;
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(6) {
            if rig.queue.add(job(&format!("m-{added}"))).await.is_ok() {
                added += 1;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        rig.proxy.heal().await;
        assert!(added > 5, "{added}");
        eventually("all are completed", async || {
            rig.queue.counts(EMAIL).await.is_ok_and(|counts| counts.completed == added)
        })
        .await;
        assert!(running.1.load(Ordering::SeqCst) <= 2, "no more at a time than asked for");
        // The link's, the queue's, the worker's two.
        eventually("no connection is left over", async || rig.proxy.open() <= 4).await;
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn a_hang_costs_an_add_its_budget_and_is_over_when_redis_is_back() {
    let rig = rig().await;
    let (handler, runs) = recorder();
    let worker = rig.queue.work(EMAIL, SETTINGS, handler).await.unwrap();
    rig.redis.stop().unwrap();
    for n in 0..10 {
        let began = Instant::now();
        assert!(rig.queue.add(job(&format!("hung-{n}"))).await.is_err());
        assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    }
    let began = Instant::now();
    assert!(rig.queue.counts(EMAIL).await.is_err());
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    rig.redis.cont().unwrap();
    within(BACK, "jobs are added", async || rig.queue.add(job("m-1")).await.is_ok()).await;
    within(BACK, "jobs run", async || runs.lock().iter().any(|run| run.id == "m-1")).await;
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_full_redis_refuses_jobs_and_a_freed_one_takes_them() {
    unhurried(async {
        let rig = rig().await;
        let (handler, runs) = recorder();
        let worker = rig.queue.work(EMAIL, SETTINGS, handler).await.unwrap();
        rig.queue.add(job("before")).await.unwrap();
        ran(&runs, "before").await;
        rig.redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
        rig.queue.add(job("m-1")).await.unwrap_err();
        let began = Instant::now();
        rig.queue.add(job("m-1")).await.unwrap_err();
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        assert!(rig.queue.job(EMAIL, "before").await.unwrap().is_some(), "reads go on");
        rig.redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
        within(BACK, "jobs are added", async || rig.queue.add(job("m-1")).await.is_ok()).await;
        within(BACK, "jobs run", async || runs.lock().iter().any(|run| run.id == "m-1")).await;
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_redis_lost_is_set_again() {
    unhurried(async {
        let rig = rig().await;
        let every = Duration::from_millis(300);
        let sweep =
            Schedule { queue: CLEANUP, name: "sweep", every, data: json!({}), attempts: 1, backoff: Duration::ZERO };
        rig.proxy.cut().await;
        rig.queue.schedule(sweep).await.unwrap_err();
        rig.proxy.heal().await;
        let (handler, runs) = recorder();
        let worker = rig.queue.work(CLEANUP, SETTINGS, handler).await.unwrap();
        eventually("it runs once Redis is there", async || runs.lock().len() >= 2).await;
        rig.redis.command(&["FLUSHALL"]).await.unwrap();
        rig.proxy.cut_connections().await;
        runs.lock().clear();
        eventually("it runs after all was lost", async || runs.lock().len() >= 2).await;
        assert!(rig.queue.unschedule(CLEANUP, "sweep").await.unwrap());
        assert!(worker.stop(PATIENCE).await);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_while_redis_is_away_stops_in_time() {
    unhurried(async {
        let rig = rig().await;
        let worker = rig.queue.work(EMAIL, SETTINGS, never_ends()).await.unwrap();
        let idle = rig.queue.work(CLEANUP, SETTINGS, never_ends()).await.unwrap();
        rig.queue.add(job("m-1")).await.unwrap();
        eventually("it runs", async || rig.queue.counts(EMAIL).await.unwrap().active == 1).await;
        rig.proxy.black_hole();
        let began = Instant::now();
        assert!(!worker.stop(Duration::from_millis(500)).await);
        assert!(idle.stop(PATIENCE).await);
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    })
    .await;
}
