//! Leaving the terminal and what else we were started with, and the pid file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::fault::reason;
use crate::log::Log;

/// Marks all descriptors that we were started with, beyond the standard ones, as not for the
/// programs that we start. Our own are opened that way.
pub(crate) fn keep_descriptors_to_ourselves() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    let (first, last) = (3 as libc::c_uint, libc::c_uint::MAX);
    // Old kernels do not know it; then compilers get what we got.
    // SAFETY: no descriptor is closed, and none of ours is meant to be inherited.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC) };
}

/// Which process goes on after [`detach`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detached {
    /// The one that was started: it has nothing left to do but to end.
    Parent {
        /// The daemon's pid.
        daemon: i32,
    },
    /// The daemon.
    Daemon,
}

/// Forks into the background. Has to happen before the first thread starts, and after the
/// server listens: the command returns when clients can connect.
pub(crate) fn detach() -> io::Result<Detached> {
    // SAFETY: no other thread exists yet, so the child may do what it likes.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            rustix::process::setsid()?;
            let null = OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/null")?;
            rustix::stdio::dup2_stdin(&null)?;
            rustix::stdio::dup2_stdout(&null)?;
            rustix::stdio::dup2_stderr(&null)?;
            // SAFETY: ignoring a signal installs no code.
            unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
            Ok(Detached::Daemon)
        }
        daemon => Ok(Detached::Parent { daemon }),
    }
}

/// Writes a pid file. Failing to is not worth refusing to serve, so it is only logged.
pub(crate) fn write_pid_file(path: &Path, pid: i32, log: &Log) {
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{pid}\n").as_bytes()));
    if let Err(error) = written {
        let (path, reason) = (path.display(), reason(&error));
        log.error(
            "dcc_save_pid",
            format_args!("failed to open pid file {path}: {reason}"),
        );
    }
}

/// Removes the pid file when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct PidFile(pub(crate) PathBuf);

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = std::process::id().to_string();
        if fs::read_to_string(&self.0).is_ok_and(|text| text.trim() == ours) {
            let _ = fs::remove_file(&self.0); // Perhaps we may write the file, but not its folder.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Level, Target};

    #[test]
    fn the_pid_file_goes_with_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let log = Log::to_stderr(Level::Emergency);
        let pid = i32::try_from(std::process::id()).unwrap();
        write_pid_file(&path, pid, &log);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        drop(PidFile(path.clone()));
        assert!(!path.exists());
        // Another server's is left alone.
        write_pid_file(&path, 1, &log);
        drop(PidFile(path.clone()));
        assert!(path.exists());
    }

    #[test]
    fn a_pid_file_that_cannot_be_written_is_logged() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::File(dir.path().join("log"));
        let log = Log::open(&target, Level::Notice);
        write_pid_file(Path::new("/nowhere/pid"), 1, &log);
        let text = fs::read_to_string(dir.path().join("log")).unwrap();
        assert!(
            text.contains("failed to open pid file /nowhere/pid: No such"),
            "{text}"
        );
    }
}
