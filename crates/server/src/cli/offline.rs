//! The platform without a server: for commands that write to the database while servers may run beside them.

use crate::app;
use crate::config::Config;
use aim_ai::{LanguageModel, ModelError, ModelName, ReplyStream, Request, TokenBudget};
use aim_backbone::Backbone;
use aim_domain::{Ambient, Refusal};
use aim_platform::{Platform, Settings};
use aim_store::Store;
use anyhow::Context;
use async_trait::async_trait;
use std::sync::Arc;

/// Opens the database, made where it is not there yet, in this version's form.
pub(super) async fn store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if !config.database.is_postgres() {
        let folder = config.database_folder();
        std::fs::create_dir_all(&folder).with_context(|| format!("the folder {} cannot be made", folder.display()))?;
    }
    app::open_store(config, &Ambient::system()).await
}

pub(super) async fn platform(config: &Config) -> anyhow::Result<Platform> {
    let model = Arc::new(Nobody(ModelName { provider: "none", model: "none".into() }));
    // What is changed here reaches the servers by the store's change feed: a command needs no Redis.
    let ambient = Ambient::system();
    let backbone = Backbone::local(&app::backbone_settings(config, false), &ambient);
    let settings = Settings { post: app::post(config)?, ..app::settings(config) };
    Ok(Platform::new(store(config).await?, backbone, model, ambient, settings))
}

/// What a refusal says to somebody at a terminal.
pub(super) fn explain(refusal: Refusal) -> anyhow::Error {
    match refusal.errors.as_slice() {
        [] => anyhow::anyhow!("{}", refusal.detail),
        errors => {
            let lines: Vec<String> = errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect();
            anyhow::anyhow!("{}", lines.join("\n"))
        }
    }
}

/// Commands make no replies.
struct Nobody(ModelName);

#[async_trait]
impl LanguageModel for Nobody {
    fn name(&self) -> &ModelName {
        &self.0
    }

    fn budget(&self) -> TokenBudget {
        TokenBudget::new(1, 1)
    }

    async fn stream(&self, _: Request) -> Result<ReplyStream, ModelError> {
        Err(ModelError::bad("a command of the command line does not answer messages"))
    }

    async fn check(&self) -> Result<(), ModelError> {
        Ok(())
    }
}
