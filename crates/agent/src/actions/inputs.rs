//! Everything that a compile needs, in one root: the closure that the include engine found, files that options name,
//! the compiler, and the language's files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use action::{BadPath, Digest, Root};
use includes::Closure;
use toolchain::{Place, Places};

use super::digests::Digests;
use crate::include_server::source::Identity;

/// A root, and the files in it.
pub(super) struct Inputs {
    pub(super) root: Root,
    /// Of files, each once.
    pub(super) digests: Vec<Digest>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NoInputs {
    /// A file changed meanwhile: another look may do.
    Unsettled,
    /// In words.
    Local(String),
}

impl From<BadPath> for NoInputs {
    fn from(path: BadPath) -> Self {
        match path {
            // Something is a link in one look and a file in another.
            BadPath::Taken(_) => Self::Unsettled,
            other => Self::Local(other.to_string()),
        }
    }
}

/// Puts it all together: what is included, and what else there has to be.
pub(super) fn gather(
    closure: &Closure,
    others: [&Places; 5],
    files: &Digests,
) -> Result<Inputs, NoInputs> {
    let mut root = Root::default();
    let mut digests: HashMap<Digest, &Path> = HashMap::with_capacity(closure.files.len());
    for (path, target) in &closure.links {
        root.add_link(path, target)?;
    }
    for file in &closure.files {
        let path = Path::new(OsStr::from_bytes(&file.real));
        let seen = file.stamp.as_ref().and_then(Identity::of_stamp);
        let digest = match files.of(path, seen) {
            // It is there without our doing.
            Err(error)
                if error.kind() == io::ErrorKind::InvalidInput
                    && path == Path::new("/dev/null") =>
            {
                continue;
            }
            other => other.map_err(|error| unreadable(path, &error))?,
        };
        if is_of_machine(path) {
            return Err(NoInputs::Local(elsewhere(path)));
        }
        root.add_file(&file.real, digest, false)?;
        if let Some(twin) = digests.insert(digest, path)
            && twin != path
        {
            refuse_twins(path, twin, digest)?;
        }
    }
    for (path, place) in others.iter().flat_map(|places| &places.by_path) {
        let bytes = path.as_os_str().as_bytes();
        match place {
            Place::Link(target) => root.add_link(bytes, target.as_os_str().as_bytes())?,
            Place::File { executable, .. } => {
                // A header may be part of the compiler's own files.
                if matches!(root.file(bytes), Some(Some(_))) {
                    continue;
                }
                let digest = files
                    .of(path, None)
                    .map_err(|error| unreadable(path, &error))?;
                root.add_file(bytes, digest, *executable)?;
                digests.insert(digest, path.as_path());
            }
            Place::Folder => {}
        }
    }
    let folders = others.iter().flat_map(|places| &places.by_path);
    let folders = folders.filter(|(_, place)| **place == Place::Folder);
    for (path, _) in folders {
        root.add_folder(path.as_os_str().as_bytes())?;
    }
    for folder in &closure.folders {
        root.add_folder(folder)?;
    }
    root.add_folder(b"/tmp")?;
    Ok(Inputs {
        root,
        digests: digests.into_keys().collect(),
    })
}

/// Whether each machine has something of its own there, so that no server can put a client's files there.
pub(super) fn is_of_machine(path: &Path) -> bool {
    let own = ["/dev", "/proc", "/sys"];
    own.iter().any(|folder| path.starts_with(folder)) && !is_in_memory(path)
}

/// Where projects are built in memory. Our servers have it for clients; other engines may have their own.
pub(super) fn is_in_memory(path: &Path) -> bool {
    path.starts_with("/dev/shm")
}

/// Why a compile with such a path runs where it was called.
pub(super) fn elsewhere(path: &Path) -> String {
    format!("servers have their own {}", path.display())
}

/// Two files of one content are one for gcc if their times are equal, too, and for clang if they are hard links: where
/// the text cares about it, the times and inodes that a server makes up must not decide.
fn refuse_twins(path: &Path, twin: &Path, digest: Digest) -> Result<(), NoInputs> {
    let text = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
    match digest.size > 0 && (has(b"once") || has(b"import")) {
        false => Ok(()),
        true => Err(NoInputs::Local(format!(
            "{} and {} have one content, which is to be included once",
            twin.display(),
            path.display()
        ))),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> NoInputs {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::NotFound => NoInputs::Unsettled,
        _ => NoInputs::Local(format!("{}: {error}", path.display())),
    }
}
