//! The same headers under several search chains: what was evaluated under one is made over to another where it holds.

use crate::world::World;

/// `sys` holds headers that include each other; what comes before it in the chain differs.
fn world(more: &[(&str, &str)]) -> World {
    let mut files = vec![
        ("main.c", "#include <top.h>\n"),
        (
            "sys/top.h",
            "#include <deep.h>\n#if __has_include(<extra.h>)\n#include <extra.h>\n#endif\n",
        ),
        (
            "sys/deep.h",
            "#ifndef D\n#define D\n#include <leaf.h>\n#endif\n",
        ),
        ("sys/leaf.h", "#define LEAF\n"),
        ("one/x.h", ""),
        ("two/y.h", ""),
    ];
    files.extend_from_slice(more);
    World::new(&files)
}

const ALL: [&str; 4] = ["main.c", "sys/top.h", "sys/deep.h", "sys/leaf.h"];

#[test]
fn headers_found_in_the_same_place_are_not_evaluated_again() {
    let world = world(&[]);
    world.ask("-Ione -Isys main.c").files(&ALL);
    let before = world.statistics();
    world
        .ask("-Itwo -Isys main.c")
        .reads(&[])
        .files(&ALL)
        .absent(&[
            "two/top.h",
            "two/deep.h",
            "two/leaf.h",
            "two/extra.h",
            "sys/extra.h",
        ]);
    let after = world.statistics();
    assert_eq!(after.evaluations, before.evaluations);
    assert_eq!(after.summaries_made_over - before.summaries_made_over, 1);
}

#[test]
fn a_header_that_another_folder_hides_is_evaluated() {
    for (hidden, expected) in [
        (
            "two/leaf.h",
            ["main.c", "sys/top.h", "sys/deep.h", "two/leaf.h"],
        ),
        (
            "two/deep.h",
            ["main.c", "sys/top.h", "two/deep.h", "sys/leaf.h"],
        ),
    ] {
        let world = world(&[(
            hidden,
            "#ifndef LEAF\n#define LEAF\n#include <leaf.h>\n#endif\n",
        )]);
        world.ask("-Ione -Isys main.c").files(&ALL);
        world.ask("-Itwo -Isys main.c").files(&expected);
    }
}

#[test]
fn a_header_that_is_only_there_under_this_chain_is_found() {
    let world = world(&[("two/extra.h", "")]);
    world.ask("-Ione -Isys main.c").files(&ALL);
    world.ask("-Itwo -Isys main.c").files(&[
        "main.c",
        "sys/top.h",
        "sys/deep.h",
        "sys/leaf.h",
        "two/extra.h",
    ]);
    // And is not under the first, whose summary was there before.
    world.ask("-DX -Ione -Isys main.c").files(&ALL);
}

#[test]
fn include_next_goes_on_from_the_folder_and_not_from_its_number() {
    let world = World::new(&[
        ("main.c", "#include <n.h>\n"),
        ("a/n.h", "#include_next <n.h>\n"),
        ("b/n.h", "int b;\n"),
        ("c/n.h", "int c;\n"),
        ("d/other.h", ""),
    ]);
    world
        .ask("-Ia -Ib -Ic main.c")
        .files(&["main.c", "a/n.h", "b/n.h"]);
    world
        .ask("-Id -Ia -Ib -Ic main.c")
        .files(&["main.c", "a/n.h", "b/n.h"]);
    world
        .ask("-Id -Ia -Ic -Ib main.c")
        .files(&["main.c", "a/n.h", "c/n.h"]);
    world.ask("-Ib -Ia -Ic main.c").files(&["main.c", "b/n.h"]);
}

#[test]
fn a_summary_that_was_made_over_is_forgotten_with_what_it_rests_on() {
    let world = world(&[]);
    world.ask("-Ione -Isys main.c").files(&ALL);
    world.ask("-Itwo -Isys main.c").files(&ALL);
    world.put("two/leaf.h", "");
    world
        .ask("-Itwo -Isys main.c")
        .files(&["main.c", "sys/top.h", "sys/deep.h", "two/leaf.h"]);
    world.ask("-Ione -Isys main.c").files(&ALL);
}

#[test]
fn a_header_that_a_main_file_asked_for_as_the_next_one_is_searched_for_from_the_start() {
    let world = World::new(&[
        (
            "main.c",
            "#if __has_include_next(<deep.h>)\n#endif\n#include <top.h>\n",
        ),
        ("other.c", "#include <top.h>\n"),
        ("sys/top.h", "#include <deep.h>\n"),
        ("last/deep.h", ""),
        ("one/x.h", ""),
        ("two/y.h", ""),
    ]);
    // In a main file there is no next one: both are one search.
    world
        .ask("-Ione -Isys -Ilast main.c")
        .files(&["main.c", "last/deep.h", "sys/top.h"]);
    world
        .ask("-Itwo -Isys -Ilast other.c")
        .files(&["other.c", "sys/top.h", "last/deep.h"])
        .absent(&["two/top.h", "two/deep.h", "sys/deep.h"]);
    assert_eq!(world.statistics().summaries_made_over, 1);
    world.put("two/deep.h", "");
    world
        .ask("-Itwo -Isys -Ilast other.c")
        .files(&["other.c", "sys/top.h", "two/deep.h"]);
}
