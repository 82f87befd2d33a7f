//! What workers take over from each other, and what they do not.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier};

use includes::{Ask, Command, Compiler, Engine, MemoryTree, Said, Settings, Statistics};

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
                let closure = engine.closure(&command).expect("it is answered");
                let files = closure.files.iter();
                let names = files.map(|file| String::from_utf8_lossy(&file.spelled).into());
                let _ = tell.send(names.collect());
            }
        });
        Asker { lines, files }
    }

    fn begin(&self, line: &'static str) {
        self.lines.send(line).expect("the thread lives");
    }

    fn end(&self) -> Vec<String> {
        self.files.recv().expect("no panic")
    }

    #[track_caller]
    fn check(&self, line: &'static str, expected: &[&str]) {
        self.begin(line);
        assert_eq!(self.end(), expected, "{line}");
    }
}

/// Two threads, each with its worker, that know these files.
fn pair(files: &[(&str, &str)]) -> (Arc<MemoryTree>, Arc<Engine>, [Asker; 2]) {
    let tree = Arc::new(MemoryTree::new());
    for (path, text) in files.iter().chain(&[("/p/x.c", ""), ("/p/y.c", "")]) {
        tree.write(path, text);
    }
    let compiler = Arc::new(Meeting(Barrier::new(2)));
    let settings = Settings {
        answers: false,
        ..Settings::default()
    };
    let engine = Engine::new(Arc::clone(&tree) as _, compiler, settings);
    let engine = Arc::new(engine);
    let pair = [(); 2].map(|()| Asker::start(&engine));
    // Different options, so that each asks for itself.
    pair[0].begin("-std=c11 x.c");
    pair[1].begin("-std=c17 y.c");
    pair.iter().for_each(|asker| {
        asker.end();
    });
    (tree, engine, pair)
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
