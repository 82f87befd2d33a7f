//! Summaries made over from one search chain to another.
//!
//! A summary belongs to a file *in a context*, because the same `#include` may lead elsewhere under other folders.
//! Mostly it does not: two targets of a project differ by a folder or two, and the system's headers are found where
//! they always are. So when a file has no fitting summary in this context but has one in another, each search that
//! the summary rests on is made here, too. If all of them find the same files, evaluation would read and do the
//! same, and the summary is made over: the same effects, with this context's searches (which probe other absent
//! paths) in its list. If one differs, nothing is made over, and the file is evaluated.

use std::sync::Arc;

use crate::memory::names::FastMap;
use crate::memory::summary::{Item, Summary, SummaryId};
use crate::search::Place;
use crate::worker::{File, Noted, Visit, Worker};

/// Other contexts tried, the newest first.
const TRIES: usize = 4;

/// Where a file was found, in terms that hold in every context: the kind of place, and its folder.
type Where = (u8, u32);

/// What is known of the same files in several contexts.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    /// Visits by file and place, of all contexts.
    siblings: FastMap<(u32, Where), Vec<u32>>,
    /// Summaries that were made over to a context, or could not be.
    done: FastMap<(SummaryId, u32), Option<SummaryId>>,
}

impl Transfers {
    pub(crate) fn clear(&mut self) {
        *self = Transfers::default();
    }

    /// Forgets what was made of summaries that are gone.
    pub(crate) fn forget_summaries(&mut self, is_gone: impl Fn(SummaryId) -> bool) {
        self.done
            .retain(|(from, _), made| !is_gone(*from) && !made.is_some_and(&is_gone));
    }
}

impl Worker {
    fn sibling_key(&self, visit: Visit) -> (u32, Where) {
        let place = match visit.place {
            Place::Main => (0, 0),
            Place::Beside => (1, 0),
            Place::BesideSystem => (4, 0),
            Place::CommandLine => (5, 0),
            Place::Absolute => (2, 0),
            Place::Chain(at) => {
                let folders = &self.contexts[visit.context as usize].chain.folders;
                (3, folders[usize::from(at)].id)
            }
        };
        (visit.file, place)
    }

    /// Notes a new visit, so that others find its summaries.
    pub(crate) fn note_sibling(&mut self, id: u32) {
        let key = self.sibling_key(self.visits[id as usize]);
        self.transfers.siblings.entry(key).or_default().push(id);
    }

    /// A summary of this visit's file that was made in another context, fits the environment and holds here, too.
    /// Its reads count as reads of the open frame.
    pub(crate) fn transfer(&mut self, id: u32) -> Option<SummaryId> {
        let visit = self.visits[id as usize];
        let siblings = self.transfers.siblings.get(&self.sibling_key(visit))?;
        if siblings.len() < 2 {
            return None;
        }
        let others: Vec<u32> = siblings
            .iter()
            .rev()
            .copied()
            .filter(|&other| other != id)
            .collect();
        let mut tried = 0;
        for other in others {
            let there = self.visits[other as usize];
            if !self.have_equal_rules(there.context, visit.context) {
                continue;
            }
            // Nothing is recorded while it is not sure that evaluation here would read the same names.
            let Some((summary, reads)) = self.summaries.peek(there.root, &self.env) else {
                continue;
            };
            if let Some(made) = self.made_over(summary, there.context, id) {
                for &(name, _) in &reads {
                    self.env.read(name);
                }
                self.summaries
                    .link(&mut self.visits[id as usize].root, &reads, made);
                self.stats.summaries_made_over += 1;
                return Some(made);
            }
            tried += 1;
            if tried == TRIES {
                break;
            }
        }
        None
    }

    /// Whether directives mean the same in both contexts, and nothing is noted that others may not have noted.
    fn have_equal_rules(&self, a: u32, b: u32) -> bool {
        let (a, b) = (&self.contexts[a as usize], &self.contexts[b as usize]);
        a.dialect.of_summaries() == b.dialect.of_summaries()
            && [a.noted, b.noted] == [Noted::default(); 2]
    }

    /// Whether the file's lines are the same in both contexts.
    fn is_parsed_alike(&mut self, file: u32, a: u32, b: u32) -> bool {
        let [a, b] = [a, b].map(|context| self.contexts[context as usize].dialect);
        a == b
            || matches!(
                (self.load(file, a), self.load(file, b)),
                (Some(a), Some(b)) if Arc::ptr_eq(&a, &b)
            )
    }

    /// `summary` of the context `there`, made over for the visit `id` of the same file.
    fn made_over(&mut self, summary: SummaryId, there: u32, id: u32) -> Option<SummaryId> {
        let key = (summary, self.visits[id as usize].context);
        if let Some(&known) = self.transfers.done.get(&key) {
            return known;
        }
        let made = self.make_over(summary, there, id);
        self.transfers.done.insert(key, made);
        made
    }

    fn make_over(&mut self, summary: SummaryId, there: u32, id: u32) -> Option<SummaryId> {
        let visit = self.visits[id as usize];
        if !self.is_parsed_alike(visit.file, there, visit.context) {
            return None;
        }
        let theirs = self.summaries.get(summary);
        let (height, effects) = (theirs.height, theirs.effects.clone());
        let mut items = theirs.items.clone();
        let mut entered = None;
        for item in &mut items {
            match item {
                Item::Visit(lookup) => {
                    *lookup = self.equal_search(*lookup, visit)?;
                    entered = self.lookups[*lookup as usize].visit;
                }
                Item::Double(lookup) | Item::Probe(lookup) => {
                    *lookup = self.equal_search(*lookup, visit)?;
                }
                // It follows the visit that led to it.
                Item::Child(child) => *child = self.made_over(*child, there, entered?)?,
                Item::Note(..) | Item::Line(_) => {}
            }
        }
        Some(self.summaries.push(Summary {
            effects,
            items,
            height,
            offer: None,
        }))
    }

    /// The search that `visit`'s file makes here where it made `lookup` elsewhere, if it ends the same.
    fn equal_search(&mut self, lookup: u32, visit: Visit) -> Option<u32> {
        let theirs = &self.lookups[lookup as usize];
        let (header, form, found) = (theirs.header, theirs.form, theirs.visit);
        let File { folder, beside, .. } = self.files[visit.file as usize];
        let beside = self.name_of_folder(visit.context, folder, beside);
        let mine = self.lookup(visit.context, header, form, beside, false, visit.place);
        let here = &self.lookups[mine as usize];
        let ends_same = match (found, here.visit) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                let [a, b] = [a, b].map(|id| self.sibling_key(self.visits[id as usize]));
                a == b
            }
            _ => false,
        };
        let is_plain = here.precompiled.is_none() && !here.depends_on_system;
        (ends_same && is_plain).then_some(mine)
    }
}
