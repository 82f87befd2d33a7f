//! The program `pump`; see [`agent::pump`].

use std::process::ExitCode;

fn main() -> ExitCode {
    agent::pump::main(std::env::args_os().collect())
}
