//! Summaries that workers offer each other, so that a header is evaluated once and not by each of them.
//!
//! An offer says in terms that hold in every worker what a summary lists: searches by header and by the file found, files
//! with their parsed content, the offers of files below. Who takes one makes sure of all of it in its own
//! view of the file system (`adoption`), so nothing here can be stale for those who take it: what is out of date does
//! not fit. It is dropped when a worker meets a change, for the memory's sake.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::locks::lock;
use crate::memory::environment::Environment;
use crate::memory::names::{FastMap, Id};
use crate::memory::summary::{Item, SummaryId};
use crate::parsing::dialect::Dialect;
use crate::parsing::loaded::Loaded;
use crate::parsing::steps::{Form, Likeness};
use crate::search::Place;
use crate::worker::{Noted, Visit, Worker};

/// A summary as others may take it over.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) effects: Arc<[(Id, Id)]>,
    pub(crate) height: u16,
    pub(crate) items: Box<[Offered]>,
}

/// Something that happened, as in [`Item`].
#[derive(Debug)]
pub(crate) enum Offered {
    Visit(Sought),
    Double(Sought),
    Probe(Sought),
    /// It follows the visit that led to it.
    Child(Arc<Offer>),
    /// Of the summary's own file.
    Note(u32, bool),
    /// Of the summary's own file.
    Line,
}

/// A search and how it ended.
#[derive(Debug)]
pub(crate) struct Sought {
    pub(crate) header: Id,
    pub(crate) form: Form,
    pub(crate) found: Option<FoundFile>,
}

/// A file found, by all that tells it from others.
#[derive(Debug, Clone)]
pub(crate) struct FoundFile {
    pub(crate) spelled: Arc<[u8]>,
    pub(crate) real: Arc<[u8]>,
    pub(crate) place: std::mem::Discriminant<Place>,
    /// Its content, if it mattered.
    pub(crate) loaded: Option<Content>,
}

/// A file's parsed content.
#[derive(Clone)]
pub(crate) struct Content(Arc<Loaded>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content")
    }
}

impl Content {
    /// Whether evaluation reads the same in both, lines and all.
    pub(crate) fn is_same_as(&self, other: &Arc<Loaded>) -> bool {
        Arc::ptr_eq(&self.0, other) || self.0.likeness(other) == Likeness::Same
    }
}

/// What a summary is found under: its file and the rules it was read by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// From which folder, if it is relative, does not matter: searches and contents are compared.
    spelled: Arc<[u8]>,
    /// As far as it matters to evaluation.
    dialect: Dialect,
}

/// An offer, and what its file read.
pub(crate) struct Candidate {
    pub(crate) file: FoundFile,
    pub(crate) reads: Box<[(Id, Id)]>,
    pub(crate) offer: Arc<Offer>,
}

/// Candidates of one file; beyond it the oldest go.
const CANDIDATES: usize = 64;

/// Candidates that fit the environment and are tried; they differ by where searches led.
const TRIES: usize = 4;

/// How many tables there are, so that workers seldom wait for each other.
const TABLES: usize = 16;

#[derive(Default)]
struct Table {
    known: FastMap<Key, Vec<Arc<Candidate>>>,
    /// What threads evaluate now, by their numbers.
    awaited: Vec<(Key, usize)>,
    /// Words of memory, about.
    weight: usize,
}

/// The offers of all workers.
#[derive(Default)]
pub(crate) struct Offers {
    /// Workers that answer: one alone has nobody to make offers to.
    workers: AtomicUsize,
    tables: [Mutex<Table>; TABLES],
}

impl Candidate {
    fn weight(&self) -> usize {
        // The effects are the summary's own.
        8 + self.reads.len() + 8 * self.offer.items.len()
    }

    fn fits(&self, env: &Environment) -> bool {
        let mut reads = self.reads.iter();
        reads.all(|&(name, value)| env.peek(name) == value)
    }
}

impl Offers {
    /// One more worker answers.
    pub(crate) fn join(&self) {
        self.workers.fetch_add(1, Ordering::Relaxed);
    }

    fn has_takers(&self) -> bool {
        self.workers.load(Ordering::Relaxed) > 1
    }

    fn table(&self, key: &Key) -> &Mutex<Table> {
        let end = key.spelled.iter().rev().take(8);
        let sum = end.fold(0, |sum: usize, &byte| sum * 31 + usize::from(byte));
        &self.tables[sum % TABLES]
    }

    /// Words of memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.tables.iter().map(|table| lock(table).weight).sum()
    }

    /// Drops all.
    pub(crate) fn clear(&self) {
        if self.has_takers() {
            for table in &self.tables {
                *lock(table) = Table::default();
            }
        }
    }

    fn add(&self, key: Key, candidate: Candidate) {
        let mut table = lock(self.table(&key));
        let table = &mut *table;
        let all = table.known.entry(key).or_default();
        let is_same = |other: &Arc<Candidate>| other.reads == candidate.reads;
        let at = all
            .iter()
            .position(is_same)
            .or_else(|| (all.len() >= CANDIDATES).then_some(0));
        if let Some(at) = at {
            table.weight -= all.remove(at).weight();
        }
        table.weight += candidate.weight();
        all.push(Arc::new(candidate));
    }

    fn begin(&self, key: Key, thread: usize) {
        lock(self.table(&key)).awaited.push((key, thread));
    }

    fn end(&self, key: &Key, thread: usize) {
        let awaited = &mut lock(self.table(key)).awaited;
        let is_it = |(other, by): &(Key, usize)| *by == thread && other == key;
        if let Some(at) = awaited.iter().rposition(is_it) {
            awaited.swap_remove(at);
        }
    }

    /// This thread evaluates nothing any more.
    pub(crate) fn end_all(&self, thread: usize) {
        for table in &self.tables {
            lock(table).awaited.retain(|(_, by)| *by != thread);
        }
    }

    /// Whether another thread evaluates this now.
    fn is_awaited(&self, key: &Key, thread: usize) -> bool {
        let table = lock(self.table(key));
        let mut others = table.awaited.iter().filter(|(_, by)| *by != thread);
        others.any(|(other, _)| other == key)
    }

    /// What fits, the newest first.
    fn fitting(&self, key: &Key, env: &Environment) -> Vec<Arc<Candidate>> {
        let table = lock(self.table(key));
        let all = table.known.get(key).into_iter().flatten().rev();
        let fitting = all.filter(|candidate| candidate.fits(env));
        fitting.take(TRIES).cloned().collect()
    }
}

/// A note that a file is evaluated and will be offered, until [`Worker::end_making`].
pub(crate) struct Making(Option<Key>);

impl Worker {
    /// Tells others that this visit's file is evaluated here.
    pub(crate) fn begin_making(&self, visit: Visit) -> Making {
        if !self.shared.offers.has_takers() || !self.may_share(visit) {
            return Making(None);
        }
        let key = self.offer_key(visit);
        self.shared.offers.begin(key.clone(), self.thread);
        Making(Some(key))
    }

    pub(crate) fn end_making(&self, making: Making) {
        if let Some(key) = making.0 {
            self.shared.offers.end(&key, self.thread);
        }
    }

    /// Whether another worker evaluates this visit's file, under whatever macros.
    pub(crate) fn is_made_elsewhere(&self, visit: Visit) -> bool {
        self.shared.offers.has_takers()
            && self.may_share(visit)
            && self
                .shared
                .offers
                .is_awaited(&self.offer_key(visit), self.thread)
    }

    /// Offers a summary, just made of this visit's file under these reads, to other workers.
    pub(crate) fn make_offer(&mut self, id: SummaryId, visit: u32, reads: &[(Id, Id)]) {
        let visit = self.visits[visit as usize];
        if !self.shared.offers.has_takers() || !self.may_share(visit) {
            return;
        }
        let Some(file) = self.found_file(visit.file, visit, true) else {
            return;
        };
        let Some(offer) = self.offer_of(id, visit) else {
            return;
        };
        let reads = reads.into();
        let key = self.offer_key(visit);
        self.shared
            .offers
            .add(key, Candidate { file, reads, offer });
    }

    /// Offers of this visit's file that fit the environment.
    pub(crate) fn fitting_offers(&self, visit: Visit) -> Vec<Arc<Candidate>> {
        if !self.shared.offers.has_takers() || !self.may_share(visit) {
            return Vec::new();
        }
        self.shared
            .offers
            .fitting(&self.offer_key(visit), &self.env)
    }

    /// Nothing is noted there that belongs to the worker's own unit.
    fn may_share(&self, visit: Visit) -> bool {
        self.contexts[visit.context as usize].noted == Noted::default()
    }

    fn offer_key(&self, visit: Visit) -> Key {
        Key {
            spelled: Arc::clone(&self.files[visit.file as usize].spelled),
            dialect: self.contexts[visit.context as usize].dialect.of_summaries(),
        }
    }

    /// `None`: what is known of the file is not of one piece now.
    fn found_file(&self, file: u32, visit: Visit, with_content: bool) -> Option<FoundFile> {
        let dialect = self.contexts[visit.context as usize].dialect;
        let file = &self.files[file as usize];
        let mut loaded = None;
        if with_content {
            let content = file.loaded.iter().find(|(rules, _)| *rules == dialect);
            loaded = Some(Content(Arc::clone(&content?.1)));
        }
        (file.renewed == Likeness::Same).then(|| FoundFile {
            spelled: Arc::clone(&file.spelled),
            real: Arc::clone(&file.real),
            place: std::mem::discriminant(&visit.place),
            loaded,
        })
    }

    fn offer_of(&mut self, id: SummaryId, visit: Visit) -> Option<Arc<Offer>> {
        let summary = self.summaries.get(id);
        if let Some(offer) = &summary.offer {
            return Some(Arc::clone(offer));
        }
        let (effects, height) = (Arc::clone(&summary.effects), summary.height);
        let list = summary.items.clone();
        let mut items = Vec::with_capacity(list.len());
        let mut entered = None;
        for item in &list {
            items.push(match *item {
                Item::Visit(lookup) => {
                    entered = self.lookups[lookup as usize].visit;
                    Offered::Visit(self.sought(lookup, true)?)
                }
                Item::Double(lookup) => Offered::Double(self.sought(lookup, true)?),
                Item::Probe(lookup) => Offered::Probe(self.sought(lookup, false)?),
                Item::Child(child) => {
                    let entered = self.visits[entered? as usize];
                    Offered::Child(self.offer_of(child, entered)?)
                }
                Item::Note(file, note, in_system) if file == visit.file => {
                    Offered::Note(note, in_system)
                }
                Item::Line(file) if file == visit.file => Offered::Line,
                Item::Note(..) | Item::Line(_) => return None,
            });
        }
        let offer = Arc::new(Offer {
            effects,
            height,
            items: items.into(),
        });
        self.summaries.note_offer(id, &offer);
        Some(offer)
    }

    fn sought(&self, lookup: u32, with_content: bool) -> Option<Sought> {
        let lookup = &self.lookups[lookup as usize];
        let found = match lookup.visit {
            None => None,
            Some(visit) => {
                let visit = self.visits[visit as usize];
                Some(self.found_file(lookup.file, visit, with_content)?)
            }
        };
        let (header, form) = (lookup.header, lookup.form);
        Some(Sought {
            header,
            form,
            found,
        })
    }
}
