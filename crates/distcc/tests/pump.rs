//! Pump mode, with an include server made of a test's own answer.
#![allow(clippy::unwrap_used, reason = "what a test unwraps it also checks")]

mod support;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::thread;

use protocol::include::{Query, encode_answer};
use protocol::request::Limits;
use protocol::{Version, lzo, stream};
use support::{
    Content, Distccd, FakeServer, HELLO, Place, Request, answer, read_request, run, success,
};

const PREPROCESSING: &str = "distcc[*] (dcc_build_somewhere) Warning: failed to get includes from \
                             include server, preprocessing locally";

/// Seconds for an include server that is silent. Also for the compile server, which is not: so long that it can answer
/// on any machine.
const PATIENCE: &str = "5";

/// An include server at `socket` in the place, and what it was asked.
fn include_server(place: &Place, files: Vec<OsString>) -> mpsc::Receiver<Query> {
    let listener = UnixListener::bind(place.path("socket")).unwrap();
    let (sender, queries) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let query = stream::read_query(&mut connection, Limits::default()).unwrap();
            connection.write_all(&encode_answer(&files)).unwrap();
            // Not every test wants to know.
            let _ = sender.send(query);
        }
    });
    queries
}

/// A mirror of files of the place below a client root of three components, as an answer names
/// them.
struct Mirror {
    root: tempfile::TempDir,
    files: Vec<OsString>,
}

impl Mirror {
    fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("mirror")
            .tempdir_in("/tmp")
            .unwrap();
        std::fs::create_dir(root.path().join("padding")).unwrap();
        Self {
            root,
            files: Vec::new(),
        }
    }

    fn path_of(&mut self, client: &str, suffix: &str) -> std::path::PathBuf {
        let below = format!("padding{client}{suffix}");
        let path = self.root.path().join(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        self.files.push(path.clone().into_os_string());
        path
    }

    fn add(&mut self, place: &Place, name: &str) {
        let client = place.path(name).into_os_string().into_string().unwrap();
        let content = place.read(name);
        std::fs::write(self.path_of(&client, ".lzo"), lzo::compress(&content)).unwrap();
    }

    fn link(&mut self, client: &str, text: &str) {
        symlink(text, self.path_of(client, "")).unwrap();
    }

    fn answer(&mut self) -> Vec<OsString> {
        std::mem::take(&mut self.files)
    }
}

fn distcc(place: &Place, host: &str, words: &str) -> std::process::Command {
    let mut distcc = place.distcc(&format!("{host},cpp,lzo"), words);
    distcc
        .env("INCLUDE_SERVER_PORT", place.path("socket"))
        .env("DISTCC_NO_REWRITE_CROSS", "");
    distcc
}

/// A server that answers all requests with the same bytes and keeps the requests.
fn recording(bytes: Vec<u8>) -> (FakeServer, mpsc::Receiver<Request>) {
    let (sender, requests) = mpsc::channel();
    let server = FakeServer::start(move |mut connection| {
        if let Ok(request) = read_request(&mut connection) {
            connection.write_all(&bytes).unwrap();
            // Not every test wants to know.
            let _ = sender.send(request);
        }
    });
    (server, requests)
}

fn name(place: &Place, name: &str) -> OsString {
    place.path(name).into_os_string()
}

#[test]
fn a_dependency_file_from_the_environment_is_added_to() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    let (server, _requests) = recording(success(Version::Pump, b"OBJECT"));
    place.write("deps", "before\n");
    let mut distcc = distcc(&place, &server.host(), "gcc -c a.c");
    run(distcc.env("DEPENDENCIES_OUTPUT", place.path("deps"))).assert(0, &[]);
    assert_eq!(place.text("deps"), "before\nfrom the server\n");
}

#[test]
fn the_files_that_the_include_server_names_are_sent() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    mirror.link("/usr/include", "../../usr/include");
    let placeholder = mirror.path_of("/w/d/forcing_technique_271828", "");
    assert!(!placeholder.exists());
    let queries = include_server(&place, mirror.answer());
    let (server, requests) = recording(success(Version::Pump, b"OBJECT"));
    run(&mut distcc(&place, &server.host(), "gcc -MD -c a.c")).assert(0, &[]);

    let query = queries.recv().unwrap();
    assert_eq!(query.cwd, place.path("").canonicalize().unwrap());
    assert_eq!(query.argv, ["gcc", "-MD", "-c", "a.c", "-o", "a.o"]);
    let request = requests.recv().unwrap();
    assert_eq!(request.head.version, Version::Pump);
    assert_eq!(request.head.cwd, Some(query.cwd));
    assert_eq!(
        request.head.argv,
        ["gcc", "-MD", "-c", "a.c", "-o", "a.o", "-MT", "a.o"]
    );
    assert_eq!(
        request.files,
        [
            (name(&place, "a.c"), Content::File(HELLO.into())),
            (
                "/usr/include".into(),
                Content::Link("../../usr/include".into())
            ),
            (
                "/w/d/forcing_technique_271828".into(),
                Content::File(vec![])
            ),
        ]
    );
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert_eq!(place.text("a.d"), "from the server\n");
}

#[test]
fn debug_information_names_the_folder_as_the_user_does() {
    let place = Place::new();
    let real = place.path("").canonicalize().unwrap();
    let link = place.path("link");
    symlink(&real, &link).unwrap();
    let (server, requests) = recording(success(Version::Pump, b"OBJECT"));
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    for (pwd, is_named) in [(link, true), (real.clone(), false), ("/usr".into(), false)] {
        let mut distcc = distcc(&place, &server.host(), "gcc -g -c a.c");
        run(distcc.env("PWD", &pwd)).assert(0, &[]);
        let head = requests.recv().unwrap().head;
        let map = format!("-fdebug-prefix-map={}={}", real.display(), pwd.display());
        assert_eq!(head.argv.contains(&map.into()), is_named, "{pwd:?}");
        assert_eq!(head.cwd, Some(real.clone().into()));
    }
}

#[test]
fn a_dependency_file_that_nobody_wants_is_not_written() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    let (server, _) = recording(success(Version::Pump, b"OBJECT"));
    run(&mut distcc(&place, &server.host(), "gcc -c a.c")).assert(0, &[]);
    assert_eq!(place.names(), ["a.c", "a.o", "socket"]);
}

#[test]
fn where_the_dependency_file_cannot_be_written_there_is_no_new_object_either() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    let (server, _requests) = recording(success(Version::Pump, b"OBJECT"));
    // The compiler cannot write it either, and fails.
    let words = "gcc -c a.c -MMD -MF none/a.d -o a.o";
    run(&mut distcc(&place, &server.host(), words)).assert_says(1, "none/a.d");
    assert_eq!(place.names(), ["a.c", "socket"]);
}

#[test]
fn an_answer_without_dependencies_is_not_whole() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    let mut bytes = success(Version::Pump, b"OBJECT");
    bytes.truncate(bytes.windows(4).position(|token| token == b"DOTD").unwrap());
    let (server, _) = recording(bytes);
    run(&mut distcc(&place, &server.host(), "gcc -MD -c a.c"))
        .assert_says(0, "unexpected eof while reading the answer");
    assert!(place.text("a.d").starts_with("a.o: a.c"));
}

#[test]
fn an_empty_dependency_file_is_none() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    let mut bytes = success(Version::Pump, b"OBJECT");
    let dotd = bytes.windows(4).position(|token| token == b"DOTD").unwrap();
    bytes.truncate(dotd);
    bytes.extend(b"DOTD00000000");
    let (server, _requests) = recording(bytes);
    run(&mut distcc(&place, &server.host(), "gcc -MD -c a.c"))
        .assert_says(0, "sent an empty dependency file");
    assert!(place.text("a.d").starts_with("a.o: a.c"));
    assert_ne!(place.read("a.o"), b"OBJECT");
    // Where nobody wants one, nothing is missing.
    let (server, _requests) = recording(success(Version::Pump, b"OBJECT"));
    run(&mut distcc(&place, &server.host(), "gcc -c a.c")).assert(0, &[]);
    assert_eq!(place.read("a.o"), b"OBJECT");
}

/// A compile that has to be preprocessed here after all, on the same host.
fn check_plain(
    place: &Place,
    words: &str,
    change: impl Fn(&mut std::process::Command),
    stderr: &[&str],
) {
    let (server, requests) = recording(success(Version::Lzo, b"OBJECT"));
    let mut distcc = distcc(place, &server.host(), words);
    change(&mut distcc);
    run(&mut distcc).assert(0, stderr);
    assert_eq!(requests.recv().unwrap().head.version, Version::Lzo);
    assert_eq!(server.connections(), 1);
}

#[test]
fn where_the_include_server_fails_we_preprocess() {
    let place = Place::new();
    let missing = format!(
        "distcc[*] ERROR: failed to connect to UNIX-DOMAIN {}: No such file or directory",
        place.path("socket").display()
    );
    check_plain(&place, "gcc -c a.c", |_| {}, &[&missing, PREPROCESSING]);
    check_plain(
        &place,
        "gcc -c a.c",
        |distcc| {
            distcc.env_remove("INCLUDE_SERVER_PORT");
        },
        &[
            "distcc[*] (dcc_talk_to_include_server) Warning: INCLUDE_SERVER_PORT not set - did \
             you forget to run under 'pump'?",
            PREPROCESSING,
        ],
    );
    let _queries = include_server(&place, Vec::new());
    check_plain(
        &place,
        "gcc -c a.c",
        |_| {},
        &[
            "distcc[*] (dcc_talk_to_include_server) Warning: include server gave up analyzing",
            PREPROCESSING,
        ],
    );
}

/// What an include server says before it goes, or falls silent.
fn check_broken_include_server(said: &'static [u8], is_silent: bool, complaint: &str) {
    let place = Place::new();
    let listener = UnixListener::bind(place.path("socket")).unwrap();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        stream::read_query(&mut connection, Limits::default()).unwrap();
        connection.write_all(said).unwrap();
        if is_silent {
            // Until the client has had enough.
            std::io::copy(&mut connection, &mut std::io::sink()).unwrap();
        }
    });
    let (server, requests) = recording(success(Version::Lzo, b"OBJECT"));
    let mut distcc = distcc(&place, &server.host(), "gcc -c a.c");
    let outcome = run(distcc.env("DISTCC_IO_TIMEOUT", if is_silent { PATIENCE } else { "90" }));
    let text = String::from_utf8_lossy(said);
    assert_eq!(outcome.code, 0, "{text}: {outcome:?}");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{text}: {outcome:?}");
    assert!(lines[0].contains(complaint), "{text}: {outcome:?}");
    assert!(
        lines[1].ends_with("preprocessing locally"),
        "{text}: {outcome:?}"
    );
    assert_eq!(requests.recv().unwrap().head.version, Version::Lzo);
    assert_eq!(place.read("a.o"), b"OBJECT");
    assert!(!place.is_backed_off(server.port));
}

#[test]
fn an_include_server_that_breaks_off_at_any_token() {
    let talk = "failed to talk to include server";
    for said in [
        &b""[..],
        b"ARGC00",
        b"ARGC00000002ARGV00000003/a/",
        b"ARGC00000001ARGV000000",
        b"ARGC00000001ARGV00000009/a/b",
        b"ABCD00000001",
        b"ARGCnonumber",
        b"ARGCffffffff",
        b"ARGC00000001ABCD00000004/a/b",
        b"ARGC00000001ARGVnonumber/a/b",
        b"ARGC00000001ARGVffffffff/a/b",
    ] {
        check_broken_include_server(said, false, talk);
    }
    thread::scope(|scope| {
        for said in [
            &b""[..],
            b"ARGC00",
            b"ARGC00000001",
            b"ARGC00000001ARGV00000009/a/b",
        ] {
            scope.spawn(move || check_broken_include_server(said, true, talk));
        }
    });
}

#[test]
fn an_include_server_that_lets_nobody_in() {
    let place = Place::new();
    let listener = UnixListener::bind(place.path("socket")).unwrap();
    // It accepts nobody, and holds few who wait.
    rustix::net::listen(&listener, 0).unwrap();
    let _waiting = UnixStream::connect(place.path("socket")).unwrap();
    let complaint = format!(
        "distcc[*] ERROR: failed to connect to UNIX-DOMAIN {}: timed out",
        place.path("socket").display()
    );
    check_plain(
        &place,
        "gcc -c a.c",
        |distcc| {
            distcc.env("DISTCC_IO_TIMEOUT", PATIENCE);
        },
        &[&complaint, PREPROCESSING],
    );
}

#[test]
fn an_include_server_that_names_what_cannot_be_sent() {
    for (said, complaint) in [
        (
            &b"ARGC00000001ARGV00000002/a"[..],
            "include server named '/a', which is not below its root",
        ),
        (
            b"ARGC00000001ARGV0000000c/a/b/c/x.lzo",
            "cannot read '/a/b/c/x.lzo': No such file or directory",
        ),
        (b"ARGC00000001ARGV00000000", "include server named ''"),
    ] {
        check_broken_include_server(said, false, complaint);
    }
}

#[test]
fn what_pump_mode_cannot_do_is_preprocessed_here() {
    let place = Place::new();
    place.write("p.i", HELLO);
    check_plain(
        &place,
        "gcc -c p.i",
        |_| {},
        &[
            "distcc[*] (dcc_perhaps_adjust_cpp_where_and_protover) Warning: cannot use \
             distcc_pump on already preprocessed file (such as emitted by ccache)",
        ],
    );
    check_plain(
        &place,
        "gcc -c a.c",
        |distcc| {
            distcc.env("CPATH", "");
        },
        &[
            "distcc[*] (dcc_perhaps_adjust_cpp_where_and_protover) Warning: cannot use \
             distcc_pump with any of environment variables CPATH, C_INCLUDE_PATH or \
             CPLUS_INCLUDE_PATH set, preprocessing locally",
        ],
    );
}

#[test]
fn tests_of_include_servers_want_to_see_failures() {
    let place = Place::new();
    let mut distcc = distcc(&place, "127.0.0.1:1", "gcc -c a.c");
    let outcome = run(distcc.env("DISTCC_TESTING_INCLUDE_SERVER", "1"));
    outcome.assert_says(1, "failed to get includes from include server");
    assert!(!place.exists("a.o"));
}

#[test]
fn a_discrepancy_is_counted_and_ends_pump_mode() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    let _queries = include_server(&place, mirror.answer());
    let (failing, _) = recording(answer(Version::Pump, 0x100, "missing.h\n", b""));
    let mut compile = distcc(&place, &failing.host(), "gcc -c a.c");
    let compile = compile.env("DISTCC_BACKOFF_PERIOD", "0");
    run(compile.env("DISTCC_MAX_DISCREPANCY", "2"))
        .assert_says(0, "retried locally and got a different result.");
    assert_eq!(place.text("discrepancy_counter"), "@");
    run(compile).assert_says(
        0,
        "now using plain distcc, possibly due to inconsistent file system changes during build",
    );
    assert_eq!(place.text("discrepancy_counter"), "@@");
    // From now on plain, without a word.
    check_plain(
        &place,
        "gcc -c a.c",
        |distcc| {
            distcc.env("DISTCC_MAX_DISCREPANCY", "2");
        },
        &[],
    );
}

#[test]
fn scan_includes_shows_what_would_be_sent() {
    let place = Place::new();
    let mut mirror = Mirror::new();
    mirror.add(&place, "a.c");
    mirror.link("/usr/include", &format!("{}usr/include", "../".repeat(22)));
    mirror.link("/w/l.h", "/w/real.h");
    mirror.path_of("/w/d/forcing_technique_271828", "");
    let _queries = include_server(&place, mirror.answer());
    let mut scan = distcc(&place, "127.0.0.1:1", "--scan-includes gcc -c a.c");
    let outcome = run(&mut scan);
    outcome.assert(0, &[]);
    assert_eq!(
        outcome.stdout,
        format!(
            "FILE      {}\nSYSTEMDIR /usr/include\nSYMLINK   /w/l.h\nDIRECTORY /w/d\n",
            place.path("a.c").display()
        )
    );
    let mut plain = place.distcc("127.0.0.1:1,lzo", "--scan-includes gcc -c a.c");
    run(&mut plain).assert_says(100, "distcc wouldn't have used include server");
    scan.env("INCLUDE_SERVER_PORT", "/nowhere/socket");
    run(&mut scan).assert_says(
        1,
        "(dcc_approximate_includes) ERROR: failed to get includes",
    );
}

#[test]
fn the_packaged_server_compiles_what_we_send() {
    let server = Distccd::start();
    let place = Place::new();
    place.write("sub/inc.h", "#define VALUE 7\n");
    place.write(
        "i.c",
        "#include \"sub/inc.h\"\nint f(void) { return VALUE; }\n",
    );
    let mut mirror = Mirror::new();
    mirror.add(&place, "i.c");
    mirror.add(&place, "sub/inc.h");
    let _queries = include_server(&place, mirror.answer());
    let host = format!("127.0.0.1:{}", server.port);
    let mut compile = distcc(&place, &host, "gcc -MMD -c i.c -o sub/x.o");
    run(compile.env("DISTCC_FALLBACK", "0")).assert(0, &[]);
    let reference = Place::new();
    reference.write("sub/inc.h", place.read("sub/inc.h"));
    reference.write("i.c", place.read("i.c"));
    reference.local("gcc -MMD -c i.c -o sub/x.o");
    assert_eq!(place.read("sub/x.o"), reference.read("sub/x.o"));
    assert_eq!(place.text("sub/x.d"), reference.text("sub/x.d"));
}
