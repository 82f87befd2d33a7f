//! What compilers can be made to do by those who send them arguments and source: in a sandbox
//! nothing gets out, nothing gets in, and nothing stays. Without one, what the server can refuse
//! is refused.
//!
//! Each attack is told to a running server, which is started as root (and becomes somebody else)
//! if the tests run as root, and once more as an unprivileged user.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use protocol::Version;
use support::attacker::{as_both, check_without, compile, run, sandboxed, scripted, secret};
use support::{
    Entry, SANDBOXES, SCRIPTED_COMPILER, SOON, Setup, processes_with, tree_request, unique_time,
    wait_until,
};

#[test]
fn sources_read_no_files_of_the_server() {
    for server in sandboxed() {
        let (path, text) = secret(&server);
        for (attack, source) in [
            ("include", format!("#include \"{path}\"\n")),
            (
                "climbing include",
                format!("#include \"../../../../../../..{path}\"\n"),
            ),
            ("incbin", format!("asm(\".incbin \\\"{path}\\\"\");\n")),
            (
                "assembler include",
                format!("asm(\".include \\\"{path}\\\"\");\n"),
            ),
            (
                "dependency",
                format!("#pragma GCC dependency \"{path}\"\nint x;\n"),
            ),
            ("passwd", "#include \"/etc/passwd\"\n".to_owned()),
            (
                "passwd",
                "asm(\".incbin \\\"/etc/passwd\\\"\");\n".to_owned(),
            ),
            ("shadow", "#include \"/etc/shadow\"\n".to_owned()),
            (
                "environment",
                "asm(\".incbin \\\"/proc/1/environ\\\"\");\n".to_owned(),
            ),
            ("memory", "#include \"/proc/1/maps\"\n".to_owned()),
            ("device", "#include \"/dev/mem\"\n".to_owned()),
            ("device", "asm(\".incbin \\\"/dev/vda\\\"\");\n".to_owned()),
            ("terminal", "#include \"/dev/tty\"\n".to_owned()),
        ] {
            for compiler in ["gcc", "clang"] {
                let reply = compile(&server, compiler, &[], &source);
                let reply = reply.expect("such sources are compiled");
                if attack != "dependency" {
                    assert_ne!(reply.status, 0, "{attack}: {}", reply.stderr);
                }
                check_without(Some(reply), text, attack);
            }
        }
        let has = "#if __has_include(\"/etc/passwd\")\n#error there\n#endif\nint x;\n";
        assert_eq!(compile(&server, "gcc", &[], has).unwrap().status, 0);
    }
}

#[test]
fn landlock_stops_them_where_there_are_no_namespaces() {
    let server = Setup::insecure()
        .arg("--sandbox=required")
        .script("cc", SCRIPTED_COMPILER)
        .without_namespaces()
        .start();
    server.wait_for_log("compilers run behind Landlock");
    let (path, text) = secret(&server);
    let source = format!("asm(\".incbin \\\"{path}\\\"\");\n");
    for compiler in ["gcc", "clang"] {
        let reply = compile(&server, compiler, &["-g"], "const char *f = __FILE__;\n").unwrap();
        assert_eq!(reply.status, 0, "{}", reply.stderr);
        let reply = compile(&server, compiler, &[], &source).unwrap();
        assert_ne!(reply.status, 0);
        check_without(Some(reply), text, "incbin");
    }
    let time = unique_time();
    let script = format!(
        "cat {path} /etc/passwd; kill -9 {}; setsid sleep {time} & echo > $out",
        server.child.id()
    );
    let reply = run(&server, &script);
    check_without(reply, text, "a script");
    wait_until("the rest ends", || processes_with(&time) == 0);
    assert_eq!(run(&server, "echo > $out").unwrap().status, 0);
}

/// What only a sandbox stops; and that the attacks above are real ones.
#[test]
fn without_a_sandbox_sources_read_what_the_server_may() {
    let server = Setup::insecure().arg("--sandbox=off").start();
    let (path, text) = secret(&server);
    let source = format!("asm(\".incbin \\\"{path}\\\"\");\n");
    let reply = compile(&server, "gcc", &[], &source).unwrap();
    assert!(String::from_utf8_lossy(&reply.object).contains(text));
    server.wait_for_log("no sandbox (--sandbox=off)");
}

/// Even a compiler that is all the attacker's finds nothing, and changes nothing.
#[test]
fn a_compiler_that_was_taken_over_finds_nothing() {
    for server in sandboxed() {
        let (path, text) = secret(&server);
        let script = format!(
            "exec 2>&1; cat {path} /etc/passwd /proc/*/environ /dev/mem; ls /root /home /var; \
             ls -d {tmp}/*; kill -9 {pid}; kill -9 -1; echo x > {tmp}/new; echo x > {bin}/cc; \
             mknod /tmp/disk b 254 0 && cat /tmp/disk; ln -s {path} /tmp/.distccd/deps.d; \
             cp /etc/shadow $out; ln -sf {path} $out; true",
            tmp = server.file("tmp").display(),
            bin = server.file("bin").display(),
            pid = server.child.id(),
        );
        check_without(run(&server, &script), text, "a script");
        let reply = run(&server, "echo still > $out").unwrap();
        assert_eq!(reply.object, b"still\n");
        assert!(!server.file("tmp/new").exists());
    }
}

#[test]
fn nothing_stays_of_a_job() {
    for server in sandboxed() {
        let time = unique_time();
        let script = format!(
            "setsid sh -c 'trap \"\" TERM HUP INT; sleep {time} & sleep {time}' & \
             echo left > /tmp/left; echo left > /left; sleep 0.1; echo > $out"
        );
        assert_eq!(run(&server, &script).unwrap().status, 0);
        wait_until("the rest ends", || processes_with(&time) == 0);
        let reply = run(&server, "cat /tmp/left /left 2>/dev/null; echo > $out").unwrap();
        assert_eq!(reply.stdout, "");
        assert!(!Path::new("/left").exists());
    }
}

#[test]
fn bombs_end() {
    for server in sandboxed() {
        let time = unique_time();
        // As root's private server, or without: by the kernel, or by being looked at.
        let forks = format!("while true; do sleep {time} & done");
        let started = Instant::now();
        let reply = run(&server, &forks).unwrap();
        assert_ne!(reply.status, 0);
        wait_until("no process is left", || processes_with(&time) == 0);
        // Endless output to a file, to the messages.
        let reply = run(&server, "yes > /tmp/big").unwrap();
        assert_ne!(reply.status, 0);
        assert!(started.elapsed() < SOON);
        assert_eq!(run(&server, "echo > $out").unwrap().status, 0);
    }
}

#[test]
fn a_compiler_that_ignores_signals_is_ended_by_its_time() {
    let servers = SANDBOXES.map(|sandbox| as_both(|| scripted(sandbox).arg("--job-lifetime=1")));
    for server in servers.into_iter().flatten() {
        let time = unique_time();
        let script = format!("trap '' TERM INT HUP; sleep {time}; sleep {time}; sleep {time}");
        let reply = run(&server, &script).unwrap();
        assert_eq!(reply.status, 118 << 8);
        wait_until("it is over", || processes_with(&time) == 0);
    }
}

#[test]
fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for server in sandboxed() {
        let script = format!(
            "bash -c 'echo x > /dev/tcp/127.0.0.1/{port}'; \
             python3 -c 'import socket; socket.socket(socket.AF_UNIX)' && echo socket; echo > $out"
        );
        let reply = run(&server, &script).unwrap();
        assert_eq!((reply.status, &*reply.stdout), (0, ""));
        assert!(listener.accept().is_err());
    }
}

/// Neither by climbing nor through links, and whoever makes them.
#[test]
fn no_name_or_link_leads_out() {
    for server in SANDBOXES
        .map(|sandbox| as_both(|| scripted(sandbox)))
        .into_iter()
        .flatten()
    {
        let outside = server.file("outside");
        fs::create_dir(&outside).unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o777)).unwrap();
        let outside = outside.to_str().unwrap();
        let climb = "../".repeat(30) + &outside[1..];
        let into = format!("{outside}/new");
        let argv = ["cc", "-c", "a.c", "-o", "a.o"];
        for entries in [
            vec![Entry::File(&format!("/{climb}/new"), "x")],
            vec![Entry::File(&format!("/c/{climb}/new"), "x")],
            vec![Entry::File(&climb, "x")],
            vec![
                Entry::Link("/c/out", &climb),
                Entry::File("/c/out/new", "x"),
            ],
            vec![
                Entry::Link("/c/out", outside),
                Entry::File("/c/out/new", "x"),
            ],
            vec![Entry::Link("/c/new", &into), Entry::File("/c/new", "x")],
            vec![Entry::Link(&format!("/{climb}/new"), "/c")],
            vec![
                Entry::Link("/l", "/"),
                Entry::File(&format!("/l/{climb}/new"), "x"),
            ],
        ] {
            let source = Entry::File("/c/a.c", "echo a.o: > $deps; echo > $out");
            let entries: Vec<_> = [source].into_iter().chain(entries).collect();
            let reply = server.ask(Version::Pump, &tree_request("/c", &argv, &entries));
            assert_eq!(reply, None);
        }
        assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
        assert_eq!(run(&server, "echo > $out").unwrap().status, 0);
    }
}

/// What cannot be taken into the client's tree at the client's own paths.
#[test]
fn trees_do_not_cover_what_jobs_need() {
    for server in sandboxed() {
        for (name, expected) in [
            ("/proc/1/x", "needs its own /proc"),
            ("/dev/null2", "needs its own /dev"),
            ("/usr/bin/env/x", "needs its own /usr/bin/env"),
        ] {
            let request = tree_request(
                "/c",
                &["cc", "-c", "a.c", "-o", "a.o"],
                &[Entry::File("/c/a.c", "true"), Entry::File(name, "x")],
            );
            assert_eq!(server.ask(Version::Pump, &request), None, "{name}");
            server.wait_for_log(expected);
        }
    }
}

/// A client that replaces what the compiler is made of only fools itself.
#[test]
fn a_clients_own_program_runs_nowhere() {
    for server in sandboxed() {
        let request = tree_request(
            "/c",
            &["cc", "-c", "a.c", "-o", "a.o"],
            &[
                Entry::File(
                    "/c/a.c",
                    "/c/run; /usr/lib/strange/run; echo a.o: > $deps; echo > $out",
                ),
                Entry::File("/c/run", "#!/bin/sh\necho ran\n"),
                Entry::File("/usr/lib/strange/run", "#!/bin/sh\necho ran\n"),
            ],
        );
        let reply = server.ask(Version::Pump, &request).unwrap();
        assert_eq!((reply.status, &*reply.stdout), (0, ""));
    }
}
