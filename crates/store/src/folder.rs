//! The folder of a store: names, and files as they lie on disk.
//!
//! ```text
//! lock                  held by the server that has the folder
//! in-order              there while no server has it that could have died
//! blobs/ab/abcd...-17   a blob of 17 bytes, mode 0444
//! programs/ab/...       the same content as a file of its own, mode 0555, where somebody wanted to execute it
//! arriving/             what is being written
//! ```

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use action::Digest;
use rustix::fs::{FlockOperation, flock};

/// The folder of a store, which this process has to itself.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
    names: AtomicU64,
}

/// A blob that an earlier server left.
pub(crate) struct Left {
    pub(crate) digest: Digest,
    pub(crate) used: SystemTime,
}

impl Folder {
    /// Takes the folder, made if it is not there. The flag tells whether the last server ended in order.
    pub(crate) fn open(path: &Path) -> io::Result<(Folder, bool)> {
        std::fs::create_dir_all(path)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another server has this folder",
            )
        })?;
        let folder = Folder {
            path: path.to_owned(),
            _lock: lock,
            names: AtomicU64::new(0),
        };
        // Pieces of blobs whose server died.
        match std::fs::remove_dir_all(folder.path.join("arriving")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir(folder.path.join("arriving"))?,
        }
        for kind in ["blobs", "programs"] {
            for first in 0..=255 {
                std::fs::create_dir_all(folder.path.join(format!("{kind}/{first:02x}")))?;
            }
        }
        let in_order = match std::fs::remove_file(folder.path.join("in-order")) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        Ok((folder, in_order))
    }

    /// Notes that nothing was being written at the end, and that all that is there has reached the disk.
    pub(crate) fn close(&self) -> io::Result<()> {
        let folder = File::open(&self.path)?;
        rustix::fs::syncfs(&folder)?;
        File::create(self.path.join("in-order"))?.sync_all()
    }

    /// All blobs, and files that are none are removed.
    pub(crate) fn left(&self) -> io::Result<Vec<Left>> {
        self.left_if(|digest, size| digest.size == size)
    }

    /// The same where the files are not what their names say, but belong to it.
    pub(crate) fn left_of_any_size(&self) -> io::Result<Vec<Left>> {
        self.left_if(|_, _| true)
    }

    fn left_if(&self, fits: impl Fn(Digest, u64) -> bool) -> io::Result<Vec<Left>> {
        let mut all = Vec::new();
        for first in 0..=255 {
            for entry in std::fs::read_dir(self.path.join(format!("blobs/{first:02x}")))? {
                let entry = entry?;
                let found = entry.metadata()?;
                let name = entry.file_name();
                let digest = name.to_str().and_then(digest_of);
                match digest {
                    Some(digest) if found.is_file() && fits(digest, found.len()) => {
                        all.push(Left {
                            digest,
                            used: found.accessed().or_else(|_| found.modified())?,
                        })
                    }
                    _ => self.remove_stray(&entry.path())?,
                }
            }
        }
        for first in 0..=255 {
            for entry in std::fs::read_dir(self.path.join(format!("programs/{first:02x}")))? {
                self.remove_stray(&entry?.path())?; // Made again from their blobs, which are checked.
            }
        }
        Ok(all)
    }

    fn remove_stray(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        }
    }

    /// Where a blob lies.
    pub(crate) fn blob(&self, digest: Digest) -> PathBuf {
        self.named("blobs", digest)
    }

    /// Where its executable twin lies.
    pub(crate) fn program(&self, digest: Digest) -> PathBuf {
        self.named("programs", digest)
    }

    fn named(&self, kind: &str, digest: Digest) -> PathBuf {
        let hex = digest.hex();
        self.path
            .join(format!("{kind}/{}/{hex}-{}", &hex[..2], digest.size))
    }

    /// A new file to write to.
    pub(crate) fn arriving(&self) -> io::Result<(File, PathBuf)> {
        let name = self.names.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("arriving/{name}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok((file, path))
    }

    /// Makes what has arrived a blob or a program.
    pub(crate) fn settle(&self, file: &File, from: &Path, to: &Path, mode: u32) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(mode))?;
        std::fs::rename(from, to)
    }

    /// Removes a blob and its executable twin.
    pub(crate) fn remove(&self, digest: Digest) -> io::Result<()> {
        for path in [self.program(digest), self.blob(digest)] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The digest in a file's name.
fn digest_of(name: &str) -> Option<Digest> {
    let (hash, size) = name.split_once('-')?;
    let message = action::messages::Digest {
        hash: hash.into(),
        size_bytes: size.parse().ok()?,
    };
    Digest::try_from(&message).ok()
}
