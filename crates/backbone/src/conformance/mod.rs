//! What every backend of a capability promises, as tests to run on it.
