//! How much faster two threads are than one. They live through all passes, as those of an include server do, so that
//! each meets the worker again that it had before. Each has the same half of the compiles in every pass, since workers
//! share neither answers nor summaries: with halves left to chance, later passes would measure how lucky they were.
//! Halves are stretches of the database, as `scan-includes` has them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use includes::{Command, Engine};

use crate::Failure;
use crate::projects::Project;
use crate::subject::{Facts, Subject};

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
            sums[0] += crew.pass(Subject::new(Facts::Unknown, true)?.engine())?;
            for (answers, later) in [(false, 2), (true, 3)] {
                let subject = Subject::new(Facts::Kept(facts), answers)?;
                let first = crew.pass(subject.engine())?;
                if answers {
                    sums[1] += first;
                }
                sums[later] += crew.pass(subject.engine())?;
            }
            Ok(())
        })?;
    }
    Ok(sums)
}

/// Threads that make passes together: each is given the engine for one. They end when this is dropped.
struct Crew {
    orders: Vec<Sender<Arc<Engine>>>,
    done: Receiver<Result<(), String>>,
}

impl Crew {
    fn start<'s>(
        scope: &'s std::thread::Scope<'s, '_>,
        commands: &'s [Command],
        threads: usize,
    ) -> Crew {
        let (tell, done) = channel();
        let start = move |thread: usize| commands.len() * thread / threads;
        let orders = (0..threads).map(|first| {
            let (give, orders) = channel::<Arc<Engine>>();
            let tell = tell.clone();
            scope.spawn(move || {
                for engine in orders {
                    let result = share(&engine, &commands[start(first)..start(first + 1)]);
                    drop(engine);
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
        }
    }

    /// The time until all compiles are answered.
    fn pass(&self, engine: &Arc<Engine>) -> Result<Duration, Failure> {
        let started = Instant::now();
        for thread in &self.orders {
            thread.send(Arc::clone(engine))?;
        }
        for _ in &self.orders {
            self.done.recv()??;
        }
        Ok(started.elapsed())
    }
}

fn share(engine: &Engine, commands: &[Command]) -> Result<(), String> {
    for command in commands {
        let closure = engine.closure(command);
        closure.map_err(|refusal| format!("{:?}: {refusal}", command.argv.last()))?;
    }
    Ok(())
}
