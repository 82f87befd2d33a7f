//! What is seen of a server from outside: its log and its statistics, beside the packaged one's.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use protocol::Version;
use support::port::Port;
use support::{Daemon, SCRIPTED_COMPILER, SIDES, SOON, Setup, Side, source_request, wait_until};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];

fn setup(side: Side) -> Setup {
    let setup = Setup::insecure().script("cc", SCRIPTED_COMPILER);
    setup.of(side).arg("--allow=127.0.0.1")
}

fn request(script: &str) -> Vec<u8> {
    source_request(Version::Plain, &ARGV, script.as_bytes())
}

/// A text with each number as `N`.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            c => out.push(c),
        }
    }
    out
}

/// The log of one job that succeeds and one that fails.
fn log_of_two_jobs(server: &Daemon) -> Vec<String> {
    for script in ["echo > $out", "echo wrong >&2; exit 3"] {
        let before = server.log().len();
        assert!(server.ask(Version::Plain, &request(script)).is_some());
        wait_until("a summary", || {
            server.log()[before..].contains("(dcc_job_summary)")
        });
    }
    server.log().lines().map(without_numbers).collect()
}

#[test]
fn log_lines_are_3_4s() {
    let [ours, theirs] = SIDES.map(|side| {
        let server = setup(side).arg("--log-level=info").start_by_port();
        log_of_two_jobs(&server)
    });
    for line in &theirs {
        // Ours has neither children of its own nor another way to authenticate, and tells its
        // version as its own.
        let of_theirs = ["No authentication requested", "daemon started"];
        if of_theirs.iter().any(|part| line.contains(part)) {
            continue;
        }
        assert!(ours.contains(line), "{line} is not in {ours:#?}");
    }
    assert!(theirs.len() > 12);
    assert!(
        ours.iter().any(|line| line.contains("daemon started (")),
        "{ours:#?}"
    );
}

#[test]
fn log_levels() {
    for side in SIDES {
        for (level, info, notice) in [
            ("--log-level=error", false, false),
            ("--log-level=warning", false, false),
            ("--log-level=notice", false, true),
            ("--no-fifo", false, true),
            ("--log-level=loud", false, true),
            ("--log-level=info", true, true),
            ("--verbose", true, true),
        ] {
            let server = setup(side).arg(level).start_by_port();
            server.ask(Version::Plain, &request("echo > $out")).unwrap();
            // Refused.
            let argv = ["cc", "a.o", "-o", "a"];
            let refused = source_request(Version::Plain, &argv, b"");
            server.ask(Version::Plain, &refused);
            let has = |text: &str| server.log().contains(text);
            if notice {
                wait_until("two summaries", || {
                    server.log().matches("(dcc_job_summary)").count() == 2
                });
            }
            assert_eq!(has("(dcc_job_summary)"), notice, "{side:?} {level}");
            assert_eq!(
                has("(dcc_check_client) connection from"),
                info,
                "{side:?} {level}"
            );
            let command = "got arguments: cc -c a.c -o a.o";
            assert_eq!(has(command), level == "--verbose", "{side:?} {level}");
        }
    }
}

#[test]
fn standard_error_instead_of_a_file() {
    for side in SIDES {
        let server = setup(side).arg("--log-stderr").start_by_port();
        server.ask(Version::Plain, &request("echo > $out")).unwrap();
        let said = || fs::read_to_string(server.file("stderr")).unwrap();
        wait_until("it is said", || said().contains(" COMPILE_OK "));
        assert_eq!(server.log(), "", "{side:?}");
    }
}

/// Where syslog listens, as far as a test can have it: in a mount namespace of its own.
#[test]
fn syslog_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let syslog = UnixDatagram::bind(&socket).unwrap();
    syslog.set_read_timeout(Some(SOON)).unwrap();
    let script = "for name in null zero full random urandom; do \
                      touch \"$2/$name\" && mount --bind /dev/$name \"$2/$name\" || exit; \
                  done; \
                  ln -s \"$1\" \"$2/log\" && mount --rbind \"$2\" /dev && shift 2 && exec \"$@\"";
    let dev = folder.path().join("dev");
    fs::create_dir(&dev).unwrap();
    let server = env!("CARGO_BIN_EXE_distccd");
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(&socket).arg(&dev).arg(server);
    command.args([
        "--inetd",
        "--same-user",
        "--sandbox=off",
        "--log-level=notice",
    ]);
    let mut child = command
        .env("TMPDIR", folder.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(113));
    let mut line = [0; 4096];
    let length = syslog.recv(&mut line).unwrap();
    let line = String::from_utf8_lossy(&line[..length]).into_owned();
    // Facility "daemon" is 3, and an error 3, too; syslog takes name and pid from the front.
    let pid = line.split(['[', ']']).nth(1).unwrap();
    let expected = format!("<27>distccd[{pid}]: (dcc_check_client) ERROR: connection from");
    assert!(line.starts_with(&expected), "{line}");
}

/// The page of a server, asked for as `request`; and how long it took.
fn page(port: u16, request: &[u8]) -> (String, Duration) {
    let limit = Instant::now() + SOON;
    loop {
        let started = Instant::now();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(SOON)).unwrap();
        let mut text = String::new();
        let asked = client.write_all(request);
        match asked.and_then(|()| client.read_to_string(&mut text)) {
            Ok(_) => return (text, started.elapsed()),
            // On a busy machine a request may come so late that the server has given its page to one who says nothing.
            Err(error) if is_cut_off(&error) && Instant::now() < limit => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn is_cut_off(error: &io::Error) -> bool {
    let cut_off = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    cut_off.contains(&error.kind())
}

const GET: &[u8] = b"GET / HTTP/1.0\r\nHost: x\r\n\r\n";

/// A server with statistics, their port, and what keeps it.
fn with_statistics(side: Side) -> (Daemon, u16, Port) {
    let kept = Port::keep();
    let port = kept.number;
    let setup = setup(side)
        .arg("--stats")
        .arg(format!("--stats-port={port}"));
    let server = setup
        .arg("--jobs=3")
        .arg("--log-level=info")
        .start_by_port();
    server.wait_for_log(&format!("HTTP server started on port {port}"));
    (server, port, kept)
}

/// The names of a page's fields, and its other lines as they are.
fn fields(page: &str) -> Vec<&str> {
    let name = |line| match str::split_once(line, ' ') {
        Some((name, _)) if name.starts_with("dcc_") => name,
        _ => line,
    };
    page.lines().map(name).collect()
}

fn field(page: &str, name: &str) -> String {
    let mut lines = page.lines().filter_map(|line| line.split_once(' '));
    lines
        .find(|(field, _)| *field == name)
        .unwrap()
        .1
        .to_owned()
}

#[test]
fn statistics_are_3_4s() {
    let [ours, theirs] = SIDES.map(|side| {
        let started = Instant::now();
        let (server, port, _kept) = with_statistics(side);
        let (first, _) = page(port, GET);
        assert_eq!(field(&first, "dcc_longest_job"), "none", "{side:?}");
        assert_eq!(
            field(&first, "dcc_longest_job_time_msecs"),
            "-1",
            "{side:?}"
        );
        for script in ["echo > $out", "sleep 0.1; echo > $out", "exit 1"] {
            assert!(server.ask(Version::Plain, &request(script)).is_some());
        }
        // Not a request.
        assert_eq!(server.ask(Version::Plain, b"DIST00000009"), None);
        wait_until("all is counted", || {
            let (page, _) = page(port, GET);
            field(&page, "dcc_rej_bad_req") == "1" && field(&page, "dcc_compile_error") == "1"
        });
        // 3.4 adds them up every three seconds.
        wait_until("compiles of the last minute", || {
            field(&page(port, GET).0, "dcc_num_compiles1") == "3"
        });
        (page(port, GET).0, started.elapsed())
    });
    assert_eq!(fields(&ours.0), fields(&theirs.0));
    for (page, took) in [&ours, &theirs] {
        for (name, expected) in [
            ("dcc_tcp_accept", "4"),
            ("dcc_rej_overload", "0"),
            ("dcc_compile_ok", "2"),
            ("dcc_compile_timeout", "0"),
            ("dcc_cli_disconnect", "0"),
            ("dcc_longest_job", "a.c"),
            ("dcc_longest_job_compiler", "cc"),
            ("dcc_max_kids", "3"),
            ("dcc_num_compiles3", "3"),
        ] {
            assert_eq!(field(page, name), expected, "{name} in {page}");
        }
        let longest: u128 = field(page, "dcc_longest_job_time_msecs").parse().unwrap();
        assert!((100..=took.as_millis()).contains(&longest), "{page}");
        assert!(field(page, "dcc_free_space").ends_with(" MB"), "{page}");
        assert!(page.len() <= 2048);
    }
}

#[test]
fn statistics_are_for_clients_only() {
    for side in SIDES {
        let setup = Setup::bare()
            .of(side)
            .arg("--enable-tcp-insecure")
            .arg("--allow=192.0.2.1");
        let kept = Port::keep();
        let port = kept.number;
        let setup = setup
            .arg("--stats")
            .arg(format!("--stats-port={port}"))
            .arg("--log-level=info");
        let server = setup.start_by_port();
        server.wait_for_log("HTTP server started");
        assert_eq!(page(port, b"").0, "", "{side:?}");
        server.wait_for_log("denied by access list");
    }
}

#[test]
fn statistics_never_wait_for_anybody() {
    let (_server, port, _kept) = with_statistics(Side::Ours);
    // Some say nothing, some take nothing, some say too much; more than are served at a time.
    let mut others = Vec::new();
    for number in 0..100 {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        match number % 3 {
            0 => {}
            1 => client.write_all(GET).unwrap(),
            // It may be gone already.
            _ => drop(client.write_all(&[b'x'; 100_000])),
        }
        others.push(client);
    }
    let (text, took) = page(port, GET);
    assert!(text.ends_with("</distccstats>\n"), "{text}");
    // If each of those who say nothing had to be waited for, it would be 17 s.
    assert!(took < Duration::from_secs(15), "{took:?}");
    // Who asks for nothing gets it, too, and whole.
    let (text, _) = page(port, b"");
    assert!(text.ends_with("</distccstats>\n"), "{text}");
    let mut half = TcpStream::connect(("127.0.0.1", port)).unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    half.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("</distccstats>\n"), "{text}");
    drop(others);
}
