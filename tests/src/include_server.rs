//! Our include server, without `pump` around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::programs::{command, ours};
use crate::run::{LIMIT, PATH, is_alive, wait};
use crate::tree::{Snapshot, snapshot};

/// A running include server; dropping it ends it.
#[derive(Debug)]
pub struct IncludeServer {
    pid: Pid,
    folder: TempDir,
}

impl IncludeServer {
    /// Starts one that finds compilers in `programs`, too.
    #[track_caller]
    pub fn start(programs: &Path) -> Self {
        // Its client root may be two levels below the root folder, no more: so not in $TMPDIR.
        let folder = TempDir::with_prefix_in("pumpcc-test.", "/tmp").expect("/tmp is writable");
        let file = |name: &str| {
            fs::File::create(folder.path().join(name)).expect("a new folder is writable")
        };
        let mut path = programs.as_os_str().to_owned();
        path.push(":");
        path.push(PATH);
        let mut start = command(ours("include_server"));
        start
            .arg("--port")
            .arg(folder.path().join("socket"))
            .arg("--pid_file")
            .arg(folder.path().join("pid"))
            .env("DISTCC_CLIENT_TMP", folder.path())
            .env("PATH", path)
            .stdin(std::process::Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        let mut child = start.spawn().expect("include_server is executable");
        let status = wait(&mut child, LIMIT);
        let said = fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
        assert!(
            status.is_some_and(|status| status.success()),
            "include_server: {status:?}: {said}"
        );
        let pid = fs::read_to_string(folder.path().join("pid")).expect("it has written its pid");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
        Self {
            pid: pid.expect("a pid is a number"),
            folder,
        }
    }

    /// The value for `INCLUDE_SERVER_PORT`.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// What it said.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Makes clients forget that compiles failed on a server only: after the first they
    /// preprocess locally.
    pub fn forget_discrepancies(&self) {
        let counter = self.folder.path().join("discrepancy_counter");
        let _ = fs::remove_file(counter); // Mostly it is not there.
    }

    /// Ends it, and returns what it left behind.
    pub fn stop(self) -> Snapshot {
        self.end();
        let mut left = snapshot(self.folder.path());
        for ours in ["pid", "stdout", "stderr"] {
            left.remove(Path::new(ours));
        }
        left
    }

    fn end(&self) {
        let _ = kill_process(self.pid, Signal::TERM); // It may have ended.
        let deadline = std::time::Instant::now() + LIMIT;
        while is_alive(self.pid) {
            if std::time::Instant::now() > deadline {
                let _ = kill_process(self.pid, Signal::KILL);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for IncludeServer {
    fn drop(&mut self) {
        self.end();
    }
}
