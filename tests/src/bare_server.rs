//! Our server in a root folder of nothing but itself, as an unprivileged user: what a container of a single static file is.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::programs::{bare_server, command};
use crate::run::wait;
use crate::tree::Tree;

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct BareServer {
    child: Child,
    port: u16,
    root: Tree,
}

impl BareServer {
    /// Starts one; clients can connect when this returns.
    #[track_caller]
    pub fn start() -> Self {
        let root = Tree::for_everybody();
        fs::copy(bare_server(), root.join("distccd")).expect("the folder is ours");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        // A user namespace, in which the server can make others.
        let child = command("bwrap")
            .args([
                "--unshare-user",
                "--uid",
                "1000",
                "--gid",
                "1000",
                "--unshare-pid",
            ])
            .args(["--die-with-parent", "--clearenv", "--bind"])
            .arg(root.path())
            .args(["/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"])
            .args(["/distccd", "--daemon", "--no-detach", "--jobs=2"])
            .args([
                "--remote-exec=hermetic",
                "--allow=127.0.0.1",
                "--cache-dir=/cache",
            ])
            .arg("--log-file=/log")
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(File::create(root.join("stderr")).expect("the folder is ours"))
            .spawn()
            .expect("bwrap is a program");
        Self { child, port, root }
    }

    /// As a host list names it.
    pub fn engine(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// All it said.
    pub fn log(&self) -> String {
        let read = |name| fs::read(self.root.join(name)).unwrap_or_default();
        let text = |name| String::from_utf8_lossy(&read(name)).into_owned();
        text("stderr") + &text("log")
    }
}

impl Drop for BareServer {
    #[expect(
        clippy::print_stderr,
        reason = "a test that fails says why, as an assertion does"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the bare server\n{}---", self.log());
        }
        // With it all that it has started ends.
        let _ = kill_process(Pid::from_child(&self.child), Signal::KILL);
        let _ = wait(&mut self.child, Duration::from_secs(10));
    }
}
