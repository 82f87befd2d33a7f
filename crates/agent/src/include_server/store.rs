//! The client's files as our own clients send them: packets, ready made, in one file in memory of which an answer names
//! pieces (`protocol::pieces`).
//!
//! What was written stays: the file only grows, and is followed by a new one when it gets too large. So whoever
//! has an answer can send it, whatever changes meanwhile, and even when this server has ended.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::include::MUST_EXIST;
use protocol::pieces::{Piece, Pieces};
use protocol::request::{put_file, put_link};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::process::{Resource, getrlimit};

use super::copies::{Copies, Packed, packed};
use super::refusal::Refusal;
use super::source::{Identity, Text};

/// How large a file gets. Edits make it grow.
const MOST_BYTES: u64 = 1 << 30;

/// A packet, or some of one compile, in a file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    file: Arc<File>,
    piece: Piece,
}

/// A file of the client as it was stored last.
struct Known {
    identity: Option<Identity>,
    stored: Stored,
}

/// Locked while it is being made. None before, and where the identity does not stand for the text.
type Place = Arc<Mutex<Option<Known>>>;

/// What is stored of one file, by the name in its `#line`, if any. There are few.
type Places = Vec<(Option<OsString>, Place)>;

/// All that is stored.
pub(crate) struct Store {
    /// By real path.
    files: Mutex<HashMap<OsString, Places>>,
    /// By place and text.
    links: Mutex<HashMap<(PathBuf, OsString), Stored>>,
    folders: Mutex<HashMap<PathBuf, Stored>>,
    /// What is written to now.
    current: Mutex<Option<Growing>>,
    most_bytes: u64,
}

struct Growing {
    file: Arc<File>,
    end: u64,
}

impl Store {
    pub(crate) fn new() -> Self {
        // A larger file would be the end of this process.
        let most_bytes = getrlimit(Resource::Fsize).current.unwrap_or(MOST_BYTES);
        Self::up_to(most_bytes.min(MOST_BYTES))
    }

    fn up_to(most_bytes: u64) -> Self {
        Self {
            files: Mutex::default(),
            links: Mutex::default(),
            folders: Mutex::default(),
            current: Mutex::default(),
            most_bytes,
        }
    }

    fn is_current(&self, stored: &Stored) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(&current.file, &stored.file))
    }

    fn append(&self, packet: &[u8]) -> io::Result<Stored> {
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        let length = packet.len() as u64;
        let bytes = u32::try_from(length).map_err(|_| too_large())?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let growing = match &mut *current {
            Some(growing) if growing.end + length <= self.most_bytes => growing,
            _ if length > self.most_bytes => return Err(too_large()),
            current => current.insert(Growing {
                file: Arc::new(new_file()?),
                end: 0,
            }),
        };
        let start = u32::try_from(growing.end).map_err(|_| too_large())?;
        growing.file.write_all_at(packet, growing.end)?;
        growing.end += length;
        Ok(Stored {
            file: Arc::clone(&growing.file),
            piece: Piece { start, bytes },
        })
    }

    fn place(&self, real: &Path, line: Option<&OsStr>) -> Place {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = files.get(real.as_os_str())
            && let Some((_, place)) = places.iter().find(|(name, _)| name.as_deref() == line)
        {
            return Arc::clone(place);
        }
        let places = files.entry(real.into()).or_default();
        let place = Place::default();
        places.push((line.map(OsStr::to_owned), Arc::clone(&place)));
        place
    }

    /// What is known under the key, or else the packet, stored.
    fn remembered<K: Eq + std::hash::Hash>(
        &self,
        known: &Mutex<HashMap<K, Stored>>,
        key: K,
        packet: impl FnOnce(&K) -> Vec<u8>,
    ) -> io::Result<Stored> {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stored) = known.get(&key)
            && self.is_current(stored)
        {
            return Ok(stored.clone());
        }
        let stored = self.append(&packet(&key))?;
        known.insert(key, stored.clone());
        Ok(stored)
    }
}

/// Nobody can make it shorter.
fn new_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("include_server", flags)?;
    fcntl_add_seals(&file, SealFlags::SHRINK)?;
    Ok(file.into())
}

impl Copies for Store {
    type Copy = Stored;

    fn file(
        &self,
        real: &Path,
        identity: Option<Identity>,
        line: Option<&OsStr>,
        text: Option<Text>,
    ) -> Result<Stored, Refusal> {
        let place = self.place(real, line);
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*place
            && known.identity == identity
            && self.is_current(&known.stored)
        {
            return Ok(known.stored.clone());
        }
        let Packed { block, is_settled } = packed(real, identity, line, text)?;
        let mut packet = Vec::with_capacity(block.len() + 256);
        put_file(&mut packet, real.as_os_str(), &block);
        let stored = self.append(&packet).map_err(Refusal::mirror(real))?;
        *place = is_settled.then(|| Known {
            identity,
            stored: stored.clone(),
        });
        Ok(stored)
    }

    fn link(&self, at: &Path, text: &OsStr) -> Result<Stored, Refusal> {
        let key = (at.to_owned(), text.to_owned());
        self.remembered(&self.links, key, |(at, text)| {
            let mut packet = Vec::new();
            put_link(&mut packet, at.as_os_str(), text);
            packet
        })
        .map_err(Refusal::mirror(at))
    }

    fn folder(&self, at: &Path) -> Result<Stored, Refusal> {
        self.remembered(&self.folders, at.to_owned(), |at| {
            let mut packet = Vec::new();
            put_file(&mut packet, at.join(MUST_EXIST).as_os_str(), b"");
            packet
        })
        .map_err(Refusal::mirror(at))
    }
}

/// An answer out of what is stored, of which the first `files` are files: where it is, and in which file. Those are
/// sorted by their places, so that neighbours make one piece: most compiles read much the same headers.
///
/// None if it lies in several files, which is so at most once for each new one; and if there is nothing.
pub(crate) fn pieces(stored: &[Stored], files: usize) -> Option<(Pieces, Arc<File>)> {
    let file = &stored.first()?.file;
    if !stored.iter().all(|stored| Arc::ptr_eq(&stored.file, file)) {
        return None;
    }
    let mut all: Vec<Piece> = stored.iter().map(|stored| stored.piece).collect();
    all[..files].sort_unstable();
    let mut pieces: Vec<Piece> = Vec::with_capacity(all.len());
    for piece in all {
        match pieces.last_mut() {
            Some(last) if last.end() == u64::from(piece.start) => last.bytes += piece.bytes,
            _ => pieces.push(piece),
        }
    }
    let pieces = Pieces {
        files: u32::try_from(stored.len()).ok()?,
        pieces,
    };
    Some((pieces, Arc::clone(file)))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;
    use protocol::lzo;
    use std::fs;

    /// What a client sends of an answer.
    fn sent(stored: &[Stored], files: usize) -> Vec<u8> {
        let (pieces, file) = pieces(stored, files).unwrap();
        let mut bytes = vec![0; usize::try_from(pieces.total_bytes()).unwrap()];
        let mut rest = &mut bytes[..];
        for piece in pieces.pieces {
            let (part, behind) = rest.split_at_mut(piece.bytes as usize);
            file.read_exact_at(part, piece.start.into()).unwrap();
            rest = behind;
        }
        bytes
    }

    fn store_file(store: &Store, real: &Path) -> Stored {
        let identity = source::identify(real).unwrap();
        store.file(real, identity, None, None).unwrap()
    }

    fn packet(real: &Path, text: &str) -> Vec<u8> {
        let mut packet = Vec::new();
        let block = lzo::compress_once(text.as_bytes());
        put_file(&mut packet, real.as_os_str(), &block);
        packet
    }

    #[test]
    fn answers_are_packets() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a.h", "b.h"].map(|name| dir.path().join(name));
        fs::write(&a, "int a;\n").unwrap();
        fs::write(&b, "int b;\n").unwrap();
        let store = Store::new();
        let (stored_b, stored_a) = (store_file(&store, &b), store_file(&store, &a));
        let link = store.link(Path::new("/l"), "a b".as_ref()).unwrap();
        let folder = store.folder(Path::new("/d")).unwrap();
        let answer = [stored_a, stored_b, link, folder];
        let mut expected = [packet(&b, "int b;\n"), packet(&a, "int a;\n")].concat();
        put_link(&mut expected, "/l".as_ref(), "a b".as_ref());
        let place = Path::new("/d").join(MUST_EXIST);
        put_file(&mut expected, place.as_os_str(), b"");
        assert_eq!(sent(&answer, 2), expected);
        // Stored one behind the other, they are one piece.
        let (pieces, _) = pieces(&answer, 2).unwrap();
        assert_eq!((pieces.files, pieces.pieces.len()), (4, 1));
    }

    #[test]
    fn an_answer_stays_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("x.h");
        fs::write(&real, "old").unwrap();
        let store = Store::new();
        let old = store_file(&store, &real);
        fs::write(&real, "newer").unwrap();
        let new = store_file(&store, &real);
        assert_eq!(sent(&[old], 1), packet(&real, "old"));
        assert_eq!(sent(&[new], 1), packet(&real, "newer"));
    }

    #[test]
    fn a_file_that_is_not_the_one_that_was_seen_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("x.h");
        fs::write(&real, "old").unwrap();
        let identity = source::identify(&real).unwrap();
        fs::write(&real, "newer").unwrap();
        let refusal = Store::new().file(&real, identity, None, None).unwrap_err();
        assert!(matches!(refusal, Refusal::Unsettled), "{refusal}");
    }

    #[test]
    fn a_full_file_is_followed_by_another() {
        let store = Store::up_to(80);
        let folder = |name: &str| store.folder(Path::new(name)).unwrap();
        let (first, second) = (folder("/1"), folder("/2"));
        assert!(pieces(&[first.clone(), second.clone()], 0).is_none());
        // What is asked for again comes from the new one, and old answers hold.
        let again = folder("/1");
        assert_eq!(sent(&[again], 0), sent(&[first], 0));
        assert!(store.folder(Path::new(&"x".repeat(99))).is_err());
    }
}
