//! The files that were parsed, shared by all workers.
//!
//! An entry is only worth something together with the file's stamp, which the taker compares. Files that are known
//! to have changed are dropped, so that a change without a new stamp does no harm.

use std::collections::HashMap;
use std::sync::Arc;

use crate::loaded::Loaded;
use crate::tree::{Changes, Tree};

/// A dialect's code, and the file parsed by its rules.
type InDialect = ([u8; 2], Arc<Loaded>);

/// Parsed files.
#[derive(Default)]
pub(crate) struct ParsedFiles {
    /// By real path, then by dialect.
    by_path: HashMap<Vec<u8>, Vec<InDialect>>,
    /// How much of the record of changes was taken notice of here.
    position: u64,
}

impl ParsedFiles {
    /// Drops what changed up to `now`, whatever its stamp says: a mapped file changes without a new time.
    pub(crate) fn notice_changes(&mut self, tree: &dyn Tree, now: u64) {
        if now <= self.position {
            return;
        }
        match tree.changes_since(self.position) {
            Changes::Unknown => self.by_path.clear(),
            Changes::Entries(entries) => {
                for entry in entries {
                    self.by_path.remove(&entry);
                }
            }
        }
        self.position = now;
    }

    pub(crate) fn get(&self, real: &[u8], code: [u8; 2]) -> Option<Arc<Loaded>> {
        let (_, loaded) = self.by_path.get(real)?.iter().find(|(c, _)| *c == code)?;
        Some(Arc::clone(loaded))
    }

    /// Keeps a file that was read when the record of changes was `position` long, if it is still known to be as read.
    pub(crate) fn keep(
        &mut self,
        tree: &dyn Tree,
        position: u64,
        real: &[u8],
        code: [u8; 2],
        file: &Arc<Loaded>,
    ) {
        let is_changed = self.position > position
            && match tree.changes_since(position) {
                Changes::Unknown => true,
                Changes::Entries(entries) => entries.iter().any(|entry| entry == real),
            };
        if !is_changed {
            let all = self.by_path.entry(real.to_vec()).or_default();
            all.retain(|(c, _)| *c != code);
            all.push((code, Arc::clone(file)));
        }
    }
}
