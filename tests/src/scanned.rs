//! What `scan-includes` says of compile databases.

use std::time::Duration;

use crate::compile_database::{Entry, json};
use crate::programs::{command, ours};
use crate::run::run_within;
use crate::tree::Tree;

/// Has `scan-includes --verify` compare all with the compiler. It must find the same files for each of them, in two
/// passes if `words` say so.
#[track_caller]
pub fn expect_no_difference(entries: &[Entry], words: &[&str]) {
    let tree = Tree::new();
    tree.write("database.json", json(entries));
    let mut scan = command(ours("scan-includes"));
    scan.arg("--compilation-database")
        .arg(tree.join("database.json"))
        .arg("--verify")
        .args(words);
    let done = run_within(&mut scan, Duration::from_secs(1800));
    let n = entries.len();
    let same = format!(
        "{n} compiles: {n} same, 0 different, 0 refused, 0 that the compiler itself fails on; "
    );
    let labels: &[&str] = if words.contains(&"--passes") {
        &["pass 1: ", "pass 2: "]
    } else {
        &[""]
    };
    let output = done.text().0;
    let lines: Vec<&str> = output.lines().collect();
    let as_wanted = lines.len() == labels.len()
        && lines
            .iter()
            .zip(labels)
            .all(|(line, label)| line.starts_with(&format!("{label}{same}")));
    assert!(done.code() == 0 && as_wanted, "{}", done.explain());
}
