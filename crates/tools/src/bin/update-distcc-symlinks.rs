//! Keeps the links to distcc in its masquerade folder.

use std::process::ExitCode;

use clap::Parser;
use tools::symlinks::{Flags, run};

fn main() -> ExitCode {
    let flags = Flags::parse();
    run(flags, std::env::current_exe().ok().as_deref())
}
