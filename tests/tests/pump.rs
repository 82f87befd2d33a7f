//! Builds under our `pump`, with all our programs in their places.
//!
//! What `pump` itself says and does is tested beside it; here the parts work together.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use end_to_end::client::Client;
use end_to_end::compilers::write_compiler;
use end_to_end::programs::{Side, command, ours, packaged, stage};
use end_to_end::run::{Done, LIMIT, mortal, processes_with, run, wait, wait_until};
use end_to_end::server::{Server, Setup};
use end_to_end::tree::{Entry, Tree, snapshot};
use rustix::process::{Pid, Signal, kill_process_group};

/// Sources for `make`, which names the compiler in `CC`.
fn project() -> Tree {
    let tree = Tree::new();
    let names: Vec<String> = (0..6).map(|number| format!("part{number}")).collect();
    for name in &names {
        let source = format!("#include \"all.h\"\nint {name}(void) {{ return ALL; }}\n");
        tree.write(format!("{name}.c"), source);
    }
    tree.write("all.h", "#define ALL 3\n");
    let objects: Vec<String> = names.iter().map(|name| format!("{name}.o")).collect();
    tree.write(
        "Makefile",
        format!(
            "all: {}\n%.o: %.c\n\t$(CC) -c $< -o $@\n",
            objects.join(" ")
        ),
    );
    tree
}

fn objects(project: &Tree) -> usize {
    let files = snapshot(&project.path());
    let is_object = |name: &&Path| name.extension() == Some(OsStr::new("o"));
    files.keys().map(AsRef::as_ref).filter(is_object).count()
}

fn pump(client: &Client, words: &[&str], project: &Tree) -> Command {
    let mut pump = client.command(ours("pump"), &project.path());
    pump.args(words);
    pump
}

/// A pumped build of all parts on one server.
#[track_caller]
fn check_build(done: Done, project: &Tree, server: &Server) -> (String, String) {
    let text = done.expect_success().text();
    assert_eq!(objects(project), 6);
    server.expect_jobs("COMPILE_OK", 6);
    text
}

/// No process and no file of a client is there any more.
#[track_caller]
fn check_nothing_left(client: &Client) {
    let temp = client.temp();
    wait_until(
        || {
            processes_with("TMPDIR", temp.as_os_str())
                .is_empty()
                .then_some(())
        },
        || {
            format!(
                "still there: {:?}",
                processes_with("TMPDIR", temp.as_os_str())
            )
        },
    );
    let left = snapshot(&temp);
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_build_on_a_server() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let client = Client::of(Side::Ours, &server.host(3));
    let done = run(&mut pump(
        &client,
        &["make", "-j3", "CC=distcc gcc"],
        &project,
    ));
    let (stdout, stderr) = check_build(done, &project, &server);
    assert!(
        stdout.contains("__________Using 1 distcc server in pump mode\n"),
        "{stdout}"
    );
    let told: Vec<&str> = stdout
        .lines()
        .filter(|line| line.starts_with("__________"))
        .collect();
    let [.., figures, _] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        figures.starts_with("__________6 commands in ")
            && figures.contains(" s: 6 on 1 server, 0 here; "),
        "{figures}"
    );
    assert_eq!(stderr, "");
    check_nothing_left(&client);
}

#[test]
fn masquerade_in_a_build() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let mut path = stage().join("lib/distcc").into_os_string();
    path.push(":");
    path.push(end_to_end::run::PATH);
    let client = Client::of(Side::Ours, &server.host(3)).with("PATH", path);
    let done = run(&mut pump(&client, &["make", "-j3", "CC=gcc"], &project));
    check_build(done, &project, &server);
}

#[test]
fn the_packaged_client_in_a_build() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let client = Client::of(Side::Packaged, &server.host(3)).with("DISTCC_LOCATION", "/usr/bin");
    let done = run(&mut pump(
        &client,
        &["make", "-j3", "CC=distcc gcc"],
        &project,
    ));
    let (_, stderr) = check_build(done, &project, &server);
    assert_eq!(stderr, "");
}

#[test]
fn hosts_that_are_looked_for() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let client = Client::of(Side::Ours, "")
        .with("DISTCC_POTENTIAL_HOSTS", "127.0.0.1 no-such-host.invalid")
        .with(
            "LSDISTCC_ARGS",
            // By default a busy machine has 150 ms.
            format!("-r{} -g1 -t60 -c20000", server.address().port()),
        );
    let done = run(&mut pump(
        &client,
        &["make", "-j3", "CC=distcc gcc"],
        &project,
    ));
    let (stdout, _) = check_build(done, &project, &server);
    assert!(
        stdout.contains("__________Found 1 available distcc servers\n"),
        "{stdout}"
    );
}

#[test]
fn a_session_for_several_builds() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let client = Client::of(Side::Ours, &server.host(3));
    let mut shell = client.command("sh", &project.path());
    shell.arg("-ec").arg(
        "eval \"$(\"$PUMP\" --startup)\"\n\
         make -s CC='distcc gcc' part0.o part1.o part2.o\n\
         make -s CC='distcc gcc'\n\
         \"$PUMP\" --shutdown\n",
    );
    let done = run(shell.env("PUMP", ours("pump")));
    check_build(done, &project, &server);
    check_nothing_left(&client);
}

/// The objects of a local build, which are gone then; with `-g` they tell where and how they were made.
fn local_objects(project: &Tree) -> BTreeMap<PathBuf, Entry> {
    let make = |words: &[&str]| {
        let mut make = command("make");
        run(make.args(words).current_dir(project.path())).expect_success();
    };
    make(&["CC=gcc -g"]);
    let made = snapshot(&project.path());
    for name in made
        .keys()
        .filter(|name| name.extension() == Some(OsStr::new("o")))
    {
        fs::remove_file(project.join(name)).unwrap();
    }
    made
}

/// For a shell: kills the include server of the session.
const KILL: &str = "for process in /proc/[0-9]*; do
        if [ \"$(cat $process/comm 2>/dev/null)\" = include_server ] &&
            grep -q \"$INCLUDE_SERVER_PORT\" $process/cmdline; then
            kill -9 ${process#/proc/}
        fi
    done";

#[test]
fn an_include_server_that_is_killed_costs_nothing_but_time() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let expected = local_objects(&project);
    let client = Client::of(Side::Ours, &server.host(3));
    let script = format!(
        "make -j3 CC='distcc gcc -g' part0.o part1.o part2.o
        {KILL}
        make -j3 CC='distcc gcc -g'"
    );
    let done = run(&mut pump(&client, &["sh", "-ec", &script], &project));
    let (stdout, stderr) = check_build(done, &project, &server);
    assert_eq!(snapshot(&project.path()), expected);
    assert!(
        stdout.contains("__________The include server ended 1 time and was started again"),
        "{stdout}"
    );
    assert_eq!(
        stderr,
        "__________The include server has ended (signal: 9 (SIGKILL)); starting another one\n"
    );
    check_nothing_left(&client);
}

/// In a session without a `pump` nobody starts another one.
#[test]
fn a_session_without_its_include_server_compiles_here() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let expected = local_objects(&project);
    let client = Client::of(Side::Ours, &server.host(3)).with_fallback();
    let mut shell = client.command("sh", &project.path());
    shell.arg("-ec").arg(format!(
        "eval \"$(\"$PUMP\" --startup)\"
        {KILL}
        make -s -j3 CC='distcc gcc -g'
        \"$PUMP\" --shutdown"
    ));
    let done = run(shell.env("PUMP", ours("pump"))).expect_success();
    let (stdout, _) = done.text();
    assert_eq!(snapshot(&project.path()), expected);
    assert!(
        stdout.contains("__________Here because: 6 x the include server has ended\n"),
        "{stdout}"
    );
    assert_eq!(server.count("COMPILE_OK"), 0);
    check_nothing_left(&client);
}

#[test]
fn compiles_that_fail_on_the_server_only_are_told() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    let programs = Tree::new();
    write_compiler(&programs, "my-gcc", "exec gcc \"$@\"");
    let client = Client::of(Side::Ours, &server.host(3))
        .with_fallback()
        .with("DISTCC_MAX_DISCREPANCY", "1")
        .with_programs(&programs.path());
    let done = run(&mut pump(&client, &["make", "CC=distcc my-gcc"], &project)).expect_success();
    assert_eq!(objects(&project), 6);
    let (_, stderr) = done.text();
    for line in [
        "__________Warning: 1 pump-mode compilation(s) failed on server, but succeeded locally.\n",
        "__________Distcc-pump was demoted to plain mode.\n",
    ] {
        assert!(stderr.contains(line), "{stderr}");
    }
}

#[test]
fn scan_includes_shows_what_is_sent_as_the_packaged_client_does() {
    let tree = Tree::new();
    for (name, text) in [
        (
            "src/a.c",
            "#include <stdio.h>\n#include \"../l/x.h\"\n#if __has_include(\"asked.h\")\n#endif\n",
        ),
        ("src/asked.h", ""),
        ("real/x.h", "#include \"passed/../y.h\"\n"),
        ("real/y.h", ""),
    ] {
        tree.write(name, text);
    }
    tree.link("real", "l");
    for folder in ["src/empty", "real/passed"] {
        tree.folder(folder);
    }
    let client = Client::of(Side::Ours, "127.0.0.1:1/4,lzo,cpp");
    let script = "\"$OURS\" --scan-includes gcc -Iempty -c a.c >../ours\n\
                  \"$PACKAGED\" --scan-includes gcc -Iempty -c a.c >../packaged\n";
    let mut pump = client.command(ours("pump"), &tree.join("src"));
    pump.args(["sh", "-ec", script])
        .env("OURS", ours("distcc"))
        .env("PACKAGED", packaged("distcc"));
    let (_, stderr) = run(&mut pump).expect_success().text();
    assert_eq!(stderr, "");
    let read = |name| fs::read_to_string(tree.join(name)).unwrap();
    assert_eq!(read("ours"), read("packaged"));
    let ours = read("ours");
    let root = tree.path().display().to_string();
    let (system, own): (Vec<&str>, Vec<&str>) = ours
        .lines()
        .partition(|line| line.starts_with("SYSTEMDIR "));
    assert!(system.contains(&"SYSTEMDIR /usr/include"), "{system:?}");
    let mut own: Vec<String> = own.iter().map(|line| line.replace(&root, "")).collect();
    // The order is that of the kinds.
    assert_eq!(own[0], "FILE      /src/a.c");
    own.sort();
    let expected = [
        "DIRECTORY /real",
        "DIRECTORY /real/passed",
        "DIRECTORY /src",
        "DIRECTORY /src/empty",
        "FILE      /real/x.h",
        "FILE      /real/y.h",
        "FILE      /src/a.c",
        "FILE      /src/asked.h",
        "SYMLINK   /l",
    ];
    assert_eq!(own, expected);
}

#[test]
fn a_header_that_changes_during_the_build() {
    let (server, project) = (Setup::of(Side::Ours).start(), project());
    project.write(
        "Makefile",
        "all:\n\t$(CC) -c part0.c -o before.o\n\techo '#define ALL 4' > all.h\n\t$(CC) -c part0.c -o after.o\n",
    );
    let client = Client::of(Side::Ours, &server.host(3));
    run(&mut pump(&client, &["make", "CC=distcc gcc"], &project)).expect_success();
    server.expect_jobs("COMPILE_OK", 2);
    let read = |name| fs::read(project.join(name)).unwrap();
    assert_ne!(read("before.o"), read("after.o"));
}

/// Where no hosts are configured, a server is started for this build only.
///
/// This machine may have a list of hosts for everybody: Debian's package brings one. So the build
/// runs where `/etc/distcc` is empty.
#[test]
fn a_build_without_any_hosts_has_a_private_server() {
    let project = project();
    let client = Client::of(Side::Ours, "");
    let mut unshare = client.command("unshare", &project.path());
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "sh", "-ec"]).arg(
        "if [ -d /etc/distcc ]; then mount -t tmpfs none /etc/distcc; fi\n\
         exec \"$PUMP\" make -j3 CC='distcc gcc'\n",
    );
    unshare.env("PUMP", ours("pump")).env_remove("DISTCC_HOSTS");
    let (stdout, stderr) = run(&mut unshare).expect_success().text();
    assert_eq!(objects(&project), 6);
    let about: Vec<&str> = stdout
        .lines()
        .filter(|line| line.contains("private server"))
        .collect();
    assert_eq!(about.len(), 1, "{stdout}");
    // Compiles that were not sent would be complained of, since nothing may be mended locally.
    assert_eq!(stderr, "");
    check_nothing_left(&client);
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let (server, project) = (slow_server(), project());
        let client =
            Client::of(Side::Ours, &server.server.host(3)).with_programs(&server.programs.path());
        let mut pump = mortal(&pump(
            &client,
            &["make", "-j3", "CC=distcc slow-gcc"],
            &project,
        ));
        // As a shell does it for a terminal: a signal for all that belongs to the build.
        pump.process_group(0).stdin(Stdio::null());
        pump.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = pump.spawn().unwrap();
        wait_until(
            || server.is_compiling().then_some(()),
            || server.server.log(),
        );
        kill_process_group(Pid::from_child(&child), signal).unwrap();
        let status = wait(&mut child, LIMIT).expect("pump does not end");
        let done = Done {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
        };
        assert_eq!(done.code(), code);
        check_nothing_left(&client);
        assert_eq!(objects(&project), 0);
        server.server.wait_for_clean_scratch();
    }
}

/// A server with a compiler that takes for ever.
struct SlowServer {
    server: Server,
    programs: Tree,
    signs: Tree,
}

fn slow_server() -> SlowServer {
    let (programs, signs) = (Tree::new(), Tree::for_everybody());
    let started = signs.join("started");
    let commands = format!("touch '{}'; exec sleep 1000", started.display());
    write_compiler(&programs, "slow-gcc", &commands);
    SlowServer {
        server: Setup::of(Side::Ours)
            .with_programs(programs.path())
            .without_sandbox()
            .start(),
        programs,
        signs,
    }
}

impl SlowServer {
    fn is_compiling(&self) -> bool {
        self.signs.join("started").exists()
    }
}
