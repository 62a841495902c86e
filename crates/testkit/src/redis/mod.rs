//! A real `redis-server` of a test's own: on a free port of the loopback, in a folder of its own, with nothing of the
//! machine's configuration and nothing on disk unless asked. It is ended, stopped and continued by its process id.
//!
//! The faults of a network are [`crate::ChaosProxy`]'s. Those of the server itself are here, or one command away:
//! out of memory is `CONFIG SET maxmemory 1`, read-only is `REPLICAOF 127.0.0.1 1`, loading is
//! [`RedisServer::begin_restart`] of a persistent server with `.config("key-load-delay", …)`.

mod builder;

pub(crate) use builder::Kind;
pub use builder::RedisBuilder;

use crate::resp::{Connection, Reply};
use crate::{Certificates, Port};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start takes some 20 ms; an overloaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A running server; it is killed, and its folder removed, when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    settings: RedisBuilder,
    child: Mutex<Option<Child>>,
    halted: AtomicBool,
    port: Port,
    /// Where the nodes of a cluster talk among themselves.
    bus: Option<Port>,
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

    /// `redis://[user:password@]127.0.0.1:PORT` (with TLS `rediss://`), or `unix:///PATH`.
    pub fn url(&self) -> String {
        if !self.settings.unix {
            return self.url_at(self.address());
        }
        format!("unix://{}{}", self.socket().display(), self.settings.query())
    }

    /// The same by another address: that of a proxy before it.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("{}://{}{address}", self.settings.scheme("redis"), self.settings.userinfo())
    }

    /// What a server with TLS shows and asks for.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.settings.certificates.as_deref()
    }

    /// Nobody else's, also while the server is down.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where the nodes of a cluster talk to this one.
    pub fn bus_port(&self) -> Option<u16> {
        self.bus.as_ref().map(Port::number)
    }

    /// Of the process that runs now; none is 0.
    pub fn pid(&self) -> u32 {
        self.child.lock().as_ref().map_or(0, Child::id)
    }

    /// Where its data and its log (`redis.log`) lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether there is a process that could answer: it was neither killed nor stopped.
    pub fn is_running(&self) -> bool {
        self.pid() != 0 && !self.halted.load(Ordering::SeqCst)
    }

    /// The power goes off (SIGKILL). What was not on disk is gone.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
            self.halted.store(false, Ordering::SeqCst);
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
        self.halted.store(true, Ordering::SeqCst);
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
        self.halted.store(false, Ordering::SeqCst);
        self.signal(Signal::CONT)
    }

    /// A connection past any proxy, with all rights: for what needs the same one twice, such as `WAIT` after a write.
    pub async fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::unix(&self.socket()).await?;
        match self.settings.operator() {
            Some(("", password)) => connection.call(&["AUTH", password]).await?,
            Some((user, password)) => connection.call(&["AUTH", user, password]).await?,
            None => Reply::Nil,
        };
        Ok(connection)
    }

    /// Runs one command on such a connection of its own; a refusal is an error with the server's text.
    pub async fn command<T: AsRef<[u8]>>(&self, words: &[T]) -> io::Result<Reply> {
        self.connect().await?.call(words).await
    }

    /// Whether so many replicas have all that this master was told so far.
    pub(crate) async fn has_replicated_to(&self, replicas: usize) -> io::Result<bool> {
        if replicas == 0 {
            return Ok(true);
        }
        let mut connection = self.connect().await?;
        let role = connection.call(&["ROLE"]).await?;
        // A master that has sent nothing would be content with replicas that cannot hear it yet.
        let sent = role.list().get(1).and_then(Reply::number).unwrap_or(0) > 0;
        // Counts from the last command of the same connection.
        let have = connection.call(&["WAIT", &replicas.to_string(), "1000"]).await?.number().unwrap_or(0);
        Ok(sent && usize::try_from(have).is_ok_and(|have| have >= replicas))
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
        // What the server itself has written there since, stands.
        if !file.exists() {
            fs::write(&file, self.settings.configuration(self))?;
        }
        let log = File::create(self.folder().join("redis.log"))?;
        let mut command = Command::new("redis-server");
        command.arg(file).current_dir(self.folder());
        if self.settings.kind == Kind::Sentinel {
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

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match self.child.lock().as_ref() {
            Some(child) => Ok(kill_process(Pid::from_child(child), signal)?),
            None => Err(io::Error::new(ErrorKind::NotFound, "the server does not run")),
        }
    }
}

/// An error when it is too late.
pub(crate) fn patience(deadline: Instant, what: &str) -> io::Result<()> {
    if Instant::now() < deadline { Ok(()) } else { Err(io::Error::new(ErrorKind::TimedOut, what.to_owned())) }
}
