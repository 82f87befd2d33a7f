//! `distccd`: compiles for distcc clients.
//!
//! One process. The main thread accepts connections and waits for signals; each connection has a
//! thread that receives a request, waits for one of `--jobs` slots, runs the compiler, and
//! answers. In the order in which a newcomer should read:
//!
//! - [`job`]: the life of one connection, step by step. It uses [`wire`] (reading, writing and
//!   watching a connection), [`receive`] (a request, into memory and onto disk), [`tree`] (the
//!   client's files, protocol 3), [`scratch`] (the job's folder), [`pool`] (job slots and memory),
//!   [`run`] (the compiler), [`answer`] and [`words`] (its results and messages), [`fault`] (why
//!   there is no answer) and [`summary`] (the line in the log).
//! - [`serve`]: who gets a thread, and how the server ends. Who may connect is decided by
//!   [`access`] and [`same_user`] (by [`sock_diag`]), what may run by [`compilers`].
//! - [`flags`], [`environment`] and [`settings`]: what we were told; [`start`]: the way from there
//!   to serving, by [`privileges`], [`listen`], [`daemonize`], [`signals`], [`log`].
//!
//! What it deliberately does not do yet: run compilers in a sandbox.

mod access;
mod answer;
mod compilers;
mod daemonize;
mod environment;
mod event;
mod fault;
mod flags;
mod job;
mod listen;
mod log;
mod peer;
mod pool;
mod privileges;
mod receive;
mod run;
mod same_user;
mod scratch;
mod serve;
mod server;
mod settings;
mod signals;
mod sock_diag;
mod start;
mod summary;
mod tree;
mod wire;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    start::main(std::env::args_os())
}
