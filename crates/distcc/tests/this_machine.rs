//! `-march=native` and `-mtune=native`: compiled elsewhere, for this machine.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::fs;

use protocol::Version;
use support::{Distccd, FakeServer, Place, run, success};

/// A loop that each processor has its own instructions for. No macro, whose columns in
/// debug information would get lost on the way.
const LOOP: &str = "int sum(const int *a, int n) {\n\
    int s = 0;\n\
    for (int i = 0; i < n; i++) s += a[i] * i;\n\
    return s;\n}\n";

/// Compiles for this machine by itself and through a packaged server. The object has to be the
/// same; gives whether the server made it.
fn compiled_there(server: &Distccd, compiler: &str, options: &str) -> bool {
    let place = Place::new();
    place.write("loop.c", LOOP);
    let words = format!("{compiler} -O3 {options} -c loop.c -o loop.o");
    let local = place.local(&words);
    assert_eq!(local.code, 0, "{local:?}");
    let due = place.read("loop.o");
    fs::remove_file(place.path("loop.o")).unwrap();
    let mut distcc = place.distcc(&format!("127.0.0.1:{}", server.port), &words);
    let remote = run(distcc
        .env("DISTCC_FALLBACK", "0")
        .env("DISTCC_VERBOSE", "1"));
    assert_eq!(remote.code, 0, "{remote:?}");
    assert!(place.read("loop.o") == due, "{words}: {}", remote.stderr);
    remote.stderr.contains("] ran on ")
}

#[test]
fn objects_are_those_that_are_made_here() {
    let server = Distccd::start();
    for compiler in ["gcc", "g++", "clang"] {
        for options in [
            "-march=native",
            "-mtune=native",
            "-march=native -mtune=native",
            "-mtune=generic -march=native",
            "-march=x86-64-v2 -mtune=native",
            "-mno-sse4.2 -march=native -mno-avx2",
            "-march=native -g0 -fPIC",
        ] {
            let there = compiled_there(&server, compiler, options);
            assert!(there, "{compiler} {options} stays here");
        }
    }
    // Whether this one goes is up to what gcc knows of the processor.
    compiled_there(&server, "gcc", "-march=native -g");
}

#[test]
fn what_a_compiler_said_is_kept() {
    let place = Place::new();
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let compile = || {
        let mut distcc = place.distcc(&server.host(), "gcc -march=native -c a.c");
        let outcome = run(distcc.env("DISTCC_VERBOSE", "1"));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.stderr
    };
    assert!(compile().contains("-march="));
    let folder = place.path("home/.cache/pumpcc");
    let kept: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    let [kept] = kept.as_slice() else {
        panic!("one answer is due: {kept:?}");
    };
    // Whoever reads it again finds another word for the machine.
    let text = fs::read_to_string(kept.path()).unwrap();
    let (basis, words) = text.rsplit_once("-march=").unwrap();
    let changed = format!("{basis}-DKEPT\n-march={words}");
    fs::write(kept.path(), changed).unwrap();
    assert!(compile().contains("-DKEPT"));
    // Of another state of the compiler, it says nothing.
    fs::write(kept.path(), text.replacen(' ', "0 ", 1)).unwrap();
    assert!(!compile().contains("-DKEPT"));
}

#[test]
fn a_compiler_that_does_not_say_what_it_means_compiles_here() {
    let place = Place::new();
    place.script(
        "my-gcc",
        "for word; do [ \"$word\" = -### ] && exit; done; exec gcc \"$@\"",
    );
    let server = FakeServer::start(drop);
    for (words, why) in [
        (
            "./my-gcc -march=native -c a.c",
            "does not say which processor it means",
        ),
        (
            "gcc -mcpu=native -w -c a.c",
            "-mcpu=native belongs to this machine",
        ),
        (
            "gcc -march=native a.c -o a",
            "apparently called not for compile",
        ),
    ] {
        let mut distcc = place.distcc(&server.host(), words);
        run(distcc.env("DISTCC_VERBOSE", "1")).assert_says(0, why);
    }
    assert_eq!(server.connections(), 0);
    // A launcher says what its compiler means, but that is not kept: it may call another one.
    place.script("my-gcc", "exec gcc \"$@\"");
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let mut distcc = place.distcc(&server.host(), "./my-gcc -march=native -c a.c");
    assert_eq!(run(&mut distcc).code, 0);
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert!(!place.exists("home/.cache/pumpcc"));
}
