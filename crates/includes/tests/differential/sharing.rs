//! Several workers of one engine over a tree that changes: what they take over from each other, against new engines and
//! the compilers.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings};

use crate::edits::{answer, edit};
use crate::program::{Program, Reference, program};
use crate::random::Random;
use crate::reference;
use crate::verdict::{listed, new_engine, scratch};

type Answer = Result<Closure, Refusal>;

const THREADS: usize = 3;

/// Queries between which edits are made.
const ROUNDS: u64 = 8;

/// The commands of both programs, and the same with another folder in front and another macro defined: what one did is
/// known to the other, under other folders to search.
fn commands(made: &[Program; 2], root: &Path) -> Vec<Command> {
    let mut all: Vec<Command> = made.iter().map(|program| program.command(root)).collect();
    for at in 0..made.len() {
        let mut folder = std::ffi::OsString::from("-I");
        folder.push(root.join("inc1"));
        for words in [vec![folder], vec!["-DM1=1".into(), "-DSEEN".into()]] {
            let mut other = all[at].clone();
            other.argv.splice(1..1, words);
            all.push(other);
        }
    }
    all
}

/// Threads that live through all rounds, so that each meets its worker again. An order is where in the list a thread
/// begins; it answers with all answers.
struct Crew {
    orders: Vec<Sender<usize>>,
    answers: Vec<Receiver<Vec<Answer>>>,
}

impl Crew {
    fn start<'s>(
        scope: &'s std::thread::Scope<'s, '_>,
        engine: &'s Engine,
        commands: &'s [Command],
    ) -> Crew {
        let (orders, answers) = (0..THREADS)
            .map(|_| {
                let ((order, orders), (tell, answers)) = (channel(), channel());
                scope.spawn(move || {
                    for first in orders {
                        let mut all: Vec<(usize, Answer)> = (0..commands.len())
                            .map(|at| (at + first) % commands.len())
                            .map(|at| (at, answer(engine, &commands[at])))
                            .collect();
                        all.sort_by_key(|(at, _)| *at);
                        let all = all.into_iter().map(|(_, answer)| answer).collect();
                        if tell.send(all).is_err() {
                            return;
                        }
                    }
                });
                (order, answers)
            })
            .unzip();
        Crew { orders, answers }
    }

    /// What each thread says to all commands: all at once, or one after the other, so that the later ones find all that
    /// the first found out.
    fn ask(&self, at_once: bool, first: usize) -> Vec<Vec<Answer>> {
        let order = |thread: usize| {
            let begin = if at_once { first + thread } else { first };
            self.orders[thread].send(begin).expect("the thread lives");
        };
        let answers = |thread: usize| self.answers[thread].recv().expect("no panic");
        if at_once {
            (0..THREADS).for_each(order);
            return (0..THREADS).map(answers).collect();
        }
        let threads = (0..THREADS).map(|thread| (thread + first) % THREADS);
        threads
            .map(|thread| {
                order(thread);
                answers(thread)
            })
            .collect()
    }
}

/// Whether all workers of an engine answer like one that sees the tree for the first time, and, as long as the
/// programs are those that were made, like the compilers. The count is of summaries taken over.
pub(crate) fn survive(seed: u64, compilers: &Arc<RealCompiler>) -> Result<u64, String> {
    let folder = scratch();
    let root = folder.path().canonicalize().expect("it exists");
    let made = Reference::ALL.map(|reference| program(seed, reference));
    // Both trees in one place: what is there already stays.
    for entry in made.iter().flat_map(|program| &program.entries) {
        let _ = entry.write(&root);
    }
    let commands = commands(&made, &root);
    let tree = Arc::new(RealTree::watched().expect("inotify works here"));
    let settings = Settings {
        answers: seed.is_multiple_of(2),
        ..Settings::default()
    };
    let engine = Engine::new(tree, Arc::clone(compilers) as _, settings);
    let mut random = Random::new(seed ^ 0x5ea5);
    std::thread::scope(|scope| {
        let crew = Crew::start(scope, &engine, &commands);
        for round in 0..ROUNDS {
            let all = crew.ask(
                (seed + round).is_multiple_of(2),
                random.below(commands.len()),
            );
            for (at, command) in commands.iter().enumerate() {
                let new = answer(&new_engine(compilers, true), command);
                for old in all.iter().map(|answers| &answers[at]) {
                    if *old != new {
                        return Err(format!(
                            "seed {seed}, round {round}, {:?}: {old:#?} but a new engine says {new:#?}",
                            command.argv
                        ));
                    }
                }
            }
            if round == 0 {
                for (program, command) in made.iter().zip(&commands) {
                    compare(program.reference, &engine, command, &root)
                        .map_err(|trouble| format!("seed {seed}, {:?}: {trouble}", command.argv))?;
                }
            }
            let other = program(
                seed.wrapping_mul(37) + random.below(1000) as u64,
                Reference::Gcc,
            );
            for _ in 0..random.below(4) {
                edit(&mut random, &root, &other);
            }
        }
        Ok(())
    })?;
    Ok(engine.statistics().summaries_adopted)
}

/// Compares with the compiler where both answer.
fn compare(
    reference: Reference,
    engine: &Engine,
    command: &Command,
    root: &Path,
) -> Result<(), String> {
    let theirs = reference::listed(reference, command, root);
    let (Ok(theirs), Ok(mine)) = (theirs, listed(engine, command)) else {
        return Ok(());
    };
    if mine == theirs {
        Ok(())
    } else {
        Err(format!("the compiler lists {theirs:?}, and we {mine:?}"))
    }
}
