//! The include engine beside `clang-scan-deps` and the compilers' own `-M`, all in one run on one thread.
//!
//! For each compile database it measures:
//! - *cold*: a new engine, nothing on disk, all questions to the compiler included (files are in the page cache);
//! - *unseen*: one compile in ten is held out; its main file is new to the engine, the headers are known;
//! - *changed*: the first pass after the project's most included header was edited;
//! - *evaluated*: nothing changed, but closures are not kept: each compile is evaluated anew, by summaries;
//! - *warm*: nothing changed.
//!
//! The engine looks for changed files before each answer in all of them. Figures are medians, milliseconds per compile.

#![allow(clippy::print_stdout, reason = "prints a table")]

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use end_to_end::compile_database::{self, Entry};
use end_to_end::programs::repository;
use end_to_end::tree::Tree;
use includes::{Command, Engine, RealCompiler, RealTree, Settings};
use scan_includes::database;

type Failure = Box<dyn Error>;

/// Compare the include engine with clang-scan-deps and the compilers' own -M.
#[derive(Debug, Parser)]
struct Flags {
    /// Rows: a name and compile databases, as NAME=FILE,FILE. A header that most of the compiles read is edited and put
    /// back. Without any: git, fmtlib and googletest from their Debian sources, and units that use Boost a lot.
    rows: Vec<String>,
    /// The program to compare with.
    #[arg(long, default_value = "clang-scan-deps-14")]
    scan_deps: String,
    /// Times each figure is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Compiles of each row for which `-M` is run.
    #[arg(long, default_value_t = 40)]
    compiles: usize,
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    println!(
        "| milliseconds per compile | compiles | {} | compiler's -M | cold | unseen | changed | evaluated | warm |",
        flags.scan_deps
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut threads = Vec::new();
    let tree = Tree::new();
    let rows = if flags.rows.is_empty() {
        projects(&tree)?
    } else {
        flags.rows.clone()
    };
    for row in &rows {
        let (name, files) = row.split_once('=').ok_or("a row is NAME=FILE,FILE")?;
        let mut databases = Vec::new();
        for file in files.split(',') {
            databases.push(Database::read(Path::new(file))?);
        }
        let row = Row::measure(&databases, &flags)?;
        row.print(name);
        threads.push(format!("{name}: {}", two_threads(&databases, flags.runs)?));
    }
    println!();
    println!("With two threads, how many times as fast:");
    for line in threads {
        println!("  {line}");
    }
    Ok(())
}

/// The rows of the README's table: projects unpacked and prepared below `tree`.
fn projects(tree: &Tree) -> Result<Vec<String>, Failure> {
    let write = |name: &str, entries: &[Entry]| -> Result<String, Failure> {
        let file = tree.join(format!("{name}.json"));
        std::fs::write(&file, compile_database::json(entries))?;
        Ok(file.display().to_string())
    };
    let mut files = Vec::new();
    for name in ["git", "fmtlib", "googletest"] {
        files.push(write(name, &compile_database::of_corpus(name, tree))?);
    }
    // Boost's headers are copied, so that one of them can be edited.
    let boost = tree.join("boost-headers");
    std::fs::create_dir(&boost)?;
    let copied = Process::new("cp")
        .args(["-a", "/usr/include/boost"])
        .arg(&boost)
        .status()?;
    if !copied.success() {
        return Err("Boost is needed: apt-get install libboost-dev".into());
    }
    let units = Path::new(repository()).join("tests/hard-cases/boost");
    let mut entries = compile_database::of_units(&units, "gcc");
    for entry in &mut entries {
        entry.command.push_str(&format!(" '-I{}'", boost.display()));
    }
    // Libraries as they are used, and those made to iterate by including themselves: without the headers that Boost
    // brings ready-made, or beyond their limits.
    let iterates = |entry: &Entry| {
        entry.file.starts_with("pp_")
            || entry.file.contains("_made")
            || entry.command.contains(" -D")
    };
    let (iterating, plain): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(iterates);
    let boost = write("boost", &plain)?;
    let iterated = write("boost-iterated", &iterating)?;
    Ok(vec![
        format!("git={}", files[0]),
        format!("fmtlib + googletest={},{}", files[1], files[2]),
        format!("Boost={boost}"),
        format!("Boost, iterating={iterated}"),
    ])
}

/// A compile database.
struct Database {
    file: PathBuf,
    commands: Vec<Command>,
}

impl Database {
    fn read(file: &Path) -> Result<Self, Failure> {
        let env: Vec<_> = std::env::vars_os().collect();
        let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let cwd = std::env::current_dir()?
            .into_os_string()
            .into_encoded_bytes();
        let compiles = database::from_database(&text, &cwd, &env)
            .map_err(|why| format!("{}: {why}", file.display()))?;
        Ok(Database {
            file: file.to_owned(),
            commands: compiles
                .into_iter()
                .map(|compile| compile.command)
                .collect(),
        })
    }
}

/// One engine with revalidation, and its own folder of compilers' facts.
struct Subject {
    engine: Engine,
    _facts: Option<tempfile::TempDir>,
}

impl Subject {
    fn new(facts: Option<&Path>, answers: bool) -> Result<Self, Failure> {
        let own = facts.is_none().then(tempfile::tempdir).transpose()?;
        let folder = facts.or(own.as_ref().map(tempfile::TempDir::path));
        let settings = Settings {
            answers,
            ..Settings::default()
        };
        let engine = Engine::new(
            Arc::new(RealTree::watched()?),
            Arc::new(RealCompiler::new(folder.map(Path::to_owned))),
            settings,
        );
        Ok(Subject {
            engine,
            _facts: own,
        })
    }

    /// The time of one pass. A refusal would be no answer, so it fails the whole comparison.
    fn pass<'c>(
        &self,
        commands: impl IntoIterator<Item = &'c Command>,
    ) -> Result<Duration, Failure> {
        let started = Instant::now();
        for command in commands {
            let closure = self.engine.closure(command);
            closure.map_err(|refusal| format!("{:?}: {refusal}", command.argv.last()))?;
        }
        Ok(started.elapsed())
    }
}

/// Milliseconds per compile.
struct Row {
    compiles: usize,
    scan_deps: f64,
    compiler: f64,
    /// Cold, unseen, changed, evaluated, warm.
    ours: [f64; 5],
}

impl Row {
    fn measure(databases: &[Database], flags: &Flags) -> Result<Row, Failure> {
        let compiles = databases.iter().map(|d| d.commands.len()).sum();
        let facts = tempfile::tempdir()?;
        let mut samples: [Vec<Duration>; 7] = Default::default();
        // Both sides in turns, so that what else the machine does meets both.
        for run in 0..flags.runs {
            let mut sums = [Duration::ZERO; 7];
            for database in databases {
                sums[0] += scan_deps(&flags.scan_deps, &database.file)?;
                if run == 0 {
                    sums[1] += compilers(
                        &database.commands,
                        flags.compiles * database.commands.len() / compiles,
                    )?;
                }
                for (sum, time) in sums[2..].iter_mut().zip(ours(database, facts.path(), run)?) {
                    *sum += time;
                }
            }
            for (all, sum) in samples.iter_mut().zip(sums) {
                all.push(sum);
            }
        }
        let each = |mut times: Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e3 / compiles as f64
        };
        let [scan_deps, compiler, cold, unseen, changed, evaluated, warm] = samples;
        Ok(Row {
            compiles,
            scan_deps: each(scan_deps),
            compiler: each(compiler.into_iter().take(1).collect()),
            ours: [cold, unseen, changed, evaluated, warm].map(each),
        })
    }

    fn print(&self, name: &str) {
        let ours = self
            .ours
            .map(|ms| format!("{ms:.3} ({:.0} x)", self.scan_deps / ms));
        println!(
            "| {name} | {} | {:.1} | {:.1} | {} |",
            self.compiles,
            self.scan_deps,
            self.compiler,
            ours.join(" | ")
        );
    }
}

/// Our five figures for one database.
fn ours(database: &Database, facts: &Path, run: usize) -> Result<[Duration; 5], Failure> {
    let commands = &database.commands;
    let cold = Subject::new(None, true)?.pass(commands)?;

    // Another tenth in each run; scaled to all compiles.
    let (known, unseen): (Vec<_>, Vec<_>) = commands
        .iter()
        .enumerate()
        .partition(|(at, _)| at % 10 != run % 10);
    let subject = Subject::new(Some(facts), true)?;
    subject.pass(known.into_iter().map(|(_, c)| c))?;
    let share = commands.len() as f64 / unseen.len().max(1) as f64;
    let unseen = subject
        .pass(unseen.into_iter().map(|(_, c)| c))?
        .mul_f64(share);
    subject.pass(commands)?;

    let header = most_included_header(&subject.engine, commands)?;
    let changed = with_edit(&header, || subject.pass(commands))?;

    let evaluated = Subject::new(Some(facts), false)?;
    evaluated.pass(commands)?;
    let evaluated = evaluated.pass(commands)?;

    let warm = Subject::new(Some(facts), true)?;
    warm.pass(commands)?;
    let warm = warm.pass(commands)?;
    Ok([cold, unseen, changed, evaluated, warm])
}

/// The header outside of the system's folders that most compiles read.
fn most_included_header(engine: &Engine, commands: &[Command]) -> Result<PathBuf, Failure> {
    let mut counts: HashMap<Arc<[u8]>, usize> = HashMap::new();
    for command in commands {
        let closure = engine.closure(command)?;
        for file in &closure.files[1..] {
            if !file.real.starts_with(b"/usr/") {
                *counts.entry(Arc::clone(&file.real)).or_default() += 1;
            }
        }
    }
    let most = counts
        .into_iter()
        .max_by(|a, b| (a.1, &b.0).cmp(&(b.1, &a.0)));
    let (path, _) = most.ok_or("no compile reads a header of the project's own")?;
    Ok(PathBuf::from(OsStr::from_bytes(&path)))
}

/// Runs `work` while `file` ends in one more comment.
fn with_edit<T>(file: &Path, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let text = std::fs::read(file)?;
    let mut edited = text.clone();
    edited.extend_from_slice(b"/* edited */\n");
    std::fs::write(file, edited)?;
    let result = work();
    std::fs::write(file, text)?;
    result
}

/// One run of clang-scan-deps over a database.
fn scan_deps(program: &str, database: &Path) -> Result<Duration, Failure> {
    let started = Instant::now();
    let status = Process::new(program)
        .args([
            "-j",
            "1",
            "-mode",
            "preprocess-minimized-sources",
            "-compilation-database",
        ])
        .arg(database)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    // It fails if one compile does; the others were scanned all the same.
    if status.code().is_none() {
        return Err(format!("{program}: {status}").into());
    }
    Ok(started.elapsed())
}

/// The compilers' own `-M` for `wanted` of the compiles, scaled to all of them.
fn compilers(commands: &[Command], wanted: usize) -> Result<Duration, Failure> {
    let step = (commands.len() / wanted.max(1)).max(1);
    let mut times = Vec::new();
    for command in commands.iter().step_by(step) {
        let started = Instant::now();
        let (program, arguments) = command.argv.split_first().ok_or("an empty command")?;
        let mut words: Vec<&OsStr> = Vec::new();
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            match word.as_bytes() {
                b"-o" | b"-MF" | b"-MT" | b"-MQ" => {
                    rest.next();
                }
                b"-c" | b"-MD" | b"-MMD" => {}
                _ => words.push(word),
            }
        }
        let status = Process::new(program)
            .args(words)
            .arg("-M")
            .current_dir(OsStr::from_bytes(&command.cwd))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("{:?}: -M: {status}", command.argv.last()).into());
        }
        times.push(started.elapsed());
    }
    let sum: Duration = times.iter().sum();
    Ok(sum.mul_f64(commands.len() as f64 / times.len() as f64))
}

/// How many times as fast two threads are, cold and evaluated.
fn two_threads(databases: &[Database], runs: usize) -> Result<String, Failure> {
    let facts = tempfile::tempdir()?;
    let time = |threads: usize| -> Result<[Duration; 2], Failure> {
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..runs {
            let mut sums = [Duration::ZERO; 2];
            for database in databases {
                let subject = Subject::new(Some(facts.path()), false)?;
                sums[0] += shared_pass(&subject.engine, &database.commands, threads);
                for _ in 0..3 {
                    shared_pass(&subject.engine, &database.commands, threads);
                }
                sums[1] += shared_pass(&subject.engine, &database.commands, threads);
            }
            times[0].push(sums[0]);
            times[1].push(sums[1]);
        }
        Ok(times.map(|mut all| {
            all.sort_unstable();
            all[all.len() / 2]
        }))
    };
    // The first run only fills the folder of facts.
    time(1)?;
    let (one, two) = (time(1)?, time(2)?);
    let [first, evaluated] = [0, 1].map(|at| one[at].as_secs_f64() / two[at].as_secs_f64());
    Ok(format!(
        "first pass (facts known) {first:.2}, evaluated {evaluated:.2}"
    ))
}

/// One pass by several threads, each with its own share of the commands.
fn shared_pass(engine: &Engine, commands: &[Command], threads: usize) -> Duration {
    let started = Instant::now();
    std::thread::scope(|scope| {
        for share in 0..threads {
            scope.spawn(move || {
                for command in commands.iter().skip(share).step_by(threads) {
                    std::hint::black_box(engine.closure(command).is_ok());
                }
            });
        }
    });
    started.elapsed()
}
