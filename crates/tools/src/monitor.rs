//! `distccmon-text`: what the clients of this machine are doing, as text.
//!
//! Source: `distccmon-text(1)`, and experiments with distccmon-text 3.4. Two things differ: a
//! job that stays in one phase for more than a minute is shown as long as its client lives
//! (3.4 hides it and deletes its record, see [`statedir::clients`]), and bytes in names that
//! would move the terminal's cursor are shown as `?`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use statedir::StateDir;
use statedir::monitor::{Phase, Record};

const USAGE: &str = "\
Usage: distccmon-text [SECONDS]

Show what the distcc clients of this user are doing: process, phase, file,
host and slot. With SECONDS, which may be a fraction, show it again and again
with that pause in between; otherwise show it once.
";

/// Exit code of 3.4 for a folder that cannot be read.
const IO_ERROR: u8 = 107;

/// The environment variables that say where the records are.
pub struct Environment {
    /// `DISTCC_DIR`
    pub distcc_dir: Option<OsString>,
    /// `HOME`
    pub home: Option<OsString>,
}

/// Runs the program and returns its exit code.
pub fn run(args: &[OsString], environment: &Environment) -> ExitCode {
    let delay = match args {
        [] => None,
        [delay] => match parse_delay(delay) {
            Some(delay) => delay,
            None => return usage(),
        },
        _ => return usage(),
    };
    let Some(dir) = state_dir(environment) else {
        let _ = writeln!(
            io::stderr(),
            "distccmon-text: neither DISTCC_DIR nor HOME is set"
        );
        return ExitCode::FAILURE;
    };
    match show(&dir, delay, &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read us has seen enough: `distccmon-text 1 | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "distccmon-text: {error}");
            ExitCode::from(IO_ERROR)
        }
    }
}

fn usage() -> ExitCode {
    let _ = io::stderr().write_all(USAGE.as_bytes());
    ExitCode::FAILURE
}

/// A number of seconds, zero meaning once (`None` inside); `None` for anything else.
fn parse_delay(text: &OsStr) -> Option<Option<Duration>> {
    let seconds: f64 = text.to_str()?.trim_start().parse().ok()?;
    let delay = Duration::try_from_secs_f64(seconds).ok()?;
    Some((!delay.is_zero()).then_some(delay))
}

/// `$DISTCC_DIR`, or `~/.distcc`. A variable that is empty counts as unset.
fn state_dir(environment: &Environment) -> Option<StateDir> {
    let set = |variable: &Option<OsString>| variable.clone().filter(|value| !value.is_empty());
    let default = || set(&environment.home).map(|home| PathBuf::from(home).join(".distcc"));
    let path = set(&environment.distcc_dir).map(PathBuf::from);
    path.or_else(default).map(StateDir::new)
}

fn show(dir: &StateDir, delay: Option<Duration>, output: &mut impl Write) -> io::Result<()> {
    loop {
        let mut round = Vec::new();
        for record in dir.read_clients()? {
            if record.phase != Phase::Done {
                line(&record, &mut round);
            }
        }
        round.push(b'\n');
        output.write_all(&round)?;
        output.flush()?;
        match delay {
            Some(delay) => std::thread::sleep(delay),
            None => return Ok(()),
        }
    }
}

/// One record as 3.4 prints it: `%6ld  %-10.10s  %-30.30s %24.24s[%d]`.
fn line(record: &Record, out: &mut Vec<u8>) {
    out.extend(format!("{:>6}  {:<10}  ", record.pid, record.phase.name()).into_bytes());
    let (file, blanks) = column(&record.file, 30);
    out.extend(file);
    out.resize(out.len() + blanks + 1, b' ');
    let (host, blanks) = column(&record.host, 24);
    out.resize(out.len() + blanks, b' ');
    out.extend(host);
    out.extend(format!("[{}]\n", record.slot).into_bytes());
}

/// A name cut to `width` bytes, and the number of blanks that fill the rest.
fn column(name: &OsStr, width: usize) -> (Vec<u8>, usize) {
    let bytes = name.as_bytes().iter().take(width);
    let shown: Vec<u8> = bytes
        .map(|&b| if b.is_ascii_control() { b'?' } else { b })
        .collect();
    let blanks = width - shown.len();
    (shown, blanks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, host: &str, phase: Phase, expected: &str) {
        let record = Record {
            pid: 8302,
            file: file.into(),
            host: host.into(),
            slot: 0,
            phase,
        };
        let mut out = Vec::new();
        line(&record, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn lines_are_those_of_3_4() {
        check(
            "e.i",
            "127.0.0.1",
            Phase::Compile,
            "  8302  Compile     e.i                                           127.0.0.1[0]\n",
        );
        check(
            "a-file-with-a-name-of-more-than-30-bytes.c",
            "a-host-with-a-name-of-more-than-24-bytes",
            Phase::Preprocess,
            "  8302  Preprocess  a-file-with-a-name-of-more-tha a-host-with-a-name-of-mo[0]\n",
        );
        check(
            "a\n\x1b[2J.c",
            "h\tx",
            Phase::Send,
            "  8302  Send        a??[2J.c                                            h?x[0]\n",
        );
    }

    #[test]
    fn delays() {
        let seconds = |seconds| Some(Some(Duration::from_secs_f64(seconds)));
        for (text, expected) in [
            ("0", Some(None)),
            ("0.0", Some(None)),
            ("2", seconds(2.0)),
            (" 1", seconds(1.0)),
            ("1e-1", seconds(0.1)),
            ("", None),
            ("1x", None),
            ("1 ", None),
            ("-1", None),
            ("nan", None),
            ("inf", None),
            ("--help", None),
        ] {
            assert_eq!(parse_delay(OsStr::new(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn records_are_below_distcc_dir_or_home() {
        for (distcc_dir, home, expected) in [
            (Some("/d"), Some("/h"), Some("/d")),
            (Some(""), Some("/h"), Some("/h/.distcc")),
            (None, Some("/h"), Some("/h/.distcc")),
            (None, Some(""), None),
            (None, None, None),
        ] {
            let environment = Environment {
                distcc_dir: distcc_dir.map(Into::into),
                home: home.map(Into::into),
            };
            let dir = state_dir(&environment);
            assert_eq!(
                dir.as_ref().map(StateDir::path),
                expected.map(std::path::Path::new)
            );
        }
    }
}
