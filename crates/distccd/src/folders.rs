//! Where jobs' folders are made: in memory while there is room set aside for them, else on disk.
//!
//! A job's files live for a moment only. On disk most of what a pump compile costs is making and removing them: ext4
//! passes over inodes that were freed in the last minute when it looks for one, so each costs more the more
//! jobs there were. On a tmpfs it is a tenth (`make bench-server`).
//!
//! Only with namespaces, where a job's folder holds nothing but what this server puts there, and messages. How much
//! that may be is known before it is written, and shared out among clients; a job that gets no more, or is
//! large, goes on in a folder on disk ([`Scratch::move_to_disk`]), and so does one that meets a full tmpfs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access, statfs, statvfs};

use crate::log::Log;
use crate::scratch::{Scratch, remove_abandoned};
use crate::settings::InMemory;
use crate::shares::{Client, Growing, Shares};

/// Where Linux has a tmpfs for everybody.
const SHARED_MEMORY: &str = "/dev/shm";
/// With less there it is not worth the while: a container's, mostly.
const LEAST: u64 = 64 << 20;

/// All that a job's folder can be in.
#[derive(Debug)]
pub(crate) struct Folders {
    disk: PathBuf,
    memory: Option<Memory>,
    keep: bool,
}

/// A folder in memory.
#[derive(Debug)]
struct Memory {
    folder: PathBuf,
    bytes: u64,
    room: Arc<Shares>,
}

impl Folders {
    /// Looks what there is; `keep` is for folders that stay when a job is over.
    pub(crate) fn find(
        disk: &Path,
        in_memory: InMemory,
        keep: bool,
        machine_bytes: u64,
        log: &Log,
    ) -> Self {
        let memory = match (in_memory, memory_folder()) {
            _ if keep => None,
            (InMemory::Never, _) => None,
            (InMemory::AtMost(_), Err(reason)) => {
                let text = format_args!("no files of jobs in {SHARED_MEMORY}: {reason}");
                log.warning("dcc_setup_tempdir", text);
                None
            }
            (InMemory::AtMost(bytes), Ok((folder, _))) => Some((folder, bytes)),
            // It is in memory already.
            (InMemory::AsFits, _) if is_tmpfs(disk) => None,
            (InMemory::AsFits, found) => {
                let found = found.ok();
                let found = found.map(|(folder, free)| (folder, (free / 2).min(machine_bytes / 8)));
                found.filter(|&(_, bytes)| bytes >= LEAST)
            }
        };
        let memory = memory.map(|(folder, bytes)| Memory {
            folder,
            bytes,
            room: Shares::new(bytes),
        });
        Self {
            disk: disk.to_owned(),
            memory,
            keep,
        }
    }

    /// The folders, in the order of [`Scratch::place`].
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let memory = self.memory.as_ref().map(|memory| memory.folder.clone());
        [self.disk.clone()].into_iter().chain(memory).collect()
    }

    /// Leaves only the one on disk.
    pub(crate) fn without_memory(self) -> Self {
        Self {
            memory: None,
            ..self
        }
    }

    /// Makes a folder for a job of `client`.
    pub(crate) fn create(&self, client: Client) -> io::Result<Scratch> {
        if let Some(memory) = &self.memory {
            let room = Growing::new(&memory.room, client);
            // Whatever is wrong there, the disk may be fine.
            if let Ok(scratch) = Scratch::create_in_memory(&memory.folder, room, &self.disk) {
                return Ok(scratch);
            }
        }
        Scratch::create(&self.disk, self.keep)
    }

    /// Removes what servers of the same user have left that were killed; returns how many jobs' it was.
    pub(crate) fn remove_abandoned(&self) -> usize {
        // Also what a server has left that was started with other options.
        let memory = memory_folder().ok().map(|(folder, _)| folder);
        let others = memory.filter(|folder| *folder != self.disk);
        [self.disk.clone()]
            .iter()
            .chain(&others)
            .map(|folder| remove_abandoned(folder))
            .sum()
    }

    /// For the log.
    pub(crate) fn describe(&self) -> String {
        let disk = self.disk.display();
        match &self.memory {
            None => format!("files of jobs are in {disk}"),
            Some(Memory { folder, bytes, .. }) => {
                let (folder, mib) = (folder.display(), bytes >> 20);
                format!("files of jobs are in {folder} up to {mib} MiB, others in {disk}")
            }
        }
    }
}

/// A folder in memory that this process may use, and the bytes that are free there.
fn memory_folder() -> Result<(PathBuf, u64), String> {
    let words = |error: io::Error| crate::fault::reason(&error);
    let folder = Path::new(SHARED_MEMORY).canonicalize().map_err(words)?;
    if !is_tmpfs(&folder) {
        return Err("it is no tmpfs".into());
    }
    access(&folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| words(errno.into()))?;
    let space = statvfs(&folder).map_err(|errno| words(errno.into()))?;
    // None at all is one without a limit.
    let free = match space.f_blocks {
        0 => u64::MAX,
        _ => space.f_bavail.saturating_mul(space.f_frsize),
    };
    Ok((folder, free))
}

fn is_tmpfs(folder: &Path) -> bool {
    /// Source: linux/magic.h.
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    statfs(folder).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| kind == TMPFS_MAGIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(disk: &Path, in_memory: InMemory, keep: bool) -> Folders {
        let log = Log::to_stderr(crate::log::Level::Critical);
        Folders::find(disk, in_memory, keep, 16 << 30, &log)
    }

    #[test]
    fn without_memory_all_is_on_disk() {
        let disk = tempfile::tempdir().unwrap();
        let never = find(disk.path(), InMemory::Never, false);
        let kept = find(disk.path(), InMemory::AtMost(1 << 20), true);
        let elsewhere = find(disk.path(), InMemory::AtMost(1 << 20), false).without_memory();
        for folders in [never, kept, elsewhere] {
            assert_eq!(folders.all(), [disk.path()]);
            let scratch = folders.create(Client::Local).unwrap();
            assert_eq!(
                (scratch.path().parent(), scratch.place()),
                (Some(disk.path()), 0)
            );
            let text = format!("files of jobs are in {}", disk.path().display());
            assert_eq!(folders.describe(), text);
        }
    }

    #[test]
    fn what_is_in_memory_already_stays_where_it_is() {
        let memory = tempfile::tempdir_in(SHARED_MEMORY).unwrap();
        let folders = find(memory.path(), InMemory::AsFits, false);
        assert_eq!(folders.all(), [memory.path()]);
    }
}
