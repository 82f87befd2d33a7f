//! A compile server of this session's own, on the loopback address, for when no hosts are
//! configured at all. (distcc 3.4's `pump` ends with an error then.)
//!
//! It serves only processes of the same user, see `distccd --same-user`.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use protocol::session::PRIVATE_SERVER;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

use super::hosts::Why;
use super::include_server::Lifetime;
use super::messages::{Progress, PumpError};
use super::process;
use super::settings::Settings;

/// For the server to get ready, on a machine that is busy with another build, too. One that ends
/// instead is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; ended when dropped.
#[derive(Debug)]
pub(super) struct PrivateServer {
    child: Child,
    port: u16,
    jobs: usize,
    log: PathBuf,
    /// There once it is ready.
    pid_file: PathBuf,
    is_left_running: bool,
}

impl PrivateServer {
    /// Starts it, with its log in the session's `folder`. Clients can connect at once, but
    /// whether it will serve them shows only later: see [`Self::wait_until_ready`].
    pub(super) fn start(
        settings: &Settings,
        folder: &Path,
        lifetime: Lifetime,
    ) -> Result<Self, PumpError> {
        let program = settings.program("distccd").ok_or(PumpError::NoHosts)?;
        // Some of the jobs wait for the network.
        let jobs = available_parallelism().map_or(1, |cpus| cpus.get()) + 2;
        let log = log(folder);
        let pid_file = folder.join(PRIVATE_SERVER);
        let started = || -> io::Result<Self> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = listener.local_addr()?.port();
            let mut command = Command::new(&program);
            command
                .args([
                    "--no-detach",
                    "--same-user",
                    "--log-level",
                    "info",
                    "--jobs",
                ])
                .arg(jobs.to_string())
                .arg("--log-file")
                .arg(&log)
                .arg("--pid-file")
                .arg(&pid_file)
                // It outlives what Ctrl-C ends.
                .process_group(0)
                .stdin(OwnedFd::from(listener))
                .stdout(Stdio::null());
            if lifetime == Lifetime::ThisProcess {
                die_with_parent(&mut command);
            } else {
                command.stderr(Stdio::null());
            }
            Ok(Self {
                child: command.spawn()?,
                port,
                jobs,
                log: log.clone(),
                pid_file: pid_file.clone(),
                is_left_running: false,
            })
        };
        started().map_err(|error| {
            PumpError::NoPrivateServer(format!("'{}': {error}", program.display()))
        })
    }

    /// The value of `DISTCC_HOSTS` for it.
    pub(super) fn hosts(&self) -> OsString {
        format!("127.0.0.1:{}/{},lzo,cpp", self.port, self.jobs).into()
    }

    pub(super) fn progress(&self, why: Why) -> Progress {
        Progress::PrivateServer {
            why,
            port: self.port,
            jobs: self.jobs,
        }
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// [`PumpError::NoPrivateServer`] with the end of its log, if it has ended instead.
    pub(super) fn wait_until_ready(&mut self) -> Result<(), PumpError> {
        let deadline = Instant::now() + PATIENCE;
        while !self.pid_file.exists() {
            let why = match self.child.try_wait() {
                Ok(Some(status)) => status.to_string(),
                Ok(None) if Instant::now() > deadline => "it does not get ready".to_owned(),
                Ok(None) => {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                }
                Err(error) => error.to_string(),
            };
            let log = std::fs::read(&self.log).unwrap_or_default();
            let log = String::from_utf8_lossy(&log);
            let last = log.trim_end().lines().last().unwrap_or_default();
            return Err(PumpError::NoPrivateServer(format!("{why}: {last}")));
        }
        Ok(())
    }

    /// Lets it run on.
    pub(super) fn leave_running(mut self) {
        self.is_left_running = true;
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if !self.is_left_running {
            // Ended or not, it has not been waited for, so the number is its own.
            process::end(self.pid());
            let _ = self.child.wait();
        }
    }
}

/// The log of the server in the session's `folder`.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("distccd.log")
}

/// Makes the kernel end the program when this process ends, however that happens.
fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotFound.into()) // It ended before this was asked for.
        }
    };
    // SAFETY: `ask` makes two system calls and allocates nothing.
    unsafe { command.pre_exec(ask) };
}
