//! Options that choose the compiler's tools: do they choose another compiler or assembler?
//!
//! If not, the compile can be sent without them ([`Compile::tools_chosen`]). Costs nothing unless
//! there is such an option, then a look at the folder that it names.

use std::ffi::OsStr;
use std::fs::DirEntry;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use command::Compile;
use command::client::{Choice, LocalOption, Why};

/// What gcc and clang look for when they compile preprocessed text: programs, and gcc's specs.
const USED: &[&[u8]] = &[
    b"as",
    b"cc1",
    b"cc1obj",
    b"cc1objplus",
    b"cc1plus",
    b"specs",
];

/// The first option that does. `path` is `PATH`.
pub(crate) fn that_matters(job: &Compile, path: &OsStr) -> Option<LocalOption> {
    let (option, _) = job
        .tools_chosen()
        .find(|&(_, choice)| matters(choice, path))?;
    Some(LocalOption {
        option: option.to_owned(),
        why: Why::Executes,
    })
}

fn matters(choice: Choice<'_>, path: &OsStr) -> bool {
    match choice {
        Choice::Libraries => false,
        // It may be that this one is taken.
        Choice::Specs(file) => Path::new(file).exists(),
        Choice::Prefix(prefix) => holds_tools(prefix, path),
    }
}

/// Whether a path that begins with `prefix` is one that the compiler may look for.
fn holds_tools(prefix: &OsStr, path: &OsStr) -> bool {
    let bytes = prefix.as_bytes();
    let name = bytes.rsplit(|&byte| byte == b'/').next().unwrap_or(bytes);
    let folder = match &bytes[..bytes.len() - name.len()] {
        [] => b".",
        folder => folder,
    };
    found_in(OsStr::from_bytes(folder), name, path)
        || !name.is_empty() && found_in(prefix, b"", path)
}

/// Whether there is one in `folder` that begins with `start`. What cannot be read may hold anything.
fn found_in(folder: &OsStr, start: &[u8], path: &OsStr) -> bool {
    let is_used = |entry: io::Result<DirEntry>| {
        let Ok(entry) = entry else { return true };
        let name = entry.file_name();
        match name.as_bytes().strip_prefix(start) {
            None => false,
            // Bazel says `-B/usr/bin` in all commands.
            Some(b"as") => !is_in_path(&entry.path(), path),
            // Or in the folder of a machine: `x86_64-linux-gnu/12`.
            Some(rest) => USED.contains(&rest) || rest.contains(&b'-') && entry.path().is_dir(),
        }
    };
    match Path::new(folder).read_dir() {
        Ok(mut entries) => entries.any(is_used),
        Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    }
}

/// Whether it is the `as` that is found without the option.
fn is_in_path(assembler: &Path, path: &OsStr) -> bool {
    let mut found = std::env::split_paths(path).map(|folder| folder.join("as").canonicalize());
    let found = found.find_map(Result::ok);
    found.is_some() && found == assembler.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_prefix_matters_if_the_compiler_finds_other_programs_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["mold/ld", "usual/as", "other/as", "y/my-as", "gcc/cc1plus"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "").unwrap();
        }
        fs::create_dir_all(root.join("machines/x86_64-linux-gnu/12")).unwrap();
        symlink(root.join("usual/as"), root.join("mold/as")).unwrap();
        let path = std::env::join_paths(["/no-such".into(), root.join("usual")]).unwrap();
        for (prefix, expected) in [
            ("mold", false),
            ("mold/", false),
            ("mold/ld", false),
            ("no-such", false),
            ("usual", false),
            ("other", true),
            ("other/", true),
            ("y/my-", true),
            ("gcc", true),
            ("machines", true),
        ] {
            let prefix = root.join(prefix);
            let found = holds_tools(prefix.as_os_str(), &path);
            assert_eq!(found, expected, "{prefix:?}");
        }
    }
}
