//! How much faster two threads are than one. They live through all passes, as those of an include server do, so that
//! each meets the worker again that it had before. Each begins with its stretch of the database and helps the other at the
//! end, as in `scan-includes`. Warm passes are made several times in a row: one takes less time than to wake a thread.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use includes::{Command, Engine};
use scan_includes::stretches::Stretches;

use crate::Failure;
use crate::projects::Project;
use crate::subject::{Facts, Subject};

/// How often later passes are made.
const REPEATED: usize = 10;

/// Times as fast as one thread.
pub(crate) struct SpeedUps {
    cold: f64,
    facts_known: f64,
    evaluated: f64,
    warm: f64,
}

impl fmt::Display for SpeedUps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cold {:.2}, cold with compilers' facts known {:.2}, evaluated {:.2}, warm {:.2}",
            self.cold, self.facts_known, self.evaluated, self.warm
        )
    }
}

/// Medians of `runs` comparisons. Compilers' facts are in `facts`.
pub(crate) fn speed_ups(project: &Project, facts: &Path, runs: usize) -> Result<SpeedUps, Failure> {
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..runs.max(1) {
        let [one, two] = [times(project, facts, 1)?, times(project, facts, 2)?];
        for (all, (one, two)) in samples.iter_mut().zip(one.iter().zip(two)) {
            all.push(one.as_secs_f64() / two.as_secs_f64());
        }
    }
    let [cold, facts_known, evaluated, warm] = samples.map(|mut all| {
        all.sort_unstable_by(f64::total_cmp);
        all[all.len() / 2]
    });
    Ok(SpeedUps {
        cold,
        facts_known,
        evaluated,
        warm,
    })
}

/// The time of a pass by so many threads: cold, with compilers' facts known, evaluated, warm.
fn times(project: &Project, facts: &Path, threads: usize) -> Result<[Duration; 4], Failure> {
    let mut sums = [Duration::ZERO; 4];
    for database in &project.databases {
        std::thread::scope(|scope| -> Result<(), Failure> {
            let commands = &database.commands;
            let crew = Crew::start(scope, commands, threads);
            sums[0] += crew.pass(Subject::new(Facts::Unknown, true)?.engine(), 1)?;
            for (answers, later) in [(false, 2), (true, 3)] {
                let subject = Subject::new(Facts::Kept(facts), answers)?;
                let first = crew.pass(subject.engine(), 1)?;
                if answers {
                    sums[1] += first;
                }
                sums[later] += crew.pass(subject.engine(), REPEATED)?;
            }
            Ok(())
        })?;
    }
    Ok(sums)
}

/// Threads that make passes together: each is given the engine for some. They end when this is dropped.
struct Crew {
    orders: Vec<Sender<Arc<Order>>>,
    done: Receiver<Result<(), String>>,
    compiles: usize,
}

/// Passes to be made, and who takes which compile in each.
struct Order {
    engine: Arc<Engine>,
    passes: Vec<Stretches>,
}

impl Crew {
    fn start<'s>(
        scope: &'s std::thread::Scope<'s, '_>,
        commands: &'s [Command],
        threads: usize,
    ) -> Crew {
        let (tell, done) = channel();
        let orders = (0..threads).map(|thread| {
            let (give, orders) = channel::<Arc<Order>>();
            let tell = tell.clone();
            scope.spawn(move || {
                for order in orders {
                    let result = share(&order, thread, commands);
                    drop(order);
                    if tell.send(result).is_err() {
                        return;
                    }
                }
            });
            give
        });
        Crew {
            orders: orders.collect(),
            done,
            compiles: commands.len(),
        }
    }

    /// The time until all compiles are answered so many times.
    fn pass(&self, engine: &Arc<Engine>, times: usize) -> Result<Duration, Failure> {
        let stretches = || Stretches::new(self.compiles, self.orders.len());
        let order = Arc::new(Order {
            engine: Arc::clone(engine),
            passes: (0..times).map(|_| stretches()).collect(),
        });
        let started = Instant::now();
        for thread in &self.orders {
            thread.send(Arc::clone(&order))?;
        }
        for _ in &self.orders {
            self.done.recv()??;
        }
        Ok(started.elapsed())
    }
}

fn share(order: &Order, thread: usize, commands: &[Command]) -> Result<(), String> {
    for pass in &order.passes {
        while let Some(at) = pass.next(thread) {
            let closure = order.engine.closure(&commands[at]);
            closure.map_err(|refusal| format!("{:?}: {refusal}", commands[at].argv.last()))?;
        }
    }
    Ok(())
}
