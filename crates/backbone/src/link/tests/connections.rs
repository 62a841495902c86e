//! How many connections a server has, and what becomes of those whose other side is gone without a word.

use super::*;
use crate::Backbone;
use crate::conformance::eventually;
use crate::conformance::guarded::{RedisCluster, RedisSentinel};
use crate::queue::{CLEANUP, EMAIL, Handler, WorkerSettings};
use aim_domain::{Ambient, ConversationId, UserId};
use futures::future::join_all;
use socket2::Socket;
use std::os::fd::BorrowedFd;

const ROOMS: usize = 200;
const WORKER: WorkerSettings = WorkerSettings { concurrency: 4, stalled_after: Duration::from_secs(5) };

/// What Redis says of the connections of whoever is under test.
async fn clients(server: &aim_testkit::RedisServer) -> Vec<String> {
    let list = server.command(&["CLIENT", "LIST"]).await.unwrap().text();
    list.lines().filter(|line| line.contains(" user=aim ")).map(str::to_owned).collect()
}

fn links(main: Settings) -> LinksSettings {
    LinksSettings { main, cache: None, queue: None, bus: None, queue_prefix: "aim".into() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_the_connections_that_are_documented_however_much_it_is_asked() {
    let redis = RedisServer::start().await.unwrap();
    let settings = crate::Settings {
        short_cache: false,
        cache_capacity: 1_000,
        turns: crate::turns::Settings::default(),
        answers: true,
    };
    let links = Links::open(links(self::settings(redis.url()))).unwrap();
    let backbone = Backbone::over_redis(&settings, &Ambient::system(), links);
    eventually("for commands, events and queues", async || clients(&redis).await.len() == 3).await;

    let room = |n: usize| ConversationId::trusted(format!("c{n}"));
    let asked = (0..ROOMS).map(async |n| {
        backbone.bus.subscribe_room(&room(n)).await.unwrap();
        backbone.bus.subscribe_user(&UserId::trusted(format!("u{n}"))).await.unwrap();
        let _ = backbone.usage.all_of(&UserId::trusted(format!("u{n}"))).await.unwrap();
        backbone.queue.counts(EMAIL).await.unwrap();
    });
    let busy = join_all(asked);
    crate::conformance::unhurried(busy).await;
    let now = clients(&redis).await;
    assert_eq!(now.len(), 3, "{now:#?}");
    let hears = format!(" sub={} ", 2 * ROOMS);
    assert_eq!(now.iter().filter(|client| client.contains(&hears)).count(), 1, "{now:#?}");

    // Two more for each queue whose jobs it runs.
    let handler: Handler = Arc::new(|_| Box::pin(std::future::pending()));
    let mut workers = Vec::new();
    for (queue, connections) in [(EMAIL, 5), (CLEANUP, 7)] {
        workers.push(backbone.queue.work(queue, WORKER, handler.clone()).await.unwrap());
        eventually("a worker has two", async || clients(&redis).await.len() == connections).await;
    }
    for worker in workers {
        worker.stop(PATIENCE).await;
    }
    eventually("none is left of workers that stopped", async || clients(&redis).await.len() == 3).await;
}

#[tokio::test]
async fn uses_that_are_given_the_same_redis_share_a_link() {
    let (main, other) = (RedisServer::start().await.unwrap(), RedisServer::start().await.unwrap());
    let again = Settings { url: format!("{}/0", other.url()), ..settings(other.url()) };
    let links = LinksSettings {
        cache: Some(settings(other.url())),
        queue: Some(again),
        bus: Some(settings(main.url().replace("redis:", "valkey:"))),
        ..links(settings(main.url()))
    };
    let links = Links::open(links).unwrap();
    assert_eq!(links.each().map(Link::name).collect::<Vec<_>>(), ["main", "cache"]);
    for link in links.each() {
        assert!(link.ready(PATIENCE).await);
    }
    assert_eq!((clients(&main).await.len(), clients(&other).await.len()), (1, 1));
    set_through(&links.queue, &other).await;
    set_through(&links.bus, &main).await;
}

/// What is written over `link` lies in `redis`.
async fn set_through(link: &Link, redis: &RedisServer) {
    let key = format!("aim:{}", link.name());
    let set = redis::cmd("SET").arg(&key).arg(7).to_owned();
    link.client("test").query::<()>(Need::Write, &set).await.unwrap();
    assert_eq!(redis.command(&["GET", &key]).await.unwrap().number(), Some(7));
}

/// Only the cache reads what may lag; links of other uses, and a start, do not wait for a connection to a replica.
#[tokio::test]
async fn the_way_to_a_replica_is_opened_by_the_first_read_that_may_go_there() {
    let sentinel = RedisSentinel::with(|server| server, |sentinel| sentinel).await.unwrap();
    let link = Link::open("main", Settings { read_from_replicas: true, ..settings(sentinel.url()) }).unwrap();
    assert!(link.ready(PATIENCE).await);
    let master = sentinel.master().await.unwrap().port();
    // Which of them is read is left to chance.
    let replicas: Vec<_> = sentinel.servers().iter().filter(|server| server.port() != master).collect();
    let connections = async || join_all(replicas.iter().map(async |replica| clients(replica).await.len())).await;
    let before: usize = connections().await.iter().sum();
    let set = redis::cmd("SET").arg("aim:main").arg(7).to_owned();
    link.client("test").query::<()>(Need::Write, &set).await.unwrap();
    assert_eq!(connections().await.iter().sum::<usize>(), before, "nobody reads from them");

    let get = redis::cmd("GET").arg("aim:main").to_owned();
    let reads_there = async || {
        let read = link.client("test").query::<Option<u64>>(Need::LaggingRead, &get).await;
        assert!(read.is_ok_and(|read| read.is_none_or(|read| read == 7)));
        let stats = join_all(
            replicas.iter().map(async |replica| replica.command(&["INFO", "commandstats"]).await.unwrap().text()),
        );
        stats.await.iter().any(|stats| stats.contains("cmdstat_get:"))
    };
    eventually("it reads there", reads_there).await;
    assert_eq!(connections().await.iter().sum::<usize>(), before + 1, "one connection, however often it was asked");
}

/// Replicas of a Cluster are not read, so nothing leads there.
#[tokio::test]
async fn reading_from_replicas_costs_a_cluster_no_connection() {
    let cluster = RedisCluster::start(2, 2).await.unwrap();
    let link = Link::open("cache", Settings { read_from_replicas: true, ..settings(cluster.url()) }).unwrap();
    assert!(link.ready(PATIENCE).await);
    assert!(!link.client("test").reads_from_replicas());
    let get = redis::cmd("GET").arg("aim:a").to_owned();
    link.client("test").query::<Option<u64>>(Need::LaggingRead, &get).await.unwrap();
    let counts = join_all(cluster.nodes().iter().map(async |node| clients(node).await.len())).await;
    assert!(counts[..2].iter().all(|count| *count == 1), "one to each master: {counts:?}");
    for replica in &cluster.nodes()[2..] {
        let reads = replica.command(&["INFO", "commandstats"]).await.unwrap().text();
        assert!(!reads.contains("cmdstat_get:"), "{reads}");
    }
}

/// This process's sockets whose other end is that port.
#[allow(unsafe_code)]
fn sockets_to(port: u16) -> Vec<Socket> {
    let sockets = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|file| {
        let number = file.ok()?.file_name().to_str()?.parse().ok()?;
        // SAFETY: it is listed among the open files of this process, and is borrowed to be duplicated alone. One that was
        // closed since cannot be, and is passed over.
        let open = unsafe { BorrowedFd::borrow_raw(number) };
        Some(Socket::from(open.try_clone_to_owned().ok()?))
    });
    let is_to = |socket: &Socket| socket.peer_addr().ok()?.as_socket().map(|peer| peer.port() == port);
    sockets.filter(|socket| is_to(socket) == Some(true)).collect()
}

#[tokio::test]
async fn every_connection_notices_by_itself_that_its_other_side_is_gone() {
    let redis = RedisServer::start().await.unwrap();
    let link = Link::open("main", settings(redis.url())).unwrap();
    assert!(link.ready(PATIENCE).await);
    let subscriber = Subscriber::open(&link, Arc::new(Deaf));
    eventually("it hears", async || subscriber.want("aim:a").await.is_ok()).await;
    let sockets = sockets_to(redis.port());
    assert_eq!(sockets.len(), 2, "for commands and for events");
    for socket in sockets {
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(5));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(1));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(5)));
    }
}

struct Deaf;

impl Hearing for Deaf {
    fn message(&self, _: &Arc<str>, _: Vec<u8>) {}
    fn missed(&self, _: &Arc<str>) {}
}
