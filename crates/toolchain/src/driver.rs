//! Which program stands behind a compiler's name, and asking it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{Access, access};

use crate::Unsuitable;

/// Programs that are called by a compiler's name and start the next one of that name in `PATH`.
const LAUNCHERS: [&str; 7] = [
    "buildcache",
    "cachepot",
    "ccache",
    "colorgcc",
    "distcc",
    "icecc",
    "sccache",
];

/// What a client's command is surrounded by.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Environment variables.
    pub variables: Vec<(OsString, OsString)>,
    /// The working folder: absolute.
    pub folder: PathBuf,
}

/// Whose rules a compiler goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// GNU's.
    Gcc,
    /// LLVM's.
    Clang,
}

impl Surroundings {
    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let mut found = self.variables.iter().filter(|(there, _)| there == name);
        found.next().map(|(_, value)| &**value)
    }

    /// Where a program of that name could stand, in the order of `PATH`.
    fn candidates(&self, name: &OsStr) -> impl Iterator<Item = PathBuf> {
        let path = self.variable("PATH").unwrap_or_default();
        std::env::split_paths(path).map(move |folder| self.folder.join(folder).join(name))
    }

    /// Programs of that name in `PATH`, in its order.
    fn in_path(&self, name: &OsStr) -> impl Iterator<Item = PathBuf> {
        let candidates = self.candidates(name);
        candidates
            .filter(|candidate| is_program(candidate))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Where in `PATH` there is no program of that name in front of the one that was found, or a launcher.
    pub(crate) fn passed(&self, name: &OsStr, found: &Path) -> impl Iterator<Item = PathBuf> {
        let is_looked_for = !name.as_bytes().contains(&b'/');
        let candidates = is_looked_for.then(|| self.candidates(name));
        let candidates = candidates.into_iter().flatten();
        candidates.take_while(move |candidate| candidate != found)
    }

    /// The program that starts when this name is called.
    pub(crate) fn program(&self, name: &OsStr) -> Result<PathBuf, Unsuitable> {
        let not_found = || Unsuitable::NotFound(name.into());
        if !name.as_bytes().contains(&b'/') {
            return self.in_path(name).next().ok_or_else(not_found);
        }
        let path = self.folder.join(name);
        is_program(&path).then_some(path).ok_or_else(not_found)
    }

    /// The compiler behind this name: the program itself, or where that is a launcher, the next of its name in `PATH`.
    ///
    /// # Errors
    ///
    /// [`Unsuitable::NotFound`], [`Unsuitable::NothingBehind`].
    pub fn compiler(&self, name: &OsStr) -> Result<PathBuf, Unsuitable> {
        let program = self.program(name)?;
        if !is_launcher(&program) {
            return Ok(program);
        }
        let name = program.file_name().unwrap_or(name);
        // In the folders behind the launcher's own: that in front of it would have been called already.
        let mut behind = self
            .in_path(name)
            .skip_while(|there| *there != program)
            .skip(1);
        let mut all = self.in_path(name);
        behind
            .find(|there| !is_launcher(there))
            .or_else(|| all.find(|there| !is_launcher(there)))
            .ok_or_else(|| Unsuitable::NothingBehind(program.clone()))
    }

    /// Whether the program that starts when this name is called is a compiler, and no launcher, which may have it run by
    /// another process.
    pub fn is_compiler(&self, name: &OsStr) -> bool {
        self.program(name)
            .is_ok_and(|program| !is_launcher(&program))
    }

    /// Runs a program here, with these variables.
    pub(crate) fn run(&self, program: &Path, arguments: &[OsString]) -> Result<Output, Unsuitable> {
        Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("LC_ALL", "C")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Unsuitable::Unreadable(program.to_owned(), error))
    }
}

fn is_program(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn is_launcher(program: &Path) -> bool {
    let real = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let name = real.file_name().unwrap_or_default();
    LAUNCHERS.iter().any(|launcher| name == *launcher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn launchers_are_seen_through() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["bin/ccache", "bin/gcc", "early/cc"] {
            program(&at(path));
        }
        std::fs::create_dir(at("masks")).unwrap();
        for name in ["gcc", "cc", "lonely"] {
            symlink(at("bin/ccache"), at("masks").join(name)).unwrap();
        }
        std::fs::write(at("early/gcc"), "not to be executed").unwrap();
        let path = std::env::join_paths([at("early"), at("masks"), at("bin")]).unwrap();
        let around = Surroundings {
            variables: vec![("PATH".into(), path)],
            folder: at("bin"),
        };
        let compiler = |name: &str| around.compiler(OsStr::new(name));
        assert_eq!(compiler("gcc").unwrap(), at("bin/gcc"));
        assert_eq!(compiler("cc").unwrap(), at("early/cc"));
        assert_eq!(compiler("./gcc").unwrap(), at("bin/./gcc"));
        // Called by its path, the mask still stands for the compiler behind it.
        assert_eq!(compiler("../masks/gcc").unwrap(), at("bin/gcc"));
        let is_compiler = |name: &str| around.is_compiler(OsStr::new(name));
        assert!(is_compiler("cc") && is_compiler("./gcc"));
        assert!(!is_compiler("gcc") && !is_compiler("../masks/cc") && !is_compiler("none"));
        assert!(matches!(
            compiler("lonely"),
            Err(Unsuitable::NothingBehind(_))
        ));
        assert!(matches!(compiler("none"), Err(Unsuitable::NotFound(_))));
        assert!(matches!(
            compiler("../early/gcc"),
            Err(Unsuitable::NotFound(_))
        ));
    }
}
