//! distccmon-text shows records written by us as the one of distcc 3.4 shows them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

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
    let mut file = StateDir::new(temp.path().to_owned()).record();
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
    let mut file = StateDir::new(temp.path().to_owned()).record();
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

/// A record as a client of 3.4 writes it.
fn bytes(pid: u32, file: &[u8], host: &[u8], slot: u32, phase: u32) -> Vec<u8> {
    let mut bytes = vec![0; 296];
    bytes[..8].copy_from_slice(&296u64.to_ne_bytes());
    bytes[8..16].copy_from_slice(&0x4449_4800_u64.to_ne_bytes());
    bytes[16..24].copy_from_slice(&u64::from(pid).to_ne_bytes());
    bytes[24..24 + file.len()].copy_from_slice(file);
    bytes[152..152 + host.len()].copy_from_slice(host);
    bytes[280..284].copy_from_slice(&slot.to_ne_bytes());
    bytes[284..288].copy_from_slice(&phase.to_ne_bytes());
    bytes
}

#[test]
fn any_records_are_shown_as_3_4_shows_them() {
    let me = std::process::id();
    let good = || bytes(me, b"a.c", b"h", 0, 5);
    let with = |at: usize, byte: u8| {
        let mut bytes = good();
        bytes[at] = byte;
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("good", good()),
        ("nothing", vec![]),
        ("half", good()[..100].to_vec()),
        ("one byte less", good()[..295].to_vec()),
        ("another size", with(0, 0x29)),
        ("another magic", with(9, b'X')),
        ("garbage", (0..296u32).map(|at| (at * 7) as u8).collect()),
        ("phase 0", bytes(me, b"a.c", b"h", 0, 0)),
        ("phase 1", bytes(me, b"a.c", b"h", 0, 1)),
        ("phase 6", bytes(me, b"a.c", b"h", 0, 6)),
        ("done", bytes(me, b"a.c", b"h", 0, 7)),
        ("phase 8", bytes(me, b"a.c", b"h", 0, 8)),
        ("phase 99", bytes(me, b"a.c", b"h", 0, 99)),
        ("phase -1", bytes(me, b"a.c", b"h", 0, u32::MAX)),
        ("nobody's", bytes(0x3fff_ffff, b"a.c", b"h", 0, 5)),
        ("no names", bytes(me, b"", b"", 0, 5)),
        ("long names", bytes(me, &[b'f'; 127], &[b'h'; 127], 0, 5)),
        ("bytes", bytes(me, b"\xff\xc3\xa9", b"\xe9", 0, 5)),
        ("large slot", bytes(me, b"a.c", b"h", 12345, 5)),
    ];
    for (name, content) in cases {
        let temp = tempfile::tempdir().unwrap();
        let state = temp.path().join("state");
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("binstate_1"), &content).unwrap();
        let another = bytes(me, b"z.c", b"z", 0, 2);
        std::fs::write(state.join("binstate_2"), another).unwrap();
        // No record at all, whatever is in it.
        std::fs::write(state.join("other_1"), good()).unwrap();
        let theirs = run("distccmon-text", &["0"], temp.path());
        let ours = run(OURS, &["0"], temp.path());
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(ours.status.code(), Some(0), "{name}");
        if theirs.status.code().is_none() {
            // 3.4 dies of some records that are none. All others are shown.
            let shown = text(&ours.stdout);
            assert!(
                shown.contains(" z[0]") && !shown.contains("a.c"),
                "{name}: {shown}"
            );
            continue;
        }
        assert_eq!(text(&ours.stdout), text(&theirs.stdout), "{name}");
    }
}

#[test]
fn many_jobs_are_sorted_as_3_4_sorts_them() {
    let me = std::process::id();
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("state");
    std::fs::create_dir(&state).unwrap();
    for (at, (host, slot)) in [
        ("b", 1),
        ("a", 2),
        ("B", 0),
        ("b", 0),
        ("a", 10),
        ("localhost", 0),
        ("a", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let record = bytes(me, b"x.c", host.as_bytes(), slot, 3);
        std::fs::write(state.join(format!("binstate_{at}")), record).unwrap();
    }
    let theirs = run("distccmon-text", &[], temp.path());
    let ours = run(OURS, &[], temp.path());
    assert_eq!(ours.stdout.iter().filter(|byte| **byte == b'\n').count(), 8);
    assert_eq!(
        String::from_utf8_lossy(&ours.stdout),
        String::from_utf8_lossy(&theirs.stdout)
    );
}

#[test]
fn a_job_that_takes_its_time_stays_shown() {
    let temp = tempfile::tempdir().unwrap();
    let state = temp.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let path = state.join("binstate_1");
    // Process 1 is older than any.
    std::fs::write(&path, bytes(1, b"slow.c", b"h", 0, 5)).unwrap();
    // 3.4 shows it for a minute; and this machine may not be much older.
    let long_ago = SystemTime::now() - Duration::from_secs(70);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(long_ago).unwrap();
    let shown = run(OURS, &[], temp.path()).stdout;
    assert!(String::from_utf8_lossy(&shown).contains("slow.c"));
    // 3.4 hides it, and deletes the record.
    assert_eq!(run("distccmon-text", &[], temp.path()).stdout, b"\n");
    assert!(!path.exists());
}
