//! The ways in which a network fails and stays so, and a suite in each of them.

use aim_testkit::ChaosProxy;
use std::time::Duration;

/// It begins, and lasts until the proxy is healed.
pub trait Outage: 'static {
    fn begin(proxy: &ChaosProxy) -> impl Future<Output = ()> + Send;
}

/// Connections are reset, and new ones refused.
pub struct Cut;
/// Everything is taken, and nothing arrives.
pub struct BlackHole;
/// All arrives, and so late that nobody waits for it.
pub struct TooSlow;

impl Outage for Cut {
    async fn begin(proxy: &ChaosProxy) {
        proxy.cut().await;
    }
}

impl Outage for BlackHole {
    async fn begin(proxy: &ChaosProxy) {
        proxy.black_hole();
    }
}

impl Outage for TooSlow {
    async fn begin(proxy: &ChaosProxy) {
        proxy.delay(Duration::from_secs(2));
    }
}

/// A suite in every outage: `in_every_outage!(limits_promises)` beside an `open::<O: Outage>` that answers a bench whose
/// outage has begun, or is about to.
macro_rules! in_every_outage {
    ($suite:ident) => {
        mod cut {
            crate::$suite!(super::open::<crate::conformance::outage::Cut>);
        }
        mod in_a_black_hole {
            crate::$suite!(super::open::<crate::conformance::outage::BlackHole>);
        }
        mod too_slow {
            crate::$suite!(super::open::<crate::conformance::outage::TooSlow>);
        }
    };
}

pub(crate) use in_every_outage;
