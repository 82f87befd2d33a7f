//! Client and server of different releases of Debian: a client with another gcc and another C library gets the objects of its
//! own compiler from a server that has neither.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use end_to_end::alike::own_words;
use end_to_end::compile_database::of_corpus;
use end_to_end::programs::{Side, command, debian_root, static_pump};
use end_to_end::run::{run, run_within};
use end_to_end::server::Setup;
use end_to_end::tree::{Tree, snapshot};

const LIMIT: Duration = Duration::from_secs(300);

/// A machine of the older release, which sees one folder of ours.
struct Older {
    root: PathBuf,
    tree: Tree,
}

impl Older {
    fn command(&self, words: &[&str]) -> Command {
        let tree = self.tree.path();
        let mut bwrap = command("bwrap");
        bwrap.arg("--ro-bind").arg(&self.root).arg("/");
        bwrap.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]);
        bwrap.arg("--bind").args([&tree, &tree]);
        bwrap.args(["--unshare-pid", "--die-with-parent", "--chdir"]);
        bwrap.arg(&tree).args(words);
        let mut path = self.tree.join("bin").into_os_string();
        path.push(":/usr/bin:/bin");
        bwrap
            .env("PATH", path)
            .env("HOME", &tree)
            .env("TMPDIR", tree.join("tmp"))
            .env("DISTCC_DIR", tree.join("distcc"));
        bwrap
    }
}

/// lua and a source of C++, each compile with outputs of its own in the folder `out`.
fn script(tree: &Tree) -> (String, usize) {
    tree.write(
        "own.cc",
        "#include <map>\n#include <string>\nstd::map<std::string, int> m;\nint f() { return m[\"x\"]; }\n",
    );
    let mut script = String::from("set -e\n");
    let out = tree.join("out").display().to_string();
    let entries = of_corpus("lua5.4", tree);
    for (number, entry) in entries.iter().enumerate() {
        let words = own_words(&entry.command).join(" ");
        let folder = entry.folder.display();
        let options = format!("-O2 -g -MD -MF {out}/{number}.d -o {out}/{number}.o");
        let _ = writeln!(script, "cd {folder}; $1 {words} {options}"); // Strings take all.
    }
    let own = format!("cd {out}/..; $1 g++ -O2 -g -MD -c own.cc -o {out}/own.o");
    (format!("{script}{own}\n"), entries.len() + 1)
}

#[test]
fn an_older_client_gets_its_own_compilers_objects() {
    let server = Setup::of(Side::Ours).start();
    let older = Older {
        root: debian_root("bullseye"),
        tree: Tree::new(),
    };
    let tree = &older.tree;
    for folder in ["bin", "tmp", "distcc", "out"] {
        tree.folder(folder);
    }
    fs::copy(Side::Ours.distcc(), tree.join("bin/distcc")).unwrap();
    for program in ["pump", "include_server"] {
        fs::copy(static_pump().join(program), tree.join("bin").join(program)).unwrap();
    }
    let (script, compiles) = script(tree);
    tree.write("build.sh", script);

    run_within(&mut older.command(&["sh", "build.sh", ""]), LIMIT).expect_success();
    fs::rename(tree.join("out"), tree.join("here")).unwrap();
    tree.folder("out");
    let mut pump = older.command(&["pump", "sh", "build.sh", "distcc"]);
    pump.env("DISTCC_HOSTS", server.engine())
        .env("DISTCC_FALLBACK", "0")
        .env("DISTCC_VERBOSE", "1")
        .env("DISTCC_LOG", tree.join("log"));
    let done = run_within(&mut pump, LIMIT);
    let log = fs::read(tree.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let done = done.expect_success();
    let there = log.matches(": as an action").count();
    assert_eq!(there, compiles, "{}\n{log}", done.explain());

    let (here, there) = (snapshot(&tree.join("here")), snapshot(&tree.join("out")));
    assert_eq!(here.len(), 2 * compiles);
    let names: BTreeSet<_> = here.keys().chain(there.keys()).collect();
    let different: Vec<_> = names
        .into_iter()
        .filter(|name| here.get(*name) != there.get(*name))
        .collect();
    assert!(different.is_empty(), "{different:?}");

    // Two compilers, indeed.
    let version = |command: &mut Command| run(command.arg("-dumpfullversion")).text().0;
    let (own, other) = (
        version(&mut older.command(&["gcc"])),
        version(&mut command("gcc")),
    );
    assert_ne!(own, other);
    let object = fs::read(tree.join("out/own.o")).unwrap();
    let own = own.trim().as_bytes();
    assert!(object.windows(own.len()).any(|part| part == own));
}
