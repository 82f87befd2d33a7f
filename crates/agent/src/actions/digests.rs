//! What the contents of files are called, and where the contents are.
//!
//! A file is read once for each identity (inode, size, times), unless it is so young that its next change could leave
//! the same times. Asking again costs one `stat`, or nothing for what the include engine has read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use action::Digest;
use remote::{Content, Contents};

use crate::include_server::source::Identity;

/// The digests of files, and the files of digests.
#[derive(Default)]
pub(crate) struct Digests {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_path: HashMap<PathBuf, (Identity, Digest)>,
    /// One file of each content.
    by_digest: HashMap<Digest, PathBuf>,
}

impl Digests {
    /// The digest of the regular file at `path`, as it is now; `seen` is what is known of it for now.
    ///
    /// # Errors
    /// Those of the file system; [`io::ErrorKind::InvalidInput`] for what is no regular file;
    /// [`io::ErrorKind::WouldBlock`] for one that changes while it is read.
    pub(crate) fn of(&self, path: &Path, seen: Option<Identity>) -> io::Result<Digest> {
        let identity = match seen {
            Some(identity) => identity,
            None => identity_of(path)?,
        };
        if let Some((known, digest)) = self.lock().by_path.get(path)
            && *known == identity
        {
            return Ok(*digest);
        }
        let content = fs::read(path)?;
        let now = SystemTime::now();
        if identity_of(path)? != identity || content.len() as u64 != identity.bytes {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let digest = Digest::of(&content);
        let mut known = self.lock();
        known.by_digest.insert(digest, path.to_owned());
        if identity.is_settled(now) {
            known.by_path.insert(path.to_owned(), (identity, digest));
        }
        Ok(digest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn identity_of(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    match metadata.is_file() {
        true => Ok(Identity::of(&metadata)),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

impl Contents for Digests {
    /// Whoever reads it has to check that it is still what was asked for.
    fn content(&self, digest: &Digest) -> io::Result<Content> {
        let path = self.lock().by_digest.get(digest).cloned();
        let path = path.ok_or_else(|| io::Error::other(format!("nobody knows {digest}")))?;
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        Ok(Content::File(File::open(&path).map_err(named)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_digest_is_that_of_what_is_there_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.h");
        let digests = Digests::default();
        for content in ["one", "two", "six"] {
            fs::write(&path, content).unwrap();
            let digest = digests.of(&path, None).unwrap();
            assert_eq!(digest, Digest::of(content.as_bytes()));
            let Content::File(mut file) = digests.content(&digest).unwrap() else {
                panic!("it is on disk");
            };
            let mut read = String::new();
            file.read_to_string(&mut read).unwrap();
            assert_eq!(read, content);
        }
        assert!(digests.content(&Digest::of(b"other")).is_err());
        let kind = digests.of(folder.path(), None).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::InvalidInput);
    }
}
