//! Entering a file that a search found: skipped for a mark or its guard, answered by a summary, or walked and summed
//! up.

use std::sync::Arc;

use super::{Stop, Unit};
use crate::memory::names::{Id, known};
use crate::memory::summary::{Item, Summary, SummaryId};
use crate::parsing::loaded::Loaded;
use crate::parsing::steps::Bad;
use crate::refusal::Refusal;
use crate::search::Place;
use crate::worker::{Noted, Visit};

/// Includes nested deeper than this are an error in gcc and clang.
const MAX_DEPTH: usize = 199;

/// Whether gcc knows other files with the content of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Alone,
    WithOthers,
    Unsure,
}

/// Whether gcc takes what `__has_include_next` found, in a file found at `from`, for another file than an import of the
/// same name would find: from the middle of a chain, unless the search came by the first folder for brackets, where
/// what is found is remembered for all searches that come by.
pub(super) fn is_apart(from: Place, found: Place, first_for_brackets: usize) -> bool {
    let Place::Chain(from) = from else {
        return false;
    };
    let next = usize::from(from) + 1;
    let is_behind =
        |place: Place| matches!(place, Place::Chain(at) if usize::from(at) >= first_for_brackets);
    next > first_for_brackets || (next < first_for_brackets && !is_behind(found))
}

impl Unit<'_> {
    pub(super) fn enter_found(
        &mut self,
        lookup: u32,
        header: Id,
        import: bool,
    ) -> Result<(), Stop> {
        let found = &self.worker.lookups[lookup as usize];
        if let Some(path) = &found.precompiled {
            return Err(Refusal::Precompiled(path.clone()).into());
        }
        if found.visit.is_none() {
            let header = self.worker.names.entry(header).bytes.to_vec();
            return Err(Refusal::NotFound {
                header,
                includer: self.worker.files[self.file as usize].spelled.to_vec(),
            }
            .into());
        }
        self.enter(lookup, import)
    }

    /// Includes the file that a search found.
    pub(super) fn enter(&mut self, lookup: u32, import: bool) -> Result<(), Stop> {
        let Some(visit_id) = self.worker.lookups[lookup as usize].visit else {
            return Ok(());
        };
        let visit = self.worker.visits[visit_id as usize];
        let in_system = self.is_system() || self.is_found_in_system(visit);
        let Some(loaded) = self.load(visit, in_system) else {
            return Err(
                Refusal::NoInput(self.worker.files[visit.file as usize].spelled.to_vec()).into(),
            );
        };
        self.wants_system(&loaded)?;
        if import && !self.noted.entries {
            return Err(Stop::Notes(Noted {
                entries: true,
                ..self.noted
            }));
        }
        self.wants_names(visit.file, &loaded)?;
        if loaded.parsed.may_be_once || self.noted.entries {
            let mark = self.worker.once_mark(&loaded, self.dialect.clang);
            let mut skip = self.worker.env.read(mark) != 0;
            let copies = self.mark_known(visit, Some(lookup), &loaded);
            let mut listed = self.dialect.clang;
            if import {
                self.worker.env.write(mark, known::IS_ON);
                let clang = self.dialect.clang;
                let entered = self
                    .worker
                    .entered_mark(visit, Some(lookup), &loaded, clang);
                let entered = self.worker.env.read(entered) != 0;
                if copies == Known::Unsure && !skip && !entered {
                    return Err(self.bad(&Bad::Unmodelled(
                        "an #import, and __has_include in a condition that may not evaluate it"
                            .into(),
                    )));
                }
                skip |= entered || copies == Known::WithOthers;
                listed |= entered;
            }
            if skip {
                // gcc does not list one more copy of a file; clang does.
                self.worker.items.push(if listed {
                    Item::Visit(lookup)
                } else {
                    Item::Double(lookup)
                });
                return Ok(());
            }
        }
        self.worker.items.push(Item::Visit(lookup));
        // Here and not within the file: its summary is that of other ways to it, too.
        self.mark_entered(visit, Some(lookup), &loaded);
        if let Some(guard) = loaded.parsed.guard
            && self.worker.env.read(guard) != 0
        {
            self.worker.stats.guard_skips += 1;
            return Ok(());
        }
        if let Some(broken) = &loaded.parsed.broken {
            return Err(self.bad(broken));
        }
        if self.depth >= MAX_DEPTH {
            return Err(
                Refusal::TooDeep(self.worker.files[visit.file as usize].spelled.to_vec()).into(),
            );
        }
        if self.worker.memo
            && !self.ignores_pragmas
            && let Some(id) = self.summary(visit_id)
        {
            let summary = self.worker.summaries.get(id);
            if self.depth + usize::from(summary.height) < MAX_DEPTH {
                self.worker.stats.summary_hits += 1;
                self.deepest = self.deepest.max(self.depth + usize::from(summary.height));
                self.worker.env.apply(&summary.effects);
                self.worker.items.push(Item::Child(id));
                return Ok(());
            }
        }
        self.worker.stats.evaluations += 1;
        let making = self.worker.begin_making(visit);
        let walked = self.walk_frame(visit_id, loaded);
        self.worker.end_making(making);
        walked
    }

    /// What is known of this visit's file here, or found out by another worker just now.
    fn summary(&mut self, visit: u32) -> Option<SummaryId> {
        let known = self.known_summary(visit);
        if known.is_some() || !self.read_ahead_meanwhile(self.worker.visits[visit as usize]) {
            return known;
        }
        self.known_summary(visit)
    }

    fn known_summary(&mut self, visit: u32) -> Option<SummaryId> {
        let root = self.worker.visits[visit as usize].root;
        self.worker
            .summaries
            .find(root, &mut self.worker.env)
            .or_else(|| self.worker.transfer(visit))
            .or_else(|| self.worker.adopt(visit))
    }

    fn walk_frame(&mut self, visit_id: u32, loaded: Arc<Loaded>) -> Result<(), Stop> {
        let visit = self.worker.visits[visit_id as usize];
        let first_item = self.worker.items.len();
        self.worker.env.open();
        let frame = self.frames;
        self.frames += 1;
        self.depth += 1;
        let outer_deepest = std::mem::replace(&mut self.deepest, self.depth);
        let outer = (
            self.file,
            self.place,
            std::mem::replace(&mut self.loaded, loaded),
            self.context,
            self.beside,
        );
        (self.file, self.place) = (visit.file, visit.place);
        self.beside = self.beside_of(visit.file);
        if self.is_found_in_system(visit) {
            self.context = self.contexts[1];
        }
        self.walk()?;
        (
            self.file,
            self.place,
            self.loaded,
            self.context,
            self.beside,
        ) = outer;
        self.depth -= 1;
        self.frames -= 1;
        let keep = self.worker.memo && !self.ignores_pragmas && frame >= self.poisoned;
        self.poisoned = self.poisoned.min(self.frames);
        let height = self.deepest - self.depth;
        self.deepest = self.deepest.max(outer_deepest);
        if let Some(record) = self.worker.env.close(keep) {
            let items = self.worker.items[first_item..].into();
            let summary = Summary {
                effects: record.effects.into(),
                items,
                height: u16::try_from(height).unwrap_or(u16::MAX),
                offer: None,
            };
            let worker = &mut *self.worker;
            let id = worker.summaries.insert(
                &mut worker.visits[visit_id as usize].root,
                &record.reads,
                summary,
            );
            worker.make_offer(id, visit_id, &record.reads);
            worker.items.truncate(first_item);
            worker.items.push(Item::Child(id));
        }
        Ok(())
    }

    pub(super) fn mark_entered(&mut self, visit: Visit, lookup: Option<u32>, loaded: &Loaded) {
        if self.noted.entries {
            let clang = self.dialect.clang;
            let mark = self.worker.entered_mark(visit, lookup, loaded, clang);
            self.worker.env.write(mark, known::IS_ON);
        }
    }

    /// gcc takes an imported file for done if it knows *any other* file of equal content, even one that only
    /// `__has_include` found. The mark holds the one file known, or `IS_ON` for several, or `IS_UNSURE`.
    pub(super) fn mark_known(
        &mut self,
        visit: Visit,
        lookup: Option<u32>,
        loaded: &Loaded,
    ) -> Known {
        if !self.noted.entries || self.dialect.clang {
            return Known::Alone;
        }
        let file = self.worker.entered_mark(visit, lookup, loaded, false);
        let mark = self.worker.known_mark(loaded);
        let before = self.worker.env.read(mark);
        match before {
            known::IS_ON => return Known::WithOthers,
            known::IS_UNSURE => return Known::Unsure,
            _ if before == file => return Known::Alone,
            _ => {}
        }
        let now = if before == 0 { file } else { known::IS_ON };
        self.worker.env.write(mark, now);
        if before == 0 {
            Known::Alone
        } else {
            Known::WithOthers
        }
    }

    /// Does the same for what `__has_include` found in a condition. Where a part of that may not have been evaluated,
    /// gcc may not have looked.
    pub(super) fn mark_found(&mut self, is_sure: bool) {
        for (lookup, is_apart) in std::mem::take(&mut self.found) {
            let Some(visit) = self.worker.lookups[lookup as usize].visit else {
                continue;
            };
            let visit = self.worker.visits[visit as usize];
            let lookup = Some(lookup);
            let Some(loaded) = self.worker.load(visit.file, self.dialect) else {
                continue;
            };
            let mark = self.worker.known_mark(&loaded);
            if !is_sure {
                let file = self.worker.entered_mark(visit, lookup, &loaded, false);
                let before = self.worker.env.read(mark);
                if before != known::IS_ON && (is_apart || before != file) {
                    self.worker.env.write(mark, known::IS_UNSURE);
                }
            } else if is_apart {
                self.worker.env.write(mark, known::IS_ON);
            } else {
                self.mark_known(visit, lookup, &loaded);
            }
        }
    }
}
