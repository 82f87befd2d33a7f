//! Each option and variable of distccd(1), on our server and on the packaged one with the same words.
//!
//! What is particular to one of them is in the files that are named for what it is about:
//! `lifecycle.rs`, `refusals.rs`, `observed.rs` (log and statistics).

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use protocol::Version;
use rustix::process::Signal;
use support::port::Port;
use support::{
    Daemon, Reply, SCRIPTED_COMPILER, SIDES, Setup, Side, processes_with, source_request,
    unique_time, wait_until,
};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];

fn setup(side: Side) -> Setup {
    let setup = Setup::insecure().script("cc", SCRIPTED_COMPILER);
    setup.of(side).arg("--allow=127.0.0.1")
}

fn request(script: &str) -> Vec<u8> {
    source_request(Version::Plain, &ARGV, script.as_bytes())
}

fn run(setup: &Setup) -> Output {
    setup.command().stdin(Stdio::null()).output().unwrap()
}

#[test]
fn port_listen_and_allow() {
    for side in SIDES {
        let server = setup(side).start_by_port();
        assert_eq!(
            server
                .ask(Version::Plain, &request("echo > $out"))
                .unwrap()
                .status,
            0
        );
        let elsewhere = ("127.0.0.2", server.address.port());
        assert!(TcpStream::connect(elsewhere).is_err());

        let denied = Setup::bare().of(side).arg("--enable-tcp-insecure");
        let server = denied.arg("-a").arg("192.0.2.0/24").start_by_port();
        let mut client = server.connect();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let address = client.local_addr().unwrap();
        let text = format!("ERROR: connection from client '{address}' denied by access list");
        server.wait_for_log(&text);

        let private = Setup::bare().of(side).arg("--enable-tcp-insecure");
        let private = private
            .script("cc", SCRIPTED_COMPILER)
            .arg("--allow-private");
        let path = format!("{}:/usr/bin:/bin", private.file("bin").display());
        let server = private.env("DISTCCD_PATH", path).start_by_port();
        assert!(
            server
                .ask(Version::Plain, &request("echo > $out"))
                .is_some()
        );
    }
}

#[test]
fn jobs_and_no_fork() {
    for side in SIDES {
        for (option, running) in [("--jobs=2", 2), ("-j1", 1), ("--no-fork", 1)] {
            let server = setup(side).arg(option).start_by_port();
            let time = unique_time();
            let gate = server.file("bin/gate");
            let script = format!(
                "sleep {time} & until [ -e {} ]; do sleep 0.02; done; kill $!; echo > $out",
                gate.display()
            );
            let clients: Vec<TcpStream> = (0..4)
                .map(|_| {
                    let mut client = server.connect();
                    client.write_all(&request(&script)).unwrap();
                    client
                })
                .collect();
            wait_until("all slots are taken", || processes_with(&time) == running);
            std::thread::sleep(std::time::Duration::from_millis(100));
            assert_eq!(processes_with(&time), running, "{side:?} {option}");
            fs::write(gate, "").unwrap();
            for mut client in clients {
                assert_eq!(Reply::read(&mut client, Version::Plain).unwrap().status, 0);
            }
        }
    }
}

#[test]
fn nice() {
    let own = rustix::process::nice(0).unwrap();
    for side in SIDES {
        for (option, more) in [("--nice=3", 3), ("-N0", 0), ("--no-fifo", 5)] {
            let server = setup(side).arg(option).start_by_port();
            let reply = server
                .ask(Version::Plain, &request("nice; echo > $out"))
                .unwrap();
            let expected = (own + more).min(19).to_string();
            assert_eq!(reply.stdout.trim(), expected, "{side:?} {option}");
        }
    }
}

#[test]
fn user() {
    if !rustix::process::getuid().is_root() {
        // `lifecycle.rs` has what is said then.
        return;
    }
    for side in SIDES {
        let server = setup(side).arg("--user=nobody").start_by_port();
        let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
        assert!(
            status.contains("Uid:\t65534\t65534\t65534\t65534"),
            "{side:?} {status}"
        );
        assert!(
            status.contains("Gid:\t65534\t65534\t65534\t65534"),
            "{side:?} {status}"
        );
        assert!(status.contains("NoNewPrivs:\t1"), "{side:?} {status}");
        assert!(status.contains("Groups:\t65534 \n"), "{side:?} {status}");
    }
}

#[test]
fn pid_file() {
    for side in SIDES {
        let setup = setup(side);
        let pid_file = setup.file("pid");
        let mut server = setup.arg("--pid-file").arg(&pid_file).start_by_port();
        let pid = server.child.id();
        wait_until("the pid file is written", || {
            fs::read_to_string(&pid_file).is_ok_and(|text| text == format!("{pid}\n"))
        });
        // 3.4's removes it only from a moment on before it starts these.
        wait_until("it has children", || has_children(&server));
        server.signal(Signal::TERM);
        assert_eq!(server.wait().signal(), Some(15));
        assert!(!pid_file.exists(), "{side:?}");
    }
}

/// Workers, or the sandbox's helper.
fn has_children(server: &Daemon) -> bool {
    let pid = server.child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    !children.unwrap().is_empty()
}

/// The session of a process; 0 where its leader is not in our namespace of processes (`getsid` of
/// rustix cannot say so), none where the process is over, waited for or not.
fn session_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything: state, parent, group, session.
    let (_, fields) = stat.rsplit_once(") ")?;
    let session = fields.split(' ').nth(3)?.parse().ok()?;
    (!fields.starts_with(['Z', 'X'])).then_some(session)
}

#[test]
fn daemons_detach() {
    for side in SIDES {
        let setup = setup(side).arg("--listen=127.0.0.1");
        let (pid_file, log) = (setup.file("pid"), setup.file("log"));
        let setup = setup.arg("-P").arg(&pid_file).log_to(&log);
        let port = Port::keep();
        let mut command = setup.command();
        command.args(["--daemon", "--lifetime=600", "--port"]);
        let command = command.arg(port.number.to_string()).stdin(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(0), "{side:?}");
        let pid = fs::read_to_string(&pid_file).unwrap();
        let pid: i32 = pid.trim().parse().unwrap();
        // 3.4's may do so only a moment after its parent has ended.
        wait_until("it leads a session", || session_of(pid) == Some(pid));
        let process = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(process, Signal::TERM).unwrap();
        wait_until("it ends", || session_of(pid).is_none());
        // 3.4 may not remove it in a folder that is not its user's own.
        assert!(side == Side::Packaged || !pid_file.exists());
    }
}

#[test]
fn job_lifetime_and_lifetime() {
    for side in SIDES {
        let server = setup(side).arg("--job-lifetime=1").start_by_port();
        let reply = server
            .ask(Version::Plain, &request("sleep 100; echo > $out"))
            .unwrap();
        assert_eq!(reply.status, 0x7600, "{side:?}");
        let text = "Compilation takes too long, timeout.\n";
        assert!(reply.stderr.contains(text), "{side:?}: {}", reply.stderr);
        server.wait_for_log(" COMPILE_TIMEOUT exit:118 sig:0 core:0 ret:");
        assert!(
            server
                .ask(Version::Plain, &request("echo > $out"))
                .is_some()
        );

        let started = Instant::now();
        let mut server = setup(side).arg("--lifetime=1").start_by_port();
        assert_eq!(server.wait().signal(), Some(14), "{side:?}");
        assert!(started.elapsed().as_millis() >= 1000);
    }
}

#[test]
fn inetd() {
    for side in SIDES {
        let setup = Setup::bare().of(side).script("cc", SCRIPTED_COMPILER);
        let path = format!("{}:/usr/bin:/bin", setup.file("bin").display());
        let log = setup.file("log");
        let setup = setup.env("DISTCCD_PATH", path).log_to(&log);
        let setup = setup.arg("--inetd").arg("--enable-tcp-insecure");
        let mut child = setup
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut to = child.stdin.take().unwrap();
        to.write_all(&request("echo object > $out")).unwrap();
        let reply = Reply::read(child.stdout.as_mut().unwrap(), Version::Plain).unwrap();
        assert_eq!(reply.object, b"object\n", "{side:?}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{side:?}");
        let log = fs::read_to_string(log).unwrap();
        assert!(
            log.contains("client: NOTSOCKET COMPILE_OK "),
            "{side:?}: {log}"
        );
    }
}

#[test]
fn only_known_compilers_run_unless_it_is_said() {
    for side in SIDES {
        // `/usr/lib/distcc` has `gcc`, and not this one.
        let strict = Setup::strict().of(side).script("mycc", SCRIPTED_COMPILER);
        let server = strict.start_by_port();
        let argv = ["mycc", "-c", "a.c", "-o", "a.o"];
        let mine = source_request(Version::Plain, &argv, b"echo > $out");
        assert_eq!(server.ask(Version::Plain, &mine), None, "{side:?}");
        server.wait_for_log("mycc not in ");
        let argv = ["gcc", "-c", "a.c", "-o", "a.o"];
        let gcc = source_request(Version::Plain, &argv, b"int f(void) { return 1; }");
        assert_eq!(
            server.ask(Version::Plain, &gcc).unwrap().status,
            0,
            "{side:?}"
        );

        for option in ["--enable-tcp-insecure", "--make-me-a-botnet"] {
            let open = Setup::strict().of(side).script("mycc", SCRIPTED_COMPILER);
            let server = open.arg(option).start_by_port();
            assert_eq!(
                server.ask(Version::Plain, &mine).unwrap().status,
                0,
                "{side:?}"
            );
        }
    }
}

#[test]
fn command_lists() {
    for side in SIDES {
        for (words, name, runs) in [
            ("1", "/elsewhere/mycc", true),
            ("1", "cc", false),
            ("2", "bin/mycc", true),
            ("2", "/elsewhere/bin/mycc", true),
            ("2", "mycc", false),
        ] {
            let setup = Setup::strict().of(side).script("mycc", SCRIPTED_COMPILER);
            let list = setup.file("list");
            fs::write(&list, format!("{}\n", setup.file("bin/mycc").display())).unwrap();
            let setup = setup.env("DISTCC_CMDLIST", &list);
            let server = setup.env("DISTCC_CMDLIST_NUMWORDS", words).start_by_port();
            let argv = [name, "-c", "a.c", "-o", "a.o"];
            let request = source_request(Version::Plain, &argv, b"echo > $out");
            let reply = server.ask(Version::Plain, &request);
            assert_eq!(reply.is_some(), runs, "{side:?} {words} {name}");
            if !runs {
                server.wait_for_log(&format!("lookup of {name} in DISTCC_CMDLIST failed"));
            }
        }
    }
}

#[test]
fn the_search_path_and_the_temporary_folder() {
    for side in SIDES {
        let setup = Setup::bare().of(side).script("cc", SCRIPTED_COMPILER);
        let path = format!("{}:/usr/bin:/bin", setup.file("bin").display());
        let setup = setup.env("DISTCCD_PATH", &path).arg("-a127.0.0.1");
        let server = setup.arg("--enable-tcp-insecure").start_by_port();
        let reply = server.ask(Version::Plain, &request("echo $PATH; echo > $out"));
        assert_eq!(reply.unwrap().stdout.trim(), path, "{side:?}");
        let mut client = server.connect();
        let gate = server.file("bin/gate");
        let script = format!(
            "until [ -e {} ]; do sleep 0.02; done; echo > $out",
            gate.display()
        );
        client.write_all(&request(&script)).unwrap();
        wait_until("something is below TMPDIR", || {
            !server.leftovers().is_empty()
        });
        fs::write(gate, "").unwrap();
        assert!(Reply::read(&mut client, Version::Plain).is_some());
    }
}

#[test]
fn the_wizard_stays_and_says_all() {
    for side in SIDES {
        let setup = setup(side).arg("--wizard");
        let server = setup.start_by_port();
        assert!(
            server
                .ask(Version::Plain, &request("echo > $out"))
                .is_some()
        );
        let said = || fs::read_to_string(server.file("stderr")).unwrap();
        wait_until("it is said on standard error", || {
            said().contains(" COMPILE_OK ")
        });
        assert!(
            said().contains("(dcc_listen_by_addr) listening on "),
            "{side:?}: {}",
            said()
        );
        assert_eq!(server.log(), "", "{side:?}");
    }
}

/// Only newer versions of distcc have this one.
#[test]
fn the_kernel_is_told_which_processes_to_end_first() {
    for (sandbox, words, expected) in [
        ("--sandbox=required", &["--oom-score-adj=300"][..], "300"),
        ("--sandbox=off", &["--oom-score-adj=300"], "300"),
        ("--sandbox=required", &[], "500"),
    ] {
        let setup = words
            .iter()
            .fold(setup(Side::Ours).arg(sandbox), |s, word| s.arg(*word));
        let server = setup.start();
        // Without a sandbox it is told a moment after the start.
        let script = format!(
            "until grep -qx {expected} /proc/self/oom_score_adj; do sleep 0.02; done; \
             cat /proc/self/oom_score_adj; echo > $out"
        );
        let reply = server.ask(Version::Plain, &request(&script)).unwrap();
        let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", server.child.id()));
        assert_eq!(score.unwrap(), own);
        assert_eq!(reply.stdout.trim(), expected, "{sandbox}");
    }
    for bad in ["-1001", "1001"] {
        let output = run(&Setup::bare().arg("--oom-score-adj").arg(bad));
        let text = "distccd: ERROR: --oom-score-adj argument must be between -1000 and 1000\n";
        assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
    }
}

/// The test of the packaged server would mean nothing without it.
#[test]
fn the_packaged_server_is_3_4() {
    let output = Command::new("/usr/bin/distccd")
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.stdout.starts_with(b"distccd 3.4 "));
}
