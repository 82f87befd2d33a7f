//! Taking over what another worker found out: an offered summary (`offers`) becomes one of our own.
//!
//! As with summaries of another chain (`transfer`), each search that it rests on is made here; besides, each file that it
//! entered is read here, and must hold what it held there. If all is the same, evaluation would read and do
//! the same. From then on it is a summary like others: changes that we hear of later drop it.

use std::sync::Arc;

use crate::memory::names::FastMap;
use crate::memory::offers::{FoundFile, Offer, Offered, Sought};
use crate::memory::summary::{Item, Summary, SummaryId};
use crate::worker::{File, Visit, Worker};

/// What became of offers.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// By the offer's address, which is taken as long as the offer is kept here, and the visit.
    known: FastMap<(usize, u32), (Arc<Offer>, Option<SummaryId>)>,
}

impl Adopted {
    pub(crate) fn clear(&mut self) {
        *self = Adopted::default();
    }

    /// Forgets what was made of offers and is gone.
    pub(crate) fn forget(&mut self, is_gone: impl Fn(SummaryId) -> bool) {
        // What could not be taken over before may be now.
        self.known
            .retain(|_, (_, made)| made.is_some_and(|id| !is_gone(id)));
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

impl Worker {
    /// A summary of this visit's file that another worker made, fits the environment and holds here, too. Its reads count
    /// as reads of the open frame.
    pub(crate) fn adopt(&mut self, id: u32) -> Option<SummaryId> {
        let visit = self.visits[id as usize];
        for candidate in self.fitting_offers(visit) {
            if !self.is_found(visit.file, visit, &candidate.file) {
                continue;
            }
            if let Some(made) = self.adopted(&candidate.offer, id) {
                for &(name, _) in &candidate.reads {
                    self.env.read(name);
                }
                let root = &mut self.visits[id as usize].root;
                self.summaries.link(root, &candidate.reads, made);
                self.stats.summaries_adopted += 1;
                return Some(made);
            }
        }
        None
    }

    fn adopted(&mut self, offer: &Arc<Offer>, id: u32) -> Option<SummaryId> {
        let key = (Arc::as_ptr(offer).addr(), id);
        if let Some((_, made)) = self.adopted.known.get(&key) {
            return *made;
        }
        let made = self.make_own(offer, id);
        let kept = (Arc::clone(offer), made);
        self.adopted.known.insert(key, kept);
        made
    }

    fn make_own(&mut self, offer: &Arc<Offer>, id: u32) -> Option<SummaryId> {
        let visit = self.visits[id as usize];
        let mut items = Vec::with_capacity(offer.items.len());
        let mut entered = None;
        for item in &offer.items {
            items.push(match item {
                Offered::Visit(sought) => {
                    let lookup = self.search_again(sought, visit)?;
                    entered = self.lookups[lookup as usize].visit;
                    Item::Visit(lookup)
                }
                Offered::Double(sought) => Item::Double(self.search_again(sought, visit)?),
                Offered::Probe(sought) => Item::Probe(self.search_again(sought, visit)?),
                Offered::Child(child) => Item::Child(self.adopted(child, entered?)?),
                Offered::Note(note, in_system) => Item::Note(visit.file, *note, *in_system),
                Offered::Line => Item::Line(visit.file),
            });
        }
        Some(self.summaries.push(Summary {
            effects: Arc::clone(&offer.effects),
            items: items.into(),
            height: offer.height,
            offer: Some(Arc::clone(offer)),
        }))
    }

    /// The search that this visit's file makes here, if it ends as there.
    fn search_again(&mut self, sought: &Sought, visit: Visit) -> Option<u32> {
        let File { folder, beside, .. } = self.files[visit.file as usize];
        let beside = self.name_of_folder(visit.context, folder, beside);
        let (header, form) = (sought.header, sought.form);
        let mine = self.lookup(visit.context, header, form, beside, false, visit.place);
        let here = &self.lookups[mine as usize];
        if here.precompiled.is_some() || here.depends_on_system {
            return None;
        }
        let ends_same = match (&sought.found, here.visit) {
            (None, None) => true,
            (Some(there), Some(id)) => {
                let file = here.file;
                let visit = self.visits[id as usize];
                self.is_found(file, visit, there)
            }
            _ => false,
        };
        ends_same.then_some(mine)
    }

    /// Whether a file that we found is the one found there, with the same content if that mattered.
    fn is_found(&mut self, file: u32, visit: Visit, there: &FoundFile) -> bool {
        let dialect = self.contexts[visit.context as usize].dialect;
        let here = &self.files[file as usize];
        // With a link it has several names, and clang's answer may depend on which it met first.
        let has_names = dialect.clang && !here.links.is_empty();
        let is_same_file = here.spelled == there.spelled
            && here.real == there.real
            && std::mem::discriminant(&visit.place) == there.place;
        if has_names || !is_same_file {
            return false;
        }
        match &there.loaded {
            None => true,
            Some(content) => self
                .load(file, dialect)
                .is_some_and(|here| content.is_same_as(&here)),
        }
    }
}
