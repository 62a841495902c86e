//! What the process itself takes of the machine, under the names that Prometheus clients agree on. Read from `/proc`;
//! where there is none, nothing is told.

use metrics::{Unit, describe_gauge, gauge};
use std::sync::OnceLock;
use std::time::Instant;

/// Ticks a second of `/proc/self/stat`; the kernel's interface has had 100 for ever.
const TICKS: f64 = 100.0;
const PAGE: f64 = 4096.0;

static STARTED: OnceLock<Instant> = OnceLock::new();

pub(super) fn describe() {
    STARTED.get_or_init(Instant::now);
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory that the process has in RAM");
    describe_gauge!("process_open_fds", "Open file descriptors");
    describe_gauge!("process_threads", "Threads");
    describe_gauge!("process_cpu_seconds_total", Unit::Seconds, "CPU time used");
    describe_gauge!("process_uptime_seconds", Unit::Seconds, "Time since the start");
}

pub(super) fn measure() {
    gauge!("process_uptime_seconds").set(STARTED.get_or_init(Instant::now).elapsed().as_secs_f64());
    if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(fds.count() as f64);
    }
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    // The second field is the program's name in brackets, and may hold anything.
    let Some((_, rest)) = stat.rsplit_once(')') else { return };
    let field = |number: usize| rest.split_whitespace().nth(number - 3).and_then(|text| text.parse::<f64>().ok());
    if let (Some(user), Some(system)) = (field(14), field(15)) {
        gauge!("process_cpu_seconds_total").set((user + system) / TICKS);
    }
    if let Some(threads) = field(20) {
        gauge!("process_threads").set(threads);
    }
    if let Some(pages) = field(24) {
        gauge!("process_resident_memory_bytes").set(pages * PAGE);
    }
}
