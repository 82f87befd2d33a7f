//! What became of a build's commands: counted from the records that clients leave in the
//! session's folder (`protocol::session`), told while the build runs and at its end.
//!
//! Clients of distcc 3.4 leave none; then there is nothing to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use protocol::session::{RECORDS, Ran, Record};

use super::messages::{RULE, plural};

/// Reasons that are named; more are only counted.
const MOST_REASONS: usize = 5;

/// Reads the records of a session while they are written.
#[derive(Debug)]
pub(super) struct Records {
    file: File,
    /// The start of a line whose end was not there yet.
    rest: Vec<u8>,
    counts: Counts,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Commands on hosts, preprocessed there.
    pump: u64,
    /// Commands on hosts, preprocessed here.
    plain: u64,
    hosts: BTreeSet<OsString>,
    /// Commands on this machine, by reason.
    here: BTreeMap<String, u64>,
    /// Commands that were begun here, too.
    raced: u64,
    /// Those among them that ended here first.
    ended_here: u64,
    /// Commands at which a host failed.
    failed_over: u64,
    sent: u64,
    received: u64,
}

impl Records {
    /// Makes the file that clients look for.
    pub(super) fn create(folder: &Path) -> io::Result<()> {
        File::create(folder.join(RECORDS)).map(drop)
    }

    /// Opens it, to be read from its beginning.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(folder.join(RECORDS))?,
            rest: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// Counts what has come since the last time; whether anything has.
    pub(super) fn read(&mut self) -> bool {
        // What cannot be read is not counted: nothing depends on it.
        let _ = self.file.read_to_end(&mut self.rest);
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            return false;
        };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        let records = lines.split(|&byte| byte == b'\n');
        records
            .filter_map(Record::decode)
            .for_each(|record| self.counts.add(record));
        true
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Counts {
    fn add(&mut self, record: Record) {
        self.sent += record.sent;
        self.received += record.received;
        self.failed_over += u64::from(record.failed_hosts > 0);
        self.raced += u64::from(record.raced);
        self.ended_here += u64::from(record.raced && matches!(record.ran, Ran::Here(_)));
        match record.ran {
            Ran::Pump(host) => {
                self.pump += 1;
                self.hosts.insert(host);
            }
            Ran::Plain(host) => {
                self.plain += 1;
                self.hosts.insert(host);
            }
            Ran::Here(why) => *self.here.entry(why).or_default() += 1,
        }
    }

    fn total_here(&self) -> u64 {
        self.here.values().sum()
    }

    /// A line about a build that goes on; none before its first command has ended.
    pub(super) fn progress(&self, elapsed: Duration) -> Option<String> {
        let all = self.pump + self.plain + self.total_here();
        (all > 0).then(|| format!("{RULE}{}", self.figures(all, elapsed)))
    }

    /// The lines about a build that has ended, none if no client left a record.
    pub(super) fn summary(&self, elapsed: Duration) -> Vec<String> {
        let mut lines: Vec<String> = self.progress(elapsed).into_iter().collect();
        if !self.here.is_empty() {
            lines.push(format!("{RULE}Here because: {}", self.reasons()));
        }
        let Self {
            raced, ended_here, ..
        } = self;
        if *raced > 0 {
            let (plural, was) = (plural(*raced), if *raced == 1 { "was" } else { "were" });
            lines.push(format!(
                "{RULE}{raced} command{plural} {was} begun here, too: {ended_here} ended here first"
            ));
        }
        lines
    }

    fn figures(&self, all: u64, elapsed: Duration) -> String {
        let Self {
            plain, failed_over, ..
        } = self;
        let remote = self.pump + plain;
        let mut text = format!("{all} command{}", plural(all));
        text += &format!(" in {}: {remote} on", Seconds(elapsed));
        text += &match self.hosts.len() {
            1 => " 1 server".to_owned(),
            hosts => format!(" {hosts} servers"),
        };
        if *plain > 0 {
            text += &format!(" ({plain} preprocessed here)");
        }
        text += &format!(", {} here", self.total_here());
        if *failed_over > 0 {
            text += &format!(", {failed_over} after a server failed");
        }
        text += &format!(
            "; {} sent, {} received",
            Bytes(self.sent),
            Bytes(self.received)
        );
        text
    }

    /// The most frequent reasons first.
    fn reasons(&self) -> String {
        let mut list: Vec<_> = self.here.iter().collect();
        list.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut words: Vec<String> = list
            .iter()
            .take(MOST_REASONS)
            .map(|(why, count)| format!("{count} x {why}"))
            .collect();
        let others: u64 = list
            .iter()
            .skip(MOST_REASONS)
            .map(|(_, count)| **count)
            .sum();
        if others > 0 {
            words.push(format!("{others} x other reasons"));
        }
        words.join(", ")
    }
}

/// A span of time as people say it.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds @ 60.. => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            _ => write!(f, "{:.1} s", self.0.as_secs_f64()),
        }
    }
}

/// A number of bytes as people say it.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1024 => write!(f, "{} bytes", self.0),
            1024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn counted(lines: &[u8]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        Records::create(dir.path()).unwrap();
        let mut records = Records::open(dir.path()).unwrap();
        let mut file = OpenOptions::new()
            .append(true)
            .open(dir.path().join(RECORDS))
            .unwrap();
        // In two pieces, the first of which may end anywhere.
        let (first, second) = lines.split_at(lines.len() / 2);
        for piece in [first, second] {
            file.write_all(piece).unwrap();
            records.read();
        }
        assert!(!records.read());
        records.counts().summary(Duration::from_millis(12_340))
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        assert_eq!(counted(b""), [""; 0]);
    }

    #[test]
    fn a_build_in_one_line() {
        assert_eq!(
            counted(b"pump 0 1000 2000000 a:1\n"),
            [
                "__________1 command in 12.3 s: 1 on 1 server, 0 here; 1000 bytes sent, 1.9 MiB \
              received"
            ]
        );
    }

    #[test]
    fn races_are_counted_where_they_ended() {
        let lines = b"pump 0 0 0 a\npump+ 0 0 0 a\nhere+ 0 0 0 first\nhere 0 0 0 other\n";
        assert_eq!(
            counted(lines)[1..],
            [
                "__________Here because: 1 x first, 1 x other",
                "__________2 commands were begun here, too: 1 ended here first",
            ]
        );
        let one = counted(b"pump+ 0 0 0 a\n");
        let expected = "1 command was begun here, too: 0 ended here first";
        assert!(one[1].ends_with(expected), "{one:?}");
    }

    #[test]
    fn all_that_can_be_told() {
        let mut lines = String::new();
        for number in 0..6 {
            lines += &format!("here 1 0 0 reason {number}\n");
        }
        lines += "nonsense\nhere 0 0 0 reason 5\nplain 0 2000 5 b\npump 0 0 0 a\n";
        assert_eq!(
            counted(lines.as_bytes()),
            [
                "__________9 commands in 12.3 s: 2 on 2 servers (1 preprocessed here), 7 here, 6 \
                 after a server failed; 2.0 KiB sent, 5 bytes received",
                "__________Here because: 2 x reason 5, 1 x reason 0, 1 x reason 1, 1 x reason 2, \
                 1 x reason 3, 1 x other reasons",
            ]
        );
    }

    #[test]
    fn long_builds_take_minutes() {
        assert_eq!(Seconds(Duration::from_secs(61)).to_string(), "1 min 1 s");
    }
}
