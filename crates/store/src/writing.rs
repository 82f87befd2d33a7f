//! How a blob comes into a store.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use action::Digest;
use sha2::{Digest as _, Sha256};

use crate::store::{Error, Owner, Shared};

/// A blob that is being written. Dropped before its end, nothing is left of it.
#[derive(Debug)]
pub struct Writing {
    pub(crate) shared: Arc<Shared>,
    pub(crate) owner: Option<Owner>,
    pub(crate) digest: Digest,
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    pub(crate) hash: Sha256,
    pub(crate) written: u64,
}

impl Writing {
    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    ///
    /// [`Error::OtherContent`] for more bytes than the digest says; [`Error::Full`] and [`Error::Disk`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        if self.written > self.digest.size {
            return Err(Error::OtherContent(self.digest));
        }
        self.hash.update(bytes);
        let mut left = bytes;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(Error::Disk(io::ErrorKind::WriteZero.into())),
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Others may use the disk, too: the limit says nothing of what is free.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    self.shared
                        .make_room_on_disk(self.owner, left.len() as u64)?;
                }
                Err(error) => return Err(Error::Disk(error)),
            }
        }
        Ok(())
    }

    /// Ends: the blob is in the store from now on.
    ///
    /// # Errors
    ///
    /// [`Error::OtherContent`] if the content is not what the digest says; [`Error::Disk`].
    pub fn finish(self) -> Result<(), Error> {
        let hash: [u8; 32] = self.hash.clone().finalize().into();
        if self.written != self.digest.size || hash != self.digest.hash {
            return Err(Error::OtherContent(self.digest));
        }
        self.shared
            .settle(self.digest, self.owner, &self.file, &self.path)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.arrived(self.digest, self.owner);
        // One that was finished has another name now.
        let _ = std::fs::remove_file(&self.path);
    }
}
