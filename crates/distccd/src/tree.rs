//! The client's tree, rebuilt below a job's root (protocol 3).
//!
//! Names and link texts are foreign bytes. Nothing is ever written through a symbolic link:
//! folders are opened one by one, without following any, so a `FILE` cannot leave the root
//! whatever `LINK`s came before it. 3.4 glues name and root together and opens the result.
//!
//! Links may lead to two places: into the root, and from a system folder's own name to the
//! server's folder of that name (see [`LinkText`]).

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use protocol::include::MUST_EXIST;
use rustix::fs::{Mode, OFlags, mkdirat, openat, readlinkat, symlinkat};
use rustix::io::Errno;

use crate::fault::reason;
use crate::link_text::{LinkText, climbs_behind_a_name, components};

/// Where a compiler will find a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the client's own paths, in front of the server's folders.
    InPlace,
    /// Below the root on disk.
    BelowRoot,
}

/// A tree under construction.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    root_path: PathBuf,
    place: Place,
    /// The folder that was used last: files of one folder mostly come together.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Bytes on disk that may still be used.
    room: u64,
}

/// Why an entry cannot be made.
#[derive(Debug)]
pub(crate) enum TreeError {
    /// Not the absolute path of a file: relative, the root, or with `.` or `..` in it.
    Name(String),
    /// A folder on the way is a link or a file.
    Way { name: String },
    /// A link out of the root.
    Escape { name: String, text: String },
    /// A link whose name exists.
    Exists { name: String },
    /// All entries together are larger than a job may be.
    TooMuch { name: String },
    /// The system's refusal.
    Io { name: String, error: io::Error },
}

/// Space that each entry takes on disk besides its content.
const ENTRY_BYTES: u64 = 4096;
/// Folders in each other: no path has more.
const MAX_DEPTH: usize = 2048;

impl Tree {
    /// Makes the folder `root`. All entries together may take `room` bytes.
    pub(crate) fn create(root: PathBuf, place: Place, room: u64) -> io::Result<Self> {
        std::fs::create_dir(&root)?;
        let fd = rustix::fs::open(&root, FOLDER, Mode::empty())?;
        Ok(Self {
            root: fd,
            root_path: root,
            place,
            last: None,
            room,
        })
    }

    /// Goes on in another folder, which has all that this one has.
    pub(crate) fn continue_in(&mut self, root: PathBuf) -> io::Result<()> {
        self.root = rustix::fs::open(&root, FOLDER, Mode::empty())?;
        self.root_path = root;
        self.last = None;
        Ok(())
    }

    /// Where a client's path is on this machine.
    pub(crate) fn path_of(&self, client_path: &OsStr) -> PathBuf {
        let below = Path::new(client_path).strip_prefix("/");
        self.root_path.join(below.unwrap_or(client_path.as_ref()))
    }

    /// Makes a folder and its parents; those that exist are fine.
    pub(crate) fn folder(&mut self, name: &OsStr) -> Result<(), TreeError> {
        let path = ClientPath::parse(name)?;
        self.open(name, &path.components).map(|_| ())
    }

    /// Opens a new file for writing; its parents are made. An earlier file of this name is
    /// emptied. `None` for the placeholder that only says that its folder has to exist.
    pub(crate) fn file(&mut self, name: &OsStr) -> Result<Option<File>, TreeError> {
        let path = ClientPath::parse(name)?;
        let (base, parents) = path.split(name)?;
        let parent = self.open(name, parents)?;
        if base == MUST_EXIST.as_bytes() {
            return Ok(None);
        }
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::TRUNC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        match openat(parent, base, flags, Mode::from_raw_mode(0o644)) {
            Ok(file) => {
                self.take(name, ENTRY_BYTES)?;
                Ok(Some(file.into()))
            }
            Err(Errno::LOOP | Errno::ISDIR) => Err(TreeError::Way { name: shown(name) }),
            Err(error) => Err(io_error(name)(error)),
        }
    }

    /// Makes a link; its parents are made. A link that exists already is fine if it is the same.
    pub(crate) fn link(&mut self, name: &OsStr, text: &OsStr) -> Result<(), TreeError> {
        let path = ClientPath::parse(name)?;
        let (base, parents) = path.split(name)?;
        let target = match (
            LinkText::read(text.as_bytes(), &path.components),
            self.place,
        ) {
            (Some(LinkText::BelowRoot(text) | LinkText::Relative(text)), Place::InPlace) => {
                text.to_vec()
            }
            (Some(LinkText::Relative(text)), Place::BelowRoot) if !climbs_behind_a_name(text) => {
                text.to_vec()
            }
            (Some(LinkText::BelowRoot(text)), Place::BelowRoot) if !climbs_behind_a_name(text) => {
                [self.root_path.as_os_str().as_bytes(), text].concat()
            }
            (Some(LinkText::System), Place::BelowRoot) => name.as_bytes().to_vec(),
            // It is there already.
            (Some(LinkText::System), Place::InPlace) => return Ok(()),
            (_, Place::BelowRoot) | (None, Place::InPlace) => {
                let (name, text) = (shown(name), shown(text));
                return Err(TreeError::Escape { name, text });
            }
        };
        let parent = self.open(name, parents)?;
        match symlinkat(&target[..], parent, base) {
            Ok(()) => self.take(name, ENTRY_BYTES),
            Err(Errno::EXIST)
                if readlinkat(parent, base, Vec::new())
                    .is_ok_and(|there| there.as_bytes() == target) =>
            {
                Ok(())
            }
            Err(Errno::EXIST) => Err(TreeError::Exists { name: shown(name) }),
            Err(error) => Err(io_error(name)(error)),
        }
    }

    /// Accounts for bytes on disk.
    pub(crate) fn take(&mut self, name: &OsStr, bytes: u64) -> Result<(), TreeError> {
        self.room = self
            .room
            .checked_sub(bytes)
            .ok_or_else(|| TreeError::TooMuch { name: shown(name) })?;
        Ok(())
    }

    /// Opens the folder with these components below the root; the missing ones are made.
    fn open(&mut self, name: &OsStr, folders: &[&[u8]]) -> Result<BorrowedFd<'_>, TreeError> {
        let path = folders.join(&b'/');
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            let mut at: Option<OwnedFd> = None;
            for folder in folders {
                let parent = at.as_ref().unwrap_or(&self.root).as_fd();
                let next = match openat(parent, *folder, FOLDER, Mode::empty()) {
                    Err(Errno::NOENT) => {
                        let too_much = || TreeError::TooMuch { name: shown(name) };
                        self.room = self.room.checked_sub(ENTRY_BYTES).ok_or_else(too_much)?;
                        let mode = Mode::from_raw_mode(0o755);
                        mkdirat(parent, *folder, mode).map_err(io_error(name))?;
                        openat(parent, *folder, FOLDER, Mode::empty())
                    }
                    other => other,
                };
                at = Some(next.map_err(|error| match error {
                    Errno::LOOP | Errno::NOTDIR => TreeError::Way { name: shown(name) },
                    error => io_error(name)(error),
                })?);
            }
            // No component: the root itself.
            let Some(fd) = at else {
                return Ok(self.root.as_fd());
            };
            self.last = Some((path, fd));
        }
        let (_, fd) = self.last.as_ref().expect("set above");
        Ok(fd.as_fd())
    }
}

/// How folders are opened: only as a place to start from, and never through a link.
const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

fn io_error(name: &OsStr) -> impl Fn(Errno) -> TreeError {
    |error| TreeError::Io {
        name: shown(name),
        error: error.into(),
    }
}

/// An absolute path without `.` and `..`.
#[derive(Debug)]
struct ClientPath<'a> {
    components: Vec<&'a [u8]>,
}

impl<'a> ClientPath<'a> {
    fn parse(name: &'a OsStr) -> Result<Self, TreeError> {
        let refused = || TreeError::Name(shown(name));
        let below = name.as_bytes().strip_prefix(b"/").ok_or_else(refused)?;
        let components: Vec<&[u8]> = components(below).collect();
        if components.len() > MAX_DEPTH || components.iter().any(|&c| c == b"." || c == b"..") {
            return Err(refused());
        }
        Ok(Self { components })
    }

    /// The last component, and those in front of it; there must be one.
    fn split(&self, name: &OsStr) -> Result<(&'a [u8], &[&'a [u8]]), TreeError> {
        match self.components.split_last() {
            Some((base, parents)) if !name.as_bytes().ends_with(b"/") => Ok((base, parents)),
            _ => Err(TreeError::Name(shown(name))),
        }
    }
}

impl fmt::Display for TreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\" is not the absolute path of a file"),
            Self::Way { name } => {
                write!(
                    f,
                    "\"{name}\" cannot be written: a folder or link is in its way"
                )
            }
            Self::Escape { name, text } => {
                write!(f, "link \"{name}\" leads out of the job's tree: \"{text}\"")
            }
            Self::Exists { name } => write!(f, "link \"{name}\" exists already"),
            Self::TooMuch { name } => {
                write!(
                    f,
                    "\"{name}\" and what came before it are larger than a job may be"
                )
            }
            Self::Io { name, error } => write!(f, "failed to make \"{name}\": {}", reason(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn tree() -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::create(dir.path().join("root"), Place::BelowRoot, 1 << 20).unwrap();
        (dir, tree)
    }

    fn write(tree: &mut Tree, name: &str, content: &str) -> Result<(), String> {
        let file = tree
            .file(name.as_ref())
            .map_err(|error| error.to_string())?;
        file.unwrap().write_all(content.as_bytes()).unwrap();
        Ok(())
    }

    fn link(tree: &mut Tree, name: &str, text: &str) -> Result<(), String> {
        tree.link(name.as_ref(), text.as_ref())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn files_in_folders_that_are_made() {
        let (dir, mut tree) = tree();
        let root = dir.path().join("root");
        tree.folder("/home/u".as_ref()).unwrap();
        tree.folder("/".as_ref()).unwrap();
        for (name, content) in [
            ("/home/u/a b.c", "1"),
            ("/home/u/a b.c", ""),
            ("//x//y", "2"),
        ] {
            write(&mut tree, name, content).unwrap();
            assert_eq!(
                fs::read_to_string(tree.path_of(name.as_ref())).unwrap(),
                content
            );
        }
        assert!(root.join("x/y").is_file());
        assert_eq!(tree.path_of("/home/u".as_ref()), root.join("home/u"));
    }

    #[test]
    fn a_placeholder_makes_its_folder_only() {
        let (dir, mut tree) = tree();
        let name = "/e/forcing_technique_271828";
        assert!(tree.file(name.as_ref()).unwrap().is_none());
        assert_eq!(fs::read_dir(dir.path().join("root/e")).unwrap().count(), 0);
    }

    #[test]
    fn names_that_are_no_absolute_paths() {
        let (dir, mut tree) = tree();
        for name in [
            "",
            "a",
            "../a",
            "/../escaped",
            "/a/../../b",
            "/a/./b",
            "/..",
            "/",
            "/a/",
        ] {
            let expected = format!("\"{name}\" is not the absolute path of a file");
            assert_eq!(write(&mut tree, name, "").unwrap_err(), expected);
            assert_eq!(link(&mut tree, name, "x").unwrap_err(), expected);
        }
        let deep = "/d".repeat(300);
        assert!(write(&mut tree, &deep, "").is_err());
        let long = format!("/{}", "d".repeat(300));
        assert!(
            write(&mut tree, &long, "")
                .unwrap_err()
                .contains("File name too long")
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (dir, mut tree) = tree();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        // Even one that nobody could have sent.
        std::os::unix::fs::symlink(&outside, dir.path().join("root/out")).unwrap();
        std::os::unix::fs::symlink(outside.join("f"), dir.path().join("root/f")).unwrap();
        link(&mut tree, "/tmp", "../../../../../../../../../../tmp").unwrap();
        for name in ["/out/f", "/out/new/f", "/f", "/tmp/escaped"] {
            let error = write(&mut tree, name, "x").unwrap_err();
            let expected = format!("\"{name}\" cannot be written: a folder or link is in its way");
            assert_eq!(error, expected);
        }
        assert!(tree.folder("/out/new".as_ref()).is_err());
        assert!(link(&mut tree, "/out/new", "x").is_err());
        assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
    }

    #[test]
    fn links_into_the_tree_and_to_system_folders() {
        let (dir, mut tree) = tree();
        let root = dir.path().join("root");
        for (name, text, target) in [
            ("/p/v.h", "/p/inc/v.h", root.join("p/inc/v.h")),
            ("/p/r.h", "../q/./r.h", "../q/./r.h".into()),
            (
                "/usr/include",
                &*("../".repeat(22) + "usr/include"),
                "/usr/include".into(),
            ),
        ] {
            link(&mut tree, name, text).unwrap();
            let there = fs::read_link(tree.path_of(name.as_ref())).unwrap();
            assert_eq!(there.as_os_str(), target.as_os_str(), "{name}");
            // The same again is no error.
            link(&mut tree, name, text).unwrap();
        }
        assert_eq!(
            link(&mut tree, "/p/v.h", "/p/other").unwrap_err(),
            "link \"/p/v.h\" exists already"
        );
    }

    #[test]
    fn links_that_lead_elsewhere() {
        let (_dir, mut tree) = tree();
        for (name, text) in [
            ("/a", "../etc"),
            ("/a/b", "../../etc/passwd"),
            ("/a/b", "../../../../../../../../etc"),
            ("/a/b", "x/../../../etc"),
            ("/a/b", "/../etc"),
            ("/a/b", "/../a/b"),
            ("/a/b", "/x/../../a/b"),
            ("/a/b", ""),
            // Where `x` is a link to the root.
            ("/1/2/3/l", "x/../../../etc/passwd"),
            ("/1/2/3/l", "./x/../y"),
            ("/p/s.h", "/a/../b"),
            ("/usr/include", "../../../../../../usr"),
            ("/usr/include", "../../../../../../usr/include/../../etc"),
            ("/usr/include", "x/../../../../usr/include"),
        ] {
            assert_eq!(
                link(&mut tree, name, text).unwrap_err(),
                format!("link \"{name}\" leads out of the job's tree: \"{text}\"")
            );
        }
    }

    #[test]
    fn a_job_has_limited_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::create(dir.path().join("root"), Place::BelowRoot, 10_000).unwrap();
        write(&mut tree, "/a", "").unwrap();
        tree.take("/a".as_ref(), 1000).unwrap();
        write(&mut tree, "/b", "").unwrap();
        let error = write(&mut tree, "/c", "").unwrap_err();
        assert_eq!(
            error,
            "\"/c\" and what came before it are larger than a job may be"
        );
    }

    #[test]
    fn an_existing_folder_is_no_file() {
        let (_dir, mut tree) = tree();
        write(&mut tree, "/a/b", "").unwrap();
        assert!(write(&mut tree, "/a", "").is_err());
        assert!(write(&mut tree, "/a/b/c", "").is_err());
        assert!(link(&mut tree, "/a", "x").is_err());
    }
}
