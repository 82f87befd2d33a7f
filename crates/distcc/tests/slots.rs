//! Slots, and signals while jobs run.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::fs;
use std::io::Write;
use std::process::{Child, Command};
use std::sync::mpsc;
use std::time::Duration;

use protocol::Version;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use support::{FakeServer, HELLO, Place, Port, read_request, run, success, wait_until};

/// A server that answers each request when the test says so.
fn patient_server() -> (FakeServer, mpsc::Sender<()>) {
    let (sender, go) = mpsc::channel();
    let server = FakeServer::start(move |mut connection| {
        read_request(&mut connection).unwrap();
        // The test's end lets all go.
        let _ = go.recv();
        // The client may have been killed.
        let _ = connection.write_all(&success(Version::Plain, b"OBJECT"));
    });
    (server, sender)
}

#[test]
fn a_job_waits_until_a_slot_is_free() {
    let (server, go) = patient_server();
    let place = Place::new();
    place.write("b.c", HELLO);
    let host = format!("{}/1", server.host());
    let mut first = place.distcc(&host, "gcc -c a.c").spawn().unwrap();
    wait_until("the first job", || server.connections() == 1);
    let mut second = place.distcc(&host, "gcc -c b.c").spawn().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.connections(), 1);
    assert!(second.try_wait().unwrap().is_none());
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(place.read("b.o"), b"OBJECT");
}

#[test]
fn a_taken_slot_sends_the_next_job_to_the_next_host() {
    let (busy, go) = patient_server();
    let (other, go_other) = patient_server();
    go_other.send(()).unwrap();
    let place = Place::new();
    place.write("b.c", HELLO);
    let hosts = format!("{}/1 {}/1", busy.host(), other.host());
    let mut first = place.distcc(&hosts, "gcc -c a.c").spawn().unwrap();
    wait_until("the first job", || busy.connections() == 1);
    run(&mut place.distcc(&hosts, "gcc -c b.c")).assert(0, &[]);
    assert_eq!(other.connections(), 1);
    go.send(()).unwrap();
    assert!(first.wait().unwrap().success());
}

#[test]
fn this_machine_is_a_next_host_like_any_other() {
    let place = Place::new();
    place.script(
        "cc",
        "case $* in *-E*) sleep 0.1;; *) echo done >a.o;; esac",
    );
    let dead = Port::keep();
    let hosts = format!("127.0.0.1:{}/1 localhost/1", dead.number);
    run(&mut place.distcc(&hosts, "./cc -c a.c")).assert_says(0, "Connection refused");
    assert_eq!(place.text("a.o"), "done\n");
}

const DEADLY: [Signal; 4] = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::HUP];

/// `distcc` with these hosts and words, which dies of all signals that end it: those that whoever
/// runs the tests ignores (`nohup`) would stay ignored. A core has nothing to tell.
fn mortal_distcc(place: &Place, hosts: &str, words: &str) -> Command {
    let script = r#"ulimit -c 0; exec env --default-signal=HUP,INT,QUIT,TERM "$@""#;
    let mut command = place.command("/bin/sh");
    command
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_distcc")])
        .args(words.split(' '))
        .env("DISTCC_HOSTS", hosts);
    command
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// What a signal to `distcc` alone leaves behind while `command` runs below it.
fn check_signal(
    place: &Place,
    distcc: &mut Command,
    signal: Signal,
    mut running: impl FnMut() -> bool,
) {
    let mut child = distcc.spawn().unwrap();
    wait_until("the job", || running() && place.records() == 1);
    kill_process(pid(&child), signal).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(signal.as_raw())
    );
    assert_eq!(place.records(), 0);
    assert!(!place.exists("a.o"));
}

#[test]
fn a_signal_while_waiting_for_a_slot() {
    for signal in DEADLY {
        let (server, go) = patient_server();
        let place = Place::new();
        place.write("b.c", HELLO);
        let host = format!("{}/1", server.host());
        let mut first = place.distcc(&host, "gcc -c a.c").spawn().unwrap();
        wait_until("the first job", || server.connections() == 1);
        let mut second = mortal_distcc(&place, &host, "gcc -c b.c");
        let mut second = second
            .env("DISTCC_PAUSE_TIME_MSEC", "100000")
            .env("DISTCC_LOG", place.path("log"))
            .env("DISTCC_VERBOSE", "1")
            .spawn()
            .unwrap();
        wait_until("the second job", || {
            place.exists("log") && place.text("log").contains("waiting 100s for one")
        });
        kill_process(pid(&second), signal).unwrap();
        let status = second.wait().unwrap();
        let died_of = std::os::unix::process::ExitStatusExt::signal(&status);
        assert_eq!(died_of, Some(signal.as_raw()));
        go.send(()).unwrap();
        assert!(first.wait().unwrap().success());
    }
}

#[test]
fn a_slot_that_becomes_free_is_taken_at_once_and_without_asking_again_and_again() {
    let (server, go) = patient_server();
    let place = Place::new();
    place.write("b.c", HELLO);
    let host = format!("{}/1", server.host());
    let mut first = place.distcc(&host, "gcc -c a.c").spawn().unwrap();
    wait_until("the first job", || server.connections() == 1);
    let mut second = place.distcc(&host, "gcc -c b.c");
    let mut second = second
        // Longer than any test may take: it is the slot that ends the wait.
        .env("DISTCC_PAUSE_TIME_MSEC", "100000000")
        .env("DISTCC_LOG", place.path("log"))
        .env("DISTCC_VERBOSE", "1")
        .spawn()
        .unwrap();
    wait_until("the second job", || {
        place.exists("log") && place.text("log").contains("(dcc_lock_pause)")
    });
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(second.wait().unwrap().success());
    assert_eq!(place.text("log").matches("(dcc_lock_pause)").count(), 1);
    assert_eq!(place.read("b.o"), b"OBJECT");
}

#[test]
fn a_signal_while_a_server_works() {
    for signal in DEADLY {
        let (server, _go) = patient_server();
        let place = Place::new();
        let mut distcc = mortal_distcc(&place, &server.host(), "gcc -c a.c");
        check_signal(&place, &mut distcc, signal, || server.connections() == 1);
        assert_eq!(place.names(), ["a.c"]);
    }
}

#[test]
fn a_signal_reaches_the_local_compiler() {
    let place = Place::new();
    place.script("cc", "echo $$ >pid.new; mv pid.new pid; exec sleep 1000");
    let mut distcc = mortal_distcc(&place, "localhost", "./cc -c a.c");
    check_signal(&place, &mut distcc, Signal::TERM, || place.exists("pid"));
    let compiler = place.text("pid").trim().parse().unwrap();
    let compiler = Pid::from_raw(compiler).unwrap();
    // Its new parent has to wait for it before it is gone.
    wait_until("the compiler's end", || {
        test_kill_process(compiler).is_err() || is_zombie(compiler)
    });
}

#[test]
fn a_signal_reaches_the_preprocessor_and_what_it_runs() {
    let place = Place::new();
    let (server, _go) = patient_server();
    place.script(
        "cc",
        "sh -c 'echo $$ >pid.new; mv pid.new pid; exec sleep 1000'",
    );
    let mut distcc = mortal_distcc(&place, &server.host(), "./cc -c a.c");
    check_signal(&place, &mut distcc, Signal::INT, || place.exists("pid"));
    let below = place.text("pid").trim().parse().unwrap();
    let below = Pid::from_raw(below).unwrap();
    wait_until("the end of what it runs", || {
        test_kill_process(below).is_err() || is_zombie(below)
    });
}

/// Where nobody waits for orphans, ended processes stay as these.
fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let place = Place::new();
    place.script("cc", "kill -HUP $PPID; sleep 0.05; echo lived on");
    let distcc = env!("CARGO_BIN_EXE_distcc");
    let mut shell = place.command("/bin/sh");
    shell.env("DISTCC_HOSTS", "localhost");
    let script = format!("trap '' HUP; {distcc} ./cc -c a.c");
    let outcome = run(shell.args(["-c", &script]));
    assert_eq!(outcome.stdout, "lived on\n", "{outcome:?}");
    assert_eq!(outcome.code, 0);
}
