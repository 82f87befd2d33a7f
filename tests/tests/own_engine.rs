//! Compiles as actions on our own server: in an ordinary root, where old clients are served as well, and in an empty one.
//!
//! What such actions may do is shown in `crates/distccd/tests/actions.rs`.
#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::fs;

use end_to_end::alike::expect_same_objects;
use end_to_end::bare_server::BareServer;
use end_to_end::client::Client;
use end_to_end::compile_database::of_corpus;
use end_to_end::programs::{Side, ours};
use end_to_end::run::run;
use end_to_end::server::Setup;
use end_to_end::tree::Tree;

#[test]
fn lua_is_the_same_from_our_server_by_gcc_and_clang() {
    let (server, tree) = (Setup::of(Side::Ours).start(), Tree::new());
    let entries = of_corpus("lua5.4", &tree);
    assert!(entries.len() >= 30, "{} compiles", entries.len());
    for compiler in ["gcc", "clang"] {
        expect_same_objects(&server.engine(), &entries, compiler);
    }
    server.expect_jobs("COMPILE_OK", 2 * entries.len());
}

#[test]
fn lua_is_the_same_from_a_server_in_an_empty_root() {
    let (server, tree) = (BareServer::start(), Tree::new());
    let entries = of_corpus("lua5.4", &tree);
    for compiler in ["gcc", "clang"] {
        expect_same_objects(&server.engine(), &entries, compiler);
    }
    assert_eq!(
        server.log().matches("COMPILE_OK").count(),
        2 * entries.len()
    );
}

/// One build, one port, both ways.
#[test]
fn actions_and_old_protocols_come_to_one_port() {
    let (server, tree) = (Setup::of(Side::Ours).start(), Tree::new());
    tree.write(
        "a.c",
        "#include <stdio.h>\nint main(void) { return puts(\"\"); }\n",
    );
    let compile = |host: &str, side: Side, launcher: &str| {
        let client = Client::of(side, host);
        let mut command = match launcher {
            "" => client.command(side.distcc(), &tree.path()),
            _ => client.command(ours(launcher), &tree.path()),
        };
        if !launcher.is_empty() {
            command.arg("distcc");
        }
        let done = run(command.args(["gcc", "-O2", "-c", "a.c"])).expect_success();
        let (said, _) = done.text();
        assert!(!said.contains("; 0 bytes sent"), "{said}");
        assert!(launcher.is_empty() || said.contains("B sent, "), "{said}");
        fs::read(tree.join("a.o")).unwrap()
    };
    let action = compile(&server.engine(), Side::Ours, "pump");
    for side in [Side::Ours, Side::Packaged] {
        for protocol in [1, 2] {
            assert_eq!(compile(&server.host(protocol), side, ""), action);
        }
    }
    server.expect_jobs("COMPILE_OK", 5);
}
