//! Notices that the cache was removed under the running server: whatever it says it has is not there any more.
//!
//! Single files may go at any time, which their users find out. Not noticed: that a folder above the cache was renamed.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use tokio::io::Interest;

use super::watched::watched;

/// Watches a cache for its removal.
#[derive(Debug)]
pub(crate) struct Watch {
    events: OwnedFd,
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
        Ok(Self { events, inner })
    }

    /// Comes when any of it has gone. Within a runtime.
    ///
    /// # Errors
    /// It cannot be watched.
    pub(crate) async fn gone(self) -> io::Result<()> {
        let events = watched(self.events, Interest::READABLE)?;
        loop {
            let mut ready = events.readable().await?;
            if has_gone(ready.get_inner(), self.inner)? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}

/// Reads all that happened so far.
fn has_gone(events: &OwnedFd, inner: &[&str]) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(events, &mut buffer);
    loop {
        match reader.next() {
            Ok(event) => {
                let name = event.file_name().map(|name| name.to_bytes());
                let is_inner = |name| inner.iter().any(|inner| inner.as_bytes() == name);
                // Without a name it is the folder itself, or more happened than anybody keeps.
                if name.is_none_or(is_inner) {
                    return Ok(true);
                }
            }
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
