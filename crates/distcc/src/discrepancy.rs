//! Compiles that failed in pump mode and went otherwise here: counted, because something is wrong
//! with them, with their sources or with a server.
//!
//! The count is the length of a file beside the include server's socket, which all jobs of the
//! build share and `pump` reports at the end. Source: 3.4, which takes the whole build out of
//! pump mode at the first of them; here that happens only where `DISTCC_MAX_DISCREPANCY` says
//! at how many.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use protocol::session::beside_socket;

use crate::log::{Log, Reason};

/// The file for an include server's socket; none if the socket is not where `pump` puts it.
fn counter(port: &OsStr) -> Option<PathBuf> {
    beside_socket(port, "discrepancy_counter")
}

/// Whether `max` discrepancies, if there is such a limit, were counted in this build.
pub(crate) fn limit_is_reached(port: Option<&OsStr>, max: Option<u64>) -> bool {
    let Some(max) = max else { return false };
    let count = port
        .and_then(counter)
        .and_then(|file| std::fs::metadata(file).ok());
    count.is_some_and(|count| count.len() >= max)
}

/// Counts a discrepancy, and says so when pump mode ends with it.
#[cold]
pub(crate) fn count(port: Option<&OsStr>, max: Option<u64>, log: &Log) {
    let Some(file) = port.and_then(counter) else {
        return;
    };
    match append(&file) {
        Ok(count) if Some(count) == max => log.warning(
            "dcc_note_discrepancy",
            format_args!(
                "now using plain distcc, possibly due to inconsistent file system changes during \
                 build"
            ),
        ),
        Ok(_) => {}
        Err(error) => log.warning(
            "dcc_note_discrepancy",
            format_args!("cannot write {}: {}", file.display(), Reason(&error)),
        ),
    }
}

/// Adds one to the count, and gives it.
fn append(file: &PathBuf) -> io::Result<u64> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(b"@")?;
    Ok(file.metadata()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_reaches_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let port = dir.path().join("socket").into_os_string();
        let log = Log::open(&crate::log::Wishes::default());
        assert!(!limit_is_reached(Some(&port), Some(2)));
        count(Some(&port), Some(9), &log);
        assert!(!limit_is_reached(Some(&port), Some(2)));
        count(Some(&port), None, &log);
        assert!(limit_is_reached(Some(&port), Some(2)));
        assert!(!limit_is_reached(Some(&port), None));
        let written = std::fs::read(dir.path().join("discrepancy_counter")).unwrap();
        assert_eq!(written, b"@@");
    }

    #[test]
    fn only_sockets_of_pump_have_a_count() {
        assert_eq!(
            counter("/t/socket".as_ref()).unwrap(),
            PathBuf::from("/t/discrepancy_counter")
        );
        assert_eq!(counter("/t/other".as_ref()), None);
        assert!(!limit_is_reached(None, Some(1)));
    }
}
