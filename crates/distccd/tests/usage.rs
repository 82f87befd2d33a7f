//! Command lines that start no server, on ours and on the packaged one.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::process::{Output, Stdio};

use support::{SIDES, Setup};

fn run(setup: &Setup) -> Output {
    setup.command().stdin(Stdio::null()).output().unwrap()
}

/// The exit code of both, and how the last line of both ends.
fn check_mistake(words: &[&str], expected: &str) {
    check_mistakes(words, [expected; 2]);
}

fn check_mistakes(words: &[&str], expected: [&str; 2]) {
    for (side, expected) in SIDES.into_iter().zip(expected) {
        let mut setup = Setup::bare().of(side);
        for word in words {
            setup = setup.arg(*word);
        }
        let output = run(&setup);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(101), "{words:?}: {text}");
        let line = text.lines().last().unwrap_or_default();
        assert!(line.ends_with(expected), "{side:?} {words:?}: {text}");
    }
}

#[test]
fn mistakes() {
    for (words, expected) in [
        (&["--bogus"][..], "distccd: ERROR: --bogus: unknown option"),
        (&["-x"], "distccd: ERROR: -x: unknown option"),
        (&["--dae"], "distccd: ERROR: --dae: unknown option"),
        (&["--port"], "distccd: ERROR: --port: missing argument"),
        (&["--jobs"], "distccd: ERROR: --jobs: missing argument"),
        (&["--allow"], "distccd: ERROR: --allow: missing argument"),
        (&["--user"], "distccd: ERROR: --user: missing argument"),
        (&["--listen"], "distccd: ERROR: --listen: missing argument"),
        (
            &["--pid-file"],
            "distccd: ERROR: --pid-file: missing argument",
        ),
        (
            &["--log-file"],
            "distccd: ERROR: --log-file: missing argument",
        ),
        (
            &["--log-level"],
            "distccd: ERROR: --log-level: missing argument",
        ),
        (
            &["--port=abc"],
            "distccd: ERROR: --port=abc: invalid numeric value",
        ),
        (
            &["--nice=x"],
            "distccd: ERROR: --nice=x: invalid numeric value",
        ),
        (
            &["--jobs=x"],
            "distccd: ERROR: --jobs=x: invalid numeric value",
        ),
        (
            &["--job-lifetime=x"],
            "distccd: ERROR: --job-lifetime=x: invalid numeric value",
        ),
        (
            &["--lifetime=x"],
            "distccd: ERROR: --lifetime=x: invalid numeric value",
        ),
        (
            &["--stats-port=x"],
            "distccd: ERROR: --stats-port=x: invalid numeric value",
        ),
        (&["-a", "1.2.3.4/33"], "ERROR: invalid mask \"33\""),
        (&["--allow=::1/129"], "ERROR: invalid mask \"129\""),
        (
            &["--allow=no such.invalid"],
            "ERROR: can't parse internet address \"no such.invalid\": Name or service not known",
        ),
    ] {
        check_mistake(words, expected);
    }
    // 3.4's ends with code 101, too, and with another line behind its message.
    let no_list = "Allowing non-Internet (globally routable) addresses.";
    for port in ["0", "65536", "-1"] {
        let ours = format!("distccd: ERROR: port number out of range: {port}");
        check_mistakes(&["-p", port], [&ours, no_list]);
    }
    let theirs = "ERROR: --jobs argument must be between 1 and 200";
    let ours = "ERROR: --jobs argument must be more than 0";
    for jobs in ["0", "-1"] {
        check_mistakes(&["-j", jobs], [ours, theirs]);
    }
}

#[test]
fn options_without_effect_on_what_is_printed() {
    for side in SIDES {
        for words in [
            &["--help"][..],
            &["--version"],
            &["word", "--no-fifo", "--version"],
            &[
                "-P",
                "x",
                "-N3",
                "--user=u",
                "-j",
                "3",
                "--job-lifetime=3",
                "--version",
            ],
            &[
                "--lifetime=3",
                "-p4",
                "--listen=x",
                "-a",
                "1.2.3.4",
                "--version",
            ],
            &[
                "--allow-private",
                "--stats",
                "--stats-port",
                "3",
                "--log-level=err",
                "--version",
            ],
            &[
                "--log-file=x",
                "--log-stderr",
                "--verbose",
                "--no-detach",
                "--version",
            ],
            &[
                "--no-fork",
                "--inetd",
                "--daemon",
                "--make-me-a-botnet",
                "--version",
            ],
        ] {
            let setup = words
                .iter()
                .fold(Setup::bare().of(side), |setup, word| setup.arg(*word));
            let output = run(&setup);
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(0), "{side:?} {words:?}");
            assert!(text.starts_with("distccd "), "{side:?} {words:?}: {text}");
        }
    }
}

#[test]
fn options_that_come_later_say_so() {
    for word in [
        "--zeroconf",
        "--auth",
        "--blacklist=x",
        "--whitelist=x",
        "--show-principal",
    ] {
        let output = run(&Setup::bare().arg(word));
        let option = word.split('=').next().unwrap();
        let expected = format!("distccd: ERROR: {option}: not available yet\n");
        assert_eq!(output.status.code(), Some(101));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), expected);
    }
}
