//! What can be asked of a sandbox, and what it answers.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use crate::message::{Malformed, Reader, Writer};
use crate::view::View;

/// So many folders of its trees a job may write to.
pub const MOST_WRITABLE: usize = 64;

/// Where a job inside namespaces finds a folder to put its results into.
pub const OUT: &str = "/tmp/.distccd";

/// What all jobs of a sandbox share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How to confine.
    pub mode: Mode,
    /// What of this machine jobs see.
    pub view: View,
    /// The folders with what jobs get, at least one, absolute and without links.
    pub scratch: Vec<PathBuf>,
    /// Whether what jobs get, and what they write, may be executed. In namespaces only.
    pub programs: bool,
    /// What a job may use.
    pub limits: Limits,
}

/// How to confine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A root and processes of its own.
    Namespaces,
    /// The machine's root, most of it forbidden.
    Landlock,
}

/// What a job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes together, looked at several times a second; and of each of
    /// them at any time.
    pub memory_bytes: u64,
    /// All that it writes below `/tmp` together (in namespaces); and messages, looked at several times a second.
    pub written_bytes: u64,
    /// The size of any one file, messages included.
    pub file_bytes: u64,
    /// Processes and threads at the same time.
    pub processes: u64,
    /// How likely the kernel ends it if memory gets short, from -1000 to 1000.
    pub oom_score: i16,
}

/// A command and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Programs to try one after the other, as paths or as names to be searched in `PATH`.
    pub programs: Vec<OsString>,
    /// The arguments, beginning with how the program is told to be called.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    /// The working folder, as the job sees it.
    pub cwd: PathBuf,
    /// What it gets of the scratch folders.
    pub trees: Vec<Tree>,
    /// Folders of its trees, as the job sees them, without links on the way, that it may write to. What it
    /// writes goes with it, but can be read through [`Ended::Normally`]. In namespaces only; no more than
    /// [`MOST_WRITABLE`].
    pub writable: Vec<PathBuf>,
}

/// A folder that a job gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Which of the scratch folders it is in.
    pub scratch: usize,
    /// The folder, relative to that one.
    pub folder: PathBuf,
    /// Where its content shall appear, read-only. With Landlock it stays where it is, and may be
    /// written to.
    pub at: PathBuf,
}

/// How a job ended.
#[derive(Debug)]
pub enum Ended {
    /// With this `wait` status. What it has written can be read through descriptors, which were opened before
    /// it ran, if it ran in namespaces.
    Normally {
        /// As `wait` gives it.
        status: u32,
        /// The folder [`OUT`], if nothing of its trees is writable.
        out: Option<OwnedFd>,
        /// What is writable of its trees, in the order of [`Job::writable`]. Nothing of the job runs any more.
        folders: Vec<OwnedFd>,
        /// What it took.
        used: Used,
    },
    /// It used more than its limits allow; a sentence about it.
    Exceeded(String),
    /// No program could be started: the error number of the first.
    NotStarted(i32),
    /// Its trees cannot be put where they belong; why.
    Misplaced(String),
    /// The sandbox could not be made; why.
    Failed(String),
}

/// An answer goes in one piece. Paths, which clients choose, may be longer.
const LONGEST_TEXT: usize = 4000;

/// Messages have no negative numbers.
const OOM_SCORE_OFFSET: i64 = 1000;

/// What a command took, with all that it started and waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Processor time in the program.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// Pages that were there, and had to be made accessible.
    pub minor_faults: u64,
    /// Pages that had to be read.
    pub major_faults: u64,
}

impl Config {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let limits = self.limits;
        out.number(u64::from(self.mode == Mode::Landlock));
        out.list(&self.scratch, |out, folder| out.path(folder));
        out.number(u64::from(self.programs));
        for number in [
            limits.memory_bytes,
            limits.written_bytes,
            limits.file_bytes,
            limits.processes,
            (i64::from(limits.oom_score) + OOM_SCORE_OFFSET).cast_unsigned(),
        ] {
            out.number(number);
        }
        self.view.encode(&mut out);
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let mode = match from.number()? {
            0 => Mode::Namespaces,
            _ => Mode::Landlock,
        };
        let scratch = from.list(Reader::path)?;
        let programs = from.number()? != 0;
        let limits = Limits {
            memory_bytes: from.number()?,
            written_bytes: from.number()?,
            file_bytes: from.number()?,
            processes: from.number()?,
            oom_score: i64::try_from(from.number()?)
                .ok()
                .and_then(|score| i16::try_from(score - OOM_SCORE_OFFSET).ok())
                .ok_or(Malformed)?,
        };
        let view = View::decode(&mut from)?;
        from.end()?;
        Ok(Self {
            mode,
            view,
            scratch,
            programs,
            limits,
        })
    }
}

impl Job {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.list(&self.programs, |out, program| out.text(program));
        out.list(&self.argv, |out, word| out.text(word));
        out.list(&self.environment, |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        out.path(&self.cwd);
        out.list(&self.trees, |out, tree| {
            out.number(tree.scratch as u64);
            out.path(&tree.folder);
            out.path(&tree.at);
        });
        out.list(&self.writable, |out, folder| out.path(folder));
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let job = Self {
            programs: from.list(Reader::text)?,
            argv: from.list(Reader::text)?,
            environment: from.list(|from| Ok((from.text()?, from.text()?)))?,
            cwd: from.path()?,
            trees: from.list(|from| {
                Ok(Tree {
                    scratch: usize::try_from(from.number()?).map_err(|_| Malformed)?,
                    folder: from.path()?,
                    at: from.path()?,
                })
            })?,
            writable: from.list(Reader::path)?,
        };
        from.end()?;
        Ok(job)
    }
}

impl Ended {
    /// Whether the job's first process can take another one.
    pub(crate) fn leaves_all_well(&self) -> bool {
        matches!(self, Self::Normally { .. } | Self::NotStarted(_))
    }

    /// Those that go with it.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Normally { out, folders, .. } => {
                out.iter().chain(folders).map(AsFd::as_fd).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Everything but the descriptors.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let (kind, number, text) = match self {
            Self::Normally { status, .. } => (0, u64::from(*status), ""),
            Self::Exceeded(text) => (1, 0, &text[..]),
            Self::NotStarted(errno) => (2, u64::from(errno.unsigned_abs()), ""),
            Self::Misplaced(text) => (3, 0, &text[..]),
            Self::Failed(text) => (4, 0, &text[..]),
        };
        out.number(kind);
        out.number(number);
        let mut ends = (0..=text.len().min(LONGEST_TEXT)).rev();
        let end = ends.find(|&end| text.is_char_boundary(end));
        out.text(&text[..end.unwrap_or(0)]);
        if let Self::Normally {
            used, out: results, ..
        } = self
        {
            out.number(u64::from(results.is_some()));
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            out.number(micros(used.user));
            out.number(micros(used.system));
            out.number(used.minor_faults);
            out.number(used.major_faults);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let (kind, number, text) = (from.number()?, from.number()?, from.text()?);
        let mut used = Used::default();
        let mut fds = fds.into_iter();
        let mut out = None;
        if kind == 0 {
            if from.number()? != 0 {
                out = Some(fds.next().ok_or(Malformed)?);
            }
            used = Used {
                user: Duration::from_micros(from.number()?),
                system: Duration::from_micros(from.number()?),
                minor_faults: from.number()?,
                major_faults: from.number()?,
            };
        }
        from.end()?;
        let text = text.to_string_lossy().into_owned();
        let small = || u32::try_from(number).map_err(|_| Malformed);
        Ok(match kind {
            0 => Self::Normally {
                status: small()?,
                out,
                folders: fds.collect(),
                used,
            },
            1 => Self::Exceeded(text),
            2 => Self::NotStarted(i32::try_from(number).map_err(|_| Malformed)?),
            3 => Self::Misplaced(text),
            4 => Self::Failed(text),
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn what_is_asked_arrives() {
        let job = Job {
            programs: vec!["gcc".into(), OsString::from_vec(vec![0xff, b'/'])],
            argv: vec!["gcc".into(), "".into()],
            environment: vec![("PATH".into(), "/bin".into())],
            cwd: "/c d".into(),
            trees: vec![Tree {
                scratch: 1,
                folder: "a/b".into(),
                at: "/".into(),
            }],
            writable: vec!["/a".into()],
        };
        assert_eq!(Job::decode(&job.encode()), Ok(job.clone()));
        let bytes = job.encode();
        for cut in 0..bytes.len() {
            assert_eq!(Job::decode(&bytes[..cut]), Err(Malformed));
        }
    }

    #[test]
    fn so_do_settings() {
        let config = Config {
            mode: Mode::Landlock,
            view: View::of_this_machine(&["/usr/bin".into()]),
            scratch: vec!["/tmp".into(), "/dev/shm".into()],
            programs: true,
            limits: Limits {
                memory_bytes: 1,
                written_bytes: 2,
                file_bytes: u64::MAX,
                processes: 4,
                oom_score: -1000,
            },
        };
        assert_eq!(Config::decode(&config.encode()), Ok(config));
    }

    #[test]
    fn a_long_sentence_is_cut() {
        let long = Ended::Misplaced("\u{e9}".repeat(10_000));
        let back = Ended::decode(&long.encode(), Vec::new()).unwrap();
        let Ended::Misplaced(text) = back else {
            panic!("{back:?}")
        };
        assert_eq!(text, "\u{e9}".repeat(2000));
    }

    #[test]
    fn and_answers() {
        for ended in [
            Ended::Normally {
                status: 0x2a00,
                out: None,
                folders: Vec::new(),
                used: Used {
                    user: Duration::from_micros(1_500_000),
                    system: Duration::from_micros(2),
                    minor_faults: 3,
                    major_faults: 4,
                },
            },
            Ended::Exceeded("more".into()),
            Ended::NotStarted(2),
            Ended::Misplaced("where".into()),
            Ended::Failed("why".into()),
        ] {
            let back = Ended::decode(&ended.encode(), Vec::new()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{ended:?}"));
        }
    }
}
