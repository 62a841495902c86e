//! What can go wrong with the store itself. Everything a caller can act on is an outcome, not an error.

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer: the disk, the connection, a time-out. Trying later may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It answers what it should not: a row that cannot be read, a statement that is refused.
    #[error("the store failed: {0}")]
    Failed(String),
}
