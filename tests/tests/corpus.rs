//! Larger real projects, through our programs from end to end: `make corpus-test`.

use end_to_end::project::Project;

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
