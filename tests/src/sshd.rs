//! A real `sshd` on a loopback port, with keys of its own, for the user who runs the tests.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::port::Port;
use crate::programs::command;
use crate::run::{run, wait, wait_until};
use crate::tree::Tree;

const PROGRAM: &str = "/usr/sbin/sshd";

/// A running `sshd`; dropping it ends it.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    folder: Tree,
    _port: Port,
}

impl Sshd {
    /// Starts one. The `ssh` of [`Self::ssh`] knows it as the host `build`.
    #[track_caller]
    pub fn start() -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing: `scripts/setup test` gets what tests need"
        );
        let folder = Tree::new();
        for name in ["host_key", "user_key"] {
            let mut keygen = command("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            run(keygen.arg(folder.join(name))).expect_success();
        }
        if geteuid().is_root() {
            // What starts services makes it; nothing is ever in it.
            fs::create_dir_all("/run/sshd").expect("root may");
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).expect("root may");
        }
        let port = Port::keep();
        let child = listen(&folder, port.number);
        Self {
            child,
            folder,
            _port: port,
        }
    }

    /// The value of `DISTCC_SSH`.
    pub fn ssh(&self) -> OsString {
        let mut words = OsString::from("ssh -F ");
        words.push(self.folder.join("ssh_config"));
        words
    }

    /// The same without the key that is let in.
    pub fn ssh_without_key(&self) -> OsString {
        let mut words = self.ssh();
        words.push(" -o PubkeyAuthentication=no");
        words
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Starts `sshd` on this port.
#[track_caller]
fn listen(folder: &Tree, port: u16) -> Child {
    let path = |name: &str| folder.join(name).display().to_string();
    // With this level of shells bash does not read the user's files, which may do anything.
    folder.write(
        "sshd_config",
        format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n\
             SetEnv SHLVL=2\n",
            path("host_key"),
            path("user_key.pub")
        ),
    );
    folder.write(
        "ssh_config",
        format!(
            "Host build\nHostName 127.0.0.1\nPort {port}\nIdentityFile {}\nIdentitiesOnly yes\n\
             StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n\
             BatchMode yes\nIdentityAgent none\n",
            path("user_key")
        ),
    );
    let log = fs::File::create(folder.join("log")).expect("the folder is ours");
    let mut child = Command::new(PROGRAM)
        .args(["-D", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sshd is executable");
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    wait_until(
        || match child.try_wait().expect("the child is ours") {
            None => log().contains("Server listening").then_some(()),
            Some(status) => panic!("sshd ended with {status}: {}", log()),
        },
        || format!("sshd does not start: {}", log()),
    );
    child
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM); // It may have ended.
        if wait(&mut self.child, Duration::from_secs(10)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
