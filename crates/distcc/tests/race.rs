//! Compiles that an agent wants to be run here as well: who ends first, and what is left of the other.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::{self, JoinHandle};

use protocol::jobs::{Answer, Done, ENDED, FAILED, Question};
use protocol::request::Limits;
use statedir::{HostKey, StateDir};
use support::{Place, run, wait_until};

const SOURCE: &str = "#warning told once\nint main(void) { return 0; }\n";
const ENDED_HERE: &str = "here+ 0 0 0 it ended here before it did elsewhere\n";
const ENDED_THERE: &str = "pump+ 0 7 9 far:3632\n";

/// A place with a session, and the source that [`SOURCE`] is.
fn session() -> Place {
    let place = Place::new();
    place.write("commands", "");
    place.write("a.c", SOURCE);
    place
}

fn distcc(place: &Place) -> Command {
    let mut distcc = place.distcc("far", "gcc -c a.c -MMD");
    let path = format!("{}:/usr/bin:/bin", place.path("bin").display());
    distcc
        .env("PATH", path)
        .env("INCLUDE_SERVER_PORT", place.path("socket"))
        .env("INCLUDE_SERVER_ENGINES", "far");
    distcc
}

/// Serves one client that may race.
fn agent(
    place: &Place,
    then: impl FnOnce(&mut UnixStream) + Send + 'static,
) -> JoinHandle<Question> {
    let listener = UnixListener::bind(place.path("socket.jobs")).unwrap();
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let limits = Limits {
            args: 100_000,
            ..Limits::default()
        };
        let question = Question::read(&mut BufReader::new(&client), limits).unwrap();
        then(&mut client);
        question
    })
}

fn race(client: &mut UnixStream) {
    client.write_all(&Answer::Race.encode()).unwrap();
}

fn done() -> Done {
    Done {
        host: "far".into(),
        sent: 7,
        received: 9,
        output: "a.o".into(),
        stderr: b"told there\n".to_vec(),
        files: vec![
            ("a.o".into(), b"OBJECT".to_vec()),
            ("a.d".into(), b"THERE".to_vec()),
        ],
        ..Done::default()
    }
}

/// What becomes of a compile where the disk is full.
fn without_room() -> Done {
    Done {
        exit_code: 1,
        stderr: b"a.c:1: fatal error: error writing to /tmp/x.s: No space left on device\n"
            .to_vec(),
        files: Vec::new(),
        ..done()
    }
}

/// The client says that it has a result, perhaps after it has said that it failed.
fn ended_here(client: &mut UnixStream) {
    let mut said = Vec::new();
    client.read_to_end(&mut said).unwrap();
    assert!(said == [ENDED] || said == [FAILED, ENDED], "{said:?}");
}

/// The client says that it failed there, as soon as it did.
fn failed_here(client: &mut UnixStream) {
    let mut said = [0];
    client.read_exact(&mut said).unwrap();
    assert_eq!(said, [FAILED]);
}

/// Waits until the client has gone, and has said nothing more.
fn end(client: &mut UnixStream) {
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

fn assert_as_here(place: &Place) {
    let made = [place.read("a.o"), place.read("a.d")];
    place.local("gcc -c a.c -MMD").assert_says(0, "told once");
    assert!(made == [place.read("a.o"), place.read("a.d")]);
}

#[test]
fn what_ends_here_first_is_the_result_and_the_agent_is_told() {
    let place = session();
    let agent = agent(&place, |client| {
        race(client);
        ended_here(client);
    });
    let outcome = run(&mut distcc(&place));
    assert!(agent.join().unwrap().may_race);
    outcome.assert_says(0, "told once");
    assert_eq!(outcome.stderr.matches("[-Wcpp]").count(), 1, "{outcome:?}");
    assert_as_here(&place);
    assert_eq!(place.text("commands"), ENDED_HERE);
}

/// A full disk or memory here is not the compile's fault.
#[test]
fn what_fails_here_is_made_elsewhere() {
    let place = session();
    place.script(
        "bin/gcc",
        "echo 'error writing to /tmp/cc.s' >&2; echo >failed; exit 1",
    );
    let failed = place.path("failed");
    let agent = agent(&place, move |client| {
        race(client);
        failed_here(client);
        assert!(failed.exists());
        client.write_all(&Answer::Done(done()).encode()).unwrap();
        end(client);
    });
    run(&mut distcc(&place)).assert(0, &["told there"]);
    agent.join().unwrap();
    assert_eq!(place.text("a.o"), "OBJECT");
    assert_eq!(place.text("commands"), ENDED_THERE);
}

/// Of one in the source no other machine would find another, so nobody is waited for.
#[test]
fn an_error_here_is_the_answer_if_there_is_no_other_and_is_said_once() {
    let in_source = "int x = y;\n";
    for (text, is_away) in [
        (in_source, true),
        (in_source, false),
        ("#include \"none.h\"\n", true),
    ] {
        let place = session();
        place.write("a.c", text);
        let agent = agent(&place, move |client| {
            race(client);
            if is_away {
                let away = Answer::Away("far: down".into()).encode();
                client.write_all(&away).unwrap();
            }
            ended_here(client);
        });
        let outcome = run(&mut distcc(&place));
        agent.join().unwrap();
        let here = place.local("gcc -c a.c -MMD");
        assert_eq!((outcome.code, outcome.stderr), (1, here.stderr));
        assert_eq!(place.text("commands"), ENDED_HERE);
    }
}

/// A shell executes its last command in its own place.
#[test]
fn children_of_who_we_were_are_let_alone() {
    let place = session();
    place.script("bin/gcc", "echo >begun; sleep 1");
    let begun = place.path("begun");
    let agent = agent(&place, move |client| {
        race(client);
        failed_here(client); // It says so at once.
        assert!(!begun.exists());
        client.write_all(&Answer::Done(done()).encode()).unwrap();
        end(client);
    });
    let client = distcc(&place);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "(sleep 1; echo >child) & exec \"$0\" \"$@\""])
        .arg(client.get_program())
        .args(client.get_args())
        .envs(
            client
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(client.get_current_dir().unwrap());
    run(&mut shell).assert(0, &["told there"]);
    agent.join().unwrap();
    wait_until("the child's end", || place.exists("child"));
}

/// The real ones: who was told to end has removed what it had begun.
#[test]
fn late_compilers_leave_no_file_of_their_own() {
    let (place, mut begun) = (session(), 0);
    place.write(
        "a.c",
        "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts(getenv(\"X\")); }\n",
    );
    std::fs::create_dir(place.path("temp")).unwrap();
    for compiler in ["gcc", "clang"] {
        for delay in 0..40 {
            let agent = agent(&place, move |client| {
                race(client);
                thread::sleep(std::time::Duration::from_millis(delay));
                let _ = client.write_all(&Answer::Done(done()).encode()); // It may have ended here.
                let _ = client.read_to_end(&mut Vec::new());
            });
            let mut client = place.distcc("far", &format!("{compiler} -O2 -c a.c -MMD"));
            client
                .env("INCLUDE_SERVER_PORT", place.path("socket"))
                .env("INCLUDE_SERVER_ENGINES", "far")
                .env("DISTCC_VERBOSE", "1")
                .env("TMPDIR", place.path("temp"));
            let outcome = run(&mut client);
            agent.join().unwrap();
            assert_eq!(outcome.code, 0, "{outcome:?}");
            begun += usize::from(outcome.stderr.contains("ending the compile here"));
            std::fs::remove_file(place.path("socket.jobs")).unwrap();
            let left: Vec<_> = std::fs::read_dir(place.path("temp")).unwrap().collect();
            assert!(left.is_empty(), "{compiler}: {left:?}");
            assert_eq!(
                place.names(),
                ["a.c", "a.d", "a.o", "commands", "temp"],
                "{compiler}"
            );
        }
    }
    assert!(begun > 20, "{begun}");
}

/// It has written parts of its outputs, and so would what it started, which does not want to end. What it might have
/// made and did not may be another compile's: it stays.
#[test]
fn of_a_compile_here_that_is_late_nothing_is_left() {
    let place = session();
    place.script(
        "bin/gcc",
        "echo told here >&2; echo half >a.o
         (trap '' TERM; while :; do echo late >a.o; sleep 0.01; done) &
         echo $! >late; echo $$ >begun.new; mv begun.new begun; wait",
    );
    let (begun, others) = (place.path("begun"), place.path("a.dwo"));
    let agent = agent(&place, move |client| {
        race(client);
        wait_until("the compiler here", || begun.exists());
        std::fs::write(others, "another's").unwrap();
        client.write_all(&Answer::Done(done()).encode()).unwrap();
        end(client);
    });
    let outcome = run(&mut distcc(&place));
    let processes = [place.text("begun"), place.text("late")];
    for process in processes {
        let process = format!("/proc/{}", process.trim());
        assert!(!std::path::Path::new(&process).exists(), "{process}");
    }
    agent.join().unwrap();
    outcome.assert(0, &["told there"]);
    let made = ["a.o", "a.d", "a.dwo"].map(|name| place.text(name));
    assert_eq!(made, ["OBJECT", "THERE", "another's"]);
    assert_eq!(
        place.names(),
        [
            "a.c",
            "a.d",
            "a.dwo",
            "a.o",
            "begun",
            "bin",
            "commands",
            "late",
            "socket.jobs"
        ]
    );
    assert_eq!(place.text("commands"), ENDED_THERE);
}

/// The kernel ends one process that has taken too much memory, and not those that it started.
#[test]
fn what_a_killed_compiler_started_does_not_write_after_us() {
    let place = session();
    place.script(
        "bin/gcc",
        "(while :; do echo late >a.o; sleep 0.01; done) & echo $! >late
         kill -9 $$",
    );
    let agent = agent(&place, move |client| {
        race(client);
        failed_here(client);
        client.write_all(&Answer::Done(done()).encode()).unwrap();
        end(client);
    });
    let outcome = run(&mut distcc(&place));
    let process = format!("/proc/{}", place.text("late").trim());
    assert!(!std::path::Path::new(&process).exists(), "{process}");
    agent.join().unwrap();
    let warning = "distcc[*] Warning: the compiler here was ended by a signal";
    outcome.assert(0, &[warning, "told there"]);
    assert_eq!(place.text("a.o"), "OBJECT");
}

#[test]
fn without_a_result_from_elsewhere_the_one_from_here_counts() {
    let away = || Answer::Away("far: down".into()).encode();
    let killed = || {
        Answer::Done(Done {
            exit_code: 137,
            ..done()
        })
        .encode()
    };
    let no_room = || Answer::Done(without_room()).encode();
    for answer in [away(), killed(), no_room(), Vec::new()] {
        let place = session();
        // It ends only when the agent has answered.
        place.script(
            "bin/gcc",
            "while ! test -e answered; do sleep 0.01; done; exec /usr/bin/gcc \"$@\"",
        );
        let answered = place.path("answered");
        let agent = agent(&place, move |client| {
            race(client);
            client.write_all(&answer).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            std::fs::write(answered, "").unwrap();
            ended_here(client);
        });
        let outcome = run(&mut distcc(&place));
        agent.join().unwrap();
        outcome.assert_says(0, "told once");
        assert_as_here(&place);
        assert_eq!(place.text("commands"), ENDED_HERE);
    }
}

#[test]
fn a_compiler_here_that_is_killed_is_no_result() {
    for ending in [
        "kill -9 $$",
        "echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1",
    ] {
        let place = session();
        place.script("bin/gcc", ending);
        let agent = agent(&place, move |client| {
            race(client);
            failed_here(client);
            client.write_all(&Answer::Done(done()).encode()).unwrap();
            end(client);
        });
        let outcome = run(&mut distcc(&place));
        agent.join().unwrap();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.stderr.contains("told there"), "{outcome:?}");
        assert!(!outcome.stderr.contains("gcc:"), "{outcome:?}");
        assert_eq!(place.text("a.o"), "OBJECT");
        assert_eq!(place.text("commands"), ENDED_THERE);
    }
}

/// Other compiles have them all.
#[test]
fn without_a_free_local_slot_nothing_is_run_here() {
    let place = session();
    place.script("bin/gcc", "echo >begun; exit 1");
    let state = StateDir::new(place.path("state-dir"));
    let lock = state.try_lock(&HostKey::local(), 0).unwrap().unwrap();
    let agent = agent(&place, move |client| {
        race(client);
        thread::sleep(std::time::Duration::from_millis(300));
        client.write_all(&Answer::Done(done()).encode()).unwrap();
        end(client);
    });
    let outcome = run(distcc(&place).env("DISTCC_HOSTS", "--localslots=1 far"));
    agent.join().unwrap();
    drop(lock);
    outcome.assert(0, &["told there"]);
    assert!(!place.exists("begun"));
    assert_eq!(place.text("commands"), ENDED_THERE.replace('+', ""));
}

#[test]
fn who_wants_nothing_to_run_here_does_not_race() {
    for (variable, may_race) in [
        ("DISTCC_FALLBACK", false),
        ("PUMP_RACE", false),
        ("X", true),
    ] {
        let place = session();
        let agent = agent(&place, |client| {
            client.write_all(&Answer::Done(done()).encode()).unwrap();
        });
        run(distcc(&place).env(variable, "0")).assert(0, &["told there"]);
        assert_eq!(agent.join().unwrap().may_race, may_race, "{variable}");
    }
}

/// The user's Ctrl-C, or make's.
#[test]
fn a_signal_ends_the_compile_here_too() {
    let place = session();
    place.script(
        "bin/gcc",
        "trap 'echo told >ended; exit 1' INT; echo $$ >begun; while :; do sleep 0.05; done",
    );
    let agent = agent(&place, |client| {
        race(client);
        end(client);
    });
    let mut client = distcc(&place).spawn().unwrap();
    wait_until("the compiler here", || place.exists("begun"));
    let pid = rustix::process::Pid::from_child(&client);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    client.wait().unwrap();
    agent.join().unwrap();
    wait_until("the compiler's end", || place.exists("ended"));
}

/// As a shell or a build that is given up does it, without a word.
#[test]
fn who_ends_the_group_of_the_client_ends_the_compile_here() {
    let place = session();
    place.script(
        "bin/gcc",
        "(while :; do echo late >a.o; sleep 0.01; done) & echo $! >late; echo $$ >begun; wait",
    );
    let agent = agent(&place, |client| {
        race(client);
        end(client);
    });
    let mut client = distcc(&place).process_group(0).spawn().unwrap();
    wait_until("the compiler here", || place.exists("begun"));
    let group = rustix::process::Pid::from_child(&client);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    client.wait().unwrap();
    agent.join().unwrap();
    for process in ["begun", "late"] {
        let status = format!("/proc/{}/stat", place.text(process).trim());
        // Who is to wait for it is not known.
        let is_gone =
            || std::fs::read_to_string(&status).map_or(true, |stat| stat.contains(") Z "));
        wait_until("its end", is_gone);
    }
}

/// The same command may well succeed here, and what a server says of itself is no help to anybody.
#[test]
fn a_failure_without_an_error_in_the_source_is_made_sure_of_here() {
    let fails_there = |place: &Place, stderr: &[u8]| {
        let failed = Done {
            stderr: stderr.to_vec(),
            ..without_room()
        };
        agent(place, move |client| {
            client.write_all(&Answer::Done(failed).encode()).unwrap();
            end(client);
        })
    };
    let stderr = without_room().stderr;
    let place = session();
    let serving = fails_there(&place, &stderr);
    let outcome = run(&mut distcc(&place));
    serving.join().unwrap();
    outcome.assert_says(
        0,
        "it failed on far, and does not here: is its disk full, or its memory?",
    );
    assert!(!outcome.stderr.contains("No space left"), "{outcome:?}");
    assert_as_here(&place);
    let record = "here 0 0 0 it failed on far, without an error in the source\n";
    assert_eq!(place.text("commands"), record);
    // A command that fails here, too, has failed.
    place.write("a.c", "#include \"none.h\"\n");
    std::fs::remove_file(place.path("socket.jobs")).unwrap();
    let serving = fails_there(&place, b"a.c:1:10: fatal error: none.h: No such file\n");
    let outcome = run(&mut distcc(&place));
    serving.join().unwrap();
    assert_eq!(outcome.code, 1);
    assert_eq!(
        outcome.stderr.matches("fatal error: none.h").count(),
        1,
        "{outcome:?}"
    );
    assert!(!outcome.stderr.contains("disk full"), "{outcome:?}");
    // Nothing is asked here of an error in the source, nor where nothing is to run here.
    for (variable, value, stderr) in [
        ("X", "", &b"a.c:1:2: error: no\n"[..]),
        ("DISTCC_FALLBACK", "0", &stderr),
        ("DISTCC_SKIP_LOCAL_RETRY", "1", &stderr),
    ] {
        let place = session();
        let serving = fails_there(&place, stderr);
        let outcome = run(distcc(&place).env(variable, value));
        serving.join().unwrap();
        assert_eq!(outcome.code, 1);
        assert_eq!(outcome.stderr.as_bytes(), stderr, "{variable}");
        assert_eq!(place.text("commands"), "pump 0 7 9 far:3632\n");
    }
}

/// That servers of the old protocol cannot do it is half of the reason.
#[test]
fn why_there_was_no_action_is_told_of_what_only_an_action_can_do() {
    for answer in [
        Answer::Pass("far: gone".into()),
        Answer::Away("far: gone".into()),
    ] {
        let place = session();
        let agent = agent(&place, move |client| {
            client.write_all(&answer.encode()).unwrap();
            end(client);
        });
        let outcome = run(distcc(&place).arg("-gsplit-dwarf"));
        agent.join().unwrap();
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let why =
            "far: gone; and otherwise: -gsplit-dwarf writes a file that servers do not send back";
        assert_eq!(place.text("commands"), format!("here 0 0 0 {why}\n"));
    }
}
