//! The scan: asks the engine for every command, on several threads, and reports.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings};

use crate::verify::{self, Verdict};
use crate::{Flags, commands, output};

#[derive(Default)]
struct Tally {
    same: usize,
    different: usize,
    /// The engine refused and the compiler fails as well.
    failing: usize,
    refused: usize,
    files: usize,
}

/// Does what the flags say. The code is 1 if something differs or was refused.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let commands = read_commands(flags)?;
    let settings = Settings {
        memo: !flags.no_memo,
        ..Settings::default()
    };
    let tree = if flags.revalidate {
        RealTree::watched().map_err(|error| format!("watching for changes: {error}"))?
    } else {
        RealTree::frozen()
    };
    let engine = Engine::new(
        Arc::new(tree),
        Arc::new(RealCompiler::new(flags.facts.clone())),
        settings,
    );
    let mut failed = false;
    for pass in 1..=flags.passes.max(1) {
        let started = Instant::now();
        let results = scan(&engine, &commands, flags.jobs.max(1));
        let elapsed = started.elapsed();
        if flags.timing {
            figures(flags, &engine, pass, elapsed, &commands)?;
        }
        if pass > 1 {
            continue;
        }
        let mut tally = Tally::default();
        for (at, (command, result)) in commands.iter().zip(&results).enumerate() {
            report(flags, command, result, &mut tally)?;
            if flags.verify {
                output::progress(at + 1, commands.len());
            }
        }
        if flags.verify {
            output::line(&format!(
                "{} compiles: {} same, {} different, {} refused, {} that the compiler itself fails on; {} files on average",
                commands.len(),
                tally.same,
                tally.different,
                tally.refused,
                tally.failing,
                tally.files / results.len().max(1),
            ))?;
        }
        failed = tally.different + tally.refused > 0;
    }
    Ok(if failed {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn read_commands(flags: &Flags) -> Result<Vec<Command>, String> {
    let env: Vec<_> = std::env::vars_os().collect();
    let mut list = match &flags.compilation_database {
        Some(file) => {
            let text =
                std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            commands::from_database(&text, &env)
                .map_err(|why| format!("{}: {why}", file.display()))?
        }
        None if flags.command.is_empty() => {
            return Err("no command: give one after `--`, or --compilation-database".into());
        }
        None => {
            let cwd =
                std::env::current_dir().map_err(|error| format!("current directory: {error}"))?;
            vec![Command {
                cwd: cwd.into_os_string().into_encoded_bytes(),
                argv: flags.command.clone(),
                env,
            }]
        }
    };
    if let Some(compiler) = &flags.compiler {
        for command in &mut list {
            commands::exchange_compiler(command, compiler);
        }
    }
    Ok(list)
}

/// The results in the order of the commands.
fn scan(engine: &Engine, commands: &[Command], jobs: usize) -> Vec<Result<Arc<Closure>, Refusal>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(commands.len()));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                let mut mine = Vec::new();
                while let Some((at, command)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    commands.get(at).map(|c| (at, c))
                } {
                    mine.push((at, engine.closure(command)));
                }
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(mine);
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

fn report(
    flags: &Flags,
    command: &Command,
    result: &Result<Arc<Closure>, Refusal>,
    tally: &mut Tally,
) -> Result<(), String> {
    let name = command
        .argv
        .last()
        .map_or(String::new(), |a| a.to_string_lossy().into_owned());
    tally.files += result.as_ref().map_or(0, |closure| closure.files.len());
    if !flags.verify {
        if let Err(refusal) = result {
            tally.refused += 1;
            output::error(&refusal.to_string());
        }
        return if flags.timing {
            Ok(())
        } else {
            output::closure(flags.format, command, result)
        };
    }
    match (verify::compare(command, result.as_deref().ok())?, result) {
        (Verdict::CompilerFails(_), Err(_)) => tally.failing += 1,
        (Verdict::CompilerFails(message), Ok(_)) => {
            tally.failing += 1;
            output::line(&format!("{name}: only the compiler fails: {message}"))?;
        }
        (_, Err(refusal)) => {
            tally.refused += 1;
            output::line(&format!("{name}: refused: {refusal}"))?;
        }
        (Verdict::Same, Ok(_)) => tally.same += 1,
        (Verdict::Different(theirs, ours), Ok(_)) => {
            tally.different += 1;
            output::line(&format!("{name}: different"))?;
            for path in theirs {
                output::line(&format!("  only the compiler: {}", path.display()))?;
            }
            for path in ours {
                output::line(&format!("  only we: {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn figures(
    flags: &Flags,
    engine: &Engine,
    pass: usize,
    elapsed: Duration,
    commands: &[Command],
) -> Result<(), String> {
    let s = engine.statistics();
    let each = elapsed.as_secs_f64() * 1e3 / commands.len().max(1) as f64;
    output::line(&format!(
        "pass {pass}: {} compiles in {:.1} ms, {each:.4} ms each, {:.0} a second; so far: {} files parsed ({:.1} MB), {} evaluated, {} summary hits, {} guard skips, {} summaries, {} searches, {} questions to compilers, {} refusals; {}",
        commands.len(),
        elapsed.as_secs_f64() * 1e3,
        1e3 / each,
        s.files_parsed,
        s.bytes_parsed as f64 / 1e6,
        s.evaluations,
        s.summary_hits,
        s.guard_skips,
        s.summaries,
        s.searches,
        s.questions_asked,
        s.refusals,
        if flags.revalidate {
            "revalidation was on"
        } else {
            "revalidation was off: no look for changes between compiles"
        },
    ))
}
