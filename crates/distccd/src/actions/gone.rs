//! Notices that the cache was removed under the running server: whatever it says it has is not there any more.
//!
//! Single files may go at any time, which their users find out. Not noticed: that a folder above the cache was renamed.
//! Where the system has no watches left (a user may have 128 by default, and editors take many), it is looked for now and then.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use tokio::io::Interest;

use super::watched::watched;

/// Watches a cache for its removal.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Or why there are none.
    events: Result<OwnedFd, Errno>,
    folder: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Its folders that have to stay.
    inner: &'static [&'static str],
}

impl Watch {
    /// Watches the folder of a cache, and these folders in it.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(folder: &Path, inner: &'static [&'static str]) -> io::Result<Self> {
        Ok(Self {
            events: events_of(folder),
            folder: folder.to_owned(),
            identity: identity(folder)?,
            inner,
        })
    }

    /// Why its removal is only looked for now and then.
    pub(crate) fn trouble(&self) -> Option<io::Error> {
        self.events.as_ref().err().map(|&errno| errno.into())
    }

    /// Comes when any of it has gone, and says what. Within a runtime.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) async fn gone(self) -> io::Result<Gone> {
        let Ok(events) = self.events else {
            return Ok(self.looked_for(EVERY).await);
        };
        let events = watched(events, Interest::READABLE)?;
        loop {
            let mut ready = events.readable().await?;
            if let Some(gone) = what_has_gone(ready.get_inner(), &self.folder, self.inner)? {
                return Ok(gone);
            }
            ready.clear_ready();
        }
    }

    async fn looked_for(&self, every: Duration) -> Gone {
        loop {
            tokio::time::sleep(every).await;
            if identity(&self.folder).ok() != Some(self.identity) {
                return Gone::Itself;
            }
            if !self
                .inner
                .iter()
                .all(|inner| self.folder.join(inner).exists())
            {
                return Gone::Part;
            }
        }
    }
}

/// How often it is looked for.
const EVERY: Duration = Duration::from_secs(10);

fn identity(folder: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(folder)?;
    Ok((found.dev(), found.ino()))
}

fn events_of(folder: &Path) -> Result<OwnedFd, Errno> {
    let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    let within = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
    add_watch(&events, folder, itself | within | WatchFlags::ONLYDIR)?;
    Ok(events)
}

/// What of a cache has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Something in its folder.
    Part,
    /// The folder: what stands at its path now, if anything, is somebody else's.
    Itself,
}

/// Reads all that happened so far.
fn what_has_gone(events: &OwnedFd, folder: &Path, inner: &[&str]) -> io::Result<Option<Gone>> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(events, &mut buffer);
    let mut gone = None;
    loop {
        match reader.next() {
            Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                // Anything may have happened.
                if !inner.iter().all(|inner| folder.join(inner).exists()) {
                    gone = Some(Gone::Itself);
                }
            }
            Ok(event) => match event.file_name().map(|name| name.to_bytes()) {
                Some(name) if inner.iter().any(|inner| inner.as_bytes() == name) => {
                    gone = gone.or(Some(Gone::Part));
                }
                Some(_) => {}
                None => gone = Some(Gone::Itself),
            },
            Err(Errno::AGAIN) => return Ok(gone),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a look every millisecond tells after this.
    fn looked_for(then: impl FnOnce(&Path)) -> Gone {
        let outer = tempfile::tempdir().unwrap();
        let cache = outer.path().join("cache");
        for inner in ["blobs", "trees"] {
            std::fs::create_dir_all(cache.join(inner)).unwrap();
        }
        let watch = Watch::open(&cache, &["blobs", "trees"]).unwrap();
        assert!(watch.trouble().is_none());
        then(&cache);
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(watch.looked_for(Duration::from_millis(1)))
    }

    #[test]
    fn without_watches_its_removal_is_looked_for() {
        let part = looked_for(|cache| std::fs::remove_dir(cache.join("blobs")).unwrap());
        assert_eq!(part, Gone::Part);
        let itself = looked_for(|cache| std::fs::remove_dir_all(cache).unwrap());
        assert_eq!(itself, Gone::Itself);
        let moved = looked_for(|cache| {
            let elsewhere = cache.with_file_name("elsewhere");
            std::fs::rename(cache, &elsewhere).unwrap();
            std::os::unix::fs::symlink(elsewhere, cache).unwrap();
        });
        assert_eq!(moved, Gone::Itself);
    }
}
