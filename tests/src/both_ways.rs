//! Scripts of compiles that run twice, here and on engines, and have to make the same files.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::Client;
use crate::engine::Engine;
use crate::programs::{Side, command, ours};
use crate::run::{Done, run, run_within};
use crate::server::Setup;
use crate::tree::{Tree, snapshot};

/// For a script.
pub const LIMIT: Duration = Duration::from_secs(900);

/// A folder to compile in, with a log of what became of each command.
#[derive(Debug)]
pub struct Work {
    /// Its folder `w` is where scripts run.
    pub tree: Tree,
    /// How clients run.
    pub client: Client,
}

impl Work {
    /// On this host, which is an engine.
    pub fn on(host: &str) -> Self {
        let tree = Tree::new();
        tree.folder("w");
        // Who runs what is in the log.
        let client = Client::of(Side::Ours, host)
            .with("DISTCC_VERBOSE", "1")
            .with("DISTCC_LOG", tree.join("log"));
        Self { tree, client }
    }

    /// Writes a file into the folder of scripts.
    pub fn write(&self, name: &str, content: &str) {
        self.tree.write(format!("w/{name}"), content);
    }

    /// A shell's script below `pump`, in which `cc` and what stands behind `$by` compile there.
    #[track_caller]
    pub fn pump(&self, script: &str) -> Done {
        let mut pump = self.client.command(ours("pump"), &self.tree.join("w"));
        let script = format!("by=distcc; cc() {{ $by gcc \"$@\"; }}\n{script}");
        let done = run_within(pump.args(["sh", "-ec", &script]), LIMIT);
        let left = snapshot(&self.client.temp());
        assert!(left.is_empty(), "left in the client's folder: {left:?}");
        done
    }

    /// The same script with the compiler here.
    #[track_caller]
    pub fn here(&self, script: &str) -> Done {
        let script = format!("by=; cc() {{ $by gcc \"$@\"; }}\n{script}");
        let mut shell = command("sh");
        run(shell
            .args(["-ec", &script])
            .current_dir(self.tree.join("w")))
    }

    /// Runs a script both ways from the same files, which has to make the same ones; so many compiles ran there.
    #[track_caller]
    pub fn expect_same(&self, script: &str, actions: usize) -> (Done, Done) {
        let before = snapshot(&self.tree.join("w"));
        let here = self.here(script);
        let made = snapshot(&self.tree.join("w"));
        fs::remove_dir_all(self.tree.join("w")).expect("tests' folders are ours");
        self.tree.folder("w");
        for (name, entry) in &before {
            let crate::tree::Entry::File(_, content) = entry else {
                continue;
            };
            self.tree.write(format!("w/{}", name.display()), content);
        }
        let there = self.pump(script);
        let log = self.log();
        assert_eq!(there.code(), here.code(), "{}\n{log}", there.explain());
        assert_eq!(self.actions(), actions, "{}\n{log}", there.explain());
        let now = snapshot(&self.tree.join("w"));
        let differs = |name: &&PathBuf| now.get(*name) != made.get(*name);
        let different: BTreeSet<_> = now.keys().chain(made.keys()).filter(differs).collect();
        assert!(
            different.is_empty(),
            "{different:?}\n{}\n{log}",
            there.explain()
        );
        (here, there)
    }

    /// What clients said so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.tree.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many compiles ran there so far.
    pub fn actions(&self) -> usize {
        self.log().matches(": as an action").count()
    }
}

/// The same on an engine of others, and on ours.
pub fn on_each_engine(test: impl Fn(&Work)) {
    let (theirs, ours) = (Engine::start(2), Setup::of(Side::Ours).jobs(2).start());
    for host in [theirs.host(), ours.engine()] {
        test(&Work::on(&host));
    }
}
