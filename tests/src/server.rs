//! Compile servers on loopback ports.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::port::Port;
use crate::programs::{Side, command};
use crate::run::{PATH, wait, wait_until};
use crate::tree::{Tree, snapshot};

/// How a server is to be started.
#[derive(Debug)]
pub struct Setup {
    side: Side,
    jobs: u32,
    allow: String,
    first_in_path: Vec<PathBuf>,
    in_sandbox: bool,
    options: Vec<String>,
}

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct Server {
    side: Side,
    port: u16,
    child: Child,
    folder: Tree,
    /// If it has bound its port by itself.
    _port: Option<Port>,
}

impl Setup {
    /// Four jobs, any program.
    pub fn of(side: Side) -> Self {
        Self {
            side,
            jobs: 4,
            allow: "127.0.0.1".into(),
            first_in_path: Vec::new(),
            in_sandbox: true,
            options: Vec::new(),
        }
    }

    /// Limits the number of compilers that run at a time.
    pub fn jobs(mut self, jobs: u32) -> Self {
        self.jobs = jobs;
        self
    }

    /// Puts a folder of compilers in front of the search path.
    pub fn with_programs(mut self, folder: impl AsRef<Path>) -> Self {
        self.first_in_path.push(folder.as_ref().to_owned());
        self
    }

    /// For compilers that leave signs in folders of this machine.
    pub fn without_sandbox(mut self) -> Self {
        self.in_sandbox = false;
        self
    }

    /// With an option more.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    /// Serves clients at this address only, instead of those at 127.0.0.1.
    pub fn allow(mut self, address: &str) -> Self {
        self.allow = address.into();
        self
    }

    /// Starts it; clients can connect when this returns.
    #[track_caller]
    pub fn start(self) -> Server {
        match self.side {
            Side::Ours => self.start_ours(),
            Side::Packaged => self.start_packaged(),
        }
    }

    /// Our server takes over a socket that listens already: no port to guess, nothing to wait for.
    fn start_ours(self) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let folder = server_folder();
        let child = self.spawn(&folder, &[], Stdio::from(OwnedFd::from(listener)));
        Server {
            side: self.side,
            port,
            child,
            folder,
            _port: None,
        }
    }

    /// The packaged server binds a port by itself.
    #[track_caller]
    fn start_packaged(self) -> Server {
        let port = Port::keep();
        let folder = server_folder();
        let place = [
            format!("--port={}", port.number),
            "--listen=127.0.0.1".into(),
            // It is written to the log at this level that the server is up.
            "--log-level=info".into(),
        ];
        let child = self.spawn(&folder, &place, Stdio::null());
        let mut server = Server {
            side: self.side,
            port: port.number,
            child,
            folder,
            _port: Some(port),
        };
        wait_until(
            || {
                let ended = server.child.try_wait().expect("the child is ours");
                assert_eq!(ended, None, "distccd ended: {}", server.log());
                let is_up = server.log().contains("preforking daemon started");
                is_up.then_some(())
            },
            || "distccd does not start".into(),
        );
        server
    }

    fn spawn(&self, folder: &Tree, place: &[String], stdin: Stdio) -> Child {
        let mut path = OsString::new();
        for folder in &self.first_in_path {
            path.push(folder);
            path.push(":");
        }
        path.push(PATH);
        command(self.side.distccd())
            .args(["--daemon", "--no-detach", "--enable-tcp-insecure"])
            .arg(format!("--allow={}", self.allow))
            .arg(format!("--jobs={}", self.jobs))
            .arg(concat_os("--log-file=", &folder.join("log")))
            .args(place)
            .args(&self.options)
            .args(match (self.side, self.in_sandbox) {
                (Side::Ours, true) => Some("--sandbox=required"),
                (Side::Ours, false) => Some("--sandbox=off"),
                (Side::Packaged, _) => None,
            })
            .env("TMPDIR", folder.join("tmp"))
            .env("CACHE_DIRECTORY", folder.join("cache"))
            .env("PATH", path)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("stderr")).expect("the folder is ours"))
            .spawn()
            .expect("distccd is executable")
    }
}

fn concat_os(option: &str, path: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push(path);
    word
}

fn server_folder() -> Tree {
    let folder = Tree::for_everybody();
    let tmp = folder.folder("tmp");
    let everybody = std::fs::Permissions::from_mode(0o1777);
    std::fs::set_permissions(tmp, everybody).expect("the folder is ours");
    folder
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// An entry for `DISTCC_HOSTS`; `protocol` is 1, 2 or 3.
    pub fn host(&self, protocol: u32) -> String {
        let options = match protocol {
            1 => "",
            2 => ",lzo",
            _ => ",lzo,cpp",
        };
        format!("127.0.0.1:{}{options}", self.port)
    }

    /// The same for actions of the Remote Execution API.
    pub fn engine(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Where actions have what they need.
    pub fn cache(&self) -> PathBuf {
        self.folder.join("cache")
    }

    /// Where its scratch files go.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// What it said, on standard error and in the log.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read(self.folder.join(name)).unwrap_or_default();
        let text = |name| String::from_utf8_lossy(&read(name)).into_owned();
        text("stderr") + &text("log")
    }

    /// The summaries of all jobs, such as `COMPILE_OK exit:0 ... gcc a.c`.
    pub fn jobs(&self) -> Vec<String> {
        let log = self.log();
        let summaries = log.lines().filter_map(|line| {
            let (_, summary) = line.split_once("(dcc_job_summary) client: ")?;
            summary.split_once(' ').map(|(_, rest)| rest.to_owned())
        });
        summaries.collect()
    }

    /// How many jobs ended as `result`, such as `COMPILE_OK`.
    pub fn count(&self, result: &str) -> usize {
        let jobs = self.jobs();
        jobs.iter()
            .filter(|job| job.split(' ').next() == Some(result))
            .count()
    }

    /// Waits for so many jobs in the log that ended as `result`, and no more: a client has its
    /// answer before the server writes of it.
    #[track_caller]
    pub fn expect_jobs(&self, result: &str, count: usize) {
        wait_until(
            || (self.count(result) >= count).then_some(()),
            || format!("{count} x {result} is due:\n{}", self.log()),
        );
        assert_eq!(self.count(result), count, "{}", self.log());
    }

    /// Waits until nothing is left in its scratch folder.
    #[track_caller]
    pub fn wait_for_clean_scratch(&self) {
        let left = || {
            let names = snapshot(&self.scratch()).into_keys();
            names.collect::<Vec<_>>()
        };
        wait_until(
            || left().is_empty().then_some(()),
            || format!("left in the server's scratch folder: {:?}", left()),
        );
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let _ = wait(&mut self.child, Duration::from_secs(10)); // Nothing survives this signal.
    }

    fn signal(&self, signal: Signal) {
        // The packaged server is the leader of a group with its workers. It is gone already if a
        // test has killed it, and not yet waited for, so that the number is still its own.
        let _ = match self.side {
            Side::Ours => kill_process(self.pid(), signal),
            Side::Packaged => kill_process_group(self.pid(), signal),
        };
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.signal(Signal::TERM);
        if wait(&mut self.child, Duration::from_secs(10)).is_none() {
            self.kill();
        }
    }
}
