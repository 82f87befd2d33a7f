//! Who is running: the records of living clients.
//!
//! distcc 3.4 takes any record older than a minute for a leftover and deletes it, long jobs
//! included. Here a record counts as long as its process lives. Since process ids come round
//! again, a process that started after the record was last written is not its client.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use crate::monitor::Record;
use crate::{StateDir, about};

/// A leftover younger than this is hidden, but not deleted: the folder may be shared with
/// another machine, whose processes we cannot see.
const KEEP_LEFTOVERS: Duration = Duration::from_secs(60);

/// How much the clocks of files and processes may disagree: a process's start is known to a
/// hundredth of a second, and the wall clock may be adjusted.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

impl StateDir {
    /// The records of living clients, sorted by host and slot; records of dead ones are deleted
    /// a minute after their last change. Other files are left alone. The folder is created if it
    /// is missing, as 3.4 does.
    ///
    /// # Errors
    /// The folder cannot be created or read.
    pub fn read_clients(&self) -> io::Result<Vec<Record>> {
        let folder = self.folder("state")?;
        let unreadable = |error| about("read folder", &folder, error);
        let mut records = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if !entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(b"binstate_")
            {
                continue;
            }
            // A record may go at any time, and one that is just being made is empty.
            let Ok((record, age)) = read_record(&entry.path()) else {
                continue;
            };
            match record {
                Some(record) if is_alive(record.pid, age) => records.push(record),
                _ if age > KEEP_LEFTOVERS => {
                    let _ = std::fs::remove_file(entry.path()); // May belong to someone else.
                }
                _ => {}
            }
        }
        records.sort_by(|a, b| (&a.host, a.slot, a.pid).cmp(&(&b.host, b.slot, b.pid)));
        Ok(records)
    }
}

/// The record in a file, if it is one, and the time since it was written.
fn read_record(path: &Path) -> io::Result<(Option<Record>, Duration)> {
    // A pipe must not make us wait for a writer.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let age = SystemTime::now().duration_since(metadata.modified()?);
    let mut bytes = Vec::with_capacity(Record::LEN + 1);
    file.take(Record::LEN as u64 + 1).read_to_end(&mut bytes)?;
    // A time in the future is a clock that was set back.
    Ok((Record::decode(&bytes), age.unwrap_or_default()))
}

/// Whether the client that wrote its record `age` ago still runs.
fn is_alive(pid: u32, age: Duration) -> bool {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    if test_kill_process(id) == Err(Errno::SRCH) {
        return false;
    }
    // Without /proc the process id has to do.
    process_age(pid).is_none_or(|process| process + CLOCK_SLACK >= age)
}

/// How long ago a process started.
fn process_age(pid: u32) -> Option<Duration> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, which may hold anything; start is the 22nd.
    let after_name = stat.iter().rposition(|&b| b == b')')?;
    let fields = std::str::from_utf8(&stat[after_name + 1..]).ok()?;
    let ticks: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    let started = ticks * 1000 / rustix::param::clock_ticks_per_second();
    let now = Duration::try_from(clock_gettime(ClockId::Boottime)).ok()?;
    Some(now.saturating_sub(Duration::from_millis(started)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Phase;
    use std::path::PathBuf;
    use std::process::{Command, Stdio};

    struct Fixture {
        temp: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let temp = tempfile::tempdir().unwrap();
            std::fs::create_dir(temp.path().join("state")).unwrap();
            Self { temp }
        }

        /// Writes a file that was last changed `age` seconds ago.
        fn put(&self, name: &str, bytes: &[u8], age: u64) -> PathBuf {
            let path = self.temp.path().join("state").join(name);
            std::fs::write(&path, bytes).unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            File::open(&path).unwrap().set_modified(time).unwrap();
            path
        }

        fn clients(&self) -> Vec<Record> {
            let dir = StateDir::new(self.temp.path().to_owned());
            dir.read_clients().unwrap()
        }
    }

    fn record(pid: u32, host: &str, slot: u32) -> Record {
        Record {
            pid,
            file: "a.c".into(),
            host: host.into(),
            slot,
            phase: Phase::Compile,
        }
    }

    /// The id of a process that has ended.
    fn dead() -> u32 {
        let mut child = Command::new("true").stdin(Stdio::null()).spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn sorted_by_host_and_slot() {
        let fixture = Fixture::new();
        let me = std::process::id();
        let expected = [
            record(me, "a", 0),
            record(me, "a", 2),
            record(me, "a", 10),
            record(me, "b", 1),
        ];
        for (name, record) in ["w", "x", "y", "z"].into_iter().zip(expected.iter().rev()) {
            fixture.put(&format!("binstate_{name}"), &record.encode(), 0);
        }
        assert_eq!(fixture.clients(), expected);
    }

    #[test]
    fn record_of_a_dead_client_is_hidden_and_later_deleted() {
        let fixture = Fixture::new();
        let bytes = record(dead(), "h", 0).encode();
        let fresh = fixture.put("binstate_1", &bytes, 30);
        let old = fixture.put("binstate_2", &bytes, 90);
        assert_eq!(fixture.clients(), []);
        assert!(fresh.exists());
        assert!(!old.exists());
    }

    #[test]
    fn process_that_is_younger_than_the_record_is_not_its_client() {
        let fixture = Fixture::new();
        let path = fixture.put(
            "binstate_1",
            &record(std::process::id(), "h", 0).encode(),
            86_400,
        );
        assert_eq!(fixture.clients(), []);
        assert!(!path.exists());
    }

    #[test]
    fn process_that_is_older_than_an_old_record_is_its_client() {
        // The first process of the machine or container is older than this test by far more
        // than the clocks can disagree, or it is what started the test.
        let age = process_age(1).unwrap().as_secs();
        let fixture = Fixture::new();
        let path = fixture.put("binstate_1", &record(1, "h", 0).encode(), age);
        assert_eq!(fixture.clients(), [record(1, "h", 0)]);
        assert!(path.exists());
    }

    #[test]
    fn files_that_are_no_records_are_skipped() {
        let fixture = Fixture::new();
        let good = record(std::process::id(), "h", 0);
        fixture.put("binstate_1", &good.encode(), 0);
        fixture.put("binstate_2", b"", 0);
        fixture.put("binstate_3", &[1; 500], 0);
        let foreign = fixture.put("other", &[1; 500], 900);
        let state = fixture.temp.path().join("state");
        std::fs::create_dir(state.join("binstate_4")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", state.join("binstate_5")).unwrap();
        let pipe = state.join("binstate_6");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe, mode).unwrap();
        assert_eq!(fixture.clients(), [good]);
        assert!(foreign.exists());
    }

    #[test]
    fn missing_folder_is_created() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().join("new"));
        assert_eq!(dir.read_clients().unwrap(), []);
        assert!(temp.path().join("new/state").is_dir());
    }
}
