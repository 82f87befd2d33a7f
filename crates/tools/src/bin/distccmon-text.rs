//! Shows what the distcc clients of this user are doing.

use std::env;
use std::process::ExitCode;

use tools::monitor::{Environment, run};

fn main() -> ExitCode {
    let args: Vec<_> = env::args_os().skip(1).collect();
    let environment = Environment {
        distcc_dir: env::var_os("DISTCC_DIR"),
        home: env::var_os("HOME"),
    };
    run(&args, &environment)
}
