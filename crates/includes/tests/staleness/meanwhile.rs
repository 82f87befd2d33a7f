//! Edits while answers are being made, by one thread and by several.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use includes::{Changes, EntryKind, Found, RealTree, Stamp, Tree};

use crate::project::{Project, answer, headers};

/// A tree in which something happens just before the file system is asked for the n-th time.
struct Interrupted {
    tree: RealTree,
    is_blind: bool,
    left: AtomicUsize,
    action: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Interrupted {
    fn new(is_blind: bool) -> Self {
        Interrupted {
            tree: RealTree::watched().expect("inotify"),
            is_blind,
            left: AtomicUsize::new(0),
            action: Mutex::default(),
        }
    }

    fn arm(&self, count: usize, action: impl FnOnce() + Send + 'static) {
        *self.action.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(action));
        self.left.store(count, Ordering::SeqCst);
    }

    fn is_armed(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    fn step(&self) {
        let left = self.left.load(Ordering::SeqCst);
        if left > 0 {
            self.left.store(left - 1, Ordering::SeqCst);
            if left == 1 {
                let action = self
                    .action
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                action.expect("it was armed")();
            }
        }
    }
}

impl Tree for Interrupted {
    fn read(&self, path: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        self.step();
        self.tree.read(path)
    }
    fn look(&self, path: &[u8]) -> Found {
        self.step();
        self.tree.look(path)
    }
    fn stamp(&self, path: &[u8]) -> Option<Stamp> {
        self.step();
        self.tree.stamp(path)
    }
    fn list(&self, path: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
        self.step();
        self.tree.list(path, limit)
    }
    fn watch(&self, folder: &[u8]) -> bool {
        self.step();
        !self.is_blind && self.tree.watch(folder)
    }
    fn watch_file(&self, file: &[u8]) -> bool {
        self.step();
        !self.is_blind && self.tree.watch_file(file)
    }
    fn drain(&self) -> u64 {
        self.step();
        self.tree.drain()
    }
    fn changes_since(&self, position: u64) -> Changes {
        self.step();
        self.tree.changes_since(position)
    }
}

/// What the engine was told just before it answers.
#[derive(Debug, Clone, Copy)]
enum How {
    /// A file has a new directive: it is read again, and nothing else.
    Content,
    /// A file is back that was gone: everything is looked at again.
    Existence,
}

impl How {
    fn edit(self, project: &Project, header: &str) {
        match self {
            How::Content => {
                let text = std::fs::read_to_string(project.path(header)).unwrap_or_default();
                let is_on = text.contains("#define EDITED");
                project.write(header, if is_on { "" } else { "#define EDITED\n" });
            }
            How::Existence => {
                project.remove(header);
                let engine = project.engines().next().expect("one engine");
                answer(engine, &project.command()).expect_err("a header is missing");
                project.write(header, "");
            }
        }
    }

    /// Questions to the tree that the next answer takes at the least.
    fn moments(self) -> usize {
        match self {
            How::Content => 5,
            How::Existence => 20,
        }
    }
}

fn ways() -> impl Iterator<Item = (bool, How)> {
    [false, true]
        .into_iter()
        .flat_map(|is_blind| [(is_blind, How::Content), (is_blind, How::Existence)])
}

#[test]
fn an_edit_at_any_moment_gives_the_answer_before_or_after() {
    for (is_blind, how) in ways() {
        let tree = Arc::new(Interrupted::new(is_blind));
        // Both headers change at once, when the folder's link does. The two spellings of that folder are looked at
        // one after the other: one header of each state would be torn.
        let project = Project::new(&[
            (
                "main.c",
                "#include \"first/a.h\"\n#include \"./first/b.h\"\n",
            ),
            ("one/a.h", "#include \"x.h\"\n"),
            ("one/b.h", "#include \"y.h\"\n"),
            ("one/x.h", ""),
            ("one/y.h", ""),
            ("two/a.h", "#include \"y.h\"\n"),
            ("two/b.h", "#include \"x.h\"\n"),
            ("two/x.h", "#define LONGER\n"),
            ("two/y.h", ""),
            ("first", "->one"),
        ])
        .with_engines(vec![("interrupted", Arc::clone(&tree) as _)]);
        let one = headers(&["one/a.h", "one/b.h", "one/x.h", "one/y.h"]);
        let two = headers(&["two/a.h", "two/b.h", "two/x.h", "two/y.h"]);
        let engine = project.engines().next().expect("one engine");
        project.link("first", "two");
        project.check("two", &two);
        let after = answer(engine, &project.command());
        project.link("first", "one");
        project.check("one", &one);
        let before = answer(engine, &project.command());
        let mut moments = 0;
        for moment in 1.. {
            // The folder leads to one; it changes while the answer is made anew after an edit.
            project.link("first", "one");
            assert_eq!(answer(engine, &project.command()), before, "one again");
            how.edit(&project, "one/x.h");
            let root = project.root();
            tree.arm(moment, move || {
                std::os::unix::fs::symlink("two", root.join("new")).expect("temporary folder");
                std::fs::rename(root.join("new"), root.join("first")).expect("temporary folder");
            });
            let during = answer(engine, &project.command());
            if tree.is_armed() {
                moments = moment;
                break;
            }
            assert!(
                during == before || during == after,
                "blind: {is_blind}, {how:?}, moment {moment}: {during:?}"
            );
            assert_eq!(
                answer(engine, &project.command()),
                after,
                "blind: {is_blind}, {how:?}, after moment {moment}"
            );
        }
        assert!(moments > how.moments(), "{how:?}: only {moments} moments");
    }
}

#[test]
fn a_file_edited_while_it_is_read_is_read_whole() {
    for (is_blind, how) in ways() {
        let tree = Arc::new(Interrupted::new(is_blind));
        let project = Project::new(&[
            ("main.c", "#include \"a.h\"\n"),
            ("first/a.h", "#include \"x.h\"\n"),
            ("first/x.h", ""),
            ("first/y.h", ""),
        ])
        .with_engines(vec![("interrupted", Arc::clone(&tree) as _)]);
        let engine = project.engines().next().expect("one engine");
        project.write("first/a.h", "#include \"y.h\"\n");
        project.check("y", &headers(&["first/a.h", "first/y.h"]));
        let y = answer(engine, &project.command());
        project.write("first/a.h", "#include \"x.h\"\n");
        project.check("x", &headers(&["first/a.h", "first/x.h"]));
        let x = answer(engine, &project.command());
        for moment in 1.. {
            project.write("first/a.h", "#include \"x.h\"\n");
            assert_eq!(
                answer(engine, &project.command()),
                x,
                "before moment {moment}"
            );
            how.edit(&project, "first/x.h");
            let path = project.path("first/a.h");
            tree.arm(moment, move || {
                std::fs::write(path, "#include \"y.h\"\n").expect("temporary folder");
            });
            let during = answer(engine, &project.command()).expect("it compiles");
            assert_eq!(during.files.len(), 3, "moment {moment}: {during:?}");
            if tree.is_armed() {
                assert!(moment > how.moments(), "{how:?}: only {moment} moments");
                break;
            }
            assert_eq!(
                answer(engine, &project.command()),
                y,
                "after moment {moment}"
            );
        }
    }
}

#[test]
fn several_threads_see_each_edit_that_was_made_before_they_asked() {
    let project = Project::new(&[
        ("main.c", "#include <a.h>\n#include <state/s.h>\n"),
        ("first/a.h", ""),
        ("first/state/s.h", "#include <on.h>\n"),
        ("first/on.h", ""),
        ("first/off.h", ""),
    ]);
    // Even: on.h. Odd: off.h. The number counts up while the file changes, as in a sequence lock.
    let version = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let answers = AtomicUsize::new(0);
    let command = project.command();
    std::thread::scope(|scope| {
        for engine in project.engines() {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let before = version.load(Ordering::SeqCst);
                        let closure = engine.closure(&command);
                        let after = version.load(Ordering::SeqCst);
                        answers.fetch_add(1, Ordering::SeqCst);
                        if before != after || before % 2 == 1 {
                            continue;
                        }
                        let due: &[u8] = if before.is_multiple_of(4) {
                            b"on.h"
                        } else {
                            b"off.h"
                        };
                        let last = closure.expect("it compiles");
                        let last = last.files.last().expect("files");
                        assert!(
                            last.real.ends_with(due),
                            "version {before}: {}",
                            String::from_utf8_lossy(&last.real)
                        );
                    }
                });
            }
        }
        for round in 0..300 {
            version.fetch_add(1, Ordering::SeqCst);
            let text = ["#include <off.h>\n", "#include <on.h>\n"][round % 2];
            if round % 3 == 0 {
                project.write("first/state/s.h", text);
            } else {
                project.replace("first/state/s.h", text);
            }
            version.fetch_add(1, Ordering::SeqCst);
            // Let each engine answer in this state.
            let seen = answers.load(Ordering::SeqCst);
            while answers.load(Ordering::SeqCst) < seen + 6 {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// A tree without inotify, in which each look at an entry finds the folder above the project changed: compilers' temporary
/// files come and go in `/tmp`.
struct Beside(RealTree);

impl Tree for Beside {
    fn read(&self, path: &[u8]) -> Option<(Vec<u8>, Stamp)> {
        self.0.read(path)
    }
    fn look(&self, path: &[u8]) -> Found {
        drop(tempfile::NamedTempFile::new().expect("temporary folder"));
        // Longer than the clock of file systems needs to go on.
        std::thread::sleep(std::time::Duration::from_millis(5));
        self.0.look(path)
    }
    fn stamp(&self, path: &[u8]) -> Option<Stamp> {
        self.0.stamp(path)
    }
    fn list(&self, path: &[u8], limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
        self.0.list(path, limit)
    }
    fn watch(&self, folder: &[u8]) -> bool {
        self.0.watch(folder)
    }
    fn watch_file(&self, file: &[u8]) -> bool {
        self.0.watch_file(file)
    }
    fn drain(&self) -> u64 {
        self.0.drain()
    }
    fn changes_since(&self, position: u64) -> Changes {
        self.0.changes_since(position)
    }
}

#[test]
fn what_happens_beside_the_way_to_a_project_is_no_change() {
    let project = Project::new(&[
        ("main.c", "#include <in/x.h>\n"),
        ("first/in/x.h", ""),
        ("second/in/x.h", ""),
    ])
    .with_engines(vec![("beside", Arc::new(Beside(RealTree::compared())))]);
    let found = |path| headers(&[path]);
    project.check("at first", &found("first/in/x.h"));
    let engine = project.engines().next().expect("the one");
    let before = engine.statistics();
    // Folders on the way are young still, and what is young is not trusted once.
    std::thread::sleep(std::time::Duration::from_millis(50));
    project.check("still", &found("first/in/x.h"));
    project.check("and still", &found("first/in/x.h"));
    let now = engine.statistics();
    assert!(now.answers_repeated > before.answers_repeated, "{now:?}");
    project.rename("first", "away");
    project.check("changed", &found("second/in/x.h"));
}
