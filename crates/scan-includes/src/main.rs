//! `scan-includes`: lists the files that compiles read, exactly, for gcc and clang.
//!
//! A faster `clang-scan-deps` that also knows gcc. One command line, or a whole compile database on several
//! threads. `--verify` runs the compiler beside it and shows every difference.
//! What users must know stands in `docs/scan-includes.md`.

mod claims;
mod commands;
mod output;
mod progress;
mod scan;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// Evaluation takes many small pieces of memory and reads files into large ones: a first pass over fmtlib takes a tenth
/// fewer instructions and half of the page faults that it takes with the system's allocator (callgrind, time).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How a closure is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A make rule, like the compiler's -M.
    Make,
    /// One JSON object per compile.
    Json,
}

/// List the files that compiles read, as gcc or clang themselves would find them.
///
/// The compiler is only asked for its own macros, folders and features. A compile that cannot be answered exactly
/// is refused, with the reason; nothing is guessed.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit code: 0 all answered (and the same, with --verify); 1 something was refused, differs or cannot be run; \
2 a usage error or a database of which nothing can be read.\n\n\
Examples:\n  scan-includes -- gcc -Iinclude -c main.c\n  \
scan-includes --compilation-database compile_commands.json --verify"
)]
pub(crate) struct Flags {
    /// Scan all compiles of this compile database (compile_commands.json).
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    compilation_database: Option<PathBuf>,
    /// Threads.
    #[arg(short, long, default_value_t = 1, value_parser = at_least_one)]
    jobs: usize,
    /// What to print for each compile.
    #[arg(long, value_enum, default_value_t = Format::Make, conflicts_with_all = ["verify", "timing"])]
    format: Format,
    /// Run the compiler's own dependency output beside it, and print every difference; exit 1 if there is one.
    #[arg(long)]
    verify: bool,
    /// Print nothing but figures: compiles per second, files parsed, summaries used, refusals.
    #[arg(long)]
    timing: bool,
    /// Scan everything this often; --timing and --verify speak of each pass.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = at_least_one)]
    passes: usize,
    /// Use this C compiler, or its C++ sibling, instead of the one each command names.
    #[arg(long, value_name = "NAME")]
    compiler: Option<String>,
    /// Look for changed files before each compile, as a program that lives long must. Without it, files are taken
    /// as unchanging while this runs.
    #[arg(long)]
    revalidate: bool,
    /// Evaluate each file anew instead of remembering what including it does. For comparison.
    #[arg(long)]
    no_memo: bool,
    /// Keep what compilers say of themselves in this folder, across runs.
    #[arg(long, value_name = "FOLDER")]
    facts: Option<PathBuf>,
    /// One compile: the compiler and its arguments.
    #[arg(last = true)]
    command: Vec<OsString>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be 1 or more".into()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

fn main() -> ExitCode {
    match scan::run(&Flags::parse()) {
        Ok(code) => code,
        Err(message) => {
            output::error(&message);
            ExitCode::from(2)
        }
    }
}
