//! Which variables a compile sees elsewhere: those that gcc, clang and `as` look at, and no others, so that equal
//! compiles of different people are equal actions.
//!
//! Found by `ltrace -e getenv` and the compilers' manuals (gcc 12, clang 14, binutils 2.40).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// They change what is read or written in ways that are not modelled.
const LOCAL: &[&str] = &[
    "COMPILER_PATH",
    "DEPENDENCIES_OUTPUT",
    "GCC_COMPARE_DEBUG",
    "GCC_EXEC_PREFIX",
    "SUNPRO_DEPENDENCIES",
    "LOCPATH",
    "NLSPATH",
    "OUTPUT_CHARSET",
    "LD_PRELOAD",
    "CCC_OVERRIDE_OPTIONS",
    "CCC_ADD_ARGS",
    "CC_PRINT_OPTIONS",
    "CC_PRINT_HEADERS",
    "CC_LOG_DIAGNOSTICS",
    "CC_PRINT_PROC_STAT",
    "RC_DEBUG_OPTIONS",
    "CLANG_CONFIG_FILE_SYSTEM_DIR",
    "CLANG_CONFIG_FILE_USER_DIR",
];

/// They go along if they are set.
const SEEN: &[&str] = &[
    "COLUMNS",
    "CPATH",
    "CPLUS_INCLUDE_PATH",
    "C_INCLUDE_PATH",
    "GCC_COLORS",
    "GCC_EXTRA_DIAGNOSTIC_OUTPUT",
    "GCC_URLS",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "MACOSX_DEPLOYMENT_TARGET",
    "OBJCPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "PATH",
    "SOURCE_DATE_EPOCH",
    "TERM",
    "TERM_URLS",
];

/// The variables of an action.
///
/// # Errors
/// A variable because of which the command has to stay here.
pub(super) fn of_action(
    environment: &[(OsString, OsString)],
    cwd: &Path,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, OsString> {
    if let Some((name, _)) = environment.iter().find(|(name, _)| is(LOCAL, name)) {
        return Err(name.clone());
    }
    let mut seen = BTreeMap::new();
    for (name, value) in environment {
        let counts = match name.as_bytes() {
            // Compilers take its word for the working folder where it leads there.
            b"PWD" => leads_to(Path::new(value), cwd),
            _ => is(SEEN, name),
        };
        if counts {
            seen.insert(name.as_bytes().to_vec(), value.as_bytes().to_vec());
        }
    }
    Ok(seen)
}

fn is(list: &[&str], name: &OsStr) -> bool {
    list.iter().any(|one| name == *one)
}

fn leads_to(path: &Path, folder: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    path.is_absolute() && identity(path).is_some() && identity(path) == identity(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_compilers_look_at_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().to_str().unwrap();
        let all = [
            ("HOME", "/h"),
            ("LANG", "C"),
            ("PWD", cwd),
            ("DISTCC_HOSTS", "x"),
        ];
        let all = all.map(|(name, value)| (name.into(), value.into()));
        let seen = of_action(&all, folder.path()).unwrap();
        let names: Vec<_> = seen.keys().map(|name| &**name).collect();
        assert_eq!(names, [&b"LANG"[..], b"PWD"]);
        let other = of_action(&all, Path::new("/")).unwrap();
        assert!(!other.contains_key(&b"PWD"[..]));
    }

    #[test]
    fn what_is_not_modelled_keeps_a_command_here() {
        let all = [("COMPILER_PATH".into(), "/x".into())];
        assert_eq!(of_action(&all, Path::new("/")), Err("COMPILER_PATH".into()));
    }
}
