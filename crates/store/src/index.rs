//! What is in a store, how much it is, when it was used, and who holds it.

use std::collections::{BTreeMap, HashMap};

use action::Digest;

/// What is known of a blob.
#[derive(Debug)]
struct Known {
    /// Holders; while there are any, it stays.
    holds: u32,
    /// Its last use: larger is later, no two are equal.
    used: u64,
    /// Its content is what its name says. Not so for what an earlier server left without having ended in order.
    checked: bool,
}

/// The blobs of a store.
#[derive(Debug, Default)]
pub(crate) struct Index {
    blobs: HashMap<Digest, Known>,
    /// Blobs that nobody holds by their last use.
    idle: BTreeMap<u64, Digest>,
    /// Bytes of all blobs, and of all that nobody holds.
    size: u64,
    idle_size: u64,
    clock: u64,
}

impl Index {
    /// Adds a blob that nobody holds. One that is there already counts as used.
    pub(crate) fn add(&mut self, digest: Digest, checked: bool) {
        if self.touch(digest) {
            return;
        }
        self.clock += 1;
        let used = self.clock;
        self.idle.insert(used, digest);
        let known = Known {
            holds: 0,
            used,
            checked,
        };
        self.blobs.insert(digest, known);
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
            self.idle.remove(&known.used);
            self.idle.insert(self.clock, digest);
        }
        known.used = self.clock;
        true
    }

    pub(crate) fn hold(&mut self, digest: Digest) -> bool {
        let Some(known) = self.blobs.get_mut(&digest) else {
            return false;
        };
        if known.holds == 0 {
            self.idle.remove(&known.used);
            self.idle_size -= digest.size;
        }
        known.holds += 1;
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
            self.idle.insert(self.clock, digest);
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
        if known.holds == 0 {
            self.idle.remove(&known.used);
            self.idle_size -= digest.size;
        }
    }

    /// Takes the blob out that was used least recently and that nobody holds.
    pub(crate) fn evict(&mut self) -> Option<Digest> {
        let (_, digest) = self.idle.pop_first()?;
        self.blobs.remove(&digest);
        self.size -= digest.size;
        self.idle_size -= digest.size;
        Some(digest)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that somebody holds.
    pub(crate) fn held_size(&self) -> u64 {
        self.size - self.idle_size
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
            index.add(blob(content), true);
        }
        assert!(index.touch(blob("a")));
        assert_eq!(index.size(), 6);
        assert_eq!(index.evict(), Some(blob("bb")));
        assert_eq!(index.evict(), Some(blob("ccc")));
        assert_eq!(index.evict(), Some(blob("a")));
        assert_eq!((index.evict(), index.size(), index.len()), (None, 0, 0));
    }

    #[test]
    fn what_is_held_stays() {
        let mut index = Index::default();
        index.add(blob("a"), true);
        index.add(blob("bb"), true);
        assert!(index.hold(blob("a")) && index.hold(blob("a")));
        assert_eq!(index.held_size(), 1);
        assert_eq!(index.evict(), Some(blob("bb")));
        index.release(blob("a"));
        assert_eq!(index.evict(), None);
        index.release(blob("a"));
        assert_eq!(index.evict(), Some(blob("a")));
        assert!(!index.hold(blob("a")));
    }

    #[test]
    fn one_that_is_removed_may_be_released() {
        let mut index = Index::default();
        index.add(blob("a"), false);
        assert!(index.hold(blob("a")));
        index.remove(blob("a"));
        index.release(blob("a"));
        assert_eq!((index.size(), index.held_size(), index.len()), (0, 0, 0));
    }
}
