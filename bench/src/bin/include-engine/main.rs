//! The include engine beside `clang-scan-deps` and the compilers' own `-M`, all in one run.
//!
//! Prints the table of the README, what each of its columns means, and how far the single measurements lie apart.
//! `ours.rs` says how each of our figures is had.

#![allow(clippy::print_stdout, reason = "prints tables")]

mod edits;
mod ours;
mod projects;
mod spread;
mod subject;
mod theirs;
mod threads;

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use end_to_end::tree::Tree;

use crate::ours::{FIGURES, Figures};
use crate::projects::{Project, Row};
use crate::spread::Spread;
use crate::threads::SpeedUps;

/// As the programs have it that use the engine.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn Error>;

/// Compare the include engine with clang-scan-deps and the compilers' own -M.
#[derive(Debug, Parser)]
struct Flags {
    /// Rows: a name and compile databases, as NAME=FILE,FILE. A header that most of the compiles read is edited and put
    /// back, and copies of source files stand beside them for a moment. Without any: git, fmtlib, googletest and ledger
    /// from their Debian sources, and units that use libraries of Boost.
    rows: Vec<Row>,
    /// The program to compare with.
    #[arg(long, default_value = "clang-scan-deps-14")]
    scan_deps: String,
    /// Times each figure is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Compiles of each row for which `-M` is run.
    #[arg(long, default_value_t = 40)]
    compiles: usize,
    /// Only the rows whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    let tree = Tree::new();
    let mut rows = flags.rows.clone();
    if rows.is_empty() {
        rows = projects::of_readme(&tree, &flags.only)?;
    }
    rows.retain(|row| row.name.contains(&flags.only));
    let mut measured = Vec::new();
    for row in &rows {
        tell_progress(&row.name);
        measured.push(Measured::new(&Project::read(row, &tree)?, &flags)?);
    }
    print_table(&measured, &flags);
    print_spreads(&measured);
    print_questions(&measured);
    print_speed_ups(&measured);
    Ok(())
}

#[allow(clippy::print_stderr, reason = "rows take minutes")]
fn tell_progress(name: &str) {
    eprintln!("measuring {name}");
}

/// All figures of one row.
struct Measured {
    name: String,
    compiles: usize,
    left_out: usize,
    scan_deps: Spread,
    compiler: Spread,
    ours: Vec<Spread>,
    questions: usize,
    questions_took: Spread,
    speed_ups: SpeedUps,
}

impl Measured {
    fn new(project: &Project, flags: &Flags) -> Result<Self, Failure> {
        let compiles = project.compiles();
        let facts = tempfile::tempdir()?;
        let (mut scan_deps, mut compiler) = (Vec::new(), Vec::new());
        let mut ours: Vec<Figures> = Vec::new();
        // Both sides in turns, so that what else the machine does meets both.
        for _ in 0..flags.runs.max(1) {
            let (mut scanned, mut asked) = (Duration::ZERO, Duration::ZERO);
            let mut figures = Figures::default();
            for database in &project.databases {
                scanned += theirs::scan_deps(&flags.scan_deps, &database.file)?;
                let sample = flags.compiles * database.commands.len() / compiles;
                asked += theirs::compilers(&database.commands, sample)?;
                figures.add(&ours::measure(database, facts.path())?);
            }
            scan_deps.push(scanned);
            compiler.push(asked);
            ours.push(figures);
        }
        let each = |times: Vec<Duration>| Spread::of(times, compiles);
        Ok(Measured {
            name: project.name.clone(),
            compiles,
            left_out: project.left_out,
            scan_deps: each(scan_deps),
            compiler: each(compiler),
            ours: (0..FIGURES.len())
                .map(|at| each(ours.iter().map(|figures| figures.times[at]).collect()))
                .collect(),
            questions: ours[0].questions,
            questions_took: each(ours.iter().map(|figures| figures.questions_took).collect()),
            speed_ups: threads::speed_ups(project, facts.path(), flags.runs)?,
        })
    }
}

fn print_table(rows: &[Measured], flags: &Flags) {
    let names = FIGURES.map(|figure| figure.name).join(" | ");
    println!("| | compiles | {} | gcc -M | {names} |", flags.scan_deps);
    println!("|{}", "---|".repeat(4 + FIGURES.len()));
    for row in rows {
        let theirs = row.scan_deps.median;
        let ours: Vec<String> = row
            .ours
            .iter()
            .map(|spread| {
                let times = theirs / spread.median;
                format!("{} ({times:.0} x)", rounded(spread.median))
            })
            .collect();
        println!(
            "| {} | {} | {theirs:.1} | {:.1} | {} |",
            row.name,
            row.compiles,
            row.compiler.median,
            ours.join(" | ")
        );
    }
    println!(
        "\nMilliseconds per compile on one thread, medians of {} runs; changed files are looked for before each answer.\n\
         In brackets: how many times faster than {} (minimised, one thread).\n",
        flags.runs, flags.scan_deps
    );
    for figure in &FIGURES {
        println!("- *{}*: {}", figure.name, figure.meaning);
    }
    for row in rows.iter().filter(|row| row.left_out > 0) {
        println!(
            "{}: {} compiles are left out, because the compiler itself fails on them.",
            row.name, row.left_out
        );
    }
}

fn print_spreads(rows: &[Measured]) {
    println!("\nLowest..highest of the runs:\n");
    for row in rows {
        let mut parts = vec![
            format!("scan-deps {}", row.scan_deps),
            format!("gcc -M {}", row.compiler),
        ];
        for (figure, spread) in FIGURES.iter().zip(&row.ours) {
            parts.push(format!("{} {spread}", figure.name));
        }
        println!("- {}: {}", row.name, parts.join(", "));
    }
}

fn print_questions(rows: &[Measured]) {
    println!("\nQuestions to compilers within the cold pass (all processes' times added up):\n");
    for row in rows {
        let whole = row.compiles as f64;
        println!(
            "- {}: {} processes, {:.1} ms ({}..{}) beside a pass of {:.1} ms",
            row.name,
            row.questions,
            row.questions_took.median * whole,
            rounded(row.questions_took.lowest * whole),
            rounded(row.questions_took.highest * whole),
            row.ours[0].median * whole,
        );
    }
}

fn print_speed_ups(rows: &[Measured]) {
    println!("\nTwo threads that live through all passes, times as fast as one:\n");
    for row in rows {
        println!("- {}: {}", row.name, row.speed_ups);
    }
}

/// Three digits that matter.
fn rounded(ms: f64) -> String {
    match ms {
        ms if ms >= 10.0 => format!("{ms:.1}"),
        ms if ms >= 1.0 => format!("{ms:.2}"),
        ms if ms >= 0.01 => format!("{ms:.3}"),
        ms => format!("{ms:.4}"),
    }
}
