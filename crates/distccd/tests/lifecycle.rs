//! How the server starts and ends.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use protocol::Version;
use rustix::process::{Pid, Signal, kill_process};
use support::port::Port;
use support::{
    Entry, Reply, SANDBOXES, SCRIPTED_COMPILER, SOON, Setup, head, processes_with, source_request,
    tree_request, unique_time, wait_until,
};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];

fn setup() -> Setup {
    Setup::insecure().script("cc", SCRIPTED_COMPILER)
}

fn request(script: &str) -> Vec<u8> {
    source_request(Version::Plain, &ARGV, script.as_bytes())
}

fn run(setup: Setup) -> Output {
    setup.command().stdin(Stdio::null()).output().unwrap()
}

/// Exit code and last line of standard error.
fn check_start(setup: Setup, code: i32, expected: &str) {
    let output = run(setup);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    let line = text.lines().last().unwrap_or_default();
    assert!(line.ends_with(expected), "{text}");
}

#[test]
fn mistakes_have_exit_codes() {
    let usage = "distccd: ERROR: --bogus: unknown option";
    check_start(Setup::bare().arg("--bogus"), 101, usage);
    let text = "distccd: ERROR: can't parse internet address \"no such.invalid\": Name or service not known";
    check_start(Setup::bare().arg("--allow=no such.invalid"), 101, text);
    let daemon = || {
        Setup::insecure()
            .arg("--daemon")
            .arg("--no-detach")
            .arg("--log-stderr")
    };
    check_start(
        daemon().arg("--listen=192.0.2.1"),
        102,
        "ERROR: bind of 192.0.2.1:3632 failed: Cannot assign requested address",
    );
    check_start(
        daemon().env("TMPDIR", "/nowhere"),
        107,
        "ERROR: failed to chdir to /nowhere: No such file or directory",
    );
    let setup = daemon();
    let folder = setup.file("a=b");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let text = "compilers take a path with \"=\" in it for two";
    check_start(setup.env("TMPDIR", folder), 107, text);
    // Whoever asks for actions shall not wait for the first one to learn that none can run.
    let text = "--cache-dir, or turn them off by --remote-exec=off";
    check_start(daemon().arg("--cache-dir=/dev/null/x"), 107, text);
    let asked = daemon().arg("--remote-exec=hermetic");
    check_start(asked.env("CACHE_DIRECTORY", "/dev/null/x"), 107, text);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    check_start(
        daemon()
            .arg("--listen=127.0.0.1")
            .arg(format!("--port={port}")),
        102,
        &format!("ERROR: bind of 127.0.0.1:{port} failed: Address already in use"),
    );
}

#[test]
fn what_the_log_file_hides_is_seen_on_the_terminal_too() {
    let setup = Setup::insecure().arg("--daemon").arg("--listen=192.0.2.1");
    let log = setup.file("log");
    let setup = setup.arg("--log-file").arg(&log);
    let output = setup.command().stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("distccd: ERROR: bind of 192.0.2.1:3632 failed"),
        "{text}"
    );
    assert!(
        fs::read_to_string(log)
            .unwrap()
            .contains("bind of 192.0.2.1:3632 failed")
    );
}

/// Without root there is nothing to give up, and the folder is ours all the same.
#[test]
fn the_log_is_opened_before_root_is_given_up() {
    let setup = Setup::insecure().arg("--daemon").arg("--listen=192.0.2.1");
    let folder = setup.file("logs");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let log = folder.join("log");
    let setup = setup.arg("--log-file").arg(&log);
    setup.command().stdin(Stdio::null()).output().unwrap();
    let text = fs::read_to_string(log).unwrap();
    assert!(text.contains("bind of 192.0.2.1:3632 failed"), "{text}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    for option in ["--help", "--version"] {
        let output = run(Setup::bare().arg(option));
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.starts_with("distccd "), "{text}");
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn the_command_returns_when_the_daemon_listens() {
    let kept = Port::keep();
    let port = kept.number.to_string();
    let setup = setup();
    let (pid_file, log) = (setup.file("pid"), setup.file("log"));
    let mut command = setup.command();
    command
        .args([
            "--daemon",
            "--listen=127.0.0.1",
            "--port",
            &port,
            "--pid-file",
        ])
        .arg(&pid_file)
        .arg("--log-file")
        .arg(&log);
    // The daemon must not hold on to our pipes either, or this would not return.
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let pid: i32 = fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let mut client = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    client.set_read_timeout(Some(SOON)).unwrap();
    client.write_all(&request("echo > $out")).unwrap();
    assert!(Reply::read(&mut client, Version::Plain).is_some());
    let pid = Pid::from_raw(pid).unwrap();
    kill_process(pid, Signal::HUP).unwrap(); // Ignored.
    kill_process(pid, Signal::TERM).unwrap();
    wait_until("the pid file is gone", || !pid_file.exists());
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("(dcc_daemon_terminate) Terminated"), "{log}");
    assert!(!log.contains("Hangup"), "{log}");
}

#[test]
fn the_pid_file_of_a_foreground_daemon() {
    let setup = setup();
    let pid_file = setup.file("pid");
    let mut server = setup.arg("--pid-file").arg(&pid_file).start();
    let pid = server.child.id();
    wait_until("pid file", || {
        fs::read_to_string(&pid_file).is_ok_and(|text| text == format!("{pid}\n"))
    });
    // 3.4 loses it here.
    server.ask(
        Version::Plain,
        &source_request(Version::Plain, &["nosuchcc", "-c", "a.c"], b""),
    );
    assert!(pid_file.exists());
    server.signal(Signal::INT);
    assert_eq!(server.wait().signal(), Some(2));
    assert!(!pid_file.exists());
}

#[test]
fn term_lets_running_jobs_finish() {
    let mut server = setup().arg("--jobs=1").start();
    // Compilers see this folder, even in a sandbox.
    let gate = server.file("bin/gate");
    let mut running = server.connect();
    let time = unique_time();
    let script = format!(
        "sleep {time} & until [ -e {} ]; do sleep 0.01; done; kill $!; echo > $out",
        gate.display()
    );
    running.write_all(&request(&script)).unwrap();
    wait_until("the compiler runs", || processes_with(&time) == 1);
    // Others are still sending, or waiting.
    let mut sending = server.connect();
    sending
        .write_all(&head(Version::Plain, None, &ARGV))
        .unwrap();
    let mut queued = server.connect();
    queued.write_all(&request("echo > $out")).unwrap();
    wait_until("all are received", || server.leftovers().len() == 3);
    server.signal(Signal::TERM);
    assert_eq!(Reply::read(&mut sending, Version::Plain), None);
    assert_eq!(Reply::read(&mut queued, Version::Plain), None);
    wait_until("nobody is accepted", || {
        TcpStream::connect(server.address).is_err()
    });
    assert!(server.child.try_wait().unwrap().is_none());
    fs::write(&gate, "").unwrap();
    assert_eq!(Reply::read(&mut running, Version::Plain).unwrap().status, 0);
    assert_eq!(server.wait().signal(), Some(15));
}

#[test]
fn a_second_signal_ends_running_jobs() {
    for sandbox in SANDBOXES {
        a_second_signal_ends_running_jobs_with(sandbox);
    }
}

fn a_second_signal_ends_running_jobs_with(sandbox: &str) {
    let mut server = setup().arg(sandbox).start();
    let mut client = server.connect();
    let time = unique_time();
    let script = format!("trap '' TERM; sleep {time}; sleep {time}");
    client.write_all(&request(&script)).unwrap();
    wait_until("the compiler runs", || processes_with(&time) == 1);
    server.signal(Signal::TERM);
    server.wait_for_log("(dcc_daemon_terminate) Terminated");
    assert!(server.child.try_wait().unwrap().is_none());
    server.signal(Signal::TERM);
    assert_eq!(server.wait().signal(), Some(15));
    assert_eq!(Reply::read(&mut client, Version::Plain), None);
    // Killed is not yet gone.
    wait_until("no compiler is left", || processes_with(&time) == 0);
}

#[test]
fn a_lifetime_ends_the_server() {
    let started = Instant::now();
    let mut server = setup().arg("--lifetime=1").start();
    assert_eq!(server.wait().signal(), Some(14));
    assert!(started.elapsed().as_millis() >= 1000);
}

#[test]
fn a_listener_on_standard_input_is_served_by_its_starter_only() {
    // No other test takes a port of this address when it is free again.
    let listener = TcpListener::bind("127.7.7.7:0").unwrap();
    let mut server = setup().start_on(listener);
    server.signal(Signal::TERM);
    server.wait();
    assert!(TcpStream::connect(server.address).is_err());
}

/// Serves one client over a socket; how long that took.
fn serve_on_a_socket(arg: &str) -> Duration {
    let (client, server) = UnixStream::pair().unwrap();
    // An access list would refuse clients without an internet address, as in 3.4.
    let setup = Setup::bare().arg("--enable-tcp-insecure").arg(arg);
    let setup = setup.script("cc", SCRIPTED_COMPILER);
    let path = format!("{}:/usr/bin:/bin", setup.file("bin").display());
    let setup = setup.env("DISTCCD_PATH", path);
    let log = setup.file("log");
    let setup = setup.log_to(&log);
    let server = OwnedFd::from(server);
    let output = server.try_clone().unwrap();
    let started = Instant::now();
    let mut child = setup
        .command()
        .stdin(server)
        .stdout(output)
        .spawn()
        .unwrap();
    let mut client = client;
    client.write_all(&request("echo object > $out")).unwrap();
    let reply = Reply::read(&mut client, Version::Plain).unwrap();
    assert_eq!(reply.object, b"object\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let took = started.elapsed();
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("client: UNIX-DOMAIN  COMPILE_OK "), "{log}");
    assert_eq!(fs::read_dir(setup.file("tmp")).unwrap().count(), 0);
    took
}

#[test]
fn inetd_on_a_socket() {
    for arg in ["--inetd", "--log-level=notice"] {
        // 3.4 takes at least a second for each, whatever the machine does.
        let is_quick = |_| serve_on_a_socket(arg) < Duration::from_secs(1);
        assert!((0..20).any(is_quick));
    }
}

#[test]
fn inetd_on_pipes() {
    let setup = setup().arg("--inetd");
    let log = setup.file("log");
    let setup = setup.log_to(&log);
    let spawn = || {
        let mut command = setup.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut child = spawn();
    let mut to = child.stdin.take().unwrap();
    to.write_all(&request("sleep 0.1; head -c 1000000 /dev/zero > $out"))
        .unwrap();
    let reply = Reply::read(child.stdout.as_mut().unwrap(), Version::Plain).unwrap();
    assert_eq!(reply.object.len(), 1_000_000);
    assert_eq!(child.wait().unwrap().code(), Some(0));

    // A compile error is a job well done; a request that is none is not.
    let mut child = spawn();
    let mut to = child.stdin.take().unwrap();
    to.write_all(&request("exit 3")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut child = spawn();
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(108));

    // Hanging up, and being asked to end.
    for signal in [None, Some(Signal::TERM)] {
        let mut child = spawn();
        let mut to = child.stdin.take().unwrap();
        to.write_all(&request("sleep 1000")).unwrap();
        let tmp = setup.file("tmp");
        wait_until("the compiler runs", || {
            let mut entries = fs::read_dir(&tmp)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            entries.any(|scratch| scratch.join("stderr").exists())
        });
        match signal {
            None => {
                drop(to);
                assert_eq!(child.wait().unwrap().code(), Some(107));
            }
            Some(signal) => {
                let pid = Pid::from_child(&child);
                kill_process(pid, signal).unwrap();
                kill_process(pid, signal).unwrap();
                // Both may come as one; the second one is what ends the compiler.
                wait_until("the server ends", || {
                    let _ = kill_process(pid, signal);
                    child.try_wait().unwrap().is_some()
                });
                assert_eq!(child.wait().unwrap().signal(), Some(15));
            }
        }
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
    }
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("client: NOTSOCKET COMPILE_OK "), "{log}");
}

#[test]
fn root_is_given_up() {
    if !rustix::process::getuid().is_root() {
        let setup = setup().arg("--user=nobody");
        let output = run(setup
            .arg("--daemon")
            .arg("--no-detach")
            .arg("--listen=192.0.2.1"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("Warning: --user is ignored when distccd is not run by root"));
        return;
    }
    for (user, id) in [
        (None, None),
        (Some("nobody"), Some("65534")),
        (Some("no such"), Some("65534")),
    ] {
        let mut setup = setup();
        if let Some(user) = user {
            setup = setup.arg("--user").arg(user);
        }
        let server = setup.start();
        let script = "id -u; id -G; grep NoNewPrivs /proc/self/status; echo > $out";
        let reply = server.ask(Version::Plain, &request(script)).unwrap();
        let lines: Vec<&str> = reply.stdout.lines().collect();
        assert_ne!(lines[0], "0");
        assert!(id.is_none_or(|id| id == lines[0]), "{lines:?}");
        assert_eq!(lines[1].split(' ').count(), 1, "{lines:?}");
        assert!(lines[2].ends_with('1'), "{lines:?}");
    }
    check_start(
        setup().arg("--user=root").arg("--daemon"),
        112,
        "name another user with --user",
    );
}

#[test]
fn scratch_is_kept_on_demand() {
    let mut server = setup().env("DISTCC_SAVE_TEMPS", "1").start();
    server.expect_clean = false;
    server.ask(Version::Plain, &request("echo > $out")).unwrap();
    let scratch = server.leftovers().pop().unwrap();
    assert_eq!(
        fs::read_to_string(scratch.join("work/a.i")).unwrap(),
        "echo > $out"
    );
    fs::remove_dir_all(scratch).unwrap();
}

#[test]
fn the_temporary_folder_may_be_reached_by_a_link() {
    let setup = Setup::insecure();
    let link = setup.file("link");
    symlink(setup.file("tmp"), &link).unwrap();
    let server = setup.env("TMPDIR", link).start();
    let argv = ["gcc", "-g", "-c", "a.c", "-o", "a.o"];
    let entries = [Entry::File("/c/a.c", "int f(void) { return 1; }\n")];
    let reply = server
        .ask(Version::Pump, &tree_request("/c", &argv, &entries))
        .unwrap();
    assert_eq!(reply.status, 0);
    assert!(!String::from_utf8_lossy(&reply.object).contains("distccd_"));
}
