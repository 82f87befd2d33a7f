//! Which files are opened, in which order.

use crate::world::World;

const GUARDED: &str = "#ifndef A_H\n#define A_H\n#include \"b.h\"\n#endif\n";

#[test]
fn each_file_is_opened_once_when_it_is_first_visited() {
    World::new(&[
        (
            "main.c",
            "#include \"a.h\"\n#include \"c.h\"\n#include \"b.h\"\n",
        ),
        ("a.h", "#include \"b.h\"\n"),
        ("b.h", ""),
        ("c.h", ""),
    ])
    .ask("main.c")
    .reads(&["main.c", "a.h", "b.h", "c.h"])
    .files(&["main.c", "a.h", "b.h", "c.h"]);
}

#[test]
fn a_guarded_file_is_not_opened_again() {
    World::new(&[
        ("main.c", "#include \"a.h\"\n#include \"a.h\"\n"),
        ("a.h", GUARDED),
        ("b.h", ""),
    ])
    .ask("main.c")
    .reads(&["main.c", "a.h", "b.h"])
    .files(&["main.c", "a.h", "b.h"]);
}

#[test]
fn a_file_marked_once_is_not_entered_again() {
    for mark in ["#pragma once\n", "_Pragma(\"once\")\n"] {
        World::new(&[
            (
                "main.c",
                "#include \"a.h\"\n#define AGAIN\n#include \"a.h\"\n",
            ),
            (
                "a.h",
                &format!("{mark}#ifdef AGAIN\n#include \"b.h\"\n#endif\n"),
            ),
        ])
        .ask("main.c")
        .reads(&["main.c", "a.h"]);
    }
}

#[test]
fn a_copy_of_a_file_marked_once_is_opened_but_not_listed_by_gcc() {
    let files = &[
        ("main.c", "#include \"a.h\"\n#include \"link.h\"\n"),
        ("a.h", "#pragma once\n"),
        ("link.h", "-> a.h"),
    ];
    let answer = World::new(files).ask("main.c");
    answer
        .reads(&["main.c", "a.h"])
        .files(&["main.c", "a.h", "(link.h)"]);
    assert!(!answer.closure().files[2].listed);
    let answer = World::new(files).ask("clang: main.c");
    assert!(answer.closure().files[2].listed);
}

#[test]
fn groups_that_are_skipped_open_nothing() {
    World::new(&[
        (
            "main.c",
            "#if 0\n#include \"a.h\"\n#elif defined X\n#include \"b.h\"\n#else\n#include \"c.h\"\n#endif\n",
        ),
        ("a.h", ""),
        ("b.h", ""),
        ("c.h", ""),
    ])
    .ask("main.c")
    .reads(&["main.c", "c.h"])
    .files(&["main.c", "c.h"])
    .absent(&[]);
}

#[test]
fn has_include_probes_and_opens_nothing() {
    let files = &[
        (
            "main.c",
            "#if __has_include(\"a.h\") && !__has_include(\"none.h\")\n#include \"b.h\"\n#endif\n",
        ),
        ("a.h", "#include \"never.h\"\n"),
        ("b.h", ""),
    ];
    for compiler in ["gcc", "clang"] {
        let answer = World::new(files).ask(&format!("{compiler}: main.c"));
        answer
            .reads(&["main.c", "b.h"])
            .files(&["main.c", "(a.h)", "b.h"])
            .absent(&["none.h"]);
        // clang lists what it probed; gcc does not.
        assert_eq!(answer.closure().files[1].listed, compiler == "clang");
    }
}

#[test]
fn files_of_the_command_line_come_before_the_main_file() {
    World::new(&[
        ("main.c", "M\n#include \"c.h\"\n"),
        ("a.h", ""),
        ("b.h", "#include \"d.h\"\n"),
        ("c.h", ""),
        ("d.h", ""),
    ])
    .ask("-include a.h -imacros b.h main.c")
    .reads(&["main.c", "b.h", "d.h", "a.h", "c.h"])
    .files(&["main.c", "b.h", "d.h", "a.h", "c.h"]);
}

#[test]
fn a_response_file_is_opened_before_all_others() {
    World::new(&[
        ("args", "-Ione main.c"),
        ("main.c", "#include <a.h>\n"),
        ("one/a.h", ""),
    ])
    .ask("@args")
    .reads(&["args", "main.c", "one/a.h"]);
}

#[test]
fn computed_names_and_include_next_open_what_they_lead_to() {
    World::new(&[
        (
            "main.c",
            "#define Q(x) #x\n#define H(x) Q(x.h)\n#include H(a)\n",
        ),
        ("one/a.h", "#include_next <a.h>\n"),
        ("two/a.h", "#include_next <a.h>\n"),
        ("three/a.h", ""),
    ])
    .ask("-Ione -Itwo -Ithree main.c")
    .reads(&["main.c", "one/a.h", "two/a.h", "three/a.h"])
    .absent(&["a.h"]);
}

#[test]
fn a_refused_compile_stops_at_the_first_missing_header() {
    let world = World::new(&[
        (
            "main.c",
            "#include \"a.h\"\n#include \"none.h\"\n#include \"b.h\"\n",
        ),
        ("a.h", ""),
        ("b.h", ""),
    ]);
    let answer = world.ask("main.c");
    answer.reads(&["main.c", "a.h"]);
    assert_eq!(answer.refusal().to_string(), "main.c: \"none.h\" not found");
    world.put("none.h", "");
    world
        .ask("main.c")
        .files(&["main.c", "a.h", "none.h", "b.h"]);
}

#[test]
fn a_name_written_with_a_universal_character_is_refused() {
    for line in [
        "#define a\\u00e9",
        "#ifdef a\\u00e9\n#endif",
        "#if defined a\\U000000e9\n#endif",
    ] {
        let world = World::new(&[("main.c", line)]);
        let refusal = world.ask("main.c").refusal().to_string();
        assert!(refusal.contains("universal character"), "{refusal}");
    }
    let world = World::new(&[(
        "main.c",
        "#define TEXT \"\\u00e9\"\n#if 'a' == '\\u0061'\n#endif\n",
    )]);
    world.ask("-DX=1 main.c").reads(&["main.c"]);
}
