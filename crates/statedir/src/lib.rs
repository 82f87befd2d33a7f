//! Everything below `$DISTCC_DIR`: slot locks, back-off marks and monitor records, laid out as
//! distcc 3.4 lays them out, so that both can be used at the same time.
//!
//! Errors name the path they are about: callers need not add it.
//!
//! Reading order: [`StateDir`] (the folder), [`lock`] (slots), [`backoff`] (hosts to leave alone
//! for a while), [`monitor`] (what a client tells about itself), [`clients`] (what
//! `distccmon-text` shows).
#![forbid(unsafe_code)]

pub mod backoff;
pub mod clients;
pub mod lock;
pub mod monitor;

#[cfg(test)]
mod fuzzed;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

/// `$DISTCC_DIR`, or `~/.distcc`.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// The part of a file name that stands for a host: `tcp_HOST_PORT`, `ssh_HOST` or `localhost`.
///
/// Host lists know no name with a `/`, so a key never leads out of its folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostKey(OsString);

impl HostKey {
    /// This machine's own slots.
    #[must_use]
    pub fn local() -> Self {
        Self("localhost".into())
    }

    /// A host reached over TCP.
    #[must_use]
    pub fn tcp(host: &OsStr, port: u16) -> Self {
        let mut key = OsString::from("tcp_");
        key.push(host);
        key.push(format!("_{port}"));
        Self(key)
    }

    /// A host reached over ssh.
    #[must_use]
    pub fn ssh(host: &OsStr) -> Self {
        let mut key = OsString::from("ssh_");
        key.push(host);
        Self(key)
    }

    /// The name `<prefix>_<host>_<number>` of a file about this host.
    fn file_name(&self, prefix: &str, number: u32) -> OsString {
        let mut name = OsString::from(prefix);
        name.push("_");
        name.push(&self.0);
        name.push(format!("_{number}"));
        name
    }
}

impl StateDir {
    /// The folder at `path`; nothing is created before it is needed.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sub-folder `name`, created with all its parents (3.4 creates only the last level).
    fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let folder = self.path.join(name);
        match std::fs::create_dir_all(&folder) {
            Ok(()) => Ok(folder),
            Err(error) => Err(about("create folder", &folder, error)),
        }
    }
}

/// The same error, its message opening with what was tried on which path.
fn about(tried: &str, path: &Path, error: io::Error) -> io::Error {
    let path = path.display();
    io::Error::new(error.kind(), format!("cannot {tried} {path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn folders_are_created_with_their_parents() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().join("not/yet/there"));
        let folder = dir.folder("lock").unwrap();
        assert_eq!(folder, temp.path().join("not/yet/there/lock"));
        assert!(folder.is_dir());
    }

    #[test]
    fn error_names_the_folder() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        let dir = StateDir::new(temp.path().join("file"));
        let error = dir.folder("lock").unwrap_err();
        let message = error.to_string();
        let folder = temp.path().join("file/lock");
        let start = format!("cannot create folder {}: ", folder.display());
        assert!(message.starts_with(&start), "{message}");
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn file_names_are_those_of_3_4() {
        for (key, name) in [
            (HostKey::local(), "cpu_localhost_0"),
            (
                HostKey::tcp("127.0.0.1".as_ref(), 3632),
                "cpu_tcp_127.0.0.1_3632_0",
            ),
            (HostKey::tcp("::1".as_ref(), 3632), "cpu_tcp_::1_3632_0"),
            (HostKey::ssh("h".as_ref()), "cpu_ssh_h_0"),
        ] {
            assert_eq!(key.file_name("cpu", 0), name);
        }
    }

    #[test]
    fn mode_follows_the_umask_only() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::new(temp.path().to_owned());
        let _slot = dir.try_lock(&HostKey::local(), 0).unwrap();
        std::fs::write(temp.path().join("plain"), "").unwrap();
        let mode = |name: &str| {
            let metadata = std::fs::metadata(temp.path().join(name)).unwrap();
            metadata.permissions().mode()
        };
        assert_eq!(mode("lock/cpu_localhost_0"), mode("plain"));
    }
}
