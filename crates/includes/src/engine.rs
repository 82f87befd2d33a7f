//! The engine: takes commands, gives closures. Any number of threads may ask at once; each gets a worker.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::directives::Note;
use crate::evaluate;
use crate::facts::Compiler;
use crate::options::{self, Command};
use crate::refusal::Refusal;
use crate::summary::Item;
use crate::tree::Tree;
use crate::worker::{Shared, Worker};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Remember what including a file did. Without it every file is evaluated each time, with the same result.
    pub memo: bool,
    /// Reads and effects a worker may keep before it starts anew; bounds memory (8 bytes each).
    pub summary_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            memo: true,
            summary_limit: 40_000_000,
        }
    }
}

/// A file that the compile reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureFile {
    /// As the compiler spells it.
    pub spelled: Vec<u8>,
    /// Absolute, without links and dots.
    pub real: Vec<u8>,
    /// Only `__has_include` asked for it, or it is one more copy of a file marked "once": its existence matters,
    /// and the compiler may read it, but its text is not used.
    pub probed_only: bool,
    /// The compiler names it in its dependencies (clang also lists what `__has_include` found).
    pub listed: bool,
}

/// A file named by assembler text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssemblerInclude {
    /// The file whose text holds the `.incbin` or `.include`, as spelled.
    pub within: Vec<u8>,
    /// The name, if it is written out.
    pub name: Option<Vec<u8>>,
}

/// What a compile reads and depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// Files in the order of their first visit; the main file is the first.
    pub files: Vec<ClosureFile>,
    /// Absolute paths, as spelled, that were probed and are no file. Sorted.
    pub absent: Vec<Vec<u8>>,
    /// Absolute folders, as spelled, that exist and were searched or walked through. Sorted.
    pub folders: Vec<Vec<u8>>,
    /// Symbolic links met: where each stands (without links before it) and its target. Sorted.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    /// `__DATE__`, `__TIME__` or `__TIMESTAMP__` occurs.
    pub time_macros: bool,
    /// `.incbin` and `.include` in assembler text.
    pub assembler: Vec<AssemblerInclude>,
}

/// What a worker did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Compiles answered.
    pub units: u64,
    /// Files read and parsed.
    pub files_parsed: u64,
    /// Their bytes.
    pub bytes_parsed: u64,
    /// Files evaluated directive by directive, main files not counted.
    pub evaluations: u64,
    /// Files whose effect was known.
    pub summary_hits: u64,
    /// Files skipped by their guard.
    pub guard_skips: u64,
    /// Searches made and not remembered.
    pub searches: u64,
    /// Runs of a compiler to learn its facts.
    pub questions_asked: u64,
    /// Compiles refused.
    pub refusals: u64,
    /// Summaries in memory.
    pub summaries: u64,
}

impl Statistics {
    fn add(&mut self, other: &Statistics) {
        self.units += other.units;
        self.files_parsed += other.files_parsed;
        self.bytes_parsed += other.bytes_parsed;
        self.evaluations += other.evaluations;
        self.summary_hits += other.summary_hits;
        self.guard_skips += other.guard_skips;
        self.searches += other.searches;
        self.questions_asked += other.questions_asked;
        self.refusals += other.refusals;
        self.summaries += other.summaries;
    }
}

/// The include engine.
pub struct Engine {
    shared: Arc<Shared>,
    settings: Settings,
    /// Workers at rest. One is taken out while it answers.
    idle: Mutex<Vec<Worker>>,
}

impl Engine {
    /// An engine over this tree and these compilers.
    pub fn new(tree: Arc<dyn Tree>, compiler: Arc<dyn Compiler>, settings: Settings) -> Self {
        Engine {
            shared: Arc::new(Shared::new(tree, compiler)),
            settings,
            idle: Mutex::default(),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The closure of a compile.
    ///
    /// # Errors
    /// [`Refusal`]: ask the compiler itself.
    pub fn closure(&self, command: &Command) -> Result<Closure, Refusal> {
        let worker = self.idle().pop();
        let mut worker =
            worker.unwrap_or_else(|| Worker::new(Arc::clone(&self.shared), self.settings.memo));
        worker.notice_changes();
        if worker.summaries.weight > self.settings.summary_limit {
            worker.forget();
        }
        worker.stats.units += 1;
        let result = answer(&mut worker, command);
        worker.stats.refusals += u64::from(result.is_err());
        worker.stats.summaries = worker.summaries.len() as u64;
        // A worker that panicked is not put back: what it knows may be half changed.
        self.idle().push(worker);
        result
    }

    /// What all workers at rest did so far.
    pub fn statistics(&self) -> Statistics {
        let mut sum = Statistics::default();
        for worker in self.idle().iter() {
            sum.add(&worker.stats);
        }
        sum
    }
}

fn answer(worker: &mut Worker, command: &Command) -> Result<Closure, Refusal> {
    let tree = Arc::clone(&worker.shared.tree);
    let invocation = options::read(command, &|path| tree.read(path).map(|(bytes, _)| bytes))?;
    let context = evaluate::run(worker, command, &invocation)?;
    Ok(collect(worker, command, &invocation.input, context))
}

/// Makes the union of everything that happened.
fn collect(worker: &mut Worker, command: &Command, input: &[u8], context: u32) -> Closure {
    let main = worker.file(&command.cwd, input, Vec::new(), Vec::new(), 0);
    let mut gathering = Gathering {
        closure: Closure::default(),
        files: vec![None; worker.files.len()],
        lookups: vec![false; worker.lookups.len()],
        summaries: vec![false; worker.summaries.len()],
        notes: Vec::new(),
        noted: HashSet::new(),
        folders: vec![false; worker.folders.len()],
        clang: worker.contexts[context as usize].dialect.clang,
    };
    gathering.file(worker, main, false, true);
    let items = std::mem::take(&mut worker.items);
    gathering.items(worker, &items);
    worker.items = items;
    for at in 0..worker.contexts[context as usize].chain.folders.len() {
        let folder = worker.contexts[context as usize].chain.folders[at].id;
        gathering.folders[folder as usize] = true;
    }
    let mut closure = gathering.closure;
    for (at, _) in gathering
        .folders
        .iter()
        .enumerate()
        .filter(|(_, used)| **used)
    {
        let folder = worker.folders.get(u32::try_from(at).unwrap_or(0));
        if folder.real.is_some() {
            closure.folders.push(folder.path.to_vec());
        }
        closure.links.extend(folder.links.iter().cloned());
    }
    let dialect = worker.contexts[context as usize].dialect;
    for (file, note) in gathering.notes {
        match evaluate::note(worker, file, note, dialect) {
            Some(Note::Time) => closure.time_macros = true,
            Some(Note::Assembler(name)) => closure.assembler.push(AssemblerInclude {
                within: worker.files[file as usize].spelled.clone(),
                name,
            }),
            None => {}
        }
    }
    closure.absent.sort_unstable();
    closure.absent.dedup();
    closure.folders.sort_unstable();
    closure.links.sort_unstable();
    closure.links.dedup();
    closure
}

struct Gathering {
    closure: Closure,
    /// For each file its position in the closure.
    files: Vec<Option<u32>>,
    lookups: Vec<bool>,
    summaries: Vec<bool>,
    folders: Vec<bool>,
    clang: bool,
    notes: Vec<(u32, u32)>,
    noted: HashSet<(u32, u32)>,
}

impl Gathering {
    fn items(&mut self, worker: &Worker, items: &[Item]) {
        for item in items {
            match *item {
                Item::Visit(lookup) => self.lookup(worker, lookup, false, true),
                Item::Double(lookup) => self.lookup(worker, lookup, true, false),
                Item::Probe(lookup) => self.lookup(worker, lookup, true, self.clang),
                Item::Child(id) => {
                    if !std::mem::replace(&mut self.summaries[id as usize], true) {
                        self.items(worker, &worker.summaries.get(id).items);
                    }
                }
                Item::Note(file, note) => {
                    if self.noted.insert((file, note)) {
                        self.notes.push((file, note));
                    }
                }
            }
        }
    }

    fn lookup(&mut self, worker: &Worker, id: u32, probed_only: bool, listed: bool) {
        let lookup = &worker.lookups[id as usize];
        if !std::mem::replace(&mut self.lookups[id as usize], true) {
            self.closure
                .absent
                .extend(lookup.outcome.absent.iter().cloned());
        }
        if lookup.visit.is_some() {
            self.file(worker, lookup.file, probed_only, listed);
        }
    }

    fn file(&mut self, worker: &Worker, id: u32, probed_only: bool, listed: bool) {
        let file = &worker.files[id as usize];
        match self.files[id as usize] {
            Some(at) => {
                let known = &mut self.closure.files[at as usize];
                known.probed_only &= probed_only;
                known.listed |= listed;
            }
            None => {
                self.files[id as usize] = u32::try_from(self.closure.files.len()).ok();
                self.closure.files.push(ClosureFile {
                    spelled: file.spelled.clone(),
                    real: file.real.clone(),
                    probed_only,
                    listed,
                });
                self.closure.links.extend(file.links.iter().cloned());
                self.folders[file.folder as usize] = true;
            }
        }
    }
}
