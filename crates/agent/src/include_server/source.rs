//! Source files as they stand on disk: when they count as unchanged, and what their text says.
//!
//! A file is read again whenever its identity differs from the one it was read under. The
//! clock that stamps files is coarse: a file changed just before it was read may change again
//! without showing it, so it does not count as known until it has been read at a later time.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use includes::Stamp;

use super::refusal::Refusal;
use super::scan::{Asked, Facts, asked_through, scan};

/// distcc 3.4 cannot unpack longer ones.
const LONGEST: u64 = 512 << 20;

/// In nanoseconds.
const SECOND: i128 = 1_000_000_000;

/// Which file it is and when it changed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    pub(crate) bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// What `stat` said when the include engine read the file. `None` where it does not tell what kind of file it is:
    /// only what has contents is sure to be a regular one.
    pub(crate) fn of_stamp(stamp: &Stamp) -> Option<Self> {
        let time = |nanos: i128| {
            let seconds = i64::try_from(nanos.div_euclid(SECOND)).ok()?;
            Some((seconds, i64::try_from(nanos.rem_euclid(SECOND)).ok()?))
        };
        (stamp.size > 0).then_some(())?;
        Some(Self {
            device: stamp.inode.0,
            inode: stamp.inode.1,
            bytes: stamp.size,
            modified: time(stamp.mtime_ns)?,
            changed: time(stamp.ctime_ns)?,
        })
    }

    /// All of it, to be kept on disk.
    pub(crate) fn words(&self) -> [i64; 7] {
        let [device, inode, bytes] = [self.device, self.inode, self.bytes].map(u64::cast_signed);
        let (modified, changed) = (self.modified, self.changed);
        [
            device, inode, bytes, modified.0, modified.1, changed.0, changed.1,
        ]
    }

    /// The identity that has these [`Self::words`].
    pub(crate) fn of_words(words: [i64; 7]) -> Self {
        let [device, inode, bytes, ..] = words.map(i64::cast_unsigned);
        Self {
            device,
            inode,
            bytes,
            modified: (words[3], words[4]),
            changed: (words[5], words[6]),
        }
    }

    /// Whether the last change was long enough before `now` that every later one must show.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanos) = self.changed;
        // Whole seconds tell of a file system that keeps no fractions.
        let granularity = if nanos == 0 {
            Duration::from_secs(2)
        } else {
            Duration::from_millis(50)
        };
        let (Ok(seconds), Ok(nanos)) = (u64::try_from(seconds), u32::try_from(nanos)) else {
            return true; // Before 1970.
        };
        let changed = UNIX_EPOCH + Duration::new(seconds, nanos);
        now.duration_since(changed)
            .is_ok_and(|age| age > granularity)
    }
}

/// The identity of the regular file at `real`; `None` for `/dev/null`, which reads as empty.
///
/// # Errors
/// [`Refusal::Missing`], [`Refusal::NotRegular`], [`Refusal::Unreadable`].
pub(crate) fn identify(real: &Path) -> Result<Option<Identity>, Refusal> {
    match fs::metadata(real) {
        Ok(metadata) => identity(real, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Refusal::Missing(real.to_owned()))
        }
        Err(error) => Err(Refusal::Unreadable(real.to_owned(), error)),
    }
}

/// The same, from what `stat` said.
///
/// # Errors
/// [`Refusal::NotRegular`].
pub(crate) fn identity(real: &Path, metadata: &Metadata) -> Result<Option<Identity>, Refusal> {
    if metadata.is_file() {
        Ok(Some(Identity::of(metadata)))
    } else if is_null(metadata) {
        Ok(None)
    } else {
        Err(Refusal::NotRegular(real.to_owned()))
    }
}

fn is_null(metadata: &Metadata) -> bool {
    let null = rustix::fs::makedev(1, 3);
    metadata.file_type().is_char_device() && metadata.rdev() == null
}

/// A file's text, and under which identity it was read.
#[derive(Debug)]
pub(crate) struct Text {
    /// `None` for `/dev/null`.
    pub(crate) identity: Option<Identity>,
    pub(crate) content: Vec<u8>,
    /// Whether the identity can stand for the text from now on.
    pub(crate) is_settled: bool,
}

/// Reads a whole file.
///
/// # Errors
/// As [`identify`]; [`Refusal::TooLong`]; [`Refusal::Unsettled`] if it changes meanwhile.
pub(crate) fn read(real: &Path) -> Result<Text, Refusal> {
    if identify(real)?.is_none() {
        return Ok(Text {
            identity: None,
            content: Vec::new(),
            is_settled: true,
        });
    }
    let unreadable = || Refusal::unreadable(real);
    // Should a pipe have taken its place, do not wait for a writer.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let mut file = File::options()
        .read(true)
        .custom_flags(i32::try_from(nonblocking).unwrap_or(0))
        .open(real)
        .map_err(unreadable())?;
    let before = Identity::of(&file.metadata().map_err(unreadable())?);
    if before.bytes > LONGEST {
        return Err(Refusal::TooLong(real.to_owned()));
    }
    // One more byte shows that it ends there.
    let mut content = Vec::with_capacity(usize::try_from(before.bytes).unwrap_or(0) + 1);
    (&mut file)
        .take(LONGEST)
        .read_to_end(&mut content)
        .map_err(unreadable())?;
    let after = Identity::of(&file.metadata().map_err(unreadable())?);
    if before != after || content.len() as u64 != before.bytes {
        return Err(Refusal::Unsettled);
    }
    Ok(Text {
        identity: Some(before),
        content,
        is_settled: before.is_settled(SystemTime::now()),
    })
}

/// What is known of a file.
#[derive(Debug)]
pub(crate) struct Source {
    /// `None` for `/dev/null`.
    pub(crate) identity: Option<Identity>,
    pub(crate) facts: Facts,
}

/// Facts about all files seen, under their real paths.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// By path as text, which costs a fraction of a path's own comparison. Holds only what was
    /// settled when it was read.
    known: Mutex<HashMap<OsString, Arc<Source>>>,
    /// By macro and path; the same.
    asked: Mutex<HashMap<MacroInFile, AskedUnder>>,
}

type MacroInFile = (Vec<u8>, PathBuf);
type AskedUnder = (Option<Identity>, Arc<Asked>);

impl Sources {
    /// What the text at `real` says, and the text itself if it had to be read.
    ///
    /// # Errors
    /// As [`read`].
    pub(crate) fn look(
        &self,
        real: &Path,
        identity: Option<Identity>,
    ) -> Result<(Arc<Source>, Option<Text>), Refusal> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = known().get(real.as_os_str())
            && source.identity == identity
        {
            return Ok((Arc::clone(source), None));
        }
        let text = read(real)?;
        let source = Arc::new(Source {
            identity: text.identity,
            facts: scan(&text.content),
        });
        if text.is_settled {
            known().insert(real.into(), Arc::clone(&source));
        }
        Ok((source, Some(text)))
    }

    /// What the text at `real` asks through a macro made of `__has_include`.
    ///
    /// # Errors
    /// As [`read`]; [`Refusal::Unsettled`] if the file is not the one of that identity any more.
    pub(crate) fn asked_through(
        &self,
        name: &[u8],
        real: &Path,
        identity: Option<Identity>,
    ) -> Result<Arc<Asked>, Refusal> {
        let known = || self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), real.to_owned());
        if let Some((read_as, asked)) = known().get(&key)
            && *read_as == identity
        {
            return Ok(Arc::clone(asked));
        }
        let text = read(real)?;
        if text.identity != identity {
            return Err(Refusal::Unsettled);
        }
        let asked = Arc::new(asked_through(name, &text.content));
        if text.is_settled {
            known().insert(key, (identity, Arc::clone(&asked)));
        }
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_settles_after_the_clocks_granularity() {
        let at = |seconds, nanos| Identity {
            device: 0,
            inode: 0,
            bytes: 0,
            modified: (0, 0),
            changed: (seconds, nanos),
        };
        let now = UNIX_EPOCH + Duration::new(1000, 500_000_000);
        assert!(at(1000, 400_000_000).is_settled(now));
        assert!(!at(1000, 460_000_000).is_settled(now));
        assert!(!at(1000, 600_000_000).is_settled(now));
        assert!(!at(999, 0).is_settled(now));
        assert!(at(998, 0).is_settled(now));
        assert!(at(-5, 0).is_settled(now));
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.h");
        let sources = Sources::default();
        let once = |text: &str| {
            fs::write(&path, text).unwrap();
            let identity = identify(&path).unwrap();
            sources.look(&path, identity).unwrap().0.facts.once
        };
        assert!(!once("int pragma;\n"));
        // Same length, and possibly within one tick of the clock.
        assert!(once("#pragma once"));
        assert!(!once("#pragma none"));
    }

    #[test]
    fn only_files_with_text_are_read() {
        assert!(identify(Path::new("/dev/null")).unwrap().is_none());
        assert!(read(Path::new("/dev/null")).unwrap().content.is_empty());
        for (path, words) in [
            ("/", "not a regular file"),
            ("/dev/zero", "not a regular file"),
            ("/nonexistent", "Could not find"),
        ] {
            let refusal = read(Path::new(path)).unwrap_err().to_string();
            assert!(refusal.contains(words), "{refusal}");
        }
    }
}
