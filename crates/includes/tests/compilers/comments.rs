//! `//` in C90: gcc takes it for the beginning of a comment in files of the system, and nowhere else.

use includes::Refusal;

use crate::reference::Tree;

/// Includes `y.h` where `//` begins a comment; else that is a part of another comment.
const HEADER: &str = "#if 0\n// /*\n#endif\n#include \"y.h\"\n#if 0\n*/\n#endif\n";
const SAYS_SO: &str = "#pragma GCC system_header\n";

fn tree(header: &str) -> Tree {
    Tree::new(&[
        ("a.c", "#include <h.h>\n"),
        ("s/h.h", header),
        ("s/y.h", ""),
        ("s/hidden.h", &HEADER.replace("y.h", "z.h")),
        ("s/z.h", ""),
        ("t/h.h", "#include \"../s/h.h\"\n"),
    ])
}

#[test]
fn a_comment_in_a_header_of_a_system_folder_is_one_in_c90() {
    for (options, files) in [
        ("gcc -ansi -isystem s", "a.c s/h.h s/y.h"),
        ("gcc -std=c89 -idirafter s", "a.c s/h.h s/y.h"),
        ("gcc -ansi -isystem t", "a.c t/h.h s/h.h s/y.h"),
        ("gcc -ansi -I t -idirafter s", "a.c t/h.h s/h.h"),
        ("gcc -std=gnu89 -I s", "a.c s/h.h s/y.h"),
        ("gcc -ansi -I s", "a.c s/h.h"),
        ("clang -ansi -I s", "a.c s/h.h"),
        ("clang -ansi -isystem s", "a.c s/h.h"),
    ] {
        tree(HEADER).expect(&format!("{options} -c a.c"), files);
    }
}

#[test]
fn a_header_may_say_that_its_comments_are_some() {
    let included = format!("{SAYS_SO}#include \"hidden.h\"\n");
    let harmless = format!("/* http:// */\n{SAYS_SO}int x; // y\n#include \"hidden.h\"\n");
    for header in [included, harmless] {
        let files = "a.c s/h.h s/hidden.h s/z.h";
        tree(&header).expect("gcc -ansi -I s -c a.c", files);
    }
}

#[test]
fn a_file_whose_directives_would_be_others_from_its_middle_on_is_refused() {
    for header in [
        format!("{SAYS_SO}{HEADER}"),
        format!("# 1 \"h.h\" 3\n{HEADER}"),
    ] {
        let tree = tree(&header);
        let refused = tree.closure("gcc -ansi -I s -c a.c");
        assert!(
            matches!(refused, Err(Refusal::Unmodelled { .. })),
            "{refused:?}"
        );
        tree.expect("gcc -ansi -isystem s -c a.c", "a.c s/h.h s/y.h");
        tree.expect("gcc -I s -c a.c", "a.c s/h.h s/y.h");
    }
}
