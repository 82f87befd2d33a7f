//! The compilers of commands: found once, and again when they have changed.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use command::hermetic::Language;
use toolchain::{Place, Surroundings, Toolchain};

use crate::include_server::source::Identity;

/// What a command says about its compiler.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    name: OsString,
    path: OsString,
    /// Where relative names and `PATH` entries begin.
    folder: PathBuf,
    language: LanguageKey,
    options: Vec<OsString>,
}

type LanguageKey = toolchain::Language;

/// A compiler and when it counts as the same.
struct Found {
    toolchain: Arc<Toolchain>,
    stamps: Vec<(PathBuf, Option<Identity>)>,
}

/// All compilers met.
#[derive(Default)]
pub(super) struct Toolchains {
    known: Mutex<HashMap<Key, Arc<Found>>>,
}

impl Toolchains {
    /// The compiler of a command.
    ///
    /// # Errors
    /// Why it cannot be taken along, in words.
    pub(super) fn find(
        &self,
        argv: &[OsString],
        language: Language,
        around: &Surroundings,
    ) -> Result<Arc<Toolchain>, String> {
        let name = argv.first().map_or(OsStr::new(""), |name| name);
        let path = around.variable("PATH").unwrap_or_default();
        let is_relative = |path: &Path| !path.is_absolute();
        let needs_folder = match name.as_bytes().contains(&b'/') {
            true => is_relative(Path::new(name)),
            false => std::env::split_paths(path).any(|folder| is_relative(&folder)),
        };
        let key = Key {
            name: name.to_owned(),
            path: path.to_owned(),
            folder: if needs_folder {
                around.folder.clone()
            } else {
                PathBuf::new()
            },
            language: of(language),
            options: choosing(argv),
        };
        let known = self.lock().get(&key).cloned();
        if let Some(found) = known.filter(|found| found.is_as_it_was()) {
            return Ok(Arc::clone(&found.toolchain));
        }
        let toolchain = toolchain::discover(name, key.language, &key.options, around);
        let toolchain = Arc::new(toolchain.map_err(|error| error.to_string())?);
        let found = Arc::new(Found::new(Arc::clone(&toolchain)));
        self.lock().insert(key, found);
        Ok(toolchain)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Found>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn new(toolchain: Arc<Toolchain>) -> Self {
        let places = &toolchain.places.by_path;
        let paths = places
            .iter()
            .filter(|(_, place)| !matches!(place, Place::Folder));
        let stamps = paths.map(|(path, _)| (path.clone(), stamp(path))).collect();
        Self { toolchain, stamps }
    }

    fn is_as_it_was(&self) -> bool {
        self.stamps.iter().all(|(path, was)| stamp(path) == *was)
    }
}

fn stamp(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path)
        .ok()
        .map(|found| Identity::of(&found))
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

/// Those options of a command that choose programs and settings of its compiler.
fn choosing(argv: &[OsString]) -> Vec<OsString> {
    const ALONE: &[&str] = &[
        "-m32",
        "-m64",
        "-mx32",
        "-m16",
        "-fno-integrated-as",
        "-no-integrated-as",
    ];
    let mut chosen = Vec::new();
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"-target" {
            chosen.push(word.clone());
            chosen.extend(words.next().cloned());
        } else if ALONE.iter().any(|alone| word == *alone)
            || bytes.starts_with(b"--target=")
            || bytes.starts_with(b"--sysroot=")
        {
            chosen.push(word.clone());
        }
    }
    chosen
}
