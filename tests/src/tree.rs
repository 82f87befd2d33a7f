//! Folders of files to compile, and what a command changed in them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{Builder, TempDir};

/// A temporary folder that any user may enter, since servers started by root run as another one.
#[derive(Debug)]
pub struct Tree {
    folder: TempDir,
}

/// A file or link as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Permissions and content.
    File(u32, Vec<u8>),
    /// Where it points.
    Link(PathBuf),
    /// A folder.
    Folder,
}

/// All that is below a folder, by relative path.
pub type Snapshot = BTreeMap<PathBuf, Entry>;

impl Tree {
    /// An empty folder.
    pub fn new() -> Self {
        Self::with_mode(0o755)
    }

    /// The same in memory, where each machine has folders of its own.
    pub fn in_memory() -> Self {
        Self::in_folder(Path::new("/dev/shm"), 0o755)
    }

    /// An empty folder that everybody may write to.
    pub fn for_everybody() -> Self {
        Self::with_mode(0o1777)
    }

    fn with_mode(mode: u32) -> Self {
        Self::in_folder(&std::env::temp_dir(), mode)
    }

    fn in_folder(parent: &Path, mode: u32) -> Self {
        let folder = Builder::new()
            .prefix("pumpcc-test.")
            .tempdir_in(parent)
            .expect("the temporary folder is writable");
        let path = folder.path();
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("the folder is ours");
        Self { folder }
    }

    /// Where it is, without symbolic links.
    pub fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists")
    }

    /// A path below it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, with the folders it is in.
    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        self.make_parent(&path);
        fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Makes a folder.
    pub fn folder(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Makes a symbolic link.
    pub fn link(&self, target: impl AsRef<Path>, name: impl AsRef<Path>) {
        let path = self.join(name);
        self.make_parent(&path);
        symlink(target, &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Writes a program in the shell's language.
    ///
    /// The file is made by another process: had this one ever had it open for writing, a child
    /// that another test starts at the same moment could hold it, and running it would fail
    /// (`ETXTBSY`).
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        let draft = self.write(format!("{name}.draft"), format!("#!/bin/sh\n{text}"));
        let path = self.join(name);
        let status = Command::new("install")
            .args(["-m", "755"])
            .args([&draft, &path])
            .status();
        assert!(status.is_ok_and(|status| status.success()));
        fs::remove_file(draft).expect("it was just written");
        path
    }

    fn make_parent(&self, path: &Path) {
        let parent = path.parent().expect("it is below the tree");
        fs::create_dir_all(parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()));
    }

    /// Everything in it.
    pub fn snapshot(&self) -> Snapshot {
        snapshot(&self.path())
    }

    /// Takes it back to `before`, and returns what had been added or changed since.
    pub fn take_changes(&self, before: &Snapshot) -> Snapshot {
        let now = self.snapshot();
        for (name, entry) in &now {
            if !before.contains_key(name) && !matches!(entry, Entry::Folder) {
                fs::remove_file(self.join(name)).expect("it is there");
            }
        }
        for name in now.keys().rev() {
            if !before.contains_key(name) && now[name] == Entry::Folder {
                fs::remove_dir(self.join(name)).expect("it is empty now");
            }
        }
        for (name, entry) in before {
            if let (Entry::File(mode, content), true) = (entry, now.get(name) != Some(entry)) {
                let path = self.write(name, content);
                fs::set_permissions(path, Permissions::from_mode(*mode)).expect("it is ours");
            }
        }
        let changed = |name: &PathBuf, entry: &Entry| before.get(name) != Some(entry);
        now.into_iter()
            .filter(|(name, entry)| changed(name, entry))
            .collect()
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

/// Everything below a folder. What vanishes meanwhile counts as absent.
pub fn snapshot(folder: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        let Ok(entries) = fs::read_dir(folder.join(&inside)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = inside.join(entry.file_name());
            let Ok(data) = entry.metadata() else { continue };
            let entry = if data.is_dir() {
                open.push(name.clone());
                Entry::Folder
            } else if data.is_symlink() {
                Entry::Link(fs::read_link(entry.path()).unwrap_or_default())
            } else {
                let content = fs::read(entry.path()).unwrap_or_default();
                Entry::File(data.permissions().mode() & 0o7777, content)
            };
            found.insert(name, entry);
        }
    }
    found
}
