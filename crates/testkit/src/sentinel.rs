//! One master, two replicas, and three real sentinels that watch them and fail over within 1 to 3 s. Servers and
//! sentinels alike are ordinary [`RedisServer`]s with all the faults of one.

use crate::redis::{Kind, RedisBuilder, patience};
use crate::{Certificates, RedisServer};
use futures::future::try_join_all;
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The name under which the sentinels know the master.
pub const SERVICE: &str = "mymaster";
/// The sentinels find each other in some 2 s; an overloaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Sentinels look around every 10 s, and tell of each other every 2 s, unless told to do so more often. Milliseconds;
/// one that was restarted is slow again.
const HASTE: [&str; 6] = ["SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "200"];
const REPLICAS: usize = 2;
const SENTINELS: usize = 3;

/// Running servers and sentinels; they end when dropped.
#[derive(Debug)]
pub struct RedisSentinel {
    settings: RedisBuilder,
    sentinels: Vec<RedisServer>,
    servers: Vec<RedisServer>,
}

impl RedisSentinel {
    /// Waits until the sentinels know each other and the replicas, and these have caught up.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(RedisServer::builder()).await
    }

    /// The same of servers with a password or TLS; the sentinels have the TLS, and no password.
    pub async fn start_with(builder: RedisBuilder) -> io::Result<Self> {
        Self::start_guarded(builder, |sentinel| sentinel).await
    }

    /// The same with sentinels that have a password or a user of their own. `url` names the servers' user, not theirs.
    pub async fn start_guarded(
        builder: RedisBuilder,
        guard: impl FnOnce(RedisBuilder) -> RedisBuilder,
    ) -> io::Result<Self> {
        let settings = builder.prepared()?.config("repl-ping-replica-period", "1");
        let master = settings.clone().start().await?;
        let address = format!("127.0.0.1 {}", master.port());
        let replica = settings.clone().config("replicaof", &address);
        let mut servers = vec![master];
        servers.extend(try_join_all((0..REPLICAS).map(|_| replica.clone().start())).await?);

        let mut sentinel = guard(RedisServer::builder().kind(Kind::Sentinel));
        // As whom they come to each other.
        if let Some((user, password)) = sentinel.operator().map(|(user, word)| (user.to_owned(), word.to_owned())) {
            if !user.is_empty() {
                sentinel = sentinel.config("sentinel", &format!("sentinel-user {user}"));
            }
            sentinel = sentinel.config("sentinel", &format!("sentinel-pass {password}"));
        }
        sentinel = sentinel
            .config("sentinel", &format!("monitor {SERVICE} {address} 2"))
            .config("sentinel", &format!("down-after-milliseconds {SERVICE} 500"))
            .config("sentinel", &format!("failover-timeout {SERVICE} 3000"))
            .config("sentinel", &format!("parallel-syncs {SERVICE} {REPLICAS}"));
        if let Some((user, password)) = settings.operator() {
            if !user.is_empty() {
                sentinel = sentinel.config("sentinel", &format!("auth-user {SERVICE} {user}"));
            }
            sentinel = sentinel.config("sentinel", &format!("auth-pass {SERVICE} {password}"));
        }
        if let Some(certificates) = settings.certificates.clone() {
            sentinel = sentinel.certificates(certificates);
        }
        let sentinels = try_join_all((0..SENTINELS).map(|_| sentinel.clone().start())).await?;
        for sentinel in &sentinels {
            sentinel.command(&HASTE).await?;
        }
        let all = Self { settings, sentinels, servers };
        all.settled().await?;
        Ok(all)
    }

    /// `redis+sentinel://[user:password@]127.0.0.1:PORT,…/mymaster`: the sentinels' addresses, then the service (a
    /// database may follow: `/mymaster/2`); user and password are the servers'. With TLS `rediss+sentinel`.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        let scheme = self.settings.scheme("redis+sentinel");
        format!("{scheme}://{}{}/{SERVICE}", self.settings.userinfo(), nodes.join(","))
    }

    /// Master and replicas; the first was the master at the start.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// What a client with TLS needs.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.settings.certificates.as_deref()
    }

    /// Whom the sentinels name as the master.
    pub async fn master(&self) -> io::Result<&RedisServer> {
        let running = self.sentinels.iter().find(|sentinel| sentinel.is_running());
        self.named_by(running.ok_or_else(|| io::Error::other("no sentinel runs"))?).await
    }

    /// Kills the present master, and says who it was. [`Self::settled`] waits for another.
    pub async fn kill_master(&self) -> io::Result<&RedisServer> {
        let master = self.master().await?;
        master.kill();
        Ok(master)
    }

    /// Lets a replica take over though the master lives (`SENTINEL FAILOVER`), and waits.
    pub async fn failover(&self) -> io::Result<()> {
        let master = self.master().await?;
        let deadline = Instant::now() + PATIENCE;
        let sentinel = self.sentinels.iter().find(|sentinel| sentinel.is_running());
        let sentinel = sentinel.ok_or_else(|| io::Error::other("no sentinel runs"))?;
        // Refused while the one before is not long ago.
        while let Err(error) = sentinel.command(&["SENTINEL", "FAILOVER", SERVICE]).await {
            patience(deadline, &error.to_string())?;
            sleep(Duration::from_millis(50)).await;
        }
        while self.named_by(sentinel).await?.port() == master.port() {
            patience(deadline, "the sentinels name no other master")?;
            sleep(Duration::from_millis(10)).await;
        }
        self.settled().await
    }

    /// Waits until the sentinels that run know all there are and agree on a master that runs, and all other servers
    /// that run follow it and have all that was written to it.
    pub async fn settled(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.is_settled().await {
                Ok(true) => return Ok(()),
                Ok(false) => patience(deadline, "the sentinels do not settle")?,
                Err(error) => patience(deadline, &format!("the sentinels do not settle: {error}"))?,
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn is_settled(&self) -> io::Result<bool> {
        let mut named = HashSet::new();
        for sentinel in self.sentinels.iter().filter(|sentinel| sentinel.is_running()) {
            named.insert(self.named_by(sentinel).await?.port());
            let state = sentinel.command(&["SENTINEL", "MASTER", SERVICE]).await?.texts();
            let has = |name: &str, value: usize| state.windows(2).any(|pair| pair == [name, &value.to_string()]);
            if !has("num-other-sentinels", SENTINELS - 1) || !has("num-slaves", REPLICAS) {
                return Ok(false);
            }
        }
        let [named] = named.into_iter().collect::<Vec<_>>()[..] else { return Ok(false) };
        let mut master = None;
        let mut replicas = 0;
        for server in self.servers.iter().filter(|server| server.is_running()) {
            let role = server.command(&["ROLE"]).await?.texts();
            let follows =
                role.get(2) == Some(&named.to_string()) && role.get(3).is_some_and(|state| state == "connected");
            match server.port() == named {
                true if role.first().is_some_and(|role| role == "master") => master = Some(server),
                false if follows => replicas += 1,
                _ => return Ok(false),
            }
        }
        match master {
            Some(master) => master.has_replicated_to(replicas).await,
            None => Ok(false),
        }
    }

    async fn named_by(&self, sentinel: &RedisServer) -> io::Result<&RedisServer> {
        let address = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).await?.texts();
        let named = self.servers.iter().find(|server| address.get(1) == Some(&server.port().to_string()));
        named.ok_or_else(|| io::Error::other(format!("the sentinels name a stranger: {address:?}")))
    }
}
