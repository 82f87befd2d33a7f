//! This machine: which compiles run here as well, or here first.
//!
//! A compile that takes long elsewhere is begun here, too, where there is time for it, and the first result counts:
//!
//! - At the end of a build, and wherever it waits for a few compiles: when no more are in hand than this machine has
//!   processors, those that take twice as long as is usual on the fastest host, and a second.
//! - In the middle of a build only stragglers, which are much later.
//!
//! There are never more of them than processors, nor than local slots; other local compiles count as well, because they
//! hold these slots. The client runs it, at a low priority: linkers, and what make runs besides, come first.
//!
//! Where the servers all together are no help, it is this machine that compiles as much as it can. What they are worth is
//! measured by the same compile, begun here and there at the same moment (`race`): the fifth of a build, then each time
//! after twice as many more, as long as the servers are about as fast. If they take one and a half times as long, compiles
//! are begun here, until there is no place, and go to servers only if that takes long. One in four is still begun in both
//! places, and the first that a server wins is the end of that.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::shown::Shown;
use super::slots::Slots;

/// At the end of a build a compile is late after this, and after so many times what is usual.
const LATE_AT_END: (Duration, u32) = (Duration::from_secs(1), 2);
/// Where this machine is ahead, one is late after so many times what the last one took here.
const LATE_IF_AHEAD: u32 = 2;
/// So many compiles are not measured before the next one is: at first, and at most.
const UNMEASURED: (u32, u32) = (4, 512);
/// The same while this machine is ahead.
const UNMEASURED_AHEAD: u32 = 3;
/// Servers get what was begun here after this, and after so many times what the last one took here.
const HEAD_START: (Duration, u32) = (Duration::from_secs(1), 4);
/// But after this in any case: the last one may have been the longest of all.
const LONGEST_HEAD_START: Duration = Duration::from_secs(10);

/// This machine.
pub(super) struct Here {
    /// What clients count local compiles in.
    slots: Slots,
    processors: u32,
    /// Compiles that clients wait for.
    in_hand: AtomicU32,
    /// Those of them that run here.
    racing: AtomicU32,
    lead: Mutex<Lead>,
}

/// Where compiles end sooner.
#[derive(Clone, Copy, Debug)]
struct Lead {
    /// It is here, and by far.
    ahead: bool,
    /// So many are not measured yet before one is.
    unmeasured: u32,
    /// How many that is the next time.
    interval: u32,
    /// What the last one took here.
    took: Duration,
}

/// How a compile begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// On a server.
    There,
    /// Here, and nowhere else for so long.
    Here(Duration),
    /// In both places at once, to see which is faster.
    Both,
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
            lead: Mutex::new(Lead {
                ahead: false,
                unmeasured: UNMEASURED.0,
                interval: UNMEASURED.0,
                took: Duration::ZERO,
            }),
        }
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// When a compile is late that a server has, where compiles take `usual` on the fastest host and stragglers take so long.
    pub(super) fn late(&self, usual: Option<Duration>, straggler: Duration) -> Duration {
        let lead = *self.lead();
        // Processors are idle then, as far as that is up to the build.
        let waits_for_few = self.in_hand.load(Ordering::SeqCst) <= self.processors;
        let usual = usual.unwrap_or_default();
        if lead.ahead {
            lead.took * LATE_IF_AHEAD
        } else if waits_for_few {
            (usual * LATE_AT_END.1).max(LATE_AT_END.0)
        } else {
            straggler
        }
    }

    /// A place for a compile that runs here, if there is one.
    pub(super) fn place(&self) -> Option<Racing<'_>> {
        let most = self.processors.min(self.slots.count());
        let one_more = |racing| (racing < most).then_some(racing + 1);
        self.racing
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .ok()?;
        let racing = Racing(self);
        self.slots.has_free().then_some(racing)
    }

    /// How the next compile begins that may run here; with its place, if it begins here.
    pub(super) fn next(&self) -> (Start, Option<Racing<'_>>) {
        let mut lead = self.lead();
        let is_due = lead.unmeasured == 0;
        if !is_due && !lead.ahead {
            lead.unmeasured -= 1;
            return (Start::There, None);
        }
        let Some(place) = self.place() else {
            return (Start::There, None); // If it is due, the next one is as well.
        };
        if is_due {
            lead.unmeasured = lead.interval;
            return (Start::Both, Some(place));
        }
        lead.unmeasured -= 1;
        let head_start = (lead.took * HEAD_START.1).clamp(HEAD_START.0, LONGEST_HEAD_START);
        (Start::Here(head_start), Some(place))
    }

    /// A compile took so long here.
    pub(super) fn took(&self, time: Duration) {
        self.lead().took = time;
    }

    /// Where a compile ended much sooner: here or there, when it had the same chance in both places.
    pub(super) fn measured(&self, here: bool) {
        let mut lead = self.lead();
        lead.ahead = here;
        lead.interval = match here {
            true => UNMEASURED_AHEAD,
            false => (lead.interval * 2).clamp(UNMEASURED.0, UNMEASURED.1),
        };
        lead.unmeasured = lead.interval;
    }

    fn lead(&self) -> MutexGuard<'_, Lead> {
        // Every change is complete before it could panic.
        self.lead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for a compile that runs here, too, until dropped.
pub(super) struct Racing<'h>(&'h Here);

impl Drop for Racing<'_> {
    fn drop(&mut self) {
        self.0.racing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A compile that a client waits for, until dropped.
pub(super) struct Job<'h> {
    here: &'h Here,
    /// Since when a server has it; none while it waits for one.
    sent: watch::Sender<Option<Instant>>,
    client: Option<Shown>,
}

impl<'h> Job<'h> {
    pub(super) fn new(here: &'h Here, client: Option<Shown>) -> Self {
        here.in_hand.fetch_add(1, Ordering::SeqCst);
        Self {
            here,
            sent: watch::Sender::new(None),
            client,
        }
    }

    /// Whose it is, if monitors show it.
    pub(super) fn client(&self) -> Option<&Shown> {
        self.client.as_ref()
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
