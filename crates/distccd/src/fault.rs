//! Why a connection ends without an answer. The client sees no more than that it was closed
//! (the protocol has no word for it, and falls back to another host or itself), so the log has
//! to say it: one line per fault, written by [`crate::job`].

use std::fmt;
use std::io;
use std::time::Duration;

use protocol::lzo::LzoError;
use protocol::request::RequestError;

use crate::log::Level;
use crate::summary::Verdict;
use crate::tree::TreeError;
use crate::wire::SLOWEST;

/// [`Fault::TooLarge`] of what the compiler wrote.
pub(crate) const ANSWER: &str = "answer";

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The client connected and went without a word: a port scan, a monitoring system.
    NoRequest,
    /// The client went between the command and the source: its preprocessor failed.
    OnlyHead,
    /// The connection ended inside a header or string.
    Truncated,
    /// The connection ended inside a body.
    BodyTruncated,
    /// The client went while its job was queued, compiled or answered.
    ClientGone,
    /// Nothing came, or nothing was taken, for too long.
    Silent(Duration),
    /// The whole command did not come in time.
    SlowHead(Duration),
    /// What follows the command, or the answer, moves more slowly than we wait for.
    Slow,
    /// Reading or writing the connection failed otherwise.
    Connection(io::Error),
    /// Not a request.
    Malformed(RequestError),
    /// A body that cannot be unpacked.
    Unsound {
        /// Client's name of the file.
        name: String,
        error: LzoError,
    },
    /// A file or link of the client's tree that cannot be made.
    Tree(TreeError),
    /// More than the server has room for.
    TooLarge {
        what: &'static str,
        bytes: u64,
        max: u64,
    },
    /// More than the client may have now; of what.
    NoRoom(&'static str),
    /// Asks for something that this server does not do.
    Refused(Refusal),
    /// The compiler reported success and wrote no such file.
    NoOutput(&'static str),
    /// It is no request, but the question why the connection from this port was closed.
    AsksWhy(u32),
    /// It is no request either, but the beginning of HTTP/2.
    SpeaksHttp2,
    /// The server itself failed.
    Server {
        doing: &'static str,
        error: io::Error,
    },
    /// The server stops.
    Stopping,
}

/// Why a command is not run, in the words of 3.4 where it has some.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) level: Level,
    /// The function name that stands in the log.
    pub(crate) function: &'static str,
    pub(crate) text: String,
    /// The internal code in the job's summary.
    pub(crate) code: i32,
}

impl Fault {
    pub(crate) fn server(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Server { doing, error }
    }

    /// What the system said, where a file could not be written.
    pub(crate) fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Server { error, .. } | Self::Tree(TreeError::Io { error, .. }) => Some(error),
            _ => None,
        }
    }

    /// How much its line matters. What happens to honest clients every day is no warning.
    pub(crate) fn level(&self) -> Level {
        match self {
            Self::NoRequest
            | Self::OnlyHead
            | Self::ClientGone
            | Self::AsksWhy(_)
            | Self::SpeaksHttp2 => Level::Info,
            Self::Truncated
            | Self::BodyTruncated
            | Self::Silent(_)
            | Self::SlowHead(_)
            | Self::Slow
            | Self::Stopping
            | Self::NoRoom(_)
            | Self::Connection(_) => Level::Warning,
            Self::Refused(refusal) => refusal.level,
            _ => Level::Error,
        }
    }

    /// The function name that stands in the log.
    pub(crate) fn function(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.function,
            Self::ClientGone
            | Self::NoOutput(_)
            | Self::Server { .. }
            | Self::TooLarge { what: ANSWER, .. } => "dcc_run_job",
            _ => "dcc_r_request",
        }
    }

    /// What stands in the job's summary, and the internal code there.
    pub(crate) fn verdict(&self) -> (Verdict, i32) {
        const GENERAL: i32 = 100;
        const IO: i32 = 107;
        const TRUNCATED: i32 = 108;
        const PROTOCOL: i32 = 109;
        const BUSY: i32 = 114;
        const TIMEOUT: i32 = 118;
        match self {
            Self::NoRequest | Self::Truncated | Self::AsksWhy(_) | Self::SpeaksHttp2 => {
                (Verdict::Other, TRUNCATED)
            }
            Self::OnlyHead | Self::BodyTruncated | Self::ClientGone | Self::Connection(_) => {
                (Verdict::CliDisconn, IO)
            }
            Self::Silent(_) | Self::SlowHead(_) | Self::Slow => (Verdict::CliDisconn, TIMEOUT),
            // The client's request was fine.
            Self::TooLarge { what: ANSWER, .. } => (Verdict::Other, GENERAL),
            Self::Malformed(_) | Self::Unsound { .. } | Self::Tree(_) | Self::TooLarge { .. } => {
                (Verdict::RejBadReq, PROTOCOL)
            }
            Self::Refused(refusal) => (Verdict::Other, refusal.code),
            Self::NoRoom(_) => (Verdict::RejOverload, BUSY),
            Self::NoOutput(_) | Self::Stopping => (Verdict::Other, GENERAL),
            Self::Server { .. } => (Verdict::Other, IO),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsksWhy(port) => write!(f, "why was the connection from port {port} closed?"),
            Self::SpeaksHttp2 => f.write_str("client speaks HTTP/2"),
            Self::NoRequest => f.write_str("client closed the connection without a request"),
            Self::OnlyHead => f.write_str("client closed the connection before sending its source"),
            Self::Truncated | Self::BodyTruncated => {
                f.write_str("unexpected eof: client closed the connection inside its request")
            }
            Self::ClientGone => f.write_str("client closed the connection before the answer"),
            Self::Silent(limit) => write!(f, "IO timeout: nothing moved for {} s", limit.as_secs()),
            Self::Slow => write!(f, "IO timeout: less than {SLOWEST} bytes each second"),
            Self::SlowHead(limit) => {
                write!(
                    f,
                    "IO timeout: no complete command within {} s",
                    limit.as_secs()
                )
            }
            Self::Connection(error) => write!(f, "connection failed: {}", reason(error)),
            Self::Malformed(error) => error.fmt(f),
            Self::Unsound { name, error } => {
                write!(f, "LZO1X1 decompression failed: \"{name}\": {error}")
            }
            Self::Tree(error) => error.fmt(f),
            Self::TooLarge { what, bytes, max } => {
                write!(f, "{what} of {bytes} bytes, more than the limit of {max}")
            }
            Self::NoRoom(what) => write!(f, "no room for more {what} of this client now"),
            Self::Refused(refusal) => f.write_str(&refusal.text),
            Self::NoOutput(what) => write!(f, "compiler succeeded without writing its {what}"),
            Self::Server { doing, error } => write!(f, "failed {doing}: {}", reason(error)),
            Self::Stopping => f.write_str("server stops: job not done"),
        }
    }
}

/// The system's words for an error, without the number that Rust adds.
pub(crate) fn reason(error: &io::Error) -> String {
    let mut text = error.to_string();
    if let Some(number) = text.find(" (os error ") {
        text.truncate(number);
    }
    // "failed to lookup address information: Name or service not known"
    match text.split_once("address information: ") {
        Some((_, reason)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_the_systems_words() {
        assert_eq!(
            reason(&io::Error::from_raw_os_error(2)),
            "No such file or directory"
        );
    }
}
