//! The program `include_server`; see [`agent::include_server`].

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::include_server::main(std::env::args_os().collect())
}
