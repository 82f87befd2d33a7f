//! Files that change between questions.

use std::ffi::OsStr;
use std::fs;

use crate::asking::{ask_and_compare, files};
use crate::support::{Server, Tree, names_below, words};

#[test]
fn every_change_shows_in_the_next_answer() {
    let server = Server::start();
    let tree = Tree::new(&[
        ("src/a.c", "#include <x.h>\n"),
        ("j/x.h", "int x = 1;\n"),
        ("i/unused.h", ""),
    ]);
    let argv = words("gcc -c a.c -I../i -I../j", &[]);
    let sent = || {
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        let mut sent = String::new();
        for (name, content) in files(&answer) {
            if name.extension() == Some(OsStr::new("h")) {
                let folder = name.parent().unwrap().file_name().unwrap();
                sent += &format!("{}: {}", folder.display(), String::from_utf8_lossy(content));
            }
        }
        sent
    };
    assert_eq!(sent(), "j: int x = 1;\n");
    // Of the same length, at the same moment.
    tree.write("j/x.h", "int x = 2;\n");
    assert_eq!(sent(), "j: int x = 2;\n");
    // Shadowed by a new file, which includes another.
    tree.write("i/x.h", "#include \"y.h\"\n");
    tree.write("i/y.h", "int y;\n");
    assert_eq!(sent(), "i: #include \"y.h\"\ni: int y;\n");
    // No more.
    tree.remove("i/x.h");
    assert_eq!(sent(), "j: int x = 2;\n");
    // Replaced, with its old time of change.
    let modified = fs::metadata(tree.path("j/x.h"))
        .unwrap()
        .modified()
        .unwrap();
    tree.write("new", "int x = 3;\n");
    fs::File::options()
        .write(true)
        .open(tree.path("new"))
        .unwrap()
        .set_modified(modified)
        .unwrap();
    fs::rename(tree.path("new"), tree.path("j/x.h")).unwrap();
    assert_eq!(sent(), "j: int x = 3;\n");
    // A folder becomes a link to another.
    fs::rename(tree.path("i"), tree.path("old")).unwrap();
    tree.write("other/x.h", "int x = 4;\n");
    tree.write("i", "-> other");
    assert_eq!(sent(), "other: int x = 4;\n");
    // And a folder again.
    tree.remove("i");
    tree.write("i/x.h", "int x = 5;\n");
    assert_eq!(sent(), "i: int x = 5;\n");
}

#[test]
fn a_header_that_is_made_later_is_found() {
    let server = Server::start();
    let tree = Tree::new(&[("src/a.c", "#include \"gen.h\"\n")]);
    let argv = words("gcc -c a.c", &[]);
    let first = server.ask(&tree.path("src"), argv.clone()).unwrap();
    assert_eq!(names_below(&first, &tree.path("src")), ["a.c", "/"]);
    tree.write("src/gen.h", "int gen;\n");
    let second = ask_and_compare(&server, &tree, "src", &argv);
    assert_eq!(
        names_below(&second, &tree.path("src")),
        ["a.c", "/", "gen.h"]
    );
}
