//! The tool as its user meets it: one command, databases good and bad, exit codes, what is printed where.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with `a.c`, which includes `a b.h`, and `bad.c`, which includes what is not there.
fn project() -> TempDir {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("ours");
    write(
        "a.c",
        "#include \"a b.h\"\n#if __has_include(\"no.h\")\n#endif\n",
    );
    write("a b.h", "#define X __DATE__\n");
    write("bad.c", "#include \"no.h\"\n");
    folder
}

fn scan(folder: &TempDir, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scan-includes"))
        .args(words)
        .current_dir(folder.path())
        .output()
        .expect("the tool was built")
}

/// Empty: nothing at all may be printed there. Otherwise: this must be a part of it.
#[track_caller]
fn check(folder: &TempDir, words: &[&str], code: i32, stdout: &str, stderr: &str) {
    let output = scan(folder, words);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    for (got, wanted) in [(&output.stdout, stdout), (&output.stderr, stderr)] {
        let got = String::from_utf8_lossy(got);
        assert!(got.contains(wanted), "{got}");
        assert_eq!(got.is_empty(), wanted.is_empty(), "{got}");
    }
}

/// A database of `commands`, compiled in the folder.
fn database(folder: &TempDir, commands: &[&str]) {
    let list: Vec<_> = commands
        .iter()
        .map(|command| serde_json::json!({ "directory": folder.path(), "command": command }))
        .collect();
    let text = serde_json::to_string(&list).expect("it is JSON");
    fs::write(folder.path().join("db.json"), text).expect("ours");
}

#[test]
fn one_command_gives_the_rule_that_the_compiler_gives() {
    let folder = project();
    let ours = scan(&folder, &["--", "gcc", "-c", "a.c"]).stdout;
    let theirs = Command::new("gcc")
        .args(["-M", "a.c"])
        .current_dir(folder.path())
        .output()
        .expect("gcc is needed");
    let words = |rule: Vec<u8>| -> Vec<String> {
        let rule = String::from_utf8(rule).expect("ASCII");
        rule.split('\n')
            .flat_map(|line| line.trim_end_matches('\\').split(' '))
            .filter(|word| !word.is_empty())
            .map(String::from)
            .collect()
    };
    assert_eq!(words(ours), words(theirs.stdout));
}

#[test]
fn json_tells_the_rest() {
    let folder = project();
    let output = scan(&folder, &["--format", "json", "--", "gcc", "-c", "a.c"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(value["files"][0]["path"], "a.c");
    assert_eq!(value["time_macros"], true);
    let absent = value["absent"].as_array().expect("a list");
    let no = folder
        .path()
        .canonicalize()
        .expect("it exists")
        .join("no.h");
    assert!(
        absent.iter().any(|path| path.as_str() == no.to_str()),
        "{value}"
    );
}

#[test]
fn a_refusal_is_told_and_ends_with_one() {
    let folder = project();
    check(
        &folder,
        &["--", "gcc", "-c", "bad.c"],
        1,
        "",
        "bad.c: \"no.h\" not found",
    );
    check(
        &folder,
        &["--format=json", "--", "gcc", "-c", "bad.c"],
        1,
        "\"refused\":\"bad.c: \\\"no.h\\\" not found\"",
        "not found",
    );
    check(
        &folder,
        &["--", "gcc", "a.c", "bad.c"],
        1,
        "",
        "several input files",
    );
}

#[test]
fn a_database_is_scanned_in_its_order_by_several_threads() {
    let folder = project();
    database(
        &folder,
        &["gcc -c a.c", "gcc -c a.c -DX='y z'", "gcc -c 'a.c' -O2"],
    );
    let words = ["--compilation-database", "db.json", "-j", "3"];
    let output = scan(&folder, &words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.matches("a.o: \\\n a.c \\\n").count(), 3, "{text}");
    assert!(output.stderr.is_empty(), "progress is for terminals");
    check(
        &folder,
        &[&words[..], &["--timing"]].concat(),
        0,
        "pass 1: 3 compiles",
        "",
    );
}

#[test]
fn verifying_looks_at_each_pass() {
    let folder = project();
    database(&folder, &["gcc -c a.c", "gcc -c bad.c"]);
    let words = [
        "--compilation-database",
        "db.json",
        "--verify",
        "--passes",
        "2",
    ];
    let same = "2 compiles: 1 same, 0 different, 0 refused, 1 that the compiler itself fails on";
    check(&folder, &words, 0, &format!("pass 1: {same}"), "");
    check(&folder, &words, 0, &format!("pass 2: {same}"), "");
}

#[test]
fn a_difference_is_shown_and_ends_with_one() {
    let folder = project();
    // A compiler that lists a file too many when it is asked for dependencies.
    let fake = folder.path().join("gcc");
    let script = "#!/bin/sh\ngcc \"$@\" || exit\nwhile [ $# -gt 0 ]; do\n\
                  [ \"$1\" = -MF ] && echo 'x: bad.c' | sed 's/^x://' >> \"$2\"\nshift\ndone\ntrue\n";
    // By another process: had this one opened it for writing, a program that another test starts at that moment could
    // hold it open for longer, and it could not be run.
    let draft = folder.path().join("draft");
    fs::write(&draft, script).expect("ours");
    let mut install = Command::new("install");
    let status = install.arg("-m755").args([&draft, &fake]).status();
    assert!(status.expect("it is everywhere").success());
    check(
        &folder,
        &["--verify", "--", "./gcc", "-c", "a.c"],
        1,
        "a.c: different\n  only the compiler: ",
        "",
    );
}

#[test]
fn wrong_databases_end_with_two_and_say_why() {
    let folder = project();
    let wrong = |text: &str, why: &str| {
        fs::write(folder.path().join("db.json"), text).expect("ours");
        let message = format!("db.json: {why}");
        check(
            &folder,
            &["--compilation-database", "db.json"],
            2,
            "",
            &message,
        );
    };
    wrong("[{", "EOF while parsing");
    wrong("{}", "it is not a list of compiles");
    wrong("[]", "it holds no compiles");
    wrong(r#"[{"file":"x.c"}]"#, "entry 1 (x.c): no \"directory\"");
    let words = ["--compilation-database", "none.json"];
    check(&folder, &words, 2, "", "none.json: No such file");
    check(&folder, &[], 2, "", "no command");
    check(&folder, &["--wrong"], 2, "", "--wrong");
    let words = ["--compilation-database", "db.json", "--", "gcc"];
    check(&folder, &words, 2, "", "cannot be used with");
}

#[test]
fn what_cannot_be_compiled_spoils_no_other_entry() {
    let folder = project();
    let text = format!(
        r#"[{{"directory":"/no/such/folder","command":"gcc -c x.c"}},{{"directory":{:?},"command":"gcc -c a.c"}}]"#,
        folder.path()
    );
    fs::write(folder.path().join("db.json"), text).expect("ours");
    let words = ["--compilation-database", "db.json"];
    check(
        &folder,
        &words,
        1,
        "a.o:",
        "there is no folder /no/such/folder",
    );
    let verified = scan(&folder, &[&words[..], &["--verify"]].concat());
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(1), "{text}");
    assert!(
        text.contains("x.c: cannot be run: there is no folder"),
        "{text}"
    );
    assert!(text.contains("1 same, 0 different, 0 refused, 0 that the compiler itself fails on, 1 that cannot be run;"), "{text}");
    // A compiler that is not there costs one entry, too, with the same exit code as without --verify.
    database(&folder, &["/no/such/gcc -c a.c", "gcc -c a.c"]);
    check(&folder, &words, 1, "a.o:", "/no/such/gcc");
    check(
        &folder,
        &[&words[..], &["--verify"]].concat(),
        1,
        "1 same, 0 different, 0 refused, 0 that the compiler itself fails on, 1 that cannot be run;",
        "",
    );
}

#[test]
fn what_the_compiler_fails_on_is_named() {
    let folder = project();
    let words = ["--verify", "--", "gcc", "-c", "bad.c", "-o", "x.o"];
    check(
        &folder,
        &words,
        1,
        "bad.c: the compiler fails: bad.c:1:10: fatal error",
        "",
    );
}

#[test]
fn an_entry_that_cannot_be_read_is_refused_alone() {
    let folder = project();
    let text = format!(
        r#"[{{"directory":"/","arguments":[],"file":"x.c"}},{{"directory":{:?},"command":"gcc -c a.c"}}]"#,
        folder.path()
    );
    fs::write(folder.path().join("db.json"), text).expect("ours");
    let words = ["--compilation-database", "db.json"];
    check(
        &folder,
        &words,
        1,
        "a.o:",
        "entry 1 (x.c): an empty command",
    );
    let verified = [&words[..], &["--verify"]].concat();
    check(
        &folder,
        &verified,
        1,
        "1 same, 0 different, 0 refused, 0 that the compiler itself fails on, 1 that cannot be run;",
        "",
    );
}

#[test]
fn a_reader_that_has_gone_ends_it_without_a_word() {
    let folder = project();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_scan-includes"))
        .args(["--", "gcc", "-c", "a.c"])
        .current_dir(folder.path())
        .stdout(writer)
        .output()
        .expect("the tool was built");
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn options_that_make_no_sense_end_with_two() {
    let folder = project();
    let command = ["--", "gcc", "-c", "a.c"];
    let wrong = |options: &[&str], why: &str| {
        check(&folder, &[options, &command].concat(), 2, "", why);
    };
    wrong(&["-j", "0"], "it must be 1 or more");
    wrong(&["--passes", "0"], "it must be 1 or more");
    wrong(&["--verify", "--format", "json"], "cannot be used with");
    wrong(&["--timing", "--format=make"], "cannot be used with");
    wrong(&["--facts", "a.c"], "--facts a.c: ");
}

#[test]
fn compiles_behind_launchers_are_those_of_the_compiler() {
    let folder = project();
    let bare = scan(&folder, &["--", "gcc", "-DX=1", "-c", "a.c"]).stdout;
    database(
        &folder,
        &[
            "ccache gcc -DX=1 -c a.c",
            "env A=b nice -n 3 distcc gcc -DX=1 -c a.c",
        ],
    );
    let words = ["--compilation-database", "db.json"];
    let behind = scan(&folder, &words);
    assert_eq!(behind.stdout, [&bare[..], &bare].concat(), "{behind:?}");
    check(
        &folder,
        &[&words[..], &["--verify"]].concat(),
        0,
        "2 same",
        "",
    );
    check(
        &folder,
        &["--", "env", "-S", "gcc a.c"],
        1,
        "",
        "which compiler 'env' starts",
    );
}
