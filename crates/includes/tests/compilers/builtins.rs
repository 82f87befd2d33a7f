//! Macros that the compilers build in, and directives that only one of them has.

use includes::Refusal;

use crate::reference::{Outcome, Tree};

/// What each compiler does with `main`: the engine must list the same, or refuse if that is expected.
fn check(main: &str, refused: bool) {
    let tree = Tree::new(&[("main.c", main), ("a.h", ""), ("b.h", "")]);
    for compiler in ["gcc", "clang", "gcc -std=c11", "g++ -x c++ -std=c++20"] {
        let line = format!("{compiler} -c main.c");
        match tree.compare(&line) {
            Outcome::Same(_) => assert!(!refused, "{line}: {main:?}"),
            Outcome::Refused(refusal) => match tree.theirs(&line) {
                None => {}
                Some(_) => {
                    let is_unmodelled = matches!(refusal, Refusal::Unmodelled { .. });
                    assert!(refused && is_unmodelled, "{line}: {main:?}: {refusal}");
                }
            },
        }
    }
}

#[test]
fn embed_is_what_the_compiler_makes_of_it() {
    check(
        "#if __has_embed(\"a.h\")\n#include \"a.h\"\n#endif\n",
        false,
    );
    check("#ifdef __has_embed\n#include \"a.h\"\n#endif\n", false);
    check("#if 0\n#embed \"a.h\"\n#endif\n", false);
    check("int x[] = {\n#embed \"a.h\"\n};\n", false);
}

#[test]
fn lines_levels_and_files_are_known_in_directives() {
    check("#if __LINE__ == 1\n#include \"a.h\"\n#endif\n", false);
    check(
        "\n/*\n*/ #if __LINE__ == 3\n#include \"a.h\"\n#endif\n",
        false,
    );
    check(
        "#if __INCLUDE_LEVEL__ == 0\n#include \"a.h\"\n#endif\n",
        false,
    );
    check("#ifndef Y\n#define Y\n#include __FILE__\n#endif\n", false);
    check(
        "#ifndef Y\n#define Y\n#include __BASE_FILE__\n#endif\n",
        false,
    );
    check("#ifdef __FILE_NAME__\n#include \"a.h\"\n#endif\n", false);
    check(
        "#line 7\n#ifdef __LINE__\n#include \"a.h\"\n#endif\n",
        false,
    );
}

#[test]
fn what_a_line_directive_renames_is_refused() {
    check(
        "#line 7\n#if __LINE__ == 7\n#include \"a.h\"\n#endif\n",
        true,
    );
    check("#if \\\n__LINE__ == 1\n#include \"a.h\"\n#endif\n", true);
    check("#line 3 \"a.h\"\n#include __FILE__\n", true);
    check("# 3 \"a.h\"\n#include __FILE__\n", true);
}

#[test]
fn assertions_matter_only_where_a_condition_asks_for_them() {
    check("#assert m(x)\n#include \"a.h\"\n#unassert m\n", false);
    check("#assert m(x)\n#if #m(x)\n#include \"a.h\"\n#endif\n", true);
    check("#if #machine(x86_64)\n#include \"a.h\"\n#endif\n", true);
}

#[test]
fn the_counter_may_stand_in_text() {
    check(
        "int x = __COUNTER__;\n#ifdef __COUNTER__\n#include \"a.h\"\n#endif\n",
        false,
    );
    check(
        "int x = __COUNTER__;\n#if __COUNTER__ == 1\n#include \"a.h\"\n#endif\n",
        true,
    );
}
