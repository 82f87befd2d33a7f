//! The programs that we run: compilers, preprocessors, ssh.
//!
//! The standard library resets SIGPIPE in children, which it ignores in us.
//!
//! Where the machine has no room for one more process, it often has a moment later: then we wait
//! a little, six times and about three seconds in all.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use crate::settings::ChildEnvironment;
use crate::signals::{self, Watched};

/// Tells each distcc how many of its kind are above it.
const SAFEGUARD: &str = "_DISTCC_SAFEGUARD";

/// Pauses double; one of this length would be too much.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// For programs that are told to end to remove what they have begun.
const GRACE: Duration = Duration::from_secs(2);

/// How long a driver has no part while it is about to start one, at most, on an idle machine.
const ALONE: Duration = Duration::from_millis(30);

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

    /// Ends it and all that it started, and returns when nothing of that is left, so that nothing is written after that.
    /// We have to be their reaper, so that who has lost its parent becomes ours, and to have no other children.
    pub(crate) fn end_all(mut self) {
        self.waited_for = true;
        let deadline = Instant::now() + GRACE;
        let mut alone = Vec::new();
        loop {
            match waitpid(None, WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((child, status))) if status.stopped() => end_stopped(child, &mut alone),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => {
                    let is_late = Instant::now() > deadline;
                    let signal = if is_late { Signal::KILL } else { Signal::STOP };
                    // Until they are waited for, their numbers are nobody else's.
                    for child in children_of("thread-self").unwrap_or_default() {
                        tell(child, signal);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return, // There are none.
            }
        }
    }
}

/// Tells a stopped child to end, and lets it go on.
///
/// A compiler's driver whose part ends by a signal removes what it has begun. If the driver were ended first, the part
/// would make such files anew (gcc: in 29 of 100 cases); and as long as the driver has none, it may be about to note the name
/// of one. Stopped, it cannot start or wait for parts, so that their numbers are theirs.
fn end_stopped(child: Pid, alone: &mut Vec<(Pid, Instant)>) {
    let task = format!("{child}/task/{child}");
    let parts = children_of(&task).unwrap_or_default();
    for part in &parts {
        tell(*part, Signal::TERM);
    }
    if parts.is_empty() {
        let since = alone.iter().find(|(other, _)| *other == child);
        match since {
            Some((_, since)) if since.elapsed() > ALONE => tell(child, Signal::TERM),
            Some(_) => {}
            None => alone.push((child, Instant::now())),
        }
    }
    tell(child, Signal::CONT);
}

fn tell(process: Pid, signal: Signal) {
    let _ = kill_process(process, signal); // It may have ended.
}

/// Whether [`Child::end_all`] can find what there is to end.
///
/// # Errors
/// A kernel without lists of children, or no `/proc`.
pub(crate) fn can_end_all() -> io::Result<()> {
    children_of("thread-self").map(drop)
}

/// The children of a thread, as Linux lists them: ended ones, too, that were not waited for. We have one thread.
fn children_of(task: &str) -> io::Result<Vec<Pid>> {
    let list = fs::read_to_string(format!("/proc/{task}/children"))?;
    let numbers = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    Ok(numbers.filter_map(Pid::from_raw).collect())
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
