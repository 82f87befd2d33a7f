//! Processes that need not be children of this one.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// For a process to end after SIGTERM. One that is killed leaves what it would have removed, and a
/// machine may be very busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Parses a process number.
pub(super) fn parse_pid(text: &OsStr) -> Option<Pid> {
    let number: i32 = text.to_str()?.trim().parse().ok()?;
    if number > 0 {
        Pid::from_raw(number)
    } else {
        None
    }
}

/// Whether `pid` is a process whose command line mentions `word`. Numbers are given out again:
/// a process of the right number alone might be anybody's.
pub(super) fn mentions(pid: Pid, word: &OsStr) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    let word = word.as_bytes();
    fs::read(path).is_ok_and(|words| {
        words
            .split(|&byte| byte == 0)
            .any(|other| other.windows(word.len()).any(|part| part == word))
    })
}

/// Ends a process by SIGTERM, or by SIGKILL if it takes too long, and waits until it is gone.
pub(super) fn end(pid: Pid) {
    // All errors mean that it is gone already.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    for signal in [Signal::TERM, Signal::KILL] {
        if kill_process(pid, signal).is_err() {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(left) = Timespec::try_from(left) else {
                return;
            };
            let mut fds = [PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) => break,
                Err(Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_known_by_its_words() {
        let mut child = Command::new("sleep").arg("1000.25").spawn().unwrap();
        let pid = Pid::from_child(&child);
        // Until it has become `sleep` it is a copy of this test.
        let deadline = Instant::now() + PATIENCE;
        while !mentions(pid, OsStr::new("1000.25")) {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        assert!(!mentions(pid, OsStr::new("1000.26")));
        end(pid);
        assert!(!child.wait().unwrap().success());
        assert!(!mentions(pid, OsStr::new("1000.25")));
        end(pid);
    }

    #[test]
    fn process_numbers_are_positive() {
        assert!(parse_pid(OsStr::new("12")).is_some());
        for bad in ["", "0", "-1", "x", "99999999999"] {
            assert!(parse_pid(OsStr::new(bad)).is_none(), "{bad}");
        }
    }
}
