//! Reading ahead: what a thread does while another reads, or evaluates, the very file that it needs next.
//!
//! Threads that begin together meet the same headers in the same order, and each file would be read and parsed by all of
//! them at once. Whoever finds that another is at it reads a file that it will need later instead: one that its main
//! file includes further on, or a header of those. Nothing is concluded from that; evaluation finds the file parsed
//! when it gets there. So one thread reads what both need while the other evaluates what both need.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Unit;
use crate::memory::names::{FastMap, Id};
use crate::parsing::loaded::Loaded;
use crate::parsing::steps::{Form, Step};
use crate::search::Place;
use crate::worker::{File, Noted, Visit};

/// Looks whether another thread has read a file, and pauses in between: some 100 µs, which few files take.
const LOOKS: usize = 200;
const SPINS: usize = 16;

/// Where there may be more to read ahead.
pub(super) struct Ahead {
    includers: VecDeque<Includer>,
    seen: FastMap<u32, ()>,
}

/// A file that is parsed, and how far its includes have been looked at.
struct Includer {
    loaded: Arc<Loaded>,
    next: usize,
    place: Place,
    beside: u32,
}

impl Includer {
    fn new(loaded: Arc<Loaded>, place: Place, beside: u32) -> Self {
        Includer {
            // Into the guard that is around all of it.
            next: usize::from(loaded.parsed.guard.is_some()),
            loaded,
            place,
            beside,
        }
    }

    /// The next header that is included whatever conditions hold.
    fn next_header(&mut self) -> Option<Id> {
        let steps = &self.loaded.parsed.steps;
        while let Some(&step) = steps.get(self.next) {
            let at = self.next;
            self.next += 1;
            match step {
                Step::If { next, .. }
                | Step::Ifdef { next, .. }
                | Step::Elif { next, .. }
                | Step::Elifdef { next, .. } => self.next = next as usize,
                Step::Else { end } => self.next = end as usize,
                Step::Include {
                    header,
                    form: Form::Include,
                } => return Some(header),
                _ => {}
            }
            if self.next <= at {
                // A condition without its `#endif` leads nowhere.
                self.next = steps.len();
            }
        }
        None
    }
}

impl Unit<'_> {
    /// The parsed file, read by others or here.
    pub(super) fn load(&mut self, visit: Visit, in_system: bool) -> Option<Arc<Loaded>> {
        let dialect = self.dialect.of_files(in_system);
        let mut looks = 0;
        while let Some(rules) = self.worker.read_elsewhere(visit.file, dialect) {
            if self.read_ahead() {
                continue;
            }
            // With nothing else to read, waiting is better than doing the same, unless the other is held up.
            looks += 1;
            if looks > LOOKS || rules != dialect {
                break;
            }
            (0..SPINS).for_each(|_| std::hint::spin_loop());
        }
        self.worker.load(visit.file, dialect)
    }

    /// Reads ahead while another worker evaluates this visit's file. Whether anything was read.
    pub(super) fn read_ahead_meanwhile(&mut self, visit: Visit) -> bool {
        let mut has_read = false;
        while self.worker.is_made_elsewhere(visit) && self.read_ahead() {
            has_read = true;
        }
        has_read
    }

    /// Reads one more file that will be needed. False: none is known.
    fn read_ahead(&mut self) -> bool {
        // What is noted then depends on the order in which files are met.
        if self.noted != Noted::default() {
            return false;
        }
        let mut ahead = self.ahead.take().unwrap_or_else(|| {
            let main = Includer::new(Arc::clone(&self.main_loaded), Place::Main, self.main_beside);
            Box::new(Ahead {
                includers: [main].into(),
                seen: FastMap::default(),
            })
        });
        let has_read = self.read_one_of(&mut ahead);
        self.ahead = Some(ahead);
        has_read
    }

    fn read_one_of(&mut self, ahead: &mut Ahead) -> bool {
        let worker = &mut *self.worker;
        while let Some(includer) = ahead.includers.front_mut() {
            let Some(header) = includer.next_header() else {
                ahead.includers.pop_front();
                continue;
            };
            let (place, beside) = (includer.place, includer.beside);
            let lookup = worker.lookup(self.context, header, Form::Include, beside, false, place);
            let Some(visit) = worker.lookups[lookup as usize].visit else {
                continue;
            };
            let Visit { file, place, .. } = worker.visits[visit as usize];
            if ahead.seen.insert(file, ()).is_some()
                || worker.read_elsewhere(file, self.dialect).is_some()
            {
                continue;
            }
            let is_new = worker.files[file as usize].loaded.is_empty();
            let Some(loaded) = worker.load(file, self.dialect) else {
                continue;
            };
            let File { folder, beside, .. } = worker.files[file as usize];
            let beside = worker.name_of_folder(self.context, folder, beside);
            let includer = Includer::new(loaded, place, beside);
            ahead.includers.push_back(includer);
            if is_new {
                return true;
            }
        }
        false
    }
}
