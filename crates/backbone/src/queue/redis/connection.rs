//! BullMQ's connection for all that is no worker: opened in the background, thrown away and opened anew when the link's
//! had to be made anew, or when it seems broken. Its own way to reconnect can take longer than anyone waits.

use crate::Fault;
use crate::link::{Access, Client, Link, Need, Passage};
use crate::queue::QUEUES;
use bullmq::options::{RedisConnectionOptions, TlsCerts};
use bullmq::redis_connection::RedisConnection;
use bullmq::{Error, Queue, QueueOptions};
use futures::future::try_join_all;
use parking_lot::Mutex;
use redis::RedisError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longest that a connection may take to be there, sentinels included; then the next attempt begins.
pub(super) const OPENING: Duration = Duration::from_secs(3);
/// Between two attempts, and between two connections that seemed broken.
pub(super) const PACE: Duration = Duration::from_millis(500);
/// Calls in a row without an answer, after which the connection seems broken.
const DOUBTS: u32 = 3;

type Queues = Arc<[(&'static str, Queue)]>;

pub(super) struct Connection {
    inner: Arc<Inner>,
    _keeper: DropGuard,
}

struct Inner {
    client: Client,
    prefix: String,
    /// With the link's connection that they were opened after: those of another one are not used.
    queues: Mutex<Option<(u64, Queues)>>,
    connections: watch::Receiver<u64>,
    /// Raised with each new connection.
    opened: watch::Sender<u64>,
    doubts: AtomicU32,
    broke: Notify,
}

impl Connection {
    pub fn open(client: Client, prefix: &str) -> Self {
        let inner = Arc::new(Inner {
            connections: client.link().connections(),
            client,
            prefix: prefix.to_owned(),
            queues: Mutex::new(None),
            opened: watch::Sender::new(0),
            doubts: AtomicU32::new(0),
            broke: Notify::new(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(keep(inner.clone())));
        Self { inner, _keeper: stop.drop_guard() }
    }

    pub async fn ready(&self, patience: Duration) -> bool {
        let mut opened = self.opened();
        let ready = async {
            while !self.is_open() {
                if opened.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, ready).await.is_ok()
    }

    pub fn is_open(&self) -> bool {
        self.inner.queues().is_some()
    }

    /// Changes with each new connection.
    pub fn opened(&self) -> watch::Receiver<u64> {
        self.inner.opened.subscribe()
    }

    /// Changes when Redis can be used again.
    pub fn recoveries(&self) -> watch::Receiver<u64> {
        self.inner.client.link().recoveries()
    }

    /// Asks BullMQ something about one queue, within the request's budget.
    pub async fn ask<T>(
        &self,
        need: Need,
        queue: &'static str,
        ask: impl AsyncFnOnce(&Queue) -> Result<T, Error>,
    ) -> Result<T, Fault> {
        let inner = &self.inner;
        let Some(queues) = inner.queues() else {
            return Err(Fault::new("queue", "not asked: there is no connection"));
        };
        let Some((_, queue)) = queues.iter().find(|(name, _)| *name == queue) else {
            return Err(Fault::new("queue", format!("there is no queue {queue}")));
        };
        match inner.client.beside(need, async { redis_error(ask(queue).await) }).await {
            Ok(answer) => {
                inner.doubts.store(0, Ordering::Relaxed);
                // BullMQ's other errors name ids and states.
                answer.map_err(|error| Fault::new("queue", error.to_string()))
            }
            Err(broken) => {
                if broken.suspect && inner.doubts.fetch_add(1, Ordering::Relaxed) + 1 >= DOUBTS {
                    inner.broke.notify_one();
                }
                Err(broken.fault)
            }
        }
    }
}

impl Inner {
    fn queues(&self) -> Option<Queues> {
        let latest = *self.connections.borrow();
        self.queues.lock().as_ref().filter(|(connection, _)| *connection == latest).map(|(_, queues)| queues.clone())
    }
}

/// Redis's errors apart from BullMQ's own.
fn redis_error<T>(answer: Result<T, Error>) -> Result<Result<T, Error>, RedisError> {
    match answer {
        Err(Error::Redis(error)) => Err(error),
        answer => Ok(answer),
    }
}

async fn keep(inner: Arc<Inner>) {
    let mut connections = inner.client.link().connections();
    loop {
        let connection = reachable(inner.client.link(), &mut connections).await;
        let opened = tokio::select! {
            opened = open(&inner) => opened,
            // What is being opened since before may wait for what is gone.
            _ = connections.changed() => continue,
        };
        match opened {
            Ok(queues) => {
                inner.doubts.store(0, Ordering::Relaxed);
                *inner.queues.lock() = Some((connection, queues));
                inner.opened.send_modify(|n| *n += 1);
                tokio::select! {
                    _ = connections.changed() => {}
                    () = inner.broke.notified() => {}
                }
                *inner.queues.lock() = None;
            }
            Err(fault) => {
                tracing::debug!(%fault, "BullMQ has no connection");
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

/// Waits until the breaker lets anything pass, and answers the link's connection, which `connections` has then seen.
pub(super) async fn reachable(link: &Link, connections: &mut watch::Receiver<u64>) -> u64 {
    let mut recoveries = link.recoveries();
    loop {
        let connection = *connections.borrow_and_update();
        if link.passage() != Passage::Closed {
            return connection;
        }
        if recoveries.changed().await.is_err() {
            // The link's sender lives as long as the link.
            std::future::pending::<()>().await;
        }
    }
}

async fn open(inner: &Inner) -> Result<Queues, Fault> {
    let open = async {
        let options = where_to(inner.client.link()).await?;
        let connection = RedisConnection::new_managed_only(&options).await?;
        let queues = QUEUES.into_iter().map(|name| {
            let options = QueueOptions::new().prefix(&inner.prefix);
            let connection = connection.clone();
            async move { Ok::<_, Error>((name, Queue::with_connection(name, connection, options).await?)) }
        });
        Ok::<Queues, Error>(try_join_all(queues).await?.into())
    };
    match tokio::time::timeout(OPENING, open).await {
        Ok(Ok(queues)) => Ok(queues),
        Ok(Err(error)) => Err(fault(&error)),
        Err(_) => Err(Fault::new("queue", "no connection in time")),
    }
}

/// Where BullMQ finds Redis at this moment.
pub(super) async fn where_to(link: &Link) -> Result<RedisConnectionOptions, Error> {
    let Access { urls, in_cluster, certificates } = link.access().await?;
    let mut options = RedisConnectionOptions::new();
    options.tls = urls.iter().any(|url| url.starts_with("rediss:"));
    options.tls_certs = certificates.map(|certificates| {
        let (client_cert, client_key) =
            certificates.client_tls.map(|client| (client.client_cert, client.client_key)).unzip();
        TlsCerts { root_cert: certificates.root_cert, client_cert, client_key }
    });
    Ok(match urls.as_slice() {
        [url] if !in_cluster => options.url(url),
        _ => options.cluster_nodes(urls),
    })
}

/// An error for logs: the text of Redis's may quote what was asked.
pub(super) fn fault(error: &Error) -> Fault {
    let detail = match error {
        Error::Redis(error) => error.code().map_or_else(|| error.category().to_owned(), str::to_owned),
        other => other.to_string(),
    };
    Fault::new("queue", detail)
}
