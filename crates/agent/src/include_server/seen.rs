//! What the include engine says of a compile, and which files that means on disk at the moment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use includes::{Closure, DefaultFolder};

use super::client_tree::{ClientTree, KnownLinks, Needs};
use super::job::{Found, Job};
use super::refusal::Refusal;
use super::scan::Blocker;
use super::source::{self, Identity, Source};
use super::system_dirs::SystemDirs;

/// A closure and the files it consists of.
pub(crate) struct Seen {
    closure: Arc<Closure>,
    pub(crate) system: SystemDirs,
    /// Those that are sent, the source first.
    pub(crate) found: Vec<Found>,
}

impl Seen {
    /// Looks which files these are.
    ///
    /// # Errors
    /// Those of [`source::identify`]; [`Refusal::SourceInDefaultFolder`].
    pub(crate) fn new(closure: Arc<Closure>) -> Result<Self, Refusal> {
        let system = SystemDirs {
            searched: closure
                .default_folders
                .iter()
                .map(|folder| path(&folder.real).to_owned())
                .collect(),
            is_gcc: !closure.is_clang,
        };
        let mut found = Vec::new();
        for (at, file) in closure.files.iter().enumerate() {
            let real = path(&file.real);
            if system.contain(real) {
                if at == 0 {
                    return Err(Refusal::SourceInDefaultFolder(real.to_owned()));
                }
                continue;
            }
            // Of what the engine has read, it knows the state, and watches it.
            let known = file.stamp.as_ref().and_then(Identity::of_stamp);
            let identity = match known {
                None => source::identify(real)?,
                known => known,
            };
            found.push(Found {
                spelled: path(&file.spelled).to_owned(),
                real: real.to_owned(),
                identity,
            });
        }
        Ok(Self {
            closure,
            system,
            found,
        })
    }

    /// Whether it comes from this very answer of the engine.
    pub(crate) fn is_of(&self, closure: &Arc<Closure>) -> bool {
        Arc::ptr_eq(&self.closure, closure)
    }

    /// Whether nothing that is sent has changed between the two.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.closure, &other.closure);
        self.found == other.found && (Arc::ptr_eq(ours, theirs) || ours.links == theirs.links)
    }

    /// What must exist beside the files: all by what the engine met, nothing is asked of the disk.
    pub(crate) fn beside(&self, job: &Job<'_>) -> Needs {
        let closure = &self.closure;
        let mut tree = ClientTree::new(&self.system, self.links());
        // A folder first and then what is in it: each is named, as 3.4 does.
        let mut folders: Vec<_> = closure.folders.iter().collect();
        folders.sort_unstable_by_key(|folder| (folder.len(), *folder));
        for folder in folders {
            let is_default = closure
                .default_folders
                .iter()
                .any(|default| is_within(folder, default));
            if !is_default {
                tree.folder(path(folder));
            }
        }
        for file in &self.found {
            tree.known_file(&job.cwd.join(&file.spelled), &file.real);
        }
        for file in &closure.renamed {
            if !self.system.contain(path(&file.real)) {
                tree.known_file(path(&file.path), path(&file.real));
            }
        }
        tree.needs()
    }

    /// What in the text of a file that is sent has an effect on the server other than here.
    pub(crate) fn blocker(&self, source: &Source) -> Option<Blocker> {
        let counts = |blocker: &Blocker| match blocker {
            // A word in the text does not say that it is used; the engine knows.
            Blocker::Time => self.closure.time_macros,
            // The name of the file may be put together in any way.
            Blocker::Assembler => true,
            // The engine refuses these where they count.
            Blocker::ComputedHasInclude | Blocker::Embed | Blocker::Dependency => false,
        };
        source.facts.blockers.iter().copied().find(counts)
    }

    fn links(&self) -> KnownLinks<'_> {
        let closure = &self.closure;
        KnownLinks::new(
            closure.links.iter().map(|(at, text)| (&**at, &**text)),
            closure.files.iter().map(|file| &*file.real),
        )
    }
}

/// Whether the path is the default folder or below it, by its spelling.
fn is_within(folder: &[u8], default: &DefaultFolder) -> bool {
    folder
        .strip_prefix(&*default.spelled)
        .is_some_and(|rest| match rest.first() {
            None => true,
            Some(b'/') => !rest.windows(3).any(|part| part == b"/.."),
            Some(_) => false,
        })
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
