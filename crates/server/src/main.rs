//! The binary; everything is in the library, so that tests can start it as well.

use std::process::ExitCode;

/// Password hashes take 19 MiB each: an allocator that gives large blocks back keeps an idle server small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before there is any other thread.
    #[cfg(feature = "local-model")]
    aim_ai::local::limit_threads();
    aim_server::cli::run()
}
