//! The one line per job that is in every log: who, how it went, how long, what.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use crate::peer::Peer;

/// How a job ended, as 3.4 tells it. `Display` gives its word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    CompileOk,
    CompileError,
    CompileTimeout,
    CliDisconn,
    RejBadReq,
    /// 3.4 has the word, and never uses it.
    RejOverload,
    Other,
}

/// What is known of a job in the end. `Display` gives 3.4's line.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) verdict: Verdict,
    /// The `wait` status.
    pub(crate) status: u32,
    /// The internal code.
    pub(crate) code: i32,
    /// Since the connection was taken.
    pub(crate) time: Duration,
    /// Compiler and source, of a compile that ran.
    pub(crate) names: Option<(OsString, OsString)>,
}

impl Verdict {
    pub(crate) const ALL: [Self; 7] = [
        Self::CompileOk,
        Self::CompileError,
        Self::CompileTimeout,
        Self::CliDisconn,
        Self::RejBadReq,
        Self::RejOverload,
        Self::Other,
    ];
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CompileOk => "COMPILE_OK",
            Self::CompileError => "COMPILE_ERROR",
            Self::CompileTimeout => "COMPILE_TIMEOUT",
            Self::CliDisconn => "CLI_DISCONN",
            Self::RejBadReq => "REJ_BAD_REQ",
            Self::RejOverload => "REJ_OVERLOAD",
            Self::Other => "OTHER",
        })
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "client: {} {} exit:{} sig:{} core:{} ret:{} time:{}ms ",
            self.peer,
            self.verdict,
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
            verdict: Verdict::CompileError,
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
