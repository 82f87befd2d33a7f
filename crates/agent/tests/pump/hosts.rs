//! Which hosts a build gets: those of a list, those that answer, or a private server.

use std::net::TcpStream;

use crate::installed::{DISTCCD, HOSTS, Installed, lines};
use crate::support::is_running;

#[test]
fn hosts_without_pump_mode_are_counted_or_refused() {
    let installed = Installed::new();
    let hosts = format!("{HOSTS} a,lzo b");
    let off = ("PUMP_ACTIONS", "0");
    for (variables, line) in [
        (
            &[("DISTCC_HOSTS", &*hosts), off][..],
            "__________Using 3 distcc servers, of which only 1 support(s) pump mode",
        ),
        (
            &[("DISTCC_HOSTS", &*hosts)],
            "__________Using 3 distcc servers, 1 listed for pump mode; each is asked whether it runs actions",
        ),
    ] {
        let said = installed.run(&["sh", "-c", ":"], variables);
        assert_eq!(said.stdout.lines().nth(1), Some(line));
    }
    let list = ("DISTCC_HOSTS", "a,lzo localhost");
    let said = installed.run(&["touch", "ran"], &[list, off]);
    assert_eq!(said.code, Some(1));
    assert_eq!(said.stdout, "__________Using distcc-pump from TREE/bin\n");
    assert_eq!(
        said.stderr,
        "TREE/bin/pump: error: pump mode requested, but distcc hosts list does not contain any \
         hosts with ',cpp' option\n(add ',cpp,lzo' to hosts, or set PUMP_PRIVATE_SERVER=1 to use \
         this machine alone)\n"
    );
    assert!(!installed.tree.path("ran").exists());
    installed.check_clean();
    // Any host may run actions; this one does not say.
    let said = installed.run(&["touch", "ran"], &[list]);
    assert_eq!(said.code, Some(0));
    assert_eq!(
        said.stderr,
        "TREE/bin/pump: Warning: no answer from a,lzo\n"
    );
    assert!(installed.tree.path("ran").exists());
}

#[test]
fn a_list_that_cannot_be_read_is_said_to_be_wrong_once() {
    let installed = Installed::new();
    installed.script("distcc", "echo what is wrong >&2\n");
    let said = installed.run(&["touch", "ran"], &[("DISTCC_HOSTS", "http://a:1")]);
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.stderr,
        "what is wrong\nTREE/bin/pump: error: the host list cannot be used (see 'distcc --show-hosts')\n"
    );
    installed.check_clean();
}

#[test]
fn potential_hosts_are_looked_for() {
    let installed = Installed::new();
    installed.script(
        "lsdistcc",
        "echo \"$@\" >lsdistcc-args; echo up1; echo up2:3633\n",
    );
    let said = installed.run(
        &["sh", "-c", "echo \"[$DISTCC_HOSTS]\""],
        &[
            ("DISTCC_POTENTIAL_HOSTS", "up1  up2 down"),
            ("LSDISTCC_ARGS", "-P3 -l"),
            ("DISTCC_HOSTS", "ignored"),
        ],
    );
    assert_eq!(
        lines(&said.stdout)[1..3],
        [
            "__________Found 2 available distcc servers",
            "[--randomize up1,cpp,lzo up2:3633,cpp,lzo]"
        ]
    );
    assert_eq!(
        installed.tree.text("lsdistcc-args"),
        "-c150 -P3 -l up1 up2 down\n"
    );
    // Finding none is no error.
    installed.script("lsdistcc", "exit 1\n");
    let said = installed.run(
        &["sh", "-c", "echo \"[$DISTCC_HOSTS]\""],
        &[("DISTCC_POTENTIAL_HOSTS", "a")],
    );
    assert_eq!(
        lines(&said.stdout)[1..3],
        [
            "__________Found 0 available distcc servers",
            "[--randomize ]"
        ]
    );
    assert_eq!(said.code, Some(0));
    installed.check_clean();
}

#[test]
fn a_private_server_takes_the_place_of_hosts() {
    let installed = Installed::new();
    installed.script("distccd", DISTCCD);
    let environment = [("PUMP_PRIVATE_SERVER", "1"), ("DISTCC_HOSTS", "ignored")];
    let script = "cat distccd; echo $DISTCC_HOSTS";
    let said = installed.run(&["sh", "-c", script], &environment);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let said_lines = lines(&said.stdout);
    let (line, called, hosts) = (said_lines[1], said_lines[2], said_lines[3]);
    let port = hosts
        .strip_prefix("127.0.0.1:")
        .and_then(|rest| rest.split_once('/'))
        .unwrap();
    let jobs = port.1.strip_suffix(",lzo,cpp").unwrap();
    assert_eq!(
        line,
        format!(
            "__________Using a private server on this machine (127.0.0.1:{}, {jobs} jobs)",
            port.0
        )
    );
    let (pid, arguments) = called.split_once(' ').unwrap();
    let (arguments, log) = arguments.split_once("--log-file ").unwrap();
    assert_eq!(
        arguments,
        format!("--no-detach --same-user --log-level info --jobs {jobs} ")
    );
    let (log, pid_file) = log.split_once(" --pid-file ").unwrap();
    assert!(log.starts_with("TREE/tmp/distcc-pump.") && log.ends_with("/distccd.log"));
    assert_eq!(pid_file.strip_suffix(".pid"), log.strip_suffix(".log"));
    assert!(!is_running(pid.parse().unwrap()));
    assert!(TcpStream::connect(("127.0.0.1", port.0.parse().unwrap())).is_err());
    installed.check_clean();
}

#[test]
fn a_private_server_can_be_for_others() {
    let installed = Installed::new();
    installed.script("distccd", DISTCCD);
    let said = installed.run(&["--startup"], &[("PUMP_PRIVATE_SERVER", "1")]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stderr.starts_with("__________Using a private server"),
        "{}",
        said.stderr
    );
    let value = |name: &str| {
        said.stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("export {name}='")))
            .map(|value| value.trim_end_matches('\''))
            .map(|value| value.replace("TREE", installed.tree.path("").to_str().unwrap()))
            .unwrap_or_else(|| panic!("{name}: {}", said.stdout))
    };
    let (pid, server) = (
        value("PUMP_PRIVATE_SERVER_PID"),
        value("INCLUDE_SERVER_PID"),
    );
    let hosts = value("DISTCC_HOSTS");
    let address = hosts.split_once('/').unwrap().0;
    assert!(TcpStream::connect(address).is_ok(), "{address}");
    let folder = value("INCLUDE_SERVER_DIR");
    let said = installed.run(
        &["--shutdown"],
        &[
            ("PUMP_PRIVATE_SERVER_PID", &pid),
            ("INCLUDE_SERVER_PID", &server),
            ("INCLUDE_SERVER_DIR", &folder),
        ],
    );
    assert_eq!(said.code, Some(0));
    assert!(!is_running(pid.parse().unwrap()) && !is_running(server.parse().unwrap()));
    assert!(TcpStream::connect(address).is_err());
    installed.check_clean();
}

#[test]
fn a_private_server_that_does_not_start_stops_the_build() {
    let installed = Installed::new();
    let environment = [("PUMP_PRIVATE_SERVER", "1")];
    let said = installed.run(&["touch", "ran"], &environment);
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr
            .contains("expected environment variables \"DISTCC_HOSTS\" or")
    );
    installed.script(
        "distccd",
        "for word; do :; done; echo 'no such luck' >${word%.pid}.log; exit 3\n",
    );
    let said = installed.run(&["touch", "ran"], &environment);
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.stderr,
        "TREE/bin/pump: error: cannot start a private server: exit status: 3: no such luck\n"
    );
    assert!(!installed.tree.path("ran").exists());
    installed.check_clean();
}
