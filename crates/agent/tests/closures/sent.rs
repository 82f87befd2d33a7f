//! Which files, links and folders are sent for a compile.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::asking::{ask_and_compare, check, files};
use crate::support::{Sent, Server, Tree, names_below, run, words};

#[test]
fn names_what_the_old_include_server_named() {
    let server = Server::start();
    let tree = Tree::new(&[
        ("example/src/hello.c", include_str!("../data/src/hello.c")),
        (
            "example/src/inc/greet.h",
            include_str!("../data/src/inc/greet.h"),
        ),
        (
            "example/src/inc/sub/deep.h",
            include_str!("../data/src/inc/sub/deep.h"),
        ),
        (
            "example/src/sys/real.h",
            include_str!("../data/src/sys/real.h"),
        ),
        ("example/src/inc/link.h", "-> ../sys/real.h"),
    ]);
    let argv = words("x86_64-linux-gnu-gcc -O1 -c hello.c -o hello.o", &[]);
    let answer = ask_and_compare(&server, &tree, "example/src", &argv);

    let own = tree.path("");
    let named: BTreeSet<String> = answer
        .iter()
        .map(|(name, sent)| {
            let path = Path::new("/").join(name.strip_prefix(&own).unwrap_or(name));
            match sent {
                Sent::Link(text) if text.is_absolute() => format!("SYMLINK   {}", path.display()),
                Sent::Link(_) => format!("SYSTEMDIR {}", path.display()),
                Sent::File(_) => {
                    match path.display().to_string().split_once("/forcing_technique") {
                        Some((folder, _)) => format!("DIRECTORY {folder}"),
                        None => format!("FILE      {}", path.display()),
                    }
                }
            }
        })
        .collect();
    let recorded = include_str!("../data/hello.scan-includes.txt");
    assert_eq!(named, recorded.lines().map(str::to_owned).collect());
}

#[test]
fn the_packaged_client_understands_answers() {
    let server = Server::start();
    let tree = Tree::new(&[
        ("src/a.c", "#include <stdio.h>\n#include \"../l/x.h\"\n"),
        ("real/x.h", "#include \"none/../y.h\"\n"),
        ("real/none/z", ""),
        ("real/y.h", ""),
        ("l", "-> real"),
        ("state/x", ""),
    ]);
    let output = run(Command::new("/usr/bin/distcc")
        .args(["--scan-includes", "gcc", "-c", "a.c"])
        .env("INCLUDE_SERVER_PORT", server.tree.path("socket"))
        .env("DISTCC_HOSTS", "127.0.0.1:1/4,lzo,cpp")
        .env("DISTCC_DIR", tree.path("state"))
        .env_remove("CPATH")
        .current_dir(tree.path("src")));
    let own = tree.path("");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines: BTreeSet<String> = stdout
        .lines()
        .filter(|line| !line.starts_with("SYSTEMDIR "))
        .map(|line| line.replace(own.to_str().unwrap(), ""))
        .collect();
    let expected = [
        "DIRECTORY /real",
        "DIRECTORY /real/none",
        "DIRECTORY /src",
        "FILE      /real/x.h",
        "FILE      /real/y.h",
        "FILE      /src/a.c",
        "SYMLINK   /l",
    ];
    assert_eq!(lines, expected.map(str::to_owned).into());
    assert!(stdout.contains("SYSTEMDIR /usr/include\n"));
}

#[test]
fn names_the_files_that_the_compiler_lists() {
    let tree = Tree::new(&[
        (
            "src/a.cc",
            "#include <vector>\n#include \"x.h\"\n#include <d/y.h>\n#ifdef NOT\n#include <no.h>\n#endif\n",
        ),
        (
            "src/x.h",
            "#define NAME <d/computed.h>\n#include NAME\n#include_next <x.h>\n",
        ),
        ("i/x.h", "int i;\n"),
        ("i/no.h", "no"),
        (
            "j/d/y.h",
            "_Pragma(\"once\")\n#include \"y.h\"\n#include \"quoted.h\"\n",
        ),
        ("j/d/computed.h", "int c;\n"),
        ("q/quoted.h", "int q;\n"),
        ("s/after.h", "int after;\n"),
        ("f/forced.h", "#include <after.h>\n"),
        ("f/macros.h", "#define M 1\n"),
    ]);
    let root = tree.path("");
    for compiler in ["g++", "clang++"] {
        let server = Server::start();
        let argv = words(
            &format!(
                "{compiler} -c a.cc -iquote ../q -I ../i -I{{}}/j -idirafter{{}}/s \
                 -include ../f/forced.h -imacros {{}}/f/macros.h"
            ),
            &[&root, &root, &root],
        );
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        let sent: BTreeSet<PathBuf> = files(&answer)
            .into_iter()
            .filter(|(_, content)| !content.is_empty())
            .map(|(name, _)| name.to_owned())
            .collect();

        let listed = run(Command::new(compiler)
            .args(argv[1..].iter().filter(|word| *word != "-c"))
            .args(["-M", "-MT", "x"])
            .current_dir(tree.path("src")));
        let listed: BTreeSet<PathBuf> = String::from_utf8(listed.stdout)
            .unwrap()
            .replace("\\\n", " ")
            .split_whitespace()
            .skip(1)
            .map(|name| fs::canonicalize(tree.path("src").join(name)).unwrap())
            .filter(|path| path.starts_with(&root))
            .collect();
        assert_eq!(sent, listed, "{compiler}");
        assert_eq!(sent.len(), 9);
    }
}

#[test]
fn links_and_folders_on_the_way_are_sent() {
    check(
        &[
            (
                "src/a.c",
                "#include \"l/../up.h\"\n#include <e/../z.h>\n#include <file.h>\n",
            ),
            ("real/sub/x", ""),
            ("src/l", "-> ../real/sub"),
            ("real/up.h", "int up;\n"),
            ("src/up.h", "wrong\n"),
            ("inc/e/x", ""),
            ("inc/z.h", "int z;\n"),
            ("inc/file.h", "-> ../real/target.h"),
            ("real/target.h", "int target;\n"),
            ("unused/x", ""),
            ("l2", "-> inc"),
            ("l3", "-> nowhere"),
        ],
        "a.c -I ../l2 -I{}/unused -I ../l3",
        &[
            "inc/e/",
            "inc/file.h -> real/target.h",
            "inc/",
            "inc/z.h",
            "l2 -> inc",
            "real/",
            "real/sub/",
            "real/target.h",
            "real/up.h",
            "src/a.c",
            "src/",
            "src/l -> real/sub",
            "unused/",
        ],
    );
}

#[test]
fn absolute_includes_are_sent_wherever_they_are() {
    let elsewhere = Tree::new(&[
        ("x.h", "#include \"y.h\"\n"),
        ("y.h", "const char *y = __FILE__;\n"),
    ]);
    let server = Server::start();
    let include = format!("#include \"{}\"\n", elsewhere.path("x.h").display());
    let tree = Tree::new(&[("src/a.c", &include)]);
    let argv = words("gcc -c a.c", &[]);
    let answer = ask_and_compare(&server, &tree, "src", &argv);
    assert_eq!(
        names_below(&answer, &elsewhere.path("")),
        ["", "x.h", "y.h"].map(|name| if name.is_empty() {
            "/".to_owned()
        } else {
            name.to_owned()
        })
    );
}

#[test]
fn names_with_any_characters_are_sent() {
    let server = Server::start();
    let tree = Tree::new(&[("src/x", "")]);
    let odd = [
        "a b.h",
        "a,b.h",
        "a#b.h",
        "a$b.h",
        "a@=~:+%.h",
        "a'b.h",
        "d d/e;f.h",
    ];
    let mut text: Vec<u8> = Vec::new();
    for (number, name) in odd.iter().enumerate() {
        tree.write(&format!("src/{name}"), format!("int x{number};\n"));
        text.extend_from_slice(format!("#include \"{name}\"\n").as_bytes());
    }
    let raw = OsString::from_vec(b"src/\xff\xe9.h".to_vec());
    fs::write(tree.path("").join(&raw), "int raw;\n").unwrap();
    text.extend_from_slice(b"#include \"\xff\xe9.h\"\n");
    tree.write("src/a b, c.c", text);
    for compiler in ["gcc", "clang"] {
        let argv: Vec<OsString> = [compiler, "-c", "a b, c.c"].map(OsString::from).into();
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        let sent: BTreeSet<&Path> = files(&answer).into_iter().map(|(name, _)| name).collect();
        for name in odd {
            assert!(
                sent.contains(tree.path("src").join(name).as_path()),
                "{compiler} {name}"
            );
        }
        assert!(
            sent.contains(tree.path("").join(&raw).as_path()),
            "{compiler}"
        );
    }
}

#[test]
fn asking_writes_nothing_into_the_clients_folders() {
    let server = Server::start();
    let tree = Tree::new(&[("src/a.c", "#include \"x.h\"\n"), ("src/x.h", "")]);
    for (compiler, options) in [
        ("gcc", "-MD -MF a.d -MT x -o out/a.o"),
        ("gcc", "-MMD -o a.o -Wp,-MD,b.d"),
        (
            "gcc",
            "-g -gsplit-dwarf -save-temps=obj -fdump-tree-all -fstack-usage -o a.o",
        ),
        ("clang", "-MD -save-temps -ftime-trace -o a.o"),
        ("clang", "-S -emit-llvm -o a.ll"),
    ] {
        let argv = words(&format!("{compiler} -c a.c {options}"), &[]);
        let argv = command::client::expand_wp(&argv).unwrap();
        let answer = server.ask(&tree.path("src"), argv);
        assert_eq!(tree.names("src"), ["a.c", "x.h"], "{options}");
        assert!(answer.is_some(), "{options}: {}", server.stderr());
    }
}

#[test]
fn answers_hold_the_links_of_their_own_compile_only() {
    let server = Server::start();
    let tree = Tree::new(&[
        ("src/a.c", "#include \"l/x.h\"\n"),
        ("src/b.c", "int b;\n"),
        ("src/real/x.h", ""),
        ("src/l", "-> real"),
    ]);
    let names = |command: &str| {
        let answer = server.ask(&tree.path("src"), words(command, &[])).unwrap();
        names_below(&answer, &tree.path("src"))
    };
    assert!(names("gcc -c a.c").contains(&"l -> real".to_owned()));
    assert_eq!(names("gcc -c b.c"), ["b.c", "/"]);
}

#[test]
fn an_empty_source_is_a_source() {
    let server = Server::start();
    let tree = Tree::new(&[("src/e.c", ""), ("src/null.c", "-> /dev/null")]);
    for file in ["e.c", "null.c"] {
        let argv = words(&format!("gcc -c {file} -include /dev/null"), &[]);
        let answer = server.ask(&tree.path("src"), argv).unwrap();
        assert!(answer.contains_key(Path::new("/dev/null")));
    }
    let argv = words("gcc -c e.c", &[]);
    let paths = server.ask_for_paths(&tree.path("src"), argv);
    let block = fs::read(&paths[0]).unwrap();
    assert_eq!(
        block,
        [0x11, 0, 0],
        "an empty source, unlike a folder's mark"
    );
    assert!(paths[0].as_bytes().ends_with(b"/src/e.c.lzo"));
}
