//! What users and scripts rely on, as distcc's own test-suite has it, of 3.4 and of ours alike.
//!
//! Each check runs against the packaged programs, too: so it says what is true of 3.4, and ours
//! must do the same.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use end_to_end::client::Client;
use end_to_end::port::Port;
use end_to_end::programs::{Side, command, ours, packaged};
use end_to_end::run::{Done, is_alive, run, wait_until};
use end_to_end::server::Setup;
use end_to_end::tree::Tree;
use rustix::process::{Pid, Signal, kill_process};

/// Makes two tests of a function of a [`Side`].
macro_rules! of_both {
    ($($name:ident)*) => {
        mod ours {
            $(#[test] fn $name() { super::$name(end_to_end::programs::Side::Ours); })*
        }
        mod packaged {
            $(#[test] fn $name() { super::$name(end_to_end::programs::Side::Packaged); })*
        }
    };
}

of_both! {
    mistakes_in_the_servers_options
    a_daemon_listens_when_its_command_returns
    a_taken_port_is_said_by_the_code
    exit_codes_are_those_of_the_compiler
    a_local_command_does_not_show_distcc
    several_sources_and_a_link
    the_users_umask_counts
    a_server_that_is_not_there
    a_server_that_denies
    no_hosts_at_all
    a_list_of_hosts_with_a_mistake
    hosts_from_a_file
    a_compiler_that_nobody_has
    a_log_file_that_cannot_be
    an_error_leaves_no_object
    implicit_compiler
    very_long_sources
    hosts_that_answer_are_listed
}

/// A folder with a source and a preprocessed source.
fn sources() -> Tree {
    let tree = Tree::new();
    tree.write("a.c", "int f(void) { return 3; }\n");
    tree.write("x.i", "int f(void) { return 3; }\n");
    tree
}

fn distcc(client: &Client, tree: &Tree, line: &str) -> Done {
    let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    run(&mut client.distcc(&words, &tree.path()))
}

fn mistakes_in_the_servers_options(side: Side) {
    let tree = Tree::new();
    let pid_file = format!("--pid-file={}", tree.join("pid").display());
    for words in [
        &["--bogus-option"][..],
        &["--port", "80000", "--daemon"],
        &["--jobs", "0", "--daemon"],
        &["--allow", "1.2.3.4/40", "--daemon"],
        &["--allow", "1.2.3.4.5.6.7/8", "--daemon"],
    ] {
        let done = run(command(side.distccd()).args(words).arg(&pid_file));
        assert_eq!(done.code(), 101, "{words:?}: {}", done.explain());
    }
    assert!(!tree.join("pid").exists());
}

fn a_daemon_listens_when_its_command_returns(side: Side) {
    let folder = Tree::for_everybody();
    let start = |port: u16| {
        let mut distccd = command(side.distccd());
        distccd
            .args([
                "--verbose",
                "--lifetime=300",
                "--daemon",
                "--enable-tcp-insecure",
            ])
            .args(["--listen=127.0.0.1", "--allow=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--log-file={}", folder.join("log").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .env("TMPDIR", folder.path());
        run(&mut distccd)
    };
    let kept = Port::keep();
    let port = kept.number;
    start(port).expect_success();
    let pid = fs::read_to_string(folder.join("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();

    let tree = sources();
    let client = Client::of(side, &format!("127.0.0.1:{port}"));
    let done = distcc(&client, &tree, "gcc -c a.c -o a.o");
    kill_process(pid, Signal::TERM).unwrap();
    done.expect_success();
    wait_until(
        || (!is_alive(pid)).then_some(()),
        || "the daemon does not end".into(),
    );
    assert!(!folder.join("pid").exists());
}

fn a_taken_port_is_said_by_the_code(side: Side) {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut distccd = command(side.distccd());
    distccd.args([
        "--daemon",
        "--no-detach",
        "--listen=127.0.0.1",
        "--allow=127.0.0.1",
    ]);
    distccd.args(["--enable-tcp-insecure", "--log-stderr"]);
    let done = run(distccd.arg(format!("--port={port}")));
    assert_eq!(done.code(), 102, "{}", done.explain());
}

fn exit_codes_are_those_of_the_compiler(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    let client = Client::of(side, &server.host(1)).with_fallback();
    for (line, code) in [
        ("gcc --bogus-option", 1),
        ("true -c x.i", 0),
        ("false -c x.i", 1),
        ("gcc -c missing.c", 1),
        ("gcc", 1),
    ] {
        let done = distcc(&client, &tree, line);
        assert_eq!(done.code(), code, "{line}: {}", done.explain());
    }
}

fn a_local_command_does_not_show_distcc(side: Side) {
    let tree = sources();
    let done = distcc(&Client::of(side, "localhost"), &tree, "gcc --help");
    let (stdout, stderr) = done.expect_success().text();
    assert!(stdout.starts_with("Usage: "), "{stdout}");
    assert!(!stdout.contains("distcc") && stderr.is_empty(), "{stderr}");
}

fn several_sources_and_a_link(side: Side) {
    let server = Setup::of(side).start();
    let client = Client::of(side, &server.host(1));
    let tree = Tree::new();
    tree.write(
        "one.c",
        "int two(void);\nint main(void) { return two() - 3; }\n",
    );
    tree.write("two.c", "int two(void) { return 3; }\n");
    for line in ["gcc -c one.c two.c", "gcc -o program one.o two.o"] {
        let done = distcc(&client, &tree, line).expect_success();
        assert_eq!(done.text(), Default::default(), "{line}");
    }
    run(&mut command(tree.join("program"))).expect_success();
}

fn the_users_umask_counts(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    let client = Client::of(side, &server.host(1));
    for (umask, mode) in [("0", 0o666), ("077", 0o600)] {
        let mut shell = client.command("sh", &tree.path());
        shell
            .arg("-c")
            .arg(format!("umask {umask}; exec \"$0\" gcc -c a.c -o a.o"));
        run(shell.arg(side.distcc())).expect_success();
        let metadata = fs::metadata(tree.join("a.o")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "umask {umask}");
        fs::remove_file(tree.join("a.o")).unwrap();
    }
    server.expect_jobs("COMPILE_OK", 2);
}

fn a_server_that_is_not_there(side: Side) {
    let tree = sources();
    for host in ["no-such-host.invalid", "127.0.0.1:1", "127.0.0.1:1,lzo"] {
        let log = tree.join("log");
        let client = Client::of(side, host)
            .with_fallback()
            .with("DISTCC_LOG", &log);
        distcc(&client, &tree, "gcc -c a.c -o a.o").expect_success();
        let said = fs::read_to_string(&log).unwrap();
        assert!(
            said.contains("failed to distribute") && said.contains("running locally instead"),
            "{said}"
        );
        fs::remove_file(tree.join("a.o")).unwrap();
        fs::remove_file(log).unwrap();

        let done = distcc(&Client::of(side, host), &tree, "gcc -c a.c -o a.o");
        assert_ne!(done.code(), 0, "{}", done.explain());
        assert!(!tree.join("a.o").exists());
    }
}

fn a_server_that_denies(side: Side) {
    let tree = sources();
    let server = Setup::of(side).allow("127.0.0.2").start();
    let log = tree.join("log");
    let client = Client::of(side, &server.host(1))
        .with_fallback()
        .with("DISTCC_LOG", &log);
    distcc(&client, &tree, "gcc -c a.c -o a.o").expect_success();
    assert!(
        fs::read_to_string(log)
            .unwrap()
            .contains("failed to distribute")
    );
    assert!(tree.join("a.o").exists());
    wait_until(
        || server.log().contains("denied by access list").then_some(()),
        || server.log(),
    );
}

fn no_hosts_at_all(side: Side) {
    let tree = sources();
    let done = distcc(
        &Client::of(side, "").with_fallback(),
        &tree,
        "gcc -c a.c -o a.o",
    );
    let (_, stderr) = done.expect_success().text();
    assert!(
        stderr.contains("Warning: $DISTCC_HOSTS contained no hosts; can't distribute work"),
        "{stderr}"
    );
    assert!(tree.join("a.o").exists());
}

fn a_list_of_hosts_with_a_mistake(side: Side) {
    let tree = sources();
    for hosts in [
        "@", ":", "user@", "angry::", ":4200", "a/x", "a,foo", "a,cpp",
    ] {
        let client = Client::of(side, hosts).with_fallback();
        let (_, stderr) = distcc(&client, &tree, "gcc -c a.c -o a.o")
            .expect_success()
            .text();
        assert!(stderr.contains("ERROR: "), "{hosts:?}: {stderr}");
        fs::remove_file(tree.join("a.o")).unwrap();
    }
}

fn hosts_from_a_file(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    let client = Client::of(side, "");
    let list = format!("# A comment\n{}   # and another\n", server.host(2));
    fs::write(client.distcc_dir().join("hosts"), list).unwrap();
    let argv = ["gcc", "-c", "a.c", "-o", "a.o"].map(OsString::from);
    let mut compile = client.distcc(&argv, &tree.path());
    run(compile.env_remove("DISTCC_HOSTS")).expect_success();
    server.expect_jobs("COMPILE_OK", 1);
}

fn a_compiler_that_nobody_has(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    let done = distcc(
        &Client::of(side, &server.host(1)),
        &tree,
        "no-such-gcc -c x.i",
    );
    assert_eq!(done.code(), 110, "{}", done.explain());
    assert!(
        done.text().1.contains("failed to exec"),
        "{}",
        done.explain()
    );
}

fn a_log_file_that_cannot_be(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    let client = Client::of(side, &server.host(1)).with("DISTCC_LOG", "/no/such/folder/log");
    let (_, stderr) = distcc(&client, &tree, "gcc -c a.c -o a.o")
        .expect_success()
        .text();
    assert!(stderr.contains("failed to open logfile"), "{stderr}");
}

fn an_error_leaves_no_object(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    tree.write("e.c", "int f(void) { return missing; }\n");
    let client = Client::of(side, &server.host(1));
    let done = distcc(&client, &tree, "gcc -c e.c");
    assert_eq!(done.code(), 1);
    let (stdout, stderr) = done.text();
    assert!(
        stderr.contains("e.c:1:") && stderr.contains("error:"),
        "{stderr}"
    );
    assert_eq!(stdout, "");
    assert!(!tree.join("e.o").exists());
}

fn implicit_compiler(side: Side) {
    let (server, tree) = (Setup::of(side).start(), sources());
    let client = Client::of(side, &server.host(1));
    for line in ["-c a.c", "a.c -c", "-O2 -c x.i"] {
        distcc(&client, &tree, line).expect_success();
    }
    server.expect_jobs("COMPILE_OK", 3);
}

fn very_long_sources(side: Side) {
    let (server, tree) = (Setup::of(side).start(), Tree::new());
    let lines: String = (0..200_000)
        .map(|n| format!("int long_name_{n};\n"))
        .collect();
    tree.write("long.c", lines);
    for protocol in [1, 2] {
        let client = Client::of(side, &server.host(protocol));
        distcc(&client, &tree, "gcc -c long.c -o long.o").expect_success();
    }
    server.expect_jobs("COMPILE_OK", 2);
}

fn hosts_that_answer_are_listed(side: Side) {
    let server = Setup::of(side).start();
    let port = server.address().port();
    let lsdistcc = match side {
        Side::Ours => ours("lsdistcc"),
        Side::Packaged => packaged("lsdistcc"),
    };
    let list = |words: &[&str]| {
        let mut list = command(&lsdistcc);
        // By default a busy machine has less than two seconds.
        list.args(["-t60", "-c20000", "-k20000", "-h20000"]);
        list.arg(format!("-r{port}")).args(words);
        run(list.current_dir(Path::new("/")))
    };
    let (stdout, stderr) = list(&["localhost", "127.0.0.1", "no-such-host.invalid"])
        .expect_success()
        .text();
    let mut names: Vec<&str> = stdout.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [format!("127.0.0.1:{port}"), format!("localhost:{port}")]
    );
    assert_eq!(stderr, "");

    let done = list(&["-P3", "-pgcc", "127.0.0.1"]).expect_success();
    assert_eq!(done.text().0, format!("127.0.0.1:{port},lzo,cpp\n"));
    let help = run(command(&lsdistcc).arg("--help"));
    assert_eq!(help.code(), 1);
    assert!(help.text().0.contains("Usage:"));
}
