//! Compiles of real projects, here and on engines: each file that comes of them has to be the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::Client;
use crate::compile_database::Entry;
use crate::programs::{Side, command, ours};
use crate::run::run_within;
use crate::tree::{Tree, snapshot};

const LIMIT: Duration = Duration::from_secs(1800);

/// Which files a compile is asked for beside its object and dependency file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Further {
    /// None.
    Nothing,
    /// Notes for coverage, and debug information in a file of its own. Not that of gcc where addresses are random: its order
    /// follows them, so it differs from one compile here to the next.
    DwoAndGcno,
}

/// Compiles all `entries` by `compiler`, gcc or clang, here and below `pump` on an engine (as host lists name it), in the same folders and with
/// the same names. Each has to run there, and objects and dependency files have to be the same to the byte.
#[track_caller]
pub fn expect_same_objects(engine: &str, entries: &[Entry], compiler: &str) {
    Here::compile(entries, compiler, Further::Nothing).expect_same_on(engine);
}

/// What compiles made here, without us.
#[derive(Debug)]
pub struct Here {
    tree: Tree,
    compiles: usize,
    /// For messages.
    what: String,
}

impl Here {
    /// Compiles all `entries` by `compiler`, gcc or clang, with `-O2 -g`.
    #[track_caller]
    pub fn compile(entries: &[Entry], compiler: &str, further: Further) -> Self {
        let tree = Tree::new();
        let out = tree.folder("out");
        tree.write("Makefile", makefile(entries, compiler, further, &out));
        let here = Self {
            tree,
            compiles: entries.len(),
            what: format!("{compiler}, {further:?}"),
        };
        let mut make = command("make");
        let make = make.args(here.words()).current_dir(here.tree.path());
        run_within(make, LIMIT).expect_success();
        fs::rename(&out, here.tree.join("here")).expect("both are in one folder");
        here
    }

    fn words(&self) -> [String; 4] {
        let makefile = self.tree.join("Makefile");
        let makefile = makefile.to_str().expect("tests' folders are UTF-8");
        ["--silent", "-j2", "-f", makefile].map(str::to_owned)
    }

    /// Compiles the same below `pump` on an engine. Each compile has to run there, and make the same files, to the byte.
    /// Where gcc puts debug information of `-gsplit-dwarf` in another order each time, all but the order has to be the same, and it
    /// is told.
    #[track_caller]
    #[allow(clippy::print_stdout, reason = "it belongs to what was found out")]
    pub fn expect_same_on(&self, engine: &str) {
        let out = self.tree.folder("out");
        let log = self.tree.join("log");
        let client = Client::of(Side::Ours, engine)
            .with("DISTCC_VERBOSE", "1")
            .with("DISTCC_LOG", &log);
        let mut pump = client.command(ours("pump"), &self.tree.path());
        pump.arg("make").args(self.words()).arg("LAUNCHER=distcc");
        let done = run_within(&mut pump, LIMIT);
        let text = fs::read(&log).expect("clients have written to it");
        let text = String::from_utf8_lossy(&text);
        let there = text.matches(": as an action").count();
        assert!(
            done.code() == 0 && there == self.compiles,
            "on the engine: {there} of {}\n{}\n{text}",
            self.compiles,
            done.explain()
        );
        let (here, there) = (snapshot(&self.tree.join("here")), snapshot(&out));
        assert!(here.len() >= 2 * self.compiles, "objects and their lists");
        let names: BTreeSet<_> = here.keys().chain(there.keys()).collect();
        let different = names
            .into_iter()
            .filter(|name| here.get(*name) != there.get(*name));
        let mut different: Vec<PathBuf> = different.cloned().collect();
        let mut by_chance = different.clone();
        by_chance.retain(|name| self.follows_addresses(name, &out));
        // The object has a hash of it.
        let is_either = |name: &PathBuf| {
            ["o", "dwo"]
                .iter()
                .any(|end| *name == name.with_extension(end))
        };
        different
            .retain(|name| !is_either(name) || !by_chance.contains(&name.with_extension("dwo")));
        assert!(different.is_empty(), "{}: {different:?}", self.what);
        if !by_chance.is_empty() {
            println!("{}: in another order here, too: {by_chance:?}", self.what);
        }
        fs::remove_dir_all(out).expect("the folder is ours");
        fs::remove_file(log).expect("the folder is ours");
    }

    /// Whether a file that differs is debug information whose order alone is another one, because gcc follows its addresses: then
    /// compiles here differ from each other as well where those are random. (That they are not random makes them equal only
    /// within one root: locales and other files that are there or not move them.)
    fn follows_addresses(&self, name: &Path, out: &Path) -> bool {
        let is_of_gcc = self.what.starts_with("gcc") && *name == *name.with_extension("dwo");
        let known = |folder: &Path| self.what_has_no_order(&folder.join(name));
        if !is_of_gcc || known(&self.tree.join("here")) != known(out) {
            return false;
        }
        let again = || {
            let object = out.join(name).with_extension("o");
            let _ = fs::remove_file(&object); // It would not be made again.
            // Without an option it makes addresses random as they usually are.
            let mut random = command("setarch");
            let make = random.arg(std::env::consts::ARCH).arg("make");
            let make = make.args(self.words()).arg(&object);
            run_within(make.current_dir(self.tree.path()), LIMIT).expect_success();
            fs::read(out.join(name)).expect("it was made")
        };
        let first = again();
        (0..4).any(|_| again() != first)
    }

    /// Both files' lengths, the object without debug information, and the sorted strings of that.
    fn what_has_no_order(&self, dwo: &Path) -> ([u64; 2], Vec<u8>, Vec<String>) {
        let object = dwo.with_extension("o");
        let stripped = self.tree.join("stripped");
        let mut objcopy = command("objcopy");
        let objcopy = objcopy.arg("--strip-debug").args([&object, &stripped]);
        run_within(objcopy, LIMIT).expect_success();
        let mut readelf = command("readelf");
        let done = run_within(readelf.args(["-p", ".debug_str.dwo"]).arg(dwo), LIMIT);
        assert_eq!(done.code(), 0, "{}", done.explain());
        // `  [  offset]  text`
        let text = |line: &str| line.split_once("]  ").map(|(_, text)| text.to_owned());
        let (said, _) = done.text();
        let mut strings: Vec<String> = said.lines().filter_map(text).collect();
        assert!(!strings.is_empty(), "{said}");
        strings.sort_unstable();
        let lengths = [dwo, &*object].map(|file| fs::metadata(file).expect("it was made").len());
        (lengths, fs::read(stripped).expect("it was made"), strings)
    }
}

/// All compiles, each with outputs of its own below `out`. `$(LAUNCHER)` stands in front of each.
fn makefile(entries: &[Entry], compiler: &str, further: Further, out: &Path) -> String {
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
        let further = match further {
            Further::Nothing => String::new(),
            // gcc's notes have a number in them that is random otherwise.
            Further::DwoAndGcno if compiler == "gcc" && addresses_are_random() => {
                format!("--coverage -frandom-seed={number}")
            }
            Further::DwoAndGcno => {
                format!("-gsplit-dwarf --coverage -frandom-seed={number}")
            }
        };
        let options = format!("-O2 -g {further} -w -MD -MF {stem}.d -o {stem}.o");
        let _ = write!(all, " {stem}.o"); // Strings take all.
        let _ = writeln!(
            rules,
            "{stem}.o:\n\tcd {folder} && $(LAUNCHER) {driver} {words} {options}"
        );
    }
    format!("{all}\n\n{rules}")
}

/// Programs inherit that from us; `setarch -R` makes them equal.
fn addresses_are_random() -> bool {
    const NOT_RANDOM: u32 = 0x0004_0000;
    let said = fs::read_to_string("/proc/self/personality").unwrap_or_default();
    u32::from_str_radix(said.trim(), 16).map_or(true, |flags| flags & NOT_RANDOM == 0)
}

/// A command without its own output.
pub fn own_words(command: &str) -> Vec<&str> {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    while let Some(at) = words.iter().position(|&word| word == "-o") {
        words.drain(at..(at + 2).min(words.len()));
    }
    words
}
