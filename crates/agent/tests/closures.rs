//! Which files the include server names, asked through its socket, and whether the same text
//! comes out where only these files are.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod support;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{
    Answer, Sent, Server, Tree, names_below, preprocess, preprocess_remotely, run, words,
};

/// Asks about `command` in the folder `cwd` of `tree`, and checks that the answer is enough:
/// the copy gives the text that the client's own files give.
fn ask_and_compare(server: &Server, tree: &Tree, cwd: &str, argv: &[OsString]) -> Answer {
    let cwd = tree.path(cwd);
    let answer = server
        .ask(&cwd, argv.to_vec())
        .unwrap_or_else(|| panic!("refused: {}", server.stderr()));
    assert_eq!(
        preprocess_remotely(&answer, &cwd, argv),
        preprocess(argv.to_vec(), &cwd)
    );
    answer
}

/// What is sent for `command` in the folder `src` of a new tree, with gcc and with clang; the
/// names are those below the tree.
fn check(files: &[(&str, &str)], command: &str, expected: &[&str]) {
    for compiler in ["gcc", "clang"] {
        let server = Server::start();
        let tree = Tree::new(files);
        let argv = words(&format!("{compiler} -c {command}"), &[&tree.path("")]);
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        let names = names_below(&answer, &tree.path(""));
        assert_eq!(names, expected, "{compiler}");
        assert_eq!(server.stderr(), "");
    }
}

/// The warning about a command that is refused, for the file behind it.
fn refusal(files: &[(&str, &str)], command: &str) -> String {
    let server = Server::start();
    let tree = Tree::new(files);
    let argv = words(command, &[&tree.path("")]);
    assert_eq!(server.ask(&tree.path("src"), argv), None);
    let stderr = server.stderr();
    let line = stderr
        .strip_prefix(
            "WARNING include server: Preprocessing locally. Include server not covering: ",
        )
        .unwrap_or_else(|| panic!("{stderr}"));
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    line.trim_end().to_owned()
}

/// The client's name and content of every file sent.
fn files(answer: &Answer) -> Vec<(&Path, &[u8])> {
    answer
        .iter()
        .filter_map(|(name, sent)| match sent {
            Sent::File(content) => Some((name.as_path(), content.as_slice())),
            Sent::Link(_) => None,
        })
        .collect()
}

#[test]
fn names_what_the_old_include_server_named() {
    let server = Server::start();
    let tree = Tree::new(&[
        ("example/src/hello.c", include_str!("data/src/hello.c")),
        (
            "example/src/inc/greet.h",
            include_str!("data/src/inc/greet.h"),
        ),
        (
            "example/src/inc/sub/deep.h",
            include_str!("data/src/inc/sub/deep.h"),
        ),
        (
            "example/src/sys/real.h",
            include_str!("data/src/sys/real.h"),
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
    let recorded = include_str!("data/hello.scan-includes.txt");
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
fn what_the_list_does_not_show_is_refused() {
    for (text, reason) in [
        (
            "#if __has_include(X)\n#endif\n",
            "__has_include without a literal name in '",
        ),
        ("asm(\".incbin \\\"x\\\"\");\n", ".incbin or .include in '"),
        ("const char *t = __TIMESTAMP__;\n", "__TIMESTAMP__ in '"),
    ] {
        let files = [("src/a.c", "#include \"x.h\"\n"), ("src/x.h", text)];
        let line = refusal(&files, "gcc -c a.c");
        assert!(line.starts_with(reason), "{line}");
        assert!(
            line.ends_with("/src/x.h' for translation unit 'a.c'"),
            "{line}"
        );
    }
    let files = [
        ("src/a.c", "#include \"x.h\"\n"),
        ("src/x.h", ""),
        ("src/x.h.pch", ""),
    ];
    let line = refusal(&files, "clang -c a.c -include x.h");
    assert!(line.starts_with("precompiled header '"), "{line}");
    assert_eq!(
        refusal(&files[..2], "gcc -c a.c -fplugin=x.so"),
        "option '-fplugin=x.so' for translation unit 'a.c'"
    );
    assert!(refusal(&files[..2], "gcc -c a.c -I{}/i @args").contains("options in a file: '@args'"));
}

/// The folder of a file that a server keeps of refusals, and the server.
fn counting_server() -> (Tree, Server) {
    let folder = Tree::new(&[]);
    let file = folder.path("refusals").display().to_string();
    (folder, Server::start_with(&["--refusals_file", &file]))
}

#[test]
fn what_the_engine_refuses_is_told_by_the_compiler_and_counted() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[
        ("src/a.c", "#include \"x.h\"\n"),
        ("src/x.h", "#include \"y.h\"\n"),
        ("src/y.h", "int y;\n"),
    ]);
    let argv = words("gcc -c a.c", &[]);
    let expected = ["a.c", "/", "x.h", "y.h"];
    let names = || {
        let answer = ask_and_compare(&server, &tree, "src", &argv);
        names_below(&answer, &tree.path("src"))
    };
    assert_eq!(names(), expected);
    assert_eq!(folder.text("refusals"), "");
    tree.write("src/x.h.gch", "");
    for count in ["1 compile needed its ", "2 compiles needed their "] {
        assert_eq!(names(), expected);
        let told = folder.text("refusals");
        assert!(told.starts_with(count), "{told}");
        assert!(told.contains("precompiled header"), "{told}");
    }
    tree.remove("src/x.h.gch");
    assert_eq!(names(), expected);
    assert!(folder.text("refusals").starts_with("2 compiles "));
    assert_eq!(server.stderr(), "");
}

#[test]
fn a_header_that_must_be_used_precompiled_is_not_sent() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[
        ("src/a.c", "#include \"x.h\"\n"),
        ("src/x.h", "#error not precompiled\n"),
        ("src/x.h.gch", ""),
    ]);
    assert_eq!(
        server.ask(&tree.path("src"), words("gcc -c a.c", &[])),
        None
    );
    assert!(
        server.stderr().contains("precompiled header '"),
        "{}",
        server.stderr()
    );
    assert!(folder.text("refusals").starts_with("1 compile "));
}

#[test]
fn a_compile_that_fails_is_no_refusal_of_the_engine() {
    let (folder, server) = counting_server();
    let tree = Tree::new(&[("src/a.c", "#include \"none.h\"\n#error\n")]);
    let answer = server.ask(&tree.path("src"), words("gcc -c a.c", &[]));
    assert!(answer.is_some());
    assert_eq!(folder.text("refusals"), "");
}

#[test]
fn what_is_no_compile_is_refused() {
    let files = [("src/a.c", "int a;\n")];
    assert!(
        refusal(&files, "nosuchcc -c a.c")
            .starts_with("no compiler 'nosuchcc' in PATH for translation unit 'a.c'")
    );
    assert!(refusal(&files, "-c a.c").ends_with("for translation unit 'unknown translation unit'"));
    assert!(refusal(&files, "gcc a.c").starts_with("not a compile to distribute: "));
    assert!(refusal(&files, "gcc -c none.c").contains("preprocessing fails"));
    assert!(
        refusal(&files, "true -c a.c").starts_with(
            "Couldn't determine default system include directories for compiler 'true'"
        )
    );
}

#[test]
fn a_failing_compile_gets_what_exists() {
    let server = Server::start();
    let tree = Tree::new(&[
        (
            "src/missing.c",
            "#include \"a.h\"\n#include \"none.h\"\n#include \"b.h\"\n",
        ),
        ("src/error.c", "#include \"a.h\"\n#error no\n"),
        ("src/a.h", ""),
        ("src/b.h", ""),
    ]);
    let names = |file: &str| {
        let argv = words(&format!("gcc -c {file}"), &[]);
        let answer = server.ask(&tree.path("src"), argv).unwrap();
        names_below(&answer, &tree.path("src"))
    };
    assert_eq!(names("missing.c"), ["a.h", "b.h", "/", "missing.c"]);
    assert_eq!(names("error.c"), ["a.h", "error.c", "/"]);
}

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
fn variables_of_the_server_move_no_search() {
    let tree = Tree::new(&[
        ("src/a.c", "#include <x.h>\n"),
        ("env/x.h", "int env;\n"),
        ("i/x.h", "int i;\n"),
    ]);
    let server_tree = Tree::new(&[]);
    let roots = Tree::new(&[]);
    let mut command = support::server_command(&server_tree, &roots.path(""));
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
