//! The file system of this machine, and what changes in it.
//!
//! The kernel queues an inotify event before the system call that caused it returns, so draining the queue
//! before each answer is enough on local file systems. What inotify cannot see is told to the caller: folders on
//! network file systems or beyond the watch limit ([`Tree::watch`] says no), and files with several names
//! ([`Stamp::shared`]); these are compared by stamp. A full queue makes everything unknown once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use crate::tree::{Changes, EntryKind, Found, Stamp, Tree, join};

/// The real tree.
#[derive(Debug)]
pub struct RealTree {
    /// `None`: the tree is taken as unchanging.
    watcher: Option<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    queue: OwnedFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_path: BTreeMap<Vec<u8>, i32>,
    by_watch: HashMap<i32, Vec<u8>>,
    /// Changed entries; `None`: anything may have changed.
    log: Vec<Option<Vec<u8>>>,
    /// Entries dropped from the front of the log.
    dropped: u64,
}

/// Log entries kept; a worker that lags further compares everything.
const LOG_LIMIT: usize = 100_000;

/// A time stamp younger than this may belong to a file that changes once more within the same clock tick.
const SETTLED: Duration = Duration::from_millis(100);

/// File systems whose changes can come from another machine.
const REMOTE: [i64; 9] = [
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
];

impl RealTree {
    /// A tree that is taken as unchanging: for one run over a finished tree.
    pub fn frozen() -> Self {
        RealTree { watcher: None }
    }

    /// A tree whose changes are noticed.
    ///
    /// # Errors
    /// The kernel gives no inotify queue.
    pub fn watched() -> std::io::Result<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(RealTree {
            watcher: Some(Watcher {
                queue,
                state: Mutex::default(),
            }),
        })
    }
}

impl Watcher {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, folder: &[u8]) -> bool {
        let mut state = self.state();
        if state.by_path.contains_key(folder) {
            return true;
        }
        let remote = rustix::fs::statfs(path(folder)).is_ok_and(|s| {
            #[allow(
                clippy::unnecessary_cast,
                reason = "the field's type differs between targets"
            )]
            let kind = s.f_type as i64;
            REMOTE.contains(&(kind & 0xffff_ffff))
        });
        if remote {
            return false;
        }
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MODIFY
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.queue, path(folder), flags) {
            Ok(watch) => {
                // A second path to the same folder takes the watch over; the first is compared from now on.
                if let Some(other) = state.by_watch.insert(watch, folder.to_vec()) {
                    state.by_path.remove(&other);
                    state.log.push(None);
                }
                state.by_path.insert(folder.to_vec(), watch);
                true
            }
            // Nothing is there: its coming into being is seen in the folder above.
            Err(Errno::NOENT | Errno::NOTDIR) => true,
            Err(_) => false,
        }
    }

    fn drain(&self) -> u64 {
        let mut state = self.state();
        let first = state.log.len();
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = Reader::new(&self.queue, &mut buffer);
        // The queue is empty at the first error (`EAGAIN`).
        while let Ok(event) = reader.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                state.log.push(None);
                continue;
            }
            let Some(folder) = state.by_watch.get(&event.wd()).cloned() else {
                continue;
            };
            if flags.intersects(
                ReadFlags::DELETE_SELF
                    | ReadFlags::MOVE_SELF
                    | ReadFlags::IGNORED
                    | ReadFlags::UNMOUNT,
            ) {
                state.unwatch_below(&self.queue, &folder);
                state.log.push(Some(folder));
                continue;
            }
            let Some(name) = event.file_name() else {
                continue;
            };
            let entry = join(&folder, name.to_bytes());
            if flags.contains(ReadFlags::ISDIR)
                && flags.intersects(ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO | ReadFlags::DELETE)
            {
                state.unwatch_below(&self.queue, &entry);
            }
            // Repeated only since this drain began: what others have read of the log already does not count.
            if state.log.len() == first || state.log.last() != Some(&Some(entry.clone())) {
                state.log.push(Some(entry));
            }
        }
        if state.log.len() > LOG_LIMIT {
            state.dropped += state.log.len() as u64;
            state.log.clear();
        }
        state.dropped + state.log.len() as u64
    }
}

impl State {
    /// Gives up the watches at and below `folder`: what they watch has no longer that path.
    fn unwatch_below(&mut self, queue: &OwnedFd, folder: &[u8]) {
        let below = join(folder, b"");
        let gone: Vec<Vec<u8>> = self
            .by_path
            .range(folder.to_vec()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(folder))
            .filter(|path| *path == folder || path.starts_with(&below))
            .cloned()
            .collect();
        for path in gone {
            if let Some(watch) = self.by_path.remove(&path) {
                self.by_watch.remove(&watch);
                // It fails if the kernel gave it up already.
                let _ = inotify::remove_watch(queue, watch);
            }
        }
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    let (mtime_ns, ctime_ns) = (
        nanoseconds(meta.mtime(), meta.mtime_nsec()),
        nanoseconds(meta.ctime(), meta.ctime_nsec()),
    );
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let recent = i128::try_from((now.saturating_sub(SETTLED)).as_nanos()).unwrap_or(0)
        < mtime_ns.max(ctime_ns);
    Stamp {
        size: meta.size(),
        mtime_ns,
        ctime_ns,
        inode: (meta.dev(), meta.ino()),
        recent,
        shared: meta.nlink() > 1 && !meta.is_dir(),
    }
}

impl Tree for RealTree {
    fn read(&self, file: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        use std::io::Read;
        let mut file = std::fs::File::open(path(file)).ok()?;
        let meta = file.metadata().ok()?;
        if meta.is_dir() {
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(meta.size()).unwrap_or(0) + 1);
        file.read_to_end(&mut bytes).ok()?;
        Some((bytes, stamp(&meta)))
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
        std::fs::metadata(path(at)).ok().map(|meta| stamp(&meta))
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
        self.watcher
            .as_ref()
            .is_none_or(|watcher| watcher.watch(folder))
    }

    fn drain(&self) -> u64 {
        self.watcher.as_ref().map_or(0, Watcher::drain)
    }

    fn changes_since(&self, position: u64) -> Changes {
        let Some(watcher) = &self.watcher else {
            return Changes::Entries(Vec::new());
        };
        let state = watcher.state();
        let Some(start) = position
            .checked_sub(state.dropped)
            .and_then(|n| usize::try_from(n).ok())
        else {
            return Changes::Unknown;
        };
        let entries: Option<Vec<Vec<u8>>> = state
            .log
            .get(start..)
            .unwrap_or_default()
            .iter()
            .cloned()
            .collect();
        entries.map_or(Changes::Unknown, Changes::Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
