//! `pump --startup` and `--shutdown`: a session for other commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::installed::{HOSTS, Installed, lines};
use crate::support::is_running;

#[test]
fn a_started_session_is_for_others() {
    let installed = Installed::new();
    let said = installed.run(&["--startup"], &[("DISTCC_HOSTS", HOSTS)]);
    assert_eq!((said.code, &*said.stderr), (Some(0), ""));
    let mut names = Vec::new();
    let mut values = Vec::new();
    for line in said.stdout.lines() {
        let (name, value) = line
            .strip_prefix("export ")
            .and_then(|line| line.strip_suffix('\'')?.split_once("='"))
            .unwrap_or_else(|| panic!("{line}"));
        names.push(name);
        values.push(value.replace("TREE", installed.tree.path("").to_str().unwrap()));
    }
    assert_eq!(
        names,
        [
            "INCLUDE_SERVER_PID",
            "INCLUDE_SERVER_DIR",
            "INCLUDE_SERVER_PORT",
            "INCLUDE_SERVER_ENGINES",
            "DISTCC_HOSTS",
            "PATH"
        ]
    );
    assert_eq!(values[2], format!("{}/socket", values[1]));
    assert_eq!(values[3], HOSTS);
    let mode = fs::metadata(&values[1]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(UnixStream::connect(&values[2]).is_ok());
    let pid = values[0].parse().unwrap();
    assert!(is_running(pid));

    // Another process may have got the number: it is left alone.
    let environment = [
        (
            "INCLUDE_SERVER_DIR",
            installed.tree.path("home").display().to_string(),
        ),
        ("INCLUDE_SERVER_PID", values[0].clone()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(a, b)| (*a, &**b)).collect();
    let said = installed.run(&["--shutdown"], &environment);
    assert_eq!((said.code, &*said.stdout), (Some(0), ""));
    assert!(is_running(pid));

    fs::write(Path::new(&values[1]).join("stdout"), "figures\n").unwrap();
    fs::write(Path::new(&values[1]).join("discrepancy_counter"), "@").unwrap();
    fs::write(Path::new(&values[1]).join("refusals"), "1 refusal\n").unwrap();
    fs::write(Path::new(&values[1]).join("commands"), "pump 0 1 1 a\n").unwrap();
    let environment = [
        ("INCLUDE_SERVER_PID", &*values[0]),
        ("INCLUDE_SERVER_DIR", &values[1]),
    ];
    let said = installed.run(&["--shutdown"], &environment);
    assert_eq!(said.code, Some(0));
    let (first, rest) = said.stdout.split_once('\n').unwrap();
    assert!(first.starts_with("__________1 command in "), "{first}");
    assert_eq!(
        rest,
        "__________Shutting down distcc-pump include server\nfigures\n"
    );
    assert!(
        said.stderr.contains("__________Warning: 1 "),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.starts_with("__________1 refusal\n"),
        "{}",
        said.stderr
    );
    assert!(!is_running(pid));
    installed.check_clean();
    // Once more, and without any session, there is nothing to do.
    for environment in [&environment[..], &[]] {
        let said = installed.run(&["--shutdown"], environment);
        assert_eq!(
            (said.code, said.stdout, said.stderr),
            (Some(0), String::new(), String::new())
        );
    }
}

#[test]
fn a_shell_can_evaluate_a_started_session() {
    let installed = Installed::new();
    let odd = "127.0.0.1:1,lzo,cpp it's";
    let script = format!(
        "eval \"$({0} --startup)\" && [ -S $INCLUDE_SERVER_PORT ] && echo \"$DISTCC_HOSTS\"; \
         {0} --shutdown; [ -e $INCLUDE_SERVER_DIR ] || echo gone",
        installed.tree.path("bin/pump").display()
    );
    // The script's environment is that of `pump`.
    let said = installed.run(&["sh", "-c", &script], &[("DISTCC_HOSTS", odd)]);
    assert_eq!(
        lines(&said.stdout)[2..5],
        [
            odd,
            "__________Shutting down distcc-pump include server",
            "gone"
        ]
    );
    installed.check_clean();
}
