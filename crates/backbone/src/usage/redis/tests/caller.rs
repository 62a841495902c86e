//! The promises as a caller sees them while the network fails: what a copy says or, where there is none, what the store
//! says. A copy that is too old would be believed, so the promises do not hold by themselves.

use super::*;
use crate::conformance::outage::{Outage, in_every_outage};
use crate::usage::local::LocalUsage;
use std::sync::atomic::{AtomicU32, Ordering};

/// Calls that all goes well for: the outage comes upon what Redis has taken.
const IN_FAIR_WEATHER: u32 = 2;

struct Caller {
    copies: RedisUsage,
    /// The store's rows as far as these promises go: it says nothing of all rows where the copies need not either.
    store: LocalUsage,
    calls: AtomicU32,
    turn: Turn,
}

/// What comes over the network when fair weather is over.
type Turn = Box<dyn Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

impl Caller {
    async fn at(site: &Site, turn: Turn) -> Self {
        let copies = server(site.url()).await;
        let (store, calls) = (LocalUsage::new(&Ambient::system()), AtomicU32::new(0));
        Self { copies, store, calls, turn }
    }

    async fn begin(&self) {
        if self.calls.fetch_add(1, Ordering::SeqCst) == IN_FAIR_WEATHER {
            (self.turn)().await;
        }
    }
}

#[async_trait]
impl Usage for Caller {
    async fn of(&self, user: &UserId, character: &CharacterId) -> Result<Option<UsageCount>, Fault> {
        self.begin().await;
        match within(WITHIN_BUDGET, self.copies.of(user, character)).await? {
            None => self.store.of(user, character).await,
            copy => Ok(copy),
        }
    }

    async fn keep(&self, user: &UserId, character: &CharacterId, row: UsageCount) -> Result<(), Fault> {
        self.begin().await;
        self.store.keep(user, character, row).await?;
        within(WITHIN_BUDGET, self.copies.keep(user, character, row)).await
    }

    async fn all_of(&self, user: &UserId) -> Result<Option<Vec<(CharacterId, UsageCount)>>, Fault> {
        self.begin().await;
        match within(WITHIN_BUDGET, self.copies.all_of(user)).await? {
            None => self.store.all_of(user).await,
            copies => Ok(copies),
        }
    }

    async fn begin_load(&self, user: &UserId) -> Result<LoadMark, Fault> {
        self.store.begin_load(user).await
    }

    async fn keep_all(&self, mark: LoadMark, user: &UserId, rows: &Rows) -> Result<(), Fault> {
        self.begin().await;
        self.store.keep_all(mark, user, rows).await?;
        within(WITHIN_BUDGET, self.copies.keep_all(mark, user, rows)).await
    }

    async fn forget(&self, user: &UserId) -> Result<(), Fault> {
        self.begin().await;
        self.store.forget(user).await?;
        within(WITHIN_BUDGET, self.copies.forget(user)).await
    }
}

fn bench(caller: Caller, site: Site) -> Bench<dyn Usage> {
    let usage: Arc<dyn Usage> = Arc::new(caller);
    Bench::waiting(usage, Arc::new(SystemClock)).keeping(site).hurried()
}

mod in_an_outage {
    use super::*;

    async fn open<O: Outage>() -> Bench<dyn Usage> {
        let site = Site::open().await;
        let proxy = site.proxy.clone();
        let turn: Turn = Box::new(move || {
            let proxy = proxy.clone();
            Box::pin(async move { O::begin(&proxy).await })
        });
        bench(Caller::at(&site, turn).await, site)
    }

    in_every_outage!(usage_promises);
}

/// The network fails and is well again, over and over: what Redis did not hear reaches it before a copy is believed.
mod in_a_storm {
    use super::*;

    async fn open() -> Bench<dyn Usage> {
        let site = Site::open().await;
        let caller = Caller::at(&site, Box::new(|| Box::pin(std::future::ready(())))).await;
        let storm = site.storm(0);
        bench(caller, site).keeping(storm)
    }

    crate::usage_promises!(open);
}

/// That this bench would notice: in fair weather it is the copies that answer.
#[tokio::test]
async fn in_fair_weather_copies_answer() {
    let site = Site::open().await;
    let caller = Caller::at(&site, Box::new(|| Box::pin(std::future::ready(())))).await;
    let (user, character) = names();
    unhurried(async {
        caller.store.keep(&user, &character, row(1)).await.unwrap();
        caller.copies.keep(&user, &character, row(2)).await.unwrap();
        assert_eq!(caller.of(&user, &character).await.unwrap().map(|row| row.text), Some(2));
    })
    .await;
}
