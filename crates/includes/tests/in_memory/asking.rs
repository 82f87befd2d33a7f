//! How often compilers are asked for their facts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use includes::{Ask, Command, Compiler, Engine, MemoryTree, Refusal, Said, Settings};

use crate::world::Bare;

/// Counts; `broken-cc` cannot be run.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Compiler for Counting {
    fn ask(&self, ask: &Ask) -> Result<Said, String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        if ask.compiler == "broken-cc" {
            return Err("it is broken".into());
        }
        Bare.ask(ask)
    }
}

fn engine() -> (Engine, Arc<Counting>) {
    let tree = Arc::new(MemoryTree::new());
    tree.write("/p/main.c", "#if __has_builtin(rare_one)\n#endif\n");
    let compiler = Arc::new(Counting::default());
    let engine = Engine::new(tree, Arc::clone(&compiler) as _, Settings::default());
    (engine, compiler)
}

fn commands(lines: &[&str]) -> Vec<Command> {
    let command = |line: &&str| Command {
        cwd: b"/p".to_vec(),
        argv: line.split(' ').map(Into::into).collect(),
        env: Vec::new(),
    };
    lines.iter().map(command).collect()
}

#[test]
fn threads_ask_once_for_each_set_of_options() {
    let commands = commands(&[
        "gcc -fa main.c",
        "gcc -fb main.c",
        "gcc -fa -DX main.c",
        "gcc -fb -Ifolder main.c",
    ]);
    let expected: Vec<&Command> = commands.iter().collect();
    for _ in 0..50 {
        let (engine, compiler) = engine();
        std::thread::scope(|scope| {
            scope.spawn(|| engine.expect(&expected, 2));
            for _ in 0..2 {
                scope.spawn(|| {
                    for command in &commands {
                        assert!(engine.closure(command).is_ok());
                    }
                });
            }
        });
        // Once for its facts, and once for what turned out to matter.
        assert_eq!(compiler.0.load(Ordering::SeqCst), 2 * 2);
    }
}

#[test]
fn expected_compiles_find_their_compilers_asked() {
    let commands = commands(&["gcc -fa main.c", "gcc -fb main.c"]);
    let (engine, compiler) = engine();
    engine.expect(&commands.iter().collect::<Vec<_>>(), 1);
    assert_eq!(compiler.0.load(Ordering::SeqCst), 2);
    for command in &commands {
        assert!(engine.closure(command).is_ok());
    }
    // What turned out to matter only now.
    assert_eq!(compiler.0.load(Ordering::SeqCst), 2 * 2);
}

#[test]
fn a_compiler_that_fails_is_not_asked_ahead_for_each_compile() {
    let commands = commands(&["broken-cc a.c", "broken-cc b.c", "broken-cc main.c"]);
    let (engine, compiler) = engine();
    engine.expect(&commands.iter().collect::<Vec<_>>(), 1);
    assert_eq!(compiler.0.load(Ordering::SeqCst), 1);
    assert_eq!(
        engine.closure(&commands[2]).expect_err("it is refused"),
        Refusal::Compiler("it is broken".into())
    );
}
