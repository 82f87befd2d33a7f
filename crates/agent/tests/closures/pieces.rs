//! Answers for clients of ours: the same as any other client's, ready to be sent.

use std::path::{Path, PathBuf};

use crate::support::{Answer, Sent, Server, Tree, words};

#[test]
fn clients_of_ours_get_what_any_client_sends() {
    let tree = Tree::new(&[
        (
            "src/a.c",
            "#include <stddef.h>\n#include \"x.h\"\n#include <l/y.h>\n#include <z.h>\n#include \"empty.h\"\n",
        ),
        ("src/x.h", "int x;\n"),
        ("src/empty.h", ""),
        ("real/y.h", "#include \"../src/x.h\"\nint y;\n"),
        ("i/l", "-> ../real"),
        ("abs/z.h", "int z;\n"),
    ]);
    let (src, abs) = (tree.path("src"), tree.path("abs"));
    let server = Server::start();
    for compiler in ["gcc", "clang"] {
        for input in ["a.c", "../src/a.c"] {
            let line = format!("{compiler} -c {input} -I ../i -I{{}} -o a.o");
            let argv = words(&line, &[&abs]);
            let any = server.ask(&src, argv.clone()).unwrap();
            // Known already, and asked for first.
            let ours = server.ask_for_pieces(&src, argv.clone()).unwrap();
            assert_eq!(ours.answer(), any);
            // What is so young that it could change unseen is stored anew each time.
            let mut last = ours.pieces;
            let is_stored_once = (0..100).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(20));
                let again = server.ask_for_pieces(&src, argv.clone()).unwrap();
                let is_same = again.pieces == last;
                last = again.pieces;
                is_same
            });
            assert!(is_stored_once, "{last:?}");
            assert!(any.values().any(|sent| matches!(sent, Sent::Link(_))));
        }
    }
    // What the compiler itself has to be asked for goes the same way.
    tree.write("src/by_list.c", "#include <y.h>\n");
    let argv = words(
        "gcc -c by_list.c -iprefix ../real/ -iwithprefix . -o b.o",
        &[],
    );
    let any = server.ask(&src, argv.clone());
    let ours = server.ask_for_pieces(&src, argv);
    assert_eq!(ours.map(|ours| ours.answer()), any);
    assert!(
        server
            .ask_for_pieces(&src, words("gcc -c none.c", &[]))
            .is_none()
    );
}

#[test]
fn an_answer_outlives_changes_and_its_server() {
    let tree = Tree::new(&[("a.c", "#include \"x.h\"\n"), ("x.h", "int old;\n")]);
    let root = tree.path("");
    let argv = words("gcc -c a.c", &[]);
    let server = Server::start();
    let ask = || server.ask_for_pieces(&root, argv.clone()).unwrap();
    let text = |answer: &Answer| match &answer[&root.join("x.h")] {
        Sent::File(text) => String::from_utf8(text.clone()).unwrap(),
        Sent::Link(to) => panic!("{to:?}"),
    };
    let old = ask();
    tree.write("x.h", "int new;\n");
    let new = ask();
    assert_eq!(text(&new.answer()), "int new;\n");
    server.end("-KILL");
    assert_eq!(text(&old.answer()), "int old;\n");
}

#[test]
fn the_socket_goes_with_the_server() {
    let server = Server::start();
    let socket = server.tree.path("socket.pieces");
    assert!(socket.exists());
    server.end("-TERM");
    assert!(!socket.exists());
}

#[test]
fn many_ask_at_once() {
    let tree = Tree::new(&[("x.h", "int x;\n")]);
    let root = tree.path("");
    for number in 0..20 {
        tree.write(&format!("{number}.c"), "#include \"x.h\"\n");
    }
    let server = Server::start();
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (server, root) = (&server, &root);
            scope.spawn(move || {
                let name = format!("{number}.c");
                let argv = words(&format!("gcc -c {name}"), &[]);
                let answer = server.ask_for_pieces(root, argv).unwrap().answer();
                let expected: [PathBuf; 2] =
                    [Path::new(&name), Path::new("x.h")].map(|name| root.join(name));
                assert!(expected.iter().all(|name| answer.contains_key(name)));
            });
        }
    });
}
