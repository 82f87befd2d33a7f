//! Flat lists: everything that happened below a summary, each search once.
//!
//! A tree of summaries names a header wherever it is included, guarded or not: for 2,000 files some 20,000 times. What a
//! main file includes is flattened when it is first gathered, and most compiles of a project find their few big headers
//! flat.

use std::sync::Arc;

use crate::memory::names::FastMap;
use crate::memory::summary::{Item, Summaries, SummaryId};

/// A search that was made, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Searched {
    pub(crate) lookup: u32,
    /// Nothing but `__has_include` asked, or the file is one more copy of one that is read once.
    pub(crate) probed_only: bool,
    /// The compiler lists what it found.
    pub(crate) listed: bool,
}

impl Searched {
    /// The search in an item, if it is one.
    pub(crate) fn of(item: &Item, clang: bool) -> Option<Self> {
        let (lookup, probed_only, listed) = match *item {
            Item::Visit(lookup) => (lookup, false, true),
            Item::Double(lookup) => (lookup, true, false),
            Item::Probe(lookup) => (lookup, true, clang),
            Item::Child(_) | Item::Note(..) | Item::Line(_) => return None,
        };
        Some(Searched {
            lookup,
            probed_only,
            listed,
        })
    }
}

/// What happened below a summary, in the order of first times.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Flat {
    pub(crate) searches: Vec<Searched>,
    /// As in [`Item::Note`].
    pub(crate) notes: Vec<(u32, u32, bool)>,
}

/// The flat lists made so far.
#[derive(Debug, Default)]
pub(crate) struct Flats {
    known: FastMap<SummaryId, Arc<Flat>>,
    /// What the list being made holds already: for each index the number of the list that met it last, and where.
    number: u32,
    lookups: Vec<(u32, u32)>,
    summaries: Vec<u32>,
    /// Words of memory, about.
    pub(crate) weight: usize,
}

impl Flats {
    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        *self = Flats::default();
    }

    /// Forgets those of summaries that are gone.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(SummaryId) -> bool) {
        self.known.retain(|id, _| !is_gone(*id));
        self.weight = self.known.values().map(|flat| weight(flat)).sum();
    }

    /// The list of a summary under the rules of gcc or clang, which is one of them for each summary.
    pub(crate) fn of(&mut self, id: SummaryId, all: &Summaries, clang: bool) -> Arc<Flat> {
        if let Some(flat) = self.known.get(&id) {
            return Arc::clone(flat);
        }
        self.number = self.number.wrapping_add(1);
        if self.number == 0 {
            self.lookups.clear();
            self.summaries.clear();
            self.number = 1;
        }
        self.summaries
            .resize(all.len().max(self.summaries.len()), 0);
        let mut flat = Flat::default();
        self.add(&mut flat, id, all, clang);
        let flat = Arc::new(flat);
        self.weight += weight(&flat);
        self.known.insert(id, Arc::clone(&flat));
        flat
    }

    fn add(&mut self, flat: &mut Flat, id: SummaryId, all: &Summaries, clang: bool) {
        if std::mem::replace(&mut self.summaries[id as usize], self.number) == self.number {
            return;
        }
        for item in &all.get(id).items {
            match *item {
                Item::Child(child) => self.add(flat, child, all, clang),
                Item::Note(file, note, in_system) => flat.notes.push((file, note, in_system)),
                _ => {
                    if let Some(searched) = Searched::of(item, clang) {
                        self.add_search(flat, searched);
                    }
                }
            }
        }
    }

    fn add_search(&mut self, flat: &mut Flat, searched: Searched) {
        let at = searched.lookup as usize;
        if self.lookups.len() <= at {
            self.lookups.resize(at + 1, (0, 0));
        }
        let (number, place) = self.lookups[at];
        if number == self.number {
            let known = &mut flat.searches[place as usize];
            known.probed_only &= searched.probed_only;
            known.listed |= searched.listed;
        } else {
            let place = u32::try_from(flat.searches.len()).unwrap_or(u32::MAX);
            self.lookups[at] = (self.number, place);
            flat.searches.push(searched);
        }
    }
}

fn weight(flat: &Flat) -> usize {
    4 + flat.searches.len() + flat.notes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::summary::Summary;

    #[test]
    fn each_search_stands_where_it_was_made_first() {
        let mut all = Summaries::default();
        let mut push = |items: &[Item]| {
            all.push(Summary {
                effects: Arc::default(),
                items: items.into(),
                height: 0,
                offer: None,
            })
        };
        let leaf = push(&[Item::Visit(7), Item::Note(1, 2, false), Item::Line(1)]);
        let middle = push(&[Item::Probe(9), Item::Child(leaf), Item::Double(3)]);
        let top = push(&[
            Item::Probe(7),
            Item::Child(middle),
            Item::Child(leaf),
            Item::Visit(9),
        ]);
        let mut flats = Flats::default();
        let flat = flats.of(top, &all, false);
        let searches: Vec<_> = flat
            .searches
            .iter()
            .map(|s| (s.lookup, s.probed_only, s.listed))
            .collect();
        assert_eq!(
            searches,
            [(7, false, true), (9, false, true), (3, true, false)]
        );
        assert_eq!(flat.notes, [(1, 2, false)]);
        assert!(Arc::ptr_eq(&flat, &flats.of(top, &all, false)));
        let before = flats.weight;
        flats.of(leaf, &all, false);
        flats.forget(|id| id == leaf);
        assert_eq!(flats.weight, before);
    }
}
