//! What is in the files that are sent, and by which names messages and debug information call them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::asking::{ask_and_compare, files};
use crate::support::{Sent, Server, Tree, run, words};

#[test]
fn content_travels_byte_for_byte() {
    let server = Server::start();
    let tree = Tree::new(&[]);
    let text = b"// \xc3\xa9 \xff\r\nint x;\r\n\r\n";
    tree.write("src/a.c", text);
    let argv = words("gcc -c a.c", &[]);
    let answer = ask_and_compare(&server, &tree, "src", &argv);
    assert_eq!(answer[&tree.path("src/a.c")], Sent::File(text.to_vec()));
}

#[test]
fn absolute_names_are_kept_for_messages() {
    // clang lists backslashes as slashes, so that they cannot be found.
    for (compiler, odd, escaped) in [
        ("gcc", "i \"q\\?", "i \\\"q\\\\\\?"),
        ("clang", "i \"q?", "i \\\"q\\?"),
    ] {
        let tree = Tree::new(&[
            (
                "src/a.c",
                "#include \"x.h\"\n#include <y.h>\nconst char *a = __FILE__;\n",
            ),
            (&format!("{odd}/x.h"), "const char *x = __FILE__;\n"),
            ("rel/y.h", "\u{feff}const char *y = __FILE__;\n"),
            ("l", "-> rel"),
        ]);
        let server = Server::start();
        let command = |folders: [&Path; 2], source: &Path| -> Vec<OsString> {
            let mut argv = words(&format!("{compiler} -c -I{{}} -I{{}}"), &folders);
            argv.push(source.into());
            argv
        };

        // Named absolutely, through a link and not.
        let argv = command([&tree.path(odd), &tree.path("l")], &tree.path("src/a.c"));
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        for (file, spelled, mark) in [
            ("src/a.c", "src/a.c", ""),
            (&format!("{odd}/x.h"), &format!("{escaped}/x.h"), ""),
            ("rel/y.h", "l/y.h", "\u{feff}"),
        ] {
            let Sent::File(content) = &answer[&tree.path(file)] else {
                panic!("{file}")
            };
            let content = String::from_utf8(content.clone()).unwrap();
            let line = format!("{mark}#line 1 \"{}\"\n", tree.path(spelled).display());
            assert!(content.starts_with(&line), "{content}");
            assert!(content.ends_with(tree.text(file).trim_start_matches('\u{feff}')));
        }

        // Named relatively, there is nothing to keep.
        let folders = [&*Path::new("..").join(odd), Path::new("../l")];
        let argv = command(folders, Path::new("a.c"));
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        for (name, content) in files(&answer) {
            assert!(!content.starts_with(b"#line"), "{}", name.display());
        }
    }
}

#[test]
fn messages_and_debug_information_have_the_clients_names() {
    let server = Server::start();
    let tree = Tree::new(&[
        (
            "src/a.c",
            "#include \"x.h\"\nint main(void) { return f(); }\n",
        ),
        ("i/x.h", "static int f(void)\n{ return undeclared; }\n"),
    ]);
    let argv = words("gcc -g -c a.c -I{}", &[&tree.path("i")]);
    let answer = server.ask(&tree.path("src"), argv).unwrap();
    let Sent::File(content) = &answer[&tree.path("i/x.h")] else {
        panic!()
    };
    let copy = Tree::new(&[]);
    copy.write("x.h", content);
    copy.write("a.c", tree.text("src/a.c"));
    let compile = || {
        run(Command::new("gcc")
            .args(["-g", "-c", "a.c"])
            .current_dir(copy.path("")))
    };
    let message = String::from_utf8(compile().stderr).unwrap();
    let place = format!("{}:2:", tree.path("i/x.h").display());
    assert!(message.contains(&place), "{message}");

    let defined = String::from_utf8(content.clone())
        .unwrap()
        .replace("undeclared", "1");
    copy.write("x.h", defined);
    assert!(compile().status.success());
    let lines = run(Command::new("readelf")
        .args(["--debug-dump=line", "a.o"])
        .current_dir(copy.path("")));
    let lines = String::from_utf8_lossy(&lines.stdout).into_owned();
    assert!(lines.contains(tree.path("i").to_str().unwrap()), "{lines}");
}
