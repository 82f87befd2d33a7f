//! The include server: answers, over a Unix socket, which files a compile needs.
//!
//! It speaks the protocol of distcc 3.4's include server to any client. Where that one guesses
//! a superset of the files from their text, this one knows: the include engine (the crate
//! `includes`) follows the compiler exactly, and where it refuses, the compiler is asked.
//!
//! Reading order: `flags` (the command line) and `startup` (into the background);
//! `query_server` (the sockets), `workers` and `report` (what is printed); `service` (one question
//! answered), with its parts: `job`, `search` and `compiler` (what the command says); `engine`
//! and `seen` (what the include engine says), `engine_refusals`; `client_tree` (what must stand
//! beside the files); `copies` (for clients to send): `mirror` and `client_root`, or `store`; `source` and
//! `scan` (what files say), `refusal` (why there is no answer).
//!
//! The long way, for what the engine refuses: `by_list`, `closure` (the compiler's list),
//! `system_dirs`, `run`, `limit`, `lookup` (what the list leaves out).

mod by_list;
mod client_root;
mod client_tree;
mod closure;
mod compiler;
mod copies;
mod engine;
mod engine_refusals;
mod flags;
mod job;
mod jobs;
pub(crate) mod limit;
mod lookup;
mod mirror;
mod query_server;
mod refusal;
mod report;
mod run;
mod scan;
mod search;
mod seen;
mod service;
pub(crate) mod source;
mod startup;
mod store;
mod system_dirs;
mod workers;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::console;
use flags::{Flags, Parsed};

/// The program `include_server`; `argv` is its whole command line.
#[must_use]
pub fn main(argv: Vec<OsString>) -> ExitCode {
    let flags = match Flags::parse(&argv) {
        Parsed::Flags(flags) => flags,
        Parsed::Text { text, code } => {
            console::print(text.trim_end());
            return ExitCode::from(code);
        }
    };
    let ended = if flags.foreground || flags.ready_fd.is_some() {
        startup::serve(&flags)
    } else {
        startup::detach(&argv, &flags)
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::complain(&format!("include server: {error}"));
            ExitCode::FAILURE
        }
    }
}
