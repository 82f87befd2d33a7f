//! Slots: how many jobs a client machine gives to a host at once.
//!
//! `lock/cpu_<host>_<slot>` is held by a whole-file POSIX write lock (`fcntl`, which is what
//! distcc 3.4 uses, so both count the same slots). The files are empty and stay.
//!
//! **One process must not open the same slot twice.** POSIX locks belong to the process: a second
//! lock of its own always succeeds, and closing either file releases both. A client has one job,
//! hence takes each slot at most once; a program with many jobs must count its own slots itself.
//!
//! Costs two system calls, open and lock; a slot that is held by somebody else one more, close.
//! Folders are made only when the first one finds them missing.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::{HostKey, StateDir, about};

/// A slot held until this is dropped, or the process ends.
#[derive(Debug)]
pub struct SlotLock {
    #[expect(dead_code, reason = "the open file is the lock")]
    file: File,
}

impl StateDir {
    /// Takes the slot if nobody holds it; does not wait.
    ///
    /// # Errors
    /// The lock file cannot be created, opened or locked for another reason than that it is
    /// held.
    pub fn try_lock(&self, host: &HostKey, slot: u32) -> io::Result<Option<SlotLock>> {
        self.lock(host, slot, FlockOperation::NonBlockingLockExclusive)
    }

    /// Waits until the slot is free and takes it; `None` if a signal came first.
    ///
    /// # Errors
    /// As for [`Self::try_lock`], and where the kernel finds that all would wait for ever.
    pub fn wait_lock(&self, host: &HostKey, slot: u32) -> io::Result<Option<SlotLock>> {
        self.lock(host, slot, FlockOperation::LockExclusive)
    }

    fn lock(
        &self,
        host: &HostKey,
        slot: u32,
        operation: FlockOperation,
    ) -> io::Result<Option<SlotLock>> {
        let path = self.path.join("lock").join(host.file_name("cpu", slot));
        let file = match open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.folder("lock")?;
                open(&path)
            }
            opened => opened,
        };
        let file = file.map_err(|error| about("open lock", &path, error))?;
        match fcntl_lock(&file, operation) {
            Ok(()) => Ok(Some(SlotLock { file })),
            Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => Ok(None),
            Err(errno) => Err(about("lock", &path, errno.into())),
        }
    }
}

/// Opens or creates a lock file: 0666 & ~umask and closed on exec, as std does it; for writing,
/// as a write lock needs it.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    /// Set in a copy of this test program: the folder in which it holds a lock until it is killed.
    const HOLD: &str = "STATEDIR_TEST_HOLD";

    fn dir(path: &Path) -> StateDir {
        StateDir::new(path.to_owned())
    }

    fn hold(path: &Path) -> ! {
        let host = HostKey::tcp("h".as_ref(), 1);
        let _held = dir(path).try_lock(&host, 0).unwrap().unwrap();
        println!("\nheld");
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn slot_has_one_holder_among_processes() {
        if let Some(path) = std::env::var_os(HOLD) {
            hold(Path::new(&path));
        }
        let temp = tempfile::tempdir().unwrap();
        let name = "lock::tests::slot_has_one_holder_among_processes";
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--exact", name])
            .env(HOLD, temp.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(other.stdout.take().unwrap()).lines();
        let holds = said.map_while(Result::ok).any(|line| line == "held");

        let (dir, host) = (dir(temp.path()), HostKey::tcp("h".as_ref(), 1));
        let while_held = dir.try_lock(&host, 0);
        let other_slot = dir.try_lock(&host, 1);
        let other_host = dir.try_lock(&HostKey::local(), 0);
        let waiting = std::thread::spawn({
            let (dir, host) = (dir.clone(), host.clone());
            move || dir.wait_lock(&host, 0)
        });
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(waiting.join().unwrap().unwrap().is_some());
        assert!(holds);
        assert!(while_held.unwrap().is_none());
        assert!(other_slot.unwrap().is_some());
        assert!(other_host.unwrap().is_some());
        assert!(dir.try_lock(&host, 0).unwrap().is_some());
    }

    #[test]
    fn error_names_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock/cpu_localhost_0");
        std::fs::create_dir_all(&path).unwrap();
        let error = dir(temp.path()).try_lock(&HostKey::local(), 0).unwrap_err();
        let start = format!("cannot open lock {}: ", path.display());
        assert!(error.to_string().starts_with(&start), "{error}");
    }

    #[test]
    fn lock_file_stays_empty_and_is_kept() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("lock/cpu_ssh_h_3");
        let slot = dir(temp.path()).try_lock(&HostKey::ssh("h".as_ref()), 3);
        assert!(slot.unwrap().is_some());
        assert_eq!(std::fs::read(path).unwrap(), b"");
    }
}
