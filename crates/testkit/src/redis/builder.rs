//! What kind of Redis server starts, and the configuration file that says so.

use super::RedisServer;
use crate::{Certificates, Port};
use parking_lot::Mutex;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// With users of its own, a server lets tests in by this name.
const OPERATOR: &str = "operator";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Alone,
    Node,
    Sentinel,
}

/// See [`RedisServer::builder`].
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    lines: Vec<String>,
    pub(super) login: Option<(String, String)>,
    pub(super) unix: bool,
    tls: bool,
    client_certificates: bool,
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(super) kind: Kind,
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
        self.config("requirepass", password).config("masterauth", password)
    }

    /// Nobody comes in but as this user, who may do what `rules` say (`"~aim:* &* +@all"`). The default user is off and
    /// keeps its rights, since Redis replays an append-only file as that user.
    pub fn user(mut self, name: &str, password: &str, rules: &str) -> Self {
        self.login = Some((name.to_owned(), password.to_owned()));
        self.acl(&format!("{name} on >{password} {rules}")).acl("default off ~* &* +@all")
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

    /// Speaks TLS alone, with a certificate of an authority of its own ([`RedisServer::certificates`]); clients may
    /// show one of theirs.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// TLS, and clients have to show a certificate.
    pub fn mutual_tls(mut self) -> Self {
        self.client_certificates = true;
        self.tls()
    }

    /// TLS with certificates that are there already.
    pub fn certificates(mut self, certificates: Arc<Certificates>) -> Self {
        self.certificates = Some(certificates);
        self.tls()
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// With everything that servers of one kind have in common.
    pub(crate) fn prepared(mut self) -> io::Result<Self> {
        if self.tls && self.certificates.is_none() {
            self.certificates = Some(Arc::new(Certificates::make()?));
        }
        Ok(self)
    }

    /// Starts the server, and waits until it answers.
    pub async fn start(self) -> io::Result<RedisServer> {
        let settings = self.prepared()?;
        let mut tries = 0;
        loop {
            let server = RedisServer {
                port: Port::lease()?,
                bus: (settings.kind == Kind::Node).then(Port::lease).transpose()?,
                folder: tempfile::Builder::new().prefix("aim-redis-").tempdir()?,
                child: Mutex::new(None),
                halted: AtomicBool::new(false),
                settings: settings.clone(),
            };
            tries += 1;
            match server.run().await {
                // Somebody took a port between the look and the use.
                Err(error) if error.kind() == ErrorKind::AddrInUse && tries < 20 => {}
                outcome => return outcome.map(|()| server),
            }
        }
    }

    /// `redis` or `rediss`; with more behind it for clusters and sentinels.
    pub(crate) fn scheme(&self, name: &str) -> String {
        if self.tls { name.replacen("redis", "rediss", 1) } else { name.to_owned() }
    }

    /// `user:password@`, or nothing.
    pub(crate) fn userinfo(&self) -> String {
        self.login.as_ref().map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default()
    }

    /// The same for the address of a socket.
    pub(super) fn query(&self) -> String {
        match &self.login {
            None => String::new(),
            Some((user, password)) if user.is_empty() => format!("?pass={password}"),
            Some((user, password)) => format!("?user={user}&pass={password}"),
        }
    }

    /// As whom replicas and sentinels, and the tests themselves, come in.
    pub(crate) fn operator(&self) -> Option<(&str, &str)> {
        let (user, password) = self.login.as_ref()?;
        Some(if user.is_empty() { ("", password) } else { (OPERATOR, OPERATOR) })
    }

    pub(super) fn configuration(&self, server: &RedisServer) -> String {
        let port = if self.unix { 0 } else { server.port() };
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            "protected-mode no".to_owned(),
            "daemonize no".to_owned(),
            format!("port {}", if self.tls { 0 } else { port }),
            format!("dir {}", server.folder().display()),
            format!("unixsocket {}", server.socket().display()),
        ];
        if let Some(Certificates { ca_file, server_cert, server_key, .. }) = self.certificates.as_deref() {
            lines.push(format!("tls-port {port}"));
            lines.push(format!("tls-ca-cert-file {}", ca_file.display()));
            lines.push(format!("tls-cert-file {}", server_cert.display()));
            lines.push(format!("tls-key-file {}", server_key.display()));
            lines.push(format!("tls-auth-clients {}", if self.client_certificates { "yes" } else { "optional" }));
            lines.push("tls-replication yes".to_owned());
        }
        if self.kind != Kind::Sentinel {
            lines.extend(["save \"\"", "appendonly no", "repl-diskless-sync-delay 0"].map(str::to_owned));
        }
        if let Some(bus) = &server.bus {
            lines.push("cluster-enabled yes".to_owned());
            lines.push(format!("cluster-port {}", bus.number()));
            lines.push(format!("tls-cluster {}", if self.tls { "yes" } else { "no" }));
        }
        if self.login.as_ref().is_some_and(|(user, _)| !user.is_empty()) {
            lines.push(format!("user {OPERATOR} on >{OPERATOR} ~* &* +@all"));
            lines.push(format!("masteruser {OPERATOR}"));
            lines.push(format!("masterauth {OPERATOR}"));
        }
        lines.extend(self.lines.iter().cloned());
        lines.join("\n") + "\n"
    }
}
