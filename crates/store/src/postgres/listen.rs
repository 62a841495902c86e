//! Hears of changes as they are committed, on a connection of its own. It only wakes a reader of the feed: what is not heard,
//! because the connection was lost or a pooler stands between, is read a moment later all the same.

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const CHANNEL: &str = "aim_changes";
/// A connection that is silent for so many times as long as one may take to be made is asked for a sign of life.
const SILENCE: u32 = 6;
const AGAIN: Duration = Duration::from_secs(1);

/// Wakes `heard` for as long as this runs; it never ends by itself.
pub(super) async fn listen(address: PgConnectOptions, connect_timeout: Duration, heard: Arc<Notify>) {
    loop {
        if let Err(error) = follow(&address, connect_timeout, &heard).await {
            tracing::debug!(%error, "changes are not heard of: they are looked for until they are again");
        }
        sleep(AGAIN).await;
    }
}

async fn follow(address: &PgConnectOptions, patience: Duration, heard: &Notify) -> Result<(), sqlx::Error> {
    // This pool is how the listener makes its one connection. It is a new one each time: a listener that is dropped keeps its
    // connection, and with it the pool's only place, until the server has answered its good-bye.
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(patience).connect_lazy_with(address.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    timeout(patience, listener.listen(CHANNEL)).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
    loop {
        // The first time for what came before it listened.
        heard.notify_one();
        match timeout(patience * SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                let sign = sqlx::query("SELECT 1").execute(&mut listener);
                timeout(patience, sign).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
            }
        }
    }
}
