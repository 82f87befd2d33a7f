//! The compilers' own folders, and who tells which they are.

use crate::asking::{ask_and_compare, check, counting_server};
use crate::support::{Sent, Server, Tree, names_below, server_command, words};

#[test]
fn links_to_system_headers_of_ones_own_are_sent() {
    let long = "a_name_that_is_much_longer_than_what_it_stands_for_so_that_gcc_prefers_that";
    check(
        &[
            ("src/a.c", &format!("#include <{long}/x.h>\n")),
            ("s/real/x.h", "#include \"y.h\"\n"),
            ("s/real/y.h", "const char *y = __FILE__;\n"),
            (&format!("s/{long}"), "-> real"),
        ],
        "a.c -isystem{}/s",
        &[
            &format!("s/{long} -> s/real"),
            "s/",
            "s/real/",
            "s/real/x.h",
            "s/real/y.h",
            "src/a.c",
            "src/",
        ],
    );
}

#[test]
fn default_folders_are_told_by_the_compiler_and_compared_by_whole_names() {
    let server = Server::start();
    let tree = Tree::new(&[
        (
            "src/a.c",
            "#include <own.h>\n#include <extra.h>\n#include <l.h>\n",
        ),
        ("include/own.h", "int own;\n"),
        ("include/sub/l.h", "int l;\n"),
        ("include-extra/extra.h", "int extra;\n"),
        ("link", "-> include/sub"),
    ]);
    // What this compiler adds, it tells as its own.
    let include = tree.path("include").display().to_string();
    tree.script("my-cc", &format!("exec gcc \"$@\" -isystem {include}\n"));
    let argv = words("../my-cc -c a.c -I../include-extra -I../link", &[]);
    let answer = server.ask(&tree.path("src"), argv).unwrap();
    let names = names_below(&answer, &tree.path(""));
    let to_include = "../".repeat(20 + include.matches('/').count()) + &include[1..];
    assert_eq!(
        names,
        [
            &format!("include -> {to_include}"),
            "include-extra/extra.h",
            "include-extra/",
            "link -> include/sub",
            "src/a.c",
            "src/",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn a_compiler_that_changes_is_asked_again() {
    let server = Server::start();
    let tree = Tree::new(&[
        ("src/a.c", "#ifdef NEW\n#include \"new.h\"\n#endif\n"),
        ("src/new.h", ""),
    ]);
    let names = |options: &str| {
        tree.script("my-cc", &format!("exec gcc \"$@\" {options}\n"));
        let argv = words("../my-cc -c a.c", &[]);
        let answer = server.ask(&tree.path("src"), argv).unwrap();
        names_below(&answer, &tree.path("src"))
    };
    assert_eq!(names(""), ["a.c", "/"]);
    assert_eq!(names("-DNEW"), ["a.c", "/", "new.h"]);
    assert_eq!(names(""), ["a.c", "/"]);
}

/// What a script around the compiler adds is known to the compiler alone.
#[test]
fn a_compiler_with_folders_of_its_own_lists_its_files() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[
        ("src/a.c", "#include <x.h>\n"),
        ("own/x.h", "int own;\n"),
        ("i/x.h", "int i;\n"),
    ]);
    let own = tree.path("own").display().to_string();
    tree.script("my-cc", &format!("exec gcc -I{own} \"$@\"\n"));
    let argv = words("../my-cc -c a.c -I../i", &[]);
    let answer = server.ask(&tree.path("src"), argv).unwrap();
    assert!(!answer.contains_key(&tree.path("i/x.h")));
    let told = folder.text("refusals");
    assert!(
        told.contains("own by itself, before folders of the command"),
        "{told}"
    );
}

#[test]
fn headers_of_system_folders_have_the_names_that_gcc_gives_them() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[
        (
            "src/a.c",
            "#include <x.h>\n#include <l.h>\n#include \"p.h\"\n",
        ),
        ("s/x.h", "const char *x = __FILE__;\n"),
        ("s/same.h", "const char *l = __FILE__;\n"),
        ("s/l.h", "-> same.h"),
        ("i/p.h", "const char *p = __FILE__;\n"),
    ]);
    // Longer than what it stands for.
    let argv = words(
        "gcc -c a.c -isystem{}/src/../src/../s -I{}/src/../i",
        &[&tree.path(""), &tree.path("")],
    );
    let answer = ask_and_compare(&server, &tree, "src", &argv);
    let first_line = |name: &str| {
        let Sent::File(content) = &answer[&tree.path(name)] else {
            panic!("{name}")
        };
        let text = String::from_utf8_lossy(content).into_owned();
        text.lines()
            .next()
            .unwrap()
            .replace(&tree.path("").display().to_string(), "")
    };
    assert_eq!(first_line("s/x.h"), "#line 1 \"/s/x.h\"");
    assert_eq!(first_line("s/same.h"), "#line 1 \"/s/same.h\"");
    assert_eq!(first_line("i/p.h"), "#line 1 \"/src/../i/p.h\"");
    assert_eq!(folder.text("refusals"), "");
}

/// gcc takes the real name and looks for quoted includes beside that.
#[test]
fn what_a_linked_header_of_a_system_folder_includes_is_beside_its_real_name() {
    let (folder, server) = counting_server();
    let long = "long_long_long_long_long_long_long_long_long_long_long_long_long_long_long";
    let tree = Tree::new(&[
        ("src/a.c", "#include <x.h>\n"),
        ("r/x.h", "#include \"y.h\"\n"),
        ("r/y.h", "int real;\n"),
        (&format!("{long}/x.h"), "-> ../r/x.h"),
        (&format!("{long}/y.h"), "int beside_the_link;\n"),
    ]);
    let argv = words(
        &format!("gcc -c a.c -isystem{{}}/{long}"),
        &[&tree.path("")],
    );
    let answer = ask_and_compare(&server, &tree, "src", &argv);
    assert!(answer.contains_key(&tree.path("r/y.h")));
    assert_eq!(folder.text("refusals"), "");
}

#[test]
fn variables_of_the_server_move_no_search() {
    let tree = Tree::new(&[
        ("src/a.c", "#include <x.h>\n"),
        ("env/x.h", "int env;\n"),
        ("i/x.h", "int i;\n"),
    ]);
    let server_tree = Tree::new(&[]);
    let roots = Tree::new(&[]);
    let mut command = server_command(&server_tree, &roots.path(""));
    command
        .env("C_INCLUDE_PATH", tree.path("env"))
        .env("CPATH", tree.path("env"))
        .env("DEPENDENCIES_OUTPUT", server_tree.path("deps"));
    assert!(command.status().unwrap().success());
    let server = Server {
        pid: server_tree.text("pid").trim_end().parse().unwrap(),
        tree: server_tree,
        roots,
    };
    let argv = words("gcc -c a.c -idirafter ../i", &[]);
    let answer = server.ask(&tree.path("src"), argv).unwrap();
    assert_eq!(
        names_below(&answer, &tree.path("")),
        ["i/", "i/x.h", "src/a.c", "src/"]
    );
    assert!(!server.tree.path("deps").exists());
}
