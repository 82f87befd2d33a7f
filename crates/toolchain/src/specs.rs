//! Specs that options name (`-specs=FILE`): rules by which gcc's driver makes the commands of its parts.
//!
//! They can do anything, so they are not read: gcc is asked for the commands (`-###`) with and without them, and what they
//! add may be nothing but flags and folders of headers. Builds have them for position-independent code, hardening and small C
//! libraries.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::Unsuitable;
use crate::discover::Language;
use crate::driver::Surroundings;

/// Of what begins like a flag, what reads or writes files or loads code.
const MORE_THAN_FLAGS: [&[u8]; 14] = [
    b"-fplugin",
    b"-fdump",
    b"-fprofile",
    b"-fauto-profile",
    b"-fsave",
    b"-fopt-info",
    b"-fstack-usage",
    b"-fcallgraph-info",
    b"-ftest-coverage",
    b"-fbranch-probabilities",
    b"-fpre-include",
    b"-fmodule",
    b"-frandomize-layout-seed-file",
    b"-gsplit-dwarf",
];

/// The files of specs among `options`, each checked together with all other options.
///
/// # Errors
///
/// [`Unsuitable::Specs`], and those of asking.
pub(crate) fn check(
    driver: &Path,
    options: &[OsString],
    language: Language,
    around: &Surroundings,
) -> Result<Vec<PathBuf>, Unsuitable> {
    let (names, others) = split(options);
    let Some(first) = names.first() else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for name in &names {
        files.push(file(driver, name, around)?);
    }
    let bad = |what: String| Unsuitable::Specs(first.into(), what);
    for file in &files {
        let text = std::fs::read(file);
        let text = text.map_err(|error| Unsuitable::Unreadable(file.clone(), error))?;
        if text.windows(8).any(|word| word == b"%include") {
            return Err(bad("further specs".into()));
        }
    }
    let (with, without) = (
        words(driver, options, language, around)?,
        words(driver, &others, language, around)?,
    );
    if with.is_empty() || without.is_empty() {
        return Err(bad("what its compiler does not do".into()));
    }
    let mut is_folder = false;
    for word in with.difference(&without) {
        // Sets have no order: a word that is no option may be the value of any.
        let bytes = word.as_slice();
        let flag = bytes.len() > 1 && bytes[0] == b'-' && b"fmODUWg".contains(&bytes[1]);
        is_folder |= matches!(bytes, b"-isystem" | b"-I" | b"-idirafter");
        let is_path = is_folder
            && !bytes.starts_with(b"-")
            && !around.folder.join(OsStr::from_bytes(bytes)).is_file();
        let harmless = flag && !MORE_THAN_FLAGS.iter().any(|more| bytes.starts_with(more));
        if !harmless && !is_path && !matches!(bytes, b"-isystem" | b"-I" | b"-idirafter" | b"-pie")
        {
            return Err(bad(String::from_utf8_lossy(bytes).into_owned()));
        }
    }
    Ok(files)
}

/// Names of specs, and all other options.
fn split(options: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut names, mut others) = (Vec::new(), Vec::new());
    let mut words = options.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let bytes = bytes
            .strip_prefix(b"-")
            .filter(|rest| rest.starts_with(b"-"))
            .unwrap_or(bytes);
        match bytes.strip_prefix(b"-specs") {
            Some(b"") => names.extend(words.next().cloned()),
            Some([b'=', name @ ..]) => names.push(OsStr::from_bytes(name).to_owned()),
            _ => others.push(word.clone()),
        }
    }
    (names, others)
}

/// gcc looks in its own folders first.
fn file(driver: &Path, name: &OsStr, around: &Surroundings) -> Result<PathBuf, Unsuitable> {
    let mut question = OsString::from("-print-file-name=");
    question.push(name);
    let said = around.run(driver, &[question])?;
    let line = said
        .stdout
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let own = PathBuf::from(OsString::from_vec(line.to_vec()));
    Ok(match own.is_absolute() && own.is_file() {
        true => own,
        false => around.folder.join(name),
    })
}

/// All words of the commands that the driver would run for an empty source.
fn words(
    driver: &Path,
    options: &[OsString],
    language: Language,
    around: &Surroundings,
) -> Result<BTreeSet<Vec<u8>>, Unsuitable> {
    let mut all = vec![OsString::from("-###")];
    all.extend(options.iter().cloned());
    all.extend(["-x", language.name(), "-c", "/dev/null", "-o", "/dev/null"].map(OsString::from));
    let said = around.run(driver, &all)?;
    let commands = said
        .stderr
        .split(|&byte| byte == b'\n')
        .filter(|line| line.starts_with(b" "));
    // Names of temporary files differ each time.
    let is_own = |word: &&[u8]| {
        let name = word.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let is_temporary = name.starts_with(b"cc") && name.ends_with(b".s");
        !word.is_empty() && !is_temporary
    };
    let words = commands.flat_map(|line| line.split(|&byte| byte == b' ').filter(is_own));
    let unquoted = |word: &[u8]| word.iter().copied().filter(|&byte| byte != b'"').collect();
    Ok(words.map(unquoted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(folder: &Path) -> Surroundings {
        Surroundings {
            variables: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            folder: folder.into(),
        }
    }

    fn check_text(text: &str, options: &[&str]) -> Result<Vec<PathBuf>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("my.specs"), text).unwrap();
        let around = here(folder.path());
        let mut words = vec![OsString::from("-specs=my.specs")];
        words.extend(options.iter().map(OsString::from));
        let driver = around.compiler(OsStr::new("gcc")).unwrap();
        check(&driver, &words, Language::C, &around).map_err(|why| why.to_string())
    }

    #[test]
    fn flags_and_folders_are_harmless() {
        let no_pie = "*self_spec:\n+ %{!fpie:-fno-PIE}\n\n*link:\n+ -z now\n";
        assert_eq!(check_text(no_pie, &["-O2"]).unwrap().len(), 1);
        let small = "%rename cpp old_cpp\n\n*cpp:\n-isystem /x/nano %(old_cpp)\n";
        assert_eq!(check_text(small, &[]).unwrap().len(), 1);
    }

    #[test]
    fn what_does_more_is_named() {
        for (text, what) in [
            ("*cc1_options:\n+ -fplugin=annobin\n", "-fplugin=annobin"),
            ("*cpp_unique_options:\n+ -include /etc/x.h\n", "-include"),
            ("%include <other>\n", "further specs"),
            ("*self_spec:\n+ %{O2:-fstack-usage}\n", "-fstack-usage"),
        ] {
            let why = check_text(text, &["-O2"]).unwrap_err();
            assert!(why.contains(what), "{text}: {why}");
        }
        // It asks for it under another option only.
        assert!(check_text("*self_spec:\n+ %{O2:-fstack-usage}\n", &["-O1"]).is_ok());
    }

    #[test]
    fn specs_are_told_from_other_options() {
        let words = ["-O2", "-specs=a", "--specs", "b", "--specs=c"].map(OsString::from);
        let (names, others) = split(&words);
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(others, ["-O2"]);
    }
}
