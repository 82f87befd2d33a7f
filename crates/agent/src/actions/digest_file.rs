//! Digests of files on disk, from one session to the next: the compiler and the headers of the system are read once, and
//! not for each build.
//!
//! The file ends with the SHA-256 of all before it, so a torn or foreign one counts as none. Writers replace it as a whole.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use action::Digest;

use crate::include_server::source::Identity;

const MAGIC: &[u8] = b"pumpcc digests 1\n";

/// Entries in a file: some 40 MB.
const MOST: usize = 300_000;

/// A file that nobody has asked for in so many days is forgotten.
const LONGEST_UNUSED: u32 = 30;

/// A file that was read, as it was then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) digest: Digest,
    /// When it was asked for last, in days since 1970.
    pub(super) day: u32,
}

/// What is kept in `file`. What cannot be read is found out again.
pub(super) fn read(file: &Path) -> Vec<Kept> {
    let Ok(stored) = fs::read(file) else {
        return Vec::new();
    };
    decode(&stored).unwrap_or_default()
}

/// Keeps these instead, but for those of long before `today`.
///
/// # Errors
/// The file cannot be written; what was there stays, and nothing is left beside it.
pub(super) fn write(file: &Path, mut entries: Vec<Kept>, today: u32) -> io::Result<()> {
    entries.retain(|entry| today.saturating_sub(entry.day) <= LONGEST_UNUSED);
    if entries.len() > MOST {
        entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.day));
        entries.truncate(MOST);
    }
    if let Some(folder) = file.parent() {
        // As the standard for folders of caches has it.
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
    }
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::write(&beside, encode(&entries)).and_then(|()| fs::rename(&beside, file));
    if written.is_err() {
        // It may not exist.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn encode(entries: &[Kept]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for entry in entries {
        let path = entry.path.as_os_str().as_bytes();
        // The kernel allows 4096.
        let Ok(length) = u16::try_from(path.len()) else {
            continue;
        };
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(path);
        for word in entry.identity.words() {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&entry.day.to_le_bytes());
        out.extend_from_slice(&entry.digest.hash);
    }
    let sum = Digest::of(&out).hash;
    out.extend_from_slice(&sum);
    out
}

fn decode(stored: &[u8]) -> Option<Vec<Kept>> {
    let (content, sum) = stored.split_last_chunk::<32>()?;
    let mut rest = content.strip_prefix(MAGIC)?;
    if Digest::of(content).hash != *sum {
        return None;
    }
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let length = u16::from_le_bytes(*take(&mut rest)?);
        let (path, after) = rest.split_at_checked(length.into())?;
        rest = after;
        let mut words = [0; 7];
        for word in &mut words {
            *word = i64::from_le_bytes(*take(&mut rest)?);
        }
        let identity = Identity::of_words(words);
        let day = u32::from_le_bytes(*take(&mut rest)?);
        let digest = Digest {
            hash: *take(&mut rest)?,
            size: identity.bytes,
        };
        entries.push(Kept {
            path: OsStr::from_bytes(path).into(),
            identity,
            digest,
            day,
        });
    }
    Some(entries)
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (chunk, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, day: u32) -> Kept {
        let identity = Identity::of_words([5, -3, 4, i64::MAX, 999_999_999, -1, 7]);
        Kept {
            path: path.into(),
            identity,
            digest: Digest {
                size: 4,
                ..Digest::of(path.as_bytes())
            },
            day,
        }
    }

    #[test]
    fn what_is_written_is_read_unless_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/digests");
        assert_eq!(read(&file), []);
        let entries = vec![entry("/a b", 100), entry("/old", 69), entry("/c", 70)];
        write(&file, entries.clone(), 100).unwrap();
        assert_eq!(read(&file), [entries[0].clone(), entries[2].clone()]);
        write(&file, Vec::new(), 100).unwrap();
        assert_eq!(read(&file), []);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn whatever_was_changed_counts_as_nothing() {
        let whole = encode(&[entry("/a", 1), entry("/b", 2)]);
        assert_eq!(decode(&whole).unwrap().len(), 2);
        for at in 0..whole.len() {
            assert_eq!(decode(&whole[..at]), None, "cut at {at}");
            let mut other = whole.clone();
            other[at] ^= 1;
            assert_eq!(decode(&other), None, "changed at {at}");
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("digests");
        fs::create_dir(&file).unwrap();
        fs::write(file.join("x"), "").unwrap();
        assert!(write(&file, vec![entry("/a", 1)], 1).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
