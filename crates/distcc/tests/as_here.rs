//! What a compile reads and leaves behind, beside its object's text, is as with the compiler alone.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use protocol::Version;
use support::{Distccd, FakeServer, Place, run, success};

/// A command with a source that no server can compile: it runs here, for this reason, and all is as without distcc.
#[track_caller]
fn stays(fill: impl Fn(&Place), words: &str, why: &str, object: &str) {
    let server = FakeServer::answering(success(Version::Plain, b"of the server"));
    let (place, reference) = (Place::new(), Place::new());
    fill(&place);
    fill(&reference);
    let local = reference.local(words);
    for fallback in ["0", "1"] {
        let mut distcc = place.distcc(&server.host(), words);
        distcc.env("DISTCC_FALLBACK", fallback);
        let outcome = run(distcc.env("DISTCC_VERBOSE", "1"));
        outcome.assert_says(local.code, &format!("running locally: {why}"));
        assert_eq!(place.names(), reference.names(), "{words}");
        if local.code == 0 {
            assert!(place.read(object) == reference.read(object), "{words}");
        }
    }
}

#[test]
fn files_that_the_assembler_reads_are_those_here() {
    let fill = |place: &Place| {
        place.write("blob", "these bytes\n");
        place.write("b.s", ".globl b\nb:\n");
        place.write("a.c", "__asm__(\".incbin \\\"blob\\\"\");\n");
        place.write(
            "b.c",
            "#define STR(x) #x\n__asm__(STR(.Include) \" \\\"b.s\\\"\");\nint f(void) { return 1; }\n",
        );
        place.write("c.i", "__asm__(\"\\n.incbin\\t\\\"/etc/passwd\\\"\");\n");
    };
    let why = ".incbin or .include in the source reads files here";
    for words in [
        "gcc -c a.c -o x.o",
        "gcc -O2 -c b.c -o x.o",
        "clang -c a.c -o x.o",
        "gcc -c c.i -o x.o",
    ] {
        stays(fill, words, why, "x.o");
    }
}

#[test]
fn assembler_text_shows_the_source() {
    let fill = |place: &Place| {
        place.write("a.c", "int f(int a)\n{\n  return a * 2;\n}\n");
        place.write("a.i", "# 1 \"a.c\"\nint f(int a)\n{\n  return a * 2;\n}\n");
    };
    let why = "-fverbose-asm shows lines of the source";
    for words in [
        "gcc -fverbose-asm -S a.c -o x.s",
        "gcc -fverbose-asm -S a.i -o x.s",
    ] {
        stays(fill, words, why, "x.s");
    }
    // Elsewhere there is nothing to be seen of it.
    let server = Distccd::start();
    for words in ["gcc -fverbose-asm -c a.c", "clang -fverbose-asm -S a.c"] {
        check_on(&server, fill, words, &[]);
    }
}

/// Puts something where the output goes.
type Old = fn(&Place);

/// What stands where the output goes.
const OLD: [(&str, Old); 11] = [
    ("nothing", |_| {}),
    ("a link to nothing", |place| link("t", place)),
    ("a link to an empty file", |place| {
        place.write("t", "");
        link("t", place);
    }),
    ("a link to a file", |place| {
        place.write("t", "old");
        link("t", place);
    }),
    ("a link to a link", |place| {
        place.write("t", "old");
        symlink("t", place.path("u")).unwrap();
        link("u", place);
    }),
    ("a link to a folder", |place| {
        place.write("t/file", "");
        link("t", place);
    }),
    ("a link to a device", |place| link("/dev/null", place)),
    ("a link to nowhere", |place| link("no/t", place)),
    ("a folder", |place| place.write("x/file", "")),
    ("an empty file", |place| rights("", place)),
    ("a file", |place| rights("old", place)),
];

fn link(target: &str, place: &Place) {
    symlink(target, place.path("x")).unwrap();
}

fn rights(content: &str, place: &Place) {
    place.write("x", content);
    fs::set_permissions(place.path("x"), fs::Permissions::from_mode(0o610)).unwrap();
}

/// Kind, rights and content of what a name leads to, and whether by a link.
fn seen(place: &Place, name: &str) -> Option<(bool, u32, Vec<u8>)> {
    let is_link = place.path(name).symlink_metadata().ok()?.is_symlink();
    let end = place.path(name).metadata().ok()?;
    let content = if end.is_file() {
        place.read(name)
    } else {
        Vec::new()
    };
    Some((is_link, end.permissions().mode(), content))
}

#[test]
fn what_stands_in_an_outputs_place_is_treated_as_the_compiler_does() {
    let server = Distccd::start();
    let host = format!("127.0.0.1:{}", server.port);
    for words in [
        "gcc -c a.c -o x",
        "gcc -S a.c -o x",
        "clang -c a.c -o x",
        "clang -S a.c -o x",
        "clang -fno-integrated-as -c a.c -o x",
    ] {
        for (what, fill) in OLD {
            let (place, reference) = (Place::new(), Place::new());
            fill(&place);
            fill(&reference);
            let local = reference.local(words);
            let outcome = run(&mut place.distcc(&host, words));
            assert_eq!(outcome.code, local.code, "{words}, {what}: {outcome:?}");
            assert_eq!(place.names(), reference.names(), "{words}, {what}");
            for name in ["x", "t"] {
                let (ours, theirs) = (seen(&place, name), seen(&reference, name));
                assert!(
                    ours == theirs,
                    "{words}, {what}: {name} {ours:?}\n{theirs:?}"
                );
            }
        }
    }
}

/// Runs `words` on the packaged server and without it: code, messages and files are the same.
#[track_caller]
fn check_on(server: &Distccd, fill: impl Fn(&Place), words: &str, variables: &[(&str, &str)]) {
    let (place, reference) = (Place::new(), Place::new());
    fill(&place);
    fill(&reference);
    let mut local = reference.command(words.split(' ').next().unwrap());
    let local = run(local
        .args(words.split(' ').skip(1))
        .envs(variables.iter().copied()));
    let mut distcc = place.distcc(&format!("127.0.0.1:{}", server.port), words);
    // A compile that fails there is an error with this, where one that belongs here runs all the same. The driver's messages
    // begin with its name.
    distcc
        .env("DISTCC_FALLBACK", "0")
        .env("DISTCC_NO_REWRITE_CROSS", "1")
        .envs(variables.iter().copied());
    let outcome = run(&mut distcc);
    assert_eq!(outcome.code, local.code, "{words}: {outcome:?}");
    let said = outcome.stderr.lines();
    let said: Vec<_> = said.filter(|line| !line.starts_with("distcc[")).collect();
    assert_eq!(said, local.stderr.lines().collect::<Vec<_>>(), "{words}");
    assert_eq!(place.names(), reference.names(), "{words}");
    let is_file = |name: &String| place.path(name).is_file();
    for name in place.names().into_iter().filter(is_file) {
        assert!(
            place.read(&name) == reference.read(&name),
            "{words}: {name}"
        );
    }
}

#[test]
fn a_source_is_in_the_language_that_is_said() {
    let server = Distccd::start();
    let fill = |place: &Place| {
        // Names in debug information and symbols are those that the text says. `linux` is a macro where there are macros.
        for name in ["name.i", "name.ii", "name.c"] {
            place.write(name, "# 1 \"n.c\"\nstruct s { int linux; } v;\n");
        }
        for name in ["macro.i", "macro.ii", "macro.c"] {
            place.write(name, "# 1 \"m.c\"\n#define X 1\nint x = X;\n");
        }
    };
    for words in [
        "gcc -c name.i",
        "g++ -c name.ii",
        "gcc -x c -c macro.i",
        "gcc -x c -MD -c macro.ii -o sub.o",
        "gcc -x c++ -c macro.ii",
        "gcc -x c++ -c macro.i",
        "gcc -x c++ -x cpp-output -c name.i",
        "gcc -c macro.c -o z.o -x c",
        "gcc -c macro.c -x c++ -o z.o",
        "clang -c macro.c -o z.o -x c",
        "clang++ -c macro.c",
        "clang++ -x c++ -c macro.c",
    ] {
        check_on(&server, fill, words, &[]);
    }
    for words in ["gcc -x c -c name.i", "gcc -x c++ -c name.ii"] {
        let (place, reference) = (Place::new(), Place::new());
        fill(&place);
        fill(&reference);
        let host = format!("127.0.0.1:{}", server.port);
        let outcome = run(&mut place.distcc(&host, words));
        outcome.assert_says(1, &reference.local(words).stderr);
    }
}

#[test]
fn a_variable_that_asks_for_dependencies_is_obeyed_as_by_the_compiler() {
    let server = Distccd::start();
    let fill = |place: &Place| {
        place.write("sub/a.c", "#include \"a.h\"\n");
        place.write("sub/a.h", "int a;\n");
        place.write("c.i", "# 1 \"c.c\"\nint c;\n");
        place.write("old", "b.o: b.c\n");
    };
    for words in [
        "gcc -c a.c -o z.o",
        "gcc -c sub/a.c -o z.o",
        "gcc -S sub/a.c",
        "gcc -MD -c sub/a.c -o z.o",
        "gcc -c c.i -o z.o",
        "clang -c sub/a.c -o z.o",
        "clang -c c.i -o z.o",
    ] {
        for value in ["deps", "old", "deps the target"] {
            let variables = [("DEPENDENCIES_OUTPUT", value)];
            check_on(&server, fill, words, &variables);
        }
    }
}
