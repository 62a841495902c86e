//! Turns what went wrong underneath into what a client is told. The cause goes to the log.

use aim_backbone::Fault;
use aim_domain::Refusal;
use aim_store::StoreError;

/// `?` on results of the store and of the backbone, in functions that answer with a `Refusal`.
pub(crate) trait OrRefuse<T> {
    fn or_refuse(self) -> Result<T, Refusal>;
}

impl<T> OrRefuse<T> for Result<T, StoreError> {
    fn or_refuse(self) -> Result<T, Refusal> {
        self.map_err(|error| {
            tracing::error!(%error, "the store failed");
            match error {
                StoreError::Unavailable(_) => {
                    Refusal::unavailable("The database does not answer. Try again in a moment.")
                }
                StoreError::Failed(_) => Refusal::internal(),
            }
        })
    }
}

impl<T> OrRefuse<T> for Result<T, Fault> {
    fn or_refuse(self) -> Result<T, Refusal> {
        self.map_err(|fault| {
            tracing::error!(%fault, "the backbone failed");
            Refusal::unavailable("The server cannot do this right now. Try again in a moment.")
        })
    }
}

/// Notes a fault of something that is only a hint, and goes on without it.
pub(crate) fn hint<T: Default>(what: &'static str, result: Result<T, Fault>) -> T {
    result.unwrap_or_else(|fault| {
        tracing::warn!(%fault, what, "a hint was lost");
        metrics::counter!("aim_lost_hints_total", "what" => what).increment(1);
        T::default()
    })
}
