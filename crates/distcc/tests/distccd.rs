//! The packaged distccd 3.4 as our server.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use support::{Distccd, Place, run};

/// Runs `words` by distcc on `host` and without it: nothing that a user sees may differ.
/// `files` are what it writes.
fn check(host: &str, words: &str, files: &[&str]) {
    let place = Place::new();
    let fill = |place: &Place| {
        place.write("w.c", "int f(void) { int unused; return 1; }\n");
        place.write("sub/inc.h", "#define VALUE 7\n");
        place.write("i.c", "#include \"inc.h\"\nint f(void) { return VALUE; }\n");
        place.write("v.cc", "#include <vector>\nstd::vector<int> v{1, 2};\n");
        place.write("empty.c", "");
        place.write("p.i", "# 1 \"p.c\"\nint p(void) { return 1; }\n");
    };
    fill(&place);
    let remote = run(place.distcc(host, words).env("DISTCC_FALLBACK", "0"));
    let reference = Place::new();
    fill(&reference);
    let local = reference.local(words);
    assert_eq!(remote.code, local.code, "{words}: {remote:?}");
    assert_eq!(remote.stderr, local.stderr, "{words}");
    assert_eq!(remote.stdout, local.stdout, "{words}");
    assert_eq!(place.names(), reference.names(), "{words}");
    for file in files {
        assert_eq!(place.read(file), reference.read(file), "{words}: {file}");
    }
}

#[test]
fn compiles_are_what_they_are_here() {
    let server = Distccd::start();
    for options in ["", ",lzo"] {
        let host = format!("127.0.0.1:{}{options}", server.port);
        check(&host, "gcc -c a.c", &["a.o"]);
        check(&host, "gcc -O2 -c a.c -o sub/x.o", &["sub/x.o"]);
        check(&host, "gcc -c a.c -osub/x.o", &["sub/x.o"]);
        check(&host, "gcc -c empty.c", &["empty.o"]);
        check(&host, "gcc -c p.i", &["p.o"]);
        check(&host, "gcc -S a.c", &["a.s"]);
        check(&host, "g++ -c v.cc", &["v.o"]);
        check(
            &host,
            "gcc -Wall -fno-diagnostics-show-caret -c w.c",
            &["w.o"],
        );
        check(
            &host,
            "gcc -Isub -MD -c i.c -o sub/x.o",
            &["sub/x.o", "sub/x.d"],
        );
        check(&host, "gcc -Isub -MMD -MF d -MT t -c i.c", &["i.o", "d"]);
        check(&host, "gcc -Isub -Wp,-MD,d -c i.c", &["i.o", "d"]);
    }
}

#[test]
fn every_compile_was_sent() {
    let server = Distccd::start();
    let place = Place::new();
    let host = format!("127.0.0.1:{},lzo", server.port);
    for _ in 0..3 {
        run(&mut place.distcc(&host, "gcc -c a.c")).assert(0, &[]);
    }
    support::wait_until("the log", || {
        server.log().matches("COMPILE_OK").count() == 3
    });
    assert_eq!(place.records(), 0);
}

#[test]
fn a_compile_error_is_shown_as_it_is_here() {
    let server = Distccd::start();
    let host = format!("127.0.0.1:{}", server.port);
    let place = Place::new();
    place.write("bad.c", "int f(void) { return x; }\n");
    let local = place.local("gcc -c bad.c");
    let outcome = run(&mut place.distcc(&host, "gcc -c bad.c"));
    assert_eq!(outcome.code, local.code);
    assert_eq!(
        outcome.stderr.matches(&local.stderr).count(),
        1,
        "{outcome:?}"
    );
    assert!(!place.exists("bad.o"));
    // The compiler was right: nothing is held against the host.
    assert!(!place.is_backed_off(server.port));
}

#[test]
fn a_compiler_that_the_server_lacks() {
    let server = Distccd::start();
    let place = Place::new();
    place.script("bin/mycc", "exec gcc \"$@\"");
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    let host = format!("127.0.0.1:{}", server.port);
    let mut distcc = place.distcc(&host, "mycc -c a.c");
    run(distcc.env("PATH", path)).assert_says(0, "failed with exit code 110");
    assert!(place.exists("a.o"));
}

#[test]
fn over_ssh() {
    let place = Place::new();
    place.script(
        "ssh",
        "echo \"$@\" >>calls\nexec /usr/bin/distccd --inetd --enable-tcp-insecure --log-file /dev/null",
    );
    let mut distcc = place.distcc("u@h:/opt/distccd,lzo @other", "gcc -c a.c");
    distcc.env("DISTCC_FALLBACK", "0");
    distcc.env("DISTCC_SSH", "./ssh -p 22");
    run(&mut distcc).assert(0, &[]);
    assert_eq!(
        place.text("calls"),
        "-p 22 -l u h /opt/distccd --inetd --enable-tcp-insecure\n"
    );
    let reference = Place::new();
    reference.local("gcc -c a.c");
    assert_eq!(place.read("a.o"), reference.read("a.o"));
}

#[test]
fn an_ssh_that_does_not_end_is_not_waited_for() {
    let place = Place::new();
    place.script(
        "ssh",
        "/usr/bin/distccd --inetd --enable-tcp-insecure --log-file /dev/null; \
         exec sleep 100000 >/dev/null 2>&1",
    );
    let mut distcc = place.distcc("@h", "gcc -c a.c");
    distcc.env("DISTCC_FALLBACK", "0");
    run(distcc.env("DISTCC_SSH", "./ssh")).assert(0, &[]);
    assert!(place.exists("a.o"));
}

#[test]
fn an_ssh_that_falls_silent_is_ended_with_what_it_has_started() {
    let place = Place::new();
    place.script(
        "ssh",
        "sh -c 'sh -c \"echo \\$\\$ >part; exec sleep 100000\"; echo on >went'; echo on >went",
    );
    let mut distcc = place.distcc("@h", "gcc -c a.c");
    distcc.env("DISTCC_SSH", "./ssh");
    run(distcc.env("DISTCC_IO_TIMEOUT", "1")).assert_says(0, "running locally instead");
    let part = format!("/proc/{}/cmdline", place.text("part").trim());
    // Nobody may have waited for it.
    let is_there = || std::fs::read(&part).is_ok_and(|words| !words.is_empty());
    support::wait_until("the end of a part of ssh", || !is_there());
    assert!(!place.exists("went"));
}

#[test]
fn an_ssh_that_fails() {
    let place = Place::new();
    place.script("ssh", "echo no route >&2; exit 255");
    let mut distcc = place.distcc("@h", "gcc -c a.c");
    let outcome = run(distcc.env("DISTCC_SSH", "./ssh"));
    outcome.assert_says(0, "@h: server provided no answer");
    assert!(outcome.stderr.contains("no route\n"), "{outcome:?}");
    assert!(place.exists("a.o"));
}
