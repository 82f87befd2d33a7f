//! Files beside those that the compiler lists: the ones it only asked for, looked at under
//! another name, or would read in their place. For compiles that the include engine refuses.
//!
//! Works on the text of the listed files ([`super::scan`]) and repeats the compiler's search,
//! so it can find too much, never too little: a file more in the client's tree changes nothing,
//! because it stands there on the client, too.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::refusal::Refusal;
use super::scan::{Asked, Facts, Name};
use super::search::Search;
use super::source;
use super::system_dirs::SystemDirs;

/// A listed file that will be sent.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    /// Its name in the compiler's list: the includer's folder for what it includes.
    pub(crate) spelled: &'a Path,
    pub(crate) real: &'a Path,
    pub(crate) facts: &'a Facts,
    /// What it asks through macros made of `__has_include`.
    pub(crate) through_macros: &'a [Arc<Asked>],
}

/// Where one compile searches.
pub(crate) struct Lookup<'a> {
    cwd: &'a Path,
    search: &'a Search,
    system: &'a SystemDirs,
    /// Answers of the file system.
    files: HashMap<PathBuf, bool>,
}

impl<'a> Lookup<'a> {
    pub(crate) fn new(cwd: &'a Path, search: &'a Search, system: &'a SystemDirs) -> Self {
        Self {
            cwd,
            search,
            system,
            files: HashMap::new(),
        }
    }

    /// Existing files that `__has_include` in `listed` can have asked for, as spelled.
    pub(crate) fn asked_for(&mut self, listed: &[Listed<'_>]) -> Vec<OsString> {
        let mut found = Vec::new();
        let mut done = HashSet::new();
        for file in listed {
            let through_macros = file.through_macros.iter().flat_map(|asked| &asked.names);
            for name in file.facts.asked.names.iter().chain(through_macros) {
                for candidate in self.candidates(name, file.spelled, &mut done) {
                    if self.is_file(&candidate) {
                        found.push(candidate);
                    }
                }
            }
        }
        found
    }

    /// Other names under which `listed` include a file that is listed and marked as "once".
    ///
    /// gcc looks into such a file under its other name, sees that it is the same (or an equal
    /// one: it compares the content), passes over it and does not list it. On the server the
    /// other name must exist, too.
    pub(crate) fn second_names(
        &mut self,
        listed: &[Listed<'_>],
        all_real: &HashSet<PathBuf>,
        all_spelled: &HashSet<PathBuf>,
    ) -> Result<Vec<OsString>, Refusal> {
        let mut once: HashMap<u64, Vec<&Path>> = HashMap::new();
        for file in listed.iter().filter(|file| file.facts.once) {
            if let Some(identity) = source::identify(file.real)? {
                once.entry(identity.bytes).or_default().push(file.real);
            }
        }
        let mut found = Vec::new();
        if once.is_empty() {
            return Ok(found);
        }
        let mut done = HashSet::new();
        for file in listed {
            for name in &file.facts.included {
                for candidate in self.candidates(name, file.spelled, &mut done) {
                    if !self.is_file(&candidate) {
                        continue;
                    }
                    let path = self.cwd.join(&candidate);
                    if !all_spelled.contains(&path) && is_double(&path, all_real, &once)? {
                        found.push(candidate);
                    }
                    if !name.next {
                        break; // The compiler searches no further.
                    }
                }
            }
        }
        Ok(found)
    }

    /// A precompiled header that clang would take for a forced header, if there is one. Then
    /// its list does not name what that header includes. (Under `-E`, gcc takes none.)
    pub(crate) fn precompiled(&self) -> Option<PathBuf> {
        let mut done = HashSet::new();
        let mut forced = Vec::new();
        for header in &self.search.forced {
            let name = Name {
                quoted: true,
                next: false,
                text: header.as_bytes().to_vec(),
            };
            forced.extend(self.candidates(&name, Path::new(""), &mut done));
        }
        let with = |suffix: &'static str| {
            move |header: &OsString| {
                let mut name = header.clone();
                name.push(suffix);
                self.cwd.join(name)
            }
        };
        forced
            .iter()
            .map(with(".pch"))
            .chain(forced.iter().map(with(".gch")))
            // The server has its own ones of these.
            .filter(|path| !self.system.contain(path))
            .find(|path| path.exists())
    }

    /// Where `name`, said in the file `spelled`, is searched, in order. Nothing if that
    /// search is in `done`.
    fn candidates(
        &self,
        name: &Name,
        spelled: &Path,
        done: &mut HashSet<(Option<PathBuf>, Name)>,
    ) -> Vec<OsString> {
        let own_folder = name
            .quoted
            .then(|| spelled.parent().unwrap_or(Path::new("")).to_owned());
        if !done.insert((own_folder.clone(), name.clone())) {
            return Vec::new();
        }
        let text = OsStr::from_bytes(&name.text);
        if text.as_bytes().starts_with(b"/") {
            return vec![text.to_owned()];
        }
        let quote: &[OsString] = if name.quoted { &self.search.quote } else { &[] };
        let search = self.search;
        let own_folder = own_folder.map(PathBuf::into_os_string);
        own_folder
            .iter()
            .map(OsString::as_os_str)
            .chain(
                [quote, &search.bracket, &search.system]
                    .into_iter()
                    .flatten()
                    .map(OsString::as_os_str),
            )
            .chain(self.system.searched.iter().map(|dir| dir.as_os_str()))
            .chain(search.after.iter().map(OsString::as_os_str))
            .map(|folder| join(folder, text))
            .collect()
    }

    fn is_file(&mut self, candidate: &OsStr) -> bool {
        let path = self.cwd.join(candidate);
        if let Some(&known) = self.files.get(&path) {
            return known;
        }
        let is_file = fs::metadata(&path).is_ok_and(|metadata| !metadata.is_dir());
        self.files.insert(path, is_file);
        is_file
    }
}

/// As compilers do it: nothing is shortened.
fn join(folder: &OsStr, name: &OsStr) -> OsString {
    let mut path = folder.as_bytes().to_vec();
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name.as_bytes());
    OsString::from_vec(path)
}

/// Whether gcc would take the file at `path` for one that it has seen.
fn is_double(
    path: &Path,
    all_real: &HashSet<PathBuf>,
    once: &HashMap<u64, Vec<&Path>>,
) -> Result<bool, Refusal> {
    let Ok(real) = fs::canonicalize(path) else {
        return Ok(false);
    };
    if all_real.contains(&real) {
        return Ok(true);
    }
    let Ok(Some(identity)) = source::identify(&real) else {
        return Ok(false);
    };
    let Some(same_length) = once.get(&identity.bytes) else {
        return Ok(false);
    };
    let content = source::read(&real)?.content;
    for other in same_length {
        if source::read(other)?.content == content {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::include_server::scan::scan;
    use std::os::unix::fs::symlink;

    /// Files below a temporary working folder, and what is found for the first few of them.
    struct Case {
        dir: tempfile::TempDir,
        facts: Vec<(PathBuf, Facts)>,
        search: Search,
        system: SystemDirs,
    }

    impl Case {
        fn new(listed: &[(&str, &str)], others: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in listed.iter().chain(others) {
                let path = dir.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                match text.strip_prefix("-> ") {
                    Some(target) => symlink(target, path).unwrap(),
                    None => fs::write(path, text).unwrap(),
                }
            }
            let facts = listed
                .iter()
                .map(|(name, text)| (PathBuf::from(name), scan(text.as_bytes())))
                .collect();
            Self {
                dir,
                facts,
                search: Search::default(),
                system: SystemDirs::default(),
            }
        }

        fn bracket(mut self, folders: &[&str]) -> Self {
            self.search.bracket = folders.iter().map(OsString::from).collect();
            self
        }

        fn look<T>(&self, what: impl FnOnce(&mut Lookup<'_>, &[Listed<'_>]) -> T) -> T {
            let real: Vec<PathBuf> = self
                .facts
                .iter()
                .map(|(name, _)| fs::canonicalize(self.dir.path().join(name)).unwrap())
                .collect();
            let listed: Vec<Listed<'_>> = self
                .facts
                .iter()
                .zip(&real)
                .map(|((spelled, facts), real)| Listed {
                    spelled,
                    real,
                    facts,
                    through_macros: &[],
                })
                .collect();
            what(
                &mut Lookup::new(self.dir.path(), &self.search, &self.system),
                &listed,
            )
        }

        fn second_names(&self) -> Vec<OsString> {
            self.look(|lookup, listed| {
                let all_real = listed.iter().map(|file| file.real.to_owned()).collect();
                let all_spelled = listed
                    .iter()
                    .map(|file| self.dir.path().join(file.spelled))
                    .collect();
                lookup.second_names(listed, &all_real, &all_spelled)
            })
            .unwrap()
        }
    }

    #[test]
    fn existing_files_asked_for_are_found_in_every_folder() {
        let case = Case::new(
            &[(
                "s/a.c",
                "#if __has_include(\"x.h\") || __has_include(<y.h>)",
            )],
            &[
                ("s/x.h", ""),
                ("i/x.h", ""),
                ("j/x.h/is_a_folder", ""),
                ("s/y.h", ""),
                ("j/y.h", ""),
            ],
        )
        .bracket(&["i", "j/"]);
        let found = case.look(|lookup, listed| lookup.asked_for(listed));
        assert_eq!(found, ["s/x.h", "i/x.h", "j/y.h"]);
    }

    #[test]
    fn second_names_of_once_marked_files_are_found() {
        let case = Case::new(
            &[
                (
                    "a.c",
                    "#include \"r.h\"\n#include <l.h>\n#include \"copy.h\"\n#include \"other.h\"\n",
                ),
                ("r.h", "#pragma once\nint r;\n"),
            ],
            &[
                ("i/l.h", "-> ../r.h"),
                ("copy.h", "#pragma once\nint r;\n"),
                ("other.h", "#pragma once\nint s;\n"),
            ],
        )
        .bracket(&["i"]);
        assert_eq!(case.second_names(), ["i/l.h", "copy.h"]);
    }

    #[test]
    fn files_without_a_mark_have_no_second_names() {
        let case = Case::new(
            &[("a.c", "#include \"l.h\"\n"), ("r.h", "int r;\n")],
            &[("l.h", "-> r.h")],
        );
        assert_eq!(case.second_names(), Vec::<OsString>::new());
    }

    #[test]
    fn precompiled_forced_headers_are_found() {
        let precompiled = |other: &str| {
            let mut case = Case::new(&[("a.c", "#include <x.h>\n")], &[(other, "")]);
            case = case.bracket(&["i"]);
            case.search.forced = vec!["f.h".into()];
            case.look(|lookup, _| lookup.precompiled())
                .map(|path| path.strip_prefix(case.dir.path()).unwrap().to_owned())
        };
        for found in ["f.h.gch", "f.h.pch", "i/f.h.pch"] {
            assert_eq!(precompiled(found), Some(found.into()));
        }
        assert_eq!(precompiled("i/x.h.gch"), None);
    }
}
