//! What tests stand on: real servers that are started, stopped and killed by the process id, a network that breaks on
//! demand, and stubs of what nobody can run at home. Everything listens on the loopback and ends with its value.

pub mod certificates;
pub mod chaos_proxy;
pub mod cluster;
pub mod model_stub;
mod port;
pub mod postgres;
pub mod redis;
pub mod resp;
pub mod sentinel;

pub use certificates::Certificates;
pub use chaos_proxy::ChaosProxy;
pub use cluster::RedisCluster;
pub use port::Port;
pub use postgres::{Database, PostgresServer};
pub use redis::RedisServer;
pub use sentinel::RedisSentinel;
