//! Renewal: files whose content changed, and what of the worker's knowledge survives that.
//!
//! A file is parsed again and compared with what it was. Where its directives stayed as they were, which is so for most
//! edits, all summaries stay; else the summaries go in which the file had a part, and nothing else. Searches
//! do not depend on contents.

use crate::memory::summary::Item;
use crate::parsing::steps::Likeness;
use crate::tree::Found;
use crate::worker::{Noted, Worker, index};

impl Worker {
    /// Whether no more than the content of this entry can have changed: a file that compiles include, and no link.
    pub(crate) fn is_only_content(&self, entry: &[u8]) -> bool {
        !self.folders.is_program(entry)
            && self.files.iter().any(|file| *file.real == *entry)
            && self.shared.tree.look(entry) == Found::File
    }

    /// Takes in the new content of these files, given by their real paths. `None`: forget everything; else whether
    /// what was found out before may be wrong.
    pub(crate) fn renew_contents(&mut self, changed: &[Vec<u8>]) -> Option<bool> {
        // What is noted then is made of inodes and contents. Which folders are the system's is not.
        let is_of_content = |noted: Noted| noted.entries || noted.names;
        if self.contexts.iter().any(|c| is_of_content(c.noted)) {
            return None;
        }
        for id in 0..index(self.files.len()) {
            let file = &mut self.files[id as usize];
            if changed.iter().any(|path| **path == *file.real) {
                file.inode = None;
                for (dialect, before) in std::mem::take(&mut file.loaded) {
                    let now = self.load(id, dialect)?;
                    let file = &mut self.files[id as usize];
                    file.renewed = before.likeness(&now).min(file.renewed);
                }
            }
        }
        let is_spoiled = self.files.iter().any(|file| file.renewed != Likeness::Same);
        // Also where the directives stayed: an answer says which states of files it was made of.
        self.answers.forget_those_of(changed);
        self.drop_summaries();
        Some(is_spoiled)
    }

    /// Parses all files again that mention makers which came since. False: forget everything.
    pub(crate) fn renew_for_makers(&mut self) -> bool {
        for id in 0..index(self.files.len()) {
            let dialects: Vec<_> = self.files[id as usize]
                .loaded
                .iter()
                .map(|(dialect, _)| *dialect)
                .collect();
            for dialect in dialects {
                if self.load(id, dialect).is_none() {
                    return false;
                }
            }
        }
        self.drop_summaries();
        true
    }

    /// Drops all summaries in which files had a part that are not what they were.
    fn drop_summaries(&mut self) {
        let renewed: Vec<Likeness> = self
            .files
            .iter_mut()
            .map(|file| std::mem::replace(&mut file.renewed, Likeness::Same))
            .collect();
        if renewed.iter().all(|likeness| *likeness == Likeness::Same) {
            return;
        }
        let likeness = |file: u32| renewed.get(file as usize).unwrap_or(&Likeness::Same);
        let lookups = &self.lookups;
        let gone = self.summaries.empty_those_with(|item| match *item {
            Item::Visit(lookup) | Item::Double(lookup) | Item::Probe(lookup) => {
                *likeness(lookups[lookup as usize].file) == Likeness::Other
            }
            Item::Note(file, ..) => *likeness(file) == Likeness::Other,
            Item::Line(file) => *likeness(file) != Likeness::Same,
            Item::Child(_) => false,
        });
        let is_gone = |id| gone.get(id as usize).copied().unwrap_or(false);
        self.transfers.forget_summaries(is_gone);
        self.adopted.forget(is_gone);
        self.shared.offers.clear();
        self.flats.forget(is_gone);
        for visit in &mut self.visits {
            visit.root = if *likeness(visit.file) == Likeness::Other {
                None
            } else {
                self.summaries.pruned(visit.root, is_gone)
            };
        }
    }
}
