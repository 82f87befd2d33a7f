//! What is known to go wrong with distccd 3.4, one test for each entry that no other test is about.
//! `docs/known-limits.md` has all of them.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::io::{Read, Write};
use std::process::Stdio;

use protocol::Version;
use support::{Entry, Reply, SCRIPTED_COMPILER, Setup, source_request, tree_request};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];

fn setup() -> Setup {
    Setup::insecure().script("cc", SCRIPTED_COMPILER)
}

fn request(script: &str) -> Vec<u8> {
    source_request(Version::Plain, &ARGV, script.as_bytes())
}

#[test]
fn b06_silent_clients_take_no_job_slot() {
    let server = setup().arg("--jobs=2").start();
    let silent: Vec<_> = (0..4)
        .map(|_| {
            let mut client = server.connect();
            client.write_all(b"DIST").unwrap();
            client
        })
        .collect();
    assert!(
        server
            .ask(Version::Plain, &request("echo > $out"))
            .is_some()
    );
    drop(silent);
}

#[test]
fn b08_no_request_ends_the_server() {
    let mut server = setup().arg("--jobs=1").start();
    for argv in [&["-c", "a.c"][..], &["--help"], &["", "-c", "a.c"]] {
        let request = source_request(Version::Plain, argv, b"");
        assert_eq!(server.ask(Version::Plain, &request), None);
    }
    assert_eq!(
        server.ask(Version::Plain, b"DIST00000001ARGC00000000"),
        None
    );
    assert!(
        server
            .ask(Version::Plain, &request("echo > $out"))
            .is_some()
    );
    assert!(server.child.try_wait().unwrap().is_none());
}

#[test]
fn b20_dependency_files_have_lines_of_any_length() {
    let server = setup().start();
    let line = "x".repeat(100_000);
    let script = format!("echo 'a.o: {line}' > $deps; echo > $out");
    let argv = ["cc", "-MD", "-c", "a.c", "-o", "a.o"];
    let request = tree_request("/c", &argv, &[Entry::File("/c/a.c", &script)]);
    let reply = server.ask(Version::Pump, &request).unwrap();
    assert_eq!(reply.dependencies.unwrap(), format!("a.o: {line}\n"));
}

#[test]
fn c01_an_answer_is_one_write() {
    let server = setup().start();
    let mut client = server.connect();
    let script = "echo said; echo warned >&2; head -c 10000 /dev/zero > $out";
    client.write_all(&request(script)).unwrap();
    let mut answer = vec![0; 100_000];
    // What one write sends over the loopback arrives as one piece.
    let length = client.read(&mut answer).unwrap();
    let reply = Reply::read(&mut &answer[..length], Version::Plain).unwrap();
    assert_eq!(
        (&reply.stdout[..], &reply.stderr[..]),
        ("said\n", "warned\n")
    );
    assert_eq!(reply.object.len(), 10_000);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn c12_connections_start_no_process_but_the_compiler() {
    let server = setup().start();
    let pid = server.child.id();
    let children = || {
        let list = format!("/proc/{pid}/task/{pid}/children");
        std::fs::read_to_string(list)
            .unwrap()
            .split_whitespace()
            .count()
    };
    assert!(
        server
            .ask(Version::Plain, &request("echo > $out"))
            .is_some()
    );
    // The sandbox's helper, which starts compilers, or nobody where there is no sandbox.
    let before = children();
    assert!(before <= 1);
    for _ in 0..60 {
        assert!(
            server
                .ask(Version::Plain, &request("echo > $out"))
                .is_some()
        );
    }
    assert_eq!(children(), before);
}

/// The client's ssh command says `--enable-tcp-insecure`, because ssh has checked who it is.
#[test]
fn d05_jobs_over_ssh_run_in_the_sandbox() {
    let setup = Setup::bare().script("cc", SCRIPTED_COMPILER);
    let path = format!("{}:/usr/bin:/bin", setup.file("bin").display());
    let setup = setup.env("DISTCCD_PATH", path).arg("--sandbox=required");
    let log = setup.file("log");
    let setup = setup
        .log_to(&log)
        .arg("--inetd")
        .arg("--enable-tcp-insecure");
    let mut command = setup.command();
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut to = child.stdin.take().unwrap();
    to.write_all(&request("cat /etc/passwd; echo > $out"))
        .unwrap();
    let reply = Reply::read(child.stdout.as_mut().unwrap(), Version::Plain).unwrap();
    assert_eq!((&reply.stdout[..], &reply.object[..]), ("", &b"\n"[..]));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
