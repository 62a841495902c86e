//! A connection to Redis, whatever its form: opened with the time limits that this crate asks for, and never
//! reconnecting by itself, since the keeper decides when.

use super::settings::{Address, BadAddress, Form, Login, Settings, TlsFiles};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, RedisConnectionInfo, RedisFuture, RedisResult, TlsCertificates, TlsMode, Value,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest that a connection may take to be there, TLS and HELLO included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest that sentinels or the nodes of a Cluster may take together: they are asked one after the other, some of them
/// more than once, and one that hangs is not waited for as long as it hangs.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// A call is given up by its caller's budget long before; this ends what the library remembers of it.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Calls that may wait to be written before callers wait too.
const WAITING_CALLS: usize = 4_096;
/// A peer that is gone without a word is noticed after this, also where nothing is being sent.
const KEEPALIVE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_PROBES: u32 = 3;
const USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Where pushed messages go; called on the connection's own task, so it must not wait.
pub type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Cheap to clone: clones share the connection, and calls of all are written together.
#[derive(Clone)]
pub enum Wire {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(wire) => wire.req_packed_command(cmd),
            Self::Cluster(wire) => wire.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(wire) => wire.req_packed_commands(pipeline, offset, count),
            Self::Cluster(wire) => wire.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(wire) => wire.get_db(),
            Self::Cluster(wire) => wire.get_db(),
        }
    }
}

/// Opens connections to one Redis.
pub struct Dialer {
    pub(super) address: Address,
    sentinels: Login,
    pub(super) certificates: Option<TlsCertificates>,
}

/// Which of the servers that a Redis consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Primary,
    /// Of what Sentinel watches; of anything else the same as `Primary`.
    Replica,
}

impl Dialer {
    pub fn new(settings: &Settings) -> Result<Self, BadAddress> {
        // Both of rustls's providers may be in the binary; which one serves is said once, by whoever comes first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let address: Address = settings.url.parse()?;
        Ok(Self { certificates: certificates(&settings.tls)?, sentinels: settings.sentinel.clone(), address })
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.address.form, Form::Cluster { .. })
    }

    /// Whether `Role::Replica` leads anywhere else than `Role::Primary`.
    pub fn has_replicas(&self) -> bool {
        matches!(self.address.form, Form::Sentinel { .. })
    }

    /// The nodes that a Cluster's address names.
    pub fn seeds(&self) -> &[(String, u16)] {
        match &self.address.form {
            Form::Cluster { nodes } => nodes,
            _ => &[],
        }
    }

    /// The number of the database; channels know none.
    pub fn database(&self) -> i64 {
        self.address.database
    }

    /// A new connection, within [`CONNECT_TIMEOUT`] for each server that has to be asked, and [`DIAL_TIMEOUT`] in all.
    pub async fn dial(&self, role: Role, on_push: Option<OnPush>) -> RedisResult<Wire> {
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, self.dial_servers(role, on_push)).await;
        dialled.unwrap_or_else(|_| Err((redis::ErrorKind::Io, "no connection in time").into()))
    }

    async fn dial_servers(&self, role: Role, on_push: Option<OnPush>) -> RedisResult<Wire> {
        match &self.address.form {
            Form::Cluster { .. } => Ok(Wire::Cluster(self.cluster(on_push)?.get_async_connection().await?)),
            Form::Sentinel { nodes, service } => {
                let client = self.sentinel(nodes, service, role)?.async_get_client().await?;
                Ok(Wire::Single(client.get_multiplexed_async_connection_with_config(&config(on_push)).await?))
            }
            Form::Single { .. } | Form::Unix { .. } => {
                Ok(Wire::Single(self.client()?.get_multiplexed_async_connection_with_config(&config(on_push)).await?))
            }
        }
    }

    /// A connection to one node of a Cluster, which speaks for its own slots alone.
    pub async fn dial_node(&self, host: &str, port: u16, on_push: Option<OnPush>) -> RedisResult<Wire> {
        let client = self.client_of(self.addr(host, port))?;
        Ok(Wire::Single(client.get_multiplexed_async_connection_with_config(&config(on_push)).await?))
    }

    fn client(&self) -> RedisResult<Client> {
        let addr = match &self.address.form {
            Form::Unix { path } => ConnectionAddr::Unix(path.clone()),
            Form::Single { host, port } => self.addr(host, *port),
            // `dial` asks for a client of these two forms alone.
            Form::Cluster { .. } | Form::Sentinel { .. } => {
                return Err((redis::ErrorKind::InvalidClientConfig, "no single server").into());
            }
        };
        self.client_of(addr)
    }

    fn client_of(&self, addr: ConnectionAddr) -> RedisResult<Client> {
        let info = addr.into_connection_info()?.set_tcp_settings(tcp()).set_redis_settings(self.redis());
        match &self.certificates {
            Some(certificates) if self.address.tls => Client::build_with_tls(info, certificates.clone()),
            _ => Client::open(info),
        }
    }

    fn cluster(&self, on_push: Option<OnPush>) -> RedisResult<ClusterClient> {
        let Form::Cluster { nodes } = &self.address.form else {
            return Err((redis::ErrorKind::InvalidClientConfig, "no cluster").into());
        };
        let nodes = nodes.iter().map(|(host, port)| self.addr(host, *port));
        let mut builder = ClusterClientBuilder::new(nodes)
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT)
            // A caller's budget allows few: what a failover costs, the breaker bridges.
            .retries(2)
            .min_retry_wait(10)
            .max_retry_wait(100)
            .tcp_settings(tcp());
        if let Some(username) = &self.address.username {
            builder = builder.username(username);
        }
        if let Some(password) = &self.address.password {
            builder = builder.password(password);
        }
        if self.address.tls {
            builder = builder.tls(TlsMode::Secure);
            if let Some(certificates) = &self.certificates {
                builder = builder.certs(certificates.clone());
            }
        }
        if let Some(on_push) = on_push {
            builder = builder.push_sender(push_sender(on_push));
        }
        builder.build()
    }

    pub(super) fn sentinel(&self, nodes: &[(String, u16)], service: &str, role: Role) -> RedisResult<SentinelClient> {
        let nodes: Vec<_> = nodes.iter().map(|(host, port)| self.addr(host, *port)).collect();
        let server = match role {
            Role::Primary => SentinelServerType::Master,
            Role::Replica => SentinelServerType::Replica,
        };
        let mut builder = SentinelClientBuilder::new(nodes, service, server)?
            .set_client_to_redis_protocol(ProtocolVersion::RESP3)
            .set_client_to_redis_tcp_settings(tcp())
            .set_client_to_redis_db(self.address.database)
            .set_client_to_sentinel_tcp_settings(tcp());
        if let Some(username) = &self.address.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.address.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(username) = &self.sentinels.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &self.sentinels.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if self.address.tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            if let Some(certificates) = &self.certificates {
                builder = builder
                    .set_client_to_redis_certificates(certificates.clone())
                    .set_client_to_sentinel_certificates(certificates.clone());
            }
        }
        builder.build()
    }

    fn addr(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        match self.address.tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        }
    }

    fn redis(&self) -> RedisConnectionInfo {
        let mut info =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(self.address.database);
        if let Some(username) = &self.address.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.address.password {
            info = info.set_password(password);
        }
        info
    }
}

fn config(on_push: Option<OnPush>) -> AsyncConnectionConfig {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(WAITING_CALLS);
    match on_push {
        Some(on_push) => config.set_push_sender(push_sender(on_push)),
        None => config,
    }
}

fn push_sender(on_push: OnPush) -> impl redis::aio::AsyncPushSender {
    move |push: PushInfo| -> Result<(), redis::aio::SendError> {
        on_push(push);
        Ok(())
    }
}

fn tcp() -> TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(USER_TIMEOUT);
    settings
}

fn certificates(files: &TlsFiles) -> Result<Option<TlsCertificates>, BadAddress> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| BadAddress(format!("{} cannot be read: {error}", path.display())))
    };
    let client_tls = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => {
            Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
        }
        (None, None) => None,
        _ => {
            return Err(BadAddress(
                "a client's certificate and its key belong together: one of them is missing".into(),
            ));
        }
    };
    let root_cert = files.ca.as_deref().map(read).transpose()?;
    Ok((client_tls.is_some() || root_cert.is_some()).then_some(TlsCertificates { client_tls, root_cert }))
}
