//! The files that were parsed, shared by all workers.
//!
//! An entry is only worth something together with the file's stamp, which the taker compares. Files that are known
//! to have changed are dropped, so that a change without a new stamp does no harm.

use std::sync::Arc;

use crate::memory::names::FastMap;
use crate::parsing::dialect::Dialect;
use crate::parsing::loaded::Loaded;
use crate::tree::{Changes, Tree};

/// Parsed files.
#[derive(Default)]
pub(crate) struct ParsedFiles {
    /// By real path: one for each set of rules that makes a difference.
    by_path: FastMap<Vec<u8>, Vec<Arc<Loaded>>>,
    /// What workers read now, by real paths.
    being_read: Vec<Reading>,
    /// How much of the record of changes was taken notice of here.
    position: u64,
    /// Words of memory, about.
    pub(crate) weight: usize,
}

/// A file that is read now.
#[derive(Debug)]
struct Reading {
    real: Arc<[u8]>,
    rules: Dialect,
    /// The number of the thread that reads it.
    thread: usize,
}

impl ParsedFiles {
    /// Drops what changed up to `now`, whatever its stamp says: a mapped file changes without a new time.
    pub(crate) fn notice_changes(&mut self, tree: &dyn Tree, now: u64) {
        if now <= self.position {
            return;
        }
        match tree.changes_since(self.position) {
            Changes::Unknown => {
                self.by_path.clear();
                self.weight = 0;
            }
            Changes::Entries(entries) => {
                for entry in entries {
                    for file in self.by_path.remove(&entry).unwrap_or_default() {
                        self.weight -= file.weight();
                    }
                }
            }
        }
        self.position = now;
    }

    /// The parsed file.
    pub(crate) fn get(&self, real: &[u8], dialect: Dialect) -> Option<Arc<Loaded>> {
        let fits = |file: &&Arc<Loaded>| dialect.masked(file.matters) == file.dialect;
        self.by_path.get(real)?.iter().find(fits).map(Arc::clone)
    }

    /// By which rules a worker reads this file now.
    pub(crate) fn being_read(&self, real: &[u8]) -> Option<Dialect> {
        let mut all = self.being_read.iter();
        Some(all.find(|reading| *reading.real == *real)?.rules)
    }

    /// Notes that this file is read, unless it is known, until [`ParsedFiles::end_reading`] of what is returned.
    pub(crate) fn begin_reading(
        &mut self,
        real: &Arc<[u8]>,
        rules: Dialect,
        thread: usize,
    ) -> Option<Arc<[u8]>> {
        if self.get(real, rules).is_some() {
            return None;
        }
        self.being_read.push(Reading {
            real: Arc::clone(real),
            rules,
            thread,
        });
        Some(Arc::clone(real))
    }

    pub(crate) fn end_reading(&mut self, real: &[u8]) {
        let mut all = self.being_read.iter();
        if let Some(at) = all.position(|reading| *reading.real == *real) {
            self.being_read.swap_remove(at);
        }
    }

    /// This thread reads nothing any more.
    pub(crate) fn end_all_reading(&mut self, thread: usize) {
        self.being_read.retain(|reading| reading.thread != thread);
    }

    /// Keeps a file that was read when the record of changes was `position` long, if it is still known to be as read.
    /// Returns the one to be used: another worker may have kept an equal one meanwhile.
    pub(crate) fn keep(
        &mut self,
        tree: &dyn Tree,
        position: u64,
        real: &[u8],
        file: Loaded,
    ) -> Arc<Loaded> {
        let known = self.by_path.get(real).into_iter().flatten();
        if let Some(same) = known.into_iter().find(|known| known.is_equal(&file)) {
            return Arc::clone(same);
        }
        let file = Arc::new(file);
        let is_changed = self.position > position
            && match tree.changes_since(position) {
                Changes::Unknown => true,
                Changes::Entries(entries) => entries.iter().any(|entry| entry == real),
            };
        if !is_changed {
            let all = self.by_path.entry(real.to_vec()).or_default();
            let weights = |all: &[Arc<Loaded>]| all.iter().map(|f| f.weight()).sum::<usize>();
            self.weight -= weights(all);
            all.retain(|known| known.stamp == file.stamp && known.dialect != file.dialect);
            all.push(Arc::clone(&file));
            self.weight += weights(all);
        }
        file
    }
}
