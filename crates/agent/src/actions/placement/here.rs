//! This machine: which compiles run here as well.
//!
//! A compile that takes long elsewhere is begun here, too, where there is time for it, and the first result counts:
//!
//! - At the end of a build, and wherever it waits for a few compiles: when no more are in hand than this machine has
//!   processors, those that take twice as long as is usual on the fastest host, and a second.
//! - In the middle of a build only stragglers, which are much later.
//!
//! There are never more of them than processors, nor than local slots; other local compiles count as well, because they
//! hold these slots. The client runs it, at a low priority: linkers, and what make runs besides, come first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::slots::Slots;

/// At the end of a build a compile is late after this, and after so many times what is usual.
const LATE_AT_END: (Duration, u32) = (Duration::from_secs(1), 2);
/// The same where nothing is usual yet.
const LATE_AT_END_AT_FIRST: Duration = Duration::from_secs(3);

/// This machine.
pub(super) struct Here {
    /// What clients count local compiles in.
    slots: Slots,
    processors: u32,
    /// Compiles that clients wait for.
    in_hand: AtomicU32,
    /// Those of them that run here, too.
    racing: AtomicU32,
}

impl Here {
    pub(super) fn new(slots: Slots) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::with(slots, u32::try_from(processors).unwrap_or(u32::MAX))
    }

    pub(super) fn with(slots: Slots, processors: u32) -> Self {
        Self {
            slots,
            processors,
            in_hand: AtomicU32::new(0),
            racing: AtomicU32::new(0),
        }
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Whether processors are idle, as far as that is up to the build.
    pub(super) fn has_little_to_wait_for(&self) -> bool {
        self.in_hand.load(Ordering::SeqCst) <= self.processors
    }

    /// A place for a compile that runs elsewhere as well, if there is one.
    pub(super) fn race(&self) -> Option<Racing<'_>> {
        let most = self.processors.min(self.slots.count());
        let one_more = |racing| (racing < most).then_some(racing + 1);
        self.racing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .ok()?;
        let racing = Racing(self);
        self.slots.has_free().then_some(racing)
    }
}

/// When a compile is late at the end of a build, where compiles take so long on the fastest host.
pub(super) fn late_at_end(typical: Option<Duration>) -> Duration {
    typical.map_or(LATE_AT_END_AT_FIRST, |typical| {
        (typical * LATE_AT_END.1).max(LATE_AT_END.0)
    })
}

/// A place for a compile that runs here, too, until dropped.
pub struct Racing<'h>(&'h Here);

impl Drop for Racing<'_> {
    fn drop(&mut self) {
        self.0.racing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A compile that a client waits for, until dropped.
pub struct Job<'h> {
    here: &'h Here,
    /// Since when a server has it; none while it waits for one.
    sent: watch::Sender<Option<Instant>>,
}

impl<'h> Job<'h> {
    pub(super) fn new(here: &'h Here) -> Self {
        here.in_hand.fetch_add(1, Ordering::SeqCst);
        Self {
            here,
            sent: watch::Sender::new(None),
        }
    }

    pub(super) fn is_sent(&self, since: Option<Instant>) {
        self.sent.send_replace(since);
    }

    pub(super) fn sent(&self) -> watch::Receiver<Option<Instant>> {
        self.sent.subscribe()
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.here.in_hand.fetch_sub(1, Ordering::SeqCst);
    }
}
