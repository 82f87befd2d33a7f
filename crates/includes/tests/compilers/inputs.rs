//! Kinds of input: languages by name and by `-x`, folder variables, and precompiled headers in the way.

use includes::Refusal;

use crate::reference::{Outcome, Tree};

const MAIN: &str = "#include <h.h>\n#ifdef __cplusplus\n#include \"plus.h\"\n#endif\n\
                    #ifdef __OBJC__\n#include \"objc.h\"\n#endif\n#ifdef __ASSEMBLER__\n#include \"asm.h\"\n#endif\n";

fn tree(main: &str) -> Tree {
    Tree::new(&[
        (main, MAIN),
        ("inc/h.h", ""),
        ("plus.h", ""),
        ("objc.h", ""),
        ("asm.h", ""),
    ])
}

/// gcc's front ends for Objective-C are packages of their own, and not needed here.
fn compilers(more: &str) -> &'static [&'static str] {
    if more.contains("objc") {
        &["clang"]
    } else {
        &["gcc", "clang"]
    }
}

#[test]
fn the_name_of_the_input_gives_its_language() {
    for (name, more) in [
        ("a.c", ""),
        ("a.cc", "plus.h"),
        ("a.cpp", "plus.h"),
        ("a.cxx", "plus.h"),
        ("a.C", "plus.h"),
        ("a.c++", "plus.h"),
        ("a.m", "objc.h"),
        ("a.mm", "objc.h plus.h"),
        ("a.S", "asm.h"),
        ("a b.c", ""),
    ] {
        let tree = tree(name);
        let name = name.replace(' ', "\u{1}");
        for compiler in compilers(more) {
            let line = format!("{compiler} -Iinc -c {name}");
            tree.expect(&line, &format!("{name} inc/h.h {more}"));
        }
    }
}

#[test]
fn an_option_gives_the_language_of_what_follows_it() {
    let tree = tree("a.c");
    for (language, more) in [
        ("c", ""),
        ("c++", "plus.h"),
        ("objective-c", "objc.h"),
        ("objective-c++", "objc.h plus.h"),
        ("assembler-with-cpp", "asm.h"),
        ("c++ -x none", ""),
    ] {
        for compiler in compilers(more) {
            let line = format!("{compiler} -Iinc -x {language} -c a.c");
            tree.expect(&line, &format!("a.c inc/h.h {more}"));
        }
    }
    tree.expect("gcc -Iinc -c a.c -x c++", "a.c inc/h.h");
    tree.expect("clang -Iinc -c a.c -x c++", "a.c inc/h.h");
    tree.expect("g++ -Iinc -c a.c", "a.c inc/h.h plus.h");
    tree.expect("clang++ -Iinc -c a.c", "a.c inc/h.h plus.h");
}

#[test]
fn what_is_preprocessed_already_includes_nothing() {
    for name in ["a.i", "a.ii", "a.s"] {
        let closure = tree(name).closure(&format!("gcc -Iinc -c {name}"));
        assert_eq!(closure.expect("nothing is odd").files.len(), 1, "{name}");
    }
    let closure = tree("a.c").closure("gcc -Iinc -x cpp-output -c a.c");
    assert_eq!(closure.expect("nothing is odd").files.len(), 1);
}

#[test]
fn folder_variables_belong_to_their_languages() {
    for (variable, name, more) in [
        ("CPATH", "a.c", ""),
        ("CPATH", "a.mm", "objc.h plus.h"),
        ("C_INCLUDE_PATH", "a.c", ""),
        ("CPLUS_INCLUDE_PATH", "a.cc", "plus.h"),
        ("OBJC_INCLUDE_PATH", "a.m", "objc.h"),
        ("OBJCPLUS_INCLUDE_PATH", "a.mm", "objc.h plus.h"),
    ] {
        for value in ["inc", "none:inc", "%/inc:none", "inc:"] {
            let tree = tree(name);
            let value = value.replace('%', tree.folder.to_str().expect("a plain path"));
            let tree = tree.with(variable, &value);
            for compiler in compilers(more) {
                let line = format!("{compiler} -c {name}");
                tree.expect(&line, &format!("{name} inc/h.h {more}"));
            }
        }
    }
}

#[test]
fn an_empty_entry_of_a_folder_variable_is_the_current_folder() {
    let tree = Tree::new(&[("sub/a.c", "#include <h.h>\n"), ("h.h", ""), ("x/h.h", "")]);
    let tree = tree.with("CPATH", ":x");
    for compiler in ["gcc", "clang"] {
        tree.expect(&format!("{compiler} -c sub/a.c"), "sub/a.c h.h");
    }
}

#[test]
fn for_clang_folders_with_a_prefix_come_behind_those_of_variables_and_of_the_preprocessor() {
    let tree = || Tree::new(&[("a.c", "#include <h.h>\n"), ("x/h.h", ""), ("y/h.h", "")]);
    let options = "-iprefix %/ -iwithprefixbefore y";
    for (compiler, found) in [("gcc", "a.c y/h.h"), ("clang", "a.c x/h.h")] {
        let line = format!("{compiler} {options} -c a.c");
        tree().with("CPATH", "x").expect(&line, found);
        tree().with("CPATH", ":x").expect(&line, found);
        tree().expect(&format!("{compiler} {options} -Wp,-Ix -c a.c"), found);
    }
}

#[test]
fn the_compilers_own_header_comes_behind_imacros_and_before_include() {
    let own = "s/usr/include/stdc-predef.h";
    let tree = Tree::new(&[
        ("a.c", ""),
        (own, "#define M\n"),
        ("h.h", "#ifdef M\n#include \"y.h\"\n#endif\n"),
        ("y.h", ""),
    ]);
    for (option, more) in [("-imacros", ""), ("-include", "y.h")] {
        let line = format!("gcc --sysroot=%/s {option} h.h -c a.c");
        tree.expect(&line, &format!("a.c h.h {own} {more}"));
    }
}

#[test]
fn what_gcc_searches_beside_its_programs_is_never_overlooked() {
    let files = [
        ("a.c", "#include <h.h>\n"),
        ("b/include/h.h", ""),
        ("late/h.h", ""),
    ];
    let tree = Tree::new(&files);
    for option in ["-Bb", "-Bb/", "-B./b", "-B%/b", "-B b"] {
        let line = format!("{option} -idirafter late -c a.c");
        let gcc = tree.compare(&format!("gcc {line}"));
        assert!(matches!(gcc, Outcome::Refused(_)), "{option}: {gcc:?}");
        tree.expect(&format!("clang {line}"), "a.c late/h.h");
    }
}

#[test]
fn a_precompiled_header_that_would_be_taken_is_refused() {
    let files = [("a.c", "#include \"h.h\"\n"), ("h.h", ""), ("h.h.gch", "x")];
    let refused = Tree::new(&files).closure("gcc -c a.c");
    assert!(
        matches!(refused, Err(Refusal::Precompiled(_))),
        "{refused:?}"
    );
    Tree::new(&files).expect("clang -c a.c", "a.c h.h");
    for precompiled in ["h.h.pch", "h.h.gch", "h.h.pch/x"] {
        let tree = Tree::new(&[("a.c", ""), ("h.h", ""), (precompiled, "x")]);
        let refused = tree.closure("clang -include h.h -c a.c");
        assert!(
            matches!(refused, Err(Refusal::Precompiled(_))),
            "{precompiled}: {refused:?}"
        );
    }
}
