//! The engine: takes commands, gives closures. Any number of threads may ask at once; each gets a worker.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::closure::Closure;
use crate::command_line::options::{self, Command, Invocation};
use crate::compilers::ask::Compiler;
use crate::evaluate;
use crate::gathering::collect;
use crate::refusal::Refusal;
use crate::resting::{Resting, number_of_this_thread};
use crate::tree::Tree;
use crate::worker::{Shared, Worker};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Remember what including a file did. Without it every file is evaluated each time, with the same result.
    pub memo: bool,
    /// Keep whole closures too, by command, as long as nothing they rest on changes.
    pub answers: bool,
    /// Take headers by their text where gcc would take a precompiled one, which is a refusal otherwise. The answer is right where
    /// the precompiled header was made of what stands there now.
    pub past_precompiled: bool,
    /// Words of 8 bytes, about, that a worker may keep of summaries, answers and searches before it forgets them.
    pub summary_limit: usize,
    /// The same for what all workers share (parsed files, names, compilers' facts): beyond it everything starts anew.
    pub shared_limit: usize,
    /// Steps that the expansions of one compile may take: tokens read, put in place or made, and of long ones every byte. What
    /// takes longer counts for more: names that are looked for in many levels, `##`, pragmas.
    /// A few doublings within each other take as many as they like.
    pub expansion_limit: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            memo: true,
            answers: true,
            past_precompiled: false,
            summary_limit: 40_000_000,
            shared_limit: 100_000_000,
            // The most that was seen is 36 million, in units of Boost that work in the preprocessor alone, without memory
            // of what files do. This many take two or three seconds, whatever they are.
            expansion_limit: 400_000_000,
        }
    }
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
    /// Of them, those that were known under other folders to search and hold under these, too.
    pub summaries_made_over: u64,
    /// Of them, those that another worker had found out and that were made sure of.
    pub summaries_adopted: u64,
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
        self.summaries_made_over += other.summaries_made_over;
        self.summaries_adopted += other.summaries_adopted;
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
    resting: Resting,
    /// How often what workers share was begun anew. Workers of other beginnings are put away when they are met.
    beginning: AtomicU64,
    state: Mutex<State>,
}

struct State {
    shared: Arc<Shared>,
    /// What workers did that are no more.
    past: Statistics,
}

impl Engine {
    /// An engine over this tree and these compilers.
    pub fn new(tree: Arc<dyn Tree>, compiler: Arc<dyn Compiler>, settings: Settings) -> Self {
        Engine {
            settings,
            resting: Resting::default(),
            beginning: AtomicU64::new(0),
            state: Mutex::new(State {
                shared: Arc::new(Shared::new(tree, compiler)),
                past: Statistics::default(),
            }),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_current(&self, worker: &Worker) -> bool {
        worker.beginning == self.beginning.load(Ordering::Acquire)
    }

    /// `command` is what it is for.
    fn take_worker(&self, command: Option<&Command>) -> Box<Worker> {
        let me = number_of_this_thread();
        while let Some(mut worker) = self.resting.take(me, command) {
            if self.is_current(&worker) {
                worker.thread = me;
                return worker;
            }
            self.put_away(&worker);
        }
        let state = self.state();
        let mut worker = Worker::new(Arc::clone(&state.shared), &self.settings);
        worker.beginning = self.beginning.load(Ordering::Acquire);
        worker.thread = me;
        Box::new(worker)
    }

    fn put_away(&self, worker: &Worker) {
        self.state().past.add_past(&worker.stats);
    }

    /// Puts a worker to rest, or away if what workers share has grown too much: they start anew then.
    fn put_back(&self, mut worker: Box<Worker>, has_learned: bool) {
        worker.stats.summaries = worker.summaries.len() as u64;
        if has_learned && worker.shared.weight() > self.settings.shared_limit {
            self.begin_anew(&worker);
        }
        if self.is_current(&worker) {
            self.resting.put(worker);
        } else {
            self.put_away(&worker);
        }
    }

    /// Gives up what workers share, and with it the workers, unless another has just done so.
    fn begin_anew(&self, worker: &Worker) {
        let mut state = self.state();
        if !self.is_current(worker) {
            return;
        }
        let (tree, compiler) = (&worker.shared.tree, &worker.shared.compiler);
        state.shared = Arc::new(Shared::new(Arc::clone(tree), Arc::clone(compiler)));
        self.beginning.fetch_add(1, Ordering::Release);
        for other in self.resting.take_all() {
            state.past.add_past(&other.stats);
        }
    }

    /// Says which compiles will be asked for: their compilers are asked for their facts in this order, by so many threads,
    /// and closures wait for those that are under way instead of asking themselves. It is meant to run
    /// beside the first closures, and ends early where something fails: that is left to them.
    pub fn expect(&self, commands: &[&Command], threads: usize) {
        let next = AtomicUsize::new(0);
        let share = || {
            let mut worker = self.take_worker(None);
            worker.notice_changes();
            while let Some(command) = commands.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Ok(invocation) = invocation(&worker, command) else {
                    continue;
                };
                // The next would fail in the same way, as a rule.
                if worker.ask_ahead(command, &invocation).is_err() {
                    break;
                }
            }
            self.put_back(worker, true);
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(share);
            }
        });
    }

    /// The closure of a compile.
    ///
    /// # Errors
    /// [`Refusal`]: ask the compiler itself.
    pub fn closure(&self, command: &Command) -> Result<Arc<Closure>, Refusal> {
        let mut worker = self.take_worker(Some(command));
        let looks = worker.looks();
        worker.notice_changes();
        if worker.weight() > self.settings.summary_limit {
            worker.forget();
        }
        if worker.stats.units == 0 {
            worker.shared.offers.join();
        }
        worker.stats.units += 1;
        let known = worker.answers.find(command).or_else(|| {
            let (all, own) = (&worker.shared.answers, &worker.answers);
            all.find(command, own, worker.position)
        });
        let result = match known {
            Some(closure) => {
                worker.stats.answers_repeated += 1;
                Ok(closure)
            }
            None => {
                let result = consistent_answer(&mut worker, command, looks);
                if let Ok(closure) = &result
                    && self.settings.answers
                {
                    // Not all that it rests on may be told.
                    worker.vouch_for_answers();
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
        self.resting.for_each(|worker| {
            sum.add(&worker.stats);
            sum.weight += worker.weight() as u64;
        });
        sum.weight += state.shared.weight() as u64;
        sum
    }
}

/// An answer that is not half of one state of the tree and half of another. `looks` were made before the last notice of
/// changes, which may have read files.
fn consistent_answer(
    worker: &mut Worker,
    command: &Command,
    mut looks: u64,
) -> Result<Arc<Closure>, Refusal> {
    for _ in 0..TRIES {
        let answer = answer(worker, command);
        // What came from memory alone is of the moment of the last notice.
        if worker.looks() == looks {
            return answer;
        }
        looks = worker.looks();
        if !worker.is_torn() {
            return answer;
        }
    }
    Err(Refusal::Restless)
}

fn invocation(worker: &Worker, command: &Command) -> Result<Invocation, Refusal> {
    let tree = &worker.shared.tree;
    options::read(command, &|path| tree.read(path).map(|(bytes, _)| bytes))
}

fn answer(worker: &mut Worker, command: &Command) -> Result<Arc<Closure>, Refusal> {
    let invocation = invocation(worker, command)?;
    let context = evaluate::run(worker, command, &invocation)?;
    let mut closure = collect(worker, command, &invocation.input, context)?;
    closure.time_macros |= invocation.defines_time();
    Ok(Arc::new(closure))
}
