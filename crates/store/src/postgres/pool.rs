//! Connections to PostgreSQL: at most so many, each given to one command at a time.
//!
//! sqlx's own pool asks the server for a sign of life each time that a connection comes back, which doubles the trips of
//! a command. Here a connection that came to a clean end is taken for sound, one that rested for a while is asked before
//! it is used, and one whose command was dropped on the way is brought to its end first, beside everything else. When one
//! is found dead, those that rest are let go with it.

use super::faults::Fault;
use super::{PostgresOptions, connect};
use metrics::{gauge, histogram};
use parking_lot::Mutex;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions, Connection, Postgres};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// A connection that rested for longer is asked for a sign of life before it is used.
const RESTED: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    address: PgConnectOptions,
    options: PostgresOptions,
    places: Arc<Semaphore>,
    /// Those that rest, the last used at the back.
    idle: Mutex<VecDeque<Resting>>,
}

struct Resting {
    live: Live,
    since: Instant,
}

struct Live {
    connection: PgConnection,
    opened: Instant,
    _counted: Counted,
}

/// One more connection, for as long as it is there.
struct Counted;

impl Counted {
    fn new() -> Self {
        gauge!("aim_store_connections").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!("aim_store_connections").decrement(1.0);
    }
}

/// A connection that is in use; it goes back when it is dropped.
pub(super) struct Lent {
    live: Option<Live>,
    pool: Pool,
    /// A statement is under way, or its future was dropped.
    busy: bool,
    pub in_transaction: bool,
    place: Option<OwnedSemaphorePermit>,
}

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

impl Pool {
    pub fn new(address: PgConnectOptions, options: PostgresOptions) -> Self {
        let places = Arc::new(Semaphore::new(options.max_connections.max(1) as usize));
        Self(Arc::new(Shared { address: address.disable_statement_logging(), options, places, idle: Mutex::default() }))
    }

    pub fn options(&self) -> &PostgresOptions {
        &self.0.options
    }

    fn patience(&self) -> Duration {
        self.0.options.statement_timeout + Duration::from_secs(2)
    }

    /// A connection: one that rests, or a new one.
    pub async fn take(&self) -> Result<Lent, Fault> {
        let (shared, asked) = (&self.0, Instant::now());
        let waited = shared.options.acquire_timeout;
        let place = match timeout(waited, shared.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(Fault::Unavailable("the store is closed".into())),
            Err(_) => return Err(Fault::Unavailable(format!("no connection was free for {} ms", waited.as_millis()))),
        };
        histogram!("aim_store_connection_wait_seconds").record(asked.elapsed().as_secs_f64());
        let live = match self.rested().await {
            Some(live) => live,
            None => self.connect().await?,
        };
        Ok(Lent { live: Some(live), pool: self.clone(), busy: false, in_transaction: false, place: Some(place) })
    }

    async fn rested(&self) -> Option<Live> {
        let options = &self.0.options;
        loop {
            let Resting { mut live, since } = self.0.idle.lock().pop_back()?;
            if live.opened.elapsed() > options.max_lifetime {
                self.let_go(live);
            } else if since.elapsed() < RESTED
                || matches!(timeout(options.connect_timeout, live.connection.ping()).await, Ok(Ok(())))
            {
                return Some(live);
            } else {
                self.distrust();
            }
        }
    }

    async fn connect(&self) -> Result<Live, Fault> {
        let options = &self.0.options;
        let connect = async {
            let mut connection = self.0.address.connect().await?;
            connect::prepare(&mut connection, options).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match timeout(options.connect_timeout, connect).await {
            Ok(Ok(connection)) => Ok(Live { connection, opened: Instant::now(), _counted: Counted::new() }),
            // Nothing was asked of it yet.
            Ok(Err(error)) => Err(match Fault::from(error) {
                Fault::Lost(text) => Fault::Unavailable(text),
                other => other,
            }),
            Err(_) => Err(Fault::Unavailable(format!("no connection in {} ms", options.connect_timeout.as_millis()))),
        }
    }

    /// One was found dead: what rests may be as well, and is let go.
    fn distrust(&self) {
        self.0.idle.lock().clear();
    }

    fn give_back(&self, live: Live) {
        let idle_for = self.0.options.idle_timeout;
        let stale = {
            let mut idle = self.0.idle.lock();
            idle.push_back(Resting { live, since: Instant::now() });
            // A store that is in use always comes by here: who rested longest is let go without a task of its own.
            match idle.front() {
                Some(coldest) if coldest.since.elapsed() > idle_for => idle.pop_front(),
                _ => None,
            }
        };
        if let Some(Resting { live, .. }) = stale {
            self.let_go(live);
        }
    }

    /// Says good-bye beside everything else.
    fn let_go(&self, live: Live) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let patience = self.0.options.connect_timeout;
            runtime.spawn(async move {
                let _ = timeout(patience, live.connection.close()).await;
            });
        }
    }

    pub fn is_closed(&self) -> bool {
        self.0.places.is_closed()
    }

    /// Waits for what is under way, and lets all connections go; nobody gets one any more.
    pub async fn close(&self) {
        let all = self.0.options.max_connections.max(1);
        let _ = self.0.places.acquire_many(all).await;
        self.0.places.close();
        let resting = std::mem::take(&mut *self.0.idle.lock());
        for Resting { live, .. } in resting {
            let _ = timeout(self.0.options.connect_timeout, live.connection.close()).await;
        }
    }
}

impl Lent {
    pub async fn fetch(&mut self, query: Query<'_>) -> Result<Vec<PgRow>, Fault> {
        let (patience, connection) = self.begin()?;
        let outcome = timeout(patience, query.fetch_all(connection)).await;
        self.end(outcome)
    }

    /// How many rows it changed.
    pub async fn execute(&mut self, query: Query<'_>) -> Result<u64, Fault> {
        let (patience, connection) = self.begin()?;
        let outcome = timeout(patience, query.execute(connection)).await;
        Ok(self.end(outcome)?.rows_affected())
    }

    /// Statements without parameters.
    pub async fn say(&mut self, sql: &'static str) -> Result<(), Fault> {
        let (patience, connection) = self.begin()?;
        let outcome = timeout(patience, sqlx::raw_sql(sql).execute(connection)).await;
        self.end(outcome).map(drop)
    }

    /// The connection, and how long a statement may take: a little longer than by the server's own time-out, which leaves the
    /// connection whole.
    fn begin(&mut self) -> Result<(Duration, &mut PgConnection), Fault> {
        let Some(live) = &mut self.live else { return Err(Fault::Lost("the connection is gone".into())) };
        self.busy = true;
        Ok((self.pool.patience(), &mut live.connection))
    }

    fn end<T>(&mut self, outcome: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, Fault> {
        let outcome = match outcome {
            Ok(outcome) => outcome.map_err(Fault::from),
            Err(_) => Err(Fault::silent("a statement", self.pool.patience())),
        };
        self.busy = false;
        if let Err(Fault::Lost(_)) = outcome {
            self.live = None;
            self.pool.distrust();
        }
        outcome
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut live) = self.live.take() else { return };
        if !self.busy && !self.in_transaction {
            self.pool.give_back(live);
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (pool, place) = (self.pool.clone(), self.place.take());
        runtime.spawn(async move {
            // Waits for what is under way. Outside of a transaction this does nothing but warn.
            let end = sqlx::raw_sql("ROLLBACK").execute(&mut live.connection);
            if let Ok(Ok(_)) = timeout(pool.patience(), end).await {
                pool.give_back(live);
            }
            drop(place);
        });
    }
}
