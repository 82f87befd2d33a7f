//! The helper: a process with one thread that starts jobs.
//!
//! It is this program started anew, not a fork of the server: it has no other threads whose
//! locks it could inherit, so that all that it and its children do between `clone` and `exec`
//! may be ordinary code; its memory is small, so that `clone` is cheap; and it has none of the
//! server's secrets and descriptors.
//!
//! It reads no request: they go straight to the jobs' first processes.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use rustix::thread::UnshareFlags;

use crate::confine::{Filters, limit};
use crate::first_process;
use crate::job::{Config, Ended, Mode};
use crate::message::{receive, send};
use crate::namespaces;
use crate::root::Plan;
use crate::sys::{Cloned, block_ending_signals, clone_process, close_all};

/// The first argument by which a program knows that it is to be the helper.
pub const HELPER: &str = "--sandbox-helper";

/// What the helper says once, when it is ready; or else why it is not.
pub(crate) const READY: &[u8] = b"ready";

/// What all jobs are made with.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) config: Config,
    pub(crate) filters: Filters,
    /// Only in namespaces.
    pub(crate) plan: Option<Plan>,
}

/// The program, if it was started as the helper; to be called before any thread is started.
/// Returns `None` if it was not.
#[must_use]
pub fn helper_main(first_argument: Option<&OsStr>) -> Option<ExitCode> {
    if first_argument != Some(OsStr::new(HELPER)) {
        return None;
    }
    // There is nobody to tell: standard error is not ours.
    Some(match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn serve() -> io::Result<()> {
    close_all();
    let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    drop(null);
    let mut settings = vec![0; 1 << 20];
    let (length, _) = receive(&control, &mut settings)?;
    settings.truncate(length);
    let config = Config::decode(&settings)?;
    drop(settings);
    let workshop = match Workshop::open(config) {
        Ok(workshop) => workshop,
        Err(text) => return send(&control, text.as_bytes(), &[]),
    };
    send(&control, READY, &[])?;
    workshop.serve(&control)
}

impl Workshop {
    /// Confines this process.
    fn open(config: Config) -> Result<Self, String> {
        let words = |doing: &'static str| move |error: io::Error| format!("{doing}: {error}");
        // Keys of the terminal are for the server only.
        rustix::process::setsid().map_err(|errno| words("leaving the terminal")(errno.into()))?;
        block_ending_signals().map_err(words("blocking signals"))?;
        // Where this cannot be had, nothing else depends on it.
        let score = config.limits.oom_score.to_string();
        let _ = fs::write("/proc/self/oom_score_adj", score);
        limit(&config).map_err(words("setting limits"))?;
        let filters = Filters::build(config.mode)?;
        let plan = match config.mode {
            Mode::Landlock => None,
            Mode::Namespaces => {
                namespaces::enter(&config)?;
                Some(Plan::new(&config)?)
            }
        };
        filters.confine_helper()?;
        Ok(Self {
            config,
            filters,
            plan,
        })
    }

    /// Starts a first process for each message, until the server is gone.
    fn serve(&self, control: &OwnedFd) -> io::Result<()> {
        let mut jobs: Vec<OwnedFd> = Vec::new();
        loop {
            let mut fds = vec![PollFd::new(control, PollFlags::IN)];
            fds.extend(jobs.iter().map(|job| PollFd::new(job, PollFlags::IN)));
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            let mut ended = ready.iter().skip(1).copied();
            jobs.retain(|job| {
                let over = ended.next() == Some(true);
                if over {
                    // Only to let go of it: the server has had its answer.
                    let _ = waitid(WaitId::PidFd(job.as_fd()), WaitIdOptions::EXITED);
                }
                !over
            });
            if ready[0] {
                let (length, fds) = receive(control, &mut [0; 1])?;
                if length == 0 {
                    return end(&jobs);
                }
                jobs.extend(self.start(fds));
            }
        }
    }

    /// Starts a first process with these descriptors: its connection, and both ends of what its jobs report over. What
    /// goes wrong the server learns over the connection, or by its
    /// end.
    fn start(&self, fds: Vec<OwnedFd>) -> Option<OwnedFd> {
        let [connection, reports, report] = <[OwnedFd; 3]>::try_from(fds).ok()?;
        let namespaces = match self.plan {
            Some(_) => UnshareFlags::NEWNS | UnshareFlags::NEWPID,
            None => UnshareFlags::empty(),
        };
        match clone_process(namespaces) {
            Ok(Cloned::Child) => first_process::run(self, &connection.into(), [reports, report]),
            Ok(Cloned::Parent(pid)) => pidfd_open(pid, PidfdFlags::empty()).ok(),
            Err(error) => {
                let text = Ended::Failed(format!("starting a job: {error}"));
                let _ = send(&connection, &text.encode(), &[]); // It may be gone.
                None
            }
        }
    }
}

/// Ends all jobs.
fn end(jobs: &[OwnedFd]) -> io::Result<()> {
    for job in jobs {
        let _ = pidfd_send_signal(job, Signal::KILL); // It may be over by itself.
    }
    for job in jobs {
        waitid(WaitId::PidFd(job.as_fd()), WaitIdOptions::EXITED)?;
    }
    Ok(())
}
