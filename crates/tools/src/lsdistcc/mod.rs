//! `lsdistcc`: which hosts accept connections on the distcc port and, if asked, can compile.
//!
//! Reading order: `options` (the command line), `names` (which hosts are asked), `domain` (what
//! `-d` appends), `resolve` (names to addresses), `probe` (the test compile's bytes), `connection`
//! (one host), `search` (all hosts at once), `print` (one line per host).
//!
//! Source: `lsdistcc(1)`, and experiments with lsdistcc 3.4.

mod connection;
mod domain;
mod names;
mod options;
mod print;
mod probe;
mod resolve;
mod search;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use domain::Environment;
use options::{Options, Refusal};
use search::{Outcome, Search};

/// Runs the program and returns its exit code, of 3.4: 0 if a name was found to exist, even if
/// no host is up or time ran out, else 1, as for `--help` and bad options.
///
/// `host` and `hostname` are the environment variables `HOST` and `HOSTNAME`.
pub fn run(args: &[OsString], host: Option<OsString>, hostname: Option<OsString>) -> ExitCode {
    let start = Instant::now();
    let mut stdout = std::io::stdout();
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(refusal) => {
            // The usage goes to standard output even then: scripts look for it there.
            let _ = stdout.write_all(options::USAGE.as_bytes());
            if let Refusal::Bad(word) = refusal {
                complain(&format!("lsdistcc: bad option: {}", word.display()));
            }
            return ExitCode::FAILURE;
        }
    };
    let deadline = options.total.map(|total| start + total);
    let domain = if options.append_domain {
        let environment = Environment { host, hostname };
        match domain::read_domain(&environment, deadline) {
            Some(domain) => Some(domain),
            None => {
                complain("Can't get domain name");
                return ExitCode::FAILURE;
            }
        }
    } else {
        None
    };
    let search = Search::new(&options, domain.as_deref(), deadline, &mut stdout);
    match search.and_then(Search::run) {
        Ok(Outcome::NothingFound) => ExitCode::FAILURE,
        Ok(Outcome::Found) => ExitCode::SUCCESS,
        Ok(Outcome::TimeOut) => {
            if options.verbose {
                complain("Timeout!");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("lsdistcc: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes one line to standard error.
fn complain(line: &str) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(std::io::stderr(), "{line}");
}
