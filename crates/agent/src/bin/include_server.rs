//! The program `include_server`; see [`agent::include_server`].

use std::process::ExitCode;

/// For the include engine: `scan-includes` says what it gains.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    agent::include_server::main(std::env::args_os().collect())
}
