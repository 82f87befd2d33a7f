//! Clients of the Remote Execution API that others wrote use our server.
//!
//! Debian's Bazel, in Java, speaks version 2.0. Its actions do not bring a root folder: so they run with this machine's
//! system folders, where the server was told so. BuildGrid's stubs, in Python, make a hermetic action in a program that
//! knows nothing of ours.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use end_to_end::programs::{Side, command, repository, stubs};
use end_to_end::run::{Done, run, run_within};
use end_to_end::server::{Server, Setup};
use end_to_end::tree::Tree;

/// Two compiles and a link, by rules that need nothing from anywhere else.
const BUILD: &str = r#"
[genrule(
    name = name + "_object",
    srcs = [name + ".c", "greeting.h"],
    outs = [name + ".o"],
    cmd = "gcc -O2 -c -o $@ $(location %s.c)" % name,
) for name in ["main", "greeting"]]

genrule(
    name = "program",
    srcs = ["main.o", "greeting.o"],
    outs = ["program.out"],
    cmd = "gcc -o $@ $(SRCS)",
    executable = True,
)
"#;

fn workspace(tree: &Tree) {
    tree.write("ws/WORKSPACE", "workspace(name = \"small\")\n");
    tree.write("ws/BUILD", BUILD);
    tree.write("ws/greeting.h", "const char *greeting(void);\n");
    tree.write(
        "ws/greeting.c",
        "#include \"greeting.h\"\nconst char *greeting(void) { return \"hello\"; }\n",
    );
    tree.write(
        "ws/main.c",
        "#include <stdio.h>\n#include \"greeting.h\"\nint main(void) { puts(greeting()); return 0; }\n",
    );
}

/// One command of Bazel, to its end.
fn bazel(tree: &Tree, words: &[&str]) -> Done {
    let mut bazel = command("bazel");
    bazel
        // Without a server of its own that would outlive the test; and Debian's settings, which say where Bazel is, are
        // not found otherwise.
        .args(["--batch", "--nohome_rc", "--noworkspace_rc"])
        // It looks at no more than a few files, and hardly pays for a good compiler of its own.
        .args([
            "--host_jvm_args=-XX:TieredStopAtLevel=1",
            "--host_jvm_args=-Xmx512m",
        ])
        .arg(format!("--output_user_root={}", tree.join("out").display()))
        .args(words)
        .env("HOME", tree.folder("home"))
        .current_dir(tree.join("ws"));
    run_within(&mut bazel, Duration::from_secs(300))
}

fn build(tree: &Tree, server: &Server) -> Done {
    let executor = format!("--remote_executor={}", server.engine());
    bazel(
        tree,
        &[
            "build",
            "--color=no",
            "--curses=no",
            &executor,
            "//:program",
        ],
    )
}

fn said(done: &Done) -> String {
    let (stdout, stderr) = done.text();
    stdout + &stderr
}

#[test]
fn bazel_builds_here_and_the_second_time_takes_what_is_known() {
    let server = Setup::of(Side::Ours).option("--remote-exec=any").start();
    let tree = Tree::new();
    workspace(&tree);
    let program = tree.join("ws/bazel-bin/program.out");
    for expected in ["3 remote", "3 remote cache hit"] {
        let done = build(&tree, &server).expect_success();
        let said = said(&done);
        assert!(said.contains(expected), "{expected:?} is due:\n{said}");
        assert_eq!(run(&mut command(&program)).text().0, "hello\n");
        bazel(&tree, &["clean"]).expect_success();
        assert!(!Path::new(&program).exists());
    }
    server.expect_jobs("COMPILE_OK", 3);
}

/// A rule whose output is a folder, of which only the command knows what is in it.
const FOLDER: &str = r#"
def _folder(ctx):
    out = ctx.actions.declare_directory(ctx.attr.name)
    ctx.actions.run_shell(
        outputs = [out],
        command = "mkdir -p $1 && cd $1 && mkdir -p sub/empty && echo one >sub/one && printf '#!/bin/sh\necho ran\n' >run && chmod 755 run && ln -s sub/one link",
        arguments = [out.path],
    )
    return DefaultInfo(files = depset([out]))

folder = rule(implementation = _folder)
"#;

#[test]
fn bazel_takes_folders() {
    let server = Setup::of(Side::Ours).option("--remote-exec=any").start();
    let tree = Tree::new();
    tree.write("ws/WORKSPACE", "workspace(name = \"small\")\n");
    tree.write("ws/folder.bzl", FOLDER);
    tree.write(
        "ws/BUILD",
        "load(\":folder.bzl\", \"folder\")\nfolder(name = \"program\")\n",
    );
    let made = tree.join("ws/bazel-bin/program");
    for expected in ["1 remote", "1 remote cache hit"] {
        let done = build(&tree, &server).expect_success();
        let said = said(&done);
        assert!(said.contains(expected), "{expected:?} is due:\n{said}");
        assert_eq!(fs::read_to_string(made.join("sub/one")).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(made.join("link")).unwrap(), "one\n");
        assert_eq!(run(&mut command(made.join("run"))).text().0, "ran\n");
        bazel(&tree, &["clean"]).expect_success();
    }
    server.expect_jobs("COMPILE_OK", 1);
}

#[test]
fn bazel_is_told_why_its_actions_do_not_run_by_default() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    workspace(&tree);
    let done = build(&tree, &server);
    assert_ne!(done.code(), 0, "{}", done.explain());
    let said = said(&done);
    for expected in ["InputRootAbsolutePath=/", "--remote-exec=any"] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_python_client_sends_a_hermetic_action_and_takes_the_result() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    tree.write(
        "a.c",
        "#include <stdio.h>\nint main(void) { return puts(\"\"); }\n",
    );
    let gcc = fs::canonicalize("/usr/bin/gcc").unwrap();
    let mut local = command(gcc);
    local.args(["-O2", "-g", "-c", "a.c", "-o", "local.o"]);
    run(local.current_dir(tree.path())).expect_success();
    for expected in ["run\n", "cached\n"] {
        let mut client = command("python3");
        client
            .arg(repository().join("tests/other-clients/compile.py"))
            .arg(server.address().to_string())
            .args(["a.c", "a.o"])
            .env("PYTHONPATH", stubs())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(tree.path());
        let done = run(&mut client).expect_success();
        assert_eq!(done.text().0, expected);
        let object = fs::read(tree.join("a.o")).unwrap();
        assert!(object == fs::read(tree.join("local.o")).unwrap());
        fs::remove_file(tree.join("a.o")).unwrap();
    }
    server.expect_jobs("COMPILE_OK", 1);
}
