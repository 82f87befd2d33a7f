//! Headers of system folders that gcc names by their real paths, where these are shorter, and what depends on which file
//! came first: with one engine for all compiles, so that what it remembers of one must not reach another.

use crate::world::World;

const LONG: &str = "a_folder_with_a_name_that_is_longer_than_any_real_path";

#[test]
fn a_header_is_named_and_followed_by_its_shorter_real_path() {
    let world = World::new(&[
        ("main.c", "#include <h.h>\n"),
        ("s/h.h", "#include \"y.h\"\n"),
        ("s/y.h", ""),
        (&format!("{LONG}/h.h"), "-> ../s/h.h"),
        (&format!("{LONG}/y.h"), ""),
    ]);
    let real = ["main.c", "s/h.h", "s/y.h"];
    let spelled = [format!("{LONG}/h.h"), format!("{LONG}/y.h")];
    let spelled = ["main.c", &spelled[0], &spelled[1]];
    for _ in 0..2 {
        let answer = world.ask(&format!("-isystem {LONG} main.c"));
        answer.files(&real).real(&real);
        let renamed: Vec<_> = answer.closure().renamed.iter().collect();
        assert_eq!(renamed.len(), 1);
        assert_eq!(&*renamed[0].path, format!("/p/{LONG}/h.h").as_bytes());
        assert_eq!(&*renamed[0].real, b"/p/s/h.h");
        answer.links(&[(&format!("{LONG}/h.h"), "../s/h.h")]);
        for line in [
            format!("-I {LONG} main.c"),
            format!("-fno-canonical-system-headers -isystem {LONG} main.c"),
            format!("clang: -isystem {LONG} main.c"),
        ] {
            let answer = world.ask(&line);
            answer.files(&spelled);
            assert!(answer.closure().renamed.is_empty(), "{line}");
        }
    }
}

#[test]
fn which_file_of_a_folder_came_first_decides_anew_in_each_compile() {
    let world = World::new(&[
        (
            "plain_first.c",
            "#include \"/p/s/plain.h\"\n#include <h.h>\n",
        ),
        (
            "system_first.c",
            "#include <h.h>\n#include \"/p/s/plain.h\"\n",
        ),
        ("s/plain.h", "#include \"y.h\"\n"),
        ("s/y.h", ""),
        ("s/h.h", &format!("#include \"{LONG}.h\"\n")),
        (&format!("s/{LONG}.h"), "-> ../t/y.h"),
        ("s/z.h", ""),
        ("t/y.h", "#include \"z.h\"\n"),
        ("t/z.h", ""),
    ]);
    let link = format!("s/{LONG}.h");
    for _ in 0..2 {
        for definition in ["-DA", "-DB"] {
            let ask = |main: &str| world.ask(&format!("{definition} -isystem /p/s {main}"));
            ask("plain_first.c").files(&[
                "plain_first.c",
                "s/plain.h",
                "s/y.h",
                "s/h.h",
                &link,
                "s/z.h",
            ]);
            ask("system_first.c").files(&[
                "system_first.c",
                "s/h.h",
                "t/y.h",
                "t/z.h",
                "s/plain.h",
                "s/y.h",
            ]);
        }
    }
}

#[test]
fn a_name_is_forgotten_with_the_link_that_led_to_it() {
    let world = World::new(&[
        ("main.c", "#include <h.h>\n"),
        ("s/h.h", "#include \"y.h\"\n"),
        ("s/y.h", ""),
        ("t/h.h", "#include \"y.h\"\n"),
        ("t/y.h", ""),
        (&format!("{LONG}/h.h"), "-> ../s/h.h"),
    ]);
    let line = format!("-isystem {LONG} main.c");
    world.ask(&line).files(&["main.c", "s/h.h", "s/y.h"]);
    world.remove(&format!("{LONG}/h.h"));
    world.put(&format!("{LONG}/h.h"), "-> ../t/h.h");
    world.ask(&line).files(&["main.c", "t/h.h", "t/y.h"]);
}

#[test]
fn an_edit_below_a_renamed_header_counts_and_one_between_directives_does_not() {
    let world = World::new(&[
        ("main.c", "#include <h.h>\n"),
        ("s/h.h", "#include \"y.h\"\n"),
        ("s/y.h", ""),
        ("s/z.h", ""),
        (&format!("{LONG}/h.h"), "-> ../s/h.h"),
    ]);
    let line = format!("-isystem {LONG} main.c");
    world.ask(&line).files(&["main.c", "s/h.h", "s/y.h"]);
    let evaluated = world.statistics().evaluations;
    world.put("s/h.h", "#include \"y.h\"\nint x;\n");
    let answer = world.ask(&line);
    answer
        .reads(&["s/h.h"])
        .files(&["main.c", "s/h.h", "s/y.h"]);
    assert_eq!(world.statistics().evaluations, evaluated);
    world.put("s/y.h", "#include \"z.h\"\n");
    let answer = world.ask(&line);
    answer
        .reads(&["s/y.h", "s/z.h"])
        .files(&["main.c", "s/h.h", "s/y.h", "s/z.h"]);
}
