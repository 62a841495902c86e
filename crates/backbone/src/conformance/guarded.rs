//! Redis as docs/redis.md tells operators to set it up: whoever is under test comes in as a user who may do what the page
//! says, and no more. That nothing was refused to it is asserted when the servers end.

use aim_testkit::redis::RedisBuilder;
use aim_testkit::{RedisCluster as Cluster, RedisSentinel as Sentinel, RedisServer as Server};
use std::io;
use std::ops::Deref;

/// The page that names the user's rights, one line for a single server and one for a Cluster.
const PAGE: &str = include_str!("../../../../docs/redis.md");
const NAME: &str = "aim";
const PASSWORD: &str = "p@ss:word";

/// What follows `user aim on >PASSWORD` on the page.
pub fn rules(in_cluster: bool) -> &'static str {
    let lines: Vec<_> = PAGE.lines().filter_map(|line| line.strip_prefix("user aim on >PASSWORD ")).collect();
    let [single, cluster] = lines[..] else { panic!("docs/redis.md has two lines with a user's rights: {lines:?}") };
    if in_cluster { cluster } else { single }
}

/// The same of a user of Sentinel's.
pub fn sentinel_rules() -> &'static str {
    let rules = PAGE.lines().find_map(|line| line.strip_prefix("user aim on >SENTINEL_PASSWORD "));
    rules.expect("docs/redis.md has a line with the rights of a user of Sentinel's")
}

/// The builder of servers that let nobody in but that user.
pub fn server() -> RedisBuilder {
    Server::builder().user(NAME, PASSWORD, rules(false))
}

/// Those of a set-up that say what they refused.
pub trait Servers {
    fn servers(&self) -> Vec<&Server>;
}

impl Servers for Server {
    fn servers(&self) -> Vec<&Server> {
        vec![self]
    }
}

impl Servers for Cluster {
    fn servers(&self) -> Vec<&Server> {
        self.nodes().iter().collect()
    }
}

impl Servers for Sentinel {
    fn servers(&self) -> Vec<&Server> {
        Sentinel::servers(self).iter().chain(self.sentinels()).collect()
    }
}

pub struct Guarded<T: Servers>(T);

pub type RedisServer = Guarded<Server>;
pub type RedisCluster = Guarded<Cluster>;
pub type RedisSentinel = Guarded<Sentinel>;

impl RedisServer {
    pub async fn start() -> io::Result<Self> {
        Self::with(|builder| builder).await
    }

    /// The same with settings of a test's own.
    pub async fn with(settings: impl FnOnce(RedisBuilder) -> RedisBuilder) -> io::Result<Self> {
        settings(server()).start().await.map(Self)
    }
}

impl RedisCluster {
    pub async fn start(masters: usize, replicas: usize) -> io::Result<Self> {
        Self::with(|builder| builder, masters, replicas).await
    }

    pub async fn with(
        settings: impl FnOnce(RedisBuilder) -> RedisBuilder,
        masters: usize,
        replicas: usize,
    ) -> io::Result<Self> {
        let builder = settings(Server::builder().user(NAME, PASSWORD, rules(true)));
        Cluster::start_with(builder, masters, replicas).await.map(Self)
    }
}

impl RedisSentinel {
    /// Servers with settings of a test's own, watched by sentinels that are `guarded`.
    pub async fn with(
        settings: impl FnOnce(RedisBuilder) -> RedisBuilder,
        guard: impl FnOnce(RedisBuilder) -> RedisBuilder,
    ) -> io::Result<Self> {
        Sentinel::start_guarded(settings(server()), guard).await.map(Self)
    }
}

impl<T: Servers> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Servers> Drop for Guarded<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for server in self.0.servers().into_iter().filter(|server| server.is_running()) {
            let refused = refused(server);
            assert!(refused.is_empty(), "the user of docs/redis.md was refused: {refused:?}");
        }
    }
}

/// What a server refused to its users. A test's runtime cannot wait where a value is dropped: another one asks. A server
/// that does not answer says nothing.
fn refused(server: &Server) -> Vec<String> {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(server.command(&["ACL", "LOG"]))
    };
    let Ok(log) = std::thread::scope(|scope| scope.spawn(ask).join()).unwrap() else { return Vec::new() };
    // Each entry is a map: count, n, reason, command or key, object, what it was, … A wrong password is a test's own.
    let entries = log.list().iter().map(|entry| entry.texts());
    let refusals = entries.filter(|entry| !entry.windows(2).any(|pair| pair == ["reason", "auth"]));
    refusals.map(|entry| entry.join(" ")).collect()
}
