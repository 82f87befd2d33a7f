//! A sandbox with a scratch folder, and shell scripts as its jobs.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use sandbox::{Config, Ended, Job, Limits, Mode, Running, Sandbox, Tree, View};

pub(crate) struct Bench {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
}

impl Bench {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::with_programs(mode, &["/usr/bin".into()])
    }

    /// One that shows these folders of programs.
    pub(crate) fn with_programs(mode: Mode, programs: &[PathBuf]) -> Self {
        Self::with_view(mode, View::of_this_machine(programs), false)
    }

    /// One that shows nothing but the job's tree, whose programs may be run.
    pub(crate) fn hermetic() -> Self {
        Self::with_view(Mode::Namespaces, View::nothing(), true)
    }

    fn with_view(mode: Mode, view: View, programs: bool) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let config = Config {
            mode,
            view,
            scratch: vec![scratch.path().canonicalize().unwrap()],
            programs,
            limits: Limits {
                memory_bytes: 256 << 20,
                written_bytes: 32 << 20,
                file_bytes: 16 << 20,
                processes: 40,
                oom_score: 100,
            },
        };
        let sandbox = Sandbox::start(config).unwrap();
        fs::create_dir(scratch.path().join("job")).unwrap();
        Self { scratch, sandbox }
    }

    /// Runs a shell script.
    pub(crate) fn script(&self, script: &str) -> (Ended, String) {
        self.run(script, "/tmp", "/")
    }

    /// The same, with `job` at `at`.
    pub(crate) fn run(&self, script: &str, cwd: &str, at: &str) -> (Ended, String) {
        let out = self.scratch.path().join("output");
        let ended = self.start(script, cwd, at).ended().unwrap();
        (ended, fs::read_to_string(out).unwrap())
    }

    pub(crate) fn start(&self, script: &str, cwd: &str, at: &str) -> Running {
        self.start_writing(script, cwd, at, &[])
    }

    /// The same, with folders that it may write to.
    pub(crate) fn start_writing(
        &self,
        script: &str,
        cwd: &str,
        at: &str,
        writable: &[&str],
    ) -> Running {
        let file = File::create(self.scratch.path().join("output")).unwrap();
        let job = Job {
            programs: vec!["sh".into()],
            argv: ["sh", "-c", script].map(Into::into).to_vec(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            cwd: cwd.into(),
            trees: vec![Tree {
                scratch: 0,
                folder: "job".into(),
                at: at.into(),
            }],
            writable: writable.iter().map(Into::into).collect(),
        };
        self.sandbox.run(&job, file.as_fd(), file.as_fd()).unwrap()
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.scratch.path().join("job").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn link(&self, name: &str, text: &str) {
        let path = self.scratch.path().join("job").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(text, path).unwrap();
    }
}

/// Runs a script that has to succeed, and gives its output.
#[track_caller]
pub(crate) fn check(bench: &Bench, script: &str, expected: &str) {
    let (ended, output) = bench.script(script);
    assert!(
        matches!(ended, Ended::Normally { status: 0, .. }),
        "{ended:?}: {output}"
    );
    assert_eq!(output, expected);
}
