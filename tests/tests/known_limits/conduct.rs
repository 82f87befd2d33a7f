//! What else 3.4's users complain of.

use std::path::Path;

use end_to_end::client::Client;
use end_to_end::include_server::IncludeServer;
use end_to_end::programs::{Side, command, ours, repository};
use end_to_end::run::run;
use end_to_end::server::Setup;
use end_to_end::tree::Tree;

use crate::list::sources_below;

fn words(line: &str) -> Vec<std::ffi::OsString> {
    line.split(' ').map(Into::into).collect()
}

#[test]
fn b02_a_question_that_makes_no_sense_ends_nothing() {
    let server = Setup::of(Side::Ours).start();
    let nowhere = Tree::new();
    let includes = IncludeServer::start(&nowhere.path());
    let tree = Tree::new();
    tree.write("a.c", "int a;\n");
    let client =
        Client::of(Side::Ours, &server.host(3)).with("INCLUDE_SERVER_PORT", includes.socket());
    let mut odd = words("gcc -c a.c");
    odd.push("-D FOO=1".into());
    let _ = run(&mut client.distcc(&odd, &tree.path()));
    let usual = run(&mut client.distcc(&words("gcc -c a.c"), &tree.path())).expect_success();
    assert_eq!(usual.text().1, "");
}

#[test]
fn b13_what_is_wrong_with_a_list_is_said() {
    let tree = Tree::new();
    tree.write("a.c", "int a;\n");
    let client = Client::of(Side::Ours, "good bad:x").with_fallback();
    let done = run(&mut client.distcc(&words("gcc -c a.c"), &tree.path())).expect_success();
    assert!(
        done.text().1.contains("invalid tcp port specification"),
        "{}",
        done.explain()
    );
}

#[test]
fn e01_colours_asked_for_are_there() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    tree.write("a.c", "#warning loud\nint a;\n");
    let client = Client::of(Side::Ours, &server.host(2));
    let argv = words("gcc -fdiagnostics-color=always -c a.c");
    let done = run(&mut client.distcc(&argv, &tree.path())).expect_success();
    assert!(done.text().1.contains("\u{1b}["), "{}", done.explain());
}

#[test]
fn e02_messages_about_preprocessed_text_name_the_clients_file() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    tree.write("a.i", "int f(void) { int unused; return 1; }\n");
    let client = Client::of(Side::Ours, &server.host(2));
    let argv = words("gcc -Wall -c a.i");
    let done = run(&mut client.distcc(&argv, &tree.path())).expect_success();
    let (_, stderr) = done.text();
    assert!(stderr.contains("a.i:1:"), "{stderr}");
    assert!(!stderr.contains("distcc"), "{stderr}");
}

#[test]
fn e05_times_of_jobs_are_in_the_log() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    tree.write("a.c", "int a;\n");
    let client = Client::of(Side::Ours, &server.host(2));
    run(&mut client.distcc(&words("gcc -c a.c"), &tree.path())).expect_success();
    server.expect_jobs("COMPILE_OK", 1);
    let jobs = server.jobs();
    let time = jobs[0]
        .split(' ')
        .find_map(|word| word.strip_prefix("time:"));
    let millis: u32 = time.unwrap().strip_suffix("ms").unwrap().parse().unwrap();
    assert!(millis > 0, "{jobs:?}");
    assert!(!server.log().contains("0.000000s"), "{}", server.log());
}

#[test]
fn e03_a_client_is_told_why_a_server_refuses() {
    let server = Setup::of(Side::Ours).start();
    let tree = Tree::new();
    tree.write("a.c", "int a;\n");
    // Not there on the server, which searches its own folders.
    tree.script("only-here", "exec gcc \"$@\"");
    let reason = "server refused: failed to exec ./only-here: No such file or directory";
    for side in [Side::Ours, Side::Packaged] {
        let client = Client::of(side, &server.host(2));
        let mut distcc = client.distcc(&words("./only-here -c a.c"), &tree.path());
        let distcc = distcc
            .env("DISTCC_VERBOSE", "1")
            .env("DISTCC_FALLBACK", "1");
        let done = run(distcc).expect_success();
        // 3.4's sees another status than a compiler's.
        let said = done.text().1;
        assert_eq!(said.contains(reason), side == Side::Ours, "{said}");
    }
}

#[test]
fn e07_help_names_the_variables_that_are_read() {
    let sources = sources_below(&Path::new(repository()).join("crates"));
    for program in ["distcc", "pump"] {
        let help = run(command(ours(program)).arg("--help")).text().0;
        let is_other = |c: char| !(c.is_ascii_uppercase() || c == '_');
        let names: Vec<&str> = help
            .split(is_other)
            .filter(|word| word.contains("DISTCC_") || word.ends_with("_ARGS"))
            .collect();
        assert!(names.len() > 4, "{help}");
        for name in names {
            assert!(
                sources.contains(&format!("\"{name}\"")),
                "{program}: nobody reads {name}"
            );
        }
    }
}

#[test]
fn e08_pump_needs_no_python() {
    let help = run(command(ours("pump")).arg("--help")).text().0;
    let line = help.lines().find(|line| line.contains("PYTHONOPTIMIZE"));
    assert!(line.unwrap().ends_with("Without effect."), "{help}");
}
