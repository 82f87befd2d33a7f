//! Where builds run: a client, sources, and a server of one kind, started again when it was killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use end_to_end::client::Client;
use end_to_end::engine::Engine;
use end_to_end::programs::{Side, command, ours};
use end_to_end::run::{LIMIT, is_alive, processes_of, run, run_within};
use end_to_end::server::{Server, Setup};
use end_to_end::sshd::Sshd;
use end_to_end::tree::{Tree, snapshot};
use rustix::process::{Pid, Signal, kill_process};

use crate::describe;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    IncludeServer,
    Server,
    Ssh,
}

/// Who compiles.
enum Kind {
    Plain(Server),
    Engine(Engine),
    /// The folder has a second name of the server's program, by which its processes are found.
    Ssh(Sshd, Tree),
}

pub(crate) struct Site {
    kind: Kind,
    tree: Tree,
    client: Client,
    /// Where include servers keep copies.
    copies: Tree,
    builds: u32,
    was_hit: bool,
}

const SOURCES: usize = 20;

impl Site {
    /// One of each kind.
    pub(crate) fn all() -> Vec<Self> {
        let behind_ssh = Tree::new();
        behind_ssh.link(Side::Ours.distccd(), "distccd");
        [
            Kind::Plain(Setup::of(Side::Ours).start()),
            Kind::Engine(Engine::start(4)),
            Kind::Ssh(Sshd::start(), behind_ssh),
        ]
        .map(Self::new)
        .into()
    }

    fn new(kind: Kind) -> Self {
        let tree = Tree::new();
        tree.write("w/all.h", "#include <stdio.h>\n#include \"deep/more.h\"\n");
        tree.write("w/deep/more.h", "#define MORE(x) ((x) * 3 + BUILD)\n");
        for number in 0..SOURCES {
            let text = format!(
                "#include \"all.h\"\nint f{number}(int x) {{ puts(\"\"); return MORE(x + {number}); }}\n"
            );
            tree.write(format!("w/f{number}.c"), text);
        }
        // With -g, objects tell whether a compile was preprocessed here and sent as text.
        tree.write(
            "w/Makefile",
            "all: $(patsubst %.c,%.o,$(wildcard *.c))\n\
             %.o: %.c\n\t$(CC) -O2 -g -MMD -DBUILD=$(BUILD) -c $< -o $@\n",
        );
        let copies = Tree::new();
        let mut client = Client::of(Side::Ours, "")
            .with_actions()
            .with_fallback()
            .with("DISTCC_VERBOSE", "1")
            .with("DISTCC_LOG", tree.join("log"))
            .with("DISTCC_CLIENT_TMP", copies.path())
            // Servers are back in a moment.
            .with("DISTCC_BACKOFF_PERIOD", "1");
        if let Kind::Ssh(sshd, _) = &kind {
            client = client.with("DISTCC_SSH", sshd.ssh());
        }
        Self {
            kind,
            tree,
            client,
            copies,
            builds: 0,
            was_hit: false,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Plain(_) => "a plain host",
            Kind::Engine(_) => "the engine of others",
            Kind::Ssh(..) => "behind ssh",
        }
    }

    pub(crate) fn victims(&self) -> &'static [Victim] {
        match self.kind {
            Kind::Plain(_) | Kind::Engine(_) => &[Victim::IncludeServer, Victim::Server],
            Kind::Ssh(..) => &[Victim::IncludeServer, Victim::Server, Victim::Ssh],
        }
    }

    fn hosts(&self) -> String {
        match &self.kind {
            Kind::Plain(server) => server.host(3),
            Kind::Engine(engine) => engine.host(),
            Kind::Ssh(_, folder) => {
                format!("@build:{},lzo,cpp", folder.join("distccd").display())
            }
        }
    }

    /// All folders by which processes are known.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.client.temp(), self.tree.path()];
        match &self.kind {
            Kind::Plain(server) => folders.push(server.scratch()),
            Kind::Engine(_) => {}
            Kind::Ssh(_, folder) => folders.push(folder.path()),
        }
        folders
    }

    /// Where nothing may be left.
    pub(crate) fn to_be_empty(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.copies.path()];
        if let Kind::Plain(server) = &self.kind {
            folders.push(server.scratch());
        }
        folders
    }

    /// Whether what was to be killed in the last build was there.
    pub(crate) fn was_hit(&self) -> bool {
        self.was_hit
    }

    /// How many compiles ran as actions so far.
    pub(crate) fn actions(&self) -> usize {
        self.log().matches(": as an action").count()
    }

    fn log(&self) -> String {
        let bytes = std::fs::read(self.tree.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn make(&self, make: &mut Command, compiler: &str) {
        // Each build has actions of its own, so that results are not known already.
        make.arg("-j4")
            .arg(format!("BUILD={}", self.builds))
            .arg(format!("CC={compiler}"))
            .current_dir(self.tree.join("w"));
    }

    /// Builds once; what was wrong.
    pub(crate) fn build(&mut self, kill: Option<(Victim, Duration)>) -> Vec<String> {
        self.builds += 1;
        let mut make = command("make");
        self.make(&mut make, "gcc");
        run(&mut make).expect_success();
        let expected = self.take_made();
        let mut pump = self.client.command(ours("pump"), &self.tree.join("w"));
        pump.env("DISTCC_HOSTS", self.hosts()).arg("make");
        self.make(&mut pump, "distcc gcc");
        let before = self.log().len();
        let (done, was_hit) = std::thread::scope(|scope| {
            let site = &*self;
            let killer = kill.map(|(victim, after)| {
                scope.spawn(move || {
                    sleep(after);
                    site.kill(victim)
                })
            });
            let done = run_within(&mut pump, LIMIT);
            let hit = killer.is_some_and(|killer| killer.join().unwrap_or(false));
            (done, hit)
        });
        self.was_hit = was_hit;
        let mut wrong = Vec::new();
        let mut found = |text: String| wrong.push(format!("{}: {text}", describe(kill)));
        if done.code() != 0 {
            let log = self.log();
            found(format!("{}\n{}", done.explain(), &log[before..]));
        }
        let made = self.take_made();
        let different = expected
            .iter()
            .filter(|(name, it)| made.get(*name) != Some(*it));
        let different: Vec<_> = different.map(|(name, _)| name).collect();
        if !different.is_empty() || made.len() != expected.len() {
            found(format!("other files: {different:?}, {} in all", made.len()));
        }
        // Whoever loses the include server may have been compiling here when `make` ended: it waits for all.
        let deadline = Instant::now() + LIMIT / 4;
        let of_client = || processes_of(&self.client.temp());
        while !of_client().is_empty() && Instant::now() < deadline {
            sleep(Duration::from_millis(10));
        }
        if !of_client().is_empty() {
            found(format!("processes left: {:?}", of_client()));
        }
        let left = snapshot(&self.client.temp());
        if !left.is_empty() {
            found(format!(
                "left in TMPDIR: {:?}",
                left.into_keys().collect::<Vec<_>>()
            ));
        }
        self.start_again();
        wrong
    }

    /// Objects and dependency files, which are gone then.
    fn take_made(&self) -> BTreeMap<String, Vec<u8>> {
        let mut made = BTreeMap::new();
        let entries = std::fs::read_dir(self.tree.join("w")).expect("it is ours");
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_source = |end: &std::ffi::OsStr| end == "c" || end == "h";
            if path.is_file() && path.extension().is_some_and(|end| !is_source(end)) {
                let content = std::fs::read(&path).expect("it is ours");
                std::fs::remove_file(&path).expect("it is ours");
                made.insert(name(&path), content);
            }
        }
        made
    }

    /// Whether it was there.
    fn kill(&self, victim: Victim) -> bool {
        let by_name = |folder: &Path, name: &str| {
            let mut found = processes_of(folder).into_iter();
            found.find(|(_, comm)| comm == name).map(|(pid, _)| pid)
        };
        let pid = match (victim, &self.kind) {
            (Victim::IncludeServer, _) => by_name(&self.client.temp(), "include_server"),
            (Victim::Ssh, _) => by_name(&self.client.temp(), "ssh"),
            (Victim::Server, Kind::Plain(server)) => Some(server.pid()),
            (Victim::Server, Kind::Engine(engine)) => Some(engine.pid()),
            (Victim::Server, Kind::Ssh(_, folder)) => by_name(&folder.path(), "distccd"),
        };
        pid.is_some_and(|pid: Pid| kill_process(pid, Signal::KILL).is_ok())
    }

    /// A new server where the old one is gone, once its jobs are, too.
    fn start_again(&mut self) {
        match &mut self.kind {
            Kind::Plain(server) if !is_alive(server.pid()) => {
                server.kill(); // It is waited for.
                *server = Setup::of(Side::Ours).start();
            }
            Kind::Engine(engine) if !is_alive(engine.pid()) => {
                engine.end();
                *engine = Engine::start(4);
            }
            _ => {}
        }
    }
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
