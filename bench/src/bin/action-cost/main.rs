//! What a compile by an action costs: processor time of the client's side and of the server, and bytes on the wire.
//!
//! All of git, with a stand-in compiler on our server (`--bench-compiler`). One server has, one after the other and each time
//! from a new `pump`:
//!
//! - *first build*: of git it knows nothing; the toolchain it has, from one compile before;
//! - *header edited*: one that all include has another line;
//! - *nothing changed*: all results are known.
//!
//! The client's side is all processes of the build, `pump` and what it starts included; without distcc, with the stand-in as
//! compiler, it is the floor. Bytes are those of both directions, without the objects. The server's time includes the stand-in's,
//! whose start and work the line for it gives.

#![allow(clippy::print_stdout, reason = "prints tables")]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use bench::counter::Counter;
use bench::meter::{self, Running};
use bench::project::Project;
use bench::{Failure, stand_in};
use clap::Parser;
use end_to_end::compile_database;
use end_to_end::programs::{Side, ours};
use end_to_end::run::{PATH, wait_until};
use end_to_end::tree::Tree;

/// Measure what a compile by an action costs, with a stand-in compiler.
#[derive(Debug, Parser)]
struct Flags {
    /// Compiles at a time.
    #[arg(long, short, default_value_t = 8)]
    jobs: usize,
    /// Where the server's cache is, instead of a temporary folder.
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// The header that is edited.
    #[arg(long, default_value = "git-compat-util.h")]
    header: PathBuf,
    /// How often all of it is done.
    #[arg(long, default_value_t = 1)]
    runs: u32,
}

fn main() -> Result<ExitCode, Failure> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let [word, rest @ ..] = words.as_slice()
        && word == meter::WORD
    {
        return meter::main(rest);
    }
    let flags = Flags::parse();
    let tree = Tree::for_everybody();
    let stand_in = stand_in::build(&tree)?;
    let project = Project::new(&compile_database::of_corpus("git", &tree))?;
    let bench = Bench {
        tree,
        stand_in,
        project,
        flags,
    };
    for _ in 0..bench.flags.runs {
        bench.run()?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Bench {
    tree: Tree,
    stand_in: PathBuf,
    project: Project,
    flags: Flags,
}

/// What a build took.
struct Took {
    client: Duration,
    server: Duration,
    bytes: u64,
}

impl Bench {
    fn run(&self) -> Result<(), Failure> {
        let path = format!("{}:{PATH}", self.stand_in.display());
        let ninja = self.command(Path::new("ninja"), &path);
        let (floor, _) = self.build(&self.project, "", ninja)?;
        println!("| per compile | client | x floor | server | bytes |");
        println!("|---|---|---|---|---|");
        println!("| without distcc (floor) | {} | | | |", self.each(floor));

        let (server, address) = self.server()?;
        let counter = Counter::open(address)?;
        self.bring_the_toolchain(&counter)?;
        let show = |name: &str, took: &Took| {
            println!(
                "| {name} | {} | {:.1} | {} | {:.2} KiB |",
                self.each(took.client),
                took.client.as_secs_f64() / floor.as_secs_f64(),
                self.each(took.server),
                took.bytes as f64 / 1024.0 / self.project.count() as f64,
            );
        };
        show("first build", &self.pumped(&server, &counter)?);
        self.edit()?;
        show("header edited", &self.pumped(&server, &counter)?);
        show("nothing changed", &self.pumped(&server, &counter)?);
        server.stop()?;
        Ok(())
    }

    fn each(&self, all: Duration) -> String {
        let count = self.project.count() as f64;
        format!("{:.2} ms", all.as_secs_f64() * 1000.0 / count)
    }

    /// A compile of something else.
    fn bring_the_toolchain(&self, counter: &Counter) -> Result<(), Failure> {
        self.tree.write("other.c", "int x;\n");
        let mut pump = self.pump(counter);
        pump.args([
            "distcc", "gcc", "-g", "-O2", "-c", "other.c", "-o", "other.o",
        ]);
        let done = pump.current_dir(self.tree.path()).output()?;
        match done.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&done.stderr).into()),
        }
    }

    /// Another line in the header that all include.
    fn edit(&self) -> Result<(), Failure> {
        let header = self.tree.join("git").join(&self.flags.header);
        let mut header = OpenOptions::new().append(true).open(header)?;
        Ok(header.write_all(b"/* edited */\n")?)
    }

    fn pumped(&self, server: &Running, counter: &Counter) -> Result<Took, Failure> {
        let before = (server.so_far()?, counter.sent() + counter.received());
        let mut pump = self.pump(counter);
        pump.arg("ninja");
        let (client, objects) = self.build(&self.project, "distcc", pump)?;
        let bytes = counter.sent() + counter.received() - before.1;
        Ok(Took {
            client,
            server: server.so_far()?.saturating_sub(before.0),
            bytes: bytes.saturating_sub(objects),
        })
    }

    fn pump(&self, counter: &Counter) -> Command {
        let mut pump = self.command(&ours("pump"), PATH);
        let host = format!("grpc://127.0.0.1:{}", counter.port());
        pump.env("DISTCC_HOSTS", host);
        pump
    }

    /// Has ninja, at the end of `command`, build it all behind `launcher`; the bytes of all that was made.
    fn build(
        &self,
        project: &Project,
        launcher: &str,
        mut command: Command,
    ) -> Result<(Duration, u64), Failure> {
        // The same folder each time, since its name is part of each action.
        let objects = self.tree.join("objects");
        let file = self.tree.join("build.ninja");
        project.write_ninja(&file, launcher, &objects)?;
        let jobs = self.flags.jobs.to_string();
        command.args(["-j", &jobs, "--quiet", "-f"]).arg(&file);
        command.current_dir(self.tree.path());
        let time = meter::whole(&command, &self.tree.join("meter"))?;
        let mut bytes = 0;
        for made in fs::read_dir(&objects)? {
            bytes += made?.metadata()?.len();
        }
        fs::remove_dir_all(objects)?;
        for remains in [".ninja_log", ".ninja_deps"] {
            let _ = fs::remove_file(self.tree.join(remains)); // Not all are there.
        }
        Ok((time, bytes))
    }

    fn server(&self) -> Result<(Running, SocketAddr), Failure> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = free.local_addr()?;
        drop(free);
        let cache = match &self.flags.cache_dir {
            Some(folder) => folder.clone(),
            None => self.tree.folder("cache"),
        };
        fs::create_dir_all(&cache)?;
        // Started by root, it becomes somebody else.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o1777);
        fs::set_permissions(&cache, everybody)?;
        // Each server begins with nothing.
        let _ = fs::remove_dir_all(cache.join("server")); // There may be none.
        let mut command = self.command(&Side::Ours.distccd(), PATH);
        command
            .args(["--daemon", "--no-detach", "--enable-tcp-insecure", "-N0"])
            .args(["--allow=127.0.0.1", "--listen=127.0.0.1"])
            .arg("--sandbox=required")
            .arg(format!("--port={}", address.port()))
            .arg(format!("--jobs={}", self.flags.jobs + 2))
            .arg("--log-file")
            .arg(self.tree.join("server-log"))
            .arg("--cache-dir")
            .arg(cache.join("server"))
            .arg("--bench-compiler")
            .arg(self.stand_in.join("stand-in"))
            // Files of jobs go where the server puts them by itself.
            .env("TMPDIR", "");
        let running = meter::start(&command, &self.tree.join("server-meter"))?;
        let is_up = || TcpStream::connect(address).is_ok().then_some(());
        wait_until(is_up, || "the server does not start".to_owned());
        Ok((running, address))
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
