//! Definitions on the command line in forms that few people write: the name ends where it ends in a file.

use includes::Refusal;

use crate::options::check;
use crate::reference::Tree;

#[test]
fn odd_definitions_mean_what_they_mean_in_a_file() {
    let asks = |condition: &str| {
        format!("#if {condition}\n#include \"a/h.h\"\n#else\n#include \"b/h.h\"\n#endif\n")
    };
    let is_eight = asks("A 8");
    for option in [
        "-DA\u{1}7==",
        "-DA\u{1}7+1==",
        "-D\u{1}A=8==",
        "-DA-=-8\u{1}==\u{1}-",
        "-DA/**/=/*x*/8==",
        "-DA=8==//7",
        "-DA=8==//7 -std=c99",
        "-D\u{1}A\u{1}(8==)\u{1}",
        "-DA=8==\n7",
        "-DA=8== -UA\u{1}B",
        "-DA=??=8== -trigraphs",
        "-DA(x)=8==x",
    ] {
        check(&is_eight, option);
    }
    check(&asks("defined A"), "-DA\n7");
    check(&asks("defined A"), "-DA -U\u{1}A/**/B");
    check(&asks("defined defined"), "-Ddefined");
    check(&asks("defined A"), "-U1A");
}

#[test]
fn universal_characters_in_a_name_of_the_command_line_are_refused() {
    let tree = Tree::new(&[
        ("main.c", "#ifdef \u{e9}\n#include \"a.h\"\n#endif\n"),
        ("a.h", ""),
    ]);
    for compiler in ["gcc", "clang"] {
        for option in ["-D\\u00e9", "-DA -U\\U000000e9", "-Da\\u00e9=1"] {
            let refusal = tree.closure(&format!("{compiler} {option} -c main.c"));
            assert!(
                matches!(refusal, Err(Refusal::Unmodelled { .. })),
                "{option}: {refusal:?}"
            );
        }
        tree.expect(&format!("{compiler} -D\u{e9} -c main.c"), "main.c a.h");
    }
}
