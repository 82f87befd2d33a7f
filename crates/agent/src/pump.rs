//! `pump`: runs a build with an include server beside it, and with a server of its own where
//! no hosts are configured.
//!
//! Behaves like distcc 3.4's `pump`, which is a shell script: same variables, messages and exit
//! codes, except where a module says so.
//!
//! Reading order: `cli` (what is asked for) and `settings` (the environment); `session` (the
//! steps); `hosts` (which servers), `include_server`, `keeper` and `private_server` (what runs beside the
//! build), `build` (the command itself), `signals` and `progress`; `shutdown` (the end, also of
//! another pump's session), `summary` and `messages`; `toolchain_shown` (no build at all).

mod build;
mod cli;
mod hosts;
mod include_server;
mod keeper;
mod messages;
mod private_server;
mod process;
mod progress;
mod session;
mod settings;
mod shutdown;
mod signals;
mod summary;
mod toolchain_shown;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::console;
use cli::Task;
use settings::Settings;

/// The program `pump`; `argv` is its whole command line.
#[must_use]
pub fn main(argv: Vec<OsString>) -> ExitCode {
    children_are_waited_for();
    let task = cli::parse(&argv);
    let settings = Settings::read(argv.first());
    let ended = match task {
        Task::Usage => {
            console::print(cli::USAGE);
            Ok(0)
        }
        Task::Startup => session::startup(&settings),
        Task::Shutdown => {
            shutdown::by_environment(&settings);
            Ok(0)
        }
        Task::Build(command) => session::build(&settings, command),
        Task::ShowToolchain(command) => return toolchain_shown::show(command),
        Task::Unknown(word) => Err(messages::PumpError::UnknownOption(word.clone())),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            console::complain(&messages::failure(&settings.name, &error));
            ExitCode::FAILURE
        }
    }
}

/// Some starters ignore their children's ends, which programs inherit: then none could be waited for.
fn children_are_waited_for() {
    // SAFETY: it takes two numbers; there is one thread, and no handler.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}
