//! Connections: taking them, bounding how long a head may take, and letting them finish at a stop.

use crate::config;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// How long to wait where a connection cannot be taken: the process has no file descriptor left.
const BREATH: Duration = Duration::from_millis(100);

/// Serves until `stopping` is cancelled, then takes no more and waits for the requests under way, for `[http]
/// shutdown_grace` at most. Sockets that were upgraded are their owner's to close.
pub async fn serve(listener: TcpListener, router: Router, config: &config::Http, stopping: CancellationToken) {
    // Each connection holds a sender: when the last is gone, all are.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(config.header_timeout).pipeline_flush(true);
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = stopping.cancelled() => break,
        };
        match taken {
            Ok((stream, peer)) => connect(&server, router.clone(), stream, peer, stopping.clone(), open.clone()),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop((listener, open));
    if tokio::time::timeout(config.shutdown_grace, all_closed.recv()).await.is_err() {
        tracing::warn!("requests were still under way when the time to stop was over");
    }
}

fn connect(
    server: &http1::Builder,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    stopping: CancellationToken,
    open: mpsc::Sender<()>,
) {
    // Replies come in small pieces, each of which matters at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request.map(Body::new))
    });
    let connection = server.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::spawn(async move {
        let _open = open;
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = stopping.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    });
}

fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
