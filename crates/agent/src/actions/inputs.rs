//! Everything that a compile needs, in one root: the closure that the include engine found, files that options name,
//! the compiler, and the language's files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use action::{BadPath, Digest, Root};
use includes::{Closure, ClosureFile};
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

/// What has been seen of files and links, by their paths.
pub(super) type Stamps = [(PathBuf, Option<Identity>)];

/// What a compile needs besides that which it includes.
pub(super) struct Besides<'p> {
    /// What the compiler is made of, and how each file and link of that was seen just now, in the same order.
    pub(super) compiler: (&'p Places, &'p Stamps),
    pub(super) others: [&'p Places; 4],
}

impl Besides<'_> {
    /// All folders, links and files, and what has been seen of them just now.
    fn all(&self) -> impl Iterator<Item = (&Path, &Place, Option<Identity>)> {
        let (compiler, stamps) = self.compiler;
        let mut stamps = stamps.iter();
        let compiler = compiler.by_path.iter().map(move |(path, place)| {
            let seen = match place {
                Place::Folder => None,
                _ => stamps.next().filter(|(seen, _)| seen == path),
            };
            (&**path, place, seen.and_then(|(_, identity)| *identity))
        });
        let others = self.others.iter().flat_map(|places| &places.by_path);
        compiler.chain(others.map(|(path, place)| (&**path, place, None)))
    }
}

/// Puts it all together: what is included, and what else there has to be.
pub(super) fn gather(
    closure: &Closure,
    besides: &Besides<'_>,
    files: &Digests,
) -> Result<Inputs, NoInputs> {
    // Folders, links and the compiler are fewer than the headers, mostly.
    let mut root = Root::with_room(2 * closure.files.len());
    let seen = |file: &ClosureFile| file.stamp.as_ref().and_then(Identity::of_stamp);
    let known = files.known(closure.files.iter().map(|file| (&*file.real, seen(file))));
    let mut digests: HashMap<Digest, &Path> = HashMap::with_capacity(closure.files.len());
    for (path, target) in &closure.links {
        root.add_link(path, target)?;
    }
    for (file, known) in closure.files.iter().zip(known) {
        let path = Path::new(OsStr::from_bytes(&file.real));
        let digest = match known.map_or_else(|| files.of(path, seen(file)), Ok) {
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
    for (path, place, seen) in besides.all() {
        let bytes = path.as_os_str().as_bytes();
        match place {
            Place::Link(target) => root.add_link(bytes, target.as_os_str().as_bytes())?,
            Place::File { executable, .. } => {
                // A header may be part of the compiler's own files.
                if matches!(root.file(bytes), Some(Some(_))) {
                    continue;
                }
                let digest = files
                    .of(path, seen)
                    .map_err(|error| unreadable(path, &error))?;
                root.add_file(bytes, digest, *executable)?;
                digests.insert(digest, path);
            }
            Place::Folder => {}
        }
    }
    for (path, _, _) in besides
        .all()
        .filter(|(_, place, _)| **place == Place::Folder)
    {
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
    // It is asked of each file: the first part alone says no at once.
    let mut parts = path.components().skip(1);
    match parts.next() {
        Some(Component::Normal(top)) if top == "dev" || top == "proc" || top == "sys" => {
            path.is_absolute() && !is_in_memory(path)
        }
        _ => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_machine_has_of_its_own() {
        for own in [
            "/dev",
            "//dev//null",
            "/proc/self/x.h",
            "/./sys/a",
            "/dev/shmx",
        ] {
            assert!(is_of_machine(Path::new(own)), "{own}");
        }
        for other in [
            "/",
            "/devel/a.h",
            "/home/dev/a.h",
            "/dev/shm/a.h",
            "/usr",
            "dev",
        ] {
            assert!(!is_of_machine(Path::new(other)), "{other}");
        }
    }
}
