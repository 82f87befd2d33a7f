//! Servers behind a real `sshd`: `[USER]@HOST:COMMAND` in host lists.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use end_to_end::client::Client;
use end_to_end::include_server::IncludeServer;
use end_to_end::programs::{Side, command};
use end_to_end::run::{Done, run};
use end_to_end::sshd::Sshd;
use end_to_end::tree::{Tree, snapshot};

const SIDES: [Side; 2] = [Side::Ours, Side::Packaged];

/// An entry of a host list for a server behind ssh.
fn host(user: &str, server: Side, options: &str) -> String {
    let (slots, options) = match options.split_once(',') {
        Some((slots, options)) => (slots, format!(",{options}")),
        None => (options, String::new()),
    };
    format!(
        "{user}@build{slots}:{}{options}",
        server.distccd().display()
    )
}

fn source() -> Tree {
    let tree = Tree::new();
    tree.write("b.h", "#define B 7\n");
    tree.write(
        "a.c",
        "#include \"b.h\"\nstatic int unused;\nint f(void) { return B; }\n",
    );
    // More than a pipe holds, and an object of this kind, too.
    let mut large = String::from("const long large[] = {\n");
    for number in 0..30_000 {
        writeln!(large, "{}L,", number * 7919 % 65_521).unwrap();
    }
    tree.write("large.c", large + "};\n");
    tree
}

const COMMANDS: [&str; 2] = [
    "gcc -Wunused-variable -fno-diagnostics-show-caret -c a.c -o a.o",
    "gcc -c large.c -o large.o",
];

fn words(line: &str) -> Vec<OsString> {
    line.split(' ').map(OsString::from).collect()
}

fn compile(client: &Client, line: &str, tree: &Tree) -> Done {
    run(&mut client.distcc(&words(line), &tree.path()))
}

/// The objects, and what the compiler says, as they are here.
fn expected(tree: &Tree) -> Vec<(Vec<u8>, String)> {
    let here = COMMANDS.map(|line| {
        let argv = words(line);
        let mut gcc = command(&argv[0]);
        let done = run(gcc.args(&argv[1..]).current_dir(tree.path())).expect_success();
        let object = tree.join(argv.last().unwrap());
        let content = fs::read(&object).unwrap();
        fs::remove_file(object).unwrap();
        (content, done.text().1)
    });
    here.into()
}

#[test]
fn compiles_by_ssh_are_what_they_are_here() {
    let sshd = Sshd::start();
    let include_server = IncludeServer::start(Path::new("/usr/bin"));
    let tree = source();
    let expected = expected(&tree);
    let user = String::from_utf8(run(command("id").arg("-un")).expect_success().stdout).unwrap();
    let mut count = 0;
    for (client, server) in [
        (Side::Ours, Side::Ours),
        (Side::Ours, Side::Packaged),
        (Side::Packaged, Side::Ours),
    ] {
        for (user, options) in [("", ""), (user.trim(), ",lzo"), ("", ",lzo,cpp")] {
            let host = host(user, server, options);
            let user = Client::of(client, &host)
                .with("DISTCC_SSH", sshd.ssh())
                .with("INCLUDE_SERVER_PORT", include_server.socket());
            for (line, (object, said)) in COMMANDS.iter().zip(&expected) {
                let done = compile(&user, line, &tree);
                let context = || format!("{client:?} {host} {line}: {}", done.explain());
                assert_eq!(done.code(), 0, "{}", context());
                // The files that the user's shell reads may have something to say before.
                assert!(done.text().1.ends_with(said.as_str()), "{}", context());
                let made = tree.join(words(line).last().unwrap());
                assert!(fs::read(&made).unwrap() == *object, "{}", context());
                fs::remove_file(made).unwrap();
                count += 1;
            }
            assert!(snapshot(&user.temp()).is_empty());
        }
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), count);
}

#[test]
fn compile_errors_by_ssh_are_told() {
    let sshd = Sshd::start();
    let tree = source();
    tree.write("e.c", "int f(void) { return x; }\n");
    for server in SIDES {
        let client =
            Client::of(Side::Ours, &host("", server, ",lzo")).with("DISTCC_SSH", sshd.ssh());
        let done = compile(&client, "gcc -c e.c -o e.o", &tree);
        assert_eq!(done.code(), 1, "{}", done.explain());
        assert!(
            done.text().1.contains("'x' undeclared"),
            "{}",
            done.explain()
        );
        assert!(!tree.join("e.o").exists());
    }
}

#[test]
fn what_ssh_cannot_do_is_done_here() {
    let sshd = Sshd::start();
    let tree = source();
    let line = COMMANDS[0];
    for (hosts, ssh, says) in [
        // What it says itself is on standard error, too.
        ("@build:/no/distccd".to_owned(), sshd.ssh(), "/no/distccd"),
        (
            host("", Side::Ours, ""),
            sshd.ssh_without_key(),
            "Permission denied",
        ),
        (
            host("", Side::Ours, ""),
            "ssh -F /dev/null -p 1 -o HostName=127.0.0.1".into(),
            "refused",
        ),
        (
            host("", Side::Ours, ""),
            "no-ssh".into(),
            "failed to exec no-ssh: No such file",
        ),
    ] {
        let client = Client::of(Side::Ours, &hosts)
            .with("DISTCC_SSH", ssh)
            .with_fallback();
        let done = compile(&client, line, &tree);
        assert_eq!(done.code(), 0, "{}", done.explain());
        let (_, said) = done.text();
        assert!(said.contains(says), "{says}: {said}");
        assert!(said.contains("running locally instead"), "{said}");
        assert!(tree.join("a.o").exists());
        assert!(
            client
                .distcc_dir()
                .join("lock/backoff_ssh_build_0")
                .exists()
        );
        fs::remove_file(tree.join("a.o")).unwrap();
    }
}

#[test]
fn a_build_by_ssh_uses_several_slots() {
    let sshd = Sshd::start();
    let tree = Tree::new();
    let names: Vec<String> = (0..8).map(|number| format!("part{number}")).collect();
    for name in &names {
        tree.write(
            format!("{name}.c"),
            format!("int {name}(void) {{ return 3; }}\n"),
        );
    }
    tree.write("Makefile", "all: $(patsubst %.c,%.o,$(wildcard *.c))\n");
    let client =
        Client::of(Side::Ours, &host("", Side::Ours, "/3,lzo")).with("DISTCC_SSH", sshd.ssh());
    let mut make = client.command("make", &tree.path());
    let mut compiler = OsString::from("CC=");
    compiler.push(Side::Ours.distcc());
    compiler.push(" gcc");
    run(make.arg("-j8").arg(compiler)).expect_success();
    for name in &names {
        assert!(tree.join(format!("{name}.o")).exists());
    }
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 8);
    let locks = snapshot(&client.distcc_dir().join("lock"));
    let slots = locks
        .keys()
        .filter(|name| name.to_string_lossy().starts_with("cpu_ssh_build_"));
    assert!(slots.count() <= 3);
}
