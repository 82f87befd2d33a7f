//! `distcc`: runs a compile on another machine, or here.
//!
//! Started once per source file, thousands of times per build: one thread, blocking, few system
//! calls, no argument parser. In reading order:
//!
//! - what was asked: [`invocation`], [`settings`], [`response_file`], [`compiler_name`], [`colours`], [`this_machine`],
//!   [`usage`], [`scan_includes`], [`show_toolchain`];
//! - the life of a compile: [`compile`] (the hot path), [`host_list`], [`schedule`], [`remote`]
//!   with [`preprocess`] ([`text`]) or [`pump`] ([`include_server`], [`tree`]), [`exchange`] over
//!   [`transport`] ([`resolve`]), [`conclusion`], [`output`], [`local`], [`account`];
//! - what rarely happens: [`discrepancy`], [`fresh_files`], [`mail`], [`saved`],
//!   [`session`];
//! - what all of it uses: [`arena`], [`child`], [`signals`], [`alarm`], [`monitor`], [`log`], [`exit`],
//!   [`timing`].

mod invocation;
mod settings;

mod colours;
mod compiler_name;
mod response_file;
mod scan_includes;
mod show_toolchain;
mod this_machine;
mod tools_chosen;
mod usage;
mod why;

mod account;
mod action;
mod compile;
mod conclusion;
mod exchange;
mod host_list;
mod include_server;
mod local;
mod output;
mod preprocess;
mod pump;
mod race;
mod remote;
mod resolve;
mod schedule;
mod text;
mod transport;
mod tree;

mod diagnosis;
mod discrepancy;
mod fresh_files;
mod mail;
mod saved;
mod session;

mod alarm;
mod arena;
mod child;
mod exit;
mod log;
mod monitor;
mod signals;
mod timing;

#[cfg(test)]
mod fuzzed;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use exit::Exit;
use invocation::Call;
use settings::Settings;

// Tests count memory with another one (crate `fuzz`).
#[cfg_attr(not(test), global_allocator)]
#[cfg_attr(test, expect(dead_code, reason = "as said above"))]
static MEMORY: arena::Arena = arena::Arena::new();

fn main() -> ExitCode {
    signals::install();
    let mut settings = Settings::read();
    let argv = words(&settings);
    step_aside(&argv[0], &mut settings);
    let our_name = argv[0].clone();
    let exit = match invocation::decide(argv) {
        Call::Compile(words) => timing::measure(&settings.log, || compile::run(&words, &settings)),
        Call::ScanIncludes(words) => scan_includes::run(&words, &settings),
        Call::ShowToolchain(words) => show_toolchain::run(&words, &settings),
        Call::Help => written(usage::write_help(&mut io::stdout())),
        Call::Version => written(usage::write_version(&mut io::stdout())),
        Call::ShowHosts => show_hosts(&settings),
        Call::Concurrency => show_concurrency(&settings),
        Call::ShowPrincipal => written(show_principal(&settings)),
        Call::Missing(what) => missing(&our_name, what),
    };
    exit.into()
}

/// Our command line. Options of our own may come from a response file as its first word; in a
/// compiler's command they stay, since the compiler reads them too.
fn words(settings: &Settings) -> Vec<OsString> {
    let mut argv: Vec<OsString> = std::env::args_os().collect();
    if argv.is_empty() {
        argv.push("distcc".into());
    }
    let named = |word: &OsString| word.as_encoded_bytes().starts_with(b"@");
    if argv.get(1).is_some_and(named) {
        settings
            .log
            .debug("main", format_args!("reading our options from a file"));
        argv = response_file::expand(argv, |file| std::fs::read(file).ok());
    }
    argv
}

/// Called in a compiler's place, lets the real one be found next.
fn step_aside(argv0: &OsStr, settings: &mut Settings) {
    let cwd = || std::env::current_dir().ok().map(Into::into);
    let is_program = |path: &Path| {
        let found = path.metadata();
        found.is_ok_and(|found| compiler_name::is_program(&found))
    };
    let children = &mut settings.children;
    if let Some(behind) = invocation::path_behind(argv0, &children.path, cwd, is_program) {
        children.path = behind;
        children.path_changed = true;
    }
}

/// The name for authentication, as distcc 3.4 shows it where it is built with GSS-API.
fn show_principal(settings: &Settings) -> io::Result<()> {
    let line = match &settings.principal {
        Some(name) => [b"Principal is\t: ", name.as_encoded_bytes(), b"\n"].concat(),
        None => b"Principal\t: Not Set.\n".to_vec(),
    };
    io::stdout().write_all(&line)
}

fn written(result: io::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::SUCCESS,
        Err(_) => Exit::IO_ERROR,
    }
}

/// As 3.4 does, succeeds even where there is no list.
fn show_hosts(settings: &Settings) -> Exit {
    let Some(list) = list_to_show("dcc_show_hosts", settings) else {
        return Exit::SUCCESS;
    };
    let mut lines = Vec::new();
    for host in &list.hosts {
        lines.extend_from_slice(host.spec.as_encoded_bytes());
        lines.push(b'\n');
    }
    written(io::stdout().write_all(&lines))
}

/// As 3.4 does, succeeds even where there is no list, and counts hosts that are down.
fn show_concurrency(settings: &Settings) -> Exit {
    let Some(list) = list_to_show("dcc_concurrency_level", settings) else {
        return Exit::SUCCESS;
    };
    let slots: u64 = list.hosts.iter().map(|host| u64::from(host.slots)).sum();
    written(writeln!(io::stdout(), "{slots}"))
}

fn list_to_show(function: &str, settings: &Settings) -> Option<hosts::HostList> {
    let list = host_list::read(settings);
    match &list {
        Ok(list) => host_list::complain(list, &settings.log),
        Err(none) => {
            none.report(&settings.log);
            settings
                .log
                .critical(function, format_args!("Failed to get host list"));
        }
    }
    list.ok()
}

fn missing(our_name: &OsStr, what: &str) -> Exit {
    let name = our_name.display();
    // There is no better place to say that this one is closed.
    let _ = write!(
        io::stderr(),
        "{name}: missing {what}\nTry `{name} --help' for more information.\n"
    );
    Exit::BAD_ARGUMENTS
}
