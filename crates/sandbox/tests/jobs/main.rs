//! Jobs in a sandbox: what they see, what they may, how they end. In namespaces, and where it
//! means the same with Landlock.
//!
//! This program is its own helper, so it cannot leave `main` to the test harness.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]
#![allow(clippy::print_stdout, reason = "this is a test harness")]

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

mod bench;
mod successors;
mod trees;
mod writable;

use bench::{Bench, check};
use sandbox::{Ended, Job, Mode, OUT};

const BOTH: [Mode; 2] = [Mode::Namespaces, Mode::Landlock];
const DONE: u32 = 0;

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    if let Some(code) = sandbox::helper_main(first.as_deref()) {
        return code;
    }
    let tests: &[(&str, fn())] = &[
        (
            "status_output_and_environment",
            status_output_and_environment,
        ),
        (
            "results_come_through_a_descriptor",
            results_come_through_a_descriptor,
        ),
        ("the_machine_is_not_seen", the_machine_is_not_seen),
        ("system_calls_are_filtered", system_calls_are_filtered),
        ("nobody_is_listened_to", nobody_is_listened_to),
        ("there_is_no_network", there_is_no_network),
        (
            "trees_stand_where_they_belong",
            trees::trees_stand_where_they_belong,
        ),
        ("trees_meet_the_machine", trees::trees_meet_the_machine),
        (
            "a_clients_folder_hides_no_programs_below_it",
            trees::a_clients_folder_hides_no_programs_below_it,
        ),
        (
            "what_does_not_fit_is_refused",
            trees::what_does_not_fit_is_refused,
        ),
        (
            "what_is_written_comes_back_and_inputs_stay",
            writable::what_is_written_comes_back_and_inputs_stay,
        ),
        (
            "folders_that_are_none_are_refused",
            writable::folders_that_are_none_are_refused,
        ),
        (
            "nothing_writes_any_more_when_the_job_is_over",
            writable::nothing_writes_any_more_when_the_job_is_over,
        ),
        (
            "a_job_may_bring_all_that_there_is",
            writable::a_job_may_bring_all_that_there_is,
        ),
        ("too_many_processes", too_many_processes),
        ("too_much_memory", too_much_memory),
        ("too_much_shared_memory", too_much_shared_memory),
        ("too_many_messages", too_many_messages),
        ("too_large_files", too_large_files),
        ("nothing_outlives_a_job", nothing_outlives_a_job),
        (
            "the_next_job_finds_nothing_of_the_last",
            successors::the_next_job_finds_nothing_of_the_last,
        ),
        (
            "the_next_job_is_after_whatever_became_of_the_last",
            successors::the_next_job_is_after_whatever_became_of_the_last,
        ),
        ("a_dead_helper_is_replaced", a_dead_helper_is_replaced),
        ("what_cannot_be_started", what_cannot_be_started),
        ("many_at_once", many_at_once),
    ];
    // As with any harness, an argument chooses.
    let chosen = |name: &str| {
        first
            .as_ref()
            .is_none_or(|part| name.contains(&*part.to_string_lossy()))
    };
    let mut passed = 0;
    for (name, test) in tests.iter().filter(|(name, _)| chosen(name)) {
        test();
        passed += 1;
        println!("test {name} ... ok");
    }
    // All of it once more without root's rights.
    if first.is_none() && rustix::process::getuid().is_root() {
        as_nobody();
        println!("test all_of_it_as_nobody ... ok");
        passed += 1;
    }
    println!("\ntest result: ok. {passed} passed; 0 failed; 0 ignored");
    ExitCode::SUCCESS
}

fn as_nobody() {
    // The program may lie where only root can see it.
    let folder = tempfile::tempdir().unwrap();
    let everybody = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path(), everybody).unwrap();
    let program = folder.path().join("jobs");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(program)
        .uid(65534)
        .gid(65534)
        .env("TMPDIR", "/tmp")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn status_output_and_environment() {
    for mode in BOTH {
        let bench = Bench::new(mode);
        for (script, expected) in [("exit 42", 42 << 8), ("kill -SEGV $$", 11), ("true", 0)] {
            let (ended, _) = bench.script(script);
            assert!(
                matches!(ended, Ended::Normally { status, .. } if status == expected),
                "{script}: {ended:?}"
            );
        }
        // The shell sets some by itself.
        check(
            &bench,
            "echo out; echo err >&2; env | sort",
            "out\nerr\nPATH=/usr/bin:/bin\nPWD=/tmp\n",
        );
    }
}

fn results_come_through_a_descriptor() {
    let bench = Bench::new(Mode::Namespaces);
    let script = format!("echo result > {OUT}/r; ln -s /etc/shadow {OUT}/l");
    let (Ended::Normally { out: Some(out), .. }, _) = bench.script(&script) else {
        panic!("no results");
    };
    let open = |name| {
        let flags = rustix::fs::OFlags::NOFOLLOW;
        rustix::fs::openat(&out, name, flags, rustix::fs::Mode::empty())
    };
    let mut text = String::new();
    File::from(open("r").unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "result\n");
    assert!(open("l").is_err());
    // Another job starts with an empty folder.
    check(
        &bench,
        &format!("ls -A {OUT} /tmp"),
        "/tmp:\n.distccd\n\n/tmp/.distccd:\n",
    );
}

fn the_machine_is_not_seen() {
    for mode in BOTH {
        let bench = Bench::new(mode);
        let secret = bench.scratch.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let script = format!(
            "for file in {} /etc/passwd /etc/shadow /root/.profile /proc/1/environ /proc/1/maps \
             /proc/kallsyms /proc/sys/kernel/hostname /sys/kernel/uevent_seqnum /dev/vda /dev/mem \
             /dev/tty; do head -c 1 \"$file\" 2>/dev/null && echo \"$file\"; done; \
             ls -A /root /home /var /sys 2>/dev/null; true",
            secret.display()
        );
        check(&bench, &script, "");
        let script = "for folder in /usr /etc /dev / /lib; do \
                      (echo > $folder/new) 2>/dev/null && [ $folder != / ] && echo $folder; done; true";
        check(&bench, script, "");
        let open_files = bench.script("ls /proc/self/fd /dev/fd 2>/dev/null").1;
        // `ls` itself has opened the fourth.
        assert!(
            ["", "0\n1\n2\n3\n"].contains(&&*open_files.replace("/proc/self/fd:\n", "")),
            "{open_files}"
        );
    }
}

fn system_calls_are_filtered() {
    for mode in BOTH {
        let bench = Bench::new(mode);
        for script in [
            "unshare -U true",
            "unshare -Urm true",
            "mount -t tmpfs x /tmp",
            "chroot / true",
            "strace true",
            "mknod /tmp/d c 1 3",
            "umount /usr",
            "nsenter -t 1 -a true",
            "python3 -c 'import socket; socket.socket()'",
            "python3 -c 'import os; os.memfd_create(\"x\")'",
            "ipcmk -M 1000",
            "ipcmk -Q",
            "ipcmk -S 1",
            "python3 -c 'import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0)' && false",
        ] {
            let (ended, output) = bench.script(script);
            assert!(
                !matches!(ended, Ended::Normally { status: DONE, .. }),
                "{script}: {output}"
            );
        }
        check(
            &bench,
            "mkfifo /tmp/f 2>/dev/null; unshare -h > /dev/null && echo found",
            "found\n",
        );
        check(
            &bench,
            "grep -E '^(NoNewPrivs|CapEff|CapPrm)' /proc/self/status 2>/dev/null | tr -d '\\t\\n'; true",
            if mode == Mode::Namespaces {
                "CapPrm:0000000000000000CapEff:0000000000000000NoNewPrivs:1"
            } else {
                ""
            },
        );
    }
}

fn nobody_is_listened_to() {
    let listen = "python3 -c 'import fcntl, os
folder = os.open(\"/usr\", 0)
for command in fcntl.F_NOTIFY, fcntl.F_SETLEASE:
    try: fcntl.fcntl(folder, command, 1)
    except OSError as error: print(error.errno)
print(fcntl.fcntl(folder, fcntl.F_GETFD))'";
    for mode in BOTH {
        check(&Bench::new(mode), listen, "22\n22\n1\n");
    }
}

fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for mode in BOTH {
        let script = format!(
            "bash -c 'echo > /dev/tcp/127.0.0.1/{port}' 2>/dev/null && echo connected; true"
        );
        check(&Bench::new(mode), &script, "");
    }
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err());
}

fn too_many_processes() {
    let bench = Bench::new(Mode::Namespaces);
    let script = "for i in $(seq 100); do sleep 100 & done; true";
    let (ended, output) = bench.script(script);
    if rustix::process::getuid().is_root() {
        // The kernel does not count root's, so this job ends before anybody looks.
        assert!(
            matches!(ended, Ended::Normally { .. } | Ended::Exceeded(_)),
            "{ended:?}"
        );
        let (ended, _) = bench.script(&format!("{script}; sleep 100"));
        assert!(
            matches!(&ended, Ended::Exceeded(what) if what.contains("processes")),
            "{ended:?}"
        );
    } else {
        assert!(
            matches!(ended, Ended::Normally { status, .. } if status != DONE),
            "{ended:?}"
        );
        assert!(output.contains("fork"), "{output}");
    }
}

fn too_much_memory() {
    // One process by itself: the kernel refuses.
    for mode in BOTH {
        let (ended, _) =
            Bench::new(mode).script("head -c 300000000 /dev/zero | tail -n 1 > /dev/null");
        assert!(
            matches!(ended, Ended::Normally { status, .. } if status != DONE),
            "{ended:?}"
        );
    }
    // Several together.
    let hold = "python3 -c 'import time; x = bytearray(100_000_000); time.sleep(100)' &";
    let (ended, _) = Bench::new(Mode::Namespaces).script(&format!("{hold} {hold} {hold} wait"));
    assert!(
        matches!(&ended, Ended::Exceeded(what) if what.contains("memory")),
        "{ended:?}"
    );
}

/// No process's own, and yet memory.
fn too_much_shared_memory() {
    // Nobody could say whose it is when its pages are in no process.
    let share = "python3 -c 'import mmap; mmap.mmap(-1, 4096)'";
    let (ended, output) = Bench::new(Mode::Namespaces).script(share);
    assert!(
        matches!(&ended, Ended::Normally { status: 256, .. }),
        "{ended:?}: {output}"
    );
    assert!(output.contains("Cannot allocate memory"), "{output}");
}

fn too_many_messages() {
    // Room beyond the end counts, too.
    let take = "python3 -c 'import ctypes, time
ctypes.CDLL(None).fallocate(1, 1, ctypes.c_long(0), ctypes.c_long(64 << 20))
time.sleep(100)'";
    let (ended, output) = Bench::new(Mode::Namespaces).script(take);
    assert!(
        matches!(&ended, Ended::Exceeded(what) if what.contains("messages")),
        "{ended:?}: {output}"
    );
}

fn too_large_files() {
    for mode in BOTH {
        let bench = Bench::new(mode);
        let (ended, output) = bench.script("yes");
        // By SIGXFSZ, or because it ignores that.
        assert!(
            matches!(ended, Ended::Normally { status, .. } if status != DONE),
            "{ended:?}"
        );
        assert!(output.len() <= 16 << 20);
    }
    let bench = Bench::new(Mode::Namespaces);
    let script = "for i in 1 2 3 4; do head -c 10000000 /dev/zero > /tmp/$i || exit 1; done";
    let (ended, output) = bench.script(script);
    assert!(
        matches!(ended, Ended::Normally { status: 256, .. }),
        "{ended:?}: {output}"
    );
    assert!(output.contains("No space"), "{output}");
}

/// The processes of this machine with `word` as an argument.
fn processes_with(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.split(|&byte| byte == 0)
                .any(|part| part == word.as_bytes())
        })
        .count()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn nothing_outlives_a_job() {
    for (mode, time) in [(Mode::Namespaces, "1001.25"), (Mode::Landlock, "1002.25")] {
        let bench = Bench::new(mode);
        let hidden =
            format!("setsid sh -c 'trap \"\" TERM HUP; sleep {time} & sleep {time}' & sleep 0.2");
        let (ended, _) = bench.script(&hidden);
        assert!(
            matches!(ended, Ended::Normally { status: DONE, .. }),
            "{ended:?}"
        );
        assert_eq!(
            processes_with(time),
            0,
            "a job's rest ends before the answer"
        );
        // The same for one that nobody waits for any more.
        let running = bench.start(
            &format!("{hidden}; trap '' TERM; sleep {time}; sleep {time}"),
            "/tmp",
            "/",
        );
        wait_until("it runs", || processes_with(time) == 3);
        drop(running);
        assert_eq!(processes_with(time), 0);
        // And when the server goes.
        let running = bench.start(&format!("sleep {time}; true"), "/tmp", "/");
        wait_until("it runs", || processes_with(time) == 1);
        let Bench { sandbox, scratch } = bench;
        if mode == Mode::Namespaces {
            drop(sandbox);
            wait_until("a job ends with its helper", || processes_with(time) == 0);
        }
        drop((running, scratch));
        wait_until("all is over", || processes_with(time) == 0);
    }
}

fn a_dead_helper_is_replaced() {
    let bench = Bench::new(Mode::Namespaces);
    let running = bench.start("sleep 1003.25; true", "/tmp", "/");
    wait_until("it runs", || processes_with("1003.25") == 1);
    let own = std::process::id();
    let children = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    for child in children.split_whitespace() {
        let pid = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    assert!(running.ended().is_err());
    wait_until("its job ends", || processes_with("1003.25") == 0);
    check(&bench, "echo again", "again\n");
}

fn what_cannot_be_started() {
    for mode in BOTH {
        let bench = Bench::new(mode);
        bench.write("not", "a program");
        let run = |programs: &[&str]| {
            let job = Job {
                programs: programs.iter().map(Into::into).collect(),
                argv: vec!["x".into(), "y".into()],
                environment: vec![("PATH".into(), "/nowhere:/usr/bin".into())],
                cwd: "/".into(),
                trees: Vec::new(),
                writable: Vec::new(),
            };
            let null = File::create("/dev/null").unwrap();
            let running = bench.sandbox.run(&job, null.as_fd(), null.as_fd()).unwrap();
            running.ended().unwrap()
        };
        assert!(matches!(run(&["no-such-program"]), Ended::NotStarted(2)));
        assert!(matches!(
            run(&["/nowhere/x", "nor-this"]),
            Ended::NotStarted(2)
        ));
        assert!(matches!(
            run(&["/nowhere/true", "true"]),
            Ended::Normally { status: DONE, .. }
        ));
        assert!(matches!(run(&["/usr"]), Ended::NotStarted(13)));
    }
}

fn many_at_once() {
    let bench = Bench::new(Mode::Namespaces);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for turn in 0..10 {
                    let name = format!("out{number}");
                    let path = bench.scratch.path().join(&name);
                    let file = File::create(&path).unwrap();
                    let job = Job {
                        programs: vec!["sh".into()],
                        argv: [
                            "sh".into(),
                            "-c".into(),
                            format!("echo {turn}; ls /tmp").into(),
                        ]
                        .to_vec(),
                        environment: vec![("PATH".into(), "/usr/bin".into())],
                        cwd: "/".into(),
                        trees: Vec::new(),
                        writable: Vec::new(),
                    };
                    let running = bench.sandbox.run(&job, file.as_fd(), file.as_fd()).unwrap();
                    assert!(matches!(
                        running.ended().unwrap(),
                        Ended::Normally { status: DONE, .. }
                    ));
                    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{turn}\n"));
                }
            });
        }
    });
}
