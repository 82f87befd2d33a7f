//! The compilers of commands: found once, and again when they have changed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use command::hermetic::{Hermetic, Language};
use toolchain::{Place, Surroundings, Toolchain, Unsuitable, Wanted};

use super::maker::NoAction;
use crate::include_server::source::Identity;

/// What a command says about its compiler, and where that is looked for.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    wanted: Wanted,
    path: OsString,
    library_path: OsString,
    /// Where relative names and entries of `PATH` begin.
    folder: PathBuf,
}

/// A compiler and when it counts as the same.
pub(super) struct Found {
    pub(super) toolchain: Toolchain,
    /// Of all its files and links, in the order of its places.
    pub(super) stamps: Vec<(PathBuf, Option<Identity>)>,
    /// Where in `PATH` its programs did not stand, and what did.
    passed: Vec<(PathBuf, Option<Identity>)>,
}

/// All compilers met.
#[derive(Default)]
pub(super) struct Toolchains {
    known: Mutex<HashMap<Key, Arc<Found>>>,
}

impl Toolchains {
    /// The compiler of a command, as it is now.
    ///
    /// # Errors
    /// Why it cannot be taken along, in words.
    pub(super) fn find(
        &self,
        argv: &[OsString],
        hermetic: &Hermetic,
        around: &Surroundings,
    ) -> Result<Arc<Found>, NoAction> {
        let name = argv.first().map_or(OsStr::new(""), |name| name);
        let variable = |name| around.variable(name).unwrap_or_default().to_owned();
        let (path, library_path) = (variable("PATH"), variable("LD_LIBRARY_PATH"));
        let wanted = wanted(name, hermetic);
        let is_relative = |path: &Path| !path.is_absolute();
        let is_found_from_here = match name.as_bytes().contains(&b'/') {
            true => is_relative(Path::new(name)),
            false => std::env::split_paths(&path).any(|folder| is_relative(&folder)),
        };
        let needs_folder = is_found_from_here
            || std::env::split_paths(&library_path).any(|folder| is_relative(&folder))
            // Their values may be relative paths.
            || !wanted.options.is_empty()
            || !wanted.plugins.is_empty();
        let key = Key {
            wanted,
            path,
            library_path,
            folder: if needs_folder {
                around.folder.clone()
            } else {
                PathBuf::new()
            },
        };
        let known = self.lock().get(&key).cloned();
        if let Some(found) = known.filter(|found| found.is_as_it_was()) {
            return Ok(found);
        }
        let toolchain = toolchain::discover(&key.wanted, around).map_err(|error| match error {
            // By name alone, another one would run on a server.
            Unsuitable::Script(_) => NoAction::stays(error.to_string()),
            error => NoAction::from(error.to_string()),
        })?;
        let found = Arc::new(Found::new(toolchain));
        self.lock().insert(key, Arc::clone(&found));
        Ok(found)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Found>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn new(toolchain: Toolchain) -> Self {
        let places = &toolchain.places.by_path;
        let paths = places
            .iter()
            .filter(|(_, place)| !matches!(place, Place::Folder));
        let stamps = paths.map(|(path, _)| (path.clone(), stamp(path))).collect();
        let passed = toolchain.passed.iter();
        let passed = passed.map(|path| (path.clone(), stamp_behind(path)));
        Self {
            stamps,
            passed: passed.collect(),
            toolchain,
        }
    }

    fn is_as_it_was(&self) -> bool {
        let mut passed = self.passed.iter();
        self.stamps.iter().all(|(path, was)| stamp(path) == *was)
            && passed.all(|(path, was)| stamp_behind(path) == *was)
    }
}

/// What this command says about its compiler, which is called `name`.
pub(crate) fn wanted(name: &OsStr, hermetic: &Hermetic) -> Wanted {
    Wanted {
        name: name.to_owned(),
        language: of(hermetic.language),
        options: hermetic.tools.clone(),
        plugins: hermetic.plugins.clone(),
    }
}

fn stamp(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path)
        .ok()
        .map(|found| Identity::of(&found))
}

/// Of what a link leads to.
fn stamp_behind(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|found| Identity::of(&found))
}

fn of(language: Language) -> toolchain::Language {
    match language {
        Language::C => toolchain::Language::C,
        Language::Cxx => toolchain::Language::Cxx,
        Language::ObjectiveC => toolchain::Language::ObjectiveC,
        Language::ObjectiveCxx => toolchain::Language::ObjectiveCxx,
        Language::PreprocessedAssembler => toolchain::Language::PreprocessedAssembler,
    }
}
