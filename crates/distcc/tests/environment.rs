//! Every variable and exit code of distcc 3.4, and what we make of it; where both do the same,
//! the packaged distcc shows it in the same test.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::process::Command;

use protocol::Version;
use support::{FakeServer, Outcome, Place, Port, answer, read_request, run, success};

const PACKAGED: &str = "/usr/bin/distcc";
const OURS: &str = env!("CARGO_BIN_EXE_distcc");
const BOTH: [&str; 2] = [OURS, PACKAGED];

/// One compile by one of both, in a place of its own.
struct Call {
    place: Place,
    command: Command,
}

impl Call {
    fn new(program: &str, hosts: &str, words: &str) -> Self {
        let place = Place::new();
        // 3.4 does not make it.
        fs::create_dir(place.path("state-dir")).unwrap();
        let mut command = place.command(program);
        command.env("DISTCC_HOSTS", hosts).args(words.split(' '));
        Self { place, command }
    }

    fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    fn run(mut self) -> (Outcome, Place) {
        (run(&mut self.command), self.place)
    }
}

/// A local compile with one variable.
fn local(program: &str, name: &str, value: &str) -> Outcome {
    let (outcome, place) = Call::new(program, "localhost", "gcc -c a.c")
        .with(name, value)
        .run();
    assert!(place.exists("a.o"), "{program} {name}={value}: {outcome:?}");
    outcome
}

#[test]
fn verbose_knows_one_and_zero() {
    for program in BOTH {
        assert!(
            local(program, "DISTCC_VERBOSE", "1")
                .stderr
                .contains("] exec on localhost: ")
        );
        for value in ["0", "yes", "", "2", "11"] {
            assert_eq!(
                local(program, "DISTCC_VERBOSE", value).stderr,
                "",
                "{program}"
            );
        }
    }
}

#[test]
fn a_log_file_takes_lines_and_standard_error_none() {
    for program in BOTH {
        let call = Call::new(program, "localhost", "gcc -c a.c");
        let log = call.place.path("log");
        let (outcome, place) = call.with("DISTCC_LOG", &log).run();
        assert_eq!(outcome.stderr, "");
        let text = place.text("log");
        assert!(text.contains("] exec on localhost: "), "{program}: {text}");
        assert!(local(program, "DISTCC_LOG", "").stderr.is_empty());
        let unwritable = local(program, "DISTCC_LOG", "/nowhere/log");
        unwritable.assert_says(
            0,
            "failed to open logfile /nowhere/log: No such file or directory",
        );
    }
}

#[test]
fn log_lines_are_whole_whatever_their_length() {
    // 3.4 cuts them at about 4 KB.
    let words = format!("true {}last", "x".repeat(5000));
    let call = Call::new(OURS, "localhost", &words);
    let log = call.place.path("log");
    let (_, place) = call.with("DISTCC_LOG", log).run();
    assert!(place.text("log").contains("xlast\n"));
}

#[test]
fn ccaches_descriptor_takes_complaints() {
    for program in BOTH {
        for (descriptor, is_taken) in [("3", true), ("0", false), ("x", false), ("-1", false)] {
            let place = Place::new();
            fs::create_dir(place.path("state-dir")).unwrap();
            let mut shell = place.command("/bin/sh");
            let script = format!("exec 3>told; {program} gcc -c a.c");
            shell
                .args(["-c", &script])
                .env("DISTCC_HOSTS", "")
                .env("UNCACHED_ERR_FD", descriptor);
            let outcome = run(&mut shell);
            let told = place.text("told");
            let (there, elsewhere) = match is_taken {
                true => (&told, &outcome.stderr),
                false => (&outcome.stderr, &told),
            };
            assert!(
                there.contains("contained no hosts"),
                "{program} {descriptor}: {outcome:?}"
            );
            assert_eq!(elsewhere, "", "{program} {descriptor}");
        }
    }
}

#[test]
fn fallbacks_can_be_forbidden() {
    for program in BOTH {
        let kept = Port::keep();
        let dead = format!("127.0.0.1:{}", kept.number);
        let call = || Call::new(program, &dead, "gcc -c a.c");
        let (outcome, place) = call().with("DISTCC_FALLBACK", "0").run();
        outcome.assert_says(116, "failed to distribute and fallbacks are disabled");
        assert!(!place.exists("a.o"));
        for value in ["1", "no", ""] {
            let (outcome, place) = call().with("DISTCC_FALLBACK", value).run();
            outcome.assert_says(0, "failed to distribute");
            assert!(place.exists("a.o"));
        }
    }
}

#[test]
fn local_retries_can_be_skipped() {
    let server = FakeServer::answering(answer(Version::Plain, 42 << 8, "no\n", b""));
    for program in BOTH {
        for value in ["", "0", "1"] {
            let (outcome, place) = Call::new(program, &server.host(), "gcc -c a.c")
                .with("DISTCC_SKIP_LOCAL_RETRY", value)
                .run();
            outcome.assert_says(42, "no\n");
            assert!(!place.exists("a.o"), "{program}");
        }
        let (outcome, _) = Call::new(program, &server.host(), "gcc -c none.i")
            .with("DISTCC_SKIP_LOCAL_RETRY", "1")
            .run();
        outcome.assert_says(1, "cc1: fatal error: none.i: No such file or directory");
        let (outcome, place) = Call::new(program, &server.host(), "gcc -c a.c").run();
        outcome.assert_says(0, "remote compilation of 'a.c' failed, retrying locally");
        assert!(place.exists("a.o"));
    }
}

#[test]
fn back_off_has_a_period() {
    for program in BOTH {
        let kept = Port::keep();
        let dead = format!("127.0.0.1:{}", kept.number);
        let (_, place) = Call::new(program, &dead, "gcc -c a.c").run();
        let attempts = |period: &str| {
            let mut again = place.command(program);
            again
                .env("DISTCC_HOSTS", &dead)
                .env("DISTCC_BACKOFF_PERIOD", period);
            let outcome = run(again.args(["gcc", "-c", "a.c"]));
            outcome.stderr.matches("Connection refused").count()
        };
        // A minute by default; what is no number is 0 for `atoi`, but 3.4 would go on for ever.
        assert_eq!(attempts("60"), 0, "{program}");
        assert_eq!(attempts("60x"), 0, "{program}");
        let mark = fs::read_dir(place.path("state-dir/lock")).unwrap();
        let mark = mark.map(|entry| entry.unwrap().path());
        let mut mark = mark.filter(|path| path.to_string_lossy().contains("backoff"));
        let old = std::time::SystemTime::now() - std::time::Duration::from_secs(30);
        fs::File::open(mark.next().unwrap())
            .unwrap()
            .set_modified(old)
            .unwrap();
        assert_eq!(attempts("20"), 1, "{program}");
    }
}

#[test]
fn time_limits_are_numbers_and_matter_on_hosts_only() {
    // 3.4 looks at the limit only when it has to wait.
    let silent = FakeServer::start(|mut connection| {
        let _ = std::io::copy(&mut connection, &mut std::io::sink()); // Until the client is gone.
    });
    let server = FakeServer::start(|mut connection| {
        if read_request(&mut connection).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(200));
            // A client that does not wait is gone.
            let _ = connection.write_all(&success(Version::Plain, b"OBJECT"));
        }
    });
    for program in BOTH {
        for bad in ["0", "-1", "x", ""] {
            let (outcome, _) = Call::new(program, &silent.host(), "gcc -c a.c")
                .with("DISTCC_IO_TIMEOUT", bad)
                .run();
            outcome.assert_says(101, &format!("ERROR: Bad DISTCC_IO_TIMEOUT value: {bad}\n"));
            local(program, "DISTCC_IO_TIMEOUT", bad);
        }
        for good in ["90", " 90", "90x", "99999999999"] {
            let (outcome, place) = Call::new(program, &server.host(), "gcc -c a.c")
                .with("DISTCC_IO_TIMEOUT", good)
                .run();
            assert_eq!(
                (outcome.code, &*outcome.stderr),
                (0, ""),
                "{program} {good}"
            );
            assert_eq!(place.read("a.o"), b"OBJECT");
        }
    }
}

#[test]
fn discrepancy_limits_are_numbers() {
    let server = FakeServer::answering(success(Version::Lzo, b"OBJECT"));
    let hosts = format!("{},lzo,cpp", server.host());
    for program in BOTH {
        for bad in ["0", "x", ""] {
            let (outcome, _) = Call::new(program, &hosts, "gcc -c a.c")
                .with("DISTCC_MAX_DISCREPANCY", bad)
                .with("INCLUDE_SERVER_PORT", "/nowhere/socket")
                .run();
            let complaint = format!("ERROR: Bad DISTCC_MAX_DISCREPANCY value: {bad}\n");
            outcome.assert_says(101, &complaint);
            local(program, "DISTCC_MAX_DISCREPANCY", bad);
            let plain = format!("{},lzo", server.host());
            let (outcome, _) = Call::new(program, &plain, "gcc -c a.c")
                .with("DISTCC_MAX_DISCREPANCY", bad)
                .run();
            assert_eq!((outcome.code, &*outcome.stderr), (0, ""), "{program}");
        }
    }
}

#[test]
fn temporary_files_can_be_kept() {
    let server = FakeServer::answering(answer(Version::Plain, 0, "a warning\n", b"OBJECT"));
    for program in BOTH {
        let kept = |value: &str| {
            let call = Call::new(program, &server.host(), "gcc -c a.c");
            let folder = call.place.path("tmp");
            fs::create_dir(&folder).unwrap();
            let (_, place) = call
                .with("TMPDIR", &folder)
                .with("DISTCC_SAVE_TEMPS", value)
                .run();
            let names = fs::read_dir(place.path("tmp")).unwrap();
            let mut kept: Vec<(String, String)> = names
                .map(|entry| {
                    let name = entry.unwrap().file_name().into_string().unwrap();
                    let content = place.text(&format!("tmp/{name}"));
                    let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                    let unique: usize = name.matches(digits).count();
                    assert!(unique >= 8, "{name}");
                    (name.rsplit_once('_').unwrap().0.to_owned(), content)
                })
                .collect();
            kept.sort();
            kept
        };
        assert_eq!(kept("0"), [], "{program}");
        let [(source, text), (stderr, said)] = kept("1").try_into().unwrap();
        assert_eq!(
            (&*source, &*stderr),
            ("distcc", "distcc_server_stderr"),
            "{program}"
        );
        assert!(
            text.starts_with("# ") && text.ends_with(support::HELLO),
            "{program}: {text}"
        );
        assert_eq!(said, "a warning\n", "{program}");
    }
}

#[test]
fn corking_makes_no_difference() {
    for program in BOTH {
        let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
        for value in ["0", "1"] {
            let (outcome, place) = Call::new(program, &server.host(), "gcc -c a.c")
                .with("DISTCC_TCP_CORK", value)
                .run();
            assert_eq!((outcome.code, &*outcome.stderr), (0, ""));
            assert_eq!(place.read("a.o"), b"OBJECT");
        }
    }
}

#[test]
fn a_temporary_folder_is_not_needed() {
    // 3.4 compiles here then.
    let server = FakeServer::answering(success(Version::Plain, b"OBJECT"));
    let (outcome, place) = Call::new(OURS, &server.host(), "gcc -c a.c")
        .with("TMPDIR", "/nowhere")
        .run();
    assert_eq!((outcome.code, &*outcome.stderr), (0, ""));
    assert_eq!(place.read("a.o"), b"OBJECT");
}

#[test]
fn the_principal_is_shown() {
    for program in BOTH {
        let shown = |name: Option<&str>| {
            let mut call = Call::new(program, "", "--show-principal");
            if let Some(name) = name {
                call = call.with("DISTCC_PRINCIPAL", name);
            }
            let (outcome, _) = call.run();
            assert_eq!((outcome.code, &*outcome.stderr), (0, ""), "{program}");
            outcome.stdout
        };
        assert_eq!(shown(None), "Principal\t: Not Set.\n", "{program}");
        assert_eq!(shown(Some("me@H")), "Principal is\t: me@H\n", "{program}");
    }
}

/// A call, its exit code, and what is said; both do the same.
#[test]
fn exit_codes() {
    let none: &[(&str, &str)] = &[];
    let no_fallback: &[(&str, &str)] = &[("DISTCC_FALLBACK", "0")];
    for program in BOTH {
        let name = program;
        let hint = format!("Try `{name} --help' for more information.\n");
        let missing = format!("{name}: missing operand\n{hint}");
        for (hosts, words, environment, code, says) in [
            ("localhost", "gcc -c a.c", none, 0, ""),
            ("localhost", "./exits", none, 42, "failed with exit code 42"),
            ("localhost", "./dies", none, 137, ": Killed"),
            (
                "localhost",
                "gcc -c missing.c",
                none,
                1,
                "compile missing.c on localhost failed\n",
            ),
            ("localhost", "--scan-includes", none, 101, &*missing),
            (
                "localhost",
                "./none -c a.c",
                none,
                110,
                "failed to exec ./none: No such file",
            ),
            (
                "127.0.0.1:1",
                "gcc -c a.c",
                no_fallback,
                116,
                "fallbacks are disabled",
            ),
            ("", "gcc -c a.c", no_fallback, 116, "fallbacks are disabled"),
            (
                "a:x",
                "gcc -c a.c",
                no_fallback,
                116,
                "invalid tcp port specification",
            ),
            (
                "localhost",
                "gcc -c a.c",
                &[("_DISTCC_SAFEGUARD", "1")],
                111,
                "distcc seems to have invoked itself recursively!",
            ),
            ("localhost", "-j", none, 0, ""),
            ("a:x", "-j", none, 0, "CRITICAL! Failed to get host list"),
        ] {
            let mut call = Call::new(program, hosts, words);
            call.place.script("exits", "exit 42");
            call.place.script("dies", "kill -9 $$");
            for (name, value) in environment {
                call = call.with(name, value);
            }
            let (outcome, _) = call.run();
            assert_eq!(
                outcome.code, code,
                "{program} {words} for {hosts}: {outcome:?}"
            );
            assert!(
                outcome.stderr.contains(says),
                "{program} {words}: {outcome:?}"
            );
        }
    }
}

#[test]
fn help_and_version_are_found_by_scripts() {
    for program in BOTH {
        let (help, _) = Call::new(program, "", "--help").run();
        let (version, _) = Call::new(program, "", "--version").run();
        assert_eq!((help.code, version.code), (0, 0));
        assert_eq!((&*help.stderr, &*version.stderr), ("", ""));
        assert!(help.stdout.contains("Usage:"));
        let lines: Vec<&str> = version.stdout.lines().collect();
        let words: Vec<&str> = lines[0].split(' ').collect();
        assert_eq!((words.len(), words[0]), (3, "distcc"), "{program}");
        assert_eq!(lines[1], "  (protocols 1, 2 and 3) (default port 3632)");
    }
    // Each option, and the most useful variables, are in the help.
    let (help, _) = Call::new(OURS, "", "--help").run();
    for word in [
        "--help",
        "--version",
        "--show-hosts",
        "-j ",
        "--scan-includes",
        "--show-principal",
        "DISTCC_VERBOSE",
        "DISTCC_LOG",
        "DISTCC_FALLBACK",
        "DISTCC_DIR",
        "DISTCC_SSH",
        "DISTCC_IO_TIMEOUT",
        "DISTCC_BACKOFF_PERIOD",
        "DISTCC_SKIP_LOCAL_RETRY",
        "DISTCC_SAVE_TEMPS",
        "DISTCC_MAX_DISCREPANCY",
    ] {
        assert!(help.stdout.contains(word), "{word}");
    }
}
