//! A project in a temporary folder, two engines that have answered before, and the comparison.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings, Tree};

/// A project whose main file is compiled with `-Ifirst -Isecond`.
pub(crate) struct Project {
    folder: tempfile::TempDir,
    /// Spares each new engine the same questions.
    _store: tempfile::TempDir,
    compilers: Arc<RealCompiler>,
    compiler: OsString,
    /// Searched before the usual `PATH`.
    programs: Option<PathBuf>,
    engines: Vec<(&'static str, Engine)>,
}

/// The headers, by file name or `None` if the compile fails.
pub(crate) type Headers = Option<Vec<String>>;

pub(crate) fn headers(names: &[&str]) -> Headers {
    Some(names.iter().map(ToString::to_string).collect())
}

impl Project {
    /// Writes these files; a text that starts with `->` is a link's target. `main.c` must be among them.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let store = tempfile::tempdir().expect("temporary folder");
        let project = Project {
            folder: tempfile::tempdir().expect("temporary folder"),
            compilers: Arc::new(RealCompiler::new(Some(store.path().into()))),
            _store: store,
            compiler: "gcc".into(),
            programs: None,
            engines: Vec::new(),
        };
        for (path, text) in files {
            match text.strip_prefix("->") {
                Some(target) => project.link(path, target),
                None => project.write(path, text),
            }
        }
        project.with_new_engines()
    }

    /// The two engines of all situations.
    pub(crate) fn with_new_engines(self) -> Self {
        self.with_engines(vec![
            ("inotify", Arc::new(RealTree::watched().expect("inotify"))),
            ("stamps", Arc::new(RealTree::compared())),
        ])
    }

    /// The same files compiled by another program, looked for in these folders first (joined by colons).
    pub(crate) fn compiled_by(mut self, compiler: &str, folders: &[&str]) -> Self {
        let folders: Vec<_> = folders.iter().map(|folder| self.path(folder)).collect();
        self.compiler = compiler.into();
        self.programs = Some(std::env::join_paths(folders).expect("plain names").into());
        self
    }

    /// Keeps compilers' answers in this folder.
    pub(crate) fn with_store(mut self, store: &Path) -> Self {
        self.compilers = Arc::new(RealCompiler::new(Some(store.into())));
        self
    }

    /// Writes a program that runs this shell command.
    pub(crate) fn script(&self, path: &str, command: &str) {
        self.make_folder_of(path);
        let beside = self.path("beside");
        // By another process: had this one opened it for writing, a compiler that another test starts at that moment
        // could hold it open for longer, and it could not be run.
        let mut install = Process::new("install")
            .args(["-m755", "/dev/stdin"])
            .arg(&beside)
            .stdin(Stdio::piped())
            .spawn()
            .expect("it is everywhere");
        let text = format!("#!/bin/sh\n{command}\n");
        let mut input = install.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).expect("it reads");
        drop(input);
        assert!(install.wait().expect("it ends").success());
        std::fs::rename(beside, self.path(path)).expect("temporary folder");
    }

    /// The same files under engines over these trees.
    pub(crate) fn with_engines(mut self, trees: Vec<(&'static str, Arc<dyn Tree>)>) -> Self {
        self.engines = trees
            .into_iter()
            .map(|(name, tree)| (name, self.engine(tree)))
            .collect();
        self
    }

    fn engine(&self, tree: Arc<dyn Tree>) -> Engine {
        Engine::new(tree, Arc::clone(&self.compilers) as _, Settings::default())
    }

    pub(crate) fn engines(&self) -> impl Iterator<Item = &Engine> {
        self.engines.iter().map(|(_, engine)| engine)
    }

    /// The project's folder, without links.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("it exists")
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Writes in place what is there already.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.make_folder_of(path);
        std::fs::write(self.path(path), text).expect("temporary folder");
    }

    /// Writes beside and renames over.
    pub(crate) fn replace(&self, path: &str, text: &str) {
        let beside = self.path("beside");
        std::fs::write(&beside, text).expect("temporary folder");
        std::fs::rename(beside, self.path(path)).expect("temporary folder");
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        self.make_folder_of(path);
        // It may be the first link of this name.
        let _ = std::fs::remove_file(self.path(path));
        std::os::unix::fs::symlink(target, self.path(path)).expect("temporary folder");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        self.make_folder_of(to);
        std::fs::rename(self.path(from), self.path(to)).expect("temporary folder");
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(path).expect("it exists");
        } else {
            std::fs::remove_file(path).expect("it exists");
        }
    }

    fn make_folder_of(&self, path: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("below the folder"))
            .expect("temporary folder");
    }

    pub(crate) fn command(&self) -> Command {
        let mut env: Vec<_> = std::env::vars_os().filter(|(n, _)| n != "CPATH").collect();
        if let Some(programs) = &self.programs {
            let path = env.iter_mut().find(|(name, _)| name == "PATH");
            let (_, path) = path.expect("it is set");
            let mut all = programs.clone().into_os_string();
            all.push(":");
            all.push(&*path);
            *path = all;
        }
        let arguments = ["-Ifirst", "-Isecond", "-nostdinc", "main.c"];
        Command {
            cwd: self.root().into_os_string().into_vec(),
            argv: std::iter::once(self.compiler.clone())
                .chain(arguments.map(OsString::from))
                .collect(),
            env,
        }
    }

    /// What the compiler lists; `None` if it fails.
    fn theirs(&self) -> Option<BTreeSet<PathBuf>> {
        let command = self.command();
        // Not below the root, where it would be one more change.
        let beside = tempfile::tempdir().expect("temporary folder");
        let rule = beside.path().join("rule");
        let status = Process::new(&command.argv[0])
            .args(&command.argv[1..])
            .args(["-w", "-E", "-o", "/dev/null", "-MD", "-MF"])
            .arg(&rule)
            .env_clear()
            .envs(command.env)
            .current_dir(self.root())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("gcc is installed");
        status.success().then(|| {
            let rule = std::fs::read_to_string(rule).expect("plain names");
            let (_, list) = rule.split_once(':').expect("a rule");
            list.replace("\\\n", " ")
                .split_whitespace()
                .map(|path| self.path(path).canonicalize().expect("it was read"))
                .collect()
        })
    }

    fn relative(&self, path: &Path) -> String {
        let root = self.root();
        let path = path.strip_prefix(&root).unwrap_or(path);
        path.to_str().expect("plain names").to_owned()
    }

    /// Asks all engines, a new one and the compiler: all must say `expected` (real paths below the root, sorted,
    /// without `main.c`).
    pub(crate) fn check(&self, when: &str, expected: &Headers) {
        let new = answer(&self.engine(Arc::new(RealTree::frozen())), &self.command());
        for (name, engine) in &self.engines {
            assert_eq!(answer(engine, &self.command()), new, "{name}: {when}");
        }
        let ours = new.as_ref().ok().map(|closure| {
            closure
                .files
                .iter()
                .filter(|file| file.listed)
                .map(|file| PathBuf::from(OsString::from_vec(file.real.to_vec())))
                .collect::<BTreeSet<_>>()
        });
        let theirs = self.theirs();
        assert_eq!(ours, theirs, "against gcc: {when} ({new:?})");
        let listed = theirs.map(|files| {
            files
                .iter()
                .map(|path| self.relative(path))
                .filter(|path| path != "main.c")
                .collect::<Vec<_>>()
        });
        assert_eq!(&listed, expected, "{when}");
    }
}

/// An answer that can be compared: folders come in no order.
pub(crate) fn answer(engine: &Engine, command: &Command) -> Result<Closure, Refusal> {
    engine.closure(command).map(|closure| {
        let mut closure = Closure::clone(&closure);
        closure.folders.sort_unstable();
        closure
    })
}
