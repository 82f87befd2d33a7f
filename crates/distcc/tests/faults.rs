//! Servers that misbehave: the compile still succeeds, says what was wrong, and leaves nothing.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use protocol::Version;
use support::{FakeServer, HELLO, Place, Port, answer, read_request, run, success};

const DISABLED: &str =
    "distcc[*] (dcc_build_somewhere) ERROR: failed to distribute and fallbacks are disabled";

fn instead(host: &str) -> String {
    format!("distcc[*] Warning: failed to distribute a.c to {host}, running locally instead")
}

/// Compiles against a broken server, with and without fallback. `fault` is what is said of it.
fn check(server: &FakeServer, fault: &str) {
    check_with_limit(server, fault, "100");
}

/// The same with a limit in seconds for silence.
fn check_with_limit(server: &FakeServer, fault: &str, limit: &str) {
    let host = server.host();
    let fault = format!("distcc[*] ERROR: {host}: {fault}");
    let place = Place::new();
    run(place
        .distcc(&host, "gcc -c a.c")
        .env("DISTCC_IO_TIMEOUT", limit))
    .assert(0, &[&fault, &instead(&host)]);
    assert_eq!(place.names(), ["a.c", "a.o"]);
    assert!(place.is_backed_off(server.port));
    assert_eq!(place.records(), 0);
    assert_eq!(server.connections(), 1);

    let place = Place::new();
    let mut forbidden = place.distcc(&host, "gcc -c a.c");
    run(forbidden
        .env("DISTCC_FALLBACK", "0")
        .env("DISTCC_IO_TIMEOUT", limit))
    .assert(116, &[&fault, DISABLED]);
    assert_eq!(place.names(), ["a.c"]);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_server_that_closes_before_answering() {
    const FAULT: &str = "server provided no answer. Is the server configured to allow access from \
        your IP address? Is the server performing authentication and your client isn't? Does the \
        server have the compiler installed? Is the server configured to access the compiler?";
    check(&FakeServer::answering(Vec::new()), FAULT);
}

#[test]
fn a_server_that_does_not_even_read() {
    let server = FakeServer::start(drop);
    let place = Place::new();
    run(&mut place.distcc(&server.host(), "gcc -c a.c")).assert_says(0, "provided no answer");
    assert!(place.exists("a.o"));
}

#[test]
fn a_server_that_is_none() {
    check(
        &FakeServer::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        "failed to parse parameter of token \"HTTP\": \"/1.1 400\" is not eight hexadecimal digits",
    );
    check(
        &FakeServer::answering(b"STAT00000000".to_vec()),
        "protocol derailment: expected token \"DONE\", got \"STAT\"",
    );
}

#[test]
fn a_server_that_falls_silent() {
    let stall = FakeServer::start(|mut connection| {
        let request = read_request(&mut connection);
        // Holds the connection until the client gives up.
        std::thread::spawn(move || {
            (
                request,
                std::io::copy(&mut connection, &mut std::io::sink()),
            )
        });
    });
    let start = Instant::now();
    check_with_limit(&stall, "IO timeout", "1");
    assert!(start.elapsed() > Duration::from_secs(2));
}

#[test]
fn a_server_that_does_not_read() {
    let stall = FakeServer::start(|connection| {
        // Held, and never read from, as long as the test program runs.
        std::thread::spawn(move || {
            loop {
                std::thread::park();
                let _ = &connection;
            }
        });
    });
    let place = Place::new();
    place.script("cc", "echo done >a.o");
    // Far more than the kernel takes for a reader who does not come.
    place.write("a.i", vec![b' '; 40 << 20]);
    run(place
        .distcc(&stall.host(), "./cc -c a.i -o a.o")
        .env("DISTCC_IO_TIMEOUT", "1"))
    .assert_says(0, &format!("{}: IO timeout", stall.host()));
    assert_eq!(place.text("a.o"), "done\n");
    assert!(place.is_backed_off(stall.port));
}

#[test]
fn an_answer_that_breaks_off() {
    let whole = success(Version::Plain, b"OBJECT");
    for length in [12, 30, whole.len() - 1] {
        let what = match length {
            12 => "the answer",
            30 => "the answer",
            _ => "the object file",
        };
        let part = whole[..length].to_vec();
        check(
            &FakeServer::answering(part),
            &format!("unexpected eof while reading {what}"),
        );
    }
}

#[test]
fn an_answer_in_another_protocol() {
    check(
        &FakeServer::answering(success(Version::Lzo, b"OBJECT")),
        "got version 2 not 1 in response from server",
    );
}

#[test]
fn an_answer_of_absurd_length() {
    check(
        &FakeServer::answering(b"DONE00000001STAT00000000SERRffffffff".to_vec()),
        "SERR of 4294967295 bytes is more than we take",
    );
}

#[test]
fn nobody_listens() {
    let dead = Port::keep();
    let host = format!("127.0.0.1:{}", dead.number);
    let refused =
        format!("distcc[*] ERROR: nonblocking connect to {host} failed: Connection refused");
    let place = Place::new();
    run(&mut place.distcc(&host, "gcc -c a.c")).assert(0, &[&refused, &instead(&host)]);
    assert_eq!(place.names(), ["a.c", "a.o"]);
    // Others are spared the attempt for a while.
    run(&mut place.distcc(&host, "gcc -c a.c")).assert(
        0,
        &["distcc[*] (dcc_build_somewhere) Warning: failed to distribute, running locally instead"],
    );
    let place = Place::new();
    run(place
        .distcc(&host, "gcc -c a.c")
        .env("DISTCC_FALLBACK", "0"))
    .assert(116, &[&refused, DISABLED]);
    assert!(!place.exists("a.o"));
}

#[test]
fn without_back_off_a_host_is_tried_once_per_compile() {
    let server = FakeServer::answering(Vec::new());
    let place = Place::new();
    for _ in 0..2 {
        let mut distcc = place.distcc(&server.host(), "gcc -c a.c");
        run(distcc.env("DISTCC_BACKOFF_PERIOD", "0")).assert_says(0, "running locally instead");
    }
    assert_eq!(server.connections(), 2);
    assert!(!place.is_backed_off(server.port));
}

#[test]
fn the_next_host_is_tried() {
    let broken = FakeServer::answering(Vec::new());
    let good = FakeServer::answering(success(Version::Lzo, b"OBJECT"));
    let place = Place::new();
    let hosts = format!("{} {},lzo", broken.host(), good.host());
    run(&mut place.distcc(&hosts, "gcc -c a.c")).assert_says(0, "provided no answer");
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert!(place.is_backed_off(broken.port));
    assert!(!place.is_backed_off(good.port));
}

#[test]
fn hosts_that_are_down_are_not_waited_for() {
    let place = Place::new();
    run(&mut place.distcc("127.0.0.1:1,down", "gcc -c a.c")).assert(
        0,
        &["distcc[*] (dcc_build_somewhere) Warning: failed to distribute, running locally instead"],
    );
}

#[test]
fn a_success_with_an_empty_object_is_none() {
    let server = FakeServer::answering(success(Version::Plain, b""));
    let host = server.host();
    let empty = format!("distcc[*] Warning: {host} sent an empty object");
    let place = Place::new();
    run(&mut place.distcc(&host, "gcc -c a.c")).assert(0, &[&empty, &instead(&host)]);
    assert!(!place.read("a.o").is_empty());
    assert_eq!(place.names(), ["a.c", "a.o"]);
    assert!(place.is_backed_off(server.port));

    // Where there is none here either, the host was right.
    let place = Place::new();
    place.script("cc", "case $* in *-E*) cat a.c;; esac");
    run(&mut place.distcc(&host, "./cc -c a.c")).assert(0, &[&empty, &instead(&host)]);
    assert_eq!(place.names(), ["a.c", "cc"]);
    assert!(!place.is_backed_off(server.port));

    let place = Place::new();
    run(place
        .distcc(&host, "gcc -c a.c")
        .env("DISTCC_FALLBACK", "0"))
    .assert(107, &[&empty, DISABLED]);
    assert_eq!(place.names(), ["a.c"]);
}

#[test]
fn what_the_compiler_said_is_passed_on_once() {
    let mut said = answer(Version::Plain, 0, "a warning\n", b"OBJECT");
    let sout = said.windows(4).position(|token| token == b"SOUT").unwrap();
    said.splice(sout..sout + 12, *b"SOUT00000004out\n");
    let place = Place::new();
    let outcome = run(&mut place.distcc(&FakeServer::answering(said).host(), "gcc -c a.c"));
    outcome.assert(0, &["a warning"]);
    assert_eq!(outcome.stdout, "out\n");
}

#[test]
fn failures_that_are_none_here_count_against_the_host_if_they_are_of_two_files() {
    let server = FakeServer::answering(answer(Version::Plain, 42 << 8, "no\n", b""));
    let host = server.host();
    let failed = format!("distcc[*] ERROR: compile a.c on {host} failed with exit code 42");
    let retrying = "distcc[*] (dcc_build_somewhere) Warning: remote compilation of 'a.c' failed, \
                    retrying locally";
    let differs = "distcc[*] (dcc_please_send_email_after_investigation) Warning: remote \
                   compilation of 'a.c' failed, retried locally and got a different result.";

    let place = Place::new();
    run(&mut place.distcc(&host, "gcc -c a.c"))
        .assert(0, &[&failed, retrying, &instead(&host), differs]);
    assert!(place.exists("a.o"));
    assert!(!place.is_backed_off(server.port));
    run(&mut place.distcc(&host, "gcc -c a.c"))
        .assert(0, &[&failed, retrying, &instead(&host), differs]);
    assert!(!place.is_backed_off(server.port));
    place.write("b.c", support::HELLO);
    run(&mut place.distcc(&host, "gcc -c b.c")).assert_says(0, "got a different result");
    assert!(place.is_backed_off(server.port));

    let place = Place::new();
    run(place
        .distcc(&host, "gcc -c a.c")
        .env("DISTCC_FALLBACK", "0"))
    .assert(42, &[&failed, retrying, DISABLED, "no"]);
    assert!(!place.exists("a.o"));

    let place = Place::new();
    run(place
        .distcc(&host, "gcc -c a.c")
        .env("DISTCC_SKIP_LOCAL_RETRY", ""))
    .assert(42, &[&failed, "no"]);
    assert!(!place.exists("a.o"));
}

#[test]
fn a_server_without_the_compiler_is_left_alone() {
    let server = FakeServer::answering(answer(Version::Plain, 110 << 8, "none\n", b""));
    let place = Place::new();
    run(&mut place.distcc(&server.host(), "gcc -c a.c"))
        .assert_says(0, "retried locally and got a different result");
    assert!(place.is_backed_off(server.port));
}

#[test]
fn a_compiler_that_died_there() {
    let server = FakeServer::answering(answer(Version::Plain, 0x8b, "oops\n", b""));
    let host = server.host();
    let died = format!("distcc[*] ERROR: compile a.c on {host}: Segmentation fault (core dumped)");
    let place = Place::new();
    run(&mut place.distcc(&host, "gcc -c a.c")).assert(0, &[&died, &instead(&host)]);
    assert!(place.exists("a.o"));
    assert!(place.is_backed_off(server.port));
    let place = Place::new();
    run(place
        .distcc(&host, "gcc -c a.c")
        .env("DISTCC_FALLBACK", "0"))
    .assert(139, &[&died, DISABLED, "oops"]);
}

#[test]
fn an_output_folder_that_is_missing_stays_missing() {
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let place = Place::new();
    let outcome = run(&mut place.distcc(&server.host(), "gcc -c a.c -o no/a.o"));
    let local = place.local("gcc -c a.c -o no/a.o");
    assert_eq!(outcome.code, local.code);
    outcome.assert_says(1, "can't create no/a.o: No such file or directory");
    assert!(!place.exists("no"));
    run(place
        .distcc(&server.host(), "gcc -c a.c -o no/a.o")
        .env("DISTCC_FALLBACK", "0"))
    .assert(
        107,
        &["distcc[*] ERROR: cannot write no/a.o: No such file or directory"],
    );
}

#[test]
fn a_source_that_cannot_be_preprocessed_is_nobodys_fault() {
    let server = FakeServer::start(|mut connection| {
        let error = read_request(&mut connection).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
    let host = server.host();
    let place = Place::new();
    place.write("e.c", "#error stop\n");
    let local = place.local("gcc -c e.c");
    let outcome = run(&mut place.distcc(&host, "gcc -c e.c"));
    assert_eq!(outcome.code, local.code);
    let (said, last) = outcome.stderr.split_at(local.stderr.len());
    assert_eq!(said, local.stderr);
    assert!(
        last.ends_with("ERROR: compile e.c on localhost failed\n"),
        "{last}"
    );
    assert!(!place.is_backed_off(server.port));

    let mut forbidden = place.distcc(&host, "gcc -c e.c");
    let outcome = run(forbidden.env("DISTCC_FALLBACK", "0"));
    outcome.assert_says(1, &format!("ERROR: compile e.c on {host} failed\n"));
    assert!(outcome.stderr.starts_with(&local.stderr));
}

#[test]
fn the_request_is_what_the_protocol_says() {
    for (options, version) in [("", Version::Plain), (",lzo", Version::Lzo)] {
        let (sender, requests) = std::sync::mpsc::channel();
        let server = FakeServer::start(move |mut connection| {
            sender.send(read_request(&mut connection).unwrap()).unwrap();
            connection.write_all(&success(version, b"OBJECT")).unwrap();
        });
        let place = Place::new();
        let host = format!("{}{options}", server.host());
        let words = "gcc -DX=1 -I. -Wall -c a.c -MD";
        run(place
            .distcc(&host, words)
            .env("DISTCC_NO_REWRITE_CROSS", ""))
        .assert(0, &[]);
        let request = requests.recv().unwrap();
        assert_eq!(request.head.version, version);
        assert_eq!(request.head.cwd, None);
        assert_eq!(
            request.head.argv,
            ["gcc", "-Wall", "-c", "a.c", "-o", "a.o"]
        );
        let text = String::from_utf8(request.source).unwrap();
        assert!(text.starts_with("# ") && text.ends_with(HELLO), "{text}");
        assert!(place.text("a.d").starts_with("a.o: a.c"));
    }
}
