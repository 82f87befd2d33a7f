//! What an engine keeps has a bound, however long it lives, and its answers stay right across it.

use includes::Settings;

use crate::world::World;

const LIMIT: usize = 100_000;

fn small() -> World {
    World::with_settings(
        &[
            ("main.c", "#include \"a.h\"\n#include \"b.h\"\n"),
            ("a.h", ""),
            ("b.h", ""),
        ],
        Settings {
            summary_limit: LIMIT,
            shared_limit: LIMIT,
            ..Settings::default()
        },
    )
}

/// Asks `rounds` times after `change`, and gives the greatest weight seen.
fn greatest_weight(world: &World, rounds: usize, change: impl Fn(&World, usize) -> String) -> u64 {
    let mut greatest = 0;
    for round in 0..rounds {
        let arguments = change(world, round);
        world.ask(&arguments).files(&["main.c", "a.h", "b.h"]);
        greatest = greatest.max(world.statistics().weight);
    }
    assert_eq!(world.statistics().units, rounds as u64);
    greatest
}

/// Both limits, and what a single round can add beyond them.
const BOUND: u64 = 2 * LIMIT as u64 + 20_000;

#[test]
fn names_of_thousands_of_edits_are_given_back() {
    let world = small();
    let weight = greatest_weight(&world, 3000, |world, round| {
        let names: Vec<_> = (0..5)
            .map(|n| format!("#define NAME_{round}_{n} text_{round}\n"))
            .collect();
        world.put("a.h", &names.concat());
        "main.c".into()
    });
    assert!(weight <= BOUND, "{weight}");
    // It did grow and was cut, or this test shows nothing.
    assert!(weight > LIMIT as u64 / 2, "{weight}");
}

#[test]
fn thousands_of_different_commands_are_forgotten() {
    let world = small();
    let weight = greatest_weight(&world, 3000, |_, round| {
        format!("-DX{round}=y{round} -Inone{round} main.c")
    });
    assert!(weight <= BOUND, "{weight}");
    assert!(weight > LIMIT as u64 / 2, "{weight}");
}

#[test]
fn what_was_parsed_of_deleted_files_is_given_back() {
    let world = small();
    let text = "#define A(x) ((x) + 1)\n#if A(1) == 2\n#endif\n".repeat(20);
    let mut greatest = 0;
    for round in 0..1000 {
        world.put(&format!("{round}.h"), &text);
        world.put("main.c", &format!("#include \"{round}.h\"\n"));
        world
            .ask("main.c")
            .files(&["main.c", &format!("{round}.h")]);
        world.remove(&format!("{round}.h"));
        world.ask("main.c").refusal();
        greatest = greatest.max(world.statistics().weight);
    }
    // Each is some thousand words: all of them would be millions.
    assert!(greatest <= BOUND, "{greatest}");
}
