//! Back-off: a host that failed is left alone for a while.
//!
//! The mark is `lock/backoff_<host>_0`; its age is the file's modification time. Source: 3.4,
//! whose mark holds one byte `x`.
//!
//! A compiler that fails on a host and not here is the fault of either the host or the file.
//! 3.4 leaves the host alone at once; here the first one only leaves a doubt,
//! `lock/doubt_<host>_0` with the file's name in it, and one with another file within the period is the host's.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::{HostKey, StateDir, about};

impl StateDir {
    /// Notes that the host failed now.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn back_off(&self, host: &HostKey) -> io::Result<()> {
        self.folder("lock")?;
        let mark = self.mark(host);
        std::fs::write(&mark, "x").map_err(|error| about("write", &mark, error))
    }

    /// Notes that a compiler failed on the host and not here with the file `source`, by its absolute name. Whether one did so
    /// less than `period` before with another file, too: one that is tried again says no more about the host.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn doubt(
        &self,
        host: &HostKey,
        source: &Path,
        period: Duration,
        now: SystemTime,
    ) -> io::Result<bool> {
        let folder = self.folder("lock")?;
        let note = folder.join(host.file_name("doubt", 0));
        let source = source.as_os_str().as_encoded_bytes();
        let is_another = || std::fs::read(&note).is_ok_and(|noted| noted != source);
        let again = is_fresh(&note, period, now) && is_another();
        match std::fs::write(&note, source) {
            Ok(()) => Ok(again),
            Err(error) => Err(about("write", &note, error)),
        }
    }

    /// Removes the host's mark, if there is one.
    ///
    /// # Errors
    /// The mark is there but cannot be removed.
    pub fn clear_backoff(&self, host: &HostKey) -> io::Result<()> {
        let mark = self.mark(host);
        match std::fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(about("remove", &mark, error))
            }
            _ => Ok(()),
        }
    }

    /// Whether the host failed less than `period` before `now`. A period of zero turns back-off
    /// off. A mark from the future counts as fresh.
    #[must_use]
    pub fn in_backoff(&self, host: &HostKey, period: Duration, now: SystemTime) -> bool {
        !period.is_zero() && is_fresh(&self.mark(host), period, now)
    }

    fn mark(&self, host: &HostKey) -> PathBuf {
        self.path.join("lock").join(host.file_name("backoff", 0))
    }
}

/// Whether the mark was made less than `period` before `now`.
fn is_fresh(mark: &Path, period: Duration, now: SystemTime) -> bool {
    let made = std::fs::metadata(mark).and_then(|mark| mark.modified());
    match made {
        Ok(made) => !now.duration_since(made).is_ok_and(|age| age >= period),
        Err(_) => false, // Hardly ever anything but: there is no mark.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn mark_counts_for_its_period() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().join("new"));
        let host = HostKey::tcp("h".as_ref(), 1);
        let path = temp.path().join("new/lock/backoff_tcp_h_1_0");
        let now = SystemTime::now();
        assert!(!dir.in_backoff(&host, MINUTE, now));
        assert!(!path.parent().unwrap().exists(), "asking creates nothing");

        dir.back_off(&host).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"x");
        let failed = std::fs::metadata(&path).unwrap().modified().unwrap();
        for (period, now, expected) in [
            (MINUTE, failed, true),
            (MINUTE, failed + MINUTE - Duration::from_millis(1), true),
            (MINUTE, failed + MINUTE, false),
            (MINUTE, failed - MINUTE, true),
            (Duration::ZERO, failed, false),
        ] {
            assert_eq!(dir.in_backoff(&host, period, now), expected, "{now:?}");
        }
        assert!(!dir.in_backoff(&HostKey::tcp("h".as_ref(), 2), MINUTE, failed));

        dir.clear_backoff(&host).unwrap();
        assert!(!dir.in_backoff(&host, MINUTE, failed));
        dir.clear_backoff(&host).unwrap();
    }

    #[test]
    fn a_doubt_is_confirmed_by_another_file_within_the_period_only() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().join("new"));
        let host = HostKey::tcp("h".as_ref(), 1);
        let doubt = |source, now| dir.doubt(&host, Path::new(source), MINUTE, now).unwrap();
        let now = SystemTime::now();
        assert!(!doubt("/a.c", now));
        assert!(!doubt("/a.c", now));
        assert!(doubt("/b.c", now));
        assert!(!doubt("/a.c", now + 2 * MINUTE));
        assert!(!dir.in_backoff(&host, MINUTE, now));
    }

    #[test]
    fn new_failure_renews_the_mark() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().to_owned());
        let host = HostKey::ssh("h".as_ref());
        dir.back_off(&host).unwrap();
        let mark = std::fs::File::open(temp.path().join("lock/backoff_ssh_h_0")).unwrap();
        let old = SystemTime::now() - 2 * MINUTE;
        mark.set_modified(old).unwrap();
        assert!(!dir.in_backoff(&host, MINUTE, SystemTime::now()));
        dir.back_off(&host).unwrap();
        assert!(dir.in_backoff(&host, MINUTE, SystemTime::now()));
    }
}
