//! Gathering a closure: the union of all that happened while a compile was evaluated, each thing once.

use std::sync::Arc;

use crate::closure::{AssemblerInclude, Closure, ClosureFile, DefaultFolder, Renamed};
use crate::command_line::options::Command;
use crate::evaluate;
use crate::memory::flat::{Flats, Searched};
use crate::memory::summary::Item;
use crate::parsing::steps::Note;
use crate::refusal::Refusal;
use crate::search::absolute;
use crate::worker::Worker;

/// Makes the union of everything that happened.
pub(crate) fn collect(
    worker: &mut Worker,
    command: &Command,
    input: &[u8],
    context: u32,
) -> Result<Closure, Refusal> {
    let main = worker.file(&command.cwd, input, Vec::new(), Vec::new(), 0);
    let default_folders = default_folders(worker, command);
    let mut marks = std::mem::take(&mut worker.marks);
    marks.begin(worker);
    let mut closure = Closure::default();
    closure.files.reserve(marks.length);
    let items = std::mem::take(&mut worker.items);
    let flats = std::mem::take(&mut worker.flats);
    let mut gathering = Gathering {
        worker,
        marks,
        flats,
        closure,
        clang: worker.contexts[context as usize].dialect.clang,
        notes: Vec::new(),
    };
    gathering.file(main, false, true);
    gathering.items(&items);
    for &folder in &worker.contexts[context as usize].chain.named {
        gathering.folder(folder);
    }
    let Gathering {
        mut closure,
        mut marks,
        flats,
        mut notes,
        ..
    } = gathering;
    marks.length = closure.files.len();
    worker.marks = marks;
    worker.items = items;
    worker.flats = flats;
    closure.links.sort_unstable();
    closure.links.dedup();
    closure.renamed.sort_unstable();
    closure.renamed.dedup();
    notes.sort_unstable();
    notes.dedup();
    let dialect = worker.contexts[context as usize].dialect;
    closure.default_folders = default_folders;
    closure.is_clang = dialect.clang;
    for note in notes {
        match evaluate::note(worker, note, dialect) {
            Some(Note::Time) => closure.time_macros = true,
            Some(Note::Assembler(name)) => {
                let within = Arc::clone(&worker.files[note.0 as usize].spelled);
                closure.assembler.push(AssemblerInclude { within, name });
            }
            None => {}
        }
    }
    Ok(closure)
}

fn default_folders(worker: &mut Worker, command: &Command) -> Vec<DefaultFolder> {
    let Some(base) = worker.base.clone() else {
        return Vec::new();
    };
    let mut list = Vec::with_capacity(base.facts.folders.len());
    for folder in &base.facts.folders {
        let id = worker.folders.at(&absolute(&command.cwd, folder));
        let folder = worker.folders.get(id);
        if let Some(real) = &folder.real {
            list.push(DefaultFolder {
                spelled: Arc::clone(&folder.path),
                real: Arc::clone(real),
            });
        }
    }
    list
}

/// What the union has seen already: for each index the epoch of the unit that saw it last. Kept by the worker, so
/// that a unit allocates nothing here.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    epoch: u32,
    /// With the position in the closure.
    files: Vec<(u32, u32)>,
    lookups: Vec<u32>,
    folders: Vec<u32>,
    /// Files of the closure before: the next one is often as long.
    length: usize,
}

impl Marks {
    fn begin(&mut self, worker: &Worker) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            *self = Marks {
                epoch: 1,
                ..Marks::default()
            };
        }
        self.files
            .resize(self.files.len().max(worker.files.len()), (0, 0));
        self.lookups
            .resize(self.lookups.len().max(worker.lookups.len()), 0);
        self.folders
            .resize(self.folders.len().max(worker.folders.len()), 0);
    }
}

struct Gathering<'w> {
    worker: &'w Worker,
    marks: Marks,
    flats: Flats,
    closure: Closure,
    clang: bool,
    notes: Vec<(u32, u32, bool)>,
}

impl Gathering<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match *item {
                Item::Child(id) => {
                    let flat = self.flats.of(id, &self.worker.summaries, self.clang);
                    for &searched in &flat.searches {
                        self.search(searched);
                    }
                    self.notes.extend_from_slice(&flat.notes);
                }
                Item::Note(file, note, in_system) => self.notes.push((file, note, in_system)),
                _ => {
                    if let Some(searched) = Searched::of(item, self.clang) {
                        self.search(searched);
                    }
                }
            }
        }
    }

    fn search(&mut self, searched: Searched) {
        let Searched {
            lookup,
            probed_only,
            listed,
        } = searched;
        let at = lookup as usize;
        let lookup = &self.worker.lookups[at];
        if !first_time(&mut self.marks.lookups[at], self.marks.epoch) {
            if lookup.visit.is_some() {
                self.file(lookup.file, probed_only, listed);
            }
            return;
        }
        self.closure.absent.add(&lookup.absent);
        if let Some(through) = &lookup.through {
            let real = Arc::clone(&self.worker.files[lookup.file as usize].real);
            self.closure.renamed.push(Renamed {
                path: Arc::clone(&through.path),
                real,
            });
            self.closure.links.extend(through.links.iter().cloned());
            self.folder(through.folder);
        }
        if lookup.visit.is_some() {
            self.file(lookup.file, probed_only, listed);
        }
    }

    fn file(&mut self, id: u32, probed_only: bool, listed: bool) {
        let (epoch, at) = self.marks.files[id as usize];
        if epoch == self.marks.epoch {
            let known = &mut self.closure.files[at as usize];
            known.probed_only &= probed_only;
            known.listed |= listed;
            return;
        }
        let file = &self.worker.files[id as usize];
        let at = u32::try_from(self.closure.files.len()).unwrap_or(u32::MAX);
        self.marks.files[id as usize] = (self.marks.epoch, at);
        let (spelled, real) = (Arc::clone(&file.spelled), Arc::clone(&file.real));
        self.closure.files.push(ClosureFile {
            spelled,
            real,
            probed_only,
            listed,
            stamp: file.stamp(),
        });
        self.closure.links.extend(file.links.iter().cloned());
        self.folder(file.folder);
    }

    fn folder(&mut self, id: u32) {
        if first_time(&mut self.marks.folders[id as usize], self.marks.epoch) {
            let folder = self.worker.folders.get(id);
            if folder.real.is_some() {
                self.closure.folders.push(Arc::clone(&folder.path));
            }
            self.closure.links.extend(folder.links.iter().cloned());
        }
    }
}

fn first_time(mark: &mut u32, epoch: u32) -> bool {
    std::mem::replace(mark, epoch) != epoch
}
