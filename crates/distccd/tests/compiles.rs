//! Compiles that are answered, in all protocols, by real and scripted compilers.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use protocol::Version;
use support::{Entry, Reply, SCRIPTED_COMPILER, Setup, source_request, tree_request};

const ARGV: [&str; 5] = ["gcc", "-c", "a.c", "-o", "a.o"];
const VERSIONS: [Version; 3] = [Version::Plain, Version::Lzo, Version::Pump];

/// A request for `/c/a.c`.
fn request(version: Version, argv: &[&str], source: &str) -> Vec<u8> {
    match version {
        Version::Pump => tree_request("/c", argv, &[Entry::File("/c/a.c", source)]),
        _ => source_request(version, argv, source.as_bytes()),
    }
}

fn local(folder: &Path, args: &[&str]) -> std::process::Output {
    Command::new("gcc")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn objects_are_those_of_a_local_compile() {
    let source = "int f(void) { return 42; }\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.c"), source).unwrap();
    assert!(local(folder.path(), &ARGV[1..]).status.success());
    let expected = fs::read(folder.path().join("a.o")).unwrap();
    let server = Setup::insecure().start();
    for version in VERSIONS {
        let source = match version {
            Version::Pump => source.to_owned(),
            _ => format!("# 0 \"a.c\"\n# 1 \"a.c\"\n{source}"),
        };
        let reply = server
            .ask(version, &request(version, &ARGV, &source))
            .unwrap();
        assert_eq!((reply.status, &*reply.stderr, &*reply.stdout), (0, "", ""));
        assert!(reply.object == expected, "{version:?}");
        let dependencies = (version == Version::Pump).then(|| "a.o: a.c\n".to_owned());
        assert_eq!(reply.dependencies, dependencies);
    }
}

/// The bytes that real clients sent, answered as their servers answered: status, messages and
/// dependency files; of objects, which depend on the compiler's version, only that they are there.
#[test]
fn recorded_requests() {
    let server = Setup::insecure().start();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/golden");
    let mut count = 0;
    for version in VERSIONS {
        let folder = recorded.join(format!("protocol-{}", version.number()));
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.extension() != Some("c2s".as_ref()) || name == "no-compiler" {
                continue;
            }
            let expected = fs::read(path.with_extension("s2c")).unwrap();
            if expected.is_empty() {
                continue; // The client hung up.
            }
            let expected = Reply::read(&mut &expected[..], version).unwrap();
            let reply = server.ask(version, &fs::read(&path).unwrap()).unwrap();
            let case = format!("{version:?} {name}: {reply:?}");
            assert_eq!(reply.status, expected.status, "{case}");
            assert_eq!(reply.stdout, expected.stdout, "{case}");
            assert_eq!(
                reply.stderr.is_empty(),
                expected.stderr.is_empty(),
                "{case}"
            );
            assert_eq!(
                reply.object.is_empty(),
                expected.object.is_empty(),
                "{case}"
            );
            let own = |reply: &Reply| reply.dependencies.as_deref().map(own_files);
            assert_eq!(own(&reply), own(&expected), "{case}");
            assert!(!reply.stderr.contains("distccd_"), "{case}");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}

/// The words of a dependency file without the system's headers.
fn own_files(dependencies: &str) -> Vec<String> {
    let words = dependencies.split_whitespace().filter(|word| *word != "\\");
    words
        .filter(|word| !word.starts_with("/usr/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn source_without_line_marks_keeps_its_name() {
    let source = "int f(void) { return 42; }\nint g(void) { return x; }\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.i");
    fs::write(&path, source).unwrap();
    let server = Setup::insecure().start();
    for input in ["a.i", path.to_str().unwrap()] {
        let argv = ["gcc", "-c", input, "-o", "a.o"];
        let expected = local(folder.path(), &argv[1..]);
        let reply = server
            .ask(
                Version::Plain,
                &source_request(Version::Plain, &argv, source.as_bytes()),
            )
            .unwrap();
        assert_eq!(reply.status, 0x100);
        assert_eq!(reply.stderr, String::from_utf8(expected.stderr).unwrap());
        assert_eq!(reply.object, b"");
    }
    // And in the object.
    let source = &source[..source.find('\n').unwrap() + 1];
    fs::write(&path, source).unwrap();
    let argv = ["gcc", "-c", "a.i", "-o", "a.o"];
    assert!(local(folder.path(), &argv[1..]).status.success());
    let request = source_request(Version::Lzo, &argv, source.as_bytes());
    let reply = server.ask(Version::Lzo, &request).unwrap();
    assert!(reply.object == fs::read(folder.path().join("a.o")).unwrap());
}

#[test]
fn a_tree_with_links_and_placeholders() {
    let server = Setup::insecure().start();
    let argv = [
        "gcc",
        "-g",
        "-c",
        "sub/p.c",
        "-o",
        "p.o",
        "-I",
        "inc",
        "-I/c/abs",
        "-I/usr/include",
    ];
    let reply = server
        .ask(
            Version::Pump,
            &tree_request(
                "/home/u/c",
                &argv,
                &[
                    Entry::File(
                        "/home/u/c/sub/p.c",
                        "#include <stddef.h>\n#include \"v.h\"\n#include \"../empty/../e.h\"\n\
                         #include <abs.h>\nconst char *f(void) { return V E ABS __FILE__; }\n",
                    ),
                    Entry::File("/home/u/c/real/v.h", "#define V \"v\"\n"),
                    Entry::File("/home/u/c/e.h", "#define E \"e\"\n"),
                    Entry::File("/c/abs/abs.h", "#define ABS \"abs\"\n"),
                    Entry::Link("/usr/include", &("../".repeat(22) + "usr/include")),
                    Entry::Link("/home/u/c/inc", "/home/u/c/real"),
                    Entry::File("/home/u/c/empty/forcing_technique_271828", ""),
                ],
            ),
        )
        .unwrap();
    assert_eq!((reply.status, &*reply.stderr), (0, ""));
    let object = String::from_utf8_lossy(&reply.object);
    assert!(object.contains("veabssub/p.c"));
    assert!(!object.contains("distccd_"), "the object names our folder");
    let dependencies = reply.dependencies.unwrap();
    for name in ["p.o:", "sub/p.c", "inc/v.h", "/c/abs/abs.h"] {
        assert!(dependencies.contains(name), "{dependencies}");
    }
    assert!(!dependencies.contains("distccd_"), "{dependencies}");
}

#[test]
fn messages_name_the_clients_files() {
    let absolute = ["gcc", "-c", "/c/a.c", "-o", "/c/a.o"];
    let request = tree_request(
        "/c",
        &absolute,
        &[
            Entry::File("/c/a.c", "#include \"/c/inc/b.h\"\n"),
            Entry::File("/c/inc/b.h", "int f(void) { return x; }\n"),
        ],
    );
    for (sandbox, expected) in [
        (
            "--sandbox=required",
            "In file included from /c/a.c:1:\n/c/inc/b.h: In function",
        ),
        // Such an include is opened on the server itself: there is no such file.
        ("--sandbox=off", "/c/a.c:1:10: fatal error: "),
    ] {
        let server = Setup::insecure().arg(sandbox).start();
        let reply = server.ask(Version::Pump, &request).unwrap();
        assert_eq!(reply.status, 0x100);
        assert!(reply.stderr.starts_with(expected), "{}", reply.stderr);
        assert_eq!(reply.dependencies, None);
    }
}

#[test]
fn statuses_and_output_come_back() {
    let server = Setup::insecure().script("cc", SCRIPTED_COMPILER).start();
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    let dependencies = |version| (version == Version::Pump).then(|| "a.o: a.c\n".to_owned());
    for version in VERSIONS {
        let ask = |script: &str| {
            server
                .ask(version, &request(version, &argv, script))
                .unwrap()
        };
        assert_eq!(
            ask("echo out; echo err >&2; echo > $out; echo a.o: a.c > \"${deps-/dev/null}\""),
            Reply {
                stdout: "out\n".into(),
                stderr: "err\n".into(),
                object: b"\n".into(),
                dependencies: dependencies(version),
                ..Reply::default()
            }
        );
        // An empty object is an object; a failed compile has none, whatever it wrote.
        let reply = ask(": > $out; echo a.o: a.c > \"${deps-/dev/null}\"");
        assert_eq!((reply.status, reply.object), (0, vec![]));
        let reply = ask("echo > $out; exit 42");
        assert_eq!((reply.status, reply.object), (0x2a00, vec![]));
        assert_eq!(reply.dependencies, None);
        assert_eq!(ask("kill -SEGV $$").status & 0x7f, 11);
    }
}

#[test]
fn an_empty_source_is_compiled() {
    let server = Setup::insecure().start();
    for version in VERSIONS {
        let reply = server.ask(version, &request(version, &ARGV, "")).unwrap();
        assert_eq!(reply.status, 0);
        assert!(reply.object.starts_with(b"\x7fELF"));
    }
}

#[test]
fn preprocessed_source_in_a_tree_has_no_dependencies() {
    let server = Setup::insecure().start();
    let argv = ["gcc", "-c", "a.i", "-o", "a.o"];
    let request = tree_request("/c", &argv, &[Entry::File("/c/a.i", "int x;\n")]);
    let reply = server.ask(Version::Pump, &request).unwrap();
    assert_eq!((reply.status, reply.dependencies), (0, Some(String::new())));
}

#[test]
fn large_sources_and_answers() {
    let server = Setup::insecure().script("cc", SCRIPTED_COMPILER).start();
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    let script = "cp \"$source\" $out; echo a.o: a.c > \"${deps-/dev/null}\"; exit\n";
    // Beyond all thresholds, packed as well.
    let noise = (0..6_000_000u64).map(|n| {
        let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        char::from(b' ' + (n % 90) as u8)
    });
    let source = script.to_owned() + &noise.collect::<String>();
    for version in VERSIONS {
        let reply = server
            .ask(version, &request(version, &argv, &source))
            .unwrap();
        assert_eq!(reply.status, 0);
        assert!(reply.object == source.as_bytes(), "{version:?}");
    }
    assert_eq!(server.faults(), Vec::<String>::new());
}

#[test]
fn a_missing_compiler_is_the_answer() {
    let server = Setup::insecure().start();
    let argv = ["nosuchcc", "-c", "a.c", "-o", "a.o"];
    let reply = server
        .ask(Version::Plain, &request(Version::Plain, &argv, ""))
        .unwrap();
    assert_eq!(reply.status, 110 << 8);
    let pid = server.child.id();
    assert_eq!(
        reply.stderr,
        format!(
            "distccd[{pid}] (dcc_execvp) ERROR: failed to exec nosuchcc: \
             No such file or directory\n"
        )
    );
}

#[test]
fn no_output_is_no_answer() {
    let server = Setup::insecure().script("cc", SCRIPTED_COMPILER).start();
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    for (version, script, expected) in [
        (Version::Plain, "true", "output file"),
        (Version::Plain, "ln -s /etc/passwd $out", "output file"),
        (Version::Plain, "mkfifo $out", "output file"),
        (Version::Pump, "echo > $out", "dependency file"),
    ] {
        assert_eq!(server.ask(version, &request(version, &argv, script)), None);
        let text = format!("compiler succeeded without writing its {expected}");
        server.wait_for_log(&text);
    }
}

#[test]
fn the_log_tells_what_was_done() {
    let server = Setup::insecure().start();
    let request = request(Version::Plain, &ARGV, "int x;\n");
    server.ask(Version::Plain, &request).unwrap();
    let log = server.wait_for_log("(dcc_job_summary)").join("\n");
    for text in [
        "(dcc_check_client) connection from 127.0.0.1:",
        "compile from a.c to a.o",
        "gcc a.c on localhost completed ok",
        "job complete",
        "(dcc_job_summary) client: 127.0.0.1:",
        " COMPILE_OK exit:0 sig:0 core:0 ret:0 time:",
    ] {
        assert!(log.contains(text), "{log}");
    }
    assert!(log.ends_with("ms gcc a.c"), "{log}");
}

#[test]
fn a_compiler_sees_nothing_that_is_not_for_it() {
    // Left open for the server, which is not to pass it on.
    let _pipe = rustix::pipe::pipe().unwrap();
    let server = Setup::insecure()
        .script("cc", SCRIPTED_COMPILER)
        .env("SECRET", "1")
        .env("COMPILER_PATH", "/x")
        .env("LC_MESSAGES", "C")
        .start();
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    let script = "env; ls /proc/self/fd | tr \"\\n\" \" \"; cat; echo > $out";
    let reply = server
        .ask(Version::Plain, &request(Version::Plain, &argv, script))
        .unwrap();
    for text in ["LC_MESSAGES=C\n", "_DISTCC_SAFEGUARD=1\n", "TMPDIR="] {
        assert!(reply.stdout.contains(text), "{}", reply.stdout);
    }
    assert!(!reply.stdout.contains("SECRET"), "{}", reply.stdout);
    assert!(!reply.stdout.contains("COMPILER_PATH"), "{}", reply.stdout);
    // Standard input, output and error, and the folder that ls reads.
    assert!(reply.stdout.ends_with("\n0 1 2 3 "), "{}", reply.stdout);
}

#[test]
fn whatever_a_compiler_leaves_is_removed() {
    let server = Setup::insecure().script("cc", SCRIPTED_COMPILER).start();
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    let script = "echo > $out; touch extra.dwo; mkdir -p d/e; touch d/e/f; chmod 0 d; \
                  mktemp >/dev/null; sleep 1000 &";
    let reply = server
        .ask(Version::Plain, &request(Version::Plain, &argv, script))
        .unwrap();
    assert_eq!((reply.status, &*reply.stderr), (0, ""));
    server.check_clean();
}

#[test]
fn the_time_limit_is_an_answer() {
    let server = Setup::insecure()
        .script("cc", SCRIPTED_COMPILER)
        // So long that it says something before on any machine.
        .arg("--job-lifetime=5")
        .start();
    let argv = ["cc", "-c", "a.c", "-o", "a.o"];
    let request = request(Version::Plain, &argv, "echo partial >&2; sleep 1000");
    let reply = server.ask(Version::Plain, &request).unwrap();
    assert_eq!(reply.status, 118 << 8);
    assert_eq!(
        reply.stderr,
        "Compilation takes too long, timeout.\npartial\n"
    );
    server.wait_for_log(" COMPILE_TIMEOUT exit:118 ");
}

/// A folder that only the server has is not searched, even where compilers' own folders are.
#[test]
fn folders_that_the_client_has_not_are_not_searched() {
    let folder = "/usr/share/aclocal";
    assert!(std::fs::read_dir(folder).unwrap().count() > 0);
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    let name = file.file_name().into_string().unwrap();
    let server = Setup::insecure().arg("--sandbox=required").start();
    let source = format!("#if __has_include(<{name}>)\n#error found\n#endif\nint x;\n");
    let argv = ["gcc", "-c", "a.c", "-o", "a.o", "-I", folder];
    let request = tree_request("/c", &argv, &[Entry::File("/c/a.c", &source)]);
    let reply = server.ask(Version::Pump, &request).unwrap();
    assert_eq!((reply.status, &*reply.stderr), (0, ""));
}
