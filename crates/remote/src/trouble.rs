//! What may go wrong between an action and its result.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bazel_remote_apis::google::rpc;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why there is no result from this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached, or went away: another server may do it.
    Away(String),
    /// Whoever is there does not speak the API.
    Foreign(String),
    /// It does not keep what it is sent: each further action would bring all of it there again.
    Forgetful(String),
    /// It has too much to do; perhaps it said when to come again.
    Busy {
        /// Its own words.
        said: String,
        /// Not before.
        again: Option<Duration>,
    },
    /// It keeps results and runs nothing.
    CacheOnly,
    /// It runs nothing of this kind, or nothing for us: asking again is of no use.
    Refused(String),
    /// The command took longer than the server allows.
    TimedOut,
    /// It broke the rules: other contents than said, a link for a file, more than agreed. Its answers are not used.
    Liar(String),
    /// It has, or makes, trouble of its own.
    Broken(String),
    /// A file that the action needs could not be read here.
    Unreadable(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(said) => write!(f, "not reachable: {said}"),
            Self::Foreign(said) => write!(f, "does not speak the Remote Execution API: {said}"),
            Self::Forgetful(what) => write!(
                f,
                "does not keep what it is sent, perhaps for want of disk: {what}"
            ),
            Self::Busy { said, .. } => write!(f, "overloaded: {said}"),
            Self::CacheOnly => f.write_str("keeps results only, and runs nothing"),
            Self::Refused(said) => write!(f, "refused: {said}"),
            Self::TimedOut => f.write_str("took longer than the server allows"),
            Self::Liar(what) => write!(f, "broke the protocol: {what}"),
            Self::Broken(said) => write!(f, "failed: {said}"),
            Self::Unreadable(what) => write!(f, "an input could not be read: {what}"),
        }
    }
}

impl Error for Trouble {}

/// An error with what is behind it: the outermost alone says "transport error".
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// A status that is part of an answer, with all that it says.
pub(crate) fn said_within(status: &rpc::Status) -> Status {
    let details = status.encode_to_vec().into();
    Status::with_details(Code::from(status.code), status.message.clone(), details)
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Trouble {
        let said = match status.message() {
            "" => status.code().description().to_owned(),
            said => said.to_owned(),
        };
        match status.code() {
            // Not the server's words, but what became of the connection.
            Code::Unknown if status.source().is_some() => Self::Away(chain(&status)),
            Code::Unavailable | Code::Aborted | Code::Cancelled => Self::Away(said),
            Code::ResourceExhausted => Self::Busy {
                again: status
                    .get_details_retry_info()
                    .and_then(|info| info.retry_delay),
                said,
            },
            Code::Unimplemented => Self::CacheOnly,
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::OutOfRange
            | Code::NotFound => Self::Refused(said),
            Code::DeadlineExceeded => Self::TimedOut,
            _ => Self::Broken(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn each_code_says_what_can_be_done() {
        let again = Some(Duration::from_secs(3));
        let busy = Status::with_error_details(
            Code::ResourceExhausted,
            "full",
            ErrorDetails::with_retry_info(again),
        );
        let said = "full".to_owned();
        assert_eq!(Trouble::from(busy), Trouble::Busy { said, again });
        for (code, expected) in [
            (Code::Unavailable, Trouble::Away("x".into())),
            (Code::InvalidArgument, Trouble::Refused("x".into())),
            (Code::Unimplemented, Trouble::CacheOnly),
            (Code::DeadlineExceeded, Trouble::TimedOut),
            (Code::Internal, Trouble::Broken("x".into())),
            (Code::Unknown, Trouble::Broken("x".into())),
        ] {
            assert_eq!(Trouble::from(Status::new(code, "x")), expected);
        }
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let gone = Status::from_error(Box::new(gone));
        let expected = Trouble::Away("connection reset".into());
        assert_eq!(Trouble::from(gone), expected);
    }
}
