//! Our servers, which are started again whenever they are gone: on the same port, because we hold
//! the listening socket.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use end_to_end::programs::{command, ours};
use end_to_end::run::{PATH, wait};
use rustix::process::{Pid, Signal, kill_process};

/// A server and its surroundings.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    /// A small file system of its own.
    pub(crate) scratch: PathBuf,
    log: PathBuf,
    listener: TcpListener,
    sandbox: &'static str,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Makes a file system for it, and starts it.
    pub(crate) fn start(folder: &Path, name: &'static str, sandbox: &'static str) -> Self {
        let scratch = folder.join(name);
        fs::create_dir(&scratch).expect("the folder is ours");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=48m,mode=1777", name])
            .arg(&scratch)
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "mount");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let server = Self {
            name,
            port: listener.local_addr().expect("it is bound").port(),
            scratch,
            log: folder.join(format!("{name}.log")),
            listener,
            sandbox,
            child: Mutex::new(None),
        };
        server.start_again(&mut server.child());
        server
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_again(&self, child: &mut Option<Child>) {
        let listener = self
            .listener
            .try_clone()
            .expect("there are descriptors left");
        let mut log_file = std::ffi::OsString::from("--log-file=");
        log_file.push(&self.log);
        let started = command(ours("distccd"))
            .args([
                "--daemon",
                "--no-detach",
                "--enable-tcp-insecure",
                "--allow=127.0.0.1",
            ])
            .args(["--jobs=3", "--log-level=info", self.sandbox])
            .arg(log_file)
            .env("TMPDIR", &self.scratch)
            .env("PATH", PATH)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(log_stderr(&self.log))
            .spawn();
        *child = Some(started.expect("distccd is executable"));
    }

    /// Its process, while it is not being started or ended by somebody else.
    pub(crate) fn with_pid<T>(&self, work: impl FnOnce(Pid) -> T) -> Option<T> {
        self.child()
            .as_ref()
            .map(|child| work(Pid::from_child(child)))
    }

    /// Ends it with a signal and starts it again; false if it did not end.
    pub(crate) fn restart(&self, signal: Signal) -> bool {
        let mut child = self.child();
        let ended = end(&mut child, signal);
        self.start_again(&mut child);
        ended
    }

    /// Ends it for good; false if it had to be killed.
    pub(crate) fn stop(&self) -> bool {
        end(&mut self.child(), Signal::TERM)
    }

    /// All that its processes have written.
    pub(crate) fn log(&self) -> String {
        let read = |path: &Path| fs::read(path).unwrap_or_default();
        let both = [read(&self.log), read(&self.log.with_extension("stderr"))].concat();
        String::from_utf8_lossy(&both).into_owned()
    }
}

fn log_stderr(log: &Path) -> Stdio {
    let file = fs::File::options()
        .create(true)
        .append(true)
        .open(log.with_extension("stderr"));
    file.expect("the folder is ours").into()
}

fn end(child: &mut Option<Child>, signal: Signal) -> bool {
    let Some(mut child) = child.take() else {
        return true;
    };
    let _ = kill_process(Pid::from_child(&child), signal); // It may have ended.
    if wait(&mut child, Duration::from_secs(60)).is_some() {
        return true;
    }
    let _ = child.kill();
    let _ = child.wait(); // Nothing survives that signal.
    false
}
