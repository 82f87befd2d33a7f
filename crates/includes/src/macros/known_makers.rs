//! What one worker knows of makers, and how it learns of those that others found.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::macros;
use crate::macros::makers::{Kind, Makers};
use crate::macros::stock_makers::STOCK;
use crate::memory::names::{FastMap, Id, Names, SharedNames};
use crate::parsing::dialect::Dialect;

/// The makers met in any file so far, shared by all workers.
#[derive(Debug)]
pub(crate) struct SharedMakers(Mutex<Arc<Makers>>);

/// One worker's view.
#[derive(Debug)]
pub(crate) struct KnownMakers {
    shared: Arc<SharedMakers>,
    now: Arc<Makers>,
    /// Definitions of command lines, and the generation they were last compared with.
    judged: FastMap<(Id, Id), u32>,
}

impl SharedMakers {
    /// Those of common headers.
    pub(crate) fn new(names: &Arc<SharedNames>) -> Self {
        let mut names = Names::new(Arc::clone(names));
        let stock: Vec<(Id, Kind)> = STOCK
            .iter()
            .map(|(name, kind)| (names.id(name.as_bytes()), *kind))
            .collect();
        let none = Makers::default();
        let makers = none.with(&stock, &mut names).unwrap_or(none);
        SharedMakers(Mutex::new(Arc::new(makers)))
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Makers>> {
        // A set is put in whole, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownMakers {
    pub(crate) fn new(shared: Arc<SharedMakers>) -> Self {
        let now = Arc::clone(&shared.lock());
        KnownMakers {
            now,
            shared,
            judged: FastMap::default(),
        }
    }

    pub(crate) fn now(&self) -> &Makers {
        &self.now
    }

    /// Takes over what all workers found.
    pub(crate) fn catch_up(&mut self) {
        self.now = Arc::clone(&self.shared.lock());
    }

    /// Adds these. True: there are makers now that were not known here.
    pub(crate) fn learn(&mut self, found: &[(Id, Kind)], names: &mut Names) -> bool {
        if found.is_empty() {
            return false;
        }
        let mut shared = self.shared.lock();
        if let Some(more) = shared.with(found, names) {
            *shared = Arc::new(more);
        }
        let is_new = shared.generation != self.now.generation;
        self.now = Arc::clone(&shared);
        is_new
    }

    /// Looks into a definition on the command line.
    pub(crate) fn learn_of_definition(
        &mut self,
        name: Id,
        definition: Id,
        dialect: Dialect,
        names: &mut Names,
    ) {
        let generation = self.now.generation;
        if self.judged.insert((name, definition), generation) == Some(generation)
            || !self.now.may_be_in(&names.entry(definition).bytes)
        {
            return;
        }
        let entry = macros::parsed(definition, names);
        let judged = entry
            .parsed
            .get()
            .and_then(|parsed| self.now.judge(parsed, dialect, names));
        self.learn(judged.map(|kind| (name, kind)).as_slice(), names);
    }
}
