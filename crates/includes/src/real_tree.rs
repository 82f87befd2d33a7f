//! The file system of this machine.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::tree::{Changes, EntryKind, Found, Stamp, Tree};

/// The real tree. Without a watcher, nothing is assumed to change during its life.
#[derive(Debug, Default)]
pub struct RealTree {}

impl RealTree {
    /// A tree that is taken as unchanging: for one run over a finished tree.
    pub fn frozen() -> Self {
        RealTree {}
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    let nanoseconds = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    Stamp {
        size: meta.size(),
        mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
        ctime_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
        inode: (meta.dev(), meta.ino()),
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

    fn watch(&self, _folder: &[u8]) {}

    fn drain(&self) -> u64 {
        0
    }

    fn changes_since(&self, _position: u64) -> Changes {
        Changes::Entries(Vec::new())
    }
}
