//! `distccd`: compiles for distcc clients.
//!
//! One process. The main thread accepts connections and waits for signals; each connection has a
//! thread that receives a request, waits for one of `--jobs` slots, runs the compiler, and
//! answers. In the order in which a newcomer should read:
//!
//! - [`job`]: the life of one connection, step by step. It uses [`wire`] (reading, writing and
//!   watching a connection), [`receive`] (a request, into memory and onto disk), [`ready`] (what
//!   of it the compiler finds where), [`tree`] and [`link_text`] (the
//!   client's files, protocol 3), [`scratch`] (the job's folder) and [`folders`] (in memory or on disk), [`slots`] (whose turn it is), [`pool`] and [`shares`] (memory, disk, and who may have how much of it),
//!   [`run`] (the compiler, which says [`messages`]) in the sandbox that [`confinement`] chose, [`answer`] and [`words`] (its results and messages), [`fault`] (why
//!   there is no answer) and [`summary`] (the line in the log).
//! - [`serve`]: who gets a thread, and how the server ends. Who may connect is decided by
//!   [`access`] and [`same_user`] (by [`sock_diag`]), what may run by [`compilers`],
//!   and by [`known_options`] where there is no sandbox.
//! - [`actions`]: a connection that turns out to speak the Remote Execution API goes there, and to an async runtime;
//!   [`cache_folder`] is where what they need is kept.
//! - [`stats_page`]: the statistics page, from [`counts`] and [`machine`].
//! - [`flags`], [`environment`] and [`settings`]: what we were told; [`start`]: the way from there
//!   to serving, by [`privileges`], [`listen`], [`daemonize`], [`signals`], [`log`].
//!
//! The same program is the helper of its sandbox (crate `sandbox`), under another first argument.

mod access;
mod actions;
mod answer;
mod cache_folder;
mod compilers;
mod confinement;
mod counts;
mod daemonize;
mod environment;
mod event;
mod fault;
mod flags;
mod folders;
mod job;
mod known_options;
mod link_text;
mod listen;
mod log;
mod machine;
mod messages;
mod peer;
mod pool;
mod privileges;
mod ready;
mod reasons;
mod receive;
mod removal;
mod run;
mod same_user;
mod scratch;
mod serve;
mod server;
mod settings;
mod shares;
mod signals;
mod slots;
mod sock_diag;
mod start;
mod stats_page;
mod summary;
mod tree;
mod wire;
mod words;

#[cfg(test)]
mod fuzzed;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread starts.
    if let Some(code) = sandbox::helper_main(std::env::args_os().nth(1).as_deref()) {
        return code;
    }
    start::main(std::env::args_os())
}
