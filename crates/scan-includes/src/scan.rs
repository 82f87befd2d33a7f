//! The scan: asks the engine for every command, on several threads, as often as wanted, and reports.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings};

use scan_includes::database::Compile;
use scan_includes::stretches::Stretches;

use crate::progress::Progress;
use crate::verify::{self, Failure, Theirs, Verdict};
use crate::{Flags, commands, output};

type Scanned = Result<Arc<Closure>, Refusal>;

#[derive(Default)]
struct Tally {
    same: usize,
    different: usize,
    refused: usize,
    /// The compiler itself fails, whatever the engine says.
    failing: usize,
    /// There is no such folder or compiler.
    not_run: usize,
    files: usize,
}

/// Does what the flags say. The code is 1 if something differs or was refused, in any pass.
pub(crate) fn run(flags: &Flags) -> Result<ExitCode, String> {
    let compiles = commands::read(flags)?;
    let engine = engine(flags)?;
    let mut theirs = Vec::new();
    let mut failed = false;
    for pass in 1..=flags.passes {
        let started = Instant::now();
        let results = std::thread::scope(|scope| {
            if pass == 1 && compiles.len() > 1 {
                scope.spawn(|| expect(&engine, &compiles));
            }
            in_parallel(flags.jobs, "scanned", &compiles, |compile| {
                scan(&engine, compile)
            })
        });
        let elapsed = started.elapsed();
        if flags.timing {
            figures(flags, &engine, pass, elapsed, compiles.len())?;
        }
        failed |= if flags.verify {
            // What the compiler said holds for later passes, unless files are expected to change.
            if theirs.is_empty() || flags.revalidate {
                theirs = in_parallel(flags.jobs, "verified", &compiles, verify::ask);
            }
            let label = match flags.passes {
                1 => String::new(),
                _ => format!("pass {pass}: "),
            };
            compare(&label, &compiles, &results, &theirs)?
        } else {
            let closures = pass == 1 && !flags.timing;
            print(flags, &compiles, &results, closures, pass == 1)?
        };
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Has compilers asked for their facts while the first compiles are scanned, on the other processors.
fn expect(engine: &Engine, compiles: &[Compile]) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let clear = compiles.iter().filter(|compile| compile.unclear.is_none());
    let commands: Vec<&Command> = clear.map(|compile| &compile.command).collect();
    engine.expect(&commands, processors.saturating_sub(1));
}

fn scan(engine: &Engine, compile: &Compile) -> Scanned {
    if let Some(why) = &compile.unclear {
        return Err(Refusal::Command(why.clone()));
    }
    let command = &compile.command;
    let result = engine.closure(command);
    // Nothing is found from there, and no compiler can be run: but what is missing is the folder.
    if result.is_err()
        && let Some(message) = verify::missing_folder(command)
    {
        return Err(Refusal::Command(message));
    }
    result
}

fn engine(flags: &Flags) -> Result<Engine, String> {
    let settings = Settings {
        memo: !flags.no_memo,
        answers: !flags.no_memo,
        ..Settings::default()
    };
    let tree = if flags.revalidate {
        RealTree::watched().unwrap_or_else(|error| {
            output::error(&format!(
                "inotify: {error}: each compile looks at all of its files for changes"
            ));
            RealTree::compared()
        })
    } else {
        RealTree::frozen()
    };
    if let Some(folder) = &flags.facts {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("--facts {}: {error}", folder.display()))?;
    }
    let compiler = RealCompiler::new(flags.facts.clone());
    Ok(Engine::new(Arc::new(tree), Arc::new(compiler), settings))
}

/// What `work` makes of each compile, in their order.
fn in_parallel<T: Send>(
    jobs: usize,
    what: &'static str,
    compiles: &[Compile],
    work: impl Fn(&Compile) -> T + Sync,
) -> Vec<T> {
    // More would have nothing to do.
    let threads = jobs.min(compiles.len()).max(1);
    let stretches = Stretches::new(compiles.len(), threads);
    let progress = Progress::new(what, compiles.len());
    let results = Mutex::new(Vec::with_capacity(compiles.len()));
    let share = |thread: usize| {
        let mut mine = Vec::new();
        while let Some(at) = stretches.next(thread) {
            mine.push((at, work(&compiles[at])));
            progress.step();
        }
        results
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(mine);
    };
    std::thread::scope(|scope| {
        for thread in 1..threads {
            let share = &share;
            scope.spawn(move || share(thread));
        }
        share(0);
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// What messages about one of many call a compile: a database has many sources of one name.
fn place(compile: &Compile) -> String {
    let folder = Path::new(OsStr::from_bytes(&compile.command.cwd));
    match compile.command.argv.is_empty() {
        true => compile.name.clone(),
        false => folder.join(&compile.name).display().to_string(),
    }
}

/// Prints closures, if wanted, and refusals. Whether there was one.
fn print(
    flags: &Flags,
    compiles: &[Compile],
    results: &[Scanned],
    closures: bool,
    first: bool,
) -> Result<bool, String> {
    for (compile, result) in compiles.iter().zip(results) {
        match result {
            Err(refusal) if first && compiles.len() > 1 => {
                output::error(&format!("{}: {refusal}", place(compile)));
            }
            Err(refusal) if first => output::error(&refusal.to_string()),
            _ => {}
        }
        if closures {
            output::closure(flags.format, &compile.command, result)?;
        }
    }
    Ok(results.iter().any(Result::is_err))
}

/// Prints what differs from the compiler's answers, and a line with the sums. Whether anything differs or was refused.
fn compare(
    label: &str,
    compiles: &[Compile],
    results: &[Scanned],
    theirs: &[Theirs],
) -> Result<bool, String> {
    let mut tally = Tally::default();
    for ((compile, result), theirs) in compiles.iter().zip(results).zip(theirs) {
        tally.files += result.as_ref().map_or(0, |closure| closure.files.len());
        let name = match compiles.len() {
            1 => compile.name.clone(),
            _ => place(compile),
        };
        report(
            &format!("{label}{name}"),
            compile,
            result,
            theirs,
            &mut tally,
        )?;
    }
    let not_run = match tally.not_run {
        0 => String::new(),
        many => format!(", {many} that cannot be run"),
    };
    output::line(&format!(
        "{label}{} compiles: {} same, {} different, {} refused, {} that the compiler itself fails on{not_run}; {} files on average",
        compiles.len(),
        tally.same,
        tally.different,
        tally.refused,
        tally.failing,
        tally.files / results.len().max(1),
    ))?;
    // Where the compiler fails on all, nothing has been verified.
    Ok(tally.different + tally.refused + tally.not_run > 0 || tally.same == 0)
}

fn report(
    name: &str,
    compile: &Compile,
    result: &Scanned,
    theirs: &Theirs,
    tally: &mut Tally,
) -> Result<(), String> {
    match (theirs, result) {
        (Err(Failure::NotRun(message)), _) => {
            tally.not_run += 1;
            output::line(&format!("{name}: cannot be run: {message}"))?;
        }
        (Err(Failure::Compile(message)), Err(_)) => {
            tally.failing += 1;
            output::line(&format!("{name}: the compiler fails: {message}"))?;
        }
        (Err(Failure::Compile(message)), Ok(_)) => {
            tally.failing += 1;
            output::line(&format!("{name}: only the compiler fails: {message}"))?;
        }
        (Ok(_), Err(refusal)) => {
            tally.refused += 1;
            output::line(&format!("{name}: refused: {refusal}"))?;
        }
        (Ok(theirs), Ok(closure)) => match verify::compare(closure, &compile.command.cwd, theirs) {
            Verdict::Same => tally.same += 1,
            Verdict::Different {
                theirs,
                ours,
                untrue,
            } => {
                tally.different += 1;
                output::line(&format!("{name}: different"))?;
                for path in theirs {
                    output::line(&format!("  only the compiler: {}", path.display()))?;
                }
                for path in ours {
                    output::line(&format!("  only we: {}", path.display()))?;
                }
                for what in untrue {
                    output::line(&format!("  not so: {what}"))?;
                }
            }
        },
    }
    Ok(())
}

fn figures(
    flags: &Flags,
    engine: &Engine,
    pass: usize,
    elapsed: Duration,
    compiles: usize,
) -> Result<(), String> {
    let s = engine.statistics();
    let each = elapsed.as_secs_f64() * 1e3 / compiles.max(1) as f64;
    output::line(&format!(
        "pass {pass}: {compiles} compiles in {:.1} ms, {each:.4} ms each, {:.0} a second; so far: {} files parsed ({:.1} MB), {} evaluated, {} summary hits, {} guard skips, {} summaries, {} searches, {} questions to compilers, {} refusals; {}",
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
