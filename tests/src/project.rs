//! Real projects, built under `pump` on two servers and compared with a local build.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::Client;
use crate::object::Object;
use crate::programs::{Side, command, corpus, ours};
use crate::run::{Done, run, run_within};
use crate::server::{Server, Setup};
use crate::tree::{Entry, Tree, snapshot};

/// A Debian source package that builds with a plain `make`.
#[derive(Clone, Copy, Debug)]
pub struct Project {
    /// The package.
    pub name: &'static str,
    /// What `make` is told, so that it prints its commands in full, and uses nothing unusual.
    pub make: &'static [&'static str],
    /// Sources that the Makefile compiles while it is read, to find out what the compiler can.
    pub probes: &'static [&'static str],
}

/// A folder in which a project was built under `pump`.
#[derive(Debug)]
pub struct Built {
    tree: Tree,
    /// What the build said.
    pub output: String,
}

/// Some projects write the time of the build into their programs.
const TIME: (&str, &str) = ("SOURCE_DATE_EPOCH", "1700000000");

const LIMIT: Duration = Duration::from_secs(1800);

impl Project {
    /// Builds it under `pump`, and checks that
    ///
    /// - each compile that can be sent was sent, by the servers' logs, and both servers had some;
    /// - what was compiled equals what a local build makes in the same folder.
    #[track_caller]
    pub fn build_pumped(&self) -> Built {
        let tree = Tree::new();
        let folder = tree.join("project");
        let source = corpus(self.name);
        let copy = || {
            let copied = run(command("cp").arg("-a").arg(&source).arg(&folder));
            copied.expect_success();
        };
        copy();
        let planned = self.make(&folder, &["-n", "CC=gcc"]).expect_success();
        let mut expected = sources_to_send(&planned.text().0);
        assert!(!expected.is_empty(), "no compile in {}", planned.explain());

        let servers = [Side::Ours, Side::Ours].map(|side| Setup::of(side).jobs(2).start());
        let done = self.pump(&folder, &servers);
        let (output, errors) = done.expect_success().text();
        assert!(!errors.contains("distcc["), "distcc had to say:\n{errors}");
        check_logs(&servers, &mut expected, self.probes);

        let pumped = tree.join("pumped");
        fs::rename(&folder, &pumped).expect("both are in one folder");
        copy();
        self.make(&folder, &["-j2", "CC=gcc"]).expect_success();
        compare(&folder, &pumped);
        fs::remove_dir_all(&folder).expect("it is ours");
        fs::rename(&pumped, &folder).expect("both are in one folder");
        Built { tree, output }
    }

    fn make(&self, folder: &Path, words: &[&str]) -> Done {
        let mut make = command("make");
        make.args(self.make).args(words).current_dir(folder);
        run_within(make.env(TIME.0, TIME.1), LIMIT)
    }

    fn pump(&self, folder: &Path, servers: &[Server]) -> Done {
        let hosts: Vec<String> = servers
            .iter()
            .map(|server| server.host(3).replacen(',', "/2,", 1))
            .collect();
        let client = Client::of(Side::Ours, &hosts.join(" "));
        let mut pump = client.command(ours("pump"), folder);
        pump.args(["make", "-j4", "CC=distcc gcc"])
            .args(self.make)
            .env(TIME.0, TIME.1);
        let done = run_within(&mut pump, LIMIT);
        let left = snapshot(&client.temp());
        assert!(left.is_empty(), "left in the client's folder: {left:?}");
        done
    }
}

impl Built {
    /// Runs one of the programs that were built.
    #[track_caller]
    pub fn run(&self, program: &str, words: &[&str]) -> String {
        let folder = self.tree.join("project");
        let mut command = command(folder.join(program));
        let done = run(command.args(words).current_dir(&folder));
        done.expect_success().text().0
    }
}

/// The sources of those commands in `make -n`'s output whose compile can be sent.
///
/// Written down here a second time on purpose: what the client thinks of a command is tested.
fn sources_to_send(planned: &str) -> Vec<String> {
    let joined = planned.replace("\\\n", " ");
    joined.lines().filter_map(source_to_send).collect()
}

fn source_to_send(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    (words.next()? == "gcc").then_some(())?;
    let words: Vec<&str> = words.collect();
    if !words.contains(&"-c")
        || words
            .iter()
            .any(|word| matches!(*word, "-E" | "-M" | "-MM"))
    {
        return None;
    }
    let mut sources = words.iter().filter(|word| {
        let extension = Path::new(word).extension().and_then(OsStr::to_str);
        !word.starts_with('-') && matches!(extension, Some("c" | "cc" | "cpp"))
    });
    match (sources.next(), sources.next()) {
        (Some(source), None) => Some((*source).to_owned()),
        _ => None,
    }
}

#[track_caller]
fn check_logs(servers: &[Server], expected: &mut Vec<String>, probes: &[&str]) {
    let compiled = |server: &Server| {
        let jobs = server.jobs();
        let source = |job: &String| job.rsplit(' ').next().unwrap_or_default().to_owned();
        let ok = jobs.iter().filter(|job| job.starts_with("COMPILE_OK "));
        let sources = ok.map(source);
        let sources: Vec<String> = sources
            .filter(|source| !probes.contains(&source.as_str()))
            .collect();
        sources
    };
    crate::run::wait_until(
        || {
            let count: usize = servers.iter().map(|server| compiled(server).len()).sum();
            (count >= expected.len()).then_some(())
        },
        || {
            let logs: String = servers.iter().map(Server::log).collect();
            format!("not each of {} compiles was sent:\n{logs}", expected.len())
        },
    );
    let mut sent: Vec<String> = servers.iter().flat_map(compiled).collect();
    sent.sort();
    expected.sort();
    assert_eq!(sent, *expected);
    for server in servers {
        assert!(!compiled(server).is_empty(), "a server had nothing to do");
        assert_eq!(server.count("COMPILE_ERROR"), 0, "{}", server.log());
        server.wait_for_clean_scratch();
    }
}

/// Objects and dependency files of two builds of one project in the same place.
#[track_caller]
fn compare(local: &Path, pumped: &Path) {
    let made = |folder: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let files = snapshot(folder).into_iter().filter_map(|(name, entry)| {
            let extension = name.extension().and_then(OsStr::to_str);
            match entry {
                Entry::File(_, content) if matches!(extension, Some("o" | "d")) => {
                    Some((name, content))
                }
                _ => None,
            }
        });
        files.collect()
    };
    let (here, there) = (made(local), made(pumped));
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&here), names(&there));
    let differing: Vec<&PathBuf> = here
        .iter()
        .filter(|(name, content)| !same(content, &there[*name]))
        .map(|(name, _)| name)
        .collect();
    assert!(
        differing.is_empty(),
        "differ from a local build: {differing:?}"
    );
}

fn same(here: &[u8], there: &[u8]) -> bool {
    here == there || here.starts_with(b"\x7fELF") && Object::new(here).is_same(&Object::new(there))
}
