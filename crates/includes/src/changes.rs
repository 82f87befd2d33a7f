//! Changes: how a worker learns that what it knows of the file system is no longer true.

use std::sync::Arc;

use crate::tree::{Changes, Stamp};
use crate::worker::Worker;

impl Worker {
    /// Takes notice of all changes up to now. A change that can matter makes the worker forget what depends on
    /// the file system, all at once. Parsed files and names stay, so the next answers cost one `stat` for each file
    /// they visit and one evaluation for each state: simple and never half stale, but a project with many files
    /// pays for all of them after each change.
    pub(crate) fn notice_changes(&mut self) {
        let tree = Arc::clone(&self.shared.tree);
        let now = tree.drain();
        let mut stale = false;
        if now != self.position {
            match tree.changes_since(self.position) {
                Changes::Unknown => stale = true,
                Changes::Entries(entries) => {
                    for entry in entries {
                        stale |= self.folders.note_change(&entry);
                    }
                }
            }
            self.position = now;
        }
        let same = |path: &[u8], before: &Option<Stamp>| match (tree.stamp(path), before) {
            (Some(now), Some(before)) => now.is_same_as(before),
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
        if stale {
            self.forget();
        }
    }

    /// Forgets all that depends on the file system. Parsed files stay: they are compared by stamp.
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
        self.absent_ids.clear();
        self.visits.clear();
        self.visit_ids.clear();
        self.summaries.clear();
        self.compared.clear();
        self.answers.clear();
    }
}
