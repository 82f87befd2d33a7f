//! Exit codes: the compiler's own where one ran, else those of distcc 3.4 from 100 upwards.

use std::fmt;
use std::process::{ExitCode, ExitStatus};

use std::os::unix::process::ExitStatusExt;

/// What this process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// All went well.
    pub(crate) const SUCCESS: Self = Self(0);
    /// `--scan-includes` could not ask the include server, or `DISTCC_TESTING_INCLUDE_SERVER`
    /// wants its failure to be seen. 3.4 ends in 1 here.
    pub(crate) const NO_INCLUDES: Self = Self(1);
    /// Anything without a code of its own.
    pub(crate) const FAILURE: Self = Self(100);
    /// A call that makes no sense, or a variable that is not a number.
    pub(crate) const BAD_ARGUMENTS: Self = Self(101);
    /// The machine has no memory left, or no room for one more process.
    pub(crate) const OUT_OF_MEMORY: Self = Self(105);
    /// A file could not be read or written.
    pub(crate) const IO_ERROR: Self = Self(107);
    /// The compiler cannot be run.
    pub(crate) const COMPILER_MISSING: Self = Self(110);
    /// We are our own compiler.
    pub(crate) const RECURSION: Self = Self(111);
    /// No host was left, and falling back is forbidden.
    pub(crate) const NO_HOSTS: Self = Self(116);

    /// The code for a finished compiler, here or on a server: its own, or 128 and its signal.
    pub(crate) fn of(status: ExitStatus) -> Self {
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal))
            .and_then(|code| u8::try_from(code).ok());
        code.map_or(Self::FAILURE, Self)
    }

    /// A code that a compiler ended with.
    pub(crate) fn with(code: u32) -> Self {
        u8::try_from(code).map_or(Self::FAILURE, Self)
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// How a compiler that did not succeed ended, as the end of "compile FILE on HOST".
pub(crate) struct Ending(pub(crate) ExitStatus);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(signal) = self.0.signal() else {
            return match Exit::of(self.0).code() {
                1 => f.write_str(" failed"),
                code => write!(f, " failed with exit code {code}"),
            };
        };
        match signal_name(signal) {
            Some(name) => write!(f, ": {name}")?,
            None => write!(f, ": signal {signal}")?,
        }
        if self.0.core_dumped() {
            f.write_str(" (core dumped)")?;
        }
        Ok(())
    }
}

/// What `strsignal` says, for the signals that end compilers.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGSYS => "Bad system call",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wait_status: i32, code: u8, words: &str) {
        let status = ExitStatus::from_raw(wait_status);
        assert_eq!(Exit::of(status).code(), code);
        assert_eq!(Ending(status).to_string(), words);
    }

    #[test]
    fn wait_statuses() {
        check(0x100, 1, " failed");
        check(0x2a00, 42, " failed with exit code 42");
        check(0x0b, 139, ": Segmentation fault");
        check(0x8b, 139, ": Segmentation fault (core dumped)");
        check(0x22, 162, ": signal 34");
    }

    #[test]
    fn a_status_that_is_no_end_is_a_failure() {
        assert_eq!(Exit::of(ExitStatus::from_raw(0x137f)), Exit::FAILURE);
    }
}
