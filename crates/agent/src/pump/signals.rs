//! Signals that would end `pump`: it has to end the servers first.
//!
//! SIGTERM and SIGHUP are passed on to the build. SIGINT and SIGQUIT from a terminal reach the
//! build by themselves, and must not reach it twice.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::keeper::Keeper;
use super::progress::Progress;

/// Collects signals from now on.
#[derive(Debug)]
pub(super) struct Signals {
    came: Vec<(i32, Arc<AtomicBool>)>,
    wake: UnixStream,
}

impl Signals {
    /// Installs handlers, but not for signals that are ignored: the build must inherit that.
    pub(super) fn collect() -> io::Result<Self> {
        let (wake, raise) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let ignored = ignored();
        let mut came = Vec::new();
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
            if ignored & (1 << (signal - 1)) != 0 {
                continue;
            }
            let flag = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&flag))?;
            // After the flag: whoever is woken finds it set.
            signal_hook::low_level::pipe::register(signal, raise.try_clone()?)?;
            came.push((signal, flag));
        }
        Ok(Self { came, wake })
    }

    /// A signal that came and was not taken yet.
    pub(super) fn take(&self) -> Option<i32> {
        self.came
            .iter()
            .find(|(_, came)| came.swap(false, Ordering::SeqCst))
            .map(|&(signal, _)| signal)
    }

    /// Waits for a child to end, passes signals on to it, has progress told and the include server kept.
    pub(super) fn wait(
        &self,
        child: &mut Child,
        progress: &mut Progress,
        keeper: &mut Keeper<'_>,
    ) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(child);
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let interval = progress.interval();
        let mut next = interval.map(|interval| Instant::now() + interval);
        loop {
            if let (Some(due), Some(interval)) = (&mut next, interval)
                && Instant::now() >= *due
            {
                progress.tell();
                *due = Instant::now() + interval;
            }
            let is_late = |due: Instant| Instant::now() >= due;
            if keeper.due().is_some_and(is_late) {
                keeper.go_on();
            }
            let due = next.into_iter().chain(keeper.due()).min();
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            // Rounded up, so that it is not asked again and again for the last part of one.
            let left = left.map(|left| left + Duration::from_millis(1));
            let limit = left.and_then(|left| Timespec::try_from(left).ok());
            let of_keeper = keeper.event();
            let watched = [process.as_fd(), self.wake.as_fd()].into_iter();
            let mut fds: Vec<_> = watched
                .chain(of_keeper)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            match poll(&mut fds, limit.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if !fds[0].revents().is_empty() {
                return child.wait();
            }
            if fds.get(2).is_some_and(|fd| !fd.revents().is_empty()) {
                keeper.go_on();
            }
            // Emptied before the flags are looked at: what comes later wakes again.
            while (&self.wake).read(&mut [0; 64]).is_ok_and(|got| got > 0) {}
            while let Some(number) = self.take() {
                let is_terminals = matches!(number, SIGINT | SIGQUIT) && is_in_foreground();
                if !is_terminals && let Some(signal) = Signal::from_named_raw(number) {
                    let _ = kill_process(pid, signal); // Ended meanwhile is as good.
                }
            }
        }
    }
}

/// The signals that this process ignores, as a set of bits from signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// Whether the terminal sends its signals to this process, and thus also to the build.
fn is_in_foreground() -> bool {
    std::fs::read_to_string("/proc/self/stat").is_ok_and(|stat| is_terminals(&stat))
}

/// Whether the process of this line is in its terminal's foreground group. Both groups are 0 where they were made
/// outside of a container's namespace of processes, which functions that return them as `Pid`s cannot say.
fn is_terminals(stat: &str) -> bool {
    // Behind the name, which may hold anything: state, parent, group, session, terminal, and its foreground group.
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return false;
    };
    let field = |at: usize| fields.split(' ').nth(at);
    let has_terminal = field(4).is_some_and(|terminal| terminal != "0");
    has_terminal && field(2).is_some() && field(2) == field(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminals_foreground_group_gets_its_signals() {
        let stat = |fields: &str| format!("7 (pump) 8) S 5 {fields} 4194304 0");
        for (fields, expected) in [
            ("7 3 34816 7", true),
            ("7 3 34816 3", false),
            ("7 3 0 -1", false),
            // In a container, with the terminal of whoever started it.
            ("0 0 34816 0", true),
            ("0 0 0 -1", false),
            ("7", false),
        ] {
            assert_eq!(is_terminals(&stat(fields)), expected, "{fields}");
        }
        assert!(!is_terminals(""));
    }
}
