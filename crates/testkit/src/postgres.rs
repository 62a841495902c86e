//! A real PostgreSQL of a test's own, and databases of a test's own on one that many tests share.
//!
//! A cluster takes a second to make. So tests share the one that `AIM_TEST_POSTGRES_URL` names (`scripts/postgres.sh` runs
//! one for all suites), each with a fresh [`Database`]; without it a process makes its own. A test that ends, stops or breaks the
//! server starts a [`PostgresServer`] for itself.

use crate::{Certificates, Port};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A start takes a part of a second; an overloaded machine gets this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with the database `postgres`; it ends, and its folder is removed, when this is dropped.
#[derive(Debug)]
pub struct PostgresServer {
    settings: Vec<(String, String)>,
    child: Mutex<Option<Child>>,
    port: Port,
    folder: TempDir,
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl PostgresServer {
    pub async fn start() -> io::Result<Self> {
        Self::start_with(&[]).await
    }

    /// With settings of `postgresql.conf`: `("fsync", "off")` for one that does not wait for the disk.
    pub async fn start_with(settings: &[(&str, &str)]) -> io::Result<Self> {
        Self::prepared(settings, None).await
    }

    /// One that also speaks TLS, and lets the user `client.test` in by its certificate alone.
    pub async fn start_with_tls(certificates: &Certificates) -> io::Result<Self> {
        Self::prepared(&[("ssl", "on")], Some(certificates)).await
    }

    async fn prepared(settings: &[(&str, &str)], certificates: Option<&Certificates>) -> io::Result<Self> {
        let mut server = Self::unmade(settings)?;
        let mut init = server.program("initdb")?;
        init.args(["--auth=trust", "--username=aim", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]);
        made(init.arg("--pgdata").arg(server.data()))?;
        if let Some(certificates) = certificates {
            server.place(certificates)?;
        }
        server.begin().await
    }

    /// One that follows this one and takes no writes, until [`Self::promote`].
    pub async fn standby(&self) -> io::Result<Self> {
        let standby = Self::unmade(&[])?;
        let mut copy = standby.program("pg_basebackup")?;
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", &self.url(), "--pgdata"]);
        made(copy.arg(standby.data()))?;
        standby.begin().await
    }

    /// Makes a standby take writes; done when this returns.
    pub async fn promote(&self) -> io::Result<()> {
        let mut connection = connect(&self.url()).await.map_err(io::Error::other)?;
        sqlx::raw_sql("SELECT pg_promote()").execute(&mut connection).await.map_err(io::Error::other)?;
        connection.close().await.map_err(io::Error::other)
    }

    fn unmade(settings: &[(&str, &str)]) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("aim-postgres-").tempdir()?;
        if let Some((user, group)) = account()? {
            chown(folder.path(), Some(user), Some(group))?;
        }
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Self { settings, child: Mutex::new(None), port: Port::lease()?, folder })
    }

    async fn begin(mut self) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.restart().await {
                // Somebody took the port between the look and the use.
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries < 20 => self.port = Port::lease()?,
                outcome => return outcome.map(|()| self),
            }
        }
    }

    /// `postgres://aim@127.0.0.1:PORT/postgres`
    pub fn url(&self) -> String {
        self.url_at(self.address(), "postgres")
    }

    /// The same by another address, that of a proxy before it, or of another database.
    pub fn url_at(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://aim@{address}/{database}")
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Of the process that runs now; none is 0.
    pub fn pid(&self) -> u32 {
        self.child.lock().as_ref().map_or(0, Child::id)
    }

    /// Ends it at once: all connections are cut, and the next start recovers what was committed, as after a crash.
    pub fn kill(&self) {
        let Some(mut child) = self.child.lock().take() else { return };
        let _ = kill_process(Pid::from_child(&child), Signal::QUIT);
        let deadline = Instant::now() + PATIENCE;
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it if it runs, and starts it again on the same port with all that was committed.
    pub async fn restart(&self) -> io::Result<()> {
        self.kill();
        let log = File::create(self.log())?;
        let mut command = self.program("postgres")?;
        command.arg("-D").arg(self.data()).args(["-p", &self.port.number().to_string()]);
        let fixed = [("listen_addresses", "127.0.0.1"), ("unix_socket_directories", ""), ("max_connections", "200")];
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fixed.into_iter().chain(own) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().map_err(missing)?;
        *self.child.lock() = Some(child);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = match self.child.lock().as_mut().map(Child::try_wait) {
                Some(Ok(None)) => None,
                _ => Some(fs::read_to_string(self.log())?),
            };
            if let Some(log) = ended {
                let kind = if log.contains("Address already in use") { ErrorKind::AddrInUse } else { ErrorKind::Other };
                return Err(io::Error::new(kind, format!("PostgreSQL did not start:\n{log}")));
            }
            // A stranger on the port would not have this in our log.
            let ready = fs::read_to_string(self.log())?.contains("system is ready to accept");
            match connect(&self.url()).await {
                Ok(_) if ready => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(io::Error::other(error)),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Halts all its processes: connections stay open, nothing is answered.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on; it does what it was told meanwhile.
    pub fn cont(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(parent) = self.child.lock().as_ref().map(Pid::from_child) else {
            return Err(io::Error::new(ErrorKind::NotFound, "the server does not run"));
        };
        kill_process(parent, signal)?;
        let parent = parent.as_raw_nonzero();
        for child in fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?.split_whitespace() {
            if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                // It may have ended by itself.
                let _ = kill_process(child, signal);
            }
        }
        Ok(())
    }

    /// Copies of its own, since it takes no key that others may read.
    fn place(&mut self, certificates: &Certificates) -> io::Result<()> {
        let Certificates { ca_file, server_cert, server_key, .. } = certificates;
        for (setting, from) in [("ssl_ca_file", ca_file), ("ssl_cert_file", server_cert), ("ssl_key_file", server_key)]
        {
            let to = self.folder().join(setting);
            fs::copy(from, &to)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            if let Some((user, group)) = account()? {
                chown(&to, Some(user), Some(group))?;
            }
            self.settings.push((setting.to_owned(), to.display().to_string()));
        }
        let rules = self.data().join("pg_hba.conf");
        let others = fs::read_to_string(&rules)?;
        fs::write(&rules, format!("hostssl all client.test 127.0.0.1/32 cert\n{others}"))
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// One of PostgreSQL's programs, run by whom it accepts: not by root.
    fn program(&self, name: &str) -> io::Result<Command> {
        let mut command = Command::new(programs().join(name));
        command.current_dir(self.folder());
        if let Some((user, group)) = account()? {
            command.uid(user).gid(group);
        }
        Ok(command)
    }
}

/// Runs a program to its end.
fn made(command: &mut Command) -> io::Result<()> {
    let made = command.output().map_err(missing)?;
    match made.status.success() {
        true => Ok(()),
        false => {
            Err(io::Error::other(format!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&made.stderr))))
        }
    }
}

fn missing(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound => {
            io::Error::new(error.kind(), "PostgreSQL is not here; on Debian: apt-get install postgresql")
        }
        _ => error,
    }
}

/// Debian keeps the server's programs out of the path, by version.
fn programs() -> PathBuf {
    let root = Path::new("/usr/lib/postgresql");
    let version = |name: &str| name.parse::<u32>().ok();
    let versions = fs::read_dir(root).into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| version(entry.file_name().to_str()?)).max();
    newest.map_or_else(PathBuf::new, |newest| root.join(newest.to_string()).join("bin"))
}

/// User and group for a root that starts PostgreSQL, which does not run as root.
fn account() -> io::Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let line = accounts.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut numbers = line.unwrap_or_default().split(':').skip(1).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok(Some((user, group))),
        _ => Err(io::Error::other("PostgreSQL does not run as root, and there is no account `postgres`")),
    }
}

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}

/// A database with nothing in it, for one test; it is gone when this is dropped, whoever is connected to it.
#[derive(Debug)]
pub struct Database {
    name: String,
    server: String,
    _own: Option<Arc<PostgresServer>>,
}

/// The server of a process whose environment names none.
static OWN: tokio::sync::Mutex<Weak<PostgresServer>> = tokio::sync::Mutex::const_new(Weak::new());

impl Database {
    pub async fn fresh() -> io::Result<Self> {
        let (server, own) = match std::env::var("AIM_TEST_POSTGRES_URL") {
            Ok(url) if !url.is_empty() => (url, None),
            _ => {
                let mut kept = OWN.lock().await;
                let own = match kept.upgrade() {
                    Some(own) => own,
                    None => Arc::new(PostgresServer::start_with(&[("fsync", "off")]).await?),
                };
                *kept = Arc::downgrade(&own);
                (own.url(), Some(own))
            }
        };
        let id: aim_domain::MessageId = aim_domain::Ambient::system().id();
        let name = format!("aim_{}", id.as_str().replace('-', "_"));
        let this = Self { name, server, _own: own };
        this.admin(format!("CREATE DATABASE {}", this.name)).await.map_err(io::Error::other)?;
        Ok(this)
    }

    pub fn url(&self) -> String {
        let server = self.server.split('?').next().unwrap_or_default();
        let parameters = self.server.strip_prefix(server).unwrap_or_default();
        let base = server.rsplit_once('/').map_or(server, |(base, _)| base);
        format!("{base}/{}{parameters}", self.name)
    }

    /// A connection past whatever is tested.
    pub async fn connect(&self) -> io::Result<PgConnection> {
        connect(&self.url()).await.map_err(io::Error::other)
    }

    /// Cuts every connection to it, as an administrator does.
    pub async fn cut(&self) -> io::Result<()> {
        let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", self.name);
        self.admin(cut).await.map_err(io::Error::other)
    }

    async fn admin(&self, sql: String) -> Result<(), sqlx::Error> {
        let mut connection = connect(&self.server).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // In a thread of its own, since a test's runtime cannot wait here. A server that ended before its databases, ended them.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let gone = self.admin(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
                runtime.block_on(gone).map_err(io::Error::other)
            });
        });
    }
}
