//! The promises of the contract, on one server.

use super::*;
use crate::cache::CacheBackend;
use crate::conformance::Bench;
use aim_domain::SystemClock;

/// A cache that has joined, over a network that is about to do something.
async fn over(weather: impl AsyncFnOnce(&ChaosProxy)) -> Bench<dyn CacheBackend> {
    let world = World::new().await;
    let server = world.server().await;
    weather(&server.proxy).await;
    let backend = server.backend.clone();
    // Redis and its network live as long as the test.
    tokio::spawn(async move {
        let _both = (world, server);
        std::future::pending::<()>().await
    });
    Bench::waiting(backend, Arc::new(SystemClock))
}

mod with_redis {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        over(async |_| {}).await
    }

    crate::cache_promises!(open);
}

mod over_a_slow_network {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        over(async |proxy| proxy.delay(Duration::from_millis(10))).await
    }

    crate::cache_promises!(open);
}

mod over_a_network_that_is_too_slow {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        over(async |proxy| proxy.delay(Duration::from_secs(2))).await
    }

    crate::cache_promises!(open);
}

mod cut_off {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        over(async |proxy| proxy.cut().await).await
    }

    crate::cache_promises!(open);
}

mod in_a_black_hole {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        over(async |proxy| proxy.black_hole()).await
    }

    crate::cache_promises!(open);
}

mod over_a_flapping_network {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        over(async |proxy| proxy.flapping(Duration::from_millis(40), Duration::from_millis(20))).await
    }

    crate::cache_promises!(open);
}

mod before_the_feed_is_read {
    use super::*;

    async fn open() -> Bench<dyn CacheBackend> {
        let world = World::new().await;
        let server = world.starting().await;
        let backend = server.backend.clone();
        tokio::spawn(async move {
            let _both = (world, server);
            std::future::pending::<()>().await
        });
        Bench::waiting(backend, Arc::new(SystemClock))
    }

    crate::cache_promises!(open);
}
