//! A real `redis-server` of a test's own: on a free port of the loopback, in a folder of its own, with nothing of the
//! machine's configuration and nothing on disk unless asked. It is ended, stopped and continued by its process id.
//!
//! The faults of a network are [`crate::ChaosProxy`]'s. Those of the server itself are here, or one command away:
//! out of memory is `CONFIG SET maxmemory 1`, read-only is `REPLICAOF 127.0.0.1 1`, loading is
//! [`RedisServer::begin_restart`] of a persistent server with `.config("key-load-delay", …)`.

use crate::Port;
use crate::resp::{Connection, Reply};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start takes some 20 ms; an overloaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// With users of its own, a server lets tests in by this name.
const OPERATOR: &str = "operator";

/// What kind of server starts; see [`RedisServer::builder`].
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    lines: Vec<String>,
    login: Option<(String, String)>,
    unix: bool,
    sentinel: bool,
}

impl RedisBuilder {
    /// One more line of `redis.conf`; it wins over the lines before.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        let value = if value.is_empty() { "\"\"" } else { value };
        self.lines.push(format!("{name} {value}"));
        self
    }

    /// What is written outlives `kill` and `restart`.
    pub fn persistent(self) -> Self {
        self.config("appendonly", "yes")
    }

    /// Writes fail beyond `limit` (`"10mb"`), nothing is evicted.
    pub fn maxmemory(self, limit: &str) -> Self {
        self.config("maxmemory", limit).config("maxmemory-policy", "noeviction")
    }

    /// Nobody comes in without this password.
    pub fn password(mut self, password: &str) -> Self {
        self.login = Some((String::new(), password.to_owned()));
        self.config("requirepass", password)
    }

    /// Nobody comes in but as this user, who may do what `rules` say (`"~aim:* &* +@all"`).
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.login = Some((name.to_owned(), password.to_owned()));
        self.acl(&format!("{name} on >{password} {rules}")).acl("default off")
    }

    /// One line of access rules, as after `user` in `redis.conf`.
    pub fn acl(self, rules: &str) -> Self {
        self.config("user", rules)
    }

    /// Listens on a socket in its folder, and on no port.
    pub fn unix_socket(mut self) -> Self {
        self.unix = true;
        self
    }

    #[allow(dead_code, reason = "comes with sentinels")]
    pub(crate) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// Starts the server, and waits until it answers.
    pub async fn start(self) -> io::Result<RedisServer> {
        let mut tries = 0;
        loop {
            let server = RedisServer {
                port: Port::lease()?,
                folder: tempfile::Builder::new().prefix("aim-redis-").tempdir()?,
                child: Mutex::new(None),
                settings: self.clone(),
            };
            tries += 1;
            match server.run().await {
                // Somebody took the port, or that of the cluster's bus, between the look and the use.
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries < 20 => {}
                outcome => return outcome.map(|()| server),
            }
        }
    }
}

/// A running server; it is killed, and its folder removed, when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    settings: RedisBuilder,
    child: Mutex<Option<Child>>,
    port: Port,
    folder: TempDir,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RedisServer {
    /// An empty server that forgets everything when it ends.
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// `redis://[user:password@]127.0.0.1:PORT`, or `unix:///PATH`.
    pub fn url(&self) -> String {
        match &self.settings.login {
            _ if !self.settings.unix => self.url_at(self.address()),
            None => format!("unix://{}", self.socket().display()),
            Some((user, password)) => format!("unix://{}?user={user}&pass={password}", self.socket().display()),
        }
    }

    /// The same by another address: that of a proxy before it.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let login = self.settings.login.as_ref().map(|(user, password)| format!("{user}:{password}@"));
        format!("redis://{}{address}", login.unwrap_or_default())
    }

    /// Nobody else's, also while the server is down.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Of the process that runs now; none is 0.
    pub fn pid(&self) -> u32 {
        self.child.lock().as_ref().map_or(0, Child::id)
    }

    /// Where its data and its log (`redis.log`) lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The power goes off (SIGKILL). What was not on disk is gone.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it if it runs, and starts it again on the same port with what it had on disk.
    pub async fn restart(&self) -> io::Result<()> {
        self.kill();
        self.run().await
    }

    /// As [`Self::restart`], without waiting: a server with much on disk answers LOADING at first.
    pub fn begin_restart(&self) -> io::Result<()> {
        self.kill();
        self.spawn()
    }

    /// As [`Self::restart`], with nothing on disk.
    pub async fn restart_empty(&self) -> io::Result<()> {
        self.kill();
        for entry in fs::read_dir(self.folder())? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(path)?;
            } else {
                fs::remove_file(path)?;
            }
        }
        self.run().await
    }

    /// Halts the process (SIGSTOP): connections stay open, the kernel accepts new ones, nothing is answered. It is
    /// halted when this returns.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(format!("/proc/{}/stat", self.pid()))?.contains(") T ") {
            if Instant::now() > deadline {
                return Err(ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Lets a halted process go on (SIGCONT); it does what it was told meanwhile.
    pub fn cont(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Runs one command on a connection of its own, past any proxy; a refusal is an error with the server's text.
    pub async fn command<T: AsRef<[u8]>>(&self, words: &[T]) -> io::Result<Reply> {
        let mut connection = Connection::unix(&self.socket()).await?;
        match &self.settings.login {
            Some((user, password)) if user.is_empty() => connection.call(&["AUTH", password]).await?,
            Some(_) => connection.call(&["AUTH", OPERATOR, OPERATOR]).await?,
            None => Reply::Nil,
        };
        connection.call(words).await
    }

    /// Forgets all keys.
    pub async fn flush(&self) -> io::Result<()> {
        self.command(&["FLUSHALL"]).await.map(drop)
    }

    /// One field of `INFO everything`, such as `used_memory` or `cmdstat_get`.
    pub async fn info(&self, field: &str) -> io::Result<String> {
        let info = self.command(&["INFO", "everything"]).await?.text();
        let found = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.map(str::to_owned).ok_or_else(|| io::Error::other(format!("INFO has no field {field}")))
    }

    /// For tests' own commands; it is there with every server.
    fn socket(&self) -> PathBuf {
        self.folder().join("redis.sock")
    }

    async fn run(&self) -> io::Result<()> {
        self.spawn()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                let log = fs::read_to_string(self.folder().join("redis.log"))?;
                let kind = if log.contains("Address already in use") { ErrorKind::AddrInUse } else { ErrorKind::Other };
                return Err(io::Error::new(kind, format!("redis-server did not start ({status}):\n{log}")));
            }
            // It listens on its port before it listens on this socket. So whatever answers here has the port as well,
            // and is no stranger who took it first.
            match self.command(&["PING"]).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    fn ended(&self) -> io::Result<Option<String>> {
        let mut child = self.child.lock();
        let Some(running) = child.as_mut() else { return Ok(Some("killed".to_owned())) };
        let status = running.try_wait()?;
        if status.is_some() {
            child.take();
        }
        Ok(status.map(|status| status.to_string()))
    }

    fn spawn(&self) -> io::Result<()> {
        let file = self.folder().join("redis.conf");
        fs::write(&file, self.configuration())?;
        let log = File::create(self.folder().join("redis.log"))?;
        let mut command = Command::new("redis-server");
        command.arg(file).current_dir(self.folder());
        if self.settings.sentinel {
            command.arg("--sentinel");
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        *self.child.lock() = Some(child.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                io::Error::new(error.kind(), "redis-server is not here; on Debian: apt-get install redis-server")
            }
            _ => error,
        })?);
        Ok(())
    }

    fn configuration(&self) -> String {
        let settings = &self.settings;
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "protected-mode no".to_owned(),
            "daemonize no".to_owned(),
            format!("port {}", if settings.unix { 0 } else { self.port() }),
            format!("dir {}", self.folder().display()),
            format!("unixsocket {}", self.socket().display()),
        ];
        if !settings.sentinel {
            lines.extend(["save \"\"", "appendonly no", "repl-diskless-sync-delay 0"].map(str::to_owned));
        }
        if settings.login.as_ref().is_some_and(|(user, _)| !user.is_empty()) {
            lines.push(format!("user {OPERATOR} on >{OPERATOR} ~* &* +@all"));
        }
        lines.extend(settings.lines.iter().cloned());
        lines.join("\n") + "\n"
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.child.lock().as_ref() {
            Some(child) => Ok(kill_process(Pid::from_child(child), signal)?),
            None => Err(io::Error::new(ErrorKind::NotFound, "the server does not run")),
        }
    }
}
