//! Trees that change between queries: one engine that lives through it, against new ones.

use std::path::Path;
use std::sync::Arc;

use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings};

use crate::program::{Entry, FOLDERS, LAST, Program, Reference, program};
use crate::random::Random;
use crate::verdict::{new_engine, scratch};

/// Queries between which edits are made.
const ROUNDS: u64 = 12;

/// One random change of the tree.
pub(crate) fn edit(random: &mut Random, root: &Path, other: &Program) {
    let entries: Vec<_> = other
        .entries
        .iter()
        .filter(|e| matches!(e, Entry::File { .. }) && !e.path().contains("main"))
        .collect();
    let entry = entries[random.below(entries.len())];
    let path = root.join(entry.path());
    let parent = path.parent().expect("below the root").to_path_buf();
    // An edit may do nothing (remove what is not there); that must not matter either.
    let _ = match random.below(14) {
        0..=3 => entry.write(root),
        4 => std::fs::remove_file(&path),
        5 => {
            let beside = root.join("new");
            let file = Entry::File {
                path: "new".into(),
                text: String::from("#include \"h3.h\"\n"),
                modified: 9,
            };
            file.write(root)
                .and_then(|()| std::fs::rename(&beside, &path))
        }
        6 => {
            let _ = std::fs::remove_file(&path);
            let name = path.file_name().expect("a file");
            let folder = random.pick(&FOLDERS);
            std::os::unix::fs::symlink(root.join(folder).join(name), &path)
        }
        7 => std::fs::rename(&parent, root.join("moved"))
            .or_else(|_| std::fs::rename(root.join("moved"), &parent)),
        8 if !parent.ends_with(LAST) => std::fs::remove_dir_all(&parent),
        9 => replace_link(root, "linked", random.pick(&FOLDERS)),
        10 => replace_link(
            root,
            "missing",
            random.pick(&["inc1", "nowhere", "inc 0/sub"]),
        ),
        11 => {
            let from = root
                .join(random.pick(&FOLDERS))
                .join(path.file_name().expect("a file"));
            std::fs::rename(from, &path)
        }
        12 => std::fs::remove_file(&path).and_then(|()| std::fs::create_dir(&path)),
        _ => std::fs::File::options()
            .append(true)
            .open(&path)
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, b"\n#include \"leaf.h\"\n#define M1 3\n")
            }),
    };
}

fn replace_link(root: &Path, name: &str, target: &str) -> std::io::Result<()> {
    let _ = std::fs::remove_file(root.join(name));
    std::os::unix::fs::symlink(target, root.join(name))
}

pub(crate) fn answer(engine: &Engine, command: &Command) -> Result<Closure, Refusal> {
    engine.closure(command).map(|closure| {
        let mut closure = Closure::clone(&closure);
        // They come in no order.
        closure.folders.sort_unstable();
        closure
    })
}

/// What the engine says to both at once, or one after the other, the order chosen by `turn`: what it does in one thread
/// is not what it does in two.
fn answers(engine: &Engine, commands: &[Command; 2], turn: u64) -> [Result<Closure, Refusal>; 2] {
    match turn % 3 {
        0 => std::thread::scope(|scope| {
            let asked = commands
                .each_ref()
                .map(|c| scope.spawn(|| answer(engine, c)));
            asked.map(|thread| thread.join().expect("no panic"))
        }),
        1 => commands.each_ref().map(|c| answer(engine, c)),
        _ => {
            let last = answer(engine, &commands[1]);
            [answer(engine, &commands[0]), last]
        }
    }
}

/// Whether an engine that watched a program's tree through all edits answers like one that sees it for the first
/// time, also when two threads ask at once.
pub(crate) fn survive(seed: u64, compilers: &Arc<RealCompiler>) -> Result<(), String> {
    let folder = scratch();
    let root = folder.path().canonicalize().expect("it exists");
    let made = Reference::ALL.map(|reference| program(seed, reference));
    // Both trees in one place: what is there already stays.
    for entry in made.iter().flat_map(|program| &program.entries) {
        let _ = entry.write(&root);
    }
    let tree = Arc::new(RealTree::watched().expect("inotify works here"));
    let engine = Engine::new(tree, Arc::clone(compilers) as _, Settings::default());
    let commands = [made[0].command(&root), made[1].command(&root)];
    let mut random = Random::new(seed);
    for round in 0..ROUNDS {
        let old = answers(&engine, &commands, seed + round);
        for (command, old) in commands.iter().zip(old) {
            let new = answer(&new_engine(compilers, true), command);
            if old != new {
                return Err(format!(
                    "seed {seed}, round {round}, {:?}: {old:#?} but a new engine says {new:#?}",
                    command.argv
                ));
            }
        }
        let other = program(
            seed.wrapping_mul(31) + random.below(1000) as u64,
            Reference::Gcc,
        );
        for _ in 0..random.below(4) {
            edit(&mut random, &root, &other);
        }
    }
    Ok(())
}
