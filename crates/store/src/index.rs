//! What is in a store, how much it is, when it was used and by whom, and who holds it.

use std::collections::{BTreeMap, HashMap};

use action::Digest;

use crate::store::Owner;

/// What was used within this time is not taken from a client for the sake of another that has more, in seconds: builds
/// come back every day.
const FRESH: u64 = 36 * 60 * 60;

/// What is known of a blob.
#[derive(Debug)]
struct Known {
    /// Holders; while there are any, it stays.
    holds: u32,
    /// Its last use: larger is later, no two are equal.
    used: u64,
    /// The same as a time, in seconds.
    time: u64,
    /// Its content is what its name says. Not so for what an earlier server left without having ended in order.
    checked: bool,
    /// Who brought it, or used it last in an action. None for what an earlier server left, and for the server itself.
    owner: Option<Owner>,
}

/// What an owner has.
#[derive(Debug, Default)]
struct Owned {
    /// Blobs that nobody holds by their last use.
    idle: BTreeMap<u64, Digest>,
    /// Bytes of all its blobs.
    size: u64,
    /// Bytes that it is bringing.
    arriving: u64,
}

/// The blobs of a store.
#[derive(Debug, Default)]
pub(crate) struct Index {
    blobs: HashMap<Digest, Known>,
    owners: HashMap<Option<Owner>, Owned>,
    /// Bytes of all blobs, of all that nobody holds, and of all that are being brought.
    size: u64,
    idle_size: u64,
    arriving: u64,
    clock: u64,
    /// In seconds.
    now: u64,
}

impl Index {
    /// Tells what time it is, in seconds. It may go back: then what was used last counts as used now.
    pub(crate) fn set_time(&mut self, now: u64) {
        self.now = now;
    }

    /// Adds a blob that nobody holds. One that is there already counts as used.
    pub(crate) fn add(&mut self, digest: Digest, checked: bool, owner: Option<Owner>) {
        if self.touch(digest) {
            return;
        }
        self.clock += 1;
        let known = Known {
            holds: 0,
            used: self.clock,
            time: self.now,
            checked,
            owner,
        };
        self.blobs.insert(digest, known);
        let owned = self.owners.entry(owner).or_default();
        owned.idle.insert(self.clock, digest);
        owned.size += digest.size;
        self.size += digest.size;
        self.idle_size += digest.size;
    }

    /// Whether it is there; if so, it counts as used.
    pub(crate) fn touch(&mut self, digest: Digest) -> bool {
        let Some(known) = self.blobs.get_mut(&digest) else {
            return false;
        };
        self.clock += 1;
        if known.holds == 0 {
            let owned = self.owners.entry(known.owner).or_default();
            owned.idle.remove(&known.used);
            owned.idle.insert(self.clock, digest);
        }
        known.used = self.clock;
        known.time = self.now;
        true
    }

    /// Holds a blob for an action of this owner's, whose it is from now on. False if it is not there.
    pub(crate) fn hold(&mut self, digest: Digest, owner: Option<Owner>) -> bool {
        let Some(known) = self.blobs.get_mut(&digest) else {
            return false;
        };
        let before = self.owners.entry(known.owner).or_default();
        if known.holds == 0 {
            before.idle.remove(&known.used);
            self.idle_size -= digest.size;
        }
        known.holds += 1;
        if known.owner != owner {
            before.size -= digest.size;
            let before = std::mem::replace(&mut known.owner, owner);
            self.owners.entry(owner).or_default().size += digest.size;
            self.forget_owner(before);
        }
        true
    }

    /// Ends one hold.
    pub(crate) fn release(&mut self, digest: Digest) {
        let Some(known) = self.blobs.get_mut(&digest) else {
            return; // Its file was found damaged meanwhile.
        };
        known.holds -= 1;
        if known.holds == 0 {
            self.clock += 1;
            known.used = self.clock;
            known.time = self.now;
            let owned = self.owners.entry(known.owner).or_default();
            owned.idle.insert(self.clock, digest);
            self.idle_size += digest.size;
        }
    }

    pub(crate) fn is_checked(&self, digest: Digest) -> bool {
        self.blobs.get(&digest).is_some_and(|known| known.checked)
    }

    pub(crate) fn set_checked(&mut self, digest: Digest) {
        if let Some(known) = self.blobs.get_mut(&digest) {
            known.checked = true;
        }
    }

    /// Forgets a blob, held or not.
    pub(crate) fn remove(&mut self, digest: Digest) {
        let Some(known) = self.blobs.remove(&digest) else {
            return;
        };
        self.size -= digest.size;
        let owned = self.owners.entry(known.owner).or_default();
        owned.size -= digest.size;
        if known.holds == 0 {
            owned.idle.remove(&known.used);
            self.idle_size -= digest.size;
        }
        self.forget_owner(known.owner);
    }

    /// Counts bytes that an owner is bringing.
    pub(crate) fn arrives(&mut self, owner: Option<Owner>, bytes: u64) {
        self.owners.entry(owner).or_default().arriving += bytes;
        self.arriving += bytes;
    }

    /// They have come, or will not.
    pub(crate) fn arrived(&mut self, owner: Option<Owner>, bytes: u64) {
        self.owners.entry(owner).or_default().arriving -= bytes;
        self.arriving -= bytes;
        self.forget_owner(owner);
    }

    fn forget_owner(&mut self, owner: Option<Owner>) {
        let is_empty =
            |owned: &Owned| owned.size == 0 && owned.arriving == 0 && owned.idle.is_empty();
        if self.owners.get(&owner).is_some_and(is_empty) {
            self.owners.remove(&owner);
        }
    }

    /// Takes a blob out that nobody holds, since `owner` is to have `wanted` bytes more: the one that was used least
    /// recently, if that was long ago; or else the same of whoever has most. None if there is no such, or if whoever is to
    /// have more would have more than all from whom it could be taken.
    pub(crate) fn evict(&mut self, owner: Option<Owner>, wanted: u64) -> Option<Digest> {
        let candidates = self.owners.iter().filter_map(|(owner, owned)| {
            let (used, digest) = owned.idle.first_key_value()?;
            Some((*owner, owned.size + owned.arriving, *used, *digest))
        });
        let oldest = candidates.clone().min_by_key(|(_, _, used, _)| *used)?;
        let (_, _, _, digest) = oldest;
        let time = self.blobs.get(&digest).map_or(0, |known| known.time);
        let digest = if self.now.saturating_sub(time) >= FRESH {
            digest
        } else {
            let all = |owned: &Owned| owned.size + owned.arriving;
            let own = self.owners.get(&owner).map_or(0, all) + wanted;
            // Of equal ones, that which has waited for longer.
            let most = candidates.max_by_key(|(_, size, used, _)| (*size, u64::MAX - *used))?;
            match self
                .owners
                .get(&owner)
                .map(|own| own.idle.first_key_value())
            {
                // It has the most itself, and pays by itself.
                Some(Some((_, digest))) if most.1 <= own => *digest,
                _ if most.1 < own => return None,
                _ => most.3,
            }
        };
        self.remove(digest);
        Some(digest)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that somebody holds.
    pub(crate) fn held_size(&self) -> u64 {
        self.size - self.idle_size
    }

    /// Bytes that are being brought.
    pub(crate) fn arriving(&self) -> u64 {
        self.arriving
    }

    pub(crate) fn len(&self) -> usize {
        self.blobs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(content: &str) -> Digest {
        Digest::of(content.as_bytes())
    }

    #[test]
    fn what_was_used_least_recently_goes_first() {
        let mut index = Index::default();
        for content in ["a", "bb", "ccc"] {
            index.add(blob(content), true, None);
        }
        assert!(index.touch(blob("a")));
        assert_eq!(index.size(), 6);
        assert_eq!(index.evict(None, 0), Some(blob("bb")));
        assert_eq!(index.evict(None, 0), Some(blob("ccc")));
        assert_eq!(index.evict(None, 0), Some(blob("a")));
        assert_eq!(
            (index.evict(None, 0), index.size(), index.len()),
            (None, 0, 0)
        );
    }

    #[test]
    fn what_is_held_stays() {
        let mut index = Index::default();
        index.add(blob("a"), true, None);
        index.add(blob("bb"), true, None);
        assert!(index.hold(blob("a"), None) && index.hold(blob("a"), None));
        assert_eq!(index.held_size(), 1);
        assert_eq!(index.evict(None, 0), Some(blob("bb")));
        index.release(blob("a"));
        assert_eq!(index.evict(None, 0), None);
        index.release(blob("a"));
        assert_eq!(index.evict(None, 0), Some(blob("a")));
        assert!(!index.hold(blob("a"), None));
    }

    #[test]
    fn one_that_is_removed_may_be_released() {
        let mut index = Index::default();
        index.add(blob("a"), false, None);
        assert!(index.hold(blob("a"), None));
        index.remove(blob("a"));
        index.release(blob("a"));
        assert_eq!((index.size(), index.held_size(), index.len()), (0, 0, 0));
    }

    const A: Option<Owner> = Some(Owner([1; 8]));
    const B: Option<Owner> = Some(Owner([2; 8]));

    #[test]
    fn who_has_most_pays_for_what_comes() {
        let mut index = Index::default();
        index.add(blob("a"), true, A);
        for content in ["bb", "bbb", "bbbb"] {
            index.add(blob(content), true, B);
        }
        // B has nine bytes, A one that was used before all of them.
        assert_eq!(index.evict(B, 5), Some(blob("bb")));
        assert_eq!(index.evict(A, 5), Some(blob("bbb")));
        assert_eq!(index.evict(A, 2), Some(blob("bbbb")));
        // Now A alone has anything.
        assert_eq!(index.evict(B, 2), None, "it would have more than A");
        assert_eq!(index.evict(B, 1), Some(blob("a")));
        assert_eq!(index.evict(B, 0), None);
        assert!(index.owners.is_empty());
    }

    #[test]
    fn what_is_being_brought_counts() {
        let mut index = Index::default();
        index.add(blob("aa"), true, A);
        index.arrives(B, 3);
        assert_eq!(index.evict(B, 1), None);
        assert_eq!(index.arriving(), 3);
        index.arrived(B, 3);
        assert_eq!(index.evict(B, 1), Some(blob("aa")));
        assert!(index.owners.is_empty());
    }

    #[test]
    fn what_was_not_used_for_long_goes_first_whosever_it_is() {
        let mut index = Index::default();
        index.set_time(1_000_000);
        index.add(blob("a"), true, A);
        index.add(blob("aa"), true, A);
        index.set_time(1_000_000 + FRESH);
        assert!(index.touch(blob("aa")));
        index.add(blob("bbb"), true, B);
        assert_eq!(index.evict(B, 100), Some(blob("a")));
        assert_eq!(index.evict(B, 100), Some(blob("bbb")));
        assert_eq!(index.evict(B, 100), None);
        index.set_time(0);
        assert_eq!(index.evict(B, 100), None, "a clock that was put back");
    }

    #[test]
    fn a_blob_is_whose_action_used_it_last() {
        let mut index = Index::default();
        index.add(blob("common"), true, A);
        index.add(blob("a"), true, A);
        index.add(blob("bb"), true, B);
        assert!(index.hold(blob("common"), B));
        index.release(blob("common"));
        // B has the most now; A's is the oldest.
        assert_eq!(index.evict(A, 1), Some(blob("bb")));
        assert_eq!(index.evict(A, 1), Some(blob("common")));
        assert_eq!((index.size(), index.held_size()), (1, 0));
    }
}
