//! Reading and changing the folders of a machine, or of an image of one.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use super::candidates::{Gcc, Listing};
use super::plan::{Kind, Plan, Present};

/// What links in the masquerade folder say.
const LINK_TEXT: &str = "../../bin/distcc";

/// More links than Linux follows in a path.
const MAX_LINKS: usize = 40;

/// Why the masquerade folder is not up to date.
#[derive(Debug)]
pub(super) enum Error {
    /// There is no distcc that links could lead to.
    NoDistcc(PathBuf),
    /// A folder or link resists.
    Io {
        tried: &'static str,
        path: PathBuf,
        error: io::Error,
    },
}

/// The folders of one machine.
pub(super) struct Tree {
    root: PathBuf,
    /// Where distcc is installed, seen from within the machine.
    prefix: PathBuf,
}

impl Tree {
    /// The machine whose root folder is `root`, with distcc below `prefix`.
    pub(super) fn new(root: PathBuf, prefix: PathBuf) -> Self {
        Self { root, prefix }
    }

    /// Finds programs and gcc installations. Folders that are missing are empty.
    pub(super) fn read_listing(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let prefixes = BTreeSet::from([Path::new("/usr"), &self.prefix]);
        for prefix in prefixes {
            let prefix = self.inside(prefix);
            for entry in read_folder(&prefix.join("bin"))? {
                if self.is_compiler_file(&entry.path()) {
                    listing.programs.insert(entry.file_name());
                }
            }
            let lib = prefix.join("lib");
            let multiarch = read_folder(&lib)?.into_iter().map(|e| e.path().join("gcc"));
            let fixed = ["lib/gcc", "lib/gcc-cross", "libexec/gcc"];
            for folder in multiarch.chain(fixed.map(|folder| prefix.join(folder))) {
                read_gccs(&folder, &mut listing.gccs)?;
            }
        }
        Ok(listing)
    }

    /// What is in the masquerade folder, nothing if it is missing.
    pub(super) fn read_links(&self) -> Result<Vec<Present>, Error> {
        let entries = read_folder(&self.masquerade())?;
        let present = entries.into_iter().map(|entry| {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let kind = match is_link {
                false => Kind::Other,
                true if self.resolve(&entry.path()).is_some() => Kind::Link,
                true => Kind::DanglingLink,
            };
            Present {
                name: entry.file_name(),
                kind,
            }
        });
        Ok(present.collect())
    }

    /// Changes the masquerade folder, and creates it if need be. Someone else who does the same
    /// at the same time does no harm.
    pub(super) fn apply(&self, plan: &Plan) -> Result<(), Error> {
        let folder = self.masquerade();
        for name in &plan.remove {
            let path = folder.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", path, error));
                }
                _ => {}
            }
        }
        let distcc = self.inside(&self.prefix).join("bin/distcc");
        if self.resolve(&distcc).is_none_or(|file| !is_program(&file)) {
            return Err(Error::NoDistcc(distcc));
        }
        fs::create_dir_all(&folder).map_err(|e| Error::io("create folder", folder.clone(), e))?;
        for name in &plan.create {
            let path = folder.join(name);
            match symlink(LINK_TEXT, &path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io("create link", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn masquerade(&self) -> PathBuf {
        self.inside(&self.prefix).join("lib/distcc")
    }

    /// Whether a file can be a compiler: a program, but not distcc by another name.
    fn is_compiler_file(&self, path: &Path) -> bool {
        let file = self.resolve(path);
        file.is_some_and(|file| is_program(&file) && !file.ends_with("distcc"))
    }

    /// Where an absolute path of the machine is for us.
    fn inside(&self, path: &Path) -> PathBuf {
        let parts = path.components();
        let parts = parts.filter(|part| !matches!(part, Component::RootDir));
        self.root.join(parts.collect::<PathBuf>())
    }

    /// Follows the links at the end of a path as the machine would, whose root is not ours. None:
    /// there is nothing in the end.
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            if !fs::symlink_metadata(&path).ok()?.is_symlink() {
                return Some(path);
            }
            let text = fs::read_link(&path).ok()?;
            path = match text.is_absolute() {
                true => self.inside(&text),
                false => path.parent()?.join(text),
            };
        }
        None
    }
}

/// Whether a file, no link, may be run by somebody.
fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Adds each `TARGET/VERSION` below a folder.
fn read_gccs(folder: &Path, gccs: &mut BTreeSet<Gcc>) -> Result<(), Error> {
    for target in read_folder(folder)? {
        for version in read_folder(&target.path())? {
            gccs.insert(Gcc {
                target: target.file_name(),
                version: version.file_name(),
            });
        }
    }
    Ok(())
}

/// What is in a folder; nothing if there is no such folder, or if it is not for us to see, which
/// is normal for a user who keeps a masquerade folder at home.
fn read_folder(folder: &Path) -> Result<Vec<DirEntry>, Error> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect);
    entries.or_else(|error: io::Error| match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::PermissionDenied => Ok(Vec::new()),
        _ => Err(Error::io("read folder", folder.to_owned(), error)),
    })
}

impl Error {
    fn io(tried: &'static str, path: PathBuf, error: io::Error) -> Self {
        Self::Io { tried, path, error }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDistcc(path) => {
                write!(f, "no links made: {} is no program", path.display())
            }
            Self::Io { tried, path, error } => {
                write!(f, "cannot {tried} {}: {error}", path.display())
            }
        }
    }
}
