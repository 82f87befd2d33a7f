//! The files of the user's language: compilers speak it, and quote as its character set allows.
//!
//! Where glibc and gettext look: `/usr/lib/locale` (what `setlocale` opens) and `/usr/share/locale` (messages),
//! each under the name as given, with the character set as glibc spells it, and without its parts.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use toolchain::Places;

/// Where `setlocale` looks.
const LOCALES: &str = "/usr/lib/locale";
/// Where messages are.
const MESSAGES: &str = "/usr/share/locale";
/// Programs of compilers, as their message files begin.
const PROGRAMS: [&[u8]; 6] = [b"gcc", b"cpplib", b"gas", b"bfd", b"opcodes", b"libc"];

/// What the variables say.
type Names = BTreeSet<Vec<u8>>;

/// The files of all languages met.
#[derive(Default)]
pub(super) struct Locales {
    known: Mutex<HashMap<Names, Arc<Places>>>,
}

impl Locales {
    /// The files for these variables of an action.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn find<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v Vec<u8>, &'v Vec<u8>)>,
    ) -> io::Result<Arc<Places>> {
        let names = names(variables);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = known().get(&names) {
            return Ok(Arc::clone(places));
        }
        let places = Arc::new(look(&names)?);
        known().insert(names, Arc::clone(&places));
        Ok(places)
    }
}

/// The languages that variables name; none for the language of C.
fn names<'v>(variables: impl IntoIterator<Item = (&'v Vec<u8>, &'v Vec<u8>)>) -> Names {
    let values = variables
        .into_iter()
        .filter_map(|(name, value)| match &name[..] {
            b"LANG" | b"LC_ALL" | b"LC_CTYPE" | b"LC_MESSAGES" | b"LANGUAGE" => Some(value),
            _ => None,
        });
    let all = values.flat_map(|value| value.split(|&byte| byte == b':'));
    // A slash would be a path.
    let is_name = |name: &&[u8]| !matches!(*name, b"" | b"C" | b"POSIX") && !name.contains(&b'/');
    all.filter(is_name).map(<[u8]>::to_vec).collect()
}

fn look(names: &Names) -> io::Result<Places> {
    let mut places = Places::default();
    if names.is_empty() {
        return Ok(places);
    }
    for file in [
        format!("{LOCALES}/locale-archive"),
        format!("{MESSAGES}/locale.alias"),
    ] {
        places.add_if_there(Path::new(&file))?;
    }
    for name in names.iter().flat_map(|name| variants(name)) {
        let folder = Path::new(LOCALES).join(&name);
        if folder.is_dir() {
            places.add_all_within(&folder)?;
        }
        let folder = Path::new(MESSAGES).join(&name).join("LC_MESSAGES");
        let Ok(entries) = folder.read_dir() else {
            continue; // Not all languages are there.
        };
        for entry in entries.flatten() {
            let file = entry.file_name();
            if PROGRAMS
                .iter()
                .any(|program| file.as_bytes().starts_with(program))
            {
                places.add_if_there(&entry.path())?;
            }
        }
    }
    Ok(places)
}

/// The names under which `de_AT.UTF-8@euro` is looked for: with and without each of its parts.
fn variants(name: &[u8]) -> BTreeSet<OsString> {
    let cut = |name: &[u8], at: u8| match name.iter().position(|&byte| byte == at) {
        Some(place) => (name[..place].to_vec(), name[place..].to_vec()),
        None => (name.to_vec(), Vec::new()),
    };
    let (rest, modifier) = cut(name, b'@');
    let (rest, codeset) = cut(&rest, b'.');
    let (language, territory) = cut(&rest, b'_');
    let mut found = BTreeSet::new();
    for territory in [&territory[..], b""] {
        for codeset in [&codeset[..], &normalised(&codeset), b""] {
            for modifier in [&modifier[..], b""] {
                let name = [&language[..], territory, codeset, modifier].concat();
                found.insert(OsString::from_vec(name));
            }
        }
    }
    found.retain(|name| {
        name != OsStr::new("") && name != OsStr::new(".") && name != OsStr::new("..")
    });
    found
}

/// `.UTF-8` as glibc calls it: `.utf8`.
fn normalised(codeset: &[u8]) -> Vec<u8> {
    let letters = codeset.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let letters: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
    let prefix: &[u8] = match &letters[..] {
        [] => return letters,
        digits if digits.iter().all(u8::is_ascii_digit) => b".iso",
        _ => b".",
    };
    [prefix, &letters].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_with_and_without_its_parts() {
        let found = variants(b"de_AT.UTF-8@euro");
        for name in [
            "de",
            "de_AT",
            "de_AT.utf8",
            "de_AT.UTF-8@euro",
            "de.utf8",
            "de@euro",
        ] {
            assert!(found.contains(OsStr::new(name)), "{name}: {found:?}");
        }
        assert_eq!(variants(b"C.UTF-8").len(), 3);
        assert_eq!(normalised(b".8859-1"), b".iso88591");
        assert!(variants(b"..").is_empty());
    }

    #[test]
    fn the_language_of_c_needs_no_files() {
        let variables = [
            ("LANG", "C"),
            ("LC_ALL", ""),
            ("PATH", "/x"),
            ("LANGUAGE", "POSIX:C"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let variables = variables
            .iter()
            .map(|(name, value): &(Vec<u8>, Vec<u8>)| (name, value));
        assert_eq!(
            *Locales::default().find(variables).unwrap(),
            Places::default()
        );
    }
}
