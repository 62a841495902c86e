//! Another library's connections to the same Redis: how they get there, and how their calls keep to the breaker and the
//! request's budget. Each library looks after its connections itself; what befalls them says nothing of the link's.

use super::breaker::Failure;
use super::settings::Form;
use super::wire::{Dialer, Role};
use super::{Client, Link, Need, budget, failure_of};
use crate::Fault;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use redis::{ConnectionAddr, RedisError, RedisResult, TlsCertificates};
use std::future::Future;
use std::time::Instant;

/// How to get to a Redis at this moment, credentials included: not to be shown to anyone.
pub(crate) struct Access {
    /// One, or the nodes of a Cluster: `redis://`, `rediss://` or `unix://`.
    pub urls: Vec<String>,
    pub in_cluster: bool,
    pub certificates: Option<TlsCertificates>,
}

/// Why a call beside the link has no answer.
pub(crate) struct Broken {
    pub fault: Fault,
    /// Whether its connection may be the reason.
    pub suspect: bool,
}

impl Link {
    /// Asks the sentinels, where there are any, who is the master now.
    pub(crate) async fn access(&self) -> RedisResult<Access> {
        self.inner.dialer.access().await
    }
}

impl Client {
    /// A call over another library's connection: refused where the breaker is open, ended with the request's budget.
    /// Only that Redis takes no writes is told to the breaker.
    pub(crate) async fn beside<T>(&self, need: Need, call: impl Future<Output = RedisResult<T>>) -> Result<T, Broken> {
        let inner = &self.link.inner;
        let budget = budget::left();
        if budget.is_zero() || !inner.breaker.lock().admits(need) {
            self.counters.refused.increment(1);
            return Err(Broken { fault: self.fault("not asked: Redis is away"), suspect: false });
        }
        let began = Instant::now();
        let answer = tokio::time::timeout(budget, call).await;
        let took = began.elapsed();
        budget::charge(took);
        inner.latency.record(took);
        match answer {
            Ok(Ok(value)) => {
                self.counters.answered.increment(1);
                Ok(value)
            }
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => {
                self.counters.timeout.increment(1);
                Err(Broken { fault: self.fault("no answer in time"), suspect: true })
            }
        }
    }

    fn broken(&self, error: &RedisError) -> Broken {
        let failure = failure_of(error);
        match failure {
            Some(_) => self.counters.lost.increment(1),
            None => self.counters.failed.increment(1),
        }
        if failure == Some(Failure::WritesRefused) {
            let generation = self.link.inner.wires.lock().as_ref().map(|wires| wires.generation);
            if let Some(generation) = generation {
                self.link.inner.fail(generation, Failure::WritesRefused, Instant::now());
            }
        }
        let fault = self.fault(error.code().map_or_else(|| error.category().to_owned(), str::to_owned));
        Broken { fault, suspect: failure.is_some() }
    }
}

impl Dialer {
    async fn access(&self) -> RedisResult<Access> {
        let urls = match &self.address.form {
            Form::Single { host, port } => vec![self.url(host, *port)],
            Form::Cluster { nodes } => nodes.iter().map(|(host, port)| self.url(host, *port)).collect(),
            Form::Unix { path } => vec![self.socket(&path.to_string_lossy())],
            Form::Sentinel { nodes, service } => {
                let master = self.sentinel(nodes, service, Role::Primary)?.async_get_client().await?;
                match master.get_connection_info().addr() {
                    ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                        vec![self.url(host, *port)]
                    }
                    _ => return Err((redis::ErrorKind::InvalidClientConfig, "a master without a host").into()),
                }
            }
        };
        let certificates = self.certificates.clone().filter(|_| self.address.tls);
        Ok(Access { urls, in_cluster: self.is_cluster(), certificates })
    }

    fn url(&self, host: &str, port: u16) -> String {
        let address = &self.address;
        let scheme = if address.tls { "rediss" } else { "redis" };
        let user = address.username.as_deref().map(encoded).unwrap_or_default();
        let login = match &address.password {
            Some(password) => format!("{user}:{}@", encoded(password)),
            None if user.is_empty() => String::new(),
            None => format!("{user}@"),
        };
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let database = if self.is_cluster() { String::new() } else { format!("/{}", address.database) };
        format!("{scheme}://{login}{host}:{port}{database}")
    }

    fn socket(&self, path: &str) -> String {
        let parts: Vec<String> = path.split('/').map(encoded).collect();
        let mut url = format!("unix://{}?db={}", parts.join("/"), self.address.database);
        for (name, value) in [("user", &self.address.username), ("pass", &self.address.password)] {
            if let Some(value) = value {
                url.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        url
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    async fn urls(url: &str) -> Vec<String> {
        let dialer = Dialer::new(&Settings { url: url.into(), ..Settings::default() }).unwrap();
        dialer.access().await.unwrap().urls
    }

    #[tokio::test]
    async fn an_address_is_told_on_as_it_was_given() {
        assert_eq!(urls("redis://a").await, ["redis://a:6379/0"]);
        assert_eq!(urls("rediss://ada:p%40s@[::1]:7/3").await, ["rediss://ada:p%40s@[::1]:7/3"]);
        assert_eq!(urls("redis://:x@a").await, ["redis://:x@a:6379/0"]);
        assert_eq!(urls("redis+cluster://u:p@a:1,b").await, ["redis://u:p@a:1", "redis://u:p@b:6379"]);
        assert_eq!(
            urls("unix:///run/my%20redis.sock?db=2&user=u&pass=p%26").await,
            ["unix:///run/my%20redis%2Esock?db=2&user=u&pass=p%26"]
        );
    }
}
