//! The file system of this machine, and what changes in it.
//!
//! Changes are told by the kernel (`watcher`). What it cannot tell of is said to the caller: folders on file systems
//! that change from elsewhere, or beyond the watch limit ([`Tree::watch`] and [`Tree::watch_file`] say no); these
//! are compared by stamp.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, statx};
use rustix::io::{Errno, retry_on_intr};

use crate::tree::watcher::Watcher;
use crate::tree::{Changes, EntryKind, Found, Stamp, Tree};

/// The real tree.
#[derive(Debug)]
pub struct RealTree {
    changes: Noticed,
}

/// How changes are noticed.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one tree")]
enum Noticed {
    ByKernel(Watcher),
    /// By who uses the tree.
    ByStamps,
    /// The tree is taken as unchanging.
    Never,
}

/// A time stamp younger than this may belong to a file that changes once more within the same clock tick.
const SETTLED: Duration = Duration::from_millis(100);

/// The same where the file system counts in seconds, two of them for vfat.
const SETTLED_COARSE: Duration = Duration::from_secs(4);

/// Bytes of the longest file that is read. Compilers have no limit but memory; a server that many ask needs one.
const LONGEST_FILE: u64 = 512 << 20;

/// Times a file is read anew because it changed while it was read.
const READS: usize = 8;

impl RealTree {
    /// A tree that is taken as unchanging: for one run over a finished tree.
    pub fn frozen() -> Self {
        RealTree {
            changes: Noticed::Never,
        }
    }

    /// A tree that tells of no change: whoever uses it compares stamps, which takes a system call for each file and folder
    /// of each compile. For where [`RealTree::watched`] fails.
    pub fn compared() -> Self {
        RealTree {
            changes: Noticed::ByStamps,
        }
    }

    /// A tree whose changes are noticed.
    ///
    /// # Errors
    /// The kernel gives no inotify queue: a user may have 128 by default.
    pub fn watched() -> std::io::Result<Self> {
        Ok(RealTree {
            changes: Noticed::ByKernel(Watcher::new()?),
        })
    }

    fn is_watched(&self, watch: impl FnOnce(&Watcher) -> bool) -> bool {
        match &self.changes {
            Noticed::ByKernel(watcher) => watch(watcher),
            Noticed::ByStamps => false,
            Noticed::Never => true,
        }
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn nanoseconds(seconds: i64, nanoseconds: i128) -> i128 {
    i128::from(seconds) * 1_000_000_000 + nanoseconds
}

/// Whether a file whose inode changed last at `ctime_ns` may change once more and keep that time. The time of
/// modification does not count: anyone may set it.
fn is_recent(ctime_ns: i128) -> bool {
    let settled = if ctime_ns % 1_000_000_000 == 0 {
        SETTLED_COARSE
    } else {
        SETTLED
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i128::try_from(now.saturating_sub(settled).as_nanos()).unwrap_or(0) < ctime_ns
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    let ctime_ns = nanoseconds(meta.ctime(), meta.ctime_nsec().into());
    Stamp {
        size: meta.size(),
        mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec().into()),
        ctime_ns,
        inode: (meta.dev(), meta.ino()),
        names: meta.nlink(),
        recent: is_recent(ctime_ns),
    }
}

/// The stamp as the server of a network file system knows it now, and not as it was some seconds ago.
fn fresh_stamp(at: &[u8]) -> Option<Stamp> {
    let flags = AtFlags::STATX_FORCE_SYNC;
    match statx(CWD, path(at), flags, StatxFlags::BASIC_STATS) {
        Ok(x) => {
            let ctime_ns = nanoseconds(x.stx_ctime.tv_sec, x.stx_ctime.tv_nsec.into());
            Some(Stamp {
                size: x.stx_size,
                mtime_ns: nanoseconds(x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec.into()),
                ctime_ns,
                inode: (
                    rustix::fs::makedev(x.stx_dev_major, x.stx_dev_minor),
                    x.stx_ino,
                ),
                names: x.stx_nlink.into(),
                recent: is_recent(ctime_ns),
            })
        }
        // Kernels and sandboxes that do not have it.
        Err(Errno::NOSYS | Errno::PERM) => std::fs::metadata(path(at)).ok().map(|m| stamp(&m)),
        Err(_) => None,
    }
}

impl Tree for RealTree {
    fn read(&self, file: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        let mut bytes = Vec::new();
        let stamp = self.read_into(file, &mut bytes)?;
        Some((bytes, stamp))
    }

    fn read_into(&self, file: &[u8], bytes: &mut Vec<u8>) -> Option<Stamp> {
        for last in (0..READS).rev() {
            let before = std::fs::metadata(path(file)).ok()?;
            // Neither a folder nor something without an end or near it is a header; and what is taken from a pipe the compiler
            // lacks, whom to open it would wait for besides.
            let kind = before.file_type();
            let is_other = kind.is_dir() || kind.is_fifo() || kind.is_socket();
            if is_other || before.size() > LONGEST_FILE {
                return None;
            }
            // Another thing may stand there by now.
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened = retry_on_intr(|| rustix::fs::open(path(file), flags, Mode::empty()));
            let mut file = std::fs::File::from(opened.ok()?);
            let mut stamp_before = stamp(&before);
            let size = usize::try_from(before.size()).unwrap_or(0);
            bytes.clear();
            bytes.reserve(size + 1);
            retry_on_intr(|| rustix::io::read(&file, spare_capacity(bytes))).ok()?;
            // With this many the end is reached, if the size is found to be the same below.
            if bytes.len() != size || size == 0 {
                let mut rest = (&mut file).take(LONGEST_FILE + 1);
                rest.read_to_end(bytes).ok()?;
            }
            if bytes.len() as u64 > LONGEST_FILE {
                return None;
            }
            let after = stamp(&file.metadata().ok()?);
            if after.is_equal(&stamp_before) && bytes.len() as u64 == after.size {
                return Some(stamp_before);
            }
            if last == 0 {
                // Changing all the time, or a file whose size means nothing (`/proc`): its stamp is not worth anything.
                stamp_before.recent = true;
                return Some(stamp_before);
            }
        }
        None
    }

    fn look(&self, at: &[u8]) -> Found {
        match std::fs::symlink_metadata(path(at)) {
            Err(_) => Found::Absent,
            Ok(meta) if meta.is_symlink() => match std::fs::read_link(path(at)) {
                Ok(target) => Found::Link(target.into_os_string().into_vec()),
                Err(_) => Found::Absent,
            },
            Ok(meta) if meta.is_dir() => Found::Folder,
            Ok(_) => Found::File,
        }
    }

    fn stamp(&self, at: &[u8]) -> Option<Stamp> {
        fresh_stamp(at)
    }

    fn list(&self, folder: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
        let mut list = Vec::new();
        for entry in std::fs::read_dir(path(folder)).ok()? {
            let entry = entry.ok()?;
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => EntryKind::Folder,
                Ok(kind) if kind.is_file() => EntryKind::File,
                _ => EntryKind::Other,
            };
            list.push((entry.file_name().into_vec(), kind));
            if list.len() > limit {
                return None;
            }
        }
        Some(list)
    }

    fn watch(&self, folder: &[u8]) -> bool {
        self.is_watched(|watcher| watcher.watch(folder))
    }

    fn watch_file(&self, file: &[u8]) -> bool {
        self.is_watched(|watcher| watcher.watch_file(file))
    }

    fn drain(&self) -> u64 {
        match &self.changes {
            Noticed::ByKernel(watcher) => watcher.drain(),
            Noticed::ByStamps | Noticed::Never => 0,
        }
    }

    fn changes_since(&self, position: u64) -> Changes {
        match &self.changes {
            Noticed::ByKernel(watcher) => watcher.changes_since(position),
            Noticed::ByStamps | Noticed::Never => Changes::Entries(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::join;

    #[test]
    fn changes_are_there_when_the_call_that_made_them_returns() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let at = folder
            .path()
            .canonicalize()
            .expect("it exists")
            .into_os_string()
            .into_vec();
        let tree = RealTree::watched().expect("inotify works here");
        assert!(tree.watch(&at));
        let before = tree.drain();
        std::fs::write(path(&join(&at, b"x.h")), "x").expect("temporary folder");
        assert_ne!(tree.drain(), before);
        assert_eq!(
            tree.changes_since(before),
            Changes::Entries(vec![join(&at, b"x.h")])
        );
        let before = tree.drain();
        std::fs::rename(path(&join(&at, b"x.h")), path(&join(&at, b"y.h")))
            .expect("temporary folder");
        tree.drain();
        assert_eq!(
            tree.changes_since(before),
            Changes::Entries(vec![join(&at, b"x.h"), join(&at, b"y.h")])
        );
        assert_eq!(
            tree.changes_since(tree.drain()),
            Changes::Entries(Vec::new())
        );
    }

    #[test]
    fn a_folder_that_strangers_share_tells_of_its_entries_and_of_its_permissions() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("temporary folder");
        let above = folder.path().canonicalize().expect("it exists");
        let above = above.into_os_string().into_vec();
        let shared = join(&above, b"shared");
        let set_mode = |mode| {
            std::fs::set_permissions(path(&shared), PermissionsExt::from_mode(mode)).expect("ours");
        };
        std::fs::create_dir(path(&shared)).expect("temporary folder");
        set_mode(0o1777);
        let [watched, other] = [&b"x.h"[..], b"y.h"].map(|name| join(&shared, name));
        let write = |file: &[u8]| std::fs::write(path(file), "x").expect("temporary folder");
        write(&watched);
        write(&other);
        let tree = RealTree::watched().expect("inotify works here");
        assert!([&above, &shared].map(|folder| tree.watch(folder)) == [true; 2]);
        assert!(tree.watch_file(&watched));
        let told = |change: &dyn Fn()| {
            let before = tree.drain();
            change();
            tree.drain();
            tree.changes_since(before)
        };
        let entry = |path: &Vec<u8>| Changes::Entries(vec![path.clone()]);
        assert_eq!(told(&|| write(&watched)), entry(&watched));
        assert_eq!(told(&|| write(&other)), Changes::Entries(Vec::new()));
        let remove = || std::fs::remove_file(path(&other)).expect("ours");
        assert_eq!(told(&remove), entry(&other));
        assert_eq!(told(&|| set_mode(0o1700)), entry(&shared));
    }

    /// Whoever opens a pipe waits for its other end, and what it takes is gone for the compiler.
    #[test]
    fn a_pipe_is_neither_opened_nor_read() {
        let folder = tempfile::tempdir().expect("the temporary folder is writable");
        let pipe = folder.path().join("a.h");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("ours");
        let tree = RealTree::watched().expect("there is inotify");
        assert!(tree.read(pipe.as_os_str().as_bytes()).is_none());
        // Nobody has it open: a writer would not have to wait otherwise.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK;
        let opened = rustix::fs::open(&pipe, flags, Mode::empty());
        assert_eq!(opened.err(), Some(Errno::NXIO));
    }
}
