//! Files that compilers do not list and that are sent all the same.

use crate::asking::{check, refusal};

#[test]
fn files_that_are_only_asked_for_are_sent() {
    check(
        &[
            (
                "src/a.c",
                "#ifdef __has_include\n#if __has_include(\"opt.h\")\nint quoted;\n#endif\n\
                 # if __has_include(<d/opt2.h>) && !__has_include(<none.h>)\nint angle;\n#endif\n\
                 #if __has_include(<stdio.h>)\nint system;\n#endif\n#endif\n",
            ),
            ("src/opt.h", "never opened\n"),
            ("i/d/opt2.h", "never opened\n"),
        ],
        "a.c -I../i",
        &["i/d/", "i/d/opt2.h", "i/", "src/a.c", "src/", "src/opt.h"],
    );
}

#[test]
fn files_that_are_asked_for_through_a_macro_are_sent() {
    check(
        &[
            (
                "src/a.c",
                "#include \"has.h\"\n#if HAS(\"opt.h\") && TOO(<d/opt2.h>)\nint both;\n#endif\n",
            ),
            (
                "src/has.h",
                "#ifdef __has_include\n#define HAS __has_include\n#else\n#define HAS(...) 0\n\
                 #endif\n#define TOO(x) (1 && HAS(x))\n",
            ),
            ("src/opt.h", "never opened\n"),
            ("i/d/opt2.h", "never opened\n"),
        ],
        "a.c -I../i",
        &[
            "i/d/",
            "i/d/opt2.h",
            "i/",
            "src/a.c",
            "src/",
            "src/has.h",
            "src/opt.h",
        ],
    );
    let files = [
        ("src/a.c", "#include \"has.h\"\n#if HAS(NAME)\n#endif\n"),
        ("src/has.h", "#define HAS(x) __has_include(x)\n"),
    ];
    assert!(refusal(&files, "gcc -c a.c").starts_with("__has_include without a literal name"));
}

#[test]
fn second_names_of_once_marked_files_are_sent() {
    check(
        &[
            (
                "src/a.c",
                "#include \"r.h\"\n#include <l.h>\n#include <copy.h>\n",
            ),
            ("src/r.h", "#pragma once\nint r;\n"),
            ("i/l.h", "-> ../src/r.h"),
            ("i/copy.h", "#pragma once\nint copy;\n"),
            ("i/none.h", ""),
        ],
        "a.c -I../i",
        &[
            "i/copy.h",
            "i/",
            "i/l.h -> src/r.h",
            "src/a.c",
            "src/",
            "src/r.h",
        ],
    );
}
