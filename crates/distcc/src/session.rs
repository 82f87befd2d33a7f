//! The session of a `pump` of ours, while it goes on: its include server is there, or is started again at the same sockets.
//!
//! `pump` holds these sockets. So a client that comes in between waits in their queues; one whose conversation broke off
//! connects again; and where nobody can be reached, nobody will come. Then compiles run here, where their objects come out
//! the same: text that was preprocessed here makes others with `-g`. Elsewhere (with 3.4's `pump`, after
//! `pump --shutdown`) clients go on as 3.4's do.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};

use protocol::session::{RECORDS, beside_socket};

/// How often a question is asked that include servers end at: it may be the reason. Once more may be asked in another way,
/// as an action and for files; together that is less than what `pump` gives up at.
pub(crate) const MOST_TRIES: u32 = 2;

/// For the log.
pub(crate) const AGAIN: &str = "the include server has ended; asking the next one";

/// Whether there is a session with this `INCLUDE_SERVER_PORT`: `pump` makes a file for it, and removes that at the end.
#[cold]
pub(crate) fn goes_on(port: &OsStr) -> bool {
    beside_socket(port, RECORDS).is_some_and(|file| file.exists())
}

/// Whether a conversation broke off because the other side has ended.
pub(crate) fn has_ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}
