//! What the contents of files are called, and where the contents are.
//!
//! A file is read once for each identity (inode, size, times), unless it is so young that its next change could leave
//! the same times. Asking again costs one `stat`, or nothing for what the include engine has read. What is known is kept
//! on disk (`digest_file`) for the next session.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use action::Digest;
use remote::{Content, Contents};

use super::digest_file::{self, Kept};
use crate::include_server::source::Identity;

/// The digests of files, and the files of digests.
#[derive(Default)]
pub(crate) struct Digests {
    /// Where they are kept, if anywhere.
    file: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// By the bytes of their paths: a `Path` is compared and hashed part by part.
    by_path: HashMap<Box<[u8]>, Entry>,
    /// One file of each content, among those that were asked for.
    by_digest: HashMap<Digest, PathBuf>,
    /// Something was read, or used on another day, of which the file on disk does not know yet.
    is_new: bool,
}

impl Known {
    fn digest(&mut self, path: &[u8], identity: Identity) -> Option<Digest> {
        let entry = self.by_path.get_mut(path)?;
        if entry.identity != identity {
            return None;
        }
        if let Some(day) = entry.day.take() {
            let path = PathBuf::from(OsStr::from_bytes(path));
            self.by_digest.insert(entry.digest, path);
            // What is in use must not grow old on disk.
            self.is_new |= day != today();
        }
        Some(entry.digest)
    }
}

#[derive(Clone, Copy)]
struct Entry {
    identity: Identity,
    digest: Digest,
    /// When it was asked for last, in days since 1970. `None`: in this session.
    day: Option<u32>,
}

impl Digests {
    /// Begins with what is kept in `file`, if anything is.
    pub(crate) fn kept_in(file: Option<PathBuf>) -> Self {
        let kept = file.as_deref().map(digest_file::read).unwrap_or_default();
        let by_path = kept.into_iter().map(|kept| {
            let entry = Entry {
                identity: kept.identity,
                digest: kept.digest,
                day: Some(kept.day),
            };
            (bytes_of(&kept.path).into(), entry)
        });
        let known = Known {
            by_path: by_path.collect(),
            ..Known::default()
        };
        Self {
            file,
            known: Mutex::new(known),
        }
    }

    /// Keeps on disk what is known by now, besides what another session has kept meanwhile.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut known = self.lock();
        if !known.is_new {
            return Ok(());
        }
        let today = today();
        let mut all: HashMap<PathBuf, Kept> = digest_file::read(file)
            .into_iter()
            .map(|kept| (kept.path.clone(), kept))
            .collect();
        for (path, entry) in &known.by_path {
            let day = entry.day.unwrap_or(today);
            let path = Path::new(OsStr::from_bytes(path));
            if all.get(path).is_none_or(|kept| kept.day <= day) {
                let kept = Kept {
                    path: path.to_owned(),
                    identity: entry.identity,
                    digest: entry.digest,
                    day,
                };
                all.insert(path.to_owned(), kept);
            }
        }
        known.is_new = false;
        drop(known);
        digest_file::write(file, all.into_values().collect(), today)
    }

    /// The digests of many files, as far as they are known: paths, and what is known of each file for now.
    pub(crate) fn known<'f>(
        &self,
        files: impl Iterator<Item = (&'f [u8], Option<Identity>)>,
    ) -> Vec<Option<Digest>> {
        let mut known = self.lock();
        let look = |(path, seen)| known.digest(path, seen?);
        files.map(look).collect()
    }

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
        if let Some(digest) = self.lock().digest(bytes_of(path), identity) {
            return Ok(digest);
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
            let entry = Entry {
                identity,
                digest,
                day: None,
            };
            known.by_path.insert(bytes_of(path).into(), entry);
            known.is_new = true;
        }
        Ok(digest)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn today() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let days = since.map_or(0, |time| time.as_secs() / (24 * 60 * 60));
    u32::try_from(days).unwrap_or(u32::MAX)
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

    #[test]
    fn the_next_session_reads_no_file_again_but_those_that_changed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let store = at("cache/digests");
        for name in ["same", "edited", "other"] {
            fs::write(at(name), name).unwrap();
        }
        // Old enough that every later change must show.
        std::thread::sleep(std::time::Duration::from_millis(60));
        let first = Digests::kept_in(Some(store.clone()));
        for name in ["same", "edited"] {
            first.of(&at(name), None).unwrap();
        }
        first.keep().unwrap();
        // Kept by somebody else in between.
        let beside = Digests::kept_in(Some(store.clone()));
        beside.of(&at("other"), None).unwrap();
        beside.keep().unwrap();

        fs::write(at("edited"), "EDITED").unwrap();
        let next = Digests::kept_in(Some(store.clone()));
        let known = |name: &str| next.lock().by_path.contains_key(bytes_of(&at(name)));
        assert!(known("same") && known("edited") && known("other"));
        assert_eq!(next.of(&at("same"), None).unwrap(), Digest::of(b"same"));
        assert!(!next.lock().is_new, "nothing was read");
        assert!(next.content(&Digest::of(b"same")).is_ok());
        assert_eq!(next.of(&at("edited"), None).unwrap(), Digest::of(b"EDITED"));
        assert!(next.content(&Digest::of(b"edited")).is_err());
    }

    #[test]
    fn what_is_used_does_not_grow_old() {
        let folder = tempfile::tempdir().unwrap();
        let [path, store] = ["a.h", "digests"].map(|name| folder.path().join(name));
        fs::write(&path, "text").unwrap();
        let kept = Kept {
            path: path.clone(),
            identity: identity_of(&path).unwrap(),
            digest: Digest::of(b"text"),
            day: today() - 20,
        };
        digest_file::write(&store, vec![kept], today()).unwrap();
        let digests = Digests::kept_in(Some(store.clone()));
        digests.of(&path, None).unwrap();
        digests.keep().unwrap();
        // The day may have changed meanwhile.
        assert!(today() - digest_file::read(&store)[0].day <= 1);
    }
}
