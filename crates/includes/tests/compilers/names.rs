//! Names that decide what is found beside a file. gcc gives headers of system folders their real path, where that is
//! shorter. clang goes by the first name of a file, and by the first name of a folder.

use includes::Refusal;

use crate::reference::{Outcome, Tree, engine};

const LONG: &str = "a_folder_with_a_name_that_is_longer_than_any_real_path";

/// `h.h` has two names, and beside each there is a `y.h`; the one in `s` has two names too.
fn tree(main: &str, header: &str) -> Tree {
    Tree::new(&[
        ("a.c", main),
        ("s/h.h", header),
        (&format!("{LONG}/h.h -> ../s/h.h"), ""),
        (&format!("{LONG}/y.h"), ""),
        (&format!("s/{LONG}.h -> ../t/y.h"), ""),
        ("s/y.h", ""),
        ("s/z.h", ""),
        ("t/y.h", "#include \"z.h\"\n"),
        ("t/z.h", ""),
        ("s/plain.h", "#include \"y.h\"\n"),
    ])
}

#[test]
fn a_header_of_a_system_folder_has_the_shorter_name() {
    let tree = tree("#include <h.h>\n", "#include \"y.h\"\n");
    let beside_the_link = format!("a.c s/h.h {LONG}/y.h");
    for option in ["-isystem", "-idirafter"] {
        let line = format!("gcc {option} %/{LONG} -c a.c");
        tree.expect(&line, "a.c s/h.h s/y.h");
        let line = format!("{line} -fno-canonical-system-headers");
        tree.expect(&line, &beside_the_link);
        let line = format!("{line} -fcanonical-system-headers");
        tree.expect(&line, "a.c s/h.h s/y.h");
        tree.expect(&format!("clang {option} %/{LONG} -c a.c"), &beside_the_link);
    }
    tree.expect(&format!("gcc -I %/{LONG} -c a.c"), &beside_the_link);
    // Here the real path is the longer one.
    let tree = self::tree("#include <h.h>\n#include <y.h>\n", "");
    tree.expect("gcc -isystem s -c a.c", "a.c s/h.h s/y.h");
}

#[test]
fn folder_variables_of_a_language_name_system_folders() {
    let tree = || tree("#include <h.h>\n", "#include \"y.h\"\n");
    let variable = |name| {
        let tree = tree();
        let value = tree.folder.join(LONG);
        let value = value.to_str().expect("a plain path").to_owned();
        tree.with(name, &value)
    };
    variable("C_INCLUDE_PATH").expect("gcc -c a.c", "a.c s/h.h s/y.h");
    let beside_the_link = format!("a.c s/h.h {LONG}/y.h");
    variable("CPATH").expect("gcc -c a.c", &beside_the_link);
}

#[test]
fn files_beside_a_header_of_a_system_folder_have_their_shorter_names() {
    let long = format!("#include \"{LONG}.h\"\n");
    let tree = |text: &str| tree("#include <h.h>\n", &format!("{text}{long}"));
    let (shorter, spelled) = ("a.c s/h.h t/y.h t/z.h", "a.c s/h.h t/y.h s/z.h");
    tree("").expect("gcc -isystem %/s -c a.c", shorter);
    tree("").expect("gcc -I %/s -c a.c", spelled);
    // A header may say that it is one of the system. What it includes is one too.
    let says_so = "#pragma GCC system_header\n";
    tree(says_so).expect("gcc -I %/s -c a.c", shorter);
    tree("_Pragma(\"GCC system_header\")\n").expect("gcc -I %/s -c a.c", spelled);
}

#[test]
fn a_line_marker_says_whether_a_file_is_one_of_the_system() {
    let long = format!("#include \"{LONG}.h\"\n");
    let shorter = "a.c s/h.h t/y.h t/z.h";
    let spelled = "a.c s/h.h t/y.h s/z.h";
    for (marker, among_others, in_system) in [
        ("# 3 \"x.h\"", spelled, spelled),
        ("# 3 \"x.h\" 3", shorter, shorter),
        ("# 3 \"\"  3 /* x */ 4", shorter, shorter),
        ("# 3", spelled, shorter),
        ("#if 0\n# 3 x\n#endif", spelled, shorter),
        ("#line 3 \"x.h\"", spelled, shorter),
    ] {
        let tree = tree("#include <h.h>\n", &format!("{marker}\n{long}"));
        tree.expect("gcc -I %/s -c a.c", among_others);
        tree.expect("gcc -isystem %/s -c a.c", in_system);
    }
    // In the main file too, and there the pragma is not obeyed.
    let header = format!("# 9 \"h.h\"\n{long}");
    let main = |first: &str| format!("{first}\n#include <h.h>\n");
    tree(&main("# 3 \"x.c\" 3"), &long).expect("gcc -I %/s -c a.c", shorter);
    tree(&main("# 3 \"x.c\" 3"), &header).expect("gcc -I %/s -c a.c", spelled);
    tree(&main("#pragma GCC system_header"), &long).expect("gcc -I %/s -c a.c", spelled);
    let odd = tree(
        "#include <h.h>\n",
        &format!("#define X \"x.h\"\n# 3 X\n{long}"),
    );
    assert!(odd.closure("gcc -I %/s -c a.c").is_err());
}

#[test]
fn a_folder_is_the_systems_if_the_first_of_its_files_that_looks_beside_itself_is() {
    let long = format!("#include \"{LONG}.h\"\n");
    let spelled = "a.c s/h.h s/plain.h s/y.h t/y.h s/z.h";
    let shorter = "a.c s/h.h s/plain.h s/y.h t/y.h t/z.h";
    let (plain, system) = ("#include \"%/s/plain.h\"\n", "#include <h.h>\n");
    for (main, expected) in [([plain, system], spelled), ([system, plain], shorter)] {
        // The folder's name is known only once it is there.
        let tree = tree("", &long);
        let folder = tree.folder.to_str().expect("a plain path");
        let text = main.concat().replace('%', folder);
        std::fs::write(tree.folder.join("a.c"), text).expect("temporary folder");
        tree.expect("gcc -isystem %/s -c a.c", expected);
    }
}

#[test]
fn what_include_next_would_find_is_another_file_for_an_import() {
    let tree = |text: &str| {
        Tree::new(&[
            ("a.c", "#include <n.h>\n#import <h.h>\n"),
            ("i/n.h", text),
            ("j/h.h", ""),
        ])
    };
    let next = tree("#if __has_include_next(<h.h>)\n#endif\n");
    next.expect("gcc -Ii -Ij -c a.c", "a.c i/n.h");
    let plain = tree("#if __has_include(<h.h>)\n#endif\n");
    plain.expect("gcc -Ii -Ij -c a.c", "a.c i/n.h j/h.h");
    // What comes next here is the whole chain of an import by `<...>`.
    let next = Tree::new(&[
        ("a.c", "#include \"n.h\"\n#import <h.h>\n"),
        ("i/n.h", "#if __has_include_next(<h.h>)\n#endif\n"),
        ("j/h.h", ""),
    ]);
    next.expect("gcc -iquote i -Ij -c a.c", "a.c i/n.h j/h.h");
}

/// The names by which the engine and the compiler know the files.
fn expect_names(tree: &Tree, line: &str, expected: &[&str]) {
    let closure = tree.closure(line).expect("nothing is odd");
    let folder = tree.folder.to_str().expect("a plain path");
    let ours: Vec<String> = closure
        .files
        .iter()
        .map(|file| String::from_utf8_lossy(&file.spelled).replace(folder, "%"))
        .filter(|name| !name.starts_with("/usr/"))
        .collect();
    assert_eq!(ours, expected, "{line}");
    assert_eq!(tree.names(line), expected, "what the compiler says: {line}");
}

#[test]
fn clang_calls_a_folder_by_the_first_name_in_the_command() {
    let tree = || {
        Tree::new(&[
            ("a/a.c", "#include \"h.h\"\n"),
            ("a/b.c", "#include <h.h>\n"),
            ("a/h.h", "#include \"d/d.h\"\n"),
            ("a/d/d.h", ""),
        ])
    };
    let check = |options: &str, folder: &str| {
        for main in ["a/a.c", "a/b.c"] {
            let names = [main, &format!("{folder}/h.h"), &format!("{folder}/d/d.h")];
            expect_names(&tree(), &format!("clang {options} -c {main}"), &names);
        }
    };
    check("-I%/a", "%/a");
    check("-Ia/ -isystem %/a", "a");
    check("-isystem a -I%/a", "%/a");
    check("-isystem %/a -idirafter a", "a");
    check("-iquote a -I%/a", "%/a");
    check("-isystem a -iquote %/a", "%/a");
    check("-Ia/../a -Ia", "a/../a");
}

#[test]
fn clang_looks_beside_the_first_name_of_a_file() {
    let tree = |main: &str| {
        let tree = Tree::new(&[
            ("main.c", main),
            ("a/h.h", "#include \"y.h\"\n"),
            ("a/y.h", ""),
            ("l/h.h -> ../a/h.h", ""),
            ("l/y.h", ""),
            ("b/y.h", ""),
        ]);
        let hard = tree.folder.join("b/h.h");
        std::fs::hard_link(tree.folder.join("a/h.h"), hard).expect("temporary folder");
        tree
    };
    for (first, second) in [("a", "l"), ("l", "a"), ("b", "a"), ("a", "b"), ("l", "b")] {
        let found = format!("main.c {first}/y.h a/h.h");
        let found = found
            + if [first, second].contains(&"b") {
                " b/h.h"
            } else {
                ""
            };
        let main = format!("#include \"{first}/h.h\"\n#include \"{second}/h.h\"\n");
        tree(&main).expect("clang -c main.c", &found);
        let main =
            format!("#if __has_include(\"{first}/h.h\")\n#endif\n#include \"{second}/h.h\"\n");
        tree(&main).expect("clang -c main.c", &found);
    }
}

#[test]
fn a_file_stands_in_the_folder_of_its_name_whoever_found_it_first() {
    let tree = Tree::new(&[("a.c", "#include <h.h>\n"), ("s/h.h", ""), ("t/h.h", "")]);
    let engine = engine(true);
    let folders = |line: &str| {
        let closure = engine.closure(&tree.command(line)).expect("nothing is odd");
        let mut folders = closure.folders.clone();
        folders.retain(|folder| !folder.starts_with(b"/usr"));
        folders.sort_unstable();
        folders
    };
    let plain = |names: &[&str]| {
        let folder = tree.folder.to_str().expect("a plain path");
        let names = names
            .iter()
            .map(|name| format!("{folder}{name}").into_bytes());
        names.map(Into::into).collect::<Vec<std::sync::Arc<[u8]>>>()
    };
    // clang calls it by its first name, and finds it by the second, of a system folder.
    let both = folders("clang -I t/../s -isystem s/ -c a.c");
    assert_eq!(both, plain(&["", "/s", "/t/../s"]));
    assert_eq!(folders("gcc -I t/../s -c a.c"), plain(&["", "/t/../s"]));
}

/// A header that includes itself by `__FILE__` each time.
const ITSELF: &str = "#ifdef N\n#undef N\n#else\n#define N\n#include __FILE__\n#endif\n";

#[test]
fn a_header_that_includes_itself_has_the_name_that_clang_gives_its_folder() {
    let tree = |main: &str| {
        Tree::new(&[
            ("main.c", main),
            ("a/n.h", ITSELF),
            ("a/m.h", "#include \"n.h\"\n"),
            ("a/d/n.h", ITSELF),
            ("l -> a", ""),
        ])
    };
    let check = |main: &str, options: &str, is_refused: bool| {
        let tree = tree(main);
        for compiler in ["gcc", "clang"] {
            let line = format!("{compiler} {options} -c main.c");
            match tree.compare(&line) {
                Outcome::Same(_) => assert!(!is_refused || compiler == "gcc", "{line}"),
                Outcome::Refused(refusal) => assert!(
                    is_refused
                        && compiler == "clang"
                        && matches!(refusal, Refusal::Unmodelled { .. }),
                    "{line}: {refusal}"
                ),
            }
        }
    };
    check("#include \"a/m.h\"\n#include \"a/d/n.h\"\n", "-I.", false);
    check("#include <n.h>\n", "-I%/a", false);
    check("#include <d/n.h>\n", "-I%/a", false);
    check("#include \"a/d/../n.h\"\n", "-I.", false);
    check("#include \"a/m.h\"\n#include \"l/n.h\"\n", "-I.", true);
    check("#include \"a/m.h\"\n#include \"./a/n.h\"\n", "-I.", false);
    check("#include \"l/d/../m.h\"\n#include \"a/n.h\"\n", "-I.", true);
}

#[test]
fn a_name_that_a_prefix_map_changes_is_refused() {
    let tree = Tree::new(&[("main.c", "#include \"a/n.h\"\n"), ("a/n.h", ITSELF)]);
    for option in ["-ffile-prefix-map", "-fmacro-prefix-map"] {
        for compiler in ["gcc", "clang"] {
            let line = |map: &str| format!("{compiler} -I. {option}={map} -c main.c");
            tree.expect(&line("%/b=x"), "main.c a/n.h");
            let refused = tree.closure(&line("a/=x/"));
            let refused = refused.expect_err("the name begins like that");
            assert!(matches!(refused, Refusal::Unmodelled { .. }), "{refused}");
        }
    }
}

#[test]
fn what_has_include_next_found_is_another_file_for_an_import_from_the_middle_of_a_chain_only() {
    let mut same = 0;
    for (asks, found) in [
        ("q", "r"),
        ("q", "b"),
        ("q", "c"),
        ("r", "b"),
        ("r", "c"),
        ("b", "c"),
        ("b", "last"),
        ("c", "last"),
    ] {
        for before in ["", "<x.h>", "\"x.h\""] {
            for import in ["<x.h>", "\"x.h\""] {
                let probe = match before {
                    "" => String::new(),
                    header => format!("#if __has_include({header})\n#endif\n"),
                };
                let main = format!("{probe}#include \"m.h\"\n#import {import}\n");
                let next = "#if __has_include_next(\"x.h\")\n#endif\n";
                let (asking, header) = (format!("{asks}/m.h"), format!("{found}/x.h"));
                let mut files = vec![("main.c", &*main), (&asking, next), (&header, "int x;\n")];
                files.extend(["q/y.h", "r/y.h", "b/y.h", "c/y.h"].map(|file| (file, "")));
                let tree = Tree::new(&files);
                let folders = "-iquote q -iquote r -Ib -Ic -idirafter last -w -c main.c";
                for compiler in ["gcc", "clang"] {
                    // A difference is a panic.
                    match tree.compare(&format!("{compiler} {folders}")) {
                        Outcome::Same(_) => same += 1,
                        Outcome::Refused(refusal) => {
                            // Only what is not found: `<...>` does not search `q` and `r`.
                            assert!(
                                matches!(refusal, Refusal::NotFound { .. }),
                                "{compiler}: {files:?}: {refusal:?}"
                            );
                        }
                    }
                }
            }
        }
    }
    assert!(same >= 80, "{same}");
}
