//! Log lines, where and in the form in which distccd 3.4 writes them.
//!
//! `distccd[PID] (function) SEVERITYtext` to a file or standard error, the same without the
//! program's name to syslog (whose daemon adds it). Function names are 3.4's where people look
//! for them. A line is one `write`, so threads and processes may share a file.

use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::fault::reason;

/// How much a line matters; the numbers are syslog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Emergency = 0,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    /// The level that a value of `--log-level` names.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "emerg" | "emergency" => Self::Emergency,
            "alert" => Self::Alert,
            "crit" | "critical" => Self::Critical,
            "err" | "error" => Self::Error,
            "warn" | "warning" => Self::Warning,
            "note" | "notice" => Self::Notice,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return None,
        })
    }

    /// What stands in front of the text.
    fn severity(self) -> &'static str {
        match self {
            Self::Emergency => "EMERGENCY! ",
            Self::Alert => "ALERT! ",
            Self::Critical => "CRITICAL! ",
            Self::Error => "ERROR: ",
            Self::Warning => "Warning: ",
            Self::Notice | Self::Info | Self::Debug => "",
        }
    }
}

/// What 3.4 writes some of its lines with: nothing.
pub(crate) const NO_FUNCTION: &str = "";

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stderr,
    File(PathBuf),
    Syslog,
}

#[derive(Debug)]
enum Sink {
    Stderr,
    File(File),
    Syslog(Option<UnixDatagram>),
}

/// Writes lines up to a level.
#[derive(Debug)]
pub(crate) struct Log {
    level: Level,
    sink: Sink,
}

impl Log {
    /// Lines on standard error: before the options are known, or because of them.
    pub(crate) fn to_stderr(level: Level) -> Self {
        Self {
            level,
            sink: Sink::Stderr,
        }
    }

    /// The log that was asked for. A file that cannot be opened is logged to syslog.
    pub(crate) fn open(target: &Target, level: Level) -> Self {
        let to_syslog = || Self {
            level,
            sink: Sink::Syslog(syslog_socket()),
        };
        match target {
            Target::Stderr => Self::to_stderr(level),
            Target::Syslog => to_syslog(),
            Target::File(path) => match open_append(path) {
                Ok(file) => Self {
                    level,
                    sink: Sink::File(file),
                },
                Err(error) => {
                    let text = format!("failed to open {}: {}", path.display(), reason(&error));
                    Self::to_stderr(level).error("dcc_setup_real_log", &text);
                    let log = to_syslog();
                    log.error("dcc_setup_real_log", &text);
                    log
                }
            },
        }
    }

    /// Whether lines appear on standard error already.
    pub(crate) fn is_stderr(&self) -> bool {
        matches!(self.sink, Sink::Stderr)
    }

    pub(crate) fn error(&self, function: &str, text: impl Display) {
        self.line(Level::Error, function, text);
    }

    pub(crate) fn warning(&self, function: &str, text: impl Display) {
        self.line(Level::Warning, function, text);
    }

    pub(crate) fn notice(&self, function: &str, text: impl Display) {
        self.line(Level::Notice, function, text);
    }

    pub(crate) fn info(&self, function: &str, text: impl Display) {
        self.line(Level::Info, function, text);
    }

    pub(crate) fn debug(&self, function: &str, text: impl Display) {
        self.line(Level::Debug, function, text);
    }

    /// Writes one line, if its level is asked for.
    pub(crate) fn line(&self, level: Level, function: &str, text: impl Display) {
        if level > self.level {
            return;
        }
        let line = line(level, function, text);
        let pid = std::process::id();
        // A log that cannot be written has nowhere to say so.
        let _ = match &self.sink {
            Sink::Stderr => {
                std::io::stderr().write_all(format!("distccd[{pid}] {line}\n").as_bytes())
            }
            Sink::File(file) => {
                let mut file = file;
                file.write_all(format!("distccd[{pid}] {line}\n").as_bytes())
            }
            Sink::Syslog(Some(socket)) => {
                let priority = DAEMON | level as u8;
                let datagram = format!("<{priority}>distccd[{pid}]: {line}");
                socket.send_to(datagram.as_bytes(), SYSLOG).map(|_| ())
            }
            Sink::Syslog(None) => Ok(()),
        };
    }
}

/// Syslog's number for daemons, in the bits above the level.
const DAEMON: u8 = 3 << 3;
const SYSLOG: &str = "/dev/log";

/// Not connected, so that syslog may be restarted meanwhile, and never waiting for it.
fn syslog_socket() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

fn open_append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// A line without program and end. Control characters are escaped: a client chooses file names,
/// but not where our lines end.
fn line(level: Level, function: &str, text: impl Display) -> String {
    let mut line = match function {
        NO_FUNCTION => level.severity().to_owned(),
        function => format!("({function}) {}", level.severity()),
    };
    let _ = fmt::write(&mut Printable(&mut line), format_args!("{text}")); // Strings take it all.
    line
}

struct Printable<'a>(&'a mut String);

impl fmt::Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if c.is_control() {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_3_4_writes_them() {
        for (level, expected) in [
            (Level::Critical, "(f) CRITICAL! text"),
            (Level::Error, "(f) ERROR: text"),
            (Level::Warning, "(f) Warning: text"),
            (Level::Notice, "(f) text"),
        ] {
            assert_eq!(line(level, "f", "text"), expected);
        }
        assert_eq!(
            line(Level::Info, NO_FUNCTION, "job complete"),
            "job complete"
        );
    }

    #[test]
    fn a_file_name_cannot_forge_a_line() {
        assert_eq!(
            line(Level::Info, "f", "a\ndistccd[1] (g) b\u{1b}[31m"),
            "(f) a\\ndistccd[1] (g) b\\u{1b}[31m"
        );
    }

    #[test]
    fn fuzzed_lines() {
        fuzz::Target::new("text in the log")
            .seeds(["a\ndistccd[1] (g) b\u{1b}[31m\u{85}\u{2028}"])
            .run(|text| {
                let line = line(Level::Notice, "f", String::from_utf8_lossy(text));
                assert!(!line.chars().any(char::is_control), "{line:?}");
            });
    }

    #[test]
    fn only_lines_up_to_the_level_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = Log::open(&Target::File(path.clone()), Level::Notice);
        log.notice("f", "seen");
        log.info("f", "not seen");
        let pid = std::process::id();
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            format!("distccd[{pid}] (f) seen\n")
        );
    }

    #[test]
    fn level_names_long_and_short() {
        assert_eq!(Level::from_name("crit"), Level::from_name("critical"));
        assert_eq!(Level::from_name("note"), Some(Level::Notice));
        assert_eq!(Level::from_name("loud"), None);
    }
}
