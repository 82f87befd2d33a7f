//! Signals: who gets them, and what is left afterwards.

use std::process::{Child, Command, ExitStatus};

use crate::installed::{DISTCCD, HOSTS, Installed};
use crate::support::{is_running, run, wait_until};

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
    // A shell's `trap ''` is inherited. Of children `pump` has to hear nevertheless.
    let pump = installed.tree.path("bin/pump");
    let script = format!(
        "trap '' INT CHLD; exec {} sh -c 'echo $$ >build; kill -INT $$; sleep 0.05; exit 4'",
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
