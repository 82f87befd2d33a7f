//! `pump`, run as a program: its sessions, messages and exit codes, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod support;

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use support::{Tree, is_running, run, wait_until};

/// A folder with our programs, stand-ins for the others, and nothing else in `PATH` but what
/// the scripts of these tests need.
struct Installed {
    tree: Tree,
    roots: Tree,
}

/// What a finished `pump` said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

const HOSTS: &str = "127.0.0.1:1/4,lzo,cpp";

/// Notes its arguments and process, and serves nothing until it is told to end.
const DISTCCD: &str = "[ -S /dev/stdin ] || exit 1\necho \"$$ $@\" >$TMPDIR/../distccd\n\
                       trap 'exit 0' TERM\nfor word; do :; done\necho $$ >$word\n\
                       while :; do sleep 0.02; done\n";

impl Installed {
    fn new() -> Self {
        let installed = Self {
            tree: Tree::new(&[
                ("tmp/x", ""),
                ("bin/x", ""),
                ("tools/x", ""),
                ("home/x", ""),
            ]),
            roots: Tree::new(&[]),
        };
        for folder in ["tmp", "bin", "tools", "home"] {
            installed.tree.remove(&format!("{folder}/x"));
        }
        for program in [
            env!("CARGO_BIN_EXE_pump"),
            env!("CARGO_BIN_EXE_include_server"),
        ] {
            let name = Path::new(program).file_name().unwrap().to_str().unwrap();
            let place = installed.tree.path(&format!("bin/{name}"));
            if fs::hard_link(program, &place).is_err() {
                fs::copy(program, &place).unwrap();
            }
        }
        for tool in ["sh", "sleep", "cat", "gcc", "ls", "touch"] {
            let path = ["/usr/bin", "/bin"]
                .iter()
                .map(|folder| Path::new(folder).join(tool))
                .find(|path| path.exists())
                .unwrap();
            symlink(path, installed.tree.path(&format!("tools/{tool}"))).unwrap();
        }
        installed.script("distcc", "for host in $DISTCC_HOSTS; do echo $host; done\n");
        installed
    }

    fn script(&self, name: &str, text: &str) {
        self.tree.script(&format!("bin/{name}"), text);
    }

    fn pump(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        // Tests that run in the background of a script inherit ignored signals.
        let mut command = Command::new("/usr/bin/env");
        command
            .arg("--default-signal=INT,QUIT")
            .arg(self.tree.path("bin/pump"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.tree.path("tools"))
            .env("HOME", self.tree.path("home"))
            .env("TMPDIR", self.tree.path("tmp"))
            .env("DISTCC_CLIENT_TMP", self.roots.path(""))
            .envs(environment.iter().copied())
            .current_dir(self.tree.path(""))
            .stdin(Stdio::null());
        command
    }

    /// Runs `pump` to its end.
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
        let output = run(&mut self.pump(arguments, environment));
        Said {
            code: output.status.code(),
            stdout: self.known(&output.stdout),
            stderr: self.known(&output.stderr),
        }
    }

    /// Starts `pump`, with outputs in files.
    fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Child {
        self.pump(arguments, environment)
            .stdout(File::create(self.tree.path("stdout")).unwrap())
            .stderr(File::create(self.tree.path("stderr")).unwrap())
            .spawn()
            .unwrap()
    }

    /// With names in place of what differs between runs.
    fn known(&self, text: &[u8]) -> String {
        String::from_utf8(text.to_vec())
            .unwrap()
            .replace(self.tree.path("").to_str().unwrap(), "TREE")
    }

    /// Nothing may be left, in no folder.
    fn check_clean(&self) {
        assert_eq!(self.tree.names("tmp"), Vec::<String>::new());
        assert_eq!(self.roots.names(""), Vec::<String>::new());
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

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
fn hosts_without_pump_mode_are_counted_or_refused() {
    let installed = Installed::new();
    let hosts = format!("{HOSTS} a,lzo b");
    let said = installed.run(&["sh", "-c", ":"], &[("DISTCC_HOSTS", &hosts)]);
    assert_eq!(
        said.stdout.lines().nth(1),
        Some("__________Using 3 distcc servers, of which only 1 support(s) pump mode")
    );
    let said = installed.run(&["touch", "ran"], &[("DISTCC_HOSTS", "a,lzo localhost")]);
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
    assert!(seen.starts_with("__________1 command in 0."), "{seen:?}");
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

/// A build that waits for signals, with a private server beside it. Returns the processes of
/// the build, the private server and the include server.
fn waiting_build(installed: &Installed, trap: &str) -> (Child, [i32; 3]) {
    installed.script("distccd", DISTCCD);
    let script = format!("{trap}; echo $$ >build; while :; do sleep 0.01; done");
    let environment = [("PUMP_PRIVATE_SERVER", "1"), ("INCLUDE_SERVER_ARGS", "-t")];
    let pump = installed.spawn(&["sh", "-c", &script], &environment);
    let number = |name: &str| {
        wait_until("the build runs", || {
            installed.tree.text(name).ends_with('\n')
        });
        let text = installed.tree.text(name);
        text.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (build, private_server) = (number("build"), number("distccd"));
    // The root of the copies is named after the include server.
    let root = installed.roots.names("").remove(0);
    let include_server = root.split('-').nth(1).unwrap().parse().unwrap();
    (pump, [build, private_server, include_server])
}

fn kill(signal: &str, pid: u32) {
    run(Command::new("kill").args([signal, &pid.to_string()]));
}

fn finish(installed: &Installed, mut pump: Child, processes: [i32; 3]) -> ExitStatus {
    let status = pump.wait().unwrap();
    for pid in processes {
        assert!(!is_running(pid), "{processes:?}: {pid}");
    }
    installed.check_clean();
    let stdout = installed.tree.text("stdout");
    let last = "__________Shutting down distcc-pump include server\n";
    assert!(stdout.ends_with(last), "{stdout}");
    status
}

#[test]
fn signals_reach_the_build_and_end_the_servers_after_it() {
    for (signal, number) in [("-TERM", 15), ("-HUP", 1), ("-INT", 2), ("-QUIT", 3)] {
        let installed = Installed::new();
        let (pump, processes) = waiting_build(&installed, ":");
        kill(signal, pump.id());
        let status = finish(&installed, pump, processes);
        assert_eq!(status.code(), Some(128 + number), "{signal}");
    }
}

#[test]
fn a_build_may_take_its_time_to_end() {
    let installed = Installed::new();
    let (pump, processes) = waiting_build(
        &installed,
        "trap 'sleep 0.2; [ -S $INCLUDE_SERVER_PORT ] && exit 5' TERM",
    );
    kill("-TERM", pump.id());
    kill("-TERM", pump.id());
    assert_eq!(finish(&installed, pump, processes).code(), Some(5));
}

#[test]
fn ignored_signals_stay_ignored() {
    let installed = Installed::new();
    // A shell's `trap ''` is inherited.
    let pump = installed.tree.path("bin/pump");
    let script = format!(
        "trap '' INT; exec {} sh -c 'echo $$ >build; kill -INT $$; sleep 0.05; exit 4'",
        pump.display()
    );
    let like_pump = installed.pump(&[], &[("DISTCC_HOSTS", HOSTS)]);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(script).env_clear();
    for (name, value) in like_pump.get_envs() {
        shell.env(name, value.unwrap());
    }
    let output = run(shell.current_dir(installed.tree.path("")));
    assert_eq!(output.status.code(), Some(4));
    installed.check_clean();
}

#[test]
fn a_signal_during_the_start_leaves_nothing() {
    for milliseconds in [0, 2, 5, 10, 20, 40] {
        let installed = Installed::new();
        installed.script("distccd", DISTCCD);
        let mut pump = installed.spawn(
            &["sh", "-c", "while :; do sleep 0.01; done"],
            &[("PUMP_PRIVATE_SERVER", "1")],
        );
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        kill("-TERM", pump.id());
        let status = pump.wait().unwrap();
        assert!(!status.success());
        installed.check_clean();
        let private_server = installed.tree.text("distccd");
        if let Some(pid) = private_server.split_whitespace().next() {
            assert!(!is_running(pid.parse().unwrap()));
        }
    }
}

#[test]
fn servers_end_with_a_pump_that_is_killed_and_leave_nothing() {
    let installed = Installed::new();
    let (mut pump, [build, private_server, include_server]) = waiting_build(&installed, ":");
    kill("-KILL", pump.id());
    pump.wait().unwrap();
    wait_until("the servers end", || {
        !is_running(private_server) && !is_running(include_server)
    });
    assert_eq!(installed.roots.names(""), Vec::<String>::new());
    assert_eq!(installed.tree.names("tmp"), Vec::<String>::new());
    kill("-KILL", u32::try_from(build).unwrap());
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
