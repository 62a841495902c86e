//! What models cost today, copied to Redis for those who look there: as the store has it, at most once a second.

use crate::Platform;
use crate::faults::hint;
use aim_backbone::tokens::ModelUse;
use aim_store::ModelTokens;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two reads of the store.
const REST: Duration = Duration::from_secs(1);

impl Platform {
    /// Copies each time that tokens were stored, until `stop`. Without Redis there is nothing to do.
    pub async fn keep_token_copies(&self, stop: CancellationToken) {
        if !self.backbone.tokens.are_kept() {
            return;
        }
        let work = async {
            let mut before = self.ambient.now().day();
            loop {
                self.tokens.stored.notified().await;
                let day = self.ambient.now().day();
                // What was stored last may be of the day that just ended.
                let ended = std::mem::replace(&mut before, day.clone());
                if ended != day {
                    self.copy_tokens(&ended).await;
                }
                self.copy_tokens(&day).await;
                tokio::time::sleep(REST).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
    }

    async fn copy_tokens(&self, day: &str) {
        match self.tokens_on(day).await {
            Ok(rows) => {
                let uses: Vec<_> = rows.into_iter().map(model_use).collect();
                hint("copy the day's tokens", self.backbone.tokens.keep(day, &uses).await);
            }
            Err(refusal) => tracing::warn!(%refusal, "the day's tokens were not read"),
        }
    }
}

fn model_use(row: ModelTokens) -> ModelUse {
    let ModelTokens { model, prompt, completion, requests } = row;
    ModelUse { model, prompt, completion, requests }
}
