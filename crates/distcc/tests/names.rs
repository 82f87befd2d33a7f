//! By which name servers hear of a compiler, beside the packaged distcc; and calls in a
//! compiler's place.
#![cfg(target_arch = "x86_64")] // Names of compilers begin with it.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use protocol::Version;
use support::{FakeServer, Outcome, Place, read_request, run, success};

const PACKAGED: &str = "/usr/bin/distcc";
const OURS: &str = env!("CARGO_BIN_EXE_distcc");
const BOTH: [&str; 2] = [PACKAGED, OURS];
const TARGET: &str = "-target x86_64-pc-linux-gnu";

/// A server that notes commands.
struct Server {
    server: FakeServer,
    commands: Receiver<Vec<OsString>>,
}

impl Server {
    fn start() -> Self {
        let (to_test, commands) = channel();
        let server = FakeServer::start(move |mut connection| {
            let request = read_request(&mut connection).unwrap();
            to_test.send(request.head.argv).unwrap();
            let _ = connection.write_all(&success(Version::Plain, b"OBJECT"));
        });
        Self { server, commands }
    }

    fn sent(&self) -> Option<String> {
        let words = self.commands.try_recv().ok()?;
        let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap()).collect();
        Some(words.join(" "))
    }
}

/// A folder with programs: scripts, and links (`NAME>TARGET`).
fn lay_out(place: &Place, programs: &str) {
    for program in programs.split(' ').filter(|program| !program.is_empty()) {
        match program.split_once('>') {
            None => place.script(
                program,
                "for word; do [ \"$word\" = -E ] && echo text && exit; done; exit 0",
            ),
            Some((name, target)) => {
                let path = place.path(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                symlink(target, path).unwrap();
            }
        }
    }
}

/// Runs a client with `path` for `PATH`, in which folders without a slash are those of the place.
fn client(place: &Place, program: &str, path: &str, server: &Server) -> Command {
    std::fs::create_dir_all(place.path("state-dir")).unwrap();
    let folders = path.split(':').map(|folder| match folder.starts_with('/') {
        true => folder.to_owned(),
        false => place.path(folder).into_os_string().into_string().unwrap(),
    });
    let mut command = place.command(program);
    command
        .env("PATH", folders.collect::<Vec<_>>().join(":"))
        .env("DISTCC_HOSTS", server.server.host());
    command
}

/// What each client sends of `COMPILER -c a.c`, without ` -c a.c -o a.o`.
fn names(compiler: &str, programs: &str, path: &str, variable: Option<&str>) -> [String; 2] {
    BOTH.map(|program| {
        let place = Place::new();
        lay_out(&place, programs);
        let server = Server::start();
        let mut command = client(&place, program, path, &server);
        command.args([compiler, "-c", "a.c"]);
        if let Some(variable) = variable {
            command.env(variable, "");
        }
        let outcome = run(&mut command);
        let nothing = || format!("nothing, exit code {}", outcome.code);
        let sent = server.sent().unwrap_or_else(nothing);
        // What clang++ makes of C is said with its text.
        let sent = sent.replacen(" -x c++-cpp-output", "", 1);
        sent.replacen(" -c a.c -o a.o", "", 1)
    })
}

#[test]
fn compilers_have_names_that_servers_know() {
    let long_gcc = "x86_64-linux-gnu-gcc";
    let linked = "p/gcc p/x86_64-linux-gnu-gcc>gcc";
    let clang = format!("clang {TARGET}");
    for (compiler, programs, expected) in [
        ("gcc", linked, long_gcc),
        ("gcc", "p/gcc", "gcc"),
        (
            "gcc-12",
            "p/gcc-12 p/x86_64-linux-gnu-gcc-12>gcc-12",
            "x86_64-linux-gnu-gcc-12",
        ),
        (
            "g++",
            "p/g++ p/x86_64-linux-gnu-g++>g++",
            "x86_64-linux-gnu-g++",
        ),
        ("gccgo", "p/gccgo p/x86_64-linux-gnu-gccgo>gccgo", "gccgo"),
        ("./p/gcc", linked, "./p/gcc"),
        ("cc", "p/gcc p/cc>gcc", "gcc"),
        ("cc", "p/gcc p/cc>../p/gcc", "gcc"),
        ("cc", "p/gcc p/cc>gcc p/x86_64-linux-gnu-gcc>gcc", long_gcc),
        ("cc", "p/cc", "cc"),
        ("cc", "p/gcc-12 p/cc>gcc-12", "cc"),
        ("cc", "p/tcc p/cc>tcc", "cc"),
        ("cc", "p/gcc p/x>gcc p/cc>x", "cc"),
        ("cc", "p/clang p/cc>clang", clang.as_str()),
        ("c++", "p/g++ p/c++>g++", "g++"),
        (
            "c++",
            "p/clang++ p/c++>clang++",
            &format!("clang++ {TARGET}"),
        ),
        ("c++", "p/gcc p/c++>gcc", "c++"),
        ("clang", "p/clang", clang.as_str()),
        ("clang-14", "p/clang-14", &format!("clang-14 {TARGET}")),
        ("clangd", "p/clangd", "clangd"),
        ("./p/clang", "p/clang", "./p/clang"),
    ] {
        let sent = names(compiler, programs, "p:/usr/bin/none:/bin/none", None);
        assert_eq!(sent, [expected, expected], "{compiler}: {programs}");
    }
}

#[test]
fn the_systems_compiler_is_found_through_its_alternatives() {
    let sent = names("cc", "", "/usr/bin:/bin", None);
    assert_eq!(sent, ["x86_64-linux-gnu-gcc", "x86_64-linux-gnu-gcc"]);
}

#[test]
fn names_are_kept_on_demand() {
    for (variable, is_obeyed) in [
        ("DISTCC_NO_REWRITE_CROSS", true),
        // The name in the manual of 3.4.
        ("DISTCC_NO_CROSS_REWRITE", false),
    ] {
        let linked = "p/gcc p/cc>gcc p/x86_64-linux-gnu-gcc>gcc p/clang";
        for (compiler, otherwise) in [
            ("gcc", "x86_64-linux-gnu-gcc"),
            ("cc", "x86_64-linux-gnu-gcc"),
            ("clang", "clang -target x86_64-pc-linux-gnu"),
        ] {
            let expected = if is_obeyed { compiler } else { otherwise };
            let sent = names(compiler, linked, "p", Some(variable));
            assert_eq!(sent, [expected, expected], "{variable}: {compiler}");
        }
    }
}

/// Lines of `docs/differences.md`.
#[test]
fn names_are_not_changed_to_those_of_another_program() {
    let two = "p/gcc p/x86_64-linux-gnu-gcc";
    assert_eq!(
        names("gcc", two, "p", None),
        ["x86_64-linux-gnu-gcc", "gcc"]
    );
    // 3.4 does not get over a folder with distcc in its name behind the compiler's.
    let cc = "p/gcc p/cc>gcc lib-distcc/x";
    assert_eq!(
        names("cc", cc, "p:lib-distcc", None),
        ["nothing, exit code 139", "gcc"]
    );
    assert_eq!(names("cc", cc, "lib-distcc:p", None), ["gcc", "gcc"]);
}

/// What a client does in a compiler's place: what it sends, and what it runs.
fn masqueraded(
    program: &str,
    path: &str,
    call: &str,
    depth: Option<&str>,
) -> (Outcome, Option<String>) {
    let place = Place::new();
    lay_out(&place, "real/gcc real/x86_64-linux-gnu-gcc>gcc");
    for folder in ["m", "m2"] {
        std::fs::create_dir(place.path(folder)).unwrap();
        symlink(program, place.path(folder).join("gcc")).unwrap();
    }
    let server = Server::start();
    let mut shell = client(&place, "/bin/sh", path, &server);
    shell.args(["-c", call]);
    if let Some(depth) = depth {
        shell.env("_DISTCC_SAFEGUARD", depth);
    }
    (run(&mut shell), server.sent())
}

#[test]
fn in_a_compilers_place_it_finds_the_next_one() {
    let sent = "x86_64-linux-gnu-gcc -c a.c -o a.o";
    for program in BOTH {
        for (path, call, depth, code, expected) in [
            ("m:real", "gcc -c a.c", None, 0, Some(sent)),
            ("m:real", "./m/gcc -c a.c", None, 0, Some(sent)),
            (
                "m:real",
                "../here/../*/m/gcc -c a.c 2>/dev/null; gcc -c a.c",
                None,
                0,
                Some(sent),
            ),
            // Two folders of stand-ins: the second one finds that it was called by the first.
            ("m:m2:real", "gcc a.c -o a", None, 0, None),
            ("m:real", "gcc -c a.c", Some("1"), 0, None),
            ("m:real", "gcc -c a.c", Some("2"), 111, None),
            ("m:real", "gcc -c a.c", Some("x"), 0, None),
            ("m:real", "gcc -c a.c", Some("0"), 0, None),
            ("m:real", "gcc -c a.c", Some("-1"), 0, None),
            // Nothing behind it: it would call itself.
            ("m", "gcc -c a.c", None, 111, None),
            ("real:m", "./m/gcc -c a.c", None, 0, Some(sent)),
        ] {
            let (outcome, found) = masqueraded(program, path, call, depth);
            let shown = format!("{program}: PATH={path} {call} {depth:?}: {outcome:?}");
            assert_eq!(outcome.code, code, "{shown}");
            assert_eq!(found.as_deref(), expected, "{shown}");
            let says = outcome
                .stderr
                .contains("distcc seems to have invoked itself recursively!");
            assert_eq!(says, code == 111, "{shown}");
        }
    }
}

#[test]
fn a_script_in_the_compilers_place_may_call_us_by_its_own_name() {
    for program in BOTH {
        for call in ["gcc -c a.c", &format!("{program} gcc -c a.c")] {
            let place = Place::new();
            place.script("w/gcc", &format!("exec {program} gcc \"$@\""));
            std::fs::write(place.path("a.c"), "int a;\n").unwrap();
            let server = Server::start();
            let mut shell = client(&place, "/bin/sh", "w:/usr/bin:/bin", &server);
            let outcome = run(shell.args(["-c", call]));
            assert_eq!(outcome.code, 0, "{call}: {outcome:?}");
            let sent = server.sent();
            let expected = "x86_64-linux-gnu-gcc -c a.c -o a.o";
            assert_eq!(sent.as_deref(), Some(expected), "{call}");
        }
    }
}

#[test]
fn a_client_that_a_client_calls_stops() {
    for program in BOTH {
        for depth in ["1", "2", "x", "0", "", "99999999999"] {
            let place = Place::new();
            let server = Server::start();
            let mut command = client(&place, program, "/usr/bin:/bin", &server);
            let call = command
                .args(["gcc", "-c", "a.c"])
                .env("_DISTCC_SAFEGUARD", depth);
            run(call).assert_says(111, "distcc seems to have invoked itself recursively!");
            assert_eq!(server.sent(), None, "{program} {depth}");
        }
    }
}
