//! What scripts and people look for in messages: both clients say it in the same situation.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::fs;
use std::io::Write;

use support::{FakeServer, Outcome, Place, Port, answer, read_request, run};

const PACKAGED: &str = "/usr/bin/distcc";
const OURS: &str = env!("CARGO_BIN_EXE_distcc");

/// A server that answers each request with this status.
fn server(status: u32) -> FakeServer {
    FakeServer::start(move |mut connection| {
        if let Ok(request) = read_request(&mut connection) {
            let bytes = answer(request.head.version, status, "", b"OBJECT");
            let _ = connection.write_all(&bytes); // Nobody may wait for it any more.
        }
    })
}

fn said(program: &str, hosts: &str, words: &str, environment: &[(&str, &str)]) -> Outcome {
    let place = Place::new();
    // 3.4 does not make it.
    fs::create_dir(place.path("state-dir")).unwrap();
    place.write("a.i", support::HELLO);
    let mut command = place.command(program);
    command
        .env("DISTCC_HOSTS", hosts)
        .envs(environment.iter().copied())
        .args(words.split(' '));
    run(&mut command)
}

/// Both say all of `due`, where `@` is the host as it was given.
fn check(status: u32, options: &str, words: &str, environment: &[(&str, &str)], due: &[&str]) {
    assert!(!due.is_empty(), "{words}");
    for program in [PACKAGED, OURS] {
        let server = server(status);
        let host = format!("{}{options}", server.host());
        let outcome = said(program, &host, words, environment);
        for text in due {
            let text = text.replace('@', &host);
            assert!(
                outcome.stderr.contains(&text),
                "{program} {words} {environment:?}: {text:?} is not in {outcome:?}"
            );
        }
    }
}

const VERBOSE: (&str, &str) = ("DISTCC_VERBOSE", "1");

#[test]
fn a_compile_that_goes_well_is_told_on_request() {
    let due = [
        "] exec on @: x86_64-linux-gnu-gcc -c a.c -o a.o\n",
        "send DIST00000001\n",
        "compile a.c on @ completed ok\n",
        " bytes from a.c compiled on 127.0.0.1 in ",
        "s, rate ",
        "kB/s\n",
        "elapsed compilation time ",
        "exit: code 0; self: ",
        " user ",
        " sys; children: ",
        "Re-writing call to 'gcc' to 'x86_64-linux-gnu-gcc' to support cross-compilation.\n",
    ];
    check(0, "", "gcc -c a.c", &[VERBOSE], &due);
    check(
        0,
        ",lzo",
        "gcc -c a.c",
        &[VERBOSE],
        &["send DIST00000002\n"],
    );
    let due = ["Adding '-target x86_64-pc-linux-gnu' to support clang cross-compilation.\n"];
    check(0, "", "clang -c a.c", &[VERBOSE], &due);
}

#[test]
fn what_keeps_pump_mode_away_is_told() {
    let also = "failed to get includes from include server, preprocessing locally\n";
    let pump = |words, environment: &[(&str, &str)], due: &[&str]| {
        check(0, ",lzo,cpp", words, environment, due);
    };
    let due = "Warning: INCLUDE_SERVER_PORT not set - did you forget to run under ";
    pump("gcc -c a.c", &[], &[due, also]);
    let long = format!("/{}", "x".repeat(107));
    let due = "Warning: $INCLUDE_SERVER_PORT is longer than 107 characters\n";
    pump(
        "gcc -c a.c",
        &[("INCLUDE_SERVER_PORT", &long)],
        &[due, also],
    );
    let due =
        "ERROR: failed to connect to UNIX-DOMAIN /nowhere/socket: No such file or directory\n";
    let nowhere = ("INCLUDE_SERVER_PORT", "/nowhere/socket");
    pump("gcc -c a.c", &[nowhere], &[due, also]);
    let due = "Warning: INCLUDE_SERVER_STUB is set to '/1/2/3/a.c.lzo'; ignoring include server\n";
    pump(
        "gcc -c a.c",
        &[("INCLUDE_SERVER_STUB", "/1/2/3/a.c.lzo")],
        &[due],
    );
    let due = "cannot use distcc_pump on already preprocessed file (such as emitted by ccache)\n";
    pump("gcc -c a.i", &[nowhere], &[due]);
    let due = "cannot use distcc_pump with any of environment variables CPATH, C_INCLUDE_PATH or \
               CPLUS_INCLUDE_PATH set, preprocessing locally\n";
    for name in ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"] {
        pump("gcc -c a.c", &[nowhere, (name, "")], &[due]);
    }
}

#[test]
fn failures_of_servers_are_told() {
    let differs = [
        "ERROR: compile a.c on @ failed",
        "Warning: remote compilation of 'a.c' failed, retrying locally\n",
        "Warning: failed to distribute a.c to @, running locally instead\n",
        "Warning: remote compilation of 'a.c' failed, retried locally and got a different result.\n",
    ];
    check(1 << 8, "", "gcc -c a.c", &[], &differs);
    let due = ["ERROR: compile a.c on @: Segmentation fault"];
    check(11, "", "gcc -c a.c", &[], &due);
    check(11 | 128, "", "gcc -c a.c", &[], &["(core dumped)"]);
    for program in [PACKAGED, OURS] {
        let dead = Port::keep();
        let host = format!("127.0.0.1:{}", dead.number);
        let alone = said(program, &host, "gcc -c a.c", &[("DISTCC_FALLBACK", "0")]);
        alone.assert_says(116, "failed to distribute and fallbacks are disabled");
        alone.assert_says(116, &format!("nonblocking connect to {host} failed"));
        let alone = said(program, "localhost", "false -c a.i", &[]);
        alone.assert_says(1, "ERROR: compile a.i on localhost failed");
        let alone = said(program, "localhost", "no-such-compiler -c a.i", &[]);
        alone.assert_says(
            110,
            "failed to exec no-such-compiler: No such file or directory",
        );
        let alone = said(program, " ", "gcc -c a.c", &[]);
        alone.assert_says(
            0,
            "Warning: $DISTCC_HOSTS contained no hosts; can't distribute work",
        );
    }
}
