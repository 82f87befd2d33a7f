//! The engine: takes commands, gives closures. Any number of threads may ask at once; each gets a worker.

use std::sync::{Arc, Mutex, PoisonError};

use crate::directives::Note;
use crate::evaluate;
use crate::facts::Compiler;
use crate::folders::Link;
use crate::linked_doubles;
use crate::options::{self, Command};
use crate::refusal::Refusal;
use crate::search::absolute;
use crate::summary::Item;
use crate::tree::Tree;
use crate::worker::{Shared, Worker};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Remember what including a file did. Without it every file is evaluated each time, with the same result.
    pub memo: bool,
    /// Keep whole closures too, by command, as long as nothing they rest on changes.
    pub answers: bool,
    /// Words of 8 bytes, about, that a worker may keep of summaries, answers and searches before it forgets them.
    pub summary_limit: usize,
    /// The same for what all workers share (parsed files, names, compilers' facts): beyond it everything starts anew.
    pub shared_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            memo: true,
            answers: true,
            summary_limit: 40_000_000,
            shared_limit: 100_000_000,
        }
    }
}

/// A file that the compile reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosureFile {
    /// As the compiler spells it.
    pub spelled: Arc<[u8]>,
    /// Absolute, without links and dots.
    pub real: Arc<[u8]>,
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
    pub within: Arc<[u8]>,
    /// The name, if it is written out.
    pub name: Option<Vec<u8>>,
}

/// A folder that the compiler searches by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultFolder {
    /// Absolute, as the compiler spells it.
    pub spelled: Arc<[u8]>,
    /// Without links and dots.
    pub real: Arc<[u8]>,
}

/// What a compile reads and depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// Files in the order of their first visit; the main file is the first.
    pub files: Vec<ClosureFile>,
    /// Absolute paths, as spelled, that were probed and are no file, in the order of first probes.
    pub absent: Vec<Arc<[u8]>>,
    /// Absolute folders, as spelled, that exist and were searched or named by the command, or hold a file. In no order.
    pub folders: Vec<Arc<[u8]>>,
    /// Folders that the compiler searches by itself, in its order, as far as they exist.
    pub default_folders: Vec<DefaultFolder>,
    /// The compiler is clang, or goes by its rules.
    pub is_clang: bool,
    /// Symbolic links met: where each stands (without links before it) and its target. Sorted.
    pub links: Vec<Link>,
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
    /// Of them, those whose closure was still known.
    pub answers_repeated: u64,
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
    /// Words of 8 bytes that all of it takes, about.
    pub weight: u64,
}

impl Statistics {
    /// Adds what a worker did that is no more.
    fn add_past(&mut self, other: &Statistics) {
        self.add(&Statistics {
            summaries: 0,
            ..*other
        });
    }

    fn add(&mut self, other: &Statistics) {
        self.units += other.units;
        self.answers_repeated += other.answers_repeated;
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

/// Times an answer is made anew because something it depends on changed meanwhile.
const TRIES: usize = 10;

/// The include engine.
pub struct Engine {
    settings: Settings,
    state: Mutex<State>,
}

struct State {
    shared: Arc<Shared>,
    /// Workers at rest. One is taken out while it answers.
    idle: Vec<Worker>,
    /// What workers did that are no more.
    past: Statistics,
}

impl Engine {
    /// An engine over this tree and these compilers.
    pub fn new(tree: Arc<dyn Tree>, compiler: Arc<dyn Compiler>, settings: Settings) -> Self {
        Engine {
            settings,
            state: Mutex::new(State {
                shared: Arc::new(Shared::new(tree, compiler)),
                idle: Vec::new(),
                past: Statistics::default(),
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_worker(&self) -> Worker {
        let mut state = self.state();
        let shared = Arc::clone(&state.shared);
        // The one that this thread had before is in its processor's cache.
        let me = std::thread::current().id();
        let mine = state.idle.iter().position(|w| w.thread == Some(me));
        let worker = match mine {
            Some(at) => Some(state.idle.swap_remove(at)),
            None => state.idle.pop(),
        };
        let mut worker = worker.unwrap_or_else(|| Worker::new(shared, self.settings.memo));
        worker.thread = Some(me);
        worker
    }

    /// Puts a worker to rest, or away if what workers share has grown too much: they start anew then.
    fn put_back(&self, mut worker: Worker, has_learned: bool) {
        worker.stats.summaries = worker.summaries.len() as u64;
        let weight = if has_learned {
            worker.shared.weight()
        } else {
            0
        };
        let mut state = self.state();
        let is_current = Arc::ptr_eq(&state.shared, &worker.shared);
        if is_current && weight <= self.settings.shared_limit {
            state.idle.push(worker);
            return;
        }
        if is_current {
            let (tree, compiler) = (&worker.shared.tree, &worker.shared.compiler);
            state.shared = Arc::new(Shared::new(Arc::clone(tree), Arc::clone(compiler)));
            let away: Vec<Worker> = std::mem::take(&mut state.idle);
            away.iter()
                .for_each(|other| state.past.add_past(&other.stats));
        }
        state.past.add_past(&worker.stats);
    }

    /// The closure of a compile.
    ///
    /// # Errors
    /// [`Refusal`]: ask the compiler itself.
    pub fn closure(&self, command: &Command) -> Result<Arc<Closure>, Refusal> {
        let mut worker = self.take_worker();
        let looks = worker.looks();
        worker.notice_changes();
        if worker.weight() > self.settings.summary_limit {
            worker.forget();
        }
        worker.stats.units += 1;
        let result = match worker.answers.find(command) {
            Some(closure) => {
                worker.stats.answers_repeated += 1;
                Ok(closure)
            }
            None => {
                let result = consistent_answer(&mut worker, command);
                if let Ok(closure) = &result
                    && self.settings.answers
                {
                    worker.answers.insert(command, closure);
                }
                result
            }
        };
        worker.stats.refusals += u64::from(result.is_err());
        // A worker that panicked is not put back: what it knows may be half changed.
        let has_learned = worker.looks() != looks;
        self.put_back(worker, has_learned);
        result
    }

    /// What workers did so far, those left out that are at work.
    pub fn statistics(&self) -> Statistics {
        let state = self.state();
        let mut sum = state.past;
        for worker in &state.idle {
            sum.add(&worker.stats);
            sum.weight += worker.weight() as u64;
        }
        sum.weight += state.shared.weight() as u64;
        sum
    }
}

/// An answer that is not half of one state of the tree and half of another.
fn consistent_answer(worker: &mut Worker, command: &Command) -> Result<Arc<Closure>, Refusal> {
    for _ in 0..TRIES {
        let looks = worker.looks();
        let answer = answer(worker, command);
        // What came from memory alone is of the moment of the last notice.
        if worker.looks() == looks || !worker.is_torn() {
            return answer;
        }
    }
    Err(Refusal::Restless)
}

fn answer(worker: &mut Worker, command: &Command) -> Result<Arc<Closure>, Refusal> {
    let tree = Arc::clone(&worker.shared.tree);
    let invocation = options::read(command, &|path| tree.read(path).map(|(bytes, _)| bytes))?;
    let context = evaluate::run(worker, command, &invocation)?;
    collect(worker, command, &invocation.input, context).map(Arc::new)
}

/// What the union has seen already: for each index the epoch of the unit that saw it last. Kept by the worker, so
/// that a unit allocates nothing here.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    epoch: u32,
    /// With the position in the closure.
    files: Vec<(u32, u32)>,
    lookups: Vec<u32>,
    summaries: Vec<u32>,
    folders: Vec<u32>,
    absent: Vec<u32>,
    /// Files and absent paths of the closure before: the next one is often as long.
    lengths: (usize, usize),
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
        self.summaries
            .resize(self.summaries.len().max(worker.summaries.len()), 0);
        self.folders
            .resize(self.folders.len().max(worker.folders.len()), 0);
        self.absent
            .resize(self.absent.len().max(worker.absent.len()), 0);
    }

    /// The files of this unit.
    fn files(&self) -> Vec<u32> {
        let marked = self.files.iter().zip(0..);
        marked
            .filter(|((epoch, _), _)| *epoch == self.epoch)
            .map(|(_, id)| id)
            .collect()
    }
}

/// Makes the union of everything that happened.
fn collect(
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
    closure.files.reserve(marks.lengths.0);
    closure.absent.reserve(marks.lengths.1);
    let mut gathering = Gathering {
        worker,
        marks,
        closure,
        clang: worker.contexts[context as usize].dialect.clang,
        notes: Vec::new(),
        linked: Vec::new(),
    };
    gathering.file(main, false, true);
    gathering.items(&worker.items);
    for &folder in &worker.contexts[context as usize].chain.named {
        gathering.folder(folder);
    }
    let Gathering {
        mut closure,
        mut marks,
        mut notes,
        linked,
        clang,
        ..
    } = gathering;
    if clang && !linked.is_empty() {
        linked_doubles::check(worker, &marks.files(), &linked)?;
    }
    marks.lengths = (closure.files.len(), closure.absent.len());
    worker.marks = marks;
    closure.links.sort_unstable();
    closure.links.dedup();
    notes.sort_unstable();
    notes.dedup();
    let dialect = worker.contexts[context as usize].dialect;
    closure.default_folders = default_folders;
    closure.is_clang = dialect.clang;
    for (file, note) in notes {
        match evaluate::note(worker, file, note, dialect) {
            Some(Note::Time) => closure.time_macros = true,
            Some(Note::Assembler(name)) => {
                let within = Arc::clone(&worker.files[file as usize].spelled);
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

struct Gathering<'w> {
    worker: &'w Worker,
    marks: Marks,
    closure: Closure,
    clang: bool,
    notes: Vec<(u32, u32)>,
    /// Files at the end of a link.
    linked: Vec<u32>,
}

fn first_time(mark: &mut u32, epoch: u32) -> bool {
    std::mem::replace(mark, epoch) != epoch
}

impl Gathering<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match *item {
                Item::Visit(lookup) => self.lookup(lookup, false, true),
                Item::Double(lookup) => self.lookup(lookup, true, false),
                Item::Probe(lookup) => self.lookup(lookup, true, self.clang),
                Item::Child(id) => {
                    if first_time(&mut self.marks.summaries[id as usize], self.marks.epoch) {
                        self.items(&self.worker.summaries.get(id).items);
                    }
                }
                Item::Note(file, note) => self.notes.push((file, note)),
            }
        }
    }

    fn lookup(&mut self, id: u32, probed_only: bool, listed: bool) {
        let lookup = &self.worker.lookups[id as usize];
        if first_time(&mut self.marks.lookups[id as usize], self.marks.epoch) {
            for &absent in &lookup.absent {
                if first_time(&mut self.marks.absent[absent as usize], self.marks.epoch) {
                    self.closure
                        .absent
                        .push(Arc::clone(&self.worker.absent[absent as usize]));
                }
            }
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
        });
        if !file.links.is_empty() {
            self.linked.push(id);
        }
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
