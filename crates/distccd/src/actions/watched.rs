//! A descriptor that the async runtime watches.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches a descriptor. Within a runtime only.
///
/// # Errors
/// It is of a kind that cannot be watched, such as a file on disk.
pub(crate) fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it is one descriptor as long as it lives, which is until after it is watched no more: nobody can
    // take it out, and it has no `Drop` of ours.
    let watched = unsafe { AsyncFd::register_with_interest(fd, interest) };
    watched.map_err(|error| error.into_parts().1)
}

/// The same with a copy of an event's.
pub(crate) fn watched_event(event: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
    watched(event.try_clone_to_owned()?, Interest::READABLE)
}
