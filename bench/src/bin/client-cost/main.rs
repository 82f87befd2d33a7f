//! What our client, include server and `pump` cost a developer's machine, beside the packaged distcc 3.4, in one run.
//!
//! - *start*: the processor time of `distcc --version`;
//! - *plain*: the client's own time for one compile in plain mode, without the preprocessor's;
//! - *pump*: all processor time of a build (ninja, shells, `pump`, include server, clients), and what is sent, beside the
//!   *floor*: the same build where the compiler is a stand-in that answers at once and nothing is distributed;
//! - *boost*: a program that uses Boost a lot, in pump mode and in plain mode.
//!
//! Servers run the stand-in compiler, too, and are not counted. The packaged pump mode is no row: it does not work on
//! Debian 12. Figures are medians; both sides take turns. At its end it prints them as the table of the README.
//!
//! Nothing that a build made is removed before the end: for minutes, ext4 looks at each inode that was freed when it makes
//! a file, which a build would have to pay for the removal of the one before.

#![allow(clippy::print_stdout, reason = "prints tables")]

mod table;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use bench::counter::Counter;
use bench::project::Project;
use bench::{Failure, median, meter, stand_in};
use clap::Parser;
use end_to_end::compile_database;
use end_to_end::programs::{Side, ours, repository};
use end_to_end::run::PATH;
use end_to_end::server::{Server, Setup};
use end_to_end::tree::Tree;
use table::Table;

/// Measure what a compile costs the client's side, with a stand-in compiler on the servers.
#[derive(Debug, Parser)]
struct Flags {
    /// The parts to measure: start, plain, pump, boost. Without any: all.
    parts: Vec<String>,
    /// Times each figure is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Compiles that the plain mode is measured with.
    #[arg(long, default_value_t = 100)]
    compiles: usize,
    /// Compiles at a time.
    #[arg(long, short, default_value_t = 8)]
    jobs: usize,
    /// Whose server answers in the part "pump".
    #[arg(long)]
    packaged_server: bool,
}

fn main() -> Result<ExitCode, Failure> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let [word, rest @ ..] = words.as_slice()
        && word == meter::WORD
    {
        return meter::main(rest);
    }
    let flags = Flags::parse();
    let wants =
        |part: &str| flags.parts.is_empty() || flags.parts.iter().any(|wanted| wanted == part);
    let tree = Tree::for_everybody();
    let bench = Bench {
        stand_in: stand_in::build(&tree)?,
        tree,
        flags: &flags,
        builds: Cell::new(0),
    };
    let mut table = Table::default();
    if wants("start") {
        bench.start(&mut table)?;
    }
    if wants("plain") || wants("pump") {
        let git = Project::new(&compile_database::of_corpus("git", &bench.tree))?;
        if wants("plain") {
            bench.plain(&git, &mut table)?;
        }
        if wants("pump") {
            bench.pump(&git, &mut table)?;
        }
    }
    if wants("boost") {
        bench.boost(&Project::new(&boost_program())?, &mut table)?;
    }
    print!("\n{table}");
    Ok(ExitCode::SUCCESS)
}

/// The units of Boost's larger libraries that hold for C++11 without further options, as one program: Spirit in all its
/// parts, MPL, Proto, Phoenix, Fusion, Wave and others.
fn boost_program() -> Vec<compile_database::Entry> {
    let units = Path::new(repository()).join("tests/hard-cases/boost");
    let mut entries = compile_database::of_units(&units, "gcc");
    entries
        .retain(|entry| entry.command.contains(" -std=c++11 ") && !entry.command.contains(" -D"));
    entries
}

/// The folder of a run, and what it measures with.
struct Bench<'a> {
    tree: Tree,
    stand_in: PathBuf,
    flags: &'a Flags,
    /// Builds so far.
    builds: Cell<u32>,
}

const SIDES: [Side; 2] = [Side::Packaged, Side::Ours];

impl Bench<'_> {
    fn start(&self, table: &mut Table) -> Result<(), Failure> {
        let mut times: [Vec<Duration>; 2] = Default::default();
        for _ in 0..self.flags.runs * 100 {
            for (side, times) in SIDES.into_iter().zip(&mut times) {
                let mut distcc = self.command(&side.distcc(), PATH);
                distcc.arg("--version").stdout(Stdio::null());
                times.push(meter::alone(&mut distcc)?);
            }
        }
        let [theirs, ours] = times.map(median);
        table.compare("`distcc --version`", theirs, ours);
        Ok(())
    }

    /// Each compile by both clients in turn, with the same server.
    fn plain(&self, project: &Project, table: &mut Table) -> Result<(), Failure> {
        let server = self.server(Side::Packaged);
        let step = (project.count() / self.flags.compiles).max(1);
        let object = self.tree.join("plain.o");
        for (name, protocol) in [("plain mode", 1), ("plain mode, `,lzo`", 2)] {
            let mut times: [Vec<Duration>; 2] = Default::default();
            for (folder, words) in project.compiles(step, &object) {
                let mut each: [Vec<Duration>; 2] = Default::default();
                for _ in 0..self.flags.runs {
                    for (side, each) in SIDES.into_iter().zip(&mut each) {
                        let mut distcc = self.command(&side.distcc(), PATH);
                        distcc
                            .args(&words)
                            .env("DISTCC_HOSTS", server.host(protocol));
                        each.push(meter::alone(distcc.current_dir(folder))?);
                    }
                }
                for (all, each) in times.iter_mut().zip(each) {
                    all.push(median(each));
                }
            }
            let [theirs, ours] = times.map(median);
            table.compare(&format!("{name}, preprocessor excluded"), theirs, ours);
        }
        Ok(())
    }

    fn pump(&self, project: &Project, table: &mut Table) -> Result<(), Failure> {
        let side = if self.flags.packaged_server {
            Side::Packaged
        } else {
            Side::Ours
        };
        let server = self.server(side);
        let (mut floor, mut pumped) = (Vec::new(), Vec::new());
        let stand_in = format!("{}:{PATH}", self.stand_in.display());
        for _ in 0..self.flags.runs {
            floor.push(self.build(project, "", self.command(Path::new("ninja"), &stand_in))?);
            pumped.push(self.pumped(project, &server.host(3))?);
        }
        let counter = Counter::open(server.address())?;
        let host = format!("127.0.0.1:{},lzo,cpp", counter.port());
        self.pumped(project, &host)?;
        let each = |bytes: u64| bytes as f64 / 1024.0 / project.count() as f64;
        let (floor, pumped) = (median(floor), median(pumped));
        table.pump(
            per_compile(floor, project),
            per_compile(pumped, project),
            each(counter.sent()),
            each(project.packed_inputs()?),
        );
        Ok(())
    }

    fn boost(&self, project: &Project, table: &mut Table) -> Result<(), Failure> {
        let server = self.server(Side::Ours);
        let mut plain = self.command(Path::new("ninja"), PATH);
        plain.env("DISTCC_HOSTS", server.host(2));
        let distcc = ours("distcc").display().to_string();
        let plain = self.build(project, &distcc, plain)?;
        let mut pumped = Vec::new();
        for _ in 0..self.flags.runs {
            pumped.push(self.pumped(project, &server.host(3))?);
        }
        let pumped = median(pumped);
        let units = project.count();
        table.boost(
            units,
            per_compile(plain, project),
            per_compile(pumped, project),
        );
        Ok(())
    }

    /// A build in pump mode. Fails if a compile was preprocessed here.
    fn pumped(&self, project: &Project, host: &str) -> Result<Duration, Failure> {
        let mut pump = self.command(&ours("pump"), PATH);
        // Protocol 3 is what is compared here.
        pump.arg("ninja").env("PUMP_ACTIONS", "0");
        pump.env("DISTCC_HOSTS", host);
        self.build(project, "distcc", pump)
    }

    /// Has ninja, at the end of `command`, build it all behind `launcher`.
    fn build(
        &self,
        project: &Project,
        launcher: &str,
        mut command: Command,
    ) -> Result<Duration, Failure> {
        self.builds.set(self.builds.get() + 1);
        let objects = self.tree.join(format!("objects-{}", self.builds.get()));
        let file = self.tree.join("build.ninja");
        let scratch = self.tree.join("meter");
        let log = self.tree.join("log");
        project.write_ninja(&file, launcher, &objects)?;
        command
            .arg("-j")
            .arg(self.flags.jobs.to_string())
            .arg("--quiet")
            .arg("-f")
            .arg(&file);
        command
            .env("DISTCC_LOG", &log)
            .current_dir(self.tree.path());
        let time = meter::whole(&command, &scratch)?;
        for remains in [".ninja_log", ".ninja_deps", "log"] {
            let _ = std::fs::remove_file(self.tree.join(remains)); // Not all are there.
        }
        Ok(time)
    }

    fn server(&self, side: Side) -> Server {
        Setup::of(side)
            .jobs(self.flags.jobs as u32 + 2)
            // There the stand-in would not be found.
            .without_sandbox()
            .with_programs(&self.stand_in)
            .start()
    }

    /// A command with settings of this run's own.
    fn command(&self, program: &Path, path: &str) -> Command {
        let mut command = end_to_end::programs::command(program);
        command
            .env("PATH", path)
            .env("HOME", self.tree.folder("home"))
            .env("DISTCC_DIR", self.tree.folder("distcc"))
            .env("TMPDIR", self.tree.folder("tmp"))
            .env("DISTCC_FALLBACK", "0");
        command
    }
}

fn per_compile(time: Duration, project: &Project) -> f64 {
    time.as_secs_f64() * 1e3 / project.count() as f64
}
