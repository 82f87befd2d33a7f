//! `make install`.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use end_to_end::client::Client;
use end_to_end::programs::{Side, command, repository};
use end_to_end::run::{PATH, run, run_within};
use end_to_end::server::Setup;
use end_to_end::tree::Tree;

#[test]
fn an_installed_tree_works_where_it_is() {
    let tree = Tree::new();
    install(&tree);
    let prefix = tree.join("usr/local");

    for program in [
        "bin/distcc",
        "bin/distccd",
        "bin/pump",
        "bin/distcc-pump",
        "bin/include_server",
        "bin/lsdistcc",
        "bin/distccmon-text",
        "bin/scan-includes",
        "sbin/update-distcc-symlinks",
    ] {
        let mode = fs::metadata(prefix.join(program))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755, "{program}");
    }
    for text in [
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "docs/differences.md",
    ] {
        assert!(
            prefix.join("share/doc/pumpcc").join(text).is_file(),
            "{text}"
        );
    }
    for page in [
        "man1/distcc.1",
        "man1/distcc-pump.1",
        "man8/update-distcc-symlinks.8",
    ] {
        assert!(prefix.join("share/man").join(page).is_file(), "{page}");
    }
    let version = run(command(prefix.join("bin/distcc")).arg("--version")).expect_success();
    assert!(version.text().0.starts_with("distcc "));
    let usage = run(command(prefix.join("bin/distcc-pump")).arg("--help")).expect_success();
    assert!(usage.text().0.contains("pump --startup"));

    // The masquerade folder: no `distcc` in the command.
    let server = Setup::of(Side::Ours).start();
    tree.write("a.c", "int f(void) { return 3; }\n");
    tree.write("a.cc", "int f() { return 3; }\n");
    let path = format!("{}:{PATH}", prefix.join("lib/distcc").display());
    let client = Client::of(Side::Ours, &server.host(2)).with("PATH", &path);
    for (compiler, source) in [
        ("gcc", "a.c"),
        ("cc", "a.c"),
        ("g++", "a.cc"),
        ("c++", "a.cc"),
    ] {
        let mut make = client.command("env", &tree.path());
        make.args([compiler, "-c", source, "-o", "a.o"]);
        run(&mut make).expect_success();
        fs::remove_file(tree.join("a.o")).unwrap();
    }
    server.expect_jobs("COMPILE_OK", 4);
}

#[test]
fn installing_again_changes_nothing() {
    let tree = Tree::new();
    install(&tree);
    let programs = tree.join("usr/local/bin");
    let times = || {
        let entries = fs::read_dir(&programs).unwrap().flatten();
        let mut times: Vec<_> = entries
            .map(|entry| {
                (
                    entry.file_name(),
                    entry.metadata().unwrap().modified().unwrap(),
                )
            })
            .filter(|(name, _)| name != "distcc-pump")
            .collect();
        times.sort();
        times
    };
    let before = times();
    install(&tree);
    assert_eq!(before, times());
}

fn install(tree: &Tree) {
    let mut make = Command::new("make");
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        make.env_remove(name);
    }
    make.arg("install")
        .arg("PREFIX=/usr/local")
        .arg(format!("DESTDIR={}", tree.path().display()))
        .current_dir(repository());
    run_within(&mut make, Duration::from_secs(1800)).expect_success();
}
