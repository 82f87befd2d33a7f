//! An engine of the Remote Execution API that is not ours: `buildbox-casd`, with a store of its own.
//!
//! It has to be told a port, since it calls itself there. The port is taken before it starts and until it has ended, by a
//! socket that shares it with others of the same user (`SO_REUSEPORT`, as gRPC's servers do) and listens to nobody: no other
//! program can get it in between.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};
use rustix::process::{Pid, Signal, geteuid, kill_process, kill_process_group};

use crate::programs::{command, engine};
use crate::run::{PATH, is_alive, run, wait_until};
use crate::tree::Tree;

/// A running engine; dropping it ends it.
#[derive(Debug)]
pub struct Engine {
    child: Child,
    port: u16,
    folder: Tree,
    is_over: bool,
    _reserved: OwnedFd,
}

impl Engine {
    /// Starts one that runs so many jobs at once; clients can connect when this returns.
    #[track_caller]
    pub fn start(jobs: u32) -> Self {
        let programs = engine();
        let (reserved, port) = reserve();
        let folder = Tree::new();
        let log = File::create(folder.join("log")).expect("the folder is new");
        let mut path = programs.clone().into_os_string();
        path.push(":");
        path.push(PATH);
        let mut runner = "--buildbox-run=".to_owned();
        runner += programs
            .join("buildbox-run")
            .to_str()
            .expect("tests' folders are UTF-8");
        let child = command(programs.join("buildbox-casd"))
            .arg(format!("--bind=127.0.0.1:{port}"))
            .arg("--log-level=info")
            // Disks of test machines may be nearly full.
            .arg("--reserved=100M")
            .arg(format!("--jobs={jobs}"))
            .arg(runner)
            .arg(folder.join("store"))
            .env("PATH", path)
            .env("HOME", folder.path())
            .env("TMPDIR", folder.folder("tmp"))
            .current_dir(folder.path())
            // With the programs that it starts, so that nothing is left behind.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("there are descriptors left"))
            .stderr(log)
            .spawn()
            .expect("buildbox-casd is a program");
        let mut engine = Self {
            child,
            port,
            folder,
            is_over: false,
            _reserved: reserved,
        };
        let up = |engine: &mut Self| {
            assert!(is_alive(engine.pid()), "it ended:\n{}", engine.log());
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        };
        wait_until(|| up(&mut engine), || "buildbox-casd does not start".into());
        engine
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// As a host list names it.
    pub fn host(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.port)
    }

    /// All it said.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.join("log")).expect("the log is ours");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Ends it, and all that it runs.
    pub fn end(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let pid = self.pid();
        // Nobody has waited for it, even if it has ended: until the end of this the number is its own, and its group's.
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(30);
        while is_alive(pid) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill_process_group(pid, Signal::KILL); // Often nobody is left in it.
        let _ = self.child.wait();
        // One that was killed leaves what it has mounted, and what runs there.
        let folder = self.folder.path();
        while let Some(mount) = mounts_below(&folder).pop() {
            let mut unmount = match geteuid().is_root() {
                true => command("umount"),
                false => command("fusermount"),
            };
            let lazily = if geteuid().is_root() { "-l" } else { "-uz" };
            let done = run(unmount.arg(lazily).arg(mount));
            if done.code() != 0 {
                break; // Others may have done it.
            }
        }
    }
}

/// Where something is mounted below a folder.
fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below = places.map(PathBuf::from);
    below.filter(|place| place.starts_with(folder)).collect()
}

/// A port of the loopback address that is nobody's.
fn reserve() -> (OwnedFd, u16) {
    let socket =
        socket(AddressFamily::INET, SocketType::STREAM, None).expect("descriptors are left");
    fcntl_setfd(&socket, FdFlags::CLOEXEC).expect("it is open");
    sockopt::set_socket_reuseport(&socket, true).expect("Linux has it");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = getsockname(&socket).expect("it is bound");
    let address = SocketAddrV4::try_from(address).expect("it is of IPv4");
    (socket, address.port())
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}
