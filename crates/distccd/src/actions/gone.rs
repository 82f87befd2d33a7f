//! Notices that the cache was removed under the running server: whatever it says it has is not there any more.
//!
//! Single files may go at any time, which their users find out. Not noticed: that a folder above the cache was renamed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use tokio::io::Interest;

use super::watched::watched;

/// Watches a cache for its removal.
#[derive(Debug)]
pub(crate) struct Watch {
    events: OwnedFd,
    folder: PathBuf,
    /// Its folders that have to stay.
    inner: &'static [&'static str],
}

impl Watch {
    /// Watches the folder of a cache, and these folders in it.
    ///
    /// # Errors
    /// Those of the file system; the system's limits of watches.
    pub(crate) fn open(folder: &Path, inner: &'static [&'static str]) -> io::Result<Self> {
        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let itself = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        let within = WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        add_watch(&events, folder, itself | within | WatchFlags::ONLYDIR)?;
        let folder = folder.to_owned();
        Ok(Self {
            events,
            folder,
            inner,
        })
    }

    /// Comes when any of it has gone, and says what. Within a runtime.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) async fn gone(self) -> io::Result<Gone> {
        let events = watched(self.events, Interest::READABLE)?;
        loop {
            let mut ready = events.readable().await?;
            if let Some(gone) = what_has_gone(ready.get_inner(), &self.folder, self.inner)? {
                return Ok(gone);
            }
            ready.clear_ready();
        }
    }
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
