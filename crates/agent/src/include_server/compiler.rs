//! Which program a command's first word means.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiler, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// Where it was found; links are not followed, since compilers look at their own name.
    pub(crate) program: PathBuf,
    /// Changes when the program does.
    pub(crate) identity: Identity,
}

/// What tells one version of a program from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    real: PathBuf,
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// Variables that move searches or outputs. Clients that have one of the first three do not ask
/// an include server, and servers have none of them, so this process's own must not count.
pub(crate) const REMOVED: &[&str] = &[
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "OBJCPLUS_INCLUDE_PATH",
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
];

/// A distcc in disguise must not wait for a slot: the client that asks holds one.
pub(crate) const SAFEGUARD: (&str, &str) = ("_DISTCC_SAFEGUARD", "1");

impl Compiler {
    /// A call of it in `cwd`, without arguments yet.
    pub(crate) fn command(&self, cwd: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(cwd);
        for name in REMOVED {
            command.env_remove(name);
        }
        command.env(SAFEGUARD.0, SAFEGUARD.1);
        command
    }
}

/// Looks for `name` as a shell in `cwd` would; `path` is the value of `PATH`.
///
/// In `PATH`, links to distcc are passed over: clients called through them mean the compiler
/// behind them, and waiting for a distcc here would be waiting for ourselves.
pub(crate) fn find(name: &OsStr, cwd: &Path, path: &OsStr) -> Option<Compiler> {
    if name.as_bytes().contains(&b'/') {
        return at(cwd.join(name));
    }
    std::env::split_paths(path)
        .filter_map(|folder| at(cwd.join(folder).join(name)))
        .find(|found| found.identity.real.file_name() != Some(OsStr::new("distcc")))
}

fn at(program: PathBuf) -> Option<Compiler> {
    let metadata = fs::metadata(&program).ok()?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return None;
    }
    let identity = Identity {
        real: fs::canonicalize(&program).ok()?,
        device: metadata.dev(),
        inode: metadata.ino(),
        bytes: metadata.size(),
        changed: (metadata.mtime(), metadata.mtime_nsec()),
    };
    Some(Compiler { program, identity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn program(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn is_found_where_a_shell_would() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        program(&dir.join("b/cc"));
        program(&dir.join("c/cc"));
        fs::create_dir_all(dir.join("a/cc")).unwrap();
        fs::write(dir.join("cc"), "not executable").unwrap();
        let path = std::env::join_paths([dir.join("a"), "b".into(), dir.join("c")]).unwrap();
        let found = |name: &str| find(OsStr::new(name), dir, &path).map(|cc| cc.program);
        assert_eq!(found("cc"), Some(dir.join("b/cc")));
        assert_eq!(found("c/cc"), Some(dir.join("c/cc")));
        assert_eq!(found("./cc"), None);
        assert_eq!(found("nosuchcc"), None);
    }

    #[test]
    fn links_to_distcc_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        program(&dir.join("bin/distcc"));
        program(&dir.join("bin/cc"));
        fs::create_dir_all(dir.join("lib")).unwrap();
        symlink("../bin/distcc", dir.join("lib/cc")).unwrap();
        let path = std::env::join_paths([dir.join("lib"), dir.join("bin")]).unwrap();
        let found = find(OsStr::new("cc"), dir, &path).unwrap();
        assert_eq!(found.program, dir.join("bin/cc"));
    }
}
