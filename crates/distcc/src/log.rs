//! Log lines, where and in the form in which distcc 3.4 writes them.
//!
//! `distcc[PID] (function) SEVERITYtext`. Function names are 3.4's where people know them; some
//! messages have none. Each line is one `write`, so that processes may share a file.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::BorrowedFd;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing can be done.
    Critical,
    /// Something went wrong.
    Error,
    /// Something to know about.
    Warning,
    /// What happens, step by step.
    Info,
    /// Details.
    Debug,
}

/// Writes lines up to a level.
#[derive(Debug)]
pub(crate) struct Log {
    max: Level,
    sink: Option<File>,
    /// All lines of all levels, if somebody wants to have them later.
    transcript: Option<RefCell<Vec<u8>>>,
}

/// What the environment says about logging.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// `DISTCC_LOG`, if not empty: lines go to this file.
    pub(crate) file: Option<OsString>,
    /// `UNCACHED_ERR_FD`, which ccache sets: lines go to this descriptor, because standard error
    /// is what it keeps and replays.
    pub(crate) descriptor: Option<i32>,
    /// `DISTCC_VERBOSE=1`: all lines.
    pub(crate) verbose: bool,
    /// All lines are kept for [`Log::transcript`].
    pub(crate) transcript: bool,
}

impl Log {
    /// Opens the log. A file that cannot be opened is complained about on standard error, which
    /// takes its place.
    pub(crate) fn open(wishes: &Wishes) -> Self {
        let level = |quiet| if wishes.verbose { Level::Debug } else { quiet };
        let transcript = wishes.transcript.then(RefCell::default);
        if let Some(path) = &wishes.file {
            match OpenOptions::new().append(true).create(true).open(path) {
                Ok(file) => {
                    return Self {
                        max: level(Level::Info),
                        sink: Some(file),
                        transcript,
                    };
                }
                Err(error) => Self {
                    max: Level::Error,
                    sink: None,
                    transcript: None,
                }
                .error(
                    "dcc_set_trace_from_env",
                    format_args!(
                        "failed to open logfile {}: {}",
                        path.display(),
                        Reason(&error)
                    ),
                ),
            }
        }
        Self {
            max: level(Level::Warning),
            sink: wishes.descriptor.and_then(duplicate),
            transcript,
        }
    }

    /// Whether lines of this level are wanted at all.
    pub(crate) fn shows(&self, level: Level) -> bool {
        level <= self.max || self.transcript.is_some()
    }

    /// All lines so far, those that were not shown included; nothing unless they were wished for.
    pub(crate) fn transcript(&self) -> Vec<u8> {
        let lines = self.transcript.as_ref();
        lines.map_or(Vec::new(), |lines| lines.borrow().clone())
    }

    pub(crate) fn critical(&self, function: &str, text: fmt::Arguments<'_>) {
        self.line(Level::Critical, function, text);
    }

    pub(crate) fn error(&self, function: &str, text: fmt::Arguments<'_>) {
        self.line(Level::Error, function, text);
    }

    pub(crate) fn warning(&self, function: &str, text: fmt::Arguments<'_>) {
        self.line(Level::Warning, function, text);
    }

    pub(crate) fn info(&self, function: &str, text: fmt::Arguments<'_>) {
        self.line(Level::Info, function, text);
    }

    pub(crate) fn debug(&self, function: &str, text: fmt::Arguments<'_>) {
        self.line(Level::Debug, function, text);
    }

    fn line(&self, level: Level, function: &str, text: fmt::Arguments<'_>) {
        if !self.shows(level) {
            return;
        }
        let line = format_line(std::process::id(), level, function, text);
        if let Some(transcript) = &self.transcript {
            transcript.borrow_mut().extend_from_slice(line.as_bytes());
            if level > self.max {
                return;
            }
        }
        // There is nobody left to tell when the log itself fails.
        let _ = match &self.sink {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        };
    }
}

/// A descriptor of our own for one that our parent left open; `None` if it is not open. Without
/// a copy a stale number would later be that of our own socket, and lines would go there.
fn duplicate(descriptor: i32) -> Option<File> {
    // SAFETY: the number is only handed to `fcntl(F_DUPFD_CLOEXEC)`, which checks it itself, and
    // the borrow ends with this statement.
    let given = unsafe { BorrowedFd::borrow_raw(descriptor) };
    rustix::io::fcntl_dupfd_cloexec(given, 3)
        .ok()
        .map(File::from)
}

fn format_line(pid: u32, level: Level, function: &str, text: fmt::Arguments<'_>) -> String {
    let severity = match level {
        Level::Critical => "CRITICAL! ",
        Level::Error => "ERROR: ",
        Level::Warning => "Warning: ",
        Level::Info | Level::Debug => "",
    };
    match function {
        "" => format!("distcc[{pid}] {severity}{text}\n"),
        _ => format!("distcc[{pid}] ({function}) {severity}{text}\n"),
    }
}

/// An I/O error in the words of `strerror`, without the number that Rust adds.
pub(crate) struct Reason<'a>(pub(crate) &'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let without_number = text.strip_suffix(')').and_then(|text| {
            let (words, number) = text.rsplit_once(" (os error ")?;
            number.bytes().all(|b| b.is_ascii_digit()).then_some(words)
        });
        f.write_str(without_number.unwrap_or(&text))
    }
}

/// A command as people read it: words with blanks, quotes or semicolons in double quotes.
pub(crate) struct Words<'a>(pub(crate) &'a [OsString]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, word) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            write_word(f, word)?;
        }
        Ok(())
    }
}

fn write_word(f: &mut fmt::Formatter<'_>, word: &OsStr) -> fmt::Result {
    let special = |byte: &u8| byte.is_ascii_whitespace() || b"\"';".contains(byte);
    if word.as_encoded_bytes().iter().any(special) {
        write!(f, "\"{}\"", word.display())
    } else {
        write!(f, "{}", word.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: Level, function: &str, expected: &str) {
        let line = format_line(7, level, function, format_args!("it is so"));
        assert_eq!(line, expected);
    }

    #[test]
    fn lines_look_like_those_of_3_4() {
        check(Level::Error, "", "distcc[7] ERROR: it is so\n");
        check(Level::Warning, "f", "distcc[7] (f) Warning: it is so\n");
        check(
            Level::Critical,
            "main",
            "distcc[7] (main) CRITICAL! it is so\n",
        );
        check(Level::Info, "f", "distcc[7] (f) it is so\n");
    }

    #[test]
    fn reasons_carry_no_number() {
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(Reason(&error).to_string(), "No such file or directory");
        let error = io::Error::other(format!("cannot open x: {error}"));
        assert_eq!(
            Reason(&error).to_string(),
            "cannot open x: No such file or directory"
        );
        let error = io::Error::other("no idea (os error)");
        assert_eq!(Reason(&error).to_string(), "no idea (os error)");
    }

    #[test]
    fn words_with_blanks_are_quoted() {
        let words = ["cc", "a b.c", "x;y"].map(OsString::from);
        assert_eq!(Words(&words).to_string(), "cc \"a b.c\" \"x;y\"");
    }
}
