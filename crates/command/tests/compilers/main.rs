//! Asks gcc and clang whether they do what this crate says of them.
//!
//! Every case runs a compiler as a user would, then the commands that the crate derives, and
//! compares: files, contents, objects. Both compilers have to be installed.

#![allow(clippy::unwrap_used, reason = "it is all tests here")]

mod closure;
mod dependencies;
mod hermetic;
mod names;
mod options;
mod source;
mod tree;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use command::{Compile, Plan};

const COMPILERS: [&str; 2] = ["gcc", "clang"];

/// A folder with sources, removed at the end.
struct Project {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Project {
    /// `files` are names and contents; folders are made as needed.
    fn new<N: AsRef<OsStr>>(files: &[(N, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Compilers ask the system for the folder, and get it without symbolic links.
        let path = folder.path().canonicalize().unwrap();
        let project = Self { folder, path };
        for (name, content) in files {
            project.write(name, content);
        }
        project
    }

    fn write(&self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let path = self.path.join(name.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// All files below the folder.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.folder.path()).unwrap().to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found
    }

    /// Runs a command that has to succeed, in the folder, and says which files it wrote.
    fn run(&self, argv: &[OsString]) -> Written {
        let before = self.files();
        let output = run(&self.path, argv);
        assert!(output.status.success(), "{argv:?}: {output:?}");
        let mut files = self.files();
        files.retain(|name, content| before.get(name) != Some(content));
        Written {
            files,
            stdout: output.stdout,
        }
    }

    /// A tree that holds what this one holds.
    fn copy(&self) -> Self {
        let copy = Self::new::<&str>(&[]);
        for (name, content) in self.files() {
            copy.write(name, content);
        }
        copy
    }
}

/// What a command left.
struct Written {
    files: BTreeMap<PathBuf, Vec<u8>>,
    stdout: Vec<u8>,
}

impl Written {
    fn text(&self, name: impl AsRef<Path>) -> String {
        let name = name.as_ref();
        let name = name.strip_prefix(".").unwrap_or(name);
        let content = self.files.get(name);
        let content = content.unwrap_or_else(|| panic!("{name:?} was not written"));
        String::from_utf8_lossy(content).into_owned()
    }
}

fn run(folder: &Path, argv: &[OsString]) -> Output {
    let mut command = Command::new(&argv[0]);
    for name in [
        "CPATH",
        "C_INCLUDE_PATH",
        "CPLUS_INCLUDE_PATH",
        "DEPENDENCIES_OUTPUT",
    ] {
        command.env_remove(name);
    }
    command
        .args(&argv[1..])
        .env("LC_ALL", "C")
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{:?}: {error}", argv[0]))
}

/// The words of a command that holds no other blanks.
fn words(command: &str) -> Vec<OsString> {
    command.split(' ').map(OsString::from).collect()
}

fn planned(argv: &[OsString]) -> Compile {
    match command::plan(argv) {
        Plan::Distribute(compile) => compile,
        Plan::Local(why) => panic!("{argv:?}: {why}"),
    }
}

/// `text` with each occurrence of `from` replaced.
fn replaced(text: &OsStr, from: &str, to: &OsStr) -> OsString {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some(at) = rest
        .windows(from.len())
        .position(|part| part == from.as_bytes())
    {
        out.extend(&rest[..at]);
        out.extend(to.as_bytes());
        rest = &rest[at + from.len()..];
    }
    out.extend(rest);
    OsStr::from_bytes(&out).to_owned()
}
