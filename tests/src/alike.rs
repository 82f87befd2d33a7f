//! Compiles of real projects, here and on engines: each file that comes of them has to be the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::client::Client;
use crate::compile_database::Entry;
use crate::programs::{Side, command, ours};
use crate::run::run_within;
use crate::tree::{Tree, snapshot};

const LIMIT: Duration = Duration::from_secs(1800);

/// Compiles all `entries` by `compiler`, gcc or clang, here and below `pump` on an engine (as host lists name it), in the same folders and with
/// the same names. Each has to run there, and objects and dependency files have to be the same to the byte.
#[track_caller]
pub fn expect_same_objects(engine: &str, entries: &[Entry], compiler: &str) {
    let tree = Tree::new();
    let out = tree.folder("out");
    let makefile = tree.write("Makefile", makefile(entries, compiler, &out));
    let words = [
        "--silent",
        "-j2",
        "-f",
        makefile.to_str().expect("tests' folders are UTF-8"),
    ];
    let mut make = command("make");
    run_within(make.args(words).current_dir(tree.path()), LIMIT).expect_success();
    let here = tree.join("here");
    fs::rename(&out, &here).expect("both are in one folder");
    tree.folder("out");

    let log = tree.join("log");
    let client = Client::of(Side::Ours, engine)
        .with("DISTCC_VERBOSE", "1")
        .with("DISTCC_LOG", &log);
    let mut pump = client.command(ours("pump"), &tree.path());
    pump.arg("make").args(words).arg("LAUNCHER=distcc");
    let done = run_within(&mut pump, LIMIT);
    let log = fs::read(log).expect("clients have written to it");
    let log = String::from_utf8_lossy(&log);
    let there = log.matches(": as an action").count();
    assert!(
        done.code() == 0 && there == entries.len(),
        "on the engine: {there} of {}\n{}\n{log}",
        entries.len(),
        done.explain()
    );

    let (here, there) = (snapshot(&here), snapshot(&out));
    assert!(here.len() >= 2 * entries.len(), "objects and their lists");
    let names: BTreeSet<_> = here.keys().chain(there.keys()).collect();
    let different = names
        .into_iter()
        .filter(|name| here.get(*name) != there.get(*name));
    let different: Vec<_> = different.collect();
    assert!(different.is_empty(), "{compiler}: {different:?}");
}

/// All compiles, each with outputs of its own below `out`. `$(LAUNCHER)` stands in front of each.
fn makefile(entries: &[Entry], compiler: &str, out: &Path) -> String {
    let mut rules = String::new();
    let mut all = String::from("all:");
    for (number, entry) in entries.iter().enumerate() {
        let stem = out.join(number.to_string()).display().to_string();
        let folder = entry.folder.display();
        let words = own_words(&entry.command);
        let driver = match (words[0].ends_with("++"), compiler) {
            (true, "gcc") => "g++".to_owned(),
            (true, other) => format!("{other}++"),
            (false, other) => other.to_owned(),
        };
        let words = words[1..].join(" ").replace('$', "$$");
        let options = format!("-O2 -g -w -MD -MF {stem}.d -o {stem}.o");
        let _ = write!(all, " {stem}.o"); // Strings take all.
        let _ = writeln!(
            rules,
            "{stem}.o:\n\tcd {folder} && $(LAUNCHER) {driver} {words} {options}"
        );
    }
    format!("{all}\n\n{rules}")
}

/// A command without its own output.
fn own_words(command: &str) -> Vec<&str> {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    while let Some(at) = words.iter().position(|&word| word == "-o") {
        words.drain(at..(at + 2).min(words.len()));
    }
    words
}
