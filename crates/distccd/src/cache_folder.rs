//! Where actions have what they need, and what came of them.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::RemoteExecution;

    fn actions(given: Option<&str>, caches: Option<&str>) -> Actions {
        Actions {
            execution: RemoteExecution::Hermetic,
            is_asked_for: false,
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
