//! One job's folder: everything that is received, written by the compiler, or sent back.
//!
//! ```text
//! distccd_XXXXXX/
//!   work/      the source file (protocols 1 and 2); the compiler's working folder
//!   root/      the client's tree (protocol 3)
//!   out.o  deps.d  stdout  stderr  spool
//!   job        says that the folder is one of these, and that it was locked
//! ```
//!
//! In namespaces the compiler sees only `work` or `root`, and writes `out.o` and `deps.d` to a
//! folder of its own.
//!
//! Removed when dropped, whatever the compiler left there: 3.4 removes the files that it knows
//! of, and leaves `.dwo` files, dumps and the like. A server that is killed leaves its folders to
//! the next one ([`remove_abandoned`]), which knows them by their locks: the kernel lets go of
//! those of the dead.

use std::ffi::CStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, statat};
use rustix::process::geteuid;

use crate::removal;
use crate::shares::Growing;

/// The compiler's results, wherever it writes them.
pub(crate) const OBJECT: &str = "out.o";
pub(crate) const DEPENDENCIES: &str = "deps.d";

const PREFIX: &str = "distccd_";
const MARK: &CStr = c"job";

/// A job's folder, readable by nobody else.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
    /// The folder, locked.
    _lock: OwnedFd,
    /// Set as long as it is in memory.
    memory: Option<InMemory>,
}

/// What there is of memory for a job.
#[derive(Debug)]
struct InMemory {
    room: Growing,
    used: u64,
    /// Where to go when that is not enough.
    disk: PathBuf,
}

/// What a job may have in memory, so that a move to disk is soon done.
const MOST_IN_MEMORY: u64 = 64 << 20;
/// What a file takes besides its content, in memory as on disk.
pub(crate) const NAME_BYTES: u64 = 4096;

impl Scratch {
    /// Makes one in `temp_folder`; `keep` leaves it there in the end.
    pub(crate) fn create(temp_folder: &Path, keep: bool) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(temp_folder)?;
        // A server that starts may have it locked for a moment, to see that it has no mark.
        let lock = lock(folder.path(), FlockOperation::LockExclusive)?;
        let scratch = Self {
            path: folder.keep(),
            keep,
            _lock: lock,
            memory: None,
        };
        fs::create_dir(scratch.work())?;
        if !keep {
            File::create_new(scratch.path.join("job"))?;
        }
        Ok(scratch)
    }

    /// Makes one in a folder in memory, of whose `room` it takes what it needs; later it may
    /// move to the folder `disk`.
    pub(crate) fn create_in_memory(
        memory_folder: &Path,
        room: Growing,
        disk: &Path,
    ) -> io::Result<Self> {
        let mut scratch = Self::create(memory_folder, false)?;
        let disk = disk.to_owned();
        scratch.memory = Some(InMemory {
            room,
            used: 0,
            disk,
        });
        Ok(scratch)
    }

    /// Which of all folders it is in: 0 on disk, 1 in memory.
    pub(crate) fn place(&self) -> usize {
        usize::from(self.memory.is_some())
    }

    pub(crate) fn is_in_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Takes room for a file with so many bytes; false if that is more than may be in memory.
    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let Some(memory) = &mut self.memory else {
            return true;
        };
        let bytes = bytes.saturating_add(NAME_BYTES);
        memory.used = memory.used.saturating_add(bytes);
        memory.used <= MOST_IN_MEMORY && memory.room.grow(bytes)
    }

    /// Goes on in a folder on disk, with all that was received. No compiler has run here yet.
    pub(crate) fn move_to_disk(&mut self) -> io::Result<()> {
        let Some(memory) = &self.memory else {
            return Ok(());
        };
        let moved = Self::create(&memory.disk, self.keep)?;
        copy_content(&self.path, &moved.path)?;
        // What is replaced is removed.
        *self = moved;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its own name in the folder of all.
    pub(crate) fn name(&self) -> &Path {
        Path::new(self.path.file_name().unwrap_or_default())
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    pub(crate) fn object(&self) -> PathBuf {
        self.path.join(OBJECT)
    }

    pub(crate) fn dependencies(&self) -> PathBuf {
        self.path.join(DEPENDENCIES)
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.path.join("stdout")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.path.join("stderr")
    }

    /// A new file for bytes that only pass through, to be written and then read again: always on disk, since it is
    /// there to save memory.
    pub(crate) fn spool(&self) -> io::Result<File> {
        if let Some(memory) = &self.memory {
            return tempfile::tempfile_in(&memory.disk);
        }
        let path = self.path.join("spool");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // What fails leaves the mark, so that the next server that starts tries again. It is another user's file then:
            // nothing that a job could have brought about.
            let _ = removal::remove(&self.path, MARK);
        }
    }
}

/// Copies folders, files and links; folders that are there are fine.
fn copy_content(from: &Path, to: &Path) -> io::Result<()> {
    let mut folders = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = folders.pop() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                match fs::create_dir(&to) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(error);
                    }
                    _ => folders.push((from, to)),
                }
            } else if kind.is_symlink() {
                std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
            } else {
                fs::copy(&from, &to)?;
            }
        }
    }
    Ok(())
}

fn lock(folder: &Path, operation: FlockOperation) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(folder, flags, Mode::empty())?;
    flock(&fd, operation)?;
    Ok(fd)
}

/// Removes what servers of the same user have left that were killed; returns how many jobs' it was.
pub(crate) fn remove_abandoned(temp_folder: &Path) -> usize {
    let entries = fs::read_dir(temp_folder).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()));
    let abandoned = names.filter_map(|entry| {
        let path = entry.path();
        // Those that live are locked, and so are those that are just being made, or have no mark.
        let lock = lock(&path, FlockOperation::NonBlockingLockExclusive).ok()?;
        let is_ours = fstat(&lock).ok()?.st_uid == geteuid().as_raw();
        let is_marked = statat(&lock, MARK, AtFlags::SYMLINK_NOFOLLOW).is_ok();
        // Not made in vain: what is made is removed.
        (is_ours && is_marked).then(|| Scratch {
            path,
            keep: false,
            _lock: lock,
            memory: None,
        })
    });
    abandoned.map(drop).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shares::{Client, Shares};

    #[test]
    fn is_private_and_leaves_nothing() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        let scratch = Scratch::create(temp.path(), false).unwrap();
        let mode = fs::metadata(scratch.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let name = scratch.path().file_name().unwrap().to_str().unwrap();
        assert_eq!((&name[..8], name.len()), ("distccd_", 14));

        fs::write(scratch.object(), "x").unwrap();
        let locked = scratch.work().join("a/locked");
        fs::create_dir_all(&locked).unwrap();
        fs::write(locked.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&outside, locked.join("link")).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(scratch.work().join("a"), fs::Permissions::from_mode(0o500)).unwrap();
        drop(scratch);
        assert!(outside.join("file").exists());
        fs::remove_dir_all(outside).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn is_kept_if_asked_for() {
        let temp = tempfile::tempdir().unwrap();
        drop(Scratch::create(temp.path(), true).unwrap());
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_does_not_fit_into_memory_goes_on_on_disk() {
        let [memory, disk] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let shares = Shares::new(10 << 20);
        let create = || {
            let room = Growing::new(&shares, Client::Local);
            Scratch::create_in_memory(memory.path(), room, disk.path()).unwrap()
        };
        let mut scratch = create();
        assert_eq!(
            (scratch.place(), scratch.path().parent()),
            (1, Some(memory.path()))
        );
        fs::create_dir_all(scratch.root().join("a/b")).unwrap();
        fs::write(scratch.root().join("a/b/file"), "text").unwrap();
        std::os::unix::fs::symlink("b/none", scratch.root().join("a/link")).unwrap();
        // A client alone may have half.
        assert!(scratch.take(3 << 20) && !scratch.take(3 << 20));
        let other = Growing::new(&shares, Client::V4([1; 4])).grow(2 << 20);
        assert!(other);
        scratch.move_to_disk().unwrap();
        assert_eq!(
            (scratch.place(), scratch.path().parent()),
            (0, Some(disk.path()))
        );
        assert_eq!(fs::read_dir(memory.path()).unwrap().count(), 0);
        assert_eq!(fs::read(scratch.root().join("a/b/file")).unwrap(), b"text");
        let link = fs::read_link(scratch.root().join("a/link")).unwrap();
        assert_eq!(link, Path::new("b/none"));
        assert!(scratch.work().is_dir() && scratch.take(u64::MAX));
        // What it had taken is there for others.
        assert!(create().take(4 << 20));
        drop(scratch);
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_job_has_much_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let room = Growing::new(&Shares::new(u64::MAX), Client::Local);
        let made = Scratch::create_in_memory(folder.path(), room, folder.path());
        let mut scratch = made.unwrap();
        assert!(scratch.take(MOST_IN_MEMORY - NAME_BYTES) && !scratch.take(0));
    }

    #[test]
    fn a_spool_has_no_name() {
        let temp = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(temp.path(), false).unwrap();
        let _first = scratch.spool().unwrap();
        let _second = scratch.spool().unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_server_that_starts_disturbs_no_other() {
        let temp = tempfile::tempdir().unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        let done = &done;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert_eq!(remove_abandoned(temp.path()), 0);
                }
            });
            let made = (0..1000).map(|_| Scratch::create(temp.path(), false));
            let failed: Vec<_> = made.filter_map(Result::err).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(failed.is_empty(), "{failed:?}");
        });
    }

    #[test]
    fn what_a_killed_server_left_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let live = Scratch::create(temp.path(), false).unwrap();
        drop(Scratch::create(temp.path(), true).unwrap());
        // One of 3.4, one of something else, one that is just being made.
        for folder in ["distccd_abcdef/job.c", "job/job", "distccd_ghijkl"] {
            fs::create_dir_all(temp.path().join(folder)).unwrap();
        }
        let dead = Scratch::create(temp.path(), false).unwrap();
        fs::write(dead.object(), "x").unwrap();
        let moved = temp.path().join("distccd_moved");
        fs::rename(dead.path(), &moved).unwrap();
        drop(dead);
        assert_eq!(remove_abandoned(temp.path()), 1);
        assert!(!moved.exists() && live.work().exists());
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 5);
        assert_eq!(remove_abandoned(temp.path()), 0);
    }
}
