//! Lists the hosts that accept connections on the distcc port.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().skip(1).collect();
    tools::lsdistcc::run(&args, env::var_os("HOST"), env::var_os("HOSTNAME"))
}
