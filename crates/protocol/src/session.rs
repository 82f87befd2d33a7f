//! What clients leave behind for the `pump` that they run below: a record of each command, one
//! line in a file beside the include server's socket.
//!
//! ```text
//! pump   2 1834 9120 build1:3632        on a host, preprocessed there; two hosts failed before;
//! plain  0 9034 9120 build1:3632        bytes sent, bytes received
//! here   0 0 0 two input files          on the client's machine, and why
//! pump+  0 1834 9120 build1:3632        the same with `+`: it was to run on the client's machine, too, and this is where
//! here+  0 0 0 it ended here first       it ended first
//! ```
//!
//! `pump` makes the file; a client that finds none writes none. distcc 3.4 knows no such file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The records' file in the folder of a session.
pub const RECORDS: &str = "commands";

/// The file in the folder of a session that is there while its only server is one of its own, on this machine.
pub const PRIVATE_SERVER: &str = "distccd.pid";

/// Longest reason or host name in a record: so much is written in one piece.
const MAX_TEXT_BYTES: usize = 300;

/// Where a command ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where, and what is to be said about it.
    pub ran: Ran,
    /// How many hosts failed at it before.
    pub failed_hosts: u64,
    /// Bytes of the request that was answered.
    pub sent: u64,
    /// Bytes of its answer.
    pub received: u64,
    /// Whether it ran on a host and on the client's machine at the same time: this is where it ended first.
    pub raced: bool,
}

/// Where a command ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// On this host, which preprocessed it, too.
    Pump(OsString),
    /// On this host, preprocessed on the client's machine.
    Plain(OsString),
    /// On the client's machine, for this reason.
    Here(String),
}

/// A file in the folder of the include server's socket, `INCLUDE_SERVER_PORT`; none if that was
/// not made by `pump`, which calls it `socket`.
#[must_use]
pub fn beside_socket(port: &OsStr, name: &str) -> Option<PathBuf> {
    let folder = port.as_bytes().strip_suffix(b"socket")?;
    if !folder.ends_with(b"/") {
        return None;
    }
    let mut file = folder.to_vec();
    file.extend_from_slice(name.as_bytes());
    Some(OsString::from_vec(file).into())
}

impl Record {
    /// One line.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (kind, text) = match &self.ran {
            Ran::Pump(host) => ("pump", host.as_bytes()),
            Ran::Plain(host) => ("plain", host.as_bytes()),
            Ran::Here(why) => ("here", why.as_bytes()),
        };
        let text = &text[..text.len().min(MAX_TEXT_BYTES)];
        let raced = if self.raced { "+" } else { "" };
        let mut line = format!(
            "{kind}{raced} {} {} {} ",
            self.failed_hosts, self.sent, self.received
        )
        .into_bytes();
        line.extend(text.iter().map(|&byte| match byte {
            0..=0x1f | 0x7f => b'?',
            byte => byte,
        }));
        line.push(b'\n');
        line
    }

    /// Reads a line, its end left out; `None` if it is no record.
    #[must_use]
    pub fn decode(line: &[u8]) -> Option<Self> {
        let mut words = line.splitn(5, |&byte| byte == b' ');
        let kind = words.next()?;
        let raced = kind.ends_with(b"+");
        let kind = kind.strip_suffix(b"+").unwrap_or(kind);
        let mut number = || std::str::from_utf8(words.next()?).ok()?.parse().ok();
        let (failed_hosts, sent, received) = (number()?, number()?, number()?);
        let text = words.next()?;
        let host = || OsStr::from_bytes(text).to_owned();
        Some(Self {
            ran: match kind {
                b"pump" => Ran::Pump(host()),
                b"plain" => Ran::Plain(host()),
                b"here" => Ran::Here(String::from_utf8_lossy(text).into_owned()),
                _ => return None,
            },
            failed_hosts,
            sent,
            received,
            raced,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &Record, line: &str) {
        assert_eq!(record.encode(), format!("{line}\n").into_bytes());
        assert_eq!(Record::decode(line.as_bytes()).as_ref(), Some(record));
    }

    #[test]
    fn a_record_is_a_line() {
        let mut record = Record {
            ran: Ran::Pump("build1:3632".into()),
            failed_hosts: 2,
            sent: 1834,
            received: 9120,
            raced: false,
        };
        check(&record, "pump 2 1834 9120 build1:3632");
        record.ran = Ran::Plain("b".into());
        check(&record, "plain 2 1834 9120 b");
        record.ran = Ran::Here("two input files".into());
        check(&record, "here 2 1834 9120 two input files");
        record.raced = true;
        check(&record, "here+ 2 1834 9120 two input files");
    }

    #[test]
    fn what_it_says_fits_in_one_line() {
        let record = Record {
            ran: Ran::Here(format!("option a\nb{}", "x".repeat(1000))),
            failed_hosts: 0,
            sent: 0,
            received: 0,
            raced: false,
        };
        let line = record.encode();
        assert!(line.starts_with(b"here 0 0 0 option a?bxx"));
        assert_eq!(line.len(), 11 + MAX_TEXT_BYTES + 1);
    }

    #[test]
    fn other_lines_are_no_records() {
        for line in [
            "",
            "pump",
            "+ 1 2 3 a",
            "pump 1 2 3",
            "there 0 0 0 x",
            "pump x 0 0 h",
        ] {
            assert_eq!(Record::decode(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn only_pumps_sockets_have_files_beside_them() {
        let beside = |port: &str| beside_socket(port.as_ref(), RECORDS);
        assert_eq!(
            beside("/t/x/socket").unwrap(),
            PathBuf::from("/t/x/commands")
        );
        assert_eq!(beside("/t/mysocket"), None);
        assert_eq!(beside("/t/other"), None);
    }
}
