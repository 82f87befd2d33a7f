//! Monitor records: what each running client is doing.
//!
//! `state/binstate_<pid>` is a C structure of distcc 3.4 in native byte order, rewritten in one
//! write at each change of phase. A word is 8 bytes on 64-bit machines and 4 on others, where
//! all else moves up; offsets for 64 bits:
//!
//! ```text
//!   0  word  size of the structure, 296        280  int   slot
//!   8  word  magic                             284  int   phase
//!  16  word  process id                        288  word  0
//!  24  128 bytes  file, padded with zeros
//! 152  128 bytes  host, padded with zeros
//! ```
//!
//! Beside them stand `state/idle_<n>`: files of clients that have ended, for others to rename and use again. Monitors
//! pass them over. File systems such as ext4 give an inode that was just freed to nobody for minutes, and look at
//! each of those in turn when a file is made: with a file made and removed by each of many short compiles, that
//! took as long as all else that the client asks of the kernel.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{StateDir, about};

const WORD: usize = size_of::<usize>();
const TEXT: usize = 128;
const MAGIC: usize = 0x4449_4800;

const PID: usize = 2 * WORD;
const FILE: usize = PID + WORD;
const HOST: usize = FILE + TEXT;
const SLOT: usize = HOST + TEXT;
const PHASE: usize = SLOT + 4;

/// What a client is doing, as the number in its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// 0
    Startup,
    /// 1: waiting for a slot.
    Blocked,
    /// 2
    Connect,
    /// 3
    Preprocess,
    /// 4
    Send,
    /// 5
    Compile,
    /// 6
    Receive,
    /// 7
    Done,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Startup,
        Self::Blocked,
        Self::Connect,
        Self::Preprocess,
        Self::Send,
        Self::Compile,
        Self::Receive,
        Self::Done,
    ];

    /// The name that `distccmon-text` prints.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Blocked => "Blocked",
            Self::Connect => "Connect",
            Self::Preprocess => "Preprocess",
            Self::Send => "Send",
            Self::Compile => "Compile",
            Self::Receive => "Receive",
            Self::Done => "Done",
        }
    }
}

/// One client's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The client process.
    pub pid: u32,
    /// Base name of the source file; cut to 127 bytes in the file.
    pub file: OsString,
    /// Host name; cut to 127 bytes in the file.
    pub host: OsString,
    /// Slot on that host, from 0.
    pub slot: u32,
    /// What it is doing.
    pub phase: Phase,
}

impl Record {
    /// Length of a record in bytes.
    pub const LEN: usize = PHASE + 4 + WORD;

    /// The bytes of the file.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &Self::LEN.to_ne_bytes());
        put(WORD, &MAGIC.to_ne_bytes());
        put(PID, &(self.pid as usize).to_ne_bytes());
        put(FILE, fit(&self.file));
        put(HOST, fit(&self.host));
        put(SLOT, &self.slot.to_ne_bytes());
        put(PHASE, &(self.phase as u32).to_ne_bytes());
        bytes
    }

    /// Reads the bytes of a record, `None` if they are none. A phase that 3.4 does not know
    /// counts as compiling.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let word = |at: usize| {
            let word = bytes[at..at + WORD].try_into();
            usize::from_ne_bytes(word.expect("the slice has a word's length"))
        };
        let int = |at: usize| {
            let int = bytes[at..at + 4].try_into();
            u32::from_ne_bytes(int.expect("the slice has four bytes"))
        };
        let text = |at: usize| {
            let field = &bytes[at..at + TEXT];
            let end = field.iter().position(|&b| b == 0).unwrap_or(TEXT);
            OsStr::from_bytes(&field[..end]).to_owned()
        };
        if word(0) != Self::LEN || word(WORD) != MAGIC {
            return None;
        }
        let phase = Phase::ALL.get(int(PHASE) as usize);
        Some(Self {
            pid: word(PID).try_into().ok()?,
            file: text(FILE),
            host: text(HOST),
            slot: int(SLOT),
            phase: phase.copied().unwrap_or(Phase::Compile),
        })
    }
}

/// As much of `text` as fits in front of the closing zero.
fn fit(text: &OsStr) -> &[u8] {
    let bytes = text.as_bytes();
    &bytes[..bytes.len().min(TEXT - 1)]
}

/// Idle files at a time. Clients mostly start as others end.
const MOST_IDLE: u32 = 8;

/// 3.4's monitors delete a record that has not changed for a minute.
const SAFE_AGE: Duration = Duration::from_secs(30);

/// A process's record; the file goes to the idle ones when this is dropped.
#[derive(Debug)]
pub struct RecordFile {
    path: PathBuf,
    /// None until something was written: an empty file makes 3.4's monitors complain.
    written: Option<Written>,
}

#[derive(Debug)]
struct Written {
    file: File,
    last: Instant,
}

impl StateDir {
    /// This process's record; nothing is written yet, and the file is not there before the
    /// first [`RecordFile::write`].
    #[must_use]
    pub fn record(&self) -> RecordFile {
        self.record_of(std::process::id())
    }

    /// The same for another process, which has to have none of its own meanwhile.
    #[must_use]
    pub fn record_of(&self, pid: u32) -> RecordFile {
        let name = format!("binstate_{pid}");
        RecordFile {
            path: self.path.join("state").join(name),
            written: None,
        }
    }
}

impl RecordFile {
    /// The file's path, for a signal handler to remove.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the record, in one write.
    ///
    /// Costs one system call, and three more the first time. After a long time there is one more: a monitor of 3.4
    /// deletes the record of a client that stays in one phase for a minute, so the file may have gone.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        let result = self.put(&record.encode());
        result.map_err(|error| about("write", &self.path, error))
    }

    fn put(&mut self, bytes: &[u8; Record::LEN]) -> io::Result<()> {
        if let Some(Written { file, last }) = &mut self.written {
            let is_safe = last.elapsed() < SAFE_AGE;
            file.write_all_at(bytes, 0)?;
            if is_safe || is_there(file)? {
                *last = Instant::now();
                return Ok(());
            }
        }
        let file = self.make(bytes)?;
        self.written = Some(Written {
            file,
            last: Instant::now(),
        });
        Ok(())
    }

    /// The file with a first record.
    fn make(&self, bytes: &[u8; Record::LEN]) -> io::Result<File> {
        // Until it is written it holds the record of a dead process, which monitors do not show, but may delete.
        if let Some(file) = self.take_idle() {
            file.write_all_at(bytes, 0)?;
            if is_there(&file)? {
                return Ok(file);
            }
        }
        let file = match self.create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // As 3.4 does, but for all levels.
                self.path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                self.create()?
            }
            created => created?,
        };
        file.write_all_at(bytes, 0)?;
        Ok(file)
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o666)
            .open(&self.path)
    }

    fn idle(&self, number: u32) -> PathBuf {
        self.path.with_file_name(format!("idle_{number}"))
    }

    fn take_idle(&self) -> Option<File> {
        (0..MOST_IDLE).find(|number| std::fs::rename(self.idle(*number), &self.path).is_ok())?;
        let opened = OpenOptions::new().write(true).open(&self.path);
        if opened.is_err() {
            let _ = std::fs::remove_file(&self.path); // Another user's: not in our way.
        }
        opened.ok()
    }

    /// Makes this process's file an idle one; false where there are enough.
    fn give_idle(&self) -> bool {
        (0..MOST_IDLE).any(|number| {
            let flags = RenameFlags::NOREPLACE;
            renameat_with(CWD, &self.path, CWD, self.idle(number), flags).is_ok()
        })
    }
}

/// Whether the file still has a name.
fn is_there(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}

impl Drop for RecordFile {
    fn drop(&mut self) {
        if self.written.is_some() && !self.give_idle() {
            // A monitor may have been faster.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(phase: Phase) -> Record {
        Record {
            pid: 0x0102,
            file: "x.c".into(),
            host: "localhost".into(),
            slot: 3,
            phase,
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn bytes_are_those_of_3_4() {
        let bytes = record(Phase::Compile).encode();
        let word = |number: u64| number.to_ne_bytes();
        let int = |number: u32| number.to_ne_bytes();
        let mut expected = Vec::new();
        expected.extend(word(296));
        expected.extend(word(0x4449_4800));
        expected.extend(word(0x0102));
        expected.extend(b"x.c");
        expected.resize(152, 0);
        expected.extend(b"localhost");
        expected.resize(280, 0);
        expected.extend(int(3));
        expected.extend(int(5));
        expected.extend(word(0));
        assert_eq!(bytes.as_slice(), expected);
    }

    #[test]
    fn every_phase_survives_the_round_trip() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
            let record = record(phase);
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn long_names_are_cut() {
        let mut long = record(Phase::Send);
        long.file = "f".repeat(200).into();
        long.host = OsStr::from_bytes(&[0xff; 128]).to_owned();
        let cut = Record::decode(&long.encode()).unwrap();
        assert_eq!(cut.file.len(), 127);
        assert_eq!(cut.host.as_bytes(), [0xff; 127]);
    }

    #[test]
    fn refuses_what_is_no_record() {
        let good = record(Phase::Send).encode();
        assert_eq!(Record::decode(&[]), None);
        assert_eq!(Record::decode(&good[1..]), None);
        assert_eq!(Record::decode(&[0; Record::LEN]), None);
        for at in [0, WORD, PID + WORD - 1] {
            let mut bad = good;
            bad[at] ^= 0x40;
            // The last one makes the process id too large where a word is 8 bytes.
            if at < PID || WORD == 8 && cfg!(target_endian = "little") {
                assert_eq!(Record::decode(&bad), None, "{at}");
            }
        }
    }

    #[test]
    fn unknown_phase_is_compiling() {
        let mut bytes = record(Phase::Send).encode();
        bytes[PHASE..PHASE + 4].copy_from_slice(&99u32.to_ne_bytes());
        assert_eq!(Record::decode(&bytes), Some(record(Phase::Compile)));
    }

    #[test]
    fn file_follows_the_record_and_goes_with_it() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().join("new"));
        let mut file = dir.record();
        let path = file.path().to_owned();
        let name = format!("binstate_{}", std::process::id());
        assert_eq!(path, temp.path().join("new/state").join(name));
        assert!(!path.exists());
        for phase in [Phase::Connect, Phase::Send] {
            file.write(&record(phase)).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), record(phase).encode());
        }
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn files_are_used_again() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().to_owned());
        let names = || {
            let entries = std::fs::read_dir(temp.path().join("state")).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        };
        let inode = |name: &str| {
            let metadata = std::fs::metadata(temp.path().join("state").join(name));
            metadata.unwrap().ino()
        };
        let mut first = dir.record();
        first.write(&record(Phase::Send)).unwrap();
        drop(first);
        assert_eq!(names(), ["idle_0"]);
        let before = inode("idle_0");
        let mut second = dir.record();
        second.write(&record(Phase::Compile)).unwrap();
        let name = names().concat();
        assert_eq!(inode(&name), before);
        let bytes = std::fs::read(second.path()).unwrap();
        assert_eq!(Record::decode(&bytes), Some(record(Phase::Compile)));
        // There are never many.
        for number in 0..MOST_IDLE {
            std::fs::write(second.idle(number), "").unwrap();
        }
        drop(second);
        assert_eq!(names().len(), MOST_IDLE as usize);
    }

    #[test]
    fn record_that_a_monitor_deleted_comes_back() {
        let temp = tempfile::tempdir().unwrap();
        let mut file = StateDir::new(temp.path().to_owned()).record();
        file.write(&record(Phase::Send)).unwrap();
        let long_ago = Instant::now().checked_sub(SAFE_AGE).unwrap();
        file.written.as_mut().unwrap().last = long_ago;
        std::fs::remove_file(file.path()).unwrap();
        file.write(&record(Phase::Compile)).unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(Record::decode(&bytes), Some(record(Phase::Compile)));
    }

    #[test]
    fn error_names_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let mut file = StateDir::new(temp.path().to_owned()).record();
        std::fs::create_dir_all(file.path()).unwrap();
        let message = file.write(&record(Phase::Send)).unwrap_err().to_string();
        let start = format!("cannot write {}: ", file.path().display());
        assert!(message.starts_with(&start), "{message}");
    }
}
