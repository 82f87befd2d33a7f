//! Differential tests: random programs, and what the engine says of them against gcc and clang.
//!
//! `INCLUDES_PROGRAMS` sets how many programs are tried with each compiler, `INCLUDES_EDITED_PROGRAMS` how many
//! live through edits (`INCLUDES_SHARED_PROGRAMS`: asked for by several threads), and `INCLUDES_SEED` where both begin. A difference prints its seed and the command that replays
//! it; the first of them, as many as `INCLUDES_SHOWN` says, are made small and shown.

mod command_lines;
mod conditions;
mod edits;
mod lines;
mod program;
mod random;
mod reference;
mod resident;
mod sharing;
mod shrink;
mod trees;
mod verdict;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use includes::RealCompiler;
use program::Reference;
use verdict::{Tally, judge, scratch};

/// Differences that are made small and shown; each takes some seconds. The others are only named.
const SHOWN: u64 = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var_os(name)
        .and_then(|v| v.to_str().and_then(|v| v.parse().ok()))
        .unwrap_or(default)
}

/// Calls `each` for every seed, on all cores.
fn for_all_seeds(count: u64, each: impl Fn(u64) + Sync) {
    let first = number("INCLUDES_SEED", 1);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    each(seed);
                }
            });
        }
    });
}

/// The answers of compilers, kept for all programs of a run, or in the folder `INCLUDES_FACTS` for all runs.
fn compilers() -> (tempfile::TempDir, Arc<RealCompiler>) {
    let store = scratch();
    let kept = std::env::var_os("INCLUDES_FACTS").map_or(store.path().into(), PathBuf::from);
    (store, Arc::new(RealCompiler::new(Some(kept))))
}

#[test]
fn random_programs_have_the_closures_that_the_compilers_see() {
    let (_store, compilers) = compilers();
    let shown = number("INCLUDES_SHOWN", SHOWN);
    let tallies = Reference::ALL.map(|_| Mutex::<Tally>::default());
    for_all_seeds(number("INCLUDES_PROGRAMS", 500), |seed| {
        for (reference, tally) in Reference::ALL.into_iter().zip(&tallies) {
            let program = program::program(seed, reference);
            let verdict = judge(&program, &compilers);
            let (troubles, trouble) = tally.lock().expect("no panic").count(verdict);
            let Some(trouble) = trouble else {
                continue;
            };
            let again = format!(
                "INCLUDES_SEED={seed} INCLUDES_PROGRAMS=1 cargo test -p includes --test differential random_programs"
            );
            if troubles > shown {
                println!("{}: {trouble}\n    again: {again}\n", reference.name());
                continue;
            }
            let (program, trouble) = shrink::shrink(program, trouble, &compilers);
            println!(
                "seed {seed}, {}: {trouble}\n{program}    again: {again}\n",
                reference.name()
            );
        }
    });
    let mut failed = false;
    for (reference, tally) in Reference::ALL.into_iter().zip(tallies) {
        let tally = tally.into_inner().expect("no panic");
        println!("{}", tally.summary(reference.name()));
        failed |= tally.troubles > 0;
        // The generator must not drift into programs that test nothing, nor the engine into saying nothing.
        let all = tally.same + tally.troubles + tally.refused_count() + tally.invalid_count();
        if all >= 1000 {
            assert!(
                tally.invalid_count() * 20 <= all,
                "nearly all programs must be valid"
            );
            assert!(tally.refused_count() * 100 <= all, "refusals must be rare");
        }
    }
    assert!(!failed, "the differences are shown above");
}

#[test]
fn an_engine_that_lives_through_edits_answers_like_a_new_one() {
    let (_store, compilers) = compilers();
    let failures = Mutex::new(Vec::new());
    for_all_seeds(number("INCLUDES_EDITED_PROGRAMS", 40), |seed| {
        if let Err(failure) = edits::survive(seed, &compilers) {
            failures.lock().expect("no panic").push(failure);
        }
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(
        failures.is_empty(),
        "{} differences, the first: {}",
        failures.len(),
        failures[0]
    );
}

#[test]
fn workers_that_share_answer_like_a_new_engine_and_like_the_compilers() {
    let (_store, compilers) = compilers();
    let failures = Mutex::new(Vec::new());
    let adopted = AtomicU64::new(0);
    let programs = number("INCLUDES_SHARED_PROGRAMS", 30);
    for_all_seeds(programs, |seed| match sharing::survive(seed, &compilers) {
        Ok(summaries) => {
            adopted.fetch_add(summaries, Ordering::Relaxed);
        }
        Err(failure) => failures.lock().expect("no panic").push(failure),
    });
    let failures = failures.into_inner().expect("no panic");
    assert!(
        failures.is_empty(),
        "{} differences, the first: {}",
        failures.len(),
        failures[0]
    );
    // It must not drift into workers that take over nothing from each other.
    let adopted = adopted.into_inner();
    println!("{adopted} summaries taken over in {programs} programs");
    assert!(
        adopted >= programs / 4,
        "{adopted} summaries taken over in {programs} programs"
    );
}
