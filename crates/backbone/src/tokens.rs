//! Copies of what models cost, for whoever looks into Redis: operators' scripts and dashboards. Nobody here reads them. The
//! store's rows count; a copy is all of a row, so it never strays from them for longer than until the next reply.

use crate::Fault;
use crate::keys::Names;
use crate::link::{Client, Need};
use futures::future::try_join_all;

/// Eight days, in seconds.
const KEPT: i64 = 8 * 24 * 60 * 60;

/// What one model cost in a day, over all users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUse {
    /// `PROVIDER/MODEL`.
    pub model: String,
    /// Tokens.
    pub prompt: u64,
    pub completion: u64,
    pub requests: u64,
}

/// Where they are kept; nowhere without Redis.
#[derive(Clone, Default)]
pub struct TokenCopies(Option<Client>);

impl TokenCopies {
    pub fn in_redis(client: Client) -> Self {
        Self(Some(client))
    }

    pub fn are_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps what the store has of a UTC day, `2026-11-30`.
    pub async fn keep(&self, day: &str, uses: &[ModelUse]) -> Result<(), Fault> {
        let Some(client) = &self.0 else { return Ok(()) };
        let names = Names::of(client);
        // Each key has a slot of its own in a Cluster.
        let keeping = uses.iter().map(async |one| {
            let name = names.tokens(day, &one.model);
            let mut all = redis::pipe();
            all.hset_multiple(
                &name,
                &[("prompt", one.prompt), ("completion", one.completion), ("requests", one.requests)],
            );
            client.pipeline::<()>(Need::Write, all.expire(&name, KEPT)).await
        });
        try_join_all(keeping).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::guarded::RedisServer;
    use crate::link::{Link, Settings};
    use std::time::Duration;

    #[tokio::test]
    async fn a_copy_has_what_the_store_has_and_goes_after_eight_days() {
        let redis = RedisServer::start().await.unwrap();
        let link =
            Link::open("main", Settings { url: redis.url(), prefix: "aim:".into(), ..Settings::default() }).unwrap();
        assert!(link.ready(Duration::from_secs(5)).await);
        let copies = TokenCopies::in_redis(link.client("tokens"));
        let cost = |prompt, requests| ModelUse { model: "openai/gpt-4o".into(), prompt, completion: 7, requests };
        for (prompt, requests) in [(40, 1), (90, 2)] {
            copies.keep("2026-11-30", &[cost(prompt, requests)]).await.unwrap();
        }
        let key = "aim:ai:tokens:2026-11-30:openai/gpt-4o";
        let said = redis.command(&["HMGET", key, "prompt", "completion", "requests"]).await.unwrap().texts();
        assert_eq!(said, ["90", "7", "2"]);
        assert_eq!(redis.command(&["TTL", key]).await.unwrap().number(), Some(KEPT));
        assert!(!TokenCopies::default().are_kept());
        TokenCopies::default().keep("2026-11-30", &[cost(1, 1)]).await.unwrap();
    }
}
