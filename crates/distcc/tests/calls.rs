//! How `distcc` is called, and what it runs where it was called.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::os::unix::fs::symlink;

use protocol::Version;
use support::{FakeServer, Place, run, success};

#[test]
fn version_and_help() {
    let place = Place::new();
    let version = run(&mut place.distcc("", "--version"));
    version.assert(0, &[]);
    let lines: Vec<&str> = version.stdout.lines().collect();
    assert!(lines[0].starts_with("distcc 3.4-pumpcc-"), "{}", lines[0]);
    assert_eq!(lines[1], "  (protocols 1, 2 and 3) (default port 3632)");
    let help = run(&mut place.distcc("", "--help"));
    assert!(help.stdout.starts_with(&version.stdout));
    assert!(help.stdout.contains("\nUsage:\n"));
}

#[test]
fn hosts_as_they_are_written() {
    let place = Place::new();
    let hosts = "a,lzo  localhost/3 # no b\nu@c:/x/y,lzo,down";
    let shown = run(&mut place.distcc(hosts, "--show-hosts"));
    assert_eq!(shown.stdout, "a,lzo\nlocalhost/3\nu@c:/x/y,lzo,down\n");
    let slots = run(&mut place.distcc(hosts, "-j"));
    assert_eq!(slots.stdout, "11\n");
}

#[test]
fn hosts_from_the_users_file() {
    let place = Place::new();
    place.write("state-dir/hosts", "from-the-file\n");
    let mut distcc = place.distcc("", "--show-hosts");
    let shown = run(distcc.env_remove("DISTCC_HOSTS"));
    assert_eq!(shown.stdout, "from-the-file\n");
}

#[test]
fn a_bad_list_is_no_failure_when_shown() {
    let place = Place::new();
    run(&mut place.distcc("a:x", "-j")).assert(
        0,
        &[
            "distcc[*] (dcc_parse_hosts) ERROR: invalid tcp port specification in \"x\"",
            "distcc[*] (dcc_concurrency_level) CRITICAL! Failed to get host list",
        ],
    );
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line() {
    let place = Place::new();
    place.write(
        "state-dir/hosts",
        "good\n# a:x\n --localslots=x bad:x y\nz\n",
    );
    let file = place.path("state-dir/hosts");
    let file = file.display();
    let mut distcc = place.distcc("", "--show-hosts");
    let shown = run(distcc.env_remove("DISTCC_HOSTS"));
    let error = "invalid tcp port specification in \"x y";
    shown.assert_says(0, &format!("{file}:3: {error}"));

    // One that is got over.
    place.write("state-dir/hosts", "good\n\n--localslots_cpp=x\n");
    let shown = run(&mut distcc);
    assert_eq!(shown.stdout, "good\n");
    shown.assert_says(0, &format!("{file}:3: bad multiplier"));
}

#[test]
fn a_bad_number_of_local_slots_is_named_and_passed_over() {
    let place = Place::new();
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let hosts = format!("--localslots_cpp=x {}", server.host());
    run(&mut place.distcc(&hosts, "gcc -c a.c")).assert(
        0,
        &[&format!(
            "distcc[*] (dcc_parse_hosts) ERROR: bad multiplier \"=x {}\" in host specification",
            server.host()
        )],
    );
    assert_eq!(place.read("a.o"), b"OBJECT");
}

#[test]
fn an_empty_list_means_here() {
    let place = Place::new();
    run(&mut place.distcc("", "gcc -c a.c")).assert(
        0,
        &[
            "distcc[*] (dcc_parse_hosts) Warning: $DISTCC_HOSTS contained no hosts; can't \
             distribute work",
            "distcc[*] (dcc_build_somewhere) Warning: failed to distribute, running locally \
             instead",
        ],
    );
    assert!(place.exists("a.o"));
}

#[test]
fn calls_that_lack_something() {
    let place = Place::new();
    let name = env!("CARGO_BIN_EXE_distcc");
    let hint = format!("Try `{name} --help' for more information.");
    run(&mut place.command(name)).assert(101, &[&format!("{name}: missing option/operand"), &hint]);
    run(&mut place.distcc("", "--scan-includes"))
        .assert(101, &[&format!("{name}: missing operand"), &hint]);
}

#[test]
fn without_a_compiler_it_is_cc() {
    let place = Place::new();
    run(&mut place.distcc("localhost", "-c a.c")).assert(0, &[]);
    assert!(place.exists("a.o"));
}

#[test]
fn links_run_here_and_say_why() {
    let place = Place::new();
    let server = FakeServer::start(drop);
    run(&mut place.distcc(&server.host(), "gcc a.c -o a")).assert(0, &[]);
    assert_eq!(server.connections(), 0);
    run(place
        .distcc(&server.host(), "gcc -save-temps -c a.c")
        .env("DISTCC_VERBOSE", "1"))
    .assert_says(0, "running locally: -save-temps writes a file");
    assert!(place.exists("a.s"));
    assert_eq!(server.connections(), 0);
}

#[test]
fn exit_codes_of_local_commands_are_theirs() {
    let place = Place::new();
    place.script("fails", "exit 42");
    place.script("dies", "kill -9 $$");
    run(&mut place.distcc("localhost", "./fails x")).assert(
        42,
        &["distcc[*] ERROR: compile (null) on localhost failed with exit code 42"],
    );
    run(&mut place.distcc("localhost", "./fails -flto a.c -o a")).assert(
        42,
        &["distcc[*] ERROR: compile a.c on localhost failed with exit code 42"],
    );
    run(&mut place.distcc("localhost", "./dies -c a.c"))
        .assert(137, &["distcc[*] ERROR: compile a.c on localhost: Killed"]);
    run(&mut place.distcc("localhost", "./none -c a.c")).assert(
        110,
        &[
            "distcc[*] (dcc_execvp) ERROR: failed to exec ./none: No such file or directory",
            "distcc[*] ERROR: compile a.c on localhost failed with exit code 110",
        ],
    );
}

#[test]
fn a_response_file_is_read_by_us_and_by_the_compiler() {
    let place = Place::new();
    place.write("words", "-c 'a b.c'\n-o \"a b.o\"");
    place.write("a b.c", support::HELLO);
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    run(&mut place.distcc(&server.host(), "gcc @words")).assert(0, &[]);
    assert_eq!(place.read("a b.o"), b"OBJECT");
    run(&mut place.distcc("localhost", "gcc @words")).assert(0, &[]);
    assert_ne!(place.read("a b.o"), b"OBJECT");
}

#[test]
fn in_a_compilers_place() {
    let place = Place::new();
    std::fs::create_dir(place.path("m")).unwrap();
    symlink(env!("CARGO_BIN_EXE_distcc"), place.path("m/fakecc")).unwrap();
    place.write("bin/unused", "");
    place.script("bin/fakecc", "echo real $_DISTCC_SAFEGUARD \"$@\"");
    let path = format!(
        "{}:{}:/usr/bin:/bin",
        place.path("m").display(),
        place.path("bin").display()
    );
    for (program, argument) in [("sh", "fakecc --version"), ("sh", "./m/fakecc --version")] {
        let mut shell = place.command(program);
        let outcome = run(shell.env("PATH", &path).args(["-c", argument]));
        assert_eq!(outcome.stdout, "real 1 --version\n", "{outcome:?}");
        // With a second masquerade folder in PATH it is called once more.
        let outcome = run(shell.env("_DISTCC_SAFEGUARD", "1"));
        assert_eq!(outcome.stdout, "real 2 --version\n", "{outcome:?}");
    }
    // Without anything behind it in PATH, it would call itself.
    let mut shell = place.command("/bin/sh");
    let outcome = run(shell
        .env("PATH", place.path("m"))
        .args(["-c", "fakecc --version"]));
    outcome.assert_says(111, "distcc seems to have invoked itself recursively!");
}

#[test]
fn a_distcc_that_a_distcc_calls_stops() {
    let place = Place::new();
    run(place
        .distcc("localhost", "gcc -c a.c")
        .env("_DISTCC_SAFEGUARD", "1"))
    .assert(
        111,
        &["distcc[*] (main) CRITICAL! distcc seems to have invoked itself recursively!"],
    );
}

#[test]
fn numbers_that_are_none() {
    let place = Place::new();
    for variable in ["DISTCC_IO_TIMEOUT", "DISTCC_MAX_DISCREPANCY"] {
        run(place
            .distcc("127.0.0.1:1,lzo,cpp", "gcc -c a.c")
            .env(variable, "x"))
        .assert(101, &[&format!("distcc[*] ERROR: Bad {variable} value: x")]);
        run(place.distcc("localhost", "gcc a.c").env(variable, "x")).assert(0, &[]);
    }
}

#[test]
fn a_log_file_takes_all_lines() {
    let place = Place::new();
    let mut distcc = place.distcc("localhost", "gcc -c a.c");
    run(distcc.env("DISTCC_LOG", place.path("log"))).assert(0, &[]);
    let log = place.text("log");
    assert!(log.contains("] exec on localhost: gcc -c a.c\n"), "{log}");
    assert!(
        log.contains("] compile a.c on localhost completed ok\n"),
        "{log}"
    );
    assert!(log.contains("] (dcc_exit) exit: code 0; self: "), "{log}");
    run(place
        .distcc("localhost", "gcc -c a.c")
        .env("DISTCC_LOG", "/nowhere/log"))
    .assert(
        0,
        &[
            "distcc[*] (dcc_set_trace_from_env) ERROR: failed to open logfile /nowhere/log: No \
             such file or directory",
        ],
    );
}

#[test]
fn a_state_folder_that_cannot_be_is_complained_about_once() {
    let place = Place::new();
    place.write("file", "");
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let mut distcc = place.distcc(&server.host(), "gcc -c a.c");
    let outcome = run(distcc.env("DISTCC_DIR", place.path("file/below")));
    outcome.assert_says(0, "going on without counting jobs");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    assert_eq!(place.read("a.o"), b"OBJECT");
}

#[test]
fn what_we_cannot_do_is_left_out_and_said() {
    let place = Place::new();
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let hosts = format!("{}/9,auth=x {} +zeroconf", server.host(), server.host());
    run(&mut place.distcc(&hosts, "gcc -c a.c")).assert(
        0,
        &[
            "distcc[*] (dcc_parse_hosts) Warning: +zeroconf is not available; going on without \
             the hosts it would find",
            &format!(
                "distcc[*] (dcc_parse_hosts) Warning: authentication is not available; going on \
                 without {}/9,auth=x",
                server.host()
            ),
        ],
    );
    assert_eq!(place.read("a.o"), b"OBJECT");
}
