//! What every process that takes part runs, with or without a door: the platform, its lease in the store, the change feed,
//! the reconciler, and the workers of jobs. `aim worker` is this alone; `aim serve` puts HTTP and sockets before it.

use crate::app;
use crate::config::Config;
use crate::telemetry;
use aim_backbone::queue::Worker;
use aim_domain::Ambient;
use aim_platform::{Platform, Settings};
use anyhow::Context;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a start waits for a Redis that is configured; it goes on without it, and finds it later.
const REDIS_PATIENCE: Duration = Duration::from_secs(2);
/// After the replies have ended, what is left of tasks and connections gets this long.
pub const LAST_BREATH: Duration = Duration::from_secs(5);

pub struct Engine {
    pub platform: Platform,
    workers: Vec<Arc<dyn Worker>>,
    grace: Duration,
    /// Takes no new work.
    pub stopping: CancellationToken,
    /// Ends what keeps the process going.
    pub ended: CancellationToken,
    keeping: JoinSet<()>,
}

impl Engine {
    /// Opens everything; nothing is answered and no job is run before [`Engine::work`].
    pub async fn start(config: &Config, ambient: &Ambient, settings: Settings) -> anyhow::Result<Self> {
        // First: the parts take their counters when they are made.
        telemetry::metrics();
        let store = app::open_store(config, ambient).await?;
        let model = app::model(config, ambient)?;
        let settings = Settings { post: app::post(config)?, ..settings };
        let foreign = settings.foreign.queues();
        if !foreign.is_empty() {
            tracing::info!(?foreign, "workers of other programs run these queues' jobs");
        }
        match &settings.post {
            Some(post) => tracing::info!("mails go to {}", post.carrier.place()),
            None => tracing::info!(
                "AIM_MAIL__URL is empty: no mail is sent, and who forgets a password needs `aim user reset-password`"
            ),
        }
        let backbone = app::backbone(config, ambient, config.workers.enabled || !settings.serves, &foreign)?;
        if let Some(links) = &backbone.links {
            for link in links.each() {
                if !link.ready(REDIS_PATIENCE).await {
                    tracing::warn!(redis = link.name(), "Redis does not answer: going on without it until it does");
                }
            }
        }
        let platform = Platform::new(store, backbone, model, ambient.clone(), settings);
        platform.take_media(app::media(config)?);
        let (stopping, ended) = (CancellationToken::new(), CancellationToken::new());

        let feed = platform.feed_position().await.context("the database's change feed cannot be read")?;
        platform.take_lease().await.context("the database took no lease")?;
        let mut keeping = JoinSet::new();
        keeping.spawn({
            let (platform, ended) = (platform.clone(), ended.clone());
            async move { platform.keep_lease(ended).await }
        });
        keeping.spawn({
            let (platform, ended) = (platform.clone(), ended.clone());
            async move { platform.follow_changes(feed, ended).await }
        });
        keeping.spawn({
            let (platform, ended) = (platform.clone(), ended.clone());
            async move { platform.keep_presence(ended).await }
        });
        keeping.spawn({
            let (platform, ended) = (platform.clone(), ended.clone());
            async move { platform.keep_token_copies(ended).await }
        });
        let grace = config.http.shutdown_grace;
        Ok(Self { platform, workers: Vec::new(), grace, stopping, ended, keeping })
    }

    /// Begins to look for due work, and to run jobs here if this process `works`.
    pub async fn work(&mut self, works: bool) -> anyhow::Result<()> {
        let workers = if works { self.platform.work().await } else { self.platform.conduct().await };
        self.workers = workers.context("the workers did not start")?;
        self.keeping.spawn(telemetry::figures::hand_in(self.platform.clone(), self.stopping.clone()));
        let (platform, stopping) = (self.platform.clone(), self.stopping.clone());
        self.keeping.spawn(async move { platform.reconcile(works, stopping).await });
        Ok(())
    }

    /// Something else that ends when the process does.
    pub fn keep(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.keeping.spawn(task);
    }

    /// Takes nothing new, and lets jobs under way finish, for the configured grace at most.
    pub async fn drain(&self) {
        self.stopping.cancel();
        self.platform.end_errands();
        let ended = join_all(self.workers.iter().map(|worker| worker.stop(self.grace))).await;
        if ended.contains(&false) {
            tracing::warn!("jobs were still under way when the time to stop was over: they start anew elsewhere");
        }
    }

    /// Gives back what this process holds and ends what keeps it going, `rest` included; the store is closed last.
    pub async fn end(mut self, rest: impl Future<Output = ()>) {
        if tokio::time::timeout(LAST_BREATH, self.platform.settle()).await.is_err() {
            tracing::warn!("others were not told of everything when the process ended: they look for themselves");
        }
        self.platform.end_lease().await;
        self.ended.cancel();
        let rest = async {
            while self.keeping.join_next().await.is_some() {}
            rest.await;
        };
        if tokio::time::timeout(LAST_BREATH, rest).await.is_err() {
            tracing::warn!("connections were still open when the process ended");
        }
        if tokio::time::timeout(LAST_BREATH, self.platform.store.close()).await.is_err() {
            tracing::warn!("the database was still busy when the process ended");
        }
    }
}
