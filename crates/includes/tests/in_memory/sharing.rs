//! What workers take over from each other, and what they do not.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

use includes::{
    Ask, Changes, Command, Compiler, Engine, EntryKind, Found, MemoryTree, Said, Settings, Stamp,
    Statistics, Tree,
};

use crate::world::Bare;

/// Answers when two ask at once, so that there are two workers.
struct Meeting(Barrier);

impl Compiler for Meeting {
    fn ask(&self, ask: &Ask) -> Result<Said, String> {
        self.0.wait();
        Bare.ask(ask)
    }
}

/// A thread with a worker of its own.
struct Asker {
    lines: Sender<&'static str>,
    files: Receiver<Vec<String>>,
}

impl Asker {
    fn start(engine: &Arc<Engine>) -> Self {
        let ((lines, orders), (tell, files)) = (channel::<&str>(), channel());
        let engine = Arc::clone(engine);
        std::thread::spawn(move || {
            for line in orders {
                let words = std::iter::once("gcc").chain(line.split(' '));
                let command = Command {
                    cwd: b"/p".to_vec(),
                    argv: words.map(Into::into).collect(),
                    env: Vec::new(),
                };
                let names = match engine.closure(&command) {
                    Ok(closure) => {
                        let files = closure.files.iter();
                        let names = files.map(|file| String::from_utf8_lossy(&file.spelled).into());
                        names.collect()
                    }
                    Err(refusal) => vec![refusal.to_string()],
                };
                let _ = tell.send(names);
            }
        });
        Asker { lines, files }
    }

    fn begin(&self, line: &'static str) {
        self.lines.send(line).expect("the thread lives");
    }

    fn end(&self) -> Vec<String> {
        let limit = Duration::from_secs(60);
        self.files.recv_timeout(limit).expect("it is answered")
    }

    #[track_caller]
    fn check(&self, line: &'static str, expected: &[&str]) {
        self.begin(line);
        assert_eq!(self.end(), expected, "{line}");
    }
}

/// Two threads, each with its worker, that know these files.
fn pair(files: &[(&str, &str)]) -> (Arc<MemoryTree>, Arc<Engine>, [Asker; 2]) {
    let tree = tree(files);
    let (engine, pair) = pair_over(Arc::clone(&tree) as _, false);
    (tree, engine, pair)
}

fn tree(files: &[(&str, &str)]) -> Arc<MemoryTree> {
    let tree = Arc::new(MemoryTree::new());
    for (path, text) in files.iter().chain(&[("/p/x.c", ""), ("/p/y.c", "")]) {
        tree.write(path, text);
    }
    tree
}

fn pair_over(tree: Arc<dyn Tree>, answers: bool) -> (Arc<Engine>, [Asker; 2]) {
    let compiler = Arc::new(Meeting(Barrier::new(2)));
    let settings = Settings {
        answers,
        ..Settings::default()
    };
    let engine = Engine::new(tree, compiler, settings);
    let engine = Arc::new(engine);
    let pair = [(); 2].map(|()| Asker::start(&engine));
    // Different options, so that each asks for itself.
    pair[0].begin("-std=c11 x.c");
    pair[1].begin("-std=c17 y.c");
    pair.iter().for_each(|asker| {
        asker.end();
    });
    (engine, pair)
}

/// Files evaluated and summaries taken over since.
fn since(engine: &Engine, before: &Statistics) -> (u64, u64) {
    let now = engine.statistics();
    (
        now.evaluations - before.evaluations,
        now.summaries_adopted - before.summaries_adopted,
    )
}

const HEADERS: [(&str, &str); 4] = [
    ("/p/a.c", "#include \"big.h\"\n"),
    ("/p/b.c", "#include \"big.h\"\n#define B\n"),
    (
        "/p/big.h",
        "#include \"small.h\"\n#ifdef SMALL\n#include \"small.h\"\n#endif\n",
    ),
    ("/p/small.h", "#define SMALL\n"),
];

#[test]
fn what_one_worker_evaluated_another_does_not() {
    let (_tree, engine, [one, two]) = pair(&HEADERS);
    one.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
    let before = engine.statistics();
    two.check("-std=c17 b.c", &["b.c", "big.h", "small.h"]);
    assert_eq!(since(&engine, &before), (0, 1));
    // From then on it is its own.
    two.check("-std=c17 a.c", &["a.c", "big.h", "small.h"]);
    assert_eq!(since(&engine, &before), (0, 1));
}

#[test]
fn nothing_is_taken_over_under_other_macros_or_folders() {
    let (tree, engine, [one, two]) = pair(&HEADERS);
    one.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
    tree.write("/p/other/c.c", "#include <big.h>\n");
    tree.write("/p/other/small.h", "");
    tree.write("/p/other/big.h", "#include <small.h>\n");
    let before = engine.statistics();
    let files = ["other/c.c", "other/big.h", "other/small.h"];
    two.check("-std=c17 -iquote . -Iother other/c.c", &files);
    assert_eq!(since(&engine, &before).1, 0);
    // The same file, but what it includes is found elsewhere.
    tree.write("/p/inc/top.h", "#include <leaf.h>\n");
    tree.write("/p/one/leaf.h", "");
    tree.write("/p/two/leaf.h", "#define LEAF\n");
    tree.write("/p/d.c", "#include <top.h>\n");
    let files = ["d.c", "inc/top.h", "one/leaf.h"];
    one.check("-std=c11 -Iinc -Ione -Itwo d.c", &files);
    let before = engine.statistics();
    let files = ["d.c", "inc/top.h", "two/leaf.h"];
    two.check("-std=c17 -Iinc -Itwo -Ione d.c", &files);
    assert_eq!(since(&engine, &before), (2, 0));
    // Another value of what was read.
    tree.write("/p/mode.h", "#ifdef MODE\n#include \"small.h\"\n#endif\n");
    tree.write("/p/e.c", "#include \"mode.h\"\n");
    one.check("-std=c11 e.c", &["e.c", "mode.h"]);
    let before = engine.statistics();
    two.check("-std=c17 -DMODE e.c", &["e.c", "mode.h", "small.h"]);
    assert_eq!(since(&engine, &before), (1, 1));
}

#[test]
fn what_changed_since_is_not_taken_over() {
    let (tree, engine, [one, two]) = pair(&HEADERS);
    one.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
    // The first worker does not hear of it before the second asks.
    tree.write("/p/small.h", "#define SMALL\n#include \"new.h\"\n");
    tree.write("/p/new.h", "");
    let before = engine.statistics();
    let files = ["b.c", "big.h", "small.h", "new.h"];
    two.check("-std=c17 b.c", &files);
    assert_eq!(since(&engine, &before).1, 0);
    let files = ["a.c", "big.h", "small.h", "new.h"];
    one.check("-std=c11 a.c", &files);
    tree.remove("/p/new.h");
    tree.write("/p/small.h", "");
    one.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
    two.check("-std=c17 b.c", &["b.c", "big.h", "small.h"]);
}

/// How many answers were repeated since.
fn repeated_since(engine: &Engine, before: &Statistics) -> u64 {
    engine.statistics().answers_repeated - before.answers_repeated
}

#[test]
fn a_whole_answer_is_taken_from_another_worker_until_something_changes() {
    let tree = tree(&HEADERS);
    let (engine, [one, two]) = pair_over(Arc::clone(&tree) as _, true);
    let files = ["a.c", "big.h", "small.h"];
    one.check("-std=c11 a.c", &files);
    let before = engine.statistics();
    two.check("-std=c11 a.c", &files);
    two.check("-std=c11 a.c", &files);
    assert_eq!(repeated_since(&engine, &before), 2);
    assert_eq!(since(&engine, &before), (0, 0));
    tree.write("/p/small.h", "#define SMALL\n#include \"new.h\"\n");
    tree.write("/p/new.h", "");
    // The first worker has not looked.
    let files = ["a.c", "big.h", "small.h", "new.h"];
    two.check("-std=c11 a.c", &files);
    assert_eq!(repeated_since(&engine, &before), 2);
    // Now it looks, and what it finds spoiled is no longer offered.
    one.check("-std=c11 x.c", &["x.c"]);
    let before = engine.statistics();
    one.check("-std=c11 a.c", &files);
    assert_eq!(repeated_since(&engine, &before), 1);
    // One that looked through a change that does not matter vouches for its answers as before.
    tree.write("/p/elsewhere/z.h", "");
    let before = engine.statistics();
    one.check("-std=c11 x.c", &["x.c"]);
    two.check("-std=c17 y.c", &["y.c"]);
    one.check("-std=c17 y.c", &["y.c"]);
    assert_eq!(repeated_since(&engine, &before), 3);
    tree.remove("/p/new.h");
    tree.write("/p/small.h", "");
    two.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
    one.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
}

/// A tree that does not tell when a file's content changes.
struct Untold(Arc<MemoryTree>);

impl Tree for Untold {
    fn read(&self, path: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        self.0.read(path)
    }
    fn look(&self, path: &[u8]) -> Found {
        self.0.look(path)
    }
    fn stamp(&self, path: &[u8]) -> Option<Stamp> {
        self.0.stamp(path)
    }
    fn list(&self, path: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
        self.0.list(path, limit)
    }
    fn watch(&self, _folder: &[u8]) -> bool {
        true
    }
    fn watch_file(&self, _file: &[u8]) -> bool {
        false
    }
    fn drain(&self) -> u64 {
        0
    }
    fn changes_since(&self, _position: u64) -> Changes {
        Changes::Entries(Vec::new())
    }
}

#[test]
fn no_whole_answer_is_taken_where_only_its_owner_can_look_for_changes() {
    let tree = tree(&HEADERS);
    let (engine, [one, two]) = pair_over(Arc::new(Untold(Arc::clone(&tree))), true);
    one.check("-std=c11 a.c", &["a.c", "big.h", "small.h"]);
    tree.write("/p/big.h", "#include \"small.h\"\n#include \"x.c\"\n");
    let before = engine.statistics();
    let files = ["a.c", "big.h", "small.h", "x.c"];
    two.check("-std=c11 a.c", &files);
    one.check("-std=c11 a.c", &files);
    assert_eq!(repeated_since(&engine, &before), 0);
}

/// A tree that takes its time: before it does the first of two things, it waits until the second has been done. It notes
/// both, and when the first begins.
struct Slow {
    tree: Arc<MemoryTree>,
    waits: Vec<(&'static str, &'static str)>,
    noted: Mutex<Vec<String>>,
    changed: Condvar,
}

impl Slow {
    fn new(tree: &Arc<MemoryTree>, waits: &[(&'static str, &'static str)]) -> Arc<Slow> {
        Arc::new(Slow {
            tree: Arc::clone(tree),
            waits: waits.to_vec(),
            noted: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn note(&self, what: impl Into<String>) {
        self.noted.lock().expect("no panic").push(what.into());
        self.changed.notify_all();
    }

    fn wait_for(&self, what: &str) {
        let noted = self.noted.lock().expect("no panic");
        let is_missing = |noted: &mut Vec<String>| !noted.iter().any(|known| known == what);
        // Who waits in vain goes on, and is found by what was noted.
        let waited = self
            .changed
            .wait_timeout_while(noted, Duration::from_secs(20), is_missing);
        drop(waited.expect("no panic"));
    }

    fn act<T>(&self, what: &str, path: &[u8], act: impl FnOnce() -> T) -> T {
        let what = format!("{what} {}", String::from_utf8_lossy(path));
        if let Some((_, awaited)) = self.waits.iter().find(|(first, _)| *first == what) {
            self.note(format!("begin to {what}"));
            self.wait_for(awaited);
        }
        let result = act();
        self.note(what);
        result
    }

    /// Whether `first` was noted before `second`.
    fn is_in_order(&self, first: &str, second: &str) -> bool {
        let noted = self.noted.lock().expect("no panic");
        let at = |what: &str| noted.iter().position(|known| known == what);
        at(first).expect("it was done") < at(second).expect("it was done")
    }
}

impl Tree for Slow {
    fn read(&self, path: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        self.act("read", path, || self.tree.read(path))
    }
    fn look(&self, path: &[u8]) -> Found {
        self.tree.look(path)
    }
    fn stamp(&self, path: &[u8]) -> Option<Stamp> {
        self.tree.stamp(path)
    }
    fn list(&self, path: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
        self.tree.list(path, limit)
    }
    fn watch(&self, folder: &[u8]) -> bool {
        self.tree.watch(folder)
    }
    fn watch_file(&self, file: &[u8]) -> bool {
        self.act("watch", file, || self.tree.watch_file(file))
    }
    fn drain(&self) -> u64 {
        self.tree.drain()
    }
    fn changes_since(&self, position: u64) -> Changes {
        self.tree.changes_since(position)
    }
}

/// While one worker is held up before it has read `/p/big.h`, at this, another that needs it, too, reads on.
#[track_caller]
fn check_reads_on(held_up_at: &'static str) {
    let text =
        "#include \"big.h\"\n#ifdef NEVER\n#include \"never.h\"\n#endif\n#include \"list.h\"\n";
    let tree = tree(&[
        ("/p/a.c", "#include \"big.h\"\n"),
        ("/p/b.c", text),
        ("/p/big.h", "#define BIG\n"),
        ("/p/never.h", ""),
        (
            "/p/list.h",
            "#ifndef LIST\n#define LIST\n#include \"later.h\"\n#endif\n",
        ),
        ("/p/later.h", ""),
    ]);
    let slow = Slow::new(&tree, &[(held_up_at, "read /p/later.h")]);
    let (_engine, [one, two]) = pair_over(Arc::clone(&slow) as _, true);
    tree.take_reads();
    one.begin("-std=c11 a.c");
    slow.wait_for(&format!("begin to {held_up_at}"));
    two.check("-std=c17 b.c", &["b.c", "big.h", "list.h", "later.h"]);
    assert_eq!(one.end(), ["a.c", "big.h"]);
    assert!(slow.is_in_order("read /p/later.h", "read /p/big.h"));
    let reads = tree.take_reads();
    let is_read_once = |path: &str| reads.iter().filter(|read| *read == path).count() == 1;
    assert!(
        ["/p/list.h", "/p/later.h"]
            .iter()
            .all(|path| is_read_once(path))
    );
    assert!(!reads.iter().any(|path| path == "/p/never.h"));
}

#[test]
fn while_another_reads_a_file_one_reads_what_comes_later() {
    check_reads_on("read /p/big.h");
}

#[test]
fn a_file_counts_as_being_read_before_the_kernel_is_asked_to_watch_it() {
    check_reads_on("watch /p/big.h");
}

/// It was gone around in for ever: the end of such a condition is not known.
#[test]
fn what_is_read_ahead_may_have_a_condition_without_an_end() {
    for condition in ["#if 1", "#ifdef A", "#if 0\n#elif 1", "#if 1\n#else"] {
        let tree = tree(&[
            ("/p/a.c", "#include \"big.h\"\n"),
            ("/p/b.c", "#include \"big.h\"\n#include \"open.h\"\n"),
            ("/p/big.h", "#define BIG\n"),
        ]);
        tree.write("/p/open.h", &format!("#define OPEN\n{condition}\n"));
        let slow = Slow::new(&tree, &[("read /p/big.h", "read /p/open.h")]);
        let (_engine, [one, two]) = pair_over(Arc::clone(&slow) as _, true);
        one.begin("-std=c11 a.c");
        slow.wait_for("begin to read /p/big.h");
        two.begin("-std=c17 b.c");
        assert_eq!(one.end(), ["a.c", "big.h"]);
        let [refusal] = &two.end()[..] else {
            panic!("gcc says that it is unterminated");
        };
        assert!(refusal.contains("without #endif"), "{refusal}");
    }
}

#[test]
fn while_another_evaluates_a_file_one_reads_what_comes_later_and_takes_it_over() {
    let text = "#include \"top.h\"\n#include \"later.h\"\n#include \"last.h\"\n";
    let tree = tree(&[
        ("/p/a.c", "#include \"top.h\"\n"),
        ("/p/b.c", text),
        ("/p/top.h", "#include \"big.h\"\n"),
        ("/p/big.h", ""),
        ("/p/later.h", ""),
        ("/p/last.h", ""),
    ]);
    let waits = [
        ("read /p/big.h", "read /p/later.h"),
        ("read /p/last.h", "a.c is answered"),
    ];
    let slow = Slow::new(&tree, &waits);
    let (engine, [one, two]) = pair_over(Arc::clone(&slow) as _, true);
    let before = engine.statistics();
    one.begin("-std=c11 a.c");
    slow.wait_for("begin to read /p/big.h");
    two.begin("-std=c17 b.c");
    assert_eq!(one.end(), ["a.c", "top.h", "big.h"]);
    slow.note("a.c is answered");
    assert_eq!(two.end(), ["b.c", "top.h", "big.h", "later.h", "last.h"]);
    // Each of the four headers once; `top.h` was taken over with what is below it.
    assert_eq!(since(&engine, &before), (4, 1));
    assert!(slow.is_in_order("read /p/later.h", "read /p/big.h"));
}
