//! The one line per job that is in every log: who, how it went, how long, what.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use crate::peer::Peer;

/// How a compile ended that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    TimedOut,
}

/// What is known of a job in the end. `Display` gives 3.4's line.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) peer: &'a Peer,
    /// `COMPILE_OK`, `REJ_BAD_REQ`, ...
    pub(crate) result: &'static str,
    /// The `wait` status.
    pub(crate) status: u32,
    /// The internal code.
    pub(crate) code: i32,
    /// Since the connection was taken.
    pub(crate) time: Duration,
    /// Compiler and source, of a compile that ran.
    pub(crate) names: Option<(OsString, OsString)>,
}

impl Outcome {
    pub(crate) fn result(self) -> &'static str {
        match self {
            Self::Ok => "COMPILE_OK",
            Self::Error => "COMPILE_ERROR",
            Self::TimedOut => "COMPILE_TIMEOUT",
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "client: {} {} exit:{} sig:{} core:{} ret:{} time:{}ms ",
            self.peer,
            self.result,
            self.status >> 8 & 0xff,
            self.status & 0x7f,
            self.status >> 7 & 1,
            self.code,
            self.time.as_millis(),
        )?;
        match &self.names {
            Some((compiler, source)) => write!(f, "{} {}", compiler.display(), source.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_3_4_writes_them() {
        let peer = Peer::Tcp("127.0.0.1:39526".parse().unwrap());
        let mut summary = Summary {
            peer: &peer,
            result: Outcome::Error.result(),
            status: 0x100,
            code: 0,
            time: Duration::from_millis(40),
            names: Some(("gcc".into(), "b.c".into())),
        };
        assert_eq!(
            summary.to_string(),
            "client: 127.0.0.1:39526 COMPILE_ERROR exit:1 sig:0 core:0 ret:0 time:40ms gcc b.c"
        );
        summary.status = 0x8b;
        summary.names = None;
        assert_eq!(
            summary.to_string(),
            "client: 127.0.0.1:39526 COMPILE_ERROR exit:0 sig:11 core:1 ret:0 time:40ms "
        );
    }
}
