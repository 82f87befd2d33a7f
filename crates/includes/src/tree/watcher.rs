//! What changes in the file system, as the kernel tells it: a record that many readers follow.
//!
//! The kernel queues an inotify event before the system call that caused it returns, so draining the queue
//! before each answer is enough on local file systems. A folder's watch tells of its entries; a file's own watch
//! tells of changes through its other names in other folders, and of a mapping's end. What is mounted is told by
//! `/proc/self/mountinfo`, since a mount hides files without an event; where there is no `/proc`, mounts go unseen.
//! A queue that ran over and a mount make everything unknown once, and all watches are made anew.
//!
//! A watch for what happens within a folder's entries makes the kernel go through all names that anyone looked for
//! there lately, found or not: 79 ms for a `/tmp` with 760,000 of them. In folders where strangers leave names
//! (sticky ones) only entries that come and go are watched; the folder's own permissions are told by the one above.
//!
//! Not seen by anyone before the writer closes the file or ends the mapping: stores through a shared mapping.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, TryLockError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{AtFlags, CWD, Mode, Stat, StatxAttributes, StatxFlags, statx};
use rustix::io::{Errno, ioctl_fionread};

use crate::locks::lock;
use crate::memory::names::FastMap;
use crate::resting::number_of_this_thread;
use crate::tree::{Changes, join, split};

/// The watches of one tree and the record of what they told.
#[derive(Debug)]
pub(crate) struct Watcher {
    queue: OwnedFd,
    /// Each is told of mounts for itself; who looks takes one that nobody else looks at now.
    mounts: [Mounts; MOUNTS],
    state: Mutex<State>,
}

/// A descriptor that tells of mounts, on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Mounts(Mutex<Option<File>>);

#[derive(Debug, Default)]
struct State {
    by_path: BTreeMap<Vec<u8>, i32>,
    /// Several paths lead to one watch if they are names of one file, or a folder is mounted twice.
    by_watch: FastMap<i32, Vec<Vec<u8>>>,
    /// Folders of which no more is told than which entries come and go.
    entries_only: BTreeSet<Vec<u8>>,
    /// Changed entries; `None`: anything may have changed.
    log: Vec<Option<Vec<u8>>>,
    /// Entries dropped from the front of the log.
    dropped: u64,
    /// What is mounted, as last seen.
    mounted: Option<Vec<u8>>,
}

/// What is mounted, told by the kernel.
const MOUNT_LIST: &str = "/proc/self/mountinfo";

/// Descriptors that tell of mounts: as many threads look at once without waiting for each other.
const MOUNTS: usize = 4;

/// Bytes of an event without a name: `struct inotify_event`.
const EVENT_LEN: usize = 16;

/// Bytes of one with the longest name, which is padded.
const LONGEST_EVENT: usize = EVENT_LEN + 256;

/// Bytes read at once.
const BUFFER: usize = 4 << 10;

/// Log entries kept; a reader that lags further compares everything.
const LOG_LIMIT: usize = 20_000;

const ENTRIES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

const FLAGS: WatchFlags = ENTRIES
    .union(WatchFlags::MODIFY)
    // The end of a mapping has no event but this one.
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);

/// File systems that change through this kernel alone, so that inotify tells everything. All others (network, FUSE,
/// shared with a host, made up by the kernel) are compared by stamp.
const LOCAL: [i64; 22] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x8584_58f6, // ramfs
    0x794c_7630, // overlayfs
    0xf2f5_2010, // f2fs
    0x2fc1_2fc1, // zfs
    0xca45_1a4e, // bcachefs
    0x7371_7368, // squashfs
    0xe0f5_e1e2, // erofs
    0x28cd_3d45, // cramfs
    0x9660,      // iso9660
    0x1501_3346, // udf
    0x5265_4973, // reiserfs
    0x3153_464a, // jfs
    0x3434,      // nilfs
    0x482b,      // hfs+
    0x4d44,      // vfat
    0x2011_bab0, // exfat
    0x7366_746e, // ntfs3
    0x2405_1905, // ubifs
];

fn is_local(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|s| {
        #[allow(
            clippy::unnecessary_cast,
            reason = "the field's type differs between targets"
        )]
        let kind = s.f_type as i64;
        LOCAL.contains(&(kind & 0xffff_ffff))
    })
}

fn is_sticky(stat: &Stat) -> bool {
    Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX)
}

/// Whether something is mounted there, or may be: old kernels do not tell.
fn is_mounted(folder: &Path) -> bool {
    let flag = StatxAttributes::MOUNT_ROOT;
    let known = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    !known.is_ok_and(|x| x.stx_attributes_mask.contains(flag) && !x.stx_attributes.contains(flag))
}

impl Watcher {
    /// # Errors
    /// The kernel gives no inotify queue.
    pub(crate) fn new() -> std::io::Result<Self> {
        let queue = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // Opened before the list is read, so that no mount in between goes unseen.
        let mounts = std::array::from_fn(|_| Mounts(Mutex::new(File::open(MOUNT_LIST).ok())));
        let state = State {
            mounted: std::fs::read(MOUNT_LIST).ok(),
            ..State::default()
        };
        Ok(Watcher {
            queue,
            mounts,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Held while the kernel adds a watch, which takes some microseconds.
        lock(&self.state)
    }

    /// Reports the entries of this folder from now on. False: it cannot.
    pub(crate) fn watch(&self, folder: &[u8]) -> bool {
        let mut state = self.state();
        if state.by_path.contains_key(folder) {
            return true;
        }
        let is_shared = match rustix::fs::lstat(path(folder)) {
            // Nothing is there: its coming into being is seen in the folder above.
            Err(Errno::NOENT | Errno::NOTDIR) => return true,
            _ if !is_local(path(folder)) => return false,
            Ok(stat) => is_sticky(&stat),
            Err(_) => false,
        };
        if is_shared && state.tells_of_permissions(folder) {
            // The same folder may be watched under another name, for more.
            let flags = ENTRIES | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
            state.entries_only.insert(folder.to_vec());
            return state.add(&self.queue, folder, flags);
        }
        state.add(&self.queue, folder, FLAGS | WatchFlags::ONLYDIR)
    }

    /// Reports changes of this file through any name from now on. False: it cannot.
    pub(crate) fn watch_file(&self, file: &[u8]) -> bool {
        let mut state = self.state();
        if state.by_path.contains_key(file) {
            return true;
        }
        // Only the folder's watch tells when another file takes the name.
        state.by_path.contains_key(split(file).0) && state.add(&self.queue, file, FLAGS)
    }

    /// Takes what the kernel queued into the record; its length. One system call if there is nothing, made before the lock
    /// is taken: what another thread has read from the queue meanwhile is in the record when the lock is free.
    pub(crate) fn drain(&self) -> u64 {
        let (place, [is_queued, may_be_mounted]) = self.is_anything_new();
        let mut state = self.state();
        let mut lost = may_be_mounted && state.has_mounts_changed();
        // Whoever asks with it from now on finds in the record what it told.
        drop(place);
        if is_queued {
            lost |= self.read_events(&mut state);
        }
        if lost {
            // Folders may have moved away or been mounted over without a word.
            state.unwatch_below(&self.queue, b"/");
            state.log.push(None);
        }
        if state.log.len() > LOG_LIMIT {
            let surplus = state.log.len() - LOG_LIMIT / 2;
            state.log.drain(..surplus);
            state.dropped += surplus as u64;
        }
        state.dropped + state.log.len() as u64
    }

    /// Whether events are queued, and whether something was mounted. Where that cannot be told, it may be. The kernel tells
    /// each descriptor of mounts once, so the one that was asked stays locked until what it told is in the record.
    fn is_anything_new(&self) -> (MutexGuard<'_, Option<File>>, [bool; 2]) {
        // Each thread begins with another, so that they seldom write to the same cache line.
        let own = number_of_this_thread();
        let mut places = (0..MOUNTS).map(|place| &self.mounts[(own + place) % MOUNTS].0);
        let free = places.find_map(|file| match file.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Ok(file) => Some(file),
        });
        let file = free.unwrap_or_else(|| lock(&self.mounts[own % MOUNTS].0));
        let mut list = [
            PollFd::new(&self.queue, PollFlags::IN),
            match &*file {
                Some(file) => PollFd::new(file, PollFlags::PRI),
                None => PollFd::new(&self.queue, PollFlags::empty()),
            },
        ];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let new = match poll(&mut list, Some(&at_once)) {
            Ok(_) => list.map(|polled| !polled.revents().is_empty()),
            Err(_) => [true; 2],
        };
        (file, new)
    }

    /// Reads the queue; true: the kernel had no room for some events.
    fn read_events(&self, state: &mut State) -> bool {
        // Repeated only since this drain began: what others have read of the log already does not count.
        let mut new = HashSet::new();
        let mut lost = false;
        let mut buffer = [0; BUFFER];
        // Only what is queued by now counts: a folder that changes without end must not hold an answer up.
        let mut queued = None;
        loop {
            let len = match rustix::io::read(&self.queue, &mut buffer) {
                Ok(len) => len,
                Err(Errno::INTR) => continue,
                // Nothing is left (`EAGAIN`).
                Err(_) => break,
            };
            for event in events(&buffer[..len]) {
                lost |= event.flags.contains(ReadFlags::QUEUE_OVERFLOW);
                state.note(&self.queue, &event, &mut new);
            }
            // The kernel stops early only where the next event has no room.
            if len + LONGEST_EVENT <= buffer.len() {
                break;
            }
            let left = queued.get_or_insert_with(|| {
                ioctl_fionread(&self.queue)
                    .map_or(usize::MAX, |len| usize::try_from(len).unwrap_or(usize::MAX))
            });
            if *left == 0 {
                break;
            }
            *left = left.saturating_sub(len);
        }
        lost
    }

    /// The record after its first `position` entries.
    pub(crate) fn changes_since(&self, position: u64) -> Changes {
        let state = self.state();
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

/// One event: what happened to the watch, or to this entry of the folder it watches.
struct Event<'b> {
    watch: i32,
    flags: ReadFlags,
    name: Option<&'b [u8]>,
}

/// The events in a buffer: `struct inotify_event`, one after the other.
fn events(mut buffer: &[u8]) -> impl Iterator<Item = Event<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = buffer.split_first_chunk::<EVENT_LEN>()?;
        let word = |at: usize| -> u32 {
            let bytes = head[at..].first_chunk().copied();
            u32::from_ne_bytes(bytes.unwrap_or_default())
        };
        let (name, rest) = rest.split_at_checked(usize::try_from(word(12)).ok()?)?;
        buffer = rest;
        let end = memchr::memchr(0, name).unwrap_or(name.len());
        Some(Event {
            watch: word(0).cast_signed(),
            flags: ReadFlags::from_bits_retain(word(4)),
            name: (end > 0).then_some(&name[..end]),
        })
    })
}

impl State {
    /// Whether the list of mounts differs, once the kernel has said that it may.
    fn has_mounts_changed(&mut self) -> bool {
        let Some(before) = &mut self.mounted else {
            return false;
        };
        // Many events come in pairs that undo each other, and each descriptor tells of them.
        let Ok(text) = std::fs::read(MOUNT_LIST) else {
            return true;
        };
        let differs = text != *before;
        *before = text;
        differs
    }

    /// Takes an event into the record, once for each entry of `new`.
    fn note(&mut self, queue: &OwnedFd, event: &Event<'_>, new: &mut HashSet<Vec<u8>>) {
        let Some(paths) = self.by_watch.get(&event.watch).cloned() else {
            return;
        };
        let is_gone = event.flags.intersects(
            ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT,
        );
        let is_other = event.flags.intersects(
            ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO,
        );
        for path in paths {
            let entry = match event.name {
                Some(name) => join(&path, name),
                None => path,
            };
            if is_gone || is_other {
                // What the watches at and below this path tell of is no longer there.
                self.unwatch_below(queue, &entry);
            }
            if new.insert(entry.clone()) {
                self.log.push(Some(entry));
            }
        }
    }

    /// Whether the watch of the folder above tells when this one's permissions change. It does not tell of what is
    /// mounted there.
    fn tells_of_permissions(&self, folder: &[u8]) -> bool {
        let above = split(folder).0;
        self.by_path.contains_key(above)
            && !self.entries_only.contains(above)
            && !is_mounted(path(folder))
    }

    fn add(&mut self, queue: &OwnedFd, at: &[u8], flags: WatchFlags) -> bool {
        match inotify::add_watch(queue, path(at), flags) {
            Ok(watch) => {
                self.by_watch.entry(watch).or_default().push(at.to_vec());
                self.by_path.insert(at.to_vec(), watch);
                true
            }
            // It went away: that is seen in the folder above.
            Err(Errno::NOENT | Errno::NOTDIR) => true,
            Err(_) => false,
        }
    }

    /// Gives up the watches at and below `folder`.
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
            let Some(watch) = self.by_path.remove(&path) else {
                continue;
            };
            self.entries_only.remove(&path);
            let others = self.by_watch.entry(watch).or_default();
            others.retain(|other| *other != path);
            if others.is_empty() {
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
