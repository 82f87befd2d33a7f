//! Results of actions, by the digests of the actions, beside the blobs.
//!
//! A result is a message that names blobs. Whether these are still there is the caller's question; a result of
//! which one is gone is no use, and is removed when that is found out.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use action::Digest;

use crate::folder::Folder;
use crate::index::Index;

/// Bytes in front of each result: the digest of the rest. A file that a power failure has emptied is no result.
const HEAD: usize = 32;

/// Results of actions on disk, as many as the limit says; those used least recently go first.
#[derive(Debug)]
pub struct Results {
    folder: Folder,
    index: Mutex<Index>,
    most: usize,
}

impl Results {
    /// Opens the results in this folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Those of the file system; `ResourceBusy` if another server has the folder.
    pub fn open(folder: &Path, most: usize) -> io::Result<Results> {
        let (folder, _) = Folder::open(folder)?;
        let mut left = folder.left_of_any_size()?;
        left.sort_by_key(|result| result.used);
        let mut index = Index::default();
        for result in left {
            index.add(result.digest, true, None);
        }
        Ok(Results {
            folder,
            index: Mutex::new(index),
            most,
        })
    }

    /// The result of an action.
    ///
    /// # Errors
    ///
    /// Those of the disk. A damaged result is none.
    pub fn get(&self, action: Digest) -> io::Result<Option<Vec<u8>>> {
        if !self.index().touch(action) {
            return Ok(None);
        }
        let mut content = match std::fs::read(self.folder.blob(action)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let good = content.len() >= HEAD && content[..HEAD] == Digest::of(&content[HEAD..]).hash;
        if !good {
            self.remove(action)?;
            return Ok(None);
        }
        content.drain(..HEAD);
        Ok(Some(content))
    }

    /// Keeps the result of an action, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// Those of the disk; nothing is kept then, nor lost.
    pub fn put(&self, action: Digest, result: &[u8]) -> io::Result<()> {
        let (mut file, arriving) = self.folder.arriving()?;
        let written = file
            .write_all(&Digest::of(result).hash)
            .and_then(|()| file.write_all(result));
        let mut index = self.index();
        let settled = written.and_then(|()| {
            self.folder
                .settle(&file, &arriving, &self.folder.blob(action), 0o444)
        });
        if settled.is_err() {
            let _ = std::fs::remove_file(&arriving);
            return settled;
        }
        index.add(action, true, None);
        while index.len() > self.most {
            let Some(oldest) = index.evict(None, 0) else {
                break;
            };
            self.folder.remove(oldest)?;
        }
        Ok(())
    }

    /// Forgets the result of an action.
    ///
    /// # Errors
    ///
    /// Those of the disk.
    pub fn remove(&self, action: Digest) -> io::Result<()> {
        let mut index = self.index();
        index.remove(action);
        self.folder.remove(action)
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_outlive_their_server_and_damage_is_no_result() {
        let folder = tempfile::tempdir().unwrap();
        let actions = [1, 2, 3].map(|byte| Digest::of(&[byte]));
        let results = Results::open(folder.path(), 2).unwrap();
        assert_eq!(results.get(actions[0]).unwrap(), None);
        results.put(actions[0], b"first").unwrap();
        results.put(actions[1], b"second").unwrap();
        results.put(actions[0], b"another").unwrap();
        results.put(actions[2], b"").unwrap();
        assert_eq!(results.get(actions[1]).unwrap(), None, "two are the most");
        drop(results);
        let results = Results::open(folder.path(), 2).unwrap();
        assert_eq!(results.get(actions[0]).unwrap().unwrap(), b"another");
        assert_eq!(results.get(actions[2]).unwrap().unwrap(), b"");
        let path = results.folder.blob(actions[0]);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert_eq!(results.get(actions[0]).unwrap(), None);
        assert!(!path.exists());
        results.remove(actions[2]).unwrap();
        assert_eq!(results.get(actions[2]).unwrap(), None);
    }
}
