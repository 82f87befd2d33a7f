//! Changes: how a worker learns that what it knows of the file system is no longer true.

use std::sync::Arc;

use crate::locks::lock;
use crate::memory::layers::Layers;
use crate::tree::{Changes, Stamp};
use crate::worker::Worker;

impl Worker {
    /// Takes notice of all changes up to now. A new content of a file makes the worker forget what rests on it, see
    /// [`Worker::renew_contents`]. Any other change that can matter (files and folders that come and go, links,
    /// compilers) makes it forget what depends on the file system, all at once: parsed files and names stay, so the
    /// next answers cost one `stat` for each file they visit and one evaluation for each state.
    ///
    /// True: something was forgotten.
    pub(crate) fn notice_changes(&mut self) -> bool {
        self.compare(Stamp::is_same_as)
    }

    /// Takes notice of changes since the last notice, for an answer that was made meanwhile: true if it may be half of
    /// one state and half of another. A file that inotify does not tell of and that changed twice within one clock
    /// tick passes; the next notice does not trust it.
    pub(crate) fn is_torn(&mut self) -> bool {
        self.compare(Stamp::is_equal)
    }

    /// How often the file system or a compiler was asked. Between two equal counts an answer came from memory alone.
    pub(crate) fn looks(&self) -> u64 {
        self.folders.looks + self.stats.questions_asked
    }

    fn compare(&mut self, is_same: fn(&Stamp, &Stamp) -> bool) -> bool {
        let spoiled = self.take_notice(is_same);
        self.vouch_for_answers();
        spoiled
    }

    /// Lets others take the answers that are kept, if all changes that matter to them were told up to now.
    pub(crate) fn vouch_for_answers(&mut self) {
        let are_told = self.folders.unwatched.is_empty()
            && self.folders.passed.is_empty()
            && self.compared.is_empty();
        self.answers.have_looked(are_told.then_some(self.position));
    }

    fn take_notice(&mut self, is_same: fn(&Stamp, &Stamp) -> bool) -> bool {
        let tree = Arc::clone(&self.shared.tree);
        let now = tree.drain();
        let mut stale = false;
        let mut changed: Vec<Vec<u8>> = Vec::new();
        if now != self.position {
            lock(&self.shared.parsed).notice_changes(&*tree, now);
            match tree.changes_since(self.position) {
                Changes::Unknown => stale = true,
                Changes::Entries(entries) => {
                    for entry in entries {
                        if self.folders.note_change(&entry) && !changed.contains(&entry) {
                            changed.push(entry);
                        }
                    }
                }
            }
            self.position = now;
        }
        let same = |path: &[u8], before: &Option<Stamp>| match (tree.stamp(path), before) {
            (Some(now), Some(before)) => is_same(&now, before),
            (None, None) => true,
            _ => false,
        };
        stale = stale
            || !self
                .folders
                .unwatched
                .iter()
                .all(|(path, before)| same(path, before));
        stale = stale
            || !self
                .compared
                .iter()
                .all(|(path, before)| same(path, before));
        stale = stale || self.folders.has_other_ways();
        stale = stale || !changed.iter().all(|entry| self.is_only_content(entry));
        if !stale && !changed.is_empty() {
            match self.renew_contents(&changed) {
                Some(spoiled) => return spoiled,
                None => stale = true,
            }
        }
        if stale {
            self.forget();
        }
        stale
    }

    /// Forgets all that depends on the file system. Parsed files and compilers' facts stay: they are compared by stamp.
    pub(crate) fn forget(&mut self) {
        self.folders.clear();
        self.contexts.clear();
        self.context_ids.clear();
        self.files.clear();
        self.file_ids.clear();
        self.beside.clear();
        self.beside_ids.clear();
        self.lookups.clear();
        self.absent.clear();
        self.visits.clear();
        self.visit_ids.clear();
        self.summaries.clear();
        self.env.layers = Layers::default();
        self.transfers.clear();
        self.adopted.clear();
        self.shared.offers.clear();
        self.flats.clear();
        self.compared.clear();
        self.answers.clear();
        self.bases.clear();
    }
}
