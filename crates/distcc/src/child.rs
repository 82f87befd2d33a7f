//! The programs that we run: compilers, preprocessors, ssh.
//!
//! The standard library resets SIGPIPE in children, which it ignores in us.
//!
//! Where the machine has no room for one more process, it often has a moment later: then we wait
//! a little, six times and about three seconds in all.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal, waitpid,
};

use crate::settings::ChildEnvironment;
use crate::signals::{self, Watched};

/// Tells each distcc how many of its kind are above it.
const SAFEGUARD: &str = "_DISTCC_SAFEGUARD";

/// Pauses double; one of this length would be too much.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// For programs that are told to end to remove what they have begun.
const GRACE: Duration = Duration::from_secs(2);

/// A driver that has no part for so long is not about to start one, or to note the name of a file that it has made.
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

/// A running child. It is ended, with what it has started, and waited for when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    /// For its pipes.
    pub(crate) process: process::Child,
    watched: Watched,
    waited_for: bool,
}

impl Child {
    /// Starts a child in our process group, so that it may ask for a password on the terminal, as ssh does: who is in
    /// another group is stopped when it reads from there.
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
        let status = self.process.wait();
        self.watched.forget();
        status
    }

    /// Ends it and all that it started, and returns when nothing of that is left, so that nothing is written after that.
    /// [`can_end_all`] was asked before it was started, and we are the reaper of who loses its parent.
    ///
    /// A compiler's driver whose part ends by a signal removes what it has begun; if the driver were ended first, the part
    /// would make such files anew (gcc: in 29 of 100 cases). So the parts are told, and the driver only if it has none for a
    /// while, as clang. Each is told once: handlers that remove files begin with letting the next signal through.
    pub(crate) fn end_all(mut self) {
        self.waited_for = true;
        let driver = Pid::from_child(&self.process);
        let deadline = Instant::now() + GRACE;
        let (mut told, mut alone) = (Vec::new(), Vec::new());
        loop {
            match waitpid(None, WaitOptions::NOHANG) {
                // Its number may be another's soon.
                Ok(Some((ended, _))) if ended == driver => self.watched.forget(),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => {
                    // Until they are waited for, their numbers are nobody else's.
                    for child in children_of("thread-self").unwrap_or_default() {
                        if Instant::now() > deadline {
                            tell(child, Signal::KILL);
                        } else {
                            end_parts(child, &mut told, &mut alone);
                        }
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return, // There are none.
            }
        }
    }
}

/// Tells what a child has started to end, or itself, where it has started nothing for a while.
fn end_parts(child: Pid, told: &mut Vec<Pid>, alone: &mut Vec<(Pid, Instant)>) {
    let task = format!("{child}/task/{child}");
    let parts = || children_of(&task).unwrap_or_default();
    let mut has_parts = false;
    for part in parts() {
        has_parts = true;
        // The child may wait for it now, and its number be given to another.
        let Ok(process) = pidfd_open(part, PidfdFlags::empty()) else {
            continue;
        };
        if !told.contains(&part) && parts().contains(&part) {
            told.push(part);
            let _ = pidfd_send_signal(&process, Signal::TERM); // It may have ended.
            let _ = pidfd_send_signal(&process, Signal::CONT); // Who is stopped would not hear of it.
        }
    }
    if has_parts || told.contains(&child) {
        return;
    }
    match alone.iter().find(|(other, _)| *other == child) {
        Some((_, since)) if since.elapsed() > ALONE => {
            told.push(child);
            tell(child, Signal::TERM);
            tell(child, Signal::CONT);
        }
        Some(_) => {}
        None => alone.push((child, Instant::now())),
    }
}

fn tell(process: Pid, signal: Signal) {
    let _ = kill_process(process, signal); // It may have ended.
}

/// Whether [`Child::end_all`] could find what there is to end, and nothing else.
///
/// # Errors
/// A kernel without lists of children, or no `/proc`; children that we have already: a shell's, which became us.
pub(crate) fn can_end_all() -> io::Result<()> {
    match children_of("thread-self")?.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other("the process has other children")),
    }
}

/// The children of a thread, as Linux lists them: ended ones, too, that were not waited for. We have one thread.
fn children_of(task: &str) -> io::Result<Vec<Pid>> {
    let list = fs::read_to_string(format!("/proc/{task}/children"))?;
    let numbers = list.split_whitespace().filter_map(|pid| pid.parse().ok());
    Ok(numbers.filter_map(Pid::from_raw).collect())
}

/// All that a process of ours has started, those first that were started by itself. What has left it, as a master
/// connection of ssh does, is not found, nor anything where the kernel has no such lists.
fn parts_below(process: Pid) -> Vec<OwnedFd> {
    let mut found = Vec::new();
    let mut parents = vec![process];
    while let Some(parent) = parents.pop() {
        let task = format!("{0}/task/{0}", parent.as_raw_nonzero());
        let parts = || children_of(&task).unwrap_or_default();
        for part in parts() {
            // Its number may be another's by now.
            if let Ok(process) = pidfd_open(part, PidfdFlags::empty())
                && parts().contains(&part)
            {
                found.push(process);
                parents.push(part);
            }
        }
    }
    found
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.waited_for {
            // A group of its own has them all, and each is told once. Else the child goes first, or a script would go on
            // to its next command.
            let parts = match self.watched.is_group() {
                true => Vec::new(),
                false => parts_below(Pid::from_child(&self.process)),
            };
            self.watched.terminate();
            for part in parts {
                let _ = pidfd_send_signal(&part, Signal::TERM); // It may have ended.
            }
            // Nobody wants to know how it ended.
            let _ = self.process.wait();
        }
    }
}
