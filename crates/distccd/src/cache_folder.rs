//! Where actions have what they need, and what came of them.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::fault::reason;
use crate::privileges::User;
use crate::settings::{Actions, Clients};

/// Of servers that root starts.
const SYSTEMS: &str = "/var/cache/pumpcc";
/// In the folder of a user's caches: clients have something in `pumpcc`, too.
const USERS: &str = "pumpcc/server";

/// Chooses the folder; to be called before root is given up.
///
/// # Errors
/// Why there is none, for the log.
pub(crate) fn choose(actions: &Actions, clients: &Clients) -> Result<PathBuf, String> {
    if let Some(folder) = &actions.cache_folder {
        return Ok(folder.clone());
    }
    // A private server's is its user's, root or not.
    if geteuid().is_root() && *clients != Clients::SameUser {
        return Ok(SYSTEMS.into());
    }
    match &actions.users_caches {
        Some(caches) => Ok(caches.join(USERS)),
        None => Err("there is no HOME for a cache: name one with --cache-dir".into()),
    }
}

/// Makes the folder for a user that we are about to become. One that is there stays as it is.
///
/// # Errors
/// Those of the file system.
pub(crate) fn make_for(folder: &Path, user: User) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(folder)?;
    chown(folder, Some(user.uid), Some(user.gid))
}

/// Whether this user can keep anything there: the folder is made, and a block written to it. On a full disk a folder
/// with blobs is good enough, since those used least recently make room.
///
/// # Errors
/// Why not, with the folder's name.
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    let words = |error: io::Error| {
        let (folder, reason) = (folder.display(), reason(&error));
        format!("the cache in {folder}: {reason}")
    };
    // What clients have sent is nobody else's business.
    let mut private = DirBuilder::new();
    private.recursive(true).mode(0o700);
    private.create(folder).map_err(words)?;
    let probe = folder.join(format!("probe-{}", std::process::id()));
    let written = File::create(&probe).and_then(|mut file| file.write_all(&[b'p'; BLOCK]));
    let _ = fs::remove_file(&probe); // It may not be there.
    match written {
        Err(error) if error.kind() == io::ErrorKind::StorageFull && has_blobs(folder) => {}
        written => written.map_err(words)?,
    }
    // Another user's server may have left them.
    for inner in ["blobs", "results", "trees"].map(|name| folder.join(name)) {
        match access(&inner, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => {
                let (inner, reason) = (inner.display(), reason(&errno.into()));
                return Err(format!("the cache in {inner}: {reason}"));
            }
        }
    }
    Ok(())
}

/// Of a file system, or more.
const BLOCK: usize = 64 << 10;

fn has_blobs(folder: &Path) -> bool {
    let folders = fs::read_dir(folder.join("blobs/blobs"));
    let mut folders = folders.into_iter().flatten().flatten();
    folders.any(|inner| fs::read_dir(inner.path()).is_ok_and(|mut blobs| blobs.next().is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::RemoteExecution;

    fn actions(given: Option<&str>, caches: Option<&str>) -> Actions {
        Actions {
            execution: RemoteExecution::Hermetic,
            is_asked_for: false,
            is_folder_asked_for: given.is_some(),
            cache_bytes: 1 << 30,
            stand_in: None,
            cache_folder: given.map(PathBuf::from),
            users_caches: caches.map(PathBuf::from),
        }
    }

    #[test]
    fn private_servers_have_it_where_their_user_has_caches() {
        let private = |given, caches| choose(&actions(given, caches), &Clients::SameUser);
        assert_eq!(
            private(None, Some("/c")).unwrap(),
            Path::new("/c/pumpcc/server")
        );
        assert_eq!(private(Some("/g"), Some("/c")).unwrap(), Path::new("/g"));
        assert!(private(None, None).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        check(&at("new/deep")).unwrap();
        assert_eq!(
            fs::read_dir(at("new/deep")).unwrap().count(),
            0,
            "left behind"
        );
        fs::write(at("file"), "").unwrap();
        let said = check(&at("file/in")).unwrap_err();
        assert!(said.contains("file/in: "), "{said}");
        // Nobody makes files there.
        let said = check(Path::new("/proc/self")).unwrap_err();
        assert!(said.starts_with("the cache in /proc/self: "), "{said}");
    }

    #[test]
    fn nobody_else_looks_into_it() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().metadata().unwrap();
        let user = User {
            uid: own.uid(),
            gid: own.gid(),
        };
        let folder = dir.path().join("a/b");
        make_for(&folder, user).unwrap();
        make_for(&folder, user).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o777, 0o700);
    }
}
