//! The queue over every form of Redis that an address can name.

use super::*;
use crate::conformance::guarded::{RedisCluster, RedisSentinel};
use crate::link::{Links, LinksSettings, Login, TlsFiles};
use crate::queue::board::{Board, Status};
use aim_testkit::Certificates;

/// What a failover takes here, detection included, and the way back.
const FAILOVER: Duration = Duration::from_secs(20);

/// Adds one job of each kind, and sees them run.
async fn works(queue: &RedisQueue) {
    unhurried(all_kinds(queue)).await;
}

async fn all_kinds(queue: &RedisQueue) {
    assert!(queue.ready(PATIENCE).await);
    let (handler, runs) = recorder();
    queue.pause(EMAIL).await.unwrap();
    queue.add(NewJob { priority: 2, ..job("last") }).await.unwrap();
    queue.add(NewJob { delay: Duration::from_millis(100), ..job("later") }).await.unwrap();
    assert_eq!(queue.add(job("plain")).await.unwrap(), Added::New);
    assert_eq!(queue.add(job("plain")).await.unwrap(), Added::Known);
    let waiting = queue.jobs(EMAIL, JobState::Waiting, 0, 9).await.unwrap();
    assert_eq!(waiting.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(), ["plain", "last"]);
    let worker = queue.work(EMAIL, SETTINGS, handler).await.unwrap();
    queue.resume(EMAIL).await.unwrap();
    for id in ["plain", "last", "later"] {
        ran(&runs, id).await;
    }
    let sweep = Schedule {
        queue: CLEANUP,
        name: "sweep",
        every: Duration::from_millis(300),
        data: json!({}),
        attempts: 1,
        backoff: Duration::ZERO,
    };
    let (handler, sweeps) = recorder();
    let sweeper = queue.work(CLEANUP, SETTINGS, handler).await.unwrap();
    queue.schedule(sweep).await.unwrap();
    eventually("the schedule runs twice", async || sweeps.lock().len() >= 2).await;
    let schedules = queue.schedules(CLEANUP).await.unwrap();
    assert_eq!(schedules.iter().map(|schedule| schedule.id.as_str()).collect::<Vec<_>>(), ["sweep"]);
    assert!(queue.unschedule(CLEANUP, "sweep").await.unwrap());
    assert!(worker.stop(PATIENCE).await && sweeper.stop(PATIENCE).await);
    eventually("all is told to Redis", async || queue.counts(EMAIL).await.unwrap().completed == 3).await;
    assert_eq!(queue.survey(EMAIL).await.unwrap().tally.of(Status::Completed), 3);
    assert_eq!(queue.page(EMAIL, &Status::ALL, 0, 9).await.unwrap().len(), 3);
    assert!(matches!(queue.entry(EMAIL, "later").await.unwrap(), Some((_, Status::Completed))));
    assert!(queue.server().await.unwrap().is_some_and(|server| server.version.contains('.')));
    queue.workers(EMAIL).await.unwrap();
}

#[tokio::test]
async fn a_socket_a_user_and_another_database_are_reached() {
    let redis = RedisServer::with(|redis| redis.unix_socket()).await.unwrap();
    works(&queue(settings(redis.url()), "aim")).await;
    let redis = RedisServer::start().await.unwrap();
    works(&queue(settings(format!("{}/3", redis.url())), "aim")).await;
    let reply = redis.command(&["INFO", "keyspace"]).await.unwrap().text();
    assert!(reply.contains("db3:") && !reply.contains("db0:"), "{reply}");
}

#[tokio::test]
async fn tls_with_a_certificate_of_ones_own_is_reached() {
    let redis = RedisServer::with(|redis| redis.mutual_tls()).await.unwrap();
    works(&queue(Settings { tls: files(redis.certificates()), ..settings(redis.url()) }, "aim")).await;
}

fn files(certificates: Option<&Certificates>) -> TlsFiles {
    let files = certificates.unwrap();
    TlsFiles {
        ca: Some(files.ca_file.clone()),
        certificate: Some(files.client_cert.clone()),
        key: Some(files.client_key.clone()),
    }
}

#[tokio::test]
async fn sentinels_and_a_cluster_with_tls_are_reached() {
    let redis = RedisSentinel::with(|server| server.tls(), |sentinel| sentinel.password("sentry")).await.unwrap();
    let sentinel = Login { password: Some("sentry".into()), ..Login::default() };
    let tls = files(redis.certificates());
    works(&queue(Settings { tls, sentinel, ..settings(redis.url()) }, "aim")).await;
    drop(redis);
    let redis = RedisCluster::with(|node| node.mutual_tls(), 3, 0).await.unwrap();
    works(&queue(Settings { tls: files(redis.certificates()), ..settings(redis.url()) }, "{aim}")).await;
}

#[tokio::test]
async fn a_cluster_keeps_a_queue_in_one_slot_and_survives_a_failover() {
    let redis = RedisCluster::start(3, 3).await.unwrap();
    let links =
        LinksSettings { main: settings(redis.url()), cache: None, queue: None, bus: None, queue_prefix: "aim".into() };
    let links = Links::open(links).unwrap();
    assert_eq!(links.queue_prefix, "{aim}");
    let queue = RedisQueue::new(links.queue.client("queue"), &links.queue_prefix, &Ambient::system());
    works(&queue).await;
    let (handler, runs) = recorder();
    let worker = queue.work(EMAIL, SETTINGS, handler).await.unwrap();
    let master = redis.master_of("{aim}:email:wait").await.unwrap().port();
    let masters = redis.masters().await.unwrap();
    let master = masters.iter().position(|node| node.port() == master).unwrap();
    redis.kill_master(master).await.unwrap();
    runs_again(&queue, &runs).await;
    assert!(worker.stop(PATIENCE).await);
}

#[tokio::test]
async fn a_sentinel_leads_to_the_master_and_to_the_next_one() {
    let redis = RedisSentinel::with(|server| server, |sentinel| sentinel).await.unwrap();
    let queue = queue(settings(redis.url()), "aim");
    works(&queue).await;
    let (handler, runs) = recorder();
    let worker = queue.work(EMAIL, SETTINGS, handler).await.unwrap();
    redis.kill_master().await.unwrap();
    runs_again(&queue, &runs).await;
    assert!(worker.stop(PATIENCE).await);
}

/// Adds until a job runs again.
async fn runs_again(queue: &RedisQueue, runs: &Mutex<Vec<Run>>) {
    tokio::time::timeout(FAILOVER, async {
        for n in 0.. {
            let added = queue.add(job(&format!("again-{n}"))).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if added.is_ok() && runs.lock().iter().any(|run| run.id.starts_with("again-")) {
                return;
            }
        }
    })
    .await
    .expect("jobs run again after a failover");
}
