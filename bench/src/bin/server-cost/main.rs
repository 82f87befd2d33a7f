//! What a compile costs the server, beside the packaged distccd 3.4, in one run.
//!
//! - *table*: all processor time of a server per compile of git, by who sends it and how; the compiler is a stand-in
//!   that answers at once, and whose own cost is part of all figures;
//! - *sandbox*: the stand-in alone, started as any program and in the sandbox.
//!
//! Scratch files of 3.4's server are below `$TMPDIR`, those of ours where it puts them by itself, and in one column on
//! disk, below `/tmp`. On ext4 most of a pump compile's cost is the file system's, which passes over inodes that were
//! freed in the last minutes when it looks for one: so that figure depends on what ran before.
//! What a server takes to start and to end is measured, too, and taken off. The packaged pump mode is no row: it does
//! not work on Debian 12. Figures of the table are medians, the others are the least of many; all ways take turns.

#![allow(clippy::print_stdout, reason = "prints tables")]

mod alone;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use bench::meter::Running;
use bench::project::Project;
use bench::{Failure, median, meter, stand_in};
use clap::Parser;
use end_to_end::compile_database;
use end_to_end::programs::{Side, ours};
use end_to_end::run::{PATH, wait_until};
use end_to_end::tree::Tree;

/// Measure what a compile costs the server, with a stand-in compiler.
#[derive(Debug, Parser)]
struct Flags {
    /// The parts to measure: table, sandbox. Without any: all.
    parts: Vec<String>,
    /// Times each figure is measured.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// So many compiles instead of all.
    #[arg(long)]
    compiles: Option<usize>,
    /// Compiles at a time.
    #[arg(long, short, default_value_t = 8)]
    jobs: usize,
}

/// Whose client sends what to whose server.
struct Way {
    name: &'static str,
    server: Side,
    options: &'static [&'static str],
    client: Side,
    pump: bool,
}

const SANDBOX: &[&str] = &["--sandbox=required"];
const ON_DISK: &[&str] = &["--sandbox=required", "--scratch-memory=0"];
const NO_SANDBOX: &[&str] = &["--sandbox=off"];

/// In the order of the table's columns.
const WAYS: [Way; 7] = [
    Way {
        name: "distccd 3.4, plain",
        server: Side::Packaged,
        options: &[],
        client: Side::Packaged,
        pump: false,
    },
    Way {
        name: "plain, 3.4's client",
        server: Side::Ours,
        options: SANDBOX,
        client: Side::Packaged,
        pump: false,
    },
    Way {
        name: "pump, 3.4's client",
        server: Side::Ours,
        options: SANDBOX,
        client: Side::Packaged,
        pump: true,
    },
    Way {
        name: "pump",
        server: Side::Ours,
        options: SANDBOX,
        client: Side::Ours,
        pump: true,
    },
    Way {
        name: "pump, on disk",
        server: Side::Ours,
        options: ON_DISK,
        client: Side::Ours,
        pump: true,
    },
    Way {
        name: "plain, no sandbox",
        server: Side::Ours,
        options: NO_SANDBOX,
        client: Side::Packaged,
        pump: false,
    },
    Way {
        name: "pump, no sandbox",
        server: Side::Ours,
        options: NO_SANDBOX,
        client: Side::Ours,
        pump: true,
    },
];

fn main() -> Result<ExitCode, Failure> {
    let first = std::env::args_os().nth(1);
    // The sandbox starts this program anew, before any thread is started.
    if let Some(code) = sandbox::helper_main(first.as_deref()) {
        return Ok(code);
    }
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
    let stand_in = stand_in::build(&tree)?;
    if wants("table") {
        let mut project = Project::new(&compile_database::of_corpus("git", &tree))?;
        if let Some(count) = flags.compiles {
            project.truncate(count);
        }
        let bench = Bench {
            tree: &tree,
            stand_in: &stand_in,
            project: &project,
            flags: &flags,
        };
        bench.table()?;
    }
    if wants("sandbox") {
        alone::compare(&tree, &stand_in.join("gcc"), flags.runs)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What all runs share.
struct Bench<'a> {
    tree: &'a Tree,
    stand_in: &'a Path,
    project: &'a Project,
    flags: &'a Flags,
}

impl Bench<'_> {
    fn table(&self) -> Result<(), Failure> {
        let mut times: [Vec<Duration>; WAYS.len()] = Default::default();
        for _ in 0..self.flags.runs {
            for (way, times) in WAYS.iter().zip(&mut times) {
                let idle = self.served(way, |_| Ok(()))?;
                let busy = self.served(way, |address| self.build(way, address))?;
                times.push(busy.saturating_sub(idle));
            }
        }
        let names = WAYS.map(|way| way.name).join(" | ");
        let rules = WAYS.map(|_| "---").join("|");
        let each = times.map(|times| {
            let per_compile = median(times).as_secs_f64() * 1e3 / self.project.count() as f64;
            format!("{per_compile:.2}")
        });
        println!("| git, {} compiles, ms | {names} |", self.project.count());
        println!("|---|{rules}|");
        println!("| processor time of the server | {} |", each.join(" | "));
        Ok(())
    }

    /// The processor time of a server, from its start to its end, that is used meanwhile.
    fn served(
        &self,
        way: &Way,
        using: impl FnOnce(SocketAddr) -> Result<(), Failure>,
    ) -> Result<Duration, Failure> {
        let (server, address) = self.server(way)?;
        using(address)?;
        server.stop()
    }

    fn server(&self, way: &Way) -> Result<(Running, SocketAddr), Failure> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        drop(free);
        let scratch = self.tree.folder("server");
        // Started by root, it becomes somebody else.
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o1777))?;
        let mut command = self.command(&way.server.distccd());
        match way.server {
            Side::Ours => command.env("TMPDIR", ""),
            Side::Packaged => command.env("TMPDIR", scratch),
        };
        command
            .args(["--daemon", "--no-detach", "--enable-tcp-insecure", "-N0"])
            .args(["--allow=127.0.0.1", "--listen=127.0.0.1"])
            .arg(format!("--port={}", address.port()))
            .arg(format!("--jobs={}", self.flags.jobs + 2))
            .arg("--log-file")
            .arg(self.tree.join("server-log"))
            .args(way.options)
            .env(
                "DISTCCD_PATH",
                format!("{}:{PATH}", self.stand_in.display()),
            );
        let running = meter::start(&command, &self.tree.join("server-meter"))?;
        let is_up = || TcpStream::connect(address).is_ok().then_some(());
        wait_until(is_up, || format!("{}: the server does not start", way.name));
        Ok((running, address))
    }

    fn build(&self, way: &Way, address: SocketAddr) -> Result<(), Failure> {
        let objects = self.tree.join("objects");
        let file = self.tree.join("build.ninja");
        let distcc = way.client.distcc().display().to_string();
        self.project.write_ninja(&file, &distcc, &objects)?;
        let mut build = match way.pump {
            true => self.command(&ours("pump")),
            false => self.command(Path::new("ninja")),
        };
        if way.pump {
            build.arg("ninja");
        }
        let options = if way.pump { ",lzo,cpp" } else { ",lzo" };
        build
            .args(["--quiet", "-j", &self.flags.jobs.to_string(), "-f"])
            .arg(&file)
            .env("DISTCC_HOSTS", format!("{address}/100{options}"))
            .env("DISTCC_FALLBACK", "0")
            .current_dir(self.tree.path());
        let done = build.output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stdout);
            return Err(format!("{}: the build failed: {said}", way.name).into());
        }
        fs::remove_dir_all(objects)?;
        for remains in [".ninja_log", ".ninja_deps"] {
            let _ = fs::remove_file(self.tree.join(remains)); // Not all are there.
        }
        Ok(())
    }

    /// A command with settings of this run's own.
    fn command(&self, program: &Path) -> Command {
        let mut command = end_to_end::programs::command(program);
        let folder = |name: &str| -> PathBuf { self.tree.folder(name) };
        command
            .env("PATH", PATH)
            .env("HOME", folder("home"))
            .env("DISTCC_DIR", folder("distcc"))
            .env("TMPDIR", folder("tmp"));
        command
    }
}
