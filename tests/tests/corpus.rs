//! Larger real projects, through our programs from end to end: `make corpus-test`.

use end_to_end::compile_database::of_corpus;
use end_to_end::project::Project;
use end_to_end::scanned::expect_no_difference;
use end_to_end::tree::Tree;

/// `scan-includes` beside both compilers, twice over all compiles of a project.
fn check_scan(name: &str, at_least: usize) {
    let tree = Tree::new();
    let entries = of_corpus(name, &tree);
    assert!(entries.len() >= at_least, "{} compiles", entries.len());
    for compiler in ["gcc", "clang"] {
        expect_no_difference(&entries, &["--compiler", compiler, "--passes", "2", "-j2"]);
    }
}

#[test]
fn git_is_scanned_like_both_compilers() {
    check_scan("git", 450);
}

#[test]
fn redis_is_scanned_like_both_compilers() {
    check_scan("redis", 80);
}

#[test]
fn fmtlib_is_scanned_like_both_compilers() {
    check_scan("fmtlib", 20);
}

#[test]
fn googletest_is_scanned_like_both_compilers() {
    check_scan("googletest", 20);
}

/// More than two thousand headers in each compile, most of them Boost's.
#[test]
fn ledger_is_scanned_like_both_compilers() {
    check_scan("ledger", 50);
}

#[test]
fn redis_is_built_by_the_servers_and_runs() {
    let redis = Project {
        name: "redis",
        make: &["V=1", "MALLOC=libc"],
        // Is there <stdatomic.h>?
        probes: &["foo.c"],
    };
    let built = redis.build_pumped();
    assert!(
        built
            .run("src/redis-server", &["--version"])
            .starts_with("Redis server v=")
    );
    assert!(
        built
            .run("src/redis-benchmark", &["--version"])
            .starts_with("redis-benchmark ")
    );
}

#[test]
fn git_is_built_by_the_servers_and_runs() {
    let git = Project {
        name: "git",
        make: &[
            "V=1",
            // Otherwise the name of somebody's home gets into the programs.
            "prefix=/usr/local",
            "NO_TCLTK=1",
            "NO_GETTEXT=1",
            "NO_PERL=1",
            "NO_PYTHON=1",
            "all",
        ],
        probes: &[],
    };
    let built = git.build_pumped();
    assert!(built.run("git", &["version"]).starts_with("git version 2."));
    assert_eq!(
        built.run("git", &["hash-object", "--stdin"]),
        "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\n"
    );
}
