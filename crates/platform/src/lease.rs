//! This process's lease in the store. Its claims hold while the lease does; a process that cannot renew it stops its
//! replies before somebody else may give them.

use crate::Platform;
use aim_domain::Incarnation;
use parking_lot::Mutex;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

pub(crate) struct Lease(Mutex<State>);

struct State {
    incarnation: Incarnation,
    /// Until when it holds by this process's own clock, counted from before the renewal was sent; none: not yet or no more.
    until: Option<Instant>,
    /// It was given back for good: this process ends.
    ended: bool,
}

impl Lease {
    pub fn new(incarnation: Incarnation) -> Self {
        Self(Mutex::new(State { incarnation, until: None, ended: false }))
    }

    /// Who this process is while it may claim.
    pub fn current(&self) -> Option<Incarnation> {
        let state = self.0.lock();
        state.until.filter(|until| *until > Instant::now()).map(|_| state.incarnation.clone())
    }

    pub fn name(&self) -> Incarnation {
        self.0.lock().incarnation.clone()
    }

    /// Whether this process goes on under that name.
    pub fn is(&self, name: &Incarnation) -> bool {
        let state = self.0.lock();
        !state.ended && state.incarnation == *name
    }
}

impl Platform {
    /// Who this process is, for the origin of its events.
    pub fn incarnation(&self) -> Incarnation {
        self.lease.name()
    }

    /// Takes the lease for the first time. Without it nothing is answered here.
    pub async fn take_lease(&self) -> Result<(), aim_store::StoreError> {
        self.renew_lease().await?;
        self.count_servers().await
    }

    async fn count_servers(&self) -> Result<(), aim_store::StoreError> {
        self.backbone.fleet.set_servers(self.store.live_servers().await?);
        Ok(())
    }

    /// Renews the lease until `stop`, three times in its length.
    pub async fn keep_lease(&self, stop: CancellationToken) {
        let mut pace = tokio::time::interval(self.settings.server_lease / 3);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = pace.tick() => {}
            }
            // A store that hangs must not hide that the lease is over meanwhile.
            let renewal = async {
                let renewed = self.renew_lease().await?;
                self.count_servers().await?;
                Ok::<_, aim_store::StoreError>(renewed)
            };
            match tokio::time::timeout(self.settings.server_lease / 3, renewal).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => tracing::error!(
                    "this server's lease was over: its replies are dropped, it goes on under a new name"
                ),
                Ok(Err(error)) => tracing::warn!(%error, "the lease was not renewed"),
                Err(_) => tracing::warn!("the lease was not renewed: the store does not answer"),
            }
            if self.lease.current().is_none() {
                self.running.lose_all();
            }
        }
    }

    /// False when the lease was over: what this process held may be another's, so it starts anew under a fresh name.
    async fn renew_lease(&self) -> Result<bool, aim_store::StoreError> {
        let (sent, name, length) = (Instant::now(), self.lease.name(), self.settings.server_lease);
        if !self.lease.is(&name) {
            return Ok(true);
        }
        let renewed = self.store.renew_lease(&name, length, self.settings.serves).await?;
        let ended = {
            let mut state = self.lease.0.lock();
            if renewed && !state.ended {
                state.until = Some(sent + length);
            }
            state.ended
        };
        if renewed || ended {
            return Ok(true);
        }
        self.running.lose_all();
        let fresh: Incarnation = self.ambient.id();
        self.lease.0.lock().until = None;
        let taken = self.store.renew_lease(&fresh, length, self.settings.serves).await?;
        let mut state = self.lease.0.lock();
        state.until = taken.then(|| sent + length);
        state.incarnation = fresh;
        Ok(false)
    }

    /// Gives back what this process holds, so that others need not wait for the lease to be over.
    pub async fn end_lease(&self) {
        let name = self.lease.name();
        {
            let mut state = self.lease.0.lock();
            (state.until, state.ended) = (None, true);
        }
        if let Err(error) = self.store.end_lease(&name).await {
            tracing::warn!(%error, "the lease was not given back: others wait until it is over");
        }
    }

    /// A granted turn is renewed this often.
    pub(crate) fn turn_renewal(&self) -> Duration {
        aim_backbone::turns::Settings::default().lease / 3
    }
}
