//! Colours of servers' messages: where the compiler here would use them, and only there.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::fs;
use std::process::Command;

use support::{Distccd, Place, run};

/// What a compile with a warning writes to a terminal of this kind.
fn on_a_terminal(place: &Place, hosts: &str, words: &str, environment: &[(&str, &str)]) -> String {
    let mut script: Command = place.command("/usr/bin/script");
    script
        .args(["-qefc", words, "seen"])
        .env("SHELL", "/bin/sh")
        .env("DISTCC_HOSTS", hosts)
        .env("DISTCC_FALLBACK", "0")
        .envs(environment.iter().copied());
    let outcome = run(&mut script);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let seen = String::from_utf8_lossy(&fs::read(place.path("seen")).unwrap()).into_owned();
    // Between the lines that `script` writes itself.
    let from = seen
        .find("COMMAND=")
        .map_or(0, |_| seen.find('\n').unwrap() + 1);
    let to = seen.rfind("\nScript done").unwrap_or(seen.len());
    seen[from..to].trim().to_owned()
}

#[test]
fn a_terminal_shows_what_it_would_show_without_distcc() {
    let server = Distccd::start();
    let host = format!("127.0.0.1:{}", server.port);
    let place = Place::new();
    place.write("a.c", "int f(void) { int unused; return 1; }\n");
    let distcc = env!("CARGO_BIN_EXE_distcc");
    for compiler in [
        "gcc",
        "clang",
        "gcc -fno-diagnostics-color",
        "gcc -fdiagnostics-color",
    ] {
        let no_source = match compiler {
            "clang" => "-fno-caret-diagnostics",
            _ => "-fno-diagnostics-show-caret",
        };
        let words = format!("{compiler} -Wall {no_source} -c a.c -o a.o");
        let xterm: &[_] = &[("TERM", "xterm")];
        let plain: &[_] = &[("TERM", "xterm"), ("GCC_COLORS", "")];
        for environment in [xterm, &[("TERM", "dumb")], &[], plain] {
            // clang does not know the variable, and servers do not know this one's.
            if compiler != "gcc" && environment.len() == 2 {
                continue;
            }
            let here = on_a_terminal(&place, "", &words, environment);
            let there = format!("{distcc} {words}");
            let there = on_a_terminal(&place, &host, &there, environment);
            assert!(here.contains("unused"), "{here}");
            assert_eq!(there, here, "{compiler} {environment:?}");
        }
        let here = on_a_terminal(&place, "", &words, xterm);
        assert_eq!(
            here.contains('\x1b'),
            compiler != "gcc -fno-diagnostics-color",
            "{here}"
        );
    }
}

#[test]
fn what_is_no_terminal_gets_no_colours() {
    let server = Distccd::start();
    let host = format!("127.0.0.1:{}", server.port);
    let place = Place::new();
    place.write("a.c", "int f(void) { int unused; return 1; }\n");
    let mut distcc = place.distcc(&host, "gcc -Wall -c a.c");
    let outcome = run(distcc.env("TERM", "xterm"));
    assert!(outcome.stderr.contains("unused"), "{outcome:?}");
    assert!(!outcome.stderr.contains('\x1b'), "{outcome:?}");
}
