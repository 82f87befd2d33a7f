//! The programs that we run: compilers, preprocessors, ssh.
//!
//! The standard library resets SIGPIPE in children, which it ignores in us.
//!
//! Where the machine has no room for one more process, it often has a moment later: then we wait
//! a little, six times and about three seconds in all.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, waitpgid,
};

use crate::settings::ChildEnvironment;
use crate::signals::{self, Watched};

/// Tells each distcc how many of its kind are above it.
const SAFEGUARD: &str = "_DISTCC_SAFEGUARD";

/// Pauses double; one of this length would be too much.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// For programs that are told to end to remove what they have begun.
const GRACE: Duration = Duration::from_secs(2);

/// Whether a program could not be started because there are too many already, or no memory.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::ENFILE)
    )
}

/// A command for `words` in the environment that our children get. `words` is never empty.
pub(crate) fn command(words: &[OsString], environment: &ChildEnvironment) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    let depth = environment.depth.max(0).saturating_add(1);
    command.env(SAFEGUARD, depth.to_string());
    if environment.path_changed {
        command.env("PATH", &environment.path);
    }
    command
}

/// A running child. It is ended and waited for when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    /// For its pipes.
    pub(crate) process: process::Child,
    watched: Watched,
    waited_for: bool,
}

impl Child {
    /// Starts a child in our process group.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        Self::watch(command, false)
    }

    /// Starts a child in a process group of its own, so that it can be ended together with the
    /// programs that it runs in turn. It must not need the terminal.
    pub(crate) fn spawn_group(command: &mut Command) -> io::Result<Self> {
        Self::watch(command.process_group(0), true)
    }

    fn watch(command: &mut Command, own_group: bool) -> io::Result<Self> {
        let mut pause = Duration::from_millis(50);
        loop {
            match signals::watch(|| command.spawn(), own_group) {
                Err(error) if is_shortage(&error) && pause < LONGEST_PAUSE => {
                    thread::sleep(pause);
                    pause *= 2;
                }
                Err(error) => return Err(error),
                Ok((process, watched)) => {
                    return Ok(Self {
                        process,
                        watched,
                        waited_for: false,
                    });
                }
            }
        }
    }

    /// Waits for its end, but not longer than this: then it is ended.
    pub(crate) fn wait_or_end(self, patience: Duration) {
        let limit = Timespec::try_from(patience).ok();
        // Where the kernel knows no such descriptors, it is ended at once.
        let pid = Pid::from_child(&self.process);
        if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
            let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], limit.as_ref());
        }
        drop(self);
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        self.wait_for()
    }

    /// The same, for who has more to do with it. Once.
    pub(crate) fn wait_for(&mut self) -> io::Result<ExitStatus> {
        self.waited_for = true;
        self.process.wait()
    }

    /// Ends a child of [`Self::spawn_group`] and all programs of its group, and returns when none of them is left, so
    /// that nothing is written after that. Those that it started become ours when it has ended: we have to be their
    /// reaper.
    pub(crate) fn end_group(mut self) {
        self.waited_for = true;
        let group = Pid::from_child(&self.process);
        let tell = |signal| {
            let _ = kill_process_group(group, signal); // They may have ended.
        };
        // If none of them is left, the number may be another's by now.
        if waitpgid(group, WaitOptions::NOHANG).is_err() {
            return;
        }
        tell(Signal::TERM);
        tell(Signal::CONT); // Who is stopped would not hear of it.
        let deadline = Instant::now() + GRACE;
        loop {
            match waitpgid(group, WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => {
                    if Instant::now() > deadline {
                        tell(Signal::KILL);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return, // There are none.
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.waited_for {
            self.watched.terminate();
            // Nobody wants to know how it ended.
            let _ = self.process.wait();
        }
    }
}
