//! Characters and odd bytes in conditions: each under the dialects in which compilers take them for different things.

use includes::Refusal;

use crate::reference::{Outcome, Tree};

const COMPILERS: [&str; 10] = [
    "gcc",
    "gcc -std=gnu2x",
    "gcc -funsigned-char",
    "g++ -x c++ -std=c++14",
    "g++ -x c++ -std=c++17 -funsigned-char",
    "g++ -x c++ -std=c++20",
    "clang",
    "clang -std=gnu2x -funsigned-char",
    "clang++ -x c++ -std=c++17 -funsigned-char",
    "clang++ -x c++ -std=c++20",
];

/// Each compiler that accepts `main` lists what the engine lists.
fn check(main: &str) {
    let tree = Tree::new(&[("main.c", main), ("a.h", ""), ("b.h", "")]);
    let mut accepted = 0;
    for compiler in COMPILERS {
        let line = format!("{compiler} -c main.c");
        match tree.compare(&line) {
            Outcome::Same(_) => accepted += 1,
            Outcome::Refused(refusal) => {
                assert_eq!(tree.theirs(&line), None, "{line}: {main:?}: {refusal}");
            }
        }
    }
    assert!(accepted > 0, "{main:?}");
}

fn check_condition(condition: &str) {
    check(&format!(
        "#if {condition}\n#include \"a.h\"\n#else\n#include \"b.h\"\n#endif\n"
    ));
}

#[test]
fn characters_have_the_type_and_the_value_that_they_have_there() {
    for condition in [
        "u8'a' == 97",
        "u8'\\xff' > 0",
        "-1 < u8'\\1'",
        "'\\xff' > 0",
        "-1 < '\\1'",
        "-1 < 'ab'",
        "'\\377abc' == 0xff616263",
        "'\\377\\377' == 65535",
        "L'\\1' > -1",
    ] {
        check_condition(condition);
    }
    // Where `u8` is no prefix it is a macro's name.
    check("#define u8 1 ||\n#if u8'a'\n#include \"a.h\"\n#endif\n");
}

#[test]
fn a_nul_is_a_blank() {
    for condition in ["1\0==\x001", "0\0", "'\0' == 0", "\0defined\0A\0"] {
        check_condition(condition);
    }
    check("\0#\0define\0A\0\"a.h\"\0\n\0#\0include\0A\0\n");
    check("\0#\0define\0A\0b\0\n#ifdef\0A\0\n#include \"a.h\"\0\n#endif\0\n");
    check("#define A\0\n#ifdef A\n#include \"a.h\"\n#endif\n");
    // Only gcc lets it stand in a splice.
    check("// \\\0\n#include \"a.h\"\n#include \"b.h\"\nx \\ \0\n#include \"a.h\"\n");
}

#[test]
fn a_nul_in_the_name_of_a_header_is_refused() {
    let tree = Tree::new(&[
        ("main.c", "#if __has_include(\"a.h\0b\")\n#endif\n"),
        ("a.h", ""),
    ]);
    for compiler in ["gcc", "clang"] {
        let refusal = tree.closure(&format!("{compiler} -c main.c"));
        assert!(
            matches!(refusal, Err(Refusal::Unmodelled { .. })),
            "{refusal:?}"
        );
    }
}
