//! A program: a file tree and a command line, and how both come to be on a disk.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use includes::Command;

use crate::random::Random;
use crate::{command_lines, trees};

/// Stands for the folder of the program in texts, arguments and values; it is not known when they are made.
pub(crate) const ROOT: &str = "@ROOT@";

/// Folders of every program that may hold headers.
pub(crate) const FOLDERS: [&str; 6] = ["src", "inc0", "inc1", "sys", "after", "inc 0/sub"];
/// Searched last by every program, and holds a header for each number.
pub(crate) const LAST: &str = "last";

/// A compiler the engine is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    Gcc,
    Clang,
}

impl Reference {
    pub(crate) const ALL: [Reference; 2] = [Reference::Gcc, Reference::Clang];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Reference::Gcc => "gcc",
            Reference::Clang => "clang",
        }
    }
}

/// One entry of the tree. Paths are relative to the program's folder.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    File {
        path: String,
        text: String,
        /// Seconds after some fixed moment: gcc compares times to tell files marked "once" apart.
        modified: u64,
    },
    /// A symbolic link and its target.
    Link {
        path: String,
        target: String,
    },
    /// A second name of the same file.
    HardLink {
        path: String,
        to: String,
    },
    Folder {
        path: String,
    },
}

impl Entry {
    pub(crate) fn path(&self) -> &str {
        match self {
            Entry::File { path, .. }
            | Entry::Link { path, .. }
            | Entry::HardLink { path, .. }
            | Entry::Folder { path } => path,
        }
    }

    /// Makes the entry below `root`.
    pub(crate) fn write(&self, root: &Path) -> std::io::Result<()> {
        let path = root.join(self.path());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match self {
            Entry::File { text, modified, .. } => {
                let mut file = std::fs::File::create(&path)?;
                file.write_all(with_root(text, root).as_bytes())?;
                file.set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000 + modified))
            }
            Entry::Link { target, .. } => {
                std::os::unix::fs::symlink(with_root(target, root), &path)
            }
            Entry::HardLink { to, .. } => std::fs::hard_link(root.join(to), &path),
            Entry::Folder { .. } => std::fs::create_dir_all(&path),
        }
    }
}

/// A file tree and a command line.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) reference: Reference,
    /// A hard link stands after what it links to.
    pub(crate) entries: Vec<Entry>,
    /// Arguments after the compiler, in groups that only make sense together; the last names the main file.
    pub(crate) arguments: Vec<Vec<String>>,
    /// Variables of the `CPATH` family.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The folder it is compiled in: nothing or `src`.
    pub(crate) cwd: &'static str,
}

/// Makes the program of this seed.
pub(crate) fn program(seed: u64, reference: Reference) -> Program {
    let mut random = Random::new(seed.wrapping_mul(2) + u64::from(reference == Reference::Clang));
    let line = command_lines::random(&mut random, reference);
    let entries = trees::random(&mut random, &line);
    Program {
        reference,
        entries,
        arguments: line.arguments,
        variables: line.variables,
        cwd: line.cwd,
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arguments: Vec<_> = self.arguments.iter().flatten().collect();
        writeln!(
            f,
            "    in {:?}, {:?}: {} {arguments:?}",
            self.cwd,
            self.variables,
            self.reference.name()
        )?;
        for entry in &self.entries {
            match entry {
                Entry::File { path, text, .. } => writeln!(f, "--- {path}\n{text}")?,
                other => writeln!(f, "--- {other:?}")?,
            }
        }
        Ok(())
    }
}

fn with_root(text: &str, root: &Path) -> String {
    text.replace(
        ROOT,
        root.to_str().expect("temporary folders have plain names"),
    )
}

impl Program {
    /// Makes the tree.
    pub(crate) fn write(&self, root: &Path) {
        std::fs::create_dir_all(root.join(self.cwd)).expect("temporary folder");
        for entry in &self.entries {
            entry.write(root).expect("temporary folder");
        }
    }

    /// The compile, with this tree at `root`.
    pub(crate) fn command(&self, root: &Path) -> Command {
        let mut env: Vec<(OsString, OsString)> = ["PATH", "HOME", "TMPDIR"]
            .into_iter()
            .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
            .collect();
        env.push(("LC_ALL".into(), "C".into()));
        env.extend(
            self.variables
                .iter()
                .map(|(name, value)| (name.into(), with_root(value, root).into())),
        );
        let arguments = self.arguments.iter().flatten();
        let argv = std::iter::once(self.reference.name().into())
            .chain(arguments.map(|a| with_root(a, root).into()))
            .collect();
        let cwd = root.join(self.cwd);
        // `join` with nothing adds a slash.
        let cwd = cwd.as_os_str().as_bytes();
        Command {
            cwd: cwd.strip_suffix(b"/").unwrap_or(cwd).to_vec(),
            argv,
            env,
        }
    }
}
