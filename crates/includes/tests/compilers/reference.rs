//! One small tree, one command line, and two answers: the engine's and the compiler's.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings};

thread_local! {
    /// The compilers, each asked once by a test, and the folder that keeps their answers.
    static COMPILERS: (Arc<RealCompiler>, tempfile::TempDir) = {
        let store = tempfile::tempdir().expect("temporary folder");
        (Arc::new(RealCompiler::new(Some(store.path().into()))), store)
    };
}

/// A folder with files in it, removed at the end.
pub(crate) struct Tree {
    _temporary: tempfile::TempDir,
    /// Absolute, without links.
    pub(crate) folder: PathBuf,
    env: Vec<(OsString, OsString)>,
}

/// What a comparison found.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The engine and the compiler list these, relative to the folder where they are below it.
    Same(BTreeSet<PathBuf>),
    Refused(Refusal),
}

/// An engine for trees that do not change.
pub(crate) fn engine(memo: bool) -> Engine {
    let settings = Settings {
        memo,
        ..Settings::default()
    };
    let tree = Arc::new(RealTree::frozen());
    COMPILERS.with(|(compilers, _)| Engine::new(tree, Arc::clone(compilers) as _, settings))
}

impl Tree {
    /// A tree of these files; `path -> target` makes a link, `path/` a folder.
    pub(crate) fn new(files: &[(&str, &str)]) -> Tree {
        let temporary = tempfile::tempdir().expect("temporary folder");
        let folder = temporary.path().canonicalize().expect("it exists");
        let tree = Tree {
            _temporary: temporary,
            folder,
            env: std::env::vars_os()
                .filter(|(name, _)| !name.as_bytes().ends_with(b"PATH") || name == "PATH")
                .collect(),
        };
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    fn write(&self, path: &str, text: &str) {
        let (path, target) = match path.split_once(" -> ") {
            Some((path, target)) => (path, Some(target)),
            None => (path, None),
        };
        let full = self.folder.join(path);
        if path.ends_with('/') {
            return std::fs::create_dir_all(full).expect("temporary folder");
        }
        std::fs::create_dir_all(full.parent().expect("below the folder"))
            .expect("temporary folder");
        match target {
            Some(target) => std::os::unix::fs::symlink(target, full).expect("temporary folder"),
            None => std::fs::write(full, text).expect("temporary folder"),
        }
    }

    /// The same tree with an environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Tree {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The command `line`; `%` stands for the folder, and words are parted by single blanks (`\u{1}` is a blank).
    pub(crate) fn command(&self, line: &str) -> Command {
        let folder = self.folder.to_str().expect("a plain path");
        Command {
            cwd: self.folder.as_os_str().as_bytes().to_vec(),
            argv: line
                .split(' ')
                .map(|word| word.replace('%', folder).replace('\u{1}', " ").into())
                .collect(),
            env: self.env.clone(),
        }
    }

    /// The engine's closure, with and without memory for what files did.
    pub(crate) fn closure(&self, line: &str) -> Result<Arc<Closure>, Refusal> {
        let [with, without] = [true, false].map(|memo| engine(memo).closure(&self.command(line)));
        assert_eq!(with, without, "with memory and without: {line}");
        with
    }

    /// What the compiler lists; `None` if it fails.
    pub(crate) fn theirs(&self, line: &str) -> Option<BTreeSet<PathBuf>> {
        let command = self.command(line);
        let rule = self.folder.join("rule.d");
        for old in ["rule.d", "x.d"] {
            let _ = std::fs::remove_file(self.folder.join(old)); // There may be none.
        }
        let status = Process::new(&command.argv[0])
            .args(&command.argv[1..])
            .args(["-w", "-E", "-o", "/dev/null", "-MD", "-MF"])
            .arg(&rule)
            .env_clear()
            .envs(command.env)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the compiler is installed");
        if !status.success() {
            return None;
        }
        // A `-Wp,-MD,x.d` in the command wins over ours.
        let rule = std::fs::read(self.folder.join("x.d")).or_else(|_| std::fs::read(rule));
        let rule = rule.ok()?;
        Some(
            prerequisites(&rule)
                .iter()
                .map(|path| self.relative(Path::new(OsStr::from_bytes(path))))
                .collect(),
        )
    }

    /// The names that the compiler gives to files outside of `/usr`, in its order; `%` stands for the folder.
    pub(crate) fn names(&self, line: &str) -> Vec<String> {
        self.theirs(line).expect("the compiler does not fail");
        let rule = std::fs::read(self.folder.join("rule.d")).expect("it is written");
        let folder = self.folder.to_str().expect("a plain path");
        prerequisites(&rule)
            .iter()
            .map(|path| String::from_utf8_lossy(path).replace(folder, "%"))
            .filter(|name| !name.starts_with("/usr/"))
            .collect()
    }

    fn relative(&self, path: &Path) -> PathBuf {
        let real = self.folder.join(path).canonicalize().expect("it was read");
        real.strip_prefix(&self.folder)
            .map_or(real.clone(), Path::to_path_buf)
    }

    /// Asks both; a difference is a panic.
    pub(crate) fn compare(&self, line: &str) -> Outcome {
        let theirs = self.theirs(line);
        let ours = match self.closure(line) {
            Ok(closure) => closure,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        let ours: BTreeSet<PathBuf> = ours
            .files
            .iter()
            .filter(|file| file.listed)
            .map(|file| self.relative(Path::new(&OsString::from_vec(file.real.to_vec()))))
            .collect();
        assert_eq!(Some(&ours), theirs.as_ref(), "ours against theirs: {line}");
        Outcome::Same(ours)
    }

    /// Compares, and expects the files below the folder to be these, parted by blanks (`\u{1}` is a blank).
    pub(crate) fn expect(&self, line: &str, expected: &str) {
        match self.compare(line) {
            Outcome::Same(files) => {
                let files: BTreeSet<String> = files
                    .iter()
                    .filter(|file| file.is_relative())
                    .map(|file| file.to_str().expect("a plain path").replace(' ', "\u{1}"))
                    .collect();
                let expected: BTreeSet<String> =
                    expected.split_whitespace().map(str::to_owned).collect();
                assert_eq!(files, expected, "{line}");
            }
            Outcome::Refused(refusal) => panic!("{line}: {refusal}"),
        }
    }
}

/// The prerequisites of a make rule.
fn prerequisites(rule: &[u8]) -> Vec<Vec<u8>> {
    let start = rule
        .windows(2)
        .position(|pair| pair[0] == b':' && matches!(pair[1], b' ' | b'\n' | b'\\'))
        .map_or(rule.len(), |at| at + 1);
    let mut paths: Vec<Vec<u8>> = Vec::new();
    let mut path = Vec::new();
    let mut bytes = rule[start..].iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b' ' | b'#')) | (b'$', Some(b'$')) => path.extend(bytes.next()),
            (b'\\', Some(b'\n')) => {
                bytes.next();
            }
            (b' ' | b'\n', _) => paths.extend(Some(std::mem::take(&mut path))),
            _ => path.push(byte),
        }
    }
    paths.push(path);
    paths.retain(|path| !path.is_empty());
    paths
}
