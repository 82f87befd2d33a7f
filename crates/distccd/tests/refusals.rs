//! Commands that the server does not run.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::io::{Read, Write};

use protocol::Version;
use protocol::request::put_why;
use support::{Daemon, SCRIPTED_COMPILER, Setup, source_request};

/// What the log says about a command that is not answered, and a client is told that asks why.
fn check(server: &Daemon, argv: &[&str], expected: &str) {
    let request = source_request(Version::Plain, argv, b"echo > $out");
    let before = server.log().lines().count();
    assert_eq!(server.ask(Version::Plain, &request), None, "{argv:?}");
    support::wait_until("summary", || {
        let log = server.log();
        log.lines()
            .skip(before)
            .any(|line| line.contains("(dcc_job_summary)"))
    });
    let log = server.log();
    let said: Vec<&str> = log
        .lines()
        .skip(before)
        .filter(|line| line.contains("CRITICAL! ") || line.contains("Warning: "))
        .collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].ends_with(expected), "{said:#?}");
    let summary = log.lines().last().unwrap();
    assert!(
        summary.contains(" OTHER exit:0 sig:0 core:0 ret:"),
        "{summary}"
    );
    check_told(server, request, expected);
}

/// What a client is told that asks why it got no answer.
fn check_told(server: &Daemon, request: Vec<u8>, expected: &str) {
    let mut client = server.connect();
    let port = client.local_addr().unwrap().port();
    client.write_all(&request).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    drop(client);
    let ask = |port: u16| {
        let mut why = Vec::new();
        put_why(&mut why, port);
        let mut client = server.connect();
        client.write_all(&why).unwrap();
        let mut told = String::new();
        client.read_to_string(&mut told).unwrap();
        told
    };
    let told = ask(port);
    let length = format!("NOPE{:08x}", told.len() - 12);
    assert!(
        told.starts_with(&length) && told.ends_with(expected),
        "{told}"
    );
    // A connection that was not refused.
    assert_eq!(ask(1), "");
}

fn check_served(server: &Daemon, argv: &[&str]) {
    let request = source_request(Version::Plain, argv, b"echo > $out");
    assert_eq!(server.ask(Version::Plain, &request).unwrap().status, 0);
}

#[test]
fn only_compilers_with_a_link_run() {
    let setup = Setup::strict()
        .with_masquerade(&["mycc"])
        .script("mycc", SCRIPTED_COMPILER)
        .script("othercc", SCRIPTED_COMPILER);
    let folder = setup.file("prefix/lib/distcc");
    let absolute = setup.file("bin/mycc");
    let server = setup.start();
    check_served(&server, &["mycc", "-c", "a.c", "-o", "a.o"]);
    check_served(&server, &["/usr/bin/mycc", "-c", "a.c", "-o", "a.o"]);
    check(
        &server,
        &["othercc", "-c", "a.c", "-o", "a.o"],
        &format!(
            "othercc not in {} or /usr/lib/distcc whitelist.",
            folder.display()
        ),
    );
    let absolute = absolute.to_str().unwrap();
    check(
        &server,
        &[absolute, "-c", "a.c", "-o", "a.o"],
        &format!(
            "compiler name <{absolute}> cannot be an absolute path (or must set DISTCC_CMDLIST \
             or pass --enable-tcp-insecure)"
        ),
    );
}

#[test]
fn a_command_list_maps_and_allows() {
    let setup = Setup::strict().script("mycc", SCRIPTED_COMPILER);
    let list = setup.file("list");
    fs::write(&list, format!("{}\n", setup.file("bin/mycc").display())).unwrap();
    let server = setup.env("DISTCC_CMDLIST", &list).start();
    check_served(&server, &["/elsewhere/mycc", "-c", "a.c", "-o", "a.o"]);
    check(
        &server,
        &["gcc", "-c", "a.c", "-o", "a.o"],
        "lookup of gcc in DISTCC_CMDLIST failed",
    );
}

#[test]
fn an_unreadable_command_list_allows_nothing() {
    let server = Setup::insecure()
        .script("mycc", SCRIPTED_COMPILER)
        .env("DISTCC_CMDLIST", "/nowhere/list")
        .start();
    check(
        &server,
        &["mycc", "-c", "a.c", "-o", "a.o"],
        "lookup of mycc in DISTCC_CMDLIST failed",
    );
    let log = server.log();
    let text = "ERROR: stringmap_load(/nowhere/list, 1) failed: No such file or directory";
    assert!(log.contains(text), "{log}");
}

#[test]
fn commands_that_are_no_compile() {
    let server = Setup::insecure().script("mycc", SCRIPTED_COMPILER).start();
    for (argv, reason) in [
        (&["mycc", "a.o", "-o", "a"][..], ""),
        (&["mycc", "-c", "a.c", "b.c"], ""),
        (&["mycc", "-E", "a.c"], ""),
        (&["mycc", "-c", "a.s"], ""),
        (&["-c", "a.c"], "unrecognized distcc option: -c"),
        (&["", "-c", "a.c"], "unrecognized distcc option: "),
    ] {
        check(&server, argv, reason);
    }
}

#[test]
fn options_that_run_code_are_refused_even_where_any_program_may_run() {
    let server = Setup::insecure().script("mycc", SCRIPTED_COMPILER).start();
    for option in ["-fplugin=/x.so", "-fpass-plugin=/x.so", "-B/x"] {
        check(
            &server,
            &["mycc", option, "-c", "a.c", "-o", "a.o"],
            &format!("{option} is insecure and not supported"),
        );
    }
}

#[test]
fn compiles_whose_other_files_would_be_lost() {
    let server = Setup::insecure().script("mycc", SCRIPTED_COMPILER).start();
    for option in ["-gsplit-dwarf", "-save-temps", "-fstack-usage"] {
        check(
            &server,
            &["mycc", option, "-c", "a.c", "-o", "a.o"],
            &format!("{option} writes a file that the protocol cannot bring back"),
        );
    }
}
