//! What a server is known to hold, and what is on the way to it: each blob goes there once, whichever jobs want it at
//! the same time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use action::Digest;
use tokio::sync::watch;

/// The blobs of a server.
#[derive(Debug, Default)]
pub(crate) struct Held {
    blobs: Mutex<Blobs>,
}

#[derive(Debug, Default)]
struct Blobs {
    /// With the mark that it lacked them before they were sent.
    there: HashMap<Digest, bool>,
    /// The sender lives in the [`Claim`].
    coming: HashMap<Digest, watch::Receiver<()>>,
}

/// What has to be done about some blobs.
pub(crate) struct Wanted {
    /// To be sent by the caller.
    pub(crate) claim: Claim,
    /// Being sent by others: ready when they have come to an end, good or bad.
    pub(crate) coming: Vec<watch::Receiver<()>>,
    /// There by now, and were not when it was first asked.
    pub(crate) lacked: HashSet<Digest>,
}

/// Blobs that the holder sends. Dropping it without [`Claim::done`] leaves them to whoever waits.
pub(crate) struct Claim {
    held: Arc<Held>,
    pub(crate) digests: Vec<Digest>,
    _over: watch::Sender<()>,
}

impl Held {
    /// Sorts blobs by what has to be done about them.
    pub(crate) fn want(self: &Arc<Self>, digests: impl IntoIterator<Item = Digest>) -> Wanted {
        let (over, receiver) = watch::channel(());
        let mut claimed = Vec::new();
        let mut coming: Vec<watch::Receiver<()>> = Vec::new();
        let mut lacked = HashSet::new();
        let mut blobs = self.lock();
        for digest in digests {
            if let Some(was_lacked) = blobs.there.get(&digest) {
                if *was_lacked {
                    lacked.insert(digest);
                }
                continue;
            }
            match blobs.coming.get(&digest) {
                Some(other) if other.same_channel(&receiver) => {} // Named twice.
                Some(other) if coming.iter().any(|known| known.same_channel(other)) => {}
                Some(other) => coming.push(other.clone()),
                None => {
                    blobs.coming.insert(digest, receiver.clone());
                    claimed.push(digest);
                }
            }
        }
        drop(blobs);
        let claim = Claim {
            held: Arc::clone(self),
            digests: claimed,
            _over: over,
        };
        Wanted {
            claim,
            coming,
            lacked,
        }
    }

    /// Nothing is known to be there.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().there.is_empty()
    }

    /// Whether it lacked any of these before they were sent.
    pub(crate) fn lacked_any(&self, digests: &[Digest]) -> bool {
        let blobs = self.lock();
        let mut there = digests.iter().filter_map(|digest| blobs.there.get(digest));
        there.any(|&was_lacked| was_lacked)
    }

    /// The server has said that it holds these no more.
    pub(crate) fn forget(&self, digests: &[Digest]) {
        let mut blobs = self.lock();
        for digest in digests {
            blobs.there.remove(digest);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Blobs> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// All of them are there; the server lacked these.
    pub(crate) fn done(self, lacked: &[Digest]) {
        let there = self.digests.iter().map(|&digest| (digest, false));
        let lacked = lacked.iter().map(|&digest| (digest, true));
        self.held.lock().there.extend(there.chain(lacked));
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut blobs = self.held.lock();
        for digest in &self.digests {
            blobs.coming.remove(digest);
        }
        // The sender goes after this, which wakes those who wait.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(content: &str) -> Digest {
        Digest::of(content.as_bytes())
    }

    #[test]
    fn each_blob_is_sent_by_one() {
        let held = Arc::<Held>::default();
        let [a, b, c] = ["a", "b", "c"].map(blob);
        let first = held.want([a, b, a]);
        assert_eq!(
            (&first.claim.digests[..], first.coming.len()),
            (&[a, b][..], 0)
        );
        let second = held.want([a, b, c]);
        assert_eq!(
            (&second.claim.digests[..], second.coming.len()),
            (&[c][..], 1)
        );
        assert!(second.coming[0].has_changed().is_ok(), "still on its way");
        first.claim.done(&[a]);
        assert!(second.coming[0].has_changed().is_err(), "over");
        let all = held.want([a, b]);
        assert!(all.claim.digests.is_empty());
        assert_eq!(all.lacked, HashSet::from([a]));
        assert!(held.lacked_any(&[b, a]) && !held.lacked_any(&[b, c]));
        held.forget(&[a]);
        assert_eq!(held.want([a, b]).claim.digests, [a]);
        assert!(!held.lacked_any(&[a, b]));
    }

    #[test]
    fn what_was_not_sent_is_the_next_ones() {
        let held = Arc::<Held>::default();
        let a = blob("a");
        drop(held.want([a]));
        let next = held.want([a]);
        assert_eq!((&next.claim.digests[..], next.coming.len()), (&[a][..], 0));
    }
}
