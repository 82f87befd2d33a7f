//! The soak: clients of both kinds build against our servers while everything around them is
//! killed, filled up, starved or slow. In the end nothing may be left, and no object may ever have
//! been another than the local compiler's.
//!
//! `soak [--minutes N | --seconds N] [--seed N]`; the exit code is 0 if nothing was found.
//!
//! All of it runs in namespaces of its own (as root or not), so that whatever is left can be
//! counted, and nothing of it outlives this program.
//!
//! [`inside`] is the course of it; [`sources`] what is compiled, [`server`] our servers, [`builder`]
//! the clients, [`trouble`] what happens to all of them, [`nuisance`] the connections that nobody
//! wants, [`aftermath`] what must be true in the end.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people to read"
)]

mod aftermath;
mod builder;
mod findings;
mod inside;
mod nuisance;
mod server;
mod sources;
mod trouble;

use std::process::{Command, ExitCode};
use std::time::Duration;

use end_to_end::chance::Chance;

/// Set for the program inside of the namespaces.
const INSIDE: &str = "PUMPCC_SOAK_INSIDE";

/// What was asked for.
struct Wish {
    time: Duration,
    seed: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wish = match read(&words) {
        Ok(wish) => wish,
        Err(text) => {
            eprintln!("soak: {text}\nusage: soak [--minutes N | --seconds N] [--seed N]");
            return ExitCode::from(2);
        }
    };
    if std::env::var_os(INSIDE).is_some() {
        return inside::run(wish.time, wish.seed);
    }
    // Decided here, where it can be printed before anything happens.
    let seed = wish.seed.to_string();
    let seconds = wish.time.as_secs().to_string();
    let mut unshare = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        unshare.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    // Built before there is only one folder left to write to.
    end_to_end::programs::stage();
    let status = unshare
        .args([
            "--mount",
            "--pid",
            "--ipc",
            "--fork",
            "--mount-proc",
            "--kill-child",
        ])
        .arg(std::env::current_exe().expect("this program has a path"))
        .args(["--seconds", &seconds, "--seed", &seed])
        .env(INSIDE, "1")
        .env("PUMPCC_STAGE", end_to_end::programs::stage())
        .status();
    match status {
        Ok(status) => status.code().map_or(ExitCode::FAILURE, |code| {
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }),
        Err(error) => {
            eprintln!("soak: unshare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read(words: &[String]) -> Result<Wish, String> {
    let mut wish = Wish {
        time: Duration::from_secs(600),
        seed: Chance::random_seed(),
    };
    for pair in words.chunks(2) {
        let [option, value] = pair else {
            return Err(format!("{} needs a number", pair[0]));
        };
        let number: u64 = value
            .parse()
            .map_err(|_| format!("{option}: {value} is no number"))?;
        match option.as_str() {
            "--minutes" => wish.time = Duration::from_secs(60 * number),
            "--seconds" => wish.time = Duration::from_secs(number),
            "--seed" => wish.seed = number,
            _ => return Err(format!("no such option: {option}")),
        }
    }
    Ok(wish)
}
