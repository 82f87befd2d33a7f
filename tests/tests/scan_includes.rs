//! `scan-includes --verify`: the include engine beside gcc and clang, on hard cases and a real project.
//!
//! The larger projects are in `corpus.rs`.

use std::path::Path;

use end_to_end::compile_database::{of_corpus, of_units};
use end_to_end::programs::{command, ours, repository};
use end_to_end::run::run;
use end_to_end::scanned::expect_no_difference;
use end_to_end::tree::Tree;

fn hard_cases() -> std::path::PathBuf {
    Path::new(repository()).join("tests/hard-cases")
}

#[test]
fn hard_cases_are_answered_like_gcc() {
    let entries = of_units(&hard_cases(), "gcc");
    assert_eq!(entries.len(), 198);
    expect_no_difference(&entries, &["--passes", "2", "-j2"]);
}

#[test]
fn hard_cases_are_answered_like_clang() {
    let entries = of_units(&hard_cases(), "clang");
    assert_eq!(entries.len(), 188);
    expect_no_difference(&entries, &["--passes", "2", "-j2"]);
}

#[test]
fn lua_is_answered_like_both_compilers() {
    let tree = Tree::new();
    let entries = of_corpus("lua5.4", &tree);
    assert!(entries.len() >= 30, "{} compiles", entries.len());
    for compiler in ["gcc", "clang"] {
        let words = ["--compiler", compiler, "--passes", "2", "-j2"];
        expect_no_difference(&entries, &words);
        expect_no_difference(&entries, &[&words[..], &["--revalidate"]].concat());
    }
}

#[test]
fn a_file_with_two_names_is_answered_like_both_compilers() {
    let folder = hard_cases().join("names");
    for compiler in ["gcc", "clang"] {
        let mut scan = command(ours("scan-includes"));
        scan.args(["--verify", "--", compiler, "-c", "two_names.c"]);
        let done = run(scan.current_dir(&folder));
        assert_eq!(done.code(), 0, "{}", done.explain());
        assert!(done.text().0.contains("1 same"), "{}", done.explain());
    }
}
