//! Why a command ran where it ran: one line, whatever happens, and one record for `pump`.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::process::Command;

use protocol::Version;
use support::{FakeServer, Place, Port, answer, run, success};

/// The lines that say where a command ran.
fn verdicts(stderr: &str) -> Vec<String> {
    let says = |text: &str| {
        ["running locally: ", "ran on ", "ran nowhere: "]
            .iter()
            .any(|start| text.starts_with(start))
    };
    stderr
        .lines()
        .filter_map(|line| line.split_once("] "))
        .filter(|(_, text)| says(text))
        .map(|(_, text)| text.to_owned())
        .collect()
}

/// Runs a command below a `pump`; gives what is said of where it ran, and what `pump` reads.
fn told(place: &Place, distcc: &mut Command) -> (Vec<String>, String) {
    place.write("session/commands", "");
    distcc
        .env("DISTCC_VERBOSE", "1")
        .env("INCLUDE_SERVER_PORT", place.path("session/socket"));
    let outcome = run(distcc);
    (verdicts(&outcome.stderr), place.text("session/commands"))
}

fn check(mut distcc: Command, place: &Place, verdict: &str, record: &str) {
    let (verdicts, records) = told(place, &mut distcc);
    assert_eq!(verdicts, [verdict]);
    let expected = match record {
        "" => String::new(),
        record => format!("{record}\n"),
    };
    assert_eq!(records, expected);
}

#[test]
fn commands_that_belong_here() {
    let place = Place::new();
    place.write("b.c", support::HELLO);
    place.write("b.i", "# 0 \"b.c\"\nint b;\n");
    for (words, why) in [
        ("gcc -g -c b.i", "-g means something else on servers"),
        (
            "gcc -x cpp-output -c b.c",
            "-x means something else on servers",
        ),
        ("gcc -E a.c", "called to preprocess only"),
        ("gcc --version", "apparently called not for compile"),
        ("gcc -c a.c b.c", "two input files"),
        (
            "gcc -save-temps -c a.c",
            "-save-temps writes a file that servers do not send back",
        ),
    ] {
        check(
            place.distcc("127.0.0.1:1", words),
            &place,
            &format!("running locally: {why}"),
            &format!("here 0 0 0 {why}"),
        );
    }
}

#[test]
fn variables_that_only_a_compiler_here_sees() {
    let place = Place::new();
    place.write("a.c", support::HELLO);
    let mut distcc = place.distcc("127.0.0.1:1", "gcc -c a.c");
    distcc.env("SUNPRO_DEPENDENCIES", place.path("deps"));
    let why = "the variable SUNPRO_DEPENDENCIES is set";
    let (here, record) = (
        format!("running locally: {why}"),
        format!("here 0 0 0 {why}"),
    );
    check(distcc, &place, &here, &record);
    // It names headers, those of the system too.
    assert!(place.text("deps").starts_with("a.o: /usr/include/"));
}

#[test]
fn hosts_that_do_not_help() {
    let place = Place::new();
    let local = |hosts: &str, why: &str, failed: u32| {
        check(
            place.distcc(hosts, "gcc -c a.c"),
            &place,
            &format!("running locally: {why}"),
            &format!("here {failed} 0 0 {why}"),
        );
    };
    local("", "there is no host list", 0);
    local("a:x", "there is no host list", 0);
    local("localhost", "the host list says so", 0);
    let nobody = "all hosts are down or have failed lately";
    local("127.0.0.1:1,down", nobody, 0);
    let kept = Port::keep();
    let dead = format!("127.0.0.1:{}/7", kept.number);
    let port = &dead[..dead.len() - 2];
    let refused = format!("{dead}: nonblocking connect to {port} failed: Connection refused");
    local(&dead, &refused, 1);
    local(&dead, nobody, 0);
    let closing = FakeServer::answering(Vec::new());
    let silent = format!("{}: server provided no answer", closing.host());
    local(&closing.host(), &silent, 1);
    // A server of ours says why. It may do other commands, so it is asked again.
    let refusing = FakeServer::refusing(b"NOPE0000000fcc: not this\x1b one");
    let reason = format!("{}: server refused: cc: not this? o", refusing.host());
    local(&refusing.host(), &reason, 1);
    local(&refusing.host(), &reason, 1);
    let empty = FakeServer::answering(success(Version::Plain, b""));
    let made_nothing = format!("{} sent an empty object", empty.host());
    local(&empty.host(), &made_nothing, 0);
    let said = "distccd[7] (dcc_execvp) ERROR: failed to exec gcc: No such file or directory\n";
    let missing = FakeServer::answering(answer(Version::Plain, 110 << 8, said, b""));
    let reason = "server refused: failed to exec gcc: No such file or directory";
    local(&missing.host(), &format!("{}: {reason}", missing.host()), 0);
    let failing = FakeServer::answering(answer(Version::Plain, 42 << 8, "no\n", b""));
    let failed = format!("compile on {} failed with exit code 42", failing.host());
    local(&failing.host(), &failed, 0);
}

#[test]
fn hosts_that_help() {
    let place = Place::new();
    let plain = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let address = plain.host();
    let (verdicts, records) = told(&place, &mut place.distcc(&address, "gcc -c a.c"));
    let verdict = format!("ran on {address}: its slot 0 was the first free one; preprocessed here");
    assert_eq!(verdicts, [verdict]);
    // DONE, STAT, SERR, SOUT and DOTO have 12 bytes each.
    let words: Vec<&str> = records.split_whitespace().collect();
    assert_eq!(words[..2], ["plain", "0"]);
    assert!(words[2].parse::<u64>().unwrap() > 100, "{records}");
    assert_eq!(words[3..], ["66", &address]);

    let place = Place::new();
    let dead = Port::keep();
    let hosts = format!("127.0.0.1:{} {address}/3", dead.number);
    let (verdicts, records) = told(&place, &mut place.distcc(&hosts, "gcc -c a.c"));
    let verdict = format!(
        "ran on {address}/3: its slot 0 was the first free one, after 1 that failed; \
         preprocessed here"
    );
    assert_eq!(verdicts, [verdict]);
    assert!(records.starts_with("plain 1 "), "{records}");
}

#[test]
fn where_falling_back_is_forbidden() {
    let place = Place::new();
    let nowhere = |hosts: &str, words: &str, why: &str| {
        let mut distcc = place.distcc(hosts, words);
        distcc.env("DISTCC_FALLBACK", "0");
        let verdict = format!("ran nowhere: {why}, and fallbacks are disabled");
        check(distcc, &place, &verdict, "");
    };
    nowhere("", "gcc -c a.c", "there is no host list");
    let empty = FakeServer::answering(success(Version::Plain, b""));
    let made_nothing = format!("{} sent an empty object", empty.host());
    nowhere(&empty.host(), "gcc -c a.c", &made_nothing);
    place.write("e.c", "#error stop\n");
    nowhere(&empty.host(), "gcc -c e.c", "the preprocessor failed");
    // A failure that stands is the host's result.
    let failing = FakeServer::answering(answer(Version::Plain, 0x100, "no\n", b""));
    let mut distcc = place.distcc(&failing.host(), "gcc -c a.c");
    let (verdicts, _) = told(&place, distcc.env("DISTCC_FALLBACK", "0"));
    assert_eq!(verdicts.len(), 1);
    assert!(verdicts[0].starts_with("ran on "), "{verdicts:?}");
}

#[test]
fn without_a_pump_that_wants_them_there_are_no_records() {
    let place = Place::new();
    place.write("session/other", "");
    let mut distcc = place.distcc("localhost", "gcc -c a.c");
    run(distcc.env("INCLUDE_SERVER_PORT", place.path("session/socket"))).assert(0, &[]);
    assert!(!place.exists("session/commands"));
}
