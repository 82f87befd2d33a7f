//! A build under `pump`: what is said around it, and how it ends.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::installed::{HOSTS, Installed, lines};
use crate::support::{self, wait_until};

#[test]
fn a_build_runs_between_two_lines() {
    let installed = Installed::new();
    let script = "echo $INCLUDE_SERVER_PORT; echo $PATH; echo $DISTCC_HOSTS; \
                  echo ${INCLUDE_SERVER_PID-none} ${INCLUDE_SERVER_DIR-none}; \
                  [ -S $INCLUDE_SERVER_PORT ] && echo \"$#:$1\"; exit 7";
    let said = installed.run(
        &["sh", "-c", script, "sh", "a b"],
        &[("DISTCC_HOSTS", HOSTS)],
    );
    assert_eq!(said.code, Some(7), "{}", said.stderr);
    let socket = said.stdout.lines().nth(2).unwrap();
    assert!(socket.starts_with("TREE/tmp/distcc-pump.") && socket.ends_with("/socket"));
    assert_eq!(
        lines(&said.stdout),
        [
            "__________Using distcc-pump from TREE/bin",
            "__________Using 1 distcc server in pump mode",
            socket,
            "TREE/bin:TREE/tools",
            HOSTS,
            "none none",
            "1:a b",
            "__________Shutting down distcc-pump include server",
        ]
    );
    assert_eq!(said.stderr, "");
    installed.check_clean();
}

#[test]
fn lines_about_progress_can_be_silenced() {
    let installed = Installed::new();
    let environment = [
        ("DISTCC_HOSTS", HOSTS),
        ("DISTCC_TESTING_INCLUDE_SERVER", "1"),
    ];
    let said = installed.run(&["sh", "-c", "echo built"], &environment);
    assert_eq!(
        (said.code, &*said.stdout, &*said.stderr),
        (Some(0), "built\n", "")
    );
}

#[test]
fn the_exit_code_is_that_of_the_build() {
    let installed = Installed::new();
    installed.tree.write("plain", "text\n");
    for (command, code, message) in [
        (&["sh", "-c", "exit 0"][..], 0, ""),
        (
            &["sh", "-c", "kill -9 $$"],
            137,
            "TREE/bin/pump: sh: signal: 9 (SIGKILL)",
        ),
        (
            &["nosuchcommand"],
            127,
            "TREE/bin/pump: nosuchcommand: not found",
        ),
        (
            &["./plain"],
            126,
            "TREE/bin/pump: ./plain: Permission denied (os error 13)",
        ),
    ] {
        let said = installed.run(command, &[("DISTCC_HOSTS", HOSTS)]);
        assert_eq!(said.code, Some(code), "{command:?}");
        assert_eq!(said.stderr.trim_end(), message);
        let last = said.stdout.lines().last();
        assert_eq!(
            last,
            Some("__________Shutting down distcc-pump include server")
        );
    }
    installed.check_clean();
}

#[test]
fn what_is_set_wrongly_stops_before_the_first_line() {
    let installed = Installed::new();
    for (name, value, message) in [
        (
            "DISTCC_MAX_DISCREPANCY",
            "0",
            "TREE/bin/pump: Bad DISTCC_MAX_DISCREPANCY value: \"0\". Needs to be 1 or greater.\n",
        ),
        (
            "DISTCC_LOCATION",
            "/nonexistent",
            "TREE/bin/pump: error: can't find distcc (looked in /nonexistent)\n",
        ),
    ] {
        for task in [&["touch", "ran"][..], &["--startup"]] {
            let said = installed.run(task, &[("DISTCC_HOSTS", HOSTS), (name, value)]);
            assert_eq!((said.code, &*said.stdout), (Some(1), ""));
            assert_eq!(said.stderr, message);
        }
    }
    assert!(!installed.tree.path("ran").exists());
}

#[test]
fn an_include_server_that_does_not_start_stops_the_build() {
    let installed = Installed::new();
    for (name, value, message) in [
        ("INCLUDE_SERVER_ARGS", "--bogus", ""),
        (
            "INCLUDE_SERVER_ARGS",
            "'unclosed",
            "Could not understand INCLUDE_SERVER_ARGS",
        ),
        (
            "DISTCC_CLIENT_TMP",
            "/a/b/c",
            "at most two directory levels",
        ),
    ] {
        let said = installed.run(&["touch", "ran"], &[("DISTCC_HOSTS", HOSTS), (name, value)]);
        assert_eq!(said.code, Some(1));
        assert!(said.stderr.contains(message), "{}", said.stderr);
        let last = said.stderr.lines().last();
        assert_eq!(
            last,
            Some("__________Could not start distcc-pump include server")
        );
    }
    let said = installed.run(
        &["--startup"],
        &[("DISTCC_HOSTS", HOSTS), ("DISTCC_CLIENT_TMP", "")],
    );
    assert_eq!((said.code, &*said.stdout), (Some(1), ""));
    assert!(
        said.stderr
            .contains("DISTCC_CLIENT_TMP must start with '/'."),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr
            .contains("__________Expected a socket at 'TREE/tmp/distcc-pump.")
    );
    let said = installed.run(
        &["touch", "ran"],
        &[("DISTCC_HOSTS", HOSTS), ("TMPDIR", "/nonexistent")],
    );
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("Could not make temp \"distcc-pump\""));
    assert!(!installed.tree.path("ran").exists());
    installed.check_clean();
}

#[test]
fn include_server_arguments_go_through_a_shell() {
    let installed = Installed::new();
    let said = installed.run(
        &["sh", "-c", ":"],
        &[
            ("DISTCC_HOSTS", HOSTS),
            ("PYTHONOPTIMIZE", "2"),
            (
                "INCLUDE_SERVER_ARGS",
                "-t \"--stat_reset_triggers=*.h:a b\"",
            ),
        ],
    );
    assert_eq!(said.code, Some(0));
    let stderr = lines(&said.stderr);
    assert!(
        stderr[0].contains("--stat_reset_triggers is not needed"),
        "{stderr:?}"
    );
    assert!(stderr[1].starts_with("Elapsed: "), "{stderr:?}");
}

#[test]
fn an_option_that_pump_does_not_know_is_no_build() {
    let installed = Installed::new();
    for words in [&["--bogus"][..], &["-x", "make"], &["--startup", "make"]] {
        let said = installed.run(words, &[("DISTCC_HOSTS", HOSTS)]);
        assert_eq!(said.code, Some(1));
        assert_eq!(said.stdout, "");
        let start = format!("TREE/bin/pump: error: {} is no command", words[0]);
        assert!(said.stderr.starts_with(&start), "{}", said.stderr);
    }
    installed.check_clean();
}

#[test]
fn usage_is_printed_on_request() {
    let installed = Installed::new();
    for arguments in [&[][..], &["-h"], &["--help"]] {
        let said = installed.run(arguments, &[]);
        assert_eq!((said.code, &*said.stderr), (Some(0), ""));
        assert!(
            said.stdout
                .starts_with("Usage:\n    pump COMMAND [ARG...]\n")
        );
    }
}

#[test]
fn the_include_server_of_a_session_answers() {
    let installed = Installed::new();
    installed.tree.write("a.c", "#include \"a.h\"\n");
    installed.tree.write("a.h", "int a;\n");
    let mut pump = installed.spawn(
        &[
            "sh",
            "-c",
            "echo $INCLUDE_SERVER_PORT >port; while ! [ -e done ]; do sleep 0.01; done",
        ],
        &[("DISTCC_HOSTS", HOSTS)],
    );
    wait_until("the build runs", || {
        installed.tree.text("port").ends_with('\n')
    });
    let socket = PathBuf::from(installed.tree.text("port").trim_end());
    assert!(
        fs::symlink_metadata(&socket)
            .unwrap()
            .file_type()
            .is_socket()
    );
    let mut stream = UnixStream::connect(socket).unwrap();
    let query = protocol::include::Query {
        cwd: installed.tree.path("").into(),
        argv: support::words("gcc -c a.c", &[]),
    };
    std::io::Write::write_all(&mut stream, &query.encode()).unwrap();
    let limits = protocol::request::Limits::default();
    let paths = protocol::stream::read_answer(&mut stream, limits).unwrap();
    installed.tree.write("done", "");
    assert!(pump.wait().unwrap().success());
    let names: Vec<PathBuf> = paths
        .iter()
        .map(|path| protocol::include::client_name(path).unwrap().into())
        .collect();
    assert!(names.contains(&installed.tree.path("a.c")), "{names:?}");
    assert!(names.contains(&installed.tree.path("a.h")), "{names:?}");
    installed.check_clean();
}
