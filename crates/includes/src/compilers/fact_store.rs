//! Compilers' answers on disk, across builds: one file for each question, found by the hash of its key.
//!
//! A file holds its whole key, what else the answer rests on with its state then, and a checksum, so a file that is
//! torn, foreign or out of date is no answer. Writers replace whole files; several processes may write at once. What
//! cannot be written is asked again next time.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::compilers::ask::{Said, is_complete, programs};

/// The file format, and who wrote it: another version of ours may have asked in another way.
const MAGIC: &[u8] = concat!("includes-facts 3 ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();

/// Files kept; some compilers under some dozens of sets of options.
const FILES: usize = 1000;

/// The state of a file, in words that differ when it was changed or replaced.
pub(crate) fn state(path: &Path) -> String {
    match path.metadata() {
        Ok(meta) => format!(
            "{} {} {}.{} {}.{}",
            meta.ino(),
            meta.size(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec()
        ),
        Err(_) => "absent".into(),
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn states(said: &Said) -> Vec<u8> {
    let mut text = Vec::new();
    for program in programs(said) {
        text.extend_from_slice(state(Path::new(OsStr::from_bytes(&program))).as_bytes());
        text.push(b'\n');
    }
    text
}

fn encode(key: &[u8], said: &Said) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for part in [key, &states(said), &said.output, &said.errors] {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    let sum = hash(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn decode(stored: &[u8], key: &[u8]) -> Option<Said> {
    let (content, sum) = stored.split_last_chunk::<8>()?;
    if hash(content) != u64::from_le_bytes(*sum) {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut part = || -> Option<&[u8]> {
        let (len, after) = rest.split_first_chunk::<8>()?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        let (part, after) = after.split_at_checked(len)?;
        rest = after;
        Some(part)
    };
    // The key is stored whole: a collision of file names is found out.
    if part()? != key {
        return None;
    }
    let then = part()?;
    let said = Said {
        output: part()?.to_vec(),
        errors: part()?.to_vec(),
    };
    (rest.is_empty() && then == states(&said)).then_some(said)
}

/// The answer kept in `folder` under this key.
pub(crate) fn find(folder: &Path, key: &[u8]) -> Option<Said> {
    let stored = std::fs::read(file(folder, key)).ok()?;
    decode(&stored, key)
}

fn file(folder: &Path, key: &[u8]) -> std::path::PathBuf {
    folder.join(format!("{:016x}", hash(key)))
}

/// Keeps an answer, unless the compiler did not get to its end.
///
/// # Errors
/// The file cannot be written; none is left behind.
pub(crate) fn keep(folder: &Path, key: &[u8], said: &Said) -> std::io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if !is_complete(said) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    make_room(folder)?;
    // Written beside and renamed, so that a reader sees all or nothing.
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let file = file(folder, key);
    let beside = file.with_extension(format!("{}-{next}.tmp", std::process::id()));
    let written =
        std::fs::write(&beside, encode(key, said)).and_then(|()| std::fs::rename(&beside, &file));
    if written.is_err() {
        // It may not exist.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

/// Removes the older half when there are too many: those of compilers that are gone, and what crashes left.
fn make_room(folder: &Path) -> std::io::Result<()> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    if files.len() >= FILES {
        files.sort_unstable();
        files.truncate(files.len() / 2);
        for (_, path) in files {
            // Another process may do the same.
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(program: &Path) -> Said {
        Said {
            output: b"out\npumpcc_end\n".to_vec(),
            errors: format!(" \"{}\" -cc1 -E\n", program.display()).into_bytes(),
        }
    }

    #[test]
    fn fuzzed_stored_answers() {
        let said = said(Path::new("/usr/bin/gcc"));
        let content = |stored: Vec<u8>| stored[..stored.len() - 8].to_vec();
        fuzz::Target::new("stored answer of a compiler")
            .seeds([content(encode(b"key", &said)), content(encode(b"", &said))])
            .words([MAGIC, b"key"])
            .run(|content| {
                // With a right sum, or nothing behind it would be reached.
                let stored = [content, &hash(content).to_le_bytes()[..]].concat();
                if let Some(said) = decode(&stored, b"key") {
                    assert_eq!(encode(b"key", &said), stored);
                }
            });
    }

    #[test]
    fn a_stored_answer_is_found_by_its_whole_key_and_only_if_it_is_whole() {
        let said = said(Path::new("/none"));
        let stored = encode(b"key", &said);
        assert_eq!(decode(&stored, b"key"), Some(said));
        assert_eq!(decode(&stored, b"other"), None);
        for len in 0..stored.len() {
            assert_eq!(decode(&stored[..len], b"key"), None, "cut to {len}");
        }
        for at in 0..stored.len() {
            let mut spoilt = stored.clone();
            spoilt[at] ^= 0x10;
            assert_eq!(decode(&spoilt, b"key"), None, "spoilt at {at}");
        }
    }

    #[test]
    fn an_answer_is_gone_when_its_program_is_another() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let program = folder.path().join("cc1");
        std::fs::write(&program, "one").expect("temporary folder");
        let (store, said) = (folder.path().join("store"), said(&program));
        keep(&store, b"key", &said).expect("temporary folder");
        assert_eq!(find(&store, b"key"), Some(said.clone()));
        std::fs::write(folder.path().join("new"), "two").expect("temporary folder");
        std::fs::rename(folder.path().join("new"), &program).expect("temporary folder");
        assert_eq!(find(&store, b"key"), None);
        keep(&store, b"key", &said).expect("temporary folder");
        assert_eq!(find(&store, b"key"), Some(said));
        std::fs::remove_file(&program).expect("it exists");
        assert_eq!(find(&store, b"key"), None);
    }

    #[test]
    fn an_answer_without_its_end_is_not_kept() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let said = Said {
            output: b"pumpcc_en".to_vec(),
            ..Said::default()
        };
        keep(folder.path(), b"key", &said).expect("nothing to do");
        assert_eq!(find(folder.path(), b"key"), None);
    }

    #[test]
    fn the_store_does_not_grow_without_bound() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let said = said(Path::new("/none"));
        for key in 0..FILES + 10 {
            keep(folder.path(), &key.to_le_bytes(), &said).expect("temporary folder");
        }
        let files = std::fs::read_dir(folder.path()).expect("it exists").count();
        assert!((FILES / 2..FILES).contains(&files), "{files} files");
        let last = FILES + 9;
        assert_eq!(find(folder.path(), &last.to_le_bytes()), Some(said));
    }

    #[test]
    fn threads_that_write_the_same_answer_leave_a_whole_one() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let said = said(Path::new("/none"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        keep(folder.path(), b"key", &said).expect("temporary folder");
                        assert_eq!(find(folder.path(), b"key").as_ref(), Some(&said));
                    }
                });
            }
        });
        let files = std::fs::read_dir(folder.path()).expect("it exists").count();
        assert_eq!(files, 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_keeps_nothing() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let said = said(Path::new("/none"));
        std::fs::write(folder.path().join("file"), "").expect("temporary folder");
        assert!(keep(&folder.path().join("file/store"), b"key", &said).is_err());
    }
}
