//! distccmon-text shows records written by us as the one of distcc 3.4 shows them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use statedir::StateDir;
use statedir::monitor::{Phase, Record};

fn run(program: &str, args: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(program);
    command
        .args(args)
        .env("DISTCC_DIR", dir)
        .stdin(Stdio::null());
    command.output().expect("the package distcc is installed")
}

const OURS: &str = env!("CARGO_BIN_EXE_distccmon-text");

fn record(phase: Phase) -> Record {
    Record {
        pid: std::process::id(),
        file: "hello.c".into(),
        host: "build1".into(),
        slot: 3,
        phase,
    }
}

#[test]
fn shows_what_3_4_shows() {
    let temp = tempfile::tempdir().unwrap();
    let mut file = StateDir::new(temp.path().to_owned()).open_record().unwrap();
    let dir = temp.path();
    assert_eq!(run(OURS, &[], dir).stdout, b"\n");
    for phase in [
        Phase::Connect,
        Phase::Preprocess,
        Phase::Compile,
        Phase::Done,
    ] {
        file.write(&record(phase)).unwrap();
        let ours = run(OURS, &[], dir);
        let theirs = run("distccmon-text", &["0"], dir);
        assert!(ours.status.success());
        assert_eq!(ours.stderr, b"");
        assert_eq!(
            String::from_utf8_lossy(&ours.stdout),
            String::from_utf8_lossy(&theirs.stdout)
        );
        let shown = ours.stdout.windows(9).any(|text| text == b"build1[3]");
        assert_eq!(shown, phase != Phase::Done);
    }
    drop(file);
    assert_eq!(run(OURS, &["0"], dir).stdout, b"\n");
}

#[test]
fn repeats_until_nobody_reads() {
    use std::io::{BufRead, BufReader};
    let temp = tempfile::tempdir().unwrap();
    let mut file = StateDir::new(temp.path().to_owned()).open_record().unwrap();
    file.write(&record(Phase::Send)).unwrap();
    let mut child = Command::new(OURS)
        .arg("0.01")
        .env("DISTCC_DIR", temp.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.ends_with(" build1[3]"), "{line}");
        assert_eq!(lines.next().unwrap().unwrap(), "");
    }
    drop(lines);
    assert!(child.wait().unwrap().success());
}

#[test]
fn mistakes_print_the_usage() {
    let temp = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["1x"], &["1", "2"], &[""]] {
        let output = run(OURS, args, temp.path());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(output.stderr.starts_with(b"Usage: distccmon-text"));
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn folder_that_cannot_be_made_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = run(OURS, &[], &file);
    assert_eq!(output.status.code(), Some(107));
    let message = String::from_utf8(output.stderr).unwrap();
    let start = format!(
        "distccmon-text: cannot create folder {}/state: ",
        file.display()
    );
    assert!(message.starts_with(&start), "{message}");
}
