//! The include server as a process: start, bad questions, many questions, end.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use protocol::include::Query;
use support::{
    PATIENCE, Server, Tree, is_running, names_below, run, server_command, wait_until, words,
};

fn source() -> Tree {
    Tree::new(&[("src/a.c", "#include \"a.h\"\n"), ("src/a.h", "int a;\n")])
}

/// The server still answers as it should.
fn check(server: &Server, tree: &Tree) {
    let answer = server
        .ask(&tree.path("src"), words("gcc -c a.c", &[]))
        .unwrap_or_else(|| panic!("{}", server.stderr()));
    assert_eq!(names_below(&answer, &tree.path("src")), ["a.c", "a.h", "/"]);
}

/// What comes back for these bytes.
fn send(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = server.connect();
    // The server may have hung up before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn bad_questions_cost_nobody_else_anything() {
    let server = Server::start();
    let tree = source();
    let complaints = |server: &Server| server.stderr().lines().count();
    for (number, bytes) in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        b"CDIR0000",
        b"CDIR00000005/t",
        b"CDIR00000004/tmpARGC00000002ARGV00000003gcc",
        b"CDIR00000004/tmpARGC00000000",
        b"CDIR00000004/tmpARGCffffffff",
        b"CDIRffffffff/tmp",
        b"CDIR00000004/tmpARGC00000001ARGVfffffffe",
        b"CDIR00000004/tmpARGC00000001ARGV00000003a\0b",
        b"cdir00000004/tmp",
        b"CDIR0000000g/tmp",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(send(&server, bytes), b"", "{}", bytes.escape_ascii());
        wait_until("the server complains", || complaints(&server) == number + 1);
    }
    for line in server.stderr().lines() {
        assert!(
            line.starts_with("WARNING include server: bad request: "),
            "{line}"
        );
    }
    // A look whether there is a server is no bad question.
    assert_eq!(send(&server, b""), b"");
    check(&server, &tree);
    assert_eq!(complaints(&server), 11);
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let server = Server::start();
    let tree = source();
    let src = tree.path("src");
    for (cwd, command) in [
        (Path::new("/nonexistent"), "gcc -c a.c"),
        (Path::new("src"), "gcc -c a.c"),
        (Path::new(""), "gcc -c a.c"),
        (&src.join("a.c"), "gcc -c a.c"),
        (&src, "-c a.c"),
        (&src, "/ -c a.c"),
        (&src, "./a.c -c a.c"),
    ] {
        assert_eq!(server.ask(cwd, words(command, &[])), None, "{command}");
    }
    assert_eq!(
        server
            .ask(
                &src,
                vec!["gcc".into(), "-c".into(), "a.c".into(), "-D FOO=1".into()]
            )
            .map(|answer| answer.len() > 2),
        Some(true)
    );
    assert_eq!(server.ask(&src, vec!["".into()]), None);
    check(&server, &tree);
}

#[test]
fn memory_is_bounded() {
    let server = Server::start();
    let tree = source();
    // Each announces a gigabyte of arguments, and sends some of them.
    let mut bytes = b"CDIR00000004/tmpARGC00001000".to_vec();
    for _ in 0..64 {
        bytes.extend_from_slice(b"ARGV00040000");
        bytes.resize(bytes.len() + 0x40000, b'x');
    }
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(send(&server, &bytes), b""));
        }
    });
    check(&server, &tree);
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    let peak: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap();
    assert!(peak < 8 * 20 * 1024, "{peak} KiB");
}

#[test]
fn slow_clients_keep_nobody_waiting() {
    let server = Server::start();
    let tree = source();
    let slow: Vec<UnixStream> = (0..20)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(b"CDIR").unwrap();
            stream
        })
        .collect();
    check(&server, &tree);
    server.end("-TERM");
    drop(slow);
}

#[test]
fn many_questions_are_answered_at_once() {
    let server = Server::start();
    let tree = Tree::new(&[]);
    tree.write("src/common.h", "int common;\n");
    for number in 0..12 {
        tree.write(
            &format!("src/a{number}.c"),
            format!("#include \"common.h\"\n#include \"d{number}/own.h\"\n"),
        );
        tree.write(&format!("src/d{number}/own.h"), format!("int x{number};\n"));
    }
    thread::scope(|scope| {
        for number in 0..12 {
            let (server, tree) = (&server, &tree);
            scope.spawn(move || {
                for _ in 0..3 {
                    let argv = words(&format!("gcc -c a{number}.c"), &[]);
                    let answer = server.ask(&tree.path("src"), argv).unwrap();
                    let mut expected = [
                        format!("a{number}.c"),
                        "common.h".to_owned(),
                        format!("d{number}/"),
                        format!("d{number}/own.h"),
                        "/".to_owned(),
                    ];
                    expected.sort();
                    let mut names = names_below(&answer, &tree.path("src"));
                    names.sort();
                    assert_eq!(names, expected);
                }
            });
        }
    });
}

#[test]
fn facts_about_compilers_are_kept_if_they_can_be() {
    let caches = Tree::new(&[("file", "")]);
    for (cache, kept) in [("cache", true), ("file/cache", false)] {
        let tree = Tree::new(&[]);
        let roots = Tree::new(&[]);
        let mut command = server_command(&tree, &roots.path(""));
        command.env("XDG_CACHE_HOME", caches.path(cache));
        assert!(command.status().unwrap().success());
        let pid = tree.text("pid").trim().parse().unwrap();
        let server = Server { tree, roots, pid };
        check(&server, &source());
        assert_eq!(server.stderr(), "");
        assert_eq!(caches.path(cache).exists(), kept);
    }
    assert!(!caches.names("cache/pumpcc/facts").is_empty());
}

#[test]
fn nothing_is_left_after_a_signal() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let server = Server::start();
        check(&server, &source());
        assert_eq!(server.roots.names("").len(), 2);
        server.end(signal);
        assert_eq!(server.roots.names(""), Vec::<String>::new());
        assert_eq!(server.tree.names(""), ["pid", "stderr", "stdout"]);
        assert_eq!(server.stderr(), "");
    }
}

/// A server whose compiler hangs ends, and the compiler with it. The compiler answers words that
/// the pattern `answered` matches.
fn check_end_with_compiler(tree: &Tree, answered: &str) {
    let server = Server::start();
    // It may be asked several questions at once, and end at any moment: the file is always whole.
    let script = format!(
        "case \"$*\" in {answered}) exec gcc \"$@\";; esac\necho $$ >{0}.$$; mv {0}.$$ {0}\n\
         sleep 1000 & wait\n",
        tree.path("running").display()
    );
    tree.script("cc", &script);
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let argv = words("../cc -c a.c", &[]);
            server.ask_for_paths(&tree.path("src"), argv)
        });
        let mut of_ours = UnixStream::connect(server.tree.path("socket.pieces")).unwrap();
        let cwd = tree.path("src").into();
        let argv = words("../cc -c a.c", &[]);
        of_ours.write_all(&Query { cwd, argv }.encode()).unwrap();
        wait_until("the compiler runs", || tree.text("running").ends_with('\n'));
        server.end("-TERM");
        // A refusal if there was time for it.
        assert!(asked.join().is_ok_and(|paths| paths.is_empty()));
        // Whoever is refused asks no other server.
        let mut said = Vec::new();
        let _ = of_ours.read_to_end(&mut said); // It may be reset.
        assert_eq!(said, b"", "an answer of a server that ends");
    });
    let pid = tree.text("running").trim().parse().unwrap();
    assert!(!is_running(pid));
    assert_eq!(server.roots.names(""), Vec::<String>::new());
}

#[test]
fn compilers_that_are_asked_about_themselves_end_with_the_server() {
    check_end_with_compiler(&source(), "never");
}

#[test]
fn compilers_that_list_files_end_with_the_server() {
    let tree = source();
    // The engine leaves this compile to the compiler.
    tree.write("src/a.h.gch", "");
    check_end_with_compiler(&tree, "*-v*");
}

#[test]
fn a_server_without_its_socket_ends() {
    let server = Server::start();
    server.tree.remove("socket");
    wait_until("the server ends", || !is_running(server.pid));
    assert_eq!(server.roots.names(""), Vec::<String>::new());
}

#[test]
fn a_server_tied_to_another_process_ends_with_it() {
    let tree = Tree::new(&[]);
    let roots = Tree::new(&[]);
    let program = env!("CARGO_BIN_EXE_include_server");
    // `cat` holds the end that is written to, and nobody else: the shell closes its own.
    let script = format!(
        "mkfifo {0}/fifo; cat >{0}/fifo & \
         {program} --port {0}/socket --pid_file {0}/pid --exit-with-fd 9 9<{0}/fifo && echo $!",
        tree.path("").display()
    );
    let mut cat_input = Command::new("sh")
        .arg("-c")
        .arg(format!("exec 8<&0; {script}").replace("cat >", "cat <&8 >"))
        .env("DISTCC_CLIENT_TMP", roots.path(""))
        .stdin(Stdio::piped())
        .stdout(fs::File::create(tree.path("cat")).unwrap())
        .spawn()
        .unwrap();
    wait_until("the server is ready", || tree.text("cat").ends_with('\n'));
    let pid = tree.text("pid").trim().parse().unwrap();
    assert!(is_running(pid));
    drop(cat_input.stdin.take());
    assert!(cat_input.wait().unwrap().success());
    wait_until("the server ends", || !is_running(pid));
    assert_eq!(roots.names(""), Vec::<String>::new());
}

#[test]
fn a_server_in_the_foreground_stays_there() {
    let tree = Tree::new(&[]);
    let roots = Tree::new(&[]);
    let mut server = server_command(&tree, &roots.path(""))
        .args(["--foreground", "--time"])
        .spawn()
        .unwrap();
    wait_until("the server is ready", || tree.text("pid").ends_with('\n'));
    let pid: u32 = tree.text("pid").trim().parse().unwrap();
    assert_eq!(pid, server.id());
    assert!(UnixStream::connect(tree.path("socket")).is_ok());
    run(Command::new("kill").arg(pid.to_string()));
    assert!(server.wait().unwrap().success());
    assert!(
        tree.text("stderr").starts_with("Elapsed: "),
        "{}",
        tree.text("stderr")
    );
    assert_eq!(tree.names(""), ["pid", "stderr", "stdout"]);
}

#[test]
fn a_server_that_cannot_start_fails() {
    let long = format!("/tmp/{}", "x".repeat(120));
    for (root_folder, arguments, message) in [
        (
            "/a/b/c",
            &[][..],
            "DISTCC_CLIENT_TMP must have at most two directory levels.",
        ),
        ("", &[], "DISTCC_CLIENT_TMP must start with '/'."),
        ("relative", &[], "DISTCC_CLIENT_TMP must start with '/'."),
        ("/nonexistent", &[], "cannot make a folder for copies"),
        ("/proc/self", &[], "cannot make a folder for copies"),
        (
            "/tmp",
            &["--port", "/nonexistent/socket"],
            "cannot open the socket '/nonexistent/socket'",
        ),
        (
            "/tmp",
            &["--port", &long],
            "cannot open the socket '/tmp/xxx",
        ),
        (
            "/tmp",
            &["--pid_file", "/nonexistent/pid"],
            "cannot write '/nonexistent/pid'",
        ),
        ("/tmp", &["--ready-fd", "77"], "descriptor 77 is not open"),
        ("/tmp", &["--exit-with-fd", "1"], "descriptor 1 is not open"),
    ] {
        for mode in [&[][..], &["--foreground"]] {
            let tree = Tree::new(&[]);
            let status = server_command(&tree, Path::new(root_folder))
                .args(arguments)
                .args(mode)
                .status()
                .unwrap();
            let stderr = tree.text("stderr");
            assert_eq!(status.code(), Some(1), "{stderr}");
            assert!(stderr.contains(message), "{message}: {stderr}");
            assert_eq!(tree.names(""), ["stderr", "stdout"], "{message}");
        }
    }
}

#[test]
fn what_a_dead_server_left_is_removed() {
    let first = Server::start();
    first.end("-KILL");
    assert_eq!(first.roots.names("").len(), 2);
    assert!(first.tree.path("socket").exists());
    let status = server_command(&first.tree, &first.roots.path(""))
        .status()
        .unwrap();
    assert!(status.success());
    let pid: i32 = first.tree.text("pid").trim().parse().unwrap();
    assert!(
        first
            .roots
            .names("")
            .iter()
            .all(|name| name.contains(&format!("-{pid}-")))
    );
    run(Command::new("kill").arg(pid.to_string()));
    wait_until("the server ends", || !is_running(pid));
    assert_eq!(first.roots.names(""), Vec::<String>::new());
    assert!(!first.tree.path("socket").exists());
}

#[test]
fn a_file_in_the_place_of_the_socket_stays() {
    let tree = Tree::new(&[("socket", "precious\n")]);
    let roots = Tree::new(&[]);
    let status = server_command(&tree, &roots.path("")).status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(tree.text("socket"), "precious\n");
    assert_eq!(roots.names(""), Vec::<String>::new());
}

/// The folder above the client root in which a server keeps its copies.
fn root_of(root_folder: Option<&str>) -> PathBuf {
    let tree = Tree::new(&[]);
    let source = source();
    let mut command = server_command(&tree, Path::new("/unused"));
    match root_folder {
        Some(folder) => command.env("DISTCC_CLIENT_TMP", folder),
        None => command.env_remove("DISTCC_CLIENT_TMP"),
    };
    assert!(command.status().unwrap().success());
    let server = Server {
        pid: tree.text("pid").trim().parse().unwrap(),
        roots: Tree::new(&[]),
        tree,
    };
    let paths = server.ask_for_paths(&source.path("src"), words("gcc -c a.c", &[]));
    let path = PathBuf::from(&paths[0]);
    let root: PathBuf = path.components().take(4).collect();
    let name = protocol::include::client_name(&paths[0]).unwrap();
    assert_eq!(PathBuf::from(name), source.path("src/a.c"));
    assert!(root.is_dir());
    let owner = format!(".include_server-{}-1", server.pid);
    assert!(
        root.to_str().unwrap().contains(&owner),
        "{}",
        root.display()
    );
    drop(server);
    assert!(!root.exists());
    root
}

#[test]
fn copies_stand_three_folders_deep() {
    let memory = root_of(None);
    let folder = if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    };
    assert_eq!(memory.parent(), Some(Path::new(folder)));
    let padded = root_of(Some("/tmp"));
    assert_eq!(padded.file_name().unwrap(), "padding");
    let own = Tree::new(&[]);
    let spelled = format!("/{}/", own.path("").display());
    assert_eq!(root_of(Some(&spelled)).parent(), Some(&*own.path("")));
}

#[test]
fn figures_closures_and_useless_options_are_printed() {
    let server = Server::start_with(&[
        "-s",
        "-w",
        "-d3",
        "-x",
        "--stat_reset_triggers=a",
        "--email",
    ]);
    let tree = source();
    server
        .ask(&tree.path("src"), words("gcc -c a.c -o o.o", &[]))
        .unwrap();
    wait_until("figures are printed", || {
        server.tree.text("stdout").contains("folders:")
    });
    let stdout = server.tree.text("stdout");
    assert!(
        stdout.starts_with("TRANSLATION_UNIT: a.c\nTIME:    last "),
        "{stdout}"
    );
    assert!(
        stdout.contains("SIZE:    files:                           2\n"),
        "{stdout}"
    );
    let approx = tree.text("src/o.d_approx");
    let listed: Vec<&str> = approx.lines().collect();
    assert_eq!(
        listed,
        [tree.path("src/a.c"), tree.path("src/a.h")].map(|path| path.display().to_string())
    );
    let stderr = server.stderr();
    for line in [
        "WARNING include server: -x is not needed",
        "WARNING include server: --stat_reset_triggers is not needed",
        "WARNING include server: no mail is sent",
        "TRACE include server: 2 files and ",
    ] {
        assert_eq!(stderr.matches(line).count(), 1, "{stderr}");
    }
}

#[test]
fn a_missing_port_ends_with_the_usage() {
    let output = run(&mut Command::new(env!("CARGO_BIN_EXE_include_server")));
    assert_eq!(output.status.code(), Some(1));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.starts_with("INCLUDE_SERVER_PORT not provided. Aborting.\n"),
        "{stdout}"
    );
    assert!(stdout.contains("--pid_file"));
    assert_eq!(output.stderr, b"");
}

#[test]
fn the_socket_is_ready_when_the_command_returns() {
    for _ in 0..5 {
        let server = Server::start();
        let metadata = fs::symlink_metadata(server.tree.path("socket")).unwrap();
        assert!(metadata.file_type().is_socket());
        let stream = UnixStream::connect(server.tree.path("socket")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
}
