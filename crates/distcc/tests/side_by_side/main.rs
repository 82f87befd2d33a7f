//! Our client beside the packaged one: the same commands, the same stand-in for a compiler, and a
//! server that notes what it is sent.
//!
//! Compared are: whether a command goes to the server, which file is its source, where its
//! object ends up, and the words sent, byte for byte, in plain mode and in pump mode. Whatever is
//! not the same must be explained by an entry of [`differences`], each of which names its line in
//! `docs/differences.md`; one that explains nothing is an error, too.
//!
//! The commands: `corpora.txt` holds those of real projects, one of each kind; `hard.txt` was
//! written by hand.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod differences;
mod observe;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use differences::{DIFFERENCES, Difference};
use observe::{Bench, Mode, Seen};

const FILES: [&str; 2] = [include_str!("corpora.txt"), include_str!("hard.txt")];
const PACKAGED: &str = "/usr/bin/distcc";
const OURS: &str = env!("CARGO_BIN_EXE_distcc");

/// The words of a line: between blanks, or between single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "{line}");
    words.extend(word);
    words
}

fn commands() -> Vec<&'static str> {
    let lines = FILES.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// What is wrong with a command, and which differences it shows.
fn compare(
    line: &str,
    mode: Mode,
    theirs: &Seen,
    ours: &Seen,
) -> (Option<String>, Vec<&'static str>) {
    let mut expected = theirs.clone();
    let mut shown = Vec::new();
    let meant = |difference: &&Difference| difference.modes.contains(&mode);
    for difference in DIFFERENCES.iter().filter(meant) {
        if expected == *ours {
            break;
        }
        let mended = (difference.mend)(&expected, ours);
        if mended != expected {
            expected = mended;
            shown.push(difference.row);
        }
    }
    let wrong = (expected != *ours).then(|| {
        format!("{line} ({mode:?})\n  3.4:  {theirs}\n  due:  {expected}\n  ours: {ours}")
    });
    (wrong, shown)
}

#[test]
fn each_command_does_what_3_4_does_or_what_is_said_of_it() {
    let lines = commands();
    assert!(lines.len() >= 450, "{} commands", lines.len());
    let distinct: BTreeSet<&str> = lines.iter().copied().collect();
    assert_eq!(distinct.len(), lines.len(), "a command stands there twice");

    // Commands that both send, in plain mode and in pump mode: where nothing is sent, most of what
    // is compared is not there.
    let sent_by_both = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let shares = lines.chunks(lines.len().div_ceil(3));
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = shares
            .map(|lines| {
                scope.spawn(|| {
                    let bench = Bench::new();
                    let see = |line: &str, mode| {
                        let argv = words(line);
                        let seen = [PACKAGED, OURS].map(|client| bench.run(client, &argv, mode));
                        if seen.iter().all(|seen| seen.sent.is_some()) {
                            sent_by_both[mode as usize].fetch_add(1, Ordering::Relaxed);
                        }
                        seen
                    };
                    let both = |line: &&str| {
                        let [theirs, ours] = see(line, Mode::Plain);
                        let mut found = vec![compare(line, Mode::Plain, &theirs, &ours)];
                        // What neither of them sends stays here in pump mode, too.
                        if theirs.sent.is_some() || ours.sent.is_some() {
                            let [theirs, ours] = see(line, Mode::Pump);
                            found.push(compare(line, Mode::Pump, &theirs, &ours));
                        }
                        found
                    };
                    lines.iter().flat_map(both).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let wrong: Vec<String> = results
        .iter()
        .filter_map(|(wrong, _)| wrong.clone())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} differences in {} commands:\n{}",
        wrong.len(),
        lines.len(),
        wrong.join("\n")
    );
    let [plain, pump] = sent_by_both.map(AtomicUsize::into_inner);
    assert!(plain >= 300 && pump >= 300, "{plain} and {pump} were sent");
    let shown: BTreeSet<&str> = results
        .iter()
        .flat_map(|(_, shown)| shown.clone())
        .collect();
    for difference in DIFFERENCES {
        assert!(
            shown.contains(difference.row),
            "no command shows: {}",
            difference.row
        );
    }
}

#[test]
fn each_difference_has_its_line_in_the_document() {
    let document = include_str!("../../../../docs/differences.md");
    for difference in DIFFERENCES {
        let start = format!("| {} |", difference.row);
        let lines = document.lines().filter(|line| line.starts_with(&start));
        assert_eq!(lines.count(), 1, "{start}");
    }
}
