//! Clients with folders of their own.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{Side, command};
use crate::run::PATH;
use crate::tree::{Tree, snapshot};

/// One user's settings: `DISTCC_DIR`, `TMPDIR` and variables.
#[derive(Debug)]
pub struct Client {
    side: Side,
    folder: Tree,
    variables: Vec<(OsString, OsString)>,
}

impl Client {
    /// A client of these hosts, whose failures are not mended locally. Below `pump` it speaks the old protocols with all
    /// that are no engines by their names.
    pub fn of(side: Side, hosts: &str) -> Self {
        let folder = Tree::new();
        folder.folder("tmp");
        // 3.4 does not make it.
        folder.folder("distcc");
        let client = Self {
            side,
            folder,
            variables: Vec::new(),
        };
        client
            .with("DISTCC_HOSTS", hosts)
            .with("DISTCC_FALLBACK", "0")
            .with("PUMP_ACTIONS", "0")
    }

    /// Below `pump` hosts are asked whether they run actions, as they are by default.
    pub fn with_actions(mut self) -> Self {
        self.variables.retain(|(name, _)| name != "PUMP_ACTIONS");
        self
    }

    /// Sets a variable.
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), value.as_ref().into()));
        self
    }

    /// Puts a folder of compilers in front of the search path.
    pub fn with_programs(self, folder: &Path) -> Self {
        let mut path = folder.as_os_str().to_owned();
        path.push(":");
        path.push(PATH);
        self.with("PATH", path)
    }

    /// Mends failures locally, as distcc does by default.
    pub fn with_fallback(self) -> Self {
        self.with("DISTCC_FALLBACK", "1")
    }

    /// Any command with this client's settings.
    pub fn command(&self, program: impl AsRef<OsStr>, cwd: &Path) -> Command {
        let mut command = command(program);
        command
            .current_dir(cwd)
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.temp())
            .env("DISTCC_DIR", self.distcc_dir())
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `distcc` in front of a compiler's command.
    pub fn distcc(&self, argv: &[OsString], cwd: &Path) -> Command {
        let mut command = self.command(self.side.distcc(), cwd);
        command.args(argv);
        command
    }

    /// Its `TMPDIR`.
    pub fn temp(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// Its `DISTCC_DIR`.
    pub fn distcc_dir(&self) -> PathBuf {
        self.folder.join("distcc")
    }

    /// The records that monitors read.
    pub fn records(&self) -> Vec<String> {
        records(&self.distcc_dir())
    }
}

/// The records that monitors read in this `DISTCC_DIR`. Idle files of clients that have ended are none.
pub fn records(distcc_dir: &Path) -> Vec<String> {
    let names = snapshot(&distcc_dir.join("state")).into_keys();
    names
        .map(|name| name.display().to_string())
        .filter(|name| name.starts_with("binstate_"))
        .collect()
}
