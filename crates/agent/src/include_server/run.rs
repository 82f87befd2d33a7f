//! Running a compiler with a time limit.
//!
//! A run is its own process group, so that what the compiler driver started ends with it. All
//! runs end at once when the server stops. Needs `pidfd_open` (Linux 5.3).

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Of each of the two outputs.
const LONGEST_OUTPUT: u64 = 64 << 20;

/// Tells all runs that the server stops.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Reports a hang-up once [`Self::stop`] has dropped the other end.
    watched: OwnedFd,
    held: Mutex<Option<OwnedFd>>,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        let (watched, held) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self {
            watched,
            held: Mutex::new(Some(held)),
        })
    }

    /// Ends all runs, also those to come.
    pub(crate) fn stop(&self) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Whether that was said.
    pub(crate) fn is_stopped(&self) -> bool {
        let held = self.held.lock();
        held.unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Killed at the time limit.
    TimedOut,
    /// Killed because the server stops.
    Stopped,
}

/// What a run wrote.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Runs `command` with nothing on its standard input.
///
/// # Errors
/// The program could not be started.
pub(crate) fn run(command: &mut Command, limit: Duration, stop: &Stop) -> io::Result<Ended> {
    run_on(command.stdin(Stdio::null()), limit, stop)
}

/// Runs `command` with `input` on its standard input.
///
/// # Errors
/// As [`run`]; or there is no memory for files.
pub(crate) fn run_with_input(
    command: &mut Command,
    input: &[u8],
    limit: Duration,
    stop: &Stop,
) -> io::Result<(Ended, Output)> {
    // Files, not pipes: nobody has to read while it runs.
    let mut files = [file()?, file()?, file()?];
    let [stdin, stdout, stderr] = &mut files;
    stdin.write_all(input)?;
    stdin.rewind()?;
    command
        .stdin(stdin.try_clone()?)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?);
    let ended = run_on(command, limit, stop)?;
    let content = |file: &mut File| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.take(LONGEST_OUTPUT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let (stdout, stderr) = (content(stdout)?, content(stderr)?);
    Ok((ended, Output { stdout, stderr }))
}

/// A file without a name, in memory.
fn file() -> io::Result<File> {
    Ok(memfd_create("compiler", MemfdFlags::CLOEXEC)?.into())
}

/// Runs `command` with whatever it has for its standard input.
fn run_on(command: &mut Command, limit: Duration, stop: &Stop) -> io::Result<Ended> {
    let deadline = Instant::now() + limit;
    let mut child = command.process_group(0).spawn()?;
    let pid = Pid::from_child(&child);
    let ended = wait(pid, deadline, stop);
    if !matches!(ended, Ok(None)) {
        // Not waited for yet, so the group's number is still this run's own.
        let _ = kill_process_group(pid, Signal::KILL); // Already gone is as good.
    }
    let status = child.wait()?;
    Ok(ended?.unwrap_or(Ended::Exited(status)))
}

/// Waits until the process has ended (`None`) or has to be ended.
fn wait(pid: Pid, deadline: Instant, stop: &Stop) -> io::Result<Option<Ended>> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(stop.watched.as_fd(), PollFlags::IN),
        ];
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Some(Ended::TimedOut));
        }
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&left)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if !fds[0].revents().is_empty() {
            return Ok(None);
        }
        if !fds[1].revents().is_empty() {
            return Ok(Some(Ended::Stopped));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        command
    }

    #[test]
    fn reports_how_a_program_exits() {
        let stop = Stop::new().unwrap();
        let ended = run(&mut shell("exit 3"), Duration::from_secs(60), &stop).unwrap();
        let Ended::Exited(status) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!(status.code(), Some(3));
        assert!(run(&mut Command::new("/nonexistent"), Duration::ZERO, &stop).is_err());
    }

    #[test]
    fn a_program_reads_its_input_and_its_outputs_are_told_apart() {
        let stop = Stop::new().unwrap();
        let mut command = shell("tr a-z A-Z; echo oops >&2");
        let (_, output) =
            run_with_input(&mut command, b"some text", Duration::from_secs(60), &stop).unwrap();
        assert_eq!(output.stdout, b"SOME TEXT");
        assert_eq!(output.stderr, b"oops\n");
    }

    #[test]
    fn ends_a_program_with_its_children_at_the_time_limit() {
        let stop = Stop::new().unwrap();
        let (read, write) = std::io::pipe().unwrap();
        let mut command = shell("sleep 1000 & wait");
        command.stdout(write);
        let ended = run(&mut command, Duration::from_millis(50), &stop).unwrap();
        assert_eq!(ended, Ended::TimedOut);
        drop(command);
        // Ends only when `sleep`, too, is gone.
        assert_eq!(std::io::read_to_string(read).unwrap(), "");
    }

    #[test]
    fn ends_all_programs_when_the_server_stops() {
        let stop = Stop::new().unwrap();
        stop.stop();
        let ended = run(&mut shell("sleep 1000"), Duration::from_secs(60), &stop).unwrap();
        assert_eq!(ended, Ended::Stopped);
    }
}
