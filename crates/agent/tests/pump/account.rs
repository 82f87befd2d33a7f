//! What `pump` tells of the compiles below it: at the end, and while they run.

use std::process::{Command, Stdio};

use crate::installed::{HOSTS, Installed, lines};
use crate::support::run;

#[test]
fn failed_compiles_are_told_at_the_end() {
    let installed = Installed::new();
    let count = "printf @@ >${INCLUDE_SERVER_PORT%/socket}/discrepancy_counter";
    let stderr = |limit| {
        let environment = [("DISTCC_HOSTS", HOSTS), ("DISTCC_MAX_DISCREPANCY", limit)];
        installed.run(&["sh", "-c", count], &environment).stderr
    };
    assert_eq!(
        lines(&stderr("3")),
        [
            "__________Warning: 2 pump-mode compilation(s) failed on server, but succeeded locally.",
            "See the Distcc Discrepancy Symptoms section in the include_server(1) man page.",
        ]
    );
    assert_eq!(
        lines(&stderr("2"))[1],
        "__________Distcc-pump was demoted to plain mode."
    );
    installed.check_clean();
}

#[test]
fn compiles_that_the_engine_refused_are_told_at_the_end() {
    let installed = Installed::new();
    let tell = "echo 1 compile needed a list >${INCLUDE_SERVER_PORT%/socket}/refusals";
    let stderr = |script| {
        let said = installed.run(&["sh", "-c", script], &[("DISTCC_HOSTS", HOSTS)]);
        said.stderr
    };
    assert_eq!(stderr(tell), "__________1 compile needed a list\n");
    assert_eq!(stderr(":"), "");
    installed.check_clean();
}

#[test]
fn what_became_of_commands_is_told_at_the_end() {
    let installed = Installed::new();
    let ran = "printf 'pump 0 2048 4096 a:1\\nhere 0 0 0 two input files\\n' \
               >>${INCLUDE_SERVER_PORT%socket}commands";
    let environment = [("DISTCC_HOSTS", HOSTS)];
    let said = installed.run(&["sh", "-c", ran], &environment);
    let told = lines(&said.stdout);
    assert_eq!(told.len(), 5, "{told:#?}");
    assert!(
        told[2].starts_with("__________2 commands in ")
            && told[2].ends_with(" s: 1 on 1 server, 1 here; 2.0 KiB sent, 4.0 KiB received"),
        "{}",
        told[2]
    );
    assert_eq!(told[3], "__________Here because: 1 x two input files");
    assert_eq!(said.stderr, "");
    let said = installed.run(
        &["sh", "-c", ran],
        &[environment[0], ("DISTCC_TESTING_INCLUDE_SERVER", "1")],
    );
    assert_eq!((said.stdout, said.stderr), (String::new(), String::new()));
    installed.check_clean();
}

#[test]
fn what_becomes_of_commands_is_told_on_request_while_they_run() {
    let installed = Installed::new();
    // It waits until it is told of.
    let build = "echo pump 0 1 1 a >>${INCLUDE_SERVER_PORT%socket}commands; \
                 while ! [ -s stderr ]; do sleep 0.02; done; cat stderr >seen";
    let environment = [("DISTCC_HOSTS", HOSTS), ("PUMP_PROGRESS", "0.02")];
    let mut pump = installed.spawn(&["sh", "-c", build], &environment);
    assert!(pump.wait().unwrap().success());
    let seen = installed.tree.text("seen");
    assert!(seen.starts_with("__________1 command in "), "{seen:?}");
    // Once: nothing has happened since.
    assert_eq!(lines(&installed.tree.text("stderr")).len(), 1);
    installed.check_clean();
}

#[test]
fn on_a_terminal_a_line_about_progress_takes_the_place_of_the_builds_own() {
    let installed = Installed::new();
    // `script` gives it a terminal, and writes down at once what appears there.
    let build = "echo pump 0 1 1 a >>${INCLUDE_SERVER_PORT%socket}commands; printf [1/2]; \
                 while :; do case $(cat seen) in *1\\ command*) exit;; esac; sleep 0.02; done";
    let pump = installed.tree.path("bin/pump");
    let mut script = Command::new("/usr/bin/script");
    script
        .args([
            "-qefc",
            &format!("{} sh -c '{build}'", pump.display()),
            "seen",
        ])
        .current_dir(installed.tree.path(""))
        .env_clear()
        .env("PATH", installed.tree.path("tools"))
        .env("SHELL", "/bin/sh")
        .env("TMPDIR", installed.tree.path("tmp"))
        .env("DISTCC_CLIENT_TMP", installed.roots.path(""))
        .env("DISTCC_HOSTS", HOSTS)
        .env("PUMP_PROGRESS", "0.02")
        .stdin(Stdio::null());
    let output = run(&mut script);
    let seen = installed.tree.text("seen");
    assert!(output.status.success(), "{seen}");
    assert!(
        seen.contains("[1/2]\r\x1b[K__________1 command in "),
        "{seen:?}"
    );
    installed.check_clean();
}
