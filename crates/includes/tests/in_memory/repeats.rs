//! What is opened for the second answer: after nothing, after an edit, for another compile.

use crate::world::{Answer, World};

fn world() -> World {
    World::new(&[
        ("main.c", "#include \"a.h\"\n#include \"b.h\"\n"),
        ("other.c", "#include \"b.h\"\n#include \"a.h\"\n"),
        ("a.h", "#ifndef A\n#define A\n#include \"deep.h\"\n#endif\n"),
        ("b.h", "#include \"a.h\"\n"),
        ("deep.h", "#ifndef D\n#define D 1\n#endif\n"),
        ("unrelated.h", ""),
    ])
}

#[test]
fn an_answer_that_is_known_opens_nothing() {
    let world = world();
    world
        .ask("main.c")
        .reads(&["main.c", "a.h", "deep.h", "b.h"]);
    let again = world.ask("main.c");
    again.reads(&[]).files(&["main.c", "a.h", "deep.h", "b.h"]);
}

#[test]
fn an_edit_between_directives_makes_another_answer() {
    let world = world();
    let before = world.ask("main.c");
    world.put("deep.h", "#ifndef D\n#define D 1\nint d;\n#endif\n");
    let after = world.ask("main.c");
    after.reads(&["deep.h"]);
    let stamps = |answer: &Answer| -> Vec<_> {
        let files = answer.closure().files.iter();
        files.map(|file| file.stamp.expect("it was read")).collect()
    };
    let (old, new) = (stamps(&before), stamps(&after));
    // In the order of first visits: main.c, a.h, deep.h, b.h.
    let is_same: Vec<_> = old.iter().zip(&new).map(|(a, b)| a == b).collect();
    assert_eq!(is_same, [true, true, false, true]);
}

#[test]
fn another_compile_opens_only_what_is_new() {
    let world = world();
    world.ask("main.c");
    world
        .ask("other.c")
        .reads(&["other.c"])
        .files(&["other.c", "b.h", "a.h", "deep.h"]);
    // Other macros, the same files.
    world.ask("-DX main.c").reads(&[]);
    // With `A` defined, `deep.h` is not reached.
    world
        .ask("-DA main.c")
        .reads(&[])
        .files(&["main.c", "a.h", "b.h"]);
}

#[test]
fn an_edit_opens_only_the_edited_file() {
    let world = world();
    world.ask("main.c");
    world.put("a.h", "#ifndef A\n#define A\n#endif\n");
    world
        .ask("main.c")
        .reads(&["a.h"])
        .files(&["main.c", "a.h", "b.h"]);
    world.put("main.c", "#include \"deep.h\"\n");
    world
        .ask("main.c")
        .reads(&["main.c"])
        .files(&["main.c", "deep.h"]);
}

#[test]
fn an_unrelated_edit_opens_nothing() {
    let world = world();
    world.ask("main.c");
    world.put("unrelated.h", "changed\n");
    world.put("new.h", "");
    world.remove("other.c");
    world
        .ask("main.c")
        .reads(&[])
        .files(&["main.c", "a.h", "deep.h", "b.h"]);
}

#[test]
fn a_file_that_comes_into_the_way_is_opened_and_nothing_else() {
    let world = World::new(&[
        ("main.c", "#include <a.h>\n#include <b.h>\n"),
        ("one/", ""),
        ("two/a.h", ""),
        ("two/b.h", ""),
    ]);
    world
        .ask("-Ione -Itwo main.c")
        .files(&["main.c", "two/a.h", "two/b.h"])
        .absent(&["one/a.h", "one/b.h"]);
    world.put("one/b.h", "");
    world
        .ask("-Ione -Itwo main.c")
        .reads(&["one/b.h"])
        .files(&["main.c", "two/a.h", "one/b.h"])
        .absent(&["one/a.h"]);
    world.remove("one");
    world
        .ask("-Ione -Itwo main.c")
        .reads(&[])
        .files(&["main.c", "two/a.h", "two/b.h"])
        .absent(&[]);
}

#[test]
fn two_compilers_with_the_same_rules_share_what_was_parsed() {
    let world = world();
    world.ask("gcc: main.c");
    let answer = world.ask("cc: main.c");
    answer.reads(&[]).files(&["main.c", "a.h", "deep.h", "b.h"]);
}

#[test]
fn a_link_that_leads_elsewhere_opens_its_new_target() {
    let world = World::new(&[
        ("main.c", "#include \"a.h\"\n"),
        ("a.h", "-> one.h"),
        ("one.h", ""),
        ("two.h", ""),
    ]);
    world.ask("main.c").reads(&["main.c", "one.h"]);
    world.put("a.h", "-> two.h");
    world
        .ask("main.c")
        .reads(&["two.h"])
        .files(&["main.c", "a.h"])
        .real(&["main.c", "two.h"]);
}

#[test]
fn an_edit_between_directives_keeps_what_is_known() {
    let world = world();
    world.ask("main.c");
    let evaluated = world.statistics().evaluations;
    world.put(
        "deep.h",
        "#ifndef D\nint a;\n/* new */\n#define D 1\nvoid f(void);\n#endif\n",
    );
    world
        .ask("main.c")
        .reads(&["deep.h"])
        .files(&["main.c", "a.h", "deep.h", "b.h"]);
    world.ask("-DX main.c").reads(&[]);
    assert_eq!(world.statistics().evaluations, evaluated);
}

#[test]
fn an_edit_of_directives_drops_what_rests_on_them_and_no_more() {
    let world = World::new(&[
        (
            "main.c",
            "#include \"top.h\"\n#include \"apart.h\"\n#if D == 2\n#include \"two.h\"\n#endif\n",
        ),
        ("top.h", "#include \"deep.h\"\n"),
        ("deep.h", "#define D 1\n"),
        ("apart.h", "#include \"below.h\"\n"),
        ("below.h", ""),
        ("two.h", ""),
    ]);
    world.ask("main.c");
    let evaluated = world.statistics().evaluations;
    world.put("deep.h", "#define D 2\n");
    world
        .ask("main.c")
        .reads(&["deep.h", "two.h"])
        .files(&["main.c", "top.h", "deep.h", "apart.h", "below.h", "two.h"]);
    // `top.h`, `deep.h` and `two.h`.
    assert_eq!(world.statistics().evaluations, evaluated + 3);
}

#[test]
fn lines_that_move_matter_to_those_who_ask_for_their_numbers() {
    let world = World::new(&[
        ("main.c", "#include \"line.h\"\n"),
        (
            "line.h",
            "#if __LINE__ == 1\n#include \"one.h\"\n#else\n#include \"more.h\"\n#endif\n",
        ),
        ("one.h", ""),
        ("more.h", ""),
    ]);
    world.ask("main.c").files(&["main.c", "line.h", "one.h"]);
    world.put(
        "line.h",
        "\n#if __LINE__ == 1\n#include \"one.h\"\n#else\n#include \"more.h\"\n#endif\n",
    );
    world.ask("main.c").files(&["main.c", "line.h", "more.h"]);
}

#[test]
fn an_edited_file_that_is_read_once_is_another_file() {
    let once = "#pragma once\n#include \"deep.h\"\n";
    for compiler in ["gcc", "clang"] {
        let world = World::new(&[
            (
                "main.c",
                "#include \"a.h\"\n#include \"b.h\"\n#include \"once.h\"\n",
            ),
            ("a.h", "#include \"once.h\"\n"),
            ("b.h", "#include \"copy.h\"\n"),
            ("once.h", once),
            ("copy.h", "#pragma once\n#include \"other.h\"\n"),
            ("deep.h", ""),
            ("other.h", ""),
        ]);
        let line = format!("{compiler}: main.c");
        world.ask(&line).files(&[
            "main.c", "a.h", "once.h", "deep.h", "b.h", "copy.h", "other.h",
        ]);
        world.put("once.h", "#pragma once\nint x;\n#include \"deep.h\"\n");
        world.ask(&line).files(&[
            "main.c", "a.h", "once.h", "deep.h", "b.h", "copy.h", "other.h",
        ]);
    }
}
