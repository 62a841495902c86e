//! The binary; everything is in the library, so that tests can start it as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    aim_server::cli::run()
}
