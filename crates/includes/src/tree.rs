//! The file system as the engine sees it: a narrow trait, the real one, and one in memory.

pub(crate) mod real_tree;
mod watcher;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What stands at a path, without following a link there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A folder.
    Folder,
    /// A symbolic link to this target.
    Link(Vec<u8>),
    /// A regular file, or a device that can be read.
    File,
}

/// What identifies a state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last modification, nanoseconds since the epoch.
    pub mtime_ns: i128,
    /// Last change of the inode.
    pub ctime_ns: i128,
    /// Device and inode.
    pub inode: (u64, u64),
    /// How many names it has in folders (hard links).
    pub names: u64,
    /// So young that the next change may leave the same times.
    pub recent: bool,
}

impl Stamp {
    /// Whether a file with this stamp is sure to be as it was when it had `before`.
    pub fn is_same_as(&self, before: &Stamp) -> bool {
        !before.recent && self.is_equal(before)
    }

    /// Whether both stamps look the same, which for young ones proves nothing.
    pub fn is_equal(&self, other: &Stamp) -> bool {
        (self.size, self.mtime_ns, self.ctime_ns, self.inode)
            == (other.size, other.mtime_ns, other.ctime_ns, other.inode)
    }
}

/// What changed since it was last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Exactly these entries: paths without links before the last component.
    Entries(Vec<Vec<u8>>),
    /// The record of changes was lost, or there is none: everything must be compared.
    Unknown,
}

/// Access to files. Paths are absolute bytes and may hold `..` and links. Every question about a path is
/// preceded by [`Tree::watch`] for its folder, so that no change goes unseen.
pub trait Tree: Send + Sync {
    /// Reads the file and its stamp; `None` if it cannot be opened and read.
    fn read(&self, path: &[u8]) -> Option<(Vec<u8>, Stamp)>;
    /// The same, in place of what is in `text`, whose memory may serve again.
    fn read_into(&self, path: &[u8], text: &mut Vec<u8>) -> Option<Stamp> {
        let (bytes, stamp) = self.read(path)?;
        *text = bytes;
        Some(stamp)
    }
    /// What stands at `path`, links not followed at the last component.
    fn look(&self, path: &[u8]) -> Found;
    /// The stamp of the file behind `path`, links followed; `None` if there is nothing.
    fn stamp(&self, path: &[u8]) -> Option<Stamp>;
    /// Entries of a folder, at most `limit`; `None` if it cannot be listed or holds more.
    fn list(&self, path: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>>;
    /// Changes in this folder (a path without links) must be reported from now on. False: they cannot be, and the
    /// caller compares stamps.
    fn watch(&self, folder: &[u8]) -> bool;
    /// Changes of this file (a path without links, in a watched folder) must be reported from now on under this path,
    /// also those made through its other names. False as above.
    fn watch_file(&self, file: &[u8]) -> bool;
    /// Appends what changed since the last call to the record that [`Tree::changes_since`] reads, and returns its length.
    fn drain(&self) -> u64;
    /// The changes after the first `position` ones.
    fn changes_since(&self, position: u64) -> Changes;
}

/// What a folder says about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A link or anything else: look at it.
    Other,
}

/// A tree in memory, for tests: files, folders and links by absolute path.
#[derive(Debug, Default)]
pub struct MemoryTree(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    nodes: BTreeMap<Vec<u8>, Node>,
    next_inode: u64,
    changes: Vec<Vec<u8>>,
    reads: Vec<Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Node {
    Folder(u64),
    File(Vec<u8>, Stamp),
    Link(Vec<u8>),
}

/// Links followed before a path counts as a loop.
const MAX_LINKS: usize = 40;

/// Splits a path at its last `/`: the folder (`/` for the root's entries) and the entry.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(0) => (&path[..1], &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// `folder/entry`.
pub(crate) fn join(folder: &[u8], entry: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(folder.len() + entry.len() + 1);
    path.extend_from_slice(folder);
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(entry);
    path
}

impl Memory {
    /// The path without links and dots; the last component need not exist.
    fn real(&self, path: &[u8], follow_last: bool) -> Option<Vec<u8>> {
        let mut todo: Vec<Vec<u8>> = path
            .split(|&b| b == b'/')
            .rev()
            .map(<[u8]>::to_vec)
            .collect();
        let mut real = b"/".to_vec();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => real = split(&real).0.to_vec(),
                name => {
                    let next = join(&real, name);
                    match self.nodes.get(&next) {
                        Some(Node::Link(target)) if follow_last || !todo.is_empty() => {
                            links += 1;
                            if links > MAX_LINKS {
                                return None;
                            }
                            if target.starts_with(b"/") {
                                real = b"/".to_vec();
                            }
                            todo.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
                        }
                        Some(Node::Folder(_)) => real = next,
                        _ if todo.is_empty() => real = next,
                        _ => return None,
                    }
                }
            }
        }
        Some(real)
    }
}

impl MemoryTree {
    /// An empty tree.
    pub fn new() -> Self {
        let tree = MemoryTree::default();
        tree.memory().nodes.insert(b"/".to_vec(), Node::Folder(0));
        tree
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, path: &str, make: impl FnOnce(u64) -> Node) {
        let mut memory = self.memory();
        let path = path.as_bytes();
        let mut at = 1;
        while let Some(slash) = memchr::memchr(b'/', path.get(at..).unwrap_or_default()) {
            at += slash;
            memory.next_inode += 1;
            let inode = memory.next_inode;
            if !memory.nodes.contains_key(&path[..at]) {
                memory
                    .nodes
                    .insert(path[..at].to_vec(), Node::Folder(inode));
                memory.changes.push(path[..at].to_vec());
            }
            at += 1;
        }
        memory.next_inode += 1;
        let inode = memory.next_inode;
        memory.nodes.insert(path.to_vec(), make(inode));
        memory.changes.push(path.to_vec());
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, path: &str, text: &str) {
        self.put(path, |inode| {
            let stamp = Stamp {
                size: text.len() as u64,
                mtime_ns: i128::from(inode) << 30,
                ctime_ns: i128::from(inode),
                inode: (1, inode),
                ..Stamp::default()
            };
            Node::File(text.as_bytes().to_vec(), stamp)
        });
    }

    /// Makes a symbolic link.
    pub fn link(&self, path: &str, target: &str) {
        self.put(path, |_| Node::Link(target.as_bytes().to_vec()));
    }

    /// Makes a folder.
    pub fn folder(&self, path: &str) {
        self.put(path, Node::Folder);
    }

    /// Removes what stands at `path` and below.
    pub fn remove(&self, path: &str) {
        let mut memory = self.memory();
        let below = join(path.as_bytes(), b"");
        memory
            .nodes
            .retain(|at, _| at != path.as_bytes() && !at.starts_with(&below));
        memory.changes.push(path.as_bytes().to_vec());
    }

    /// The paths read so far, in order; the record starts anew.
    pub fn take_reads(&self) -> Vec<String> {
        let reads = std::mem::take(&mut self.memory().reads);
        reads
            .iter()
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect()
    }
}

impl Tree for MemoryTree {
    fn read(&self, path: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        let mut memory = self.memory();
        memory.reads.push(path.to_vec());
        match memory.nodes.get(&memory.real(path, true)?)? {
            Node::File(text, stamp) => Some((text.clone(), *stamp)),
            _ => None,
        }
    }
    fn look(&self, path: &[u8]) -> Found {
        let memory = self.memory();
        match memory
            .real(path, false)
            .and_then(|real| memory.nodes.get(&real))
        {
            None => Found::Absent,
            Some(Node::Folder(_)) => Found::Folder,
            Some(Node::File(..)) => Found::File,
            Some(Node::Link(target)) => Found::Link(target.clone()),
        }
    }
    fn stamp(&self, path: &[u8]) -> Option<Stamp> {
        let memory = self.memory();
        match memory.nodes.get(&memory.real(path, true)?)? {
            Node::File(_, stamp) => Some(*stamp),
            Node::Folder(inode) => Some(Stamp {
                inode: (1, *inode),
                ..Stamp::default()
            }),
            Node::Link(_) => None,
        }
    }
    fn list(&self, path: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
        let memory = self.memory();
        let real = memory.real(path, true)?;
        let below = join(&real, b"");
        let entries: Vec<_> = memory
            .nodes
            .range(below.clone()..)
            .take_while(|(at, _)| at.starts_with(&below))
            .filter(|(at, _)| at.len() > below.len() && !at[below.len()..].contains(&b'/'))
            .map(|(at, node)| {
                let kind = match node {
                    Node::Folder(_) => EntryKind::Folder,
                    Node::File(..) => EntryKind::File,
                    Node::Link(_) => EntryKind::Other,
                };
                (at[below.len()..].to_vec(), kind)
            })
            .collect();
        (matches!(memory.nodes.get(&real), Some(Node::Folder(_))) && entries.len() <= limit)
            .then_some(entries)
    }
    fn watch(&self, _folder: &[u8]) -> bool {
        true
    }
    fn watch_file(&self, _file: &[u8]) -> bool {
        true
    }
    fn drain(&self) -> u64 {
        self.memory().changes.len() as u64
    }
    fn changes_since(&self, position: u64) -> Changes {
        let memory = self.memory();
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        Changes::Entries(memory.changes.get(start..).unwrap_or_default().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_links_and_dots() {
        let tree = MemoryTree::new();
        tree.write("/a/b/x.h", "x");
        tree.link("/l", "a/b");
        assert_eq!(tree.look(b"/l"), Found::Link(b"a/b".to_vec()));
        assert_eq!(tree.look(b"/l/../b/x.h"), Found::File);
        assert_eq!(tree.look(b"/none/../a/b/x.h"), Found::Absent);
        assert_eq!(
            tree.read(b"/l/x.h").map(|(text, _)| text),
            Some(b"x".to_vec())
        );
        assert_eq!(
            tree.list(b"/l", 9),
            Some(vec![(b"x.h".to_vec(), EntryKind::File)])
        );
        tree.remove("/a");
        assert_eq!(tree.look(b"/l/x.h"), Found::Absent);
    }
}
