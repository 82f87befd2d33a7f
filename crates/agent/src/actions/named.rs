//! Files that a compile reads though nothing includes them: those that options name, and those that assembler text names.
//!
//! Too many do no harm: each stands there as it stands here. Where a name is not plain to see, the command stays here.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use command::hermetic::{Hermetic, Within};
use includes::{Closure, assembler_includes};
use toolchain::Places;

/// Finds them all, as they are now. `argv` is the command's.
///
/// # Errors
/// Why nobody can tell, in words.
pub(super) fn find(
    hermetic: &Hermetic,
    argv: &[OsString],
    closure: &Closure,
    cwd: &Path,
) -> Result<Places, String> {
    let mut places = Places::default();
    for file in &hermetic.reads {
        add(&mut places, &cwd.join(file))?;
    }
    for within in &hermetic.reads_within {
        add_within(&mut places, within, cwd)?;
    }
    for told in &hermetic.plugin_arguments {
        add_told(&mut places, told.as_bytes(), cwd)?;
    }
    if !closure.assembler.is_empty() {
        add_assembler_files(&mut places, closure, &assembler_folders(argv), cwd)?;
    }
    Ok(places)
}

fn add(places: &mut Places, path: &Path) -> Result<bool, String> {
    let added = places.add_if_there(path);
    let added = added.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(added.is_some())
}

fn add_within(places: &mut Places, within: &Within, cwd: &Path) -> Result<(), String> {
    let folder = cwd.join(&within.folder);
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(()); // It is a file, or not there.
    };
    let ends_so = |name: &OsStr| {
        let ends = |ending: &OsString| name.as_bytes().ends_with(ending.as_bytes());
        within.endings.iter().any(ends)
    };
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
        if ends_so(&entry.file_name()) {
            add(places, &entry.path())?;
        }
    }
    Ok(())
}

/// What a plugin is told is known to it alone. A file that is there may be read, so it comes along. A folder, or a path where
/// nothing is, could be for anything.
fn add_told(places: &mut Places, told: &[u8], cwd: &Path) -> Result<(), String> {
    let after = |&at: &usize| at == 0 || matches!(told[at - 1], b'-' | b'=' | b':' | b',');
    let values = (0..told.len()).filter(after).map(|at| &told[at..]);
    let mut is_file = false;
    for value in values {
        let path = cwd.join(OsStr::from_bytes(value));
        is_file |= path.is_file() && add(places, &path)?;
    }
    match is_file || !told.contains(&b'/') {
        true => Ok(()),
        false => Err(format!(
            "what a plugin does with {} is not known",
            String::from_utf8_lossy(told)
        )),
    }
}

/// The folders where the assembler looks by its own options.
fn assembler_folders(argv: &[OsString]) -> Vec<PathBuf> {
    let mut words = Vec::new();
    for (index, word) in argv.iter().enumerate() {
        if let Some(list) = word.as_bytes().strip_prefix(b"-Wa,") {
            words.extend(list.split(|&byte| byte == b','));
        } else if word == "-Xassembler" {
            words.extend(argv.get(index + 1).map(|word| word.as_bytes()));
        }
    }
    let mut folders = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let folder = match word.strip_prefix(b"-I") {
            Some(b"") => words.next(),
            other => other,
        };
        folders.extend(folder.map(|folder| PathBuf::from(OsStr::from_bytes(folder))));
    }
    folders
}

/// `.incbin` and `.include`: looked for in the working folder, then in the folders of the options, of which gcc
/// hands on `-I`, and clang more. What is included may name further files.
fn add_assembler_files(
    places: &mut Places,
    closure: &Closure,
    own: &[PathBuf],
    cwd: &Path,
) -> Result<(), String> {
    let hidden = |within: &dyn std::fmt::Display| {
        format!("assembler in {within} reads files whose names are not written out")
    };
    let mut names = Vec::new();
    for include in &closure.assembler {
        let within = String::from_utf8_lossy(&include.within);
        names.push(include.name.clone().ok_or_else(|| hidden(&within))?);
    }
    let searched = closure.folders.iter();
    let mut folders = vec![cwd.to_owned()];
    folders.extend(own.iter().map(|folder| cwd.join(folder)));
    folders.extend(searched.map(|folder| PathBuf::from(OsStr::from_bytes(folder))));
    let mut seen = BTreeSet::new();
    while let Some(name) = names.pop() {
        for folder in &folders {
            let path = folder.join(OsStr::from_bytes(&name));
            if !path.is_file() || !seen.insert(path.clone()) {
                continue;
            }
            add(places, &path)?;
            let text = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            for further in assembler_includes(&text) {
                names.push(further.ok_or_else(|| hidden(&path.display()))?);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_takes_files_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("rules.txt"), "").unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        let found = |told: &str| {
            let mut places = Places::default();
            add_told(&mut places, told.as_bytes(), folder.path()).map(|()| {
                let names = places.by_path.into_keys();
                let own = names.filter(|name| name.ends_with("rules.txt"));
                own.count()
            })
        };
        assert_eq!(found("x-file=rules.txt"), Ok(1));
        assert_eq!(found("x-./rules.txt"), Ok(1));
        assert_eq!(found("x-level=3"), Ok(0));
        assert!(found("x-out=d/new").is_err());
        assert!(found("x-out=./d").is_err());
    }

    #[test]
    fn the_assembler_has_folders_of_its_own() {
        let argv = [
            "gcc",
            "-Ix",
            "-Wa,-Ia,-I,b,-ahl",
            "-Xassembler",
            "-Ic",
            "-Wa,-K",
        ];
        let argv = argv.map(OsString::from);
        let folders = ["a", "b", "c"].map(PathBuf::from);
        assert_eq!(assembler_folders(&argv), folders);
    }
}
