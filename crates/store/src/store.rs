//! The operations of a store.

use std::collections::HashSet;
use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use action::Digest;
use sha2::{Digest as _, Sha256};

use crate::folder::Folder;
use crate::index::Index;
use crate::writing::Writing;

/// Modes of files.
const DATA: u32 = 0o444;
const PROGRAM: u32 = 0o555;

/// A store of blobs. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    /// For whom it is asked.
    owner: Option<Owner>,
}

/// Somebody who brings and uses blobs, and shares the room with all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub [u8; 8]);

#[derive(Debug)]
pub(crate) struct Shared {
    folder: Folder,
    state: Mutex<State>,
    /// Bytes that blobs may take.
    limit: u64,
    full_disk: OnceLock<Told>,
}

/// Somebody who is told something.
struct Told(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

#[derive(Debug, Default)]
struct State {
    index: Index,
}

/// Why a store does not do what it is asked for.
#[derive(Debug)]
pub enum Error {
    /// The content has another digest than this.
    OtherContent(Digest),
    /// It is larger than all that may go for it.
    Full {
        /// Bytes wanted.
        wanted: u64,
        /// Bytes that the store may take in all.
        limit: u64,
    },
    /// There is no such blob.
    Missing(Digest),
    /// The disk.
    Disk(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OtherContent(digest) => write!(f, "the content is not that of {digest}"),
            Error::Full { wanted, limit } => {
                write!(
                    f,
                    "the store of {limit} bytes has no room for {wanted} more: all else is in use, or others' part"
                )
            }
            Error::Missing(digest) => write!(f, "there is no blob {digest}"),
            Error::Disk(error) => write!(f, "the store's disk: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Disk(error)
    }
}

impl Store {
    /// Opens the store in this folder, which is made if it is not there, with at most `limit` bytes of blobs.
    ///
    /// # Errors
    ///
    /// Those of the file system; `ResourceBusy` if another server has the folder.
    pub fn open(folder: &Path, limit: u64) -> io::Result<Store> {
        let (folder, in_order) = Folder::open(folder)?;
        let mut left = folder.left()?;
        left.sort_by_key(|blob| blob.used);
        let mut state = State::default();
        for blob in left {
            state.index.set_time(seconds(blob.used));
            state.index.add(blob.digest, in_order, None);
        }
        let shared = Shared {
            folder,
            state: Mutex::new(state),
            limit,
            full_disk: OnceLock::new(),
        };
        shared
            .make_room(&mut shared.state(), None, 0)
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Store {
            shared: Arc::new(shared),
            owner: None,
        })
    }

    /// Has `tell` be called whenever blobs are evicted because the disk is full, below the store's own limit; not for each
    /// blob, but perhaps for each that comes. The first one asked for stays.
    pub fn when_disk_is_full(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.shared.full_disk.set(Told(Box::new(tell))); // The first one stays.
    }

    /// The same store for this owner: it has what it brings here, and what it holds.
    pub fn of(&self, owner: Owner) -> Store {
        Store {
            shared: Arc::clone(&self.shared),
            owner: Some(owner),
        }
    }

    /// Those of the digests that are not here. The others count as used.
    pub fn missing(&self, digests: impl IntoIterator<Item = Digest>) -> Vec<Digest> {
        let mut state = self.shared.state();
        digests
            .into_iter()
            .filter(|digest| !state.index.touch(*digest))
            .collect()
    }

    /// Holds all of these, or none and tells which are missing.
    ///
    /// # Errors
    ///
    /// The digests that are not here, each once.
    pub fn hold(&self, digests: impl IntoIterator<Item = Digest>) -> Result<Hold, Vec<Digest>> {
        let mut hold = Hold {
            shared: Arc::clone(&self.shared),
            digests: Vec::new(),
        };
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        let mut state = self.shared.state();
        for digest in digests {
            if state.index.hold(digest, self.owner) {
                hold.digests.push(digest);
            } else if seen.insert(digest) {
                missing.push(digest);
            }
        }
        drop(state);
        if missing.is_empty() {
            Ok(hold)
        } else {
            Err(missing)
        }
    }

    /// Begins to write a blob. One that is here already may be written again.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] if there can be no room for it, or none without taking from those who have less; [`Error::Disk`].
    pub fn write(&self, digest: Digest) -> Result<Writing, Error> {
        let mut state = self.shared.state();
        self.shared.make_room(&mut state, self.owner, digest.size)?;
        state.index.arrives(self.owner, digest.size);
        drop(state);
        // From here on `Writing` gives the room back.
        match self.shared.folder.arriving() {
            Ok((file, path)) => Ok(Writing {
                shared: Arc::clone(&self.shared),
                owner: self.owner,
                digest,
                file,
                path,
                hash: Sha256::new(),
                written: 0,
            }),
            Err(error) => {
                self.shared.arrived(digest, self.owner);
                Err(Error::Disk(error))
            }
        }
    }

    /// Writes a blob whose content is at hand.
    ///
    /// # Errors
    ///
    /// Those of [`Store::write`] and [`Writing`].
    pub fn put(&self, digest: Digest, content: &[u8]) -> Result<(), Error> {
        if self.missing([digest]).is_empty() && Digest::of(content) == digest {
            return Ok(());
        }
        let mut writing = self.write(digest)?;
        writing.write(content)?;
        writing.finish()
    }

    /// The same with a file of any size, which nobody changes meanwhile, read from its beginning; its digest.
    ///
    /// # Errors
    ///
    /// As [`Store::put`].
    pub fn put_file(&self, file: &File) -> Result<Digest, Error> {
        let digest = digest_of(file)?;
        if self.missing([digest]).is_empty() {
            return Ok(digest);
        }
        let mut writing = self.write(digest)?;
        each_piece(file, |piece| writing.write(piece))?;
        writing.finish()?;
        Ok(digest)
    }

    /// A blob's file, to be read. It stays readable when the blob is evicted.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], also for one whose file was damaged; [`Error::Disk`].
    pub fn file(&self, digest: Digest) -> Result<File, Error> {
        if !self.shared.state().index.touch(digest) {
            return Err(Error::Missing(digest));
        }
        self.shared.checked(digest)
    }

    /// A blob's content.
    ///
    /// # Errors
    ///
    /// As [`Store::file`].
    pub fn read(&self, digest: Digest) -> Result<Vec<u8>, Error> {
        let file = self.file(digest)?;
        let mut content = vec![0; usize::try_from(digest.size).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut content, 0)?;
        Ok(content)
    }

    /// Makes a blob that is held stand at `to`, read-only: a hard link, or on another file system a copy.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Disk`].
    pub fn place(&self, digest: Digest, executable: bool, to: &Path) -> Result<(), Error> {
        let content = self.shared.checked(digest)?;
        let (from, mode) = match executable {
            true => (self.shared.program(digest, &content)?, PROGRAM),
            false => (self.shared.folder.blob(digest), DATA),
        };
        let mut linked = std::fs::hard_link(&from, to);
        for _ in 0..MOST_REPLACED {
            match &linked {
                // The file was found, and another of the same content took its place before it had its new name.
                Err(error) if error.kind() == io::ErrorKind::NotFound && from.exists() => {
                    linked = std::fs::hard_link(&from, to);
                }
                _ => break,
            }
        }
        match linked {
            // A file has only so many names; a copy of it takes its place, and not one for each name more.
            Err(error) if error.kind() == io::ErrorKind::TooManyLinks => {
                self.shared.copy(&content, &from, mode)?;
                std::fs::hard_link(&from, to)?;
            }
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                std::fs::copy(&from, to)?;
            }
            linked => linked?,
        }
        Ok(())
    }

    /// Bytes of all blobs, and how many they are.
    pub fn size(&self) -> (u64, usize) {
        let state = self.shared.state();
        (state.index.size(), state.index.len())
    }

    /// Notes that the server ends in order, so that the next one need not check anything.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn close(self) -> io::Result<()> {
        self.shared.folder.close()
    }
}

/// How often a file may be replaced while it is given another name.
const MOST_REPLACED: usize = 100;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is made whole before anything that could panic.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.index.set_time(seconds(SystemTime::now()));
        state
    }

    /// Evicts until `wanted` more bytes of an owner's fit below the limit.
    fn make_room(&self, state: &mut State, owner: Option<Owner>, wanted: u64) -> Result<(), Error> {
        let full = || Error::Full {
            wanted,
            limit: self.limit,
        };
        let fixed = state.index.held_size() + state.index.arriving();
        if wanted > self.limit.saturating_sub(fixed) {
            return Err(full());
        }
        while state.index.size() + state.index.arriving() + wanted > self.limit {
            let digest = state.index.evict(owner, wanted).ok_or_else(full)?;
            self.folder.remove(digest)?;
        }
        Ok(())
    }

    /// Evicts some blobs because the disk is full, whatever the limit says.
    pub(crate) fn make_room_on_disk(&self, owner: Option<Owner>, wanted: u64) -> Result<(), Error> {
        // A little more, so that not each write comes back.
        let mut left = wanted.max(16 << 20);
        let mut state = self.state();
        let mut any = false;
        while left > 0 {
            // What is being written is counted already.
            let Some(digest) = state.index.evict(owner, 0) else {
                break;
            };
            self.folder.remove(digest)?;
            left = left.saturating_sub(digest.size.max(4096));
            any = true;
        }
        drop(state);
        if !any {
            return Err(Error::Disk(io::ErrorKind::StorageFull.into()));
        }
        if let Some(Told(tell)) = self.full_disk.get() {
            tell();
        }
        Ok(())
    }

    /// Makes a written file a blob.
    pub(crate) fn settle(
        &self,
        digest: Digest,
        owner: Option<Owner>,
        file: &File,
        path: &Path,
    ) -> Result<(), Error> {
        // Under the lock: an eviction of the same blob meanwhile would remove the new file.
        let mut state = self.state();
        self.folder
            .settle(file, path, &self.folder.blob(digest), DATA)?;
        state.index.add(digest, true, owner);
        state.index.set_checked(digest);
        Ok(())
    }

    /// The room that a blob took while it was written is free again.
    pub(crate) fn arrived(&self, digest: Digest, owner: Option<Owner>) {
        self.state().index.arrived(owner, digest.size);
    }

    /// Opens a blob, and checks it if nobody has yet. A damaged one is removed: it is missing, so somebody sends it.
    fn checked(&self, digest: Digest) -> Result<File, Error> {
        let file = match File::open(self.folder.blob(digest)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.state().index.remove(digest);
                return Err(Error::Missing(digest));
            }
            Err(error) => return Err(Error::Disk(error)),
        };
        if !self.state().index.is_checked(digest) {
            if digest_of(&file)? != digest {
                let mut state = self.state();
                state.index.remove(digest);
                self.folder.remove(digest)?;
                return Err(Error::Missing(digest));
            }
            self.state().index.set_checked(digest);
        }
        Ok(file)
    }

    /// A blob as an executable file. It is not counted: few blobs are programs.
    fn program(&self, digest: Digest, content: &File) -> Result<PathBuf, Error> {
        let path = self.folder.program(digest);
        if !path.exists() {
            self.copy(content, &path, PROGRAM)?;
        }
        Ok(path)
    }

    /// Puts a copy of a file where another one may be.
    fn copy(&self, content: &File, to: &Path, mode: u32) -> Result<(), Error> {
        let (mut file, arriving) = self.folder.arriving()?;
        let copied = each_piece(content, |piece| Ok(file.write_all(piece)?)).and_then(|()| {
            file.set_permissions(Permissions::from_mode(mode))?;
            // Nobody can execute a file while somebody has it open for writing.
            drop(file);
            Ok(std::fs::rename(&arriving, to)?)
        });
        if copied.is_err() {
            let _ = std::fs::remove_file(&arriving); // The next server does it otherwise.
        }
        copied
    }
}

/// Since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn digest_of(file: &File) -> Result<Digest, Error> {
    let mut hash = Sha256::new();
    let mut size = 0;
    each_piece(file, |piece| {
        hash.update(piece);
        size += piece.len() as u64;
        Ok(())
    })?;
    Ok(Digest {
        hash: hash.finalize().into(),
        size,
    })
}

/// Reads a file from its beginning, wherever it stands.
fn each_piece(file: &File, mut take: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut buffer = vec![0; 1 << 16];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                take(&buffer[..count])?;
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Disk(error)),
        }
    }
}

/// Blobs that stay until this is dropped.
#[derive(Debug)]
pub struct Hold {
    shared: Arc<Shared>,
    digests: Vec<Digest>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        for digest in self.digests.drain(..) {
            state.index.release(digest);
        }
    }
}
