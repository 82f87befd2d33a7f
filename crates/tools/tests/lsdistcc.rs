//! lsdistcc against listeners made here, and against the distccd of distcc 3.4.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, reason = "the end-to-end tests use it, too")]
#[path = "../../../tests/src/port.rs"]
mod port;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use port::Port;

/// Times that no machine exceeds, however busy it is.
const PATIENT: [&str; 4] = ["-t60", "-c20000", "-k20000", "-h20000"];

/// What a run of lsdistcc said.
struct Said {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

fn lsdistcc(args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lsdistcc"));
    command.env_remove("HOST").env_remove("HOSTNAME");
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(args).stdin(Stdio::null()).output().unwrap();
    Said {
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        code: status.code(),
    }
}

/// A listener on 127.0.0.1 only, and the option that names its port.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("-r{}", listener.local_addr().unwrap().port());
    (listener, port)
}

/// Takes one request of `bytes` bytes, then says `answer` and hangs up. Gives the request.
fn serve_one(listener: TcpListener, bytes: usize, answer: &str) -> mpsc::Receiver<Vec<u8>> {
    let (give, take) = mpsc::channel();
    let answer = answer.to_owned();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = vec![0; bytes];
        client.read_exact(&mut request).unwrap();
        give.send(request).unwrap();
        client.write_all(answer.as_bytes()).unwrap();
    });
    take
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn lists_reachable_hosts() {
    let (_listener, port) = listener();
    let n = &port[2..];
    let args = [
        &port,
        "localhost",
        "127.0.0.1",
        "127.0.0.2",
        "an-invalid..hostname",
    ];
    let said = lsdistcc(&[&PATIENT[..], &args].concat());
    let expected = [format!("127.0.0.1:{n}"), format!("localhost:{n}")];
    assert_eq!(sorted(&said.stdout), expected);
    assert_eq!(said.stderr, "");
    assert_eq!(said.code, Some(0));
}

#[test]
fn lists_hosts_that_are_down_if_asked() {
    let kept = Port::keep();
    let n = kept.number;
    let port = format!("-r{n}");
    let said = lsdistcc(&[&port, "-P3", "-n", "localhost"]);
    assert_eq!((said.stdout.as_str(), said.code), ("", Some(0)));
    let said = lsdistcc(&[&port, "-P3", "-n", "-x", "localhost"]);
    assert_eq!(said.stdout, format!("127.0.0.1:{n},lzo,cpp,down\n"));
    assert_eq!(said.code, Some(0));
}

#[test]
fn help_and_mistakes_print_the_usage_on_stdout() {
    for args in [
        &["--help"][..],
        &["-r", "3632"],
        &["-z", "localhost"],
        &["-P4"],
    ] {
        let said = lsdistcc(args);
        assert!(said.stdout.starts_with("Usage: lsdistcc"), "{args:?}");
        assert_eq!(said.code, Some(1), "{args:?}");
    }
    assert_eq!(lsdistcc(&["--help"]).stderr, "");
    assert_eq!(lsdistcc(&["-P4"]).stderr, "lsdistcc: bad option: -P4\n");
}

#[test]
fn fails_if_no_name_exists() {
    // A name with an IPv6 address only does not exist for lsdistcc.
    let said = lsdistcc(&["-x", "::1"]);
    assert_eq!((said.stdout.as_str(), said.code), ("", Some(1)));
}

#[test]
fn stops_after_too_many_names_that_do_not_exist() {
    let (_listener, port) = listener();
    let names = ["::1", "::1", "::1", "127.0.0.1"];
    let said = lsdistcc(&[&PATIENT[..], &["-g1", &port], &names].concat());
    assert_eq!((said.stdout.as_str(), said.code), ("", Some(1)));
    let said = lsdistcc(&[&PATIENT[..], &["-g3", &port], &names].concat());
    assert_eq!(said.stdout, format!("127.0.0.1:{}\n", &port[2..]));
}

#[test]
fn stops_where_addresses_begin_to_differ() {
    let said = lsdistcc(&["-c0", "-m30", "127.0.0.%d"]);
    assert_eq!(
        sorted(&said.stdout),
        ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    );
    assert_eq!(said.code, Some(0));
}

#[test]
fn appends_the_domain_of_the_environment() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lsdistcc"));
    command.env("HOST", "me.0.1").env_remove("HOSTNAME");
    let output = command.args(["-c0", "-d", "127.0"]).output().unwrap();
    assert_eq!(output.stdout, b"127.0.0.1\n");
}

#[test]
fn hundreds_of_hosts_are_asked_at_once() {
    let (listener, port) = listener();
    std::thread::spawn(move || {
        let mut clients = Vec::new();
        while let Ok((client, _)) = listener.accept() {
            clients.push(client);
        }
    });
    let names = vec!["127.0.0.1"; 700];
    let start = Instant::now();
    // Each keeps the client waiting for 200 ms: one after the other would take 140 s.
    let args = [&[&port, "-t100", "-pgcc", "-k200", "-x"][..], &names].concat();
    let said = lsdistcc(&args);
    assert_eq!(said.stdout.lines().count(), 700);
    assert_eq!(
        said.stdout.lines().find(|line| !line.ends_with(",down")),
        None
    );
    assert!(start.elapsed() < Duration::from_secs(100));
}

#[test]
fn never_takes_longer_than_told() {
    let (_silent, port) = listener();
    let start = Instant::now();
    let said = lsdistcc(&[&port, "-t1", "-pgcc", "-k60000", "-x", "-v", "127.0.0.1"]);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!((said.stdout.as_str(), said.code), ("", Some(0)));
    assert!(said.stderr.ends_with("\nTimeout!\n"), "{}", said.stderr);
}

#[test]
fn tells_what_happens_if_asked() {
    let kept = Port::keep();
    let port = format!("-r{}", kept.number);
    let said = lsdistcc(&[&PATIENT[..], &[&port, "-v", "127.0.0.1"]].concat());
    let told: Vec<&str> = said.stderr.lines().collect();
    let told: Vec<&str> = told
        .iter()
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    let expected = [
        "Looking up 127.0.0.1",
        "Connecting to 127.0.0.1",
        "Connecting to 127.0.0.1 failed with errno 111 = Connection refused",
    ];
    assert_eq!(told, expected);
    assert!(said.stderr.starts_with("now "));
}

#[test]
fn test_compile_decides() {
    let request = "DIST00000001ARGC00000005ARGV00000002ccARGV00000002-cARGV00000007hello.c\
                   ARGV00000002-oARGV00000007hello.oDOTI00000014int foo(){return 0;}";
    for (answer, suffix) in [
        (
            "DONE00000001STAT00000000SERR00000000SOUT00000000DOTO00000001x",
            "",
        ),
        (
            "DONE00000001STAT00000100SERR00000000SOUT00000000DOTO00000000",
            ",down",
        ),
        ("DONE00000002STAT00000000", ",down"),
        ("", ",down"),
    ] {
        let (listener, port) = listener();
        let asked = serve_one(listener, request.len(), answer);
        let args = [&port, "-pcc", "-x", "127.0.0.1"];
        let said = lsdistcc(&[&PATIENT[..], &args].concat());
        let expected = format!("127.0.0.1:{}{suffix}\n", &port[2..]);
        assert_eq!(said.stdout, expected, "{answer}");
        assert_eq!(asked.recv().unwrap(), request.as_bytes());
    }
}

#[test]
fn silent_host_is_down_after_its_time() {
    let (_silent, port) = listener();
    let said = lsdistcc(&[&port, "-pcc", "-k100", "-x", "-v", "-l", "127.0.0.1"]);
    let start = format!("127.0.0.1:{},down ", &port[2..]);
    let latency = said.stdout.strip_prefix(&start).expect(&said.stdout);
    assert!(
        latency.trim_end().parse::<u32>().unwrap() >= 100,
        "{latency}"
    );
    let end = ": 127.0.0.1 timed out while compiling\n";
    assert!(said.stderr.ends_with(end), "{}", said.stderr);
}

/// The distccd of distcc 3.4, ended when this is dropped.
struct Distccd {
    child: Child,
    port: u16,
    _kept: Port,
    _folder: tempfile::TempDir,
}

impl Distccd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As root it becomes another user.
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let kept = Port::keep();
        let port = kept.number;
        let child = Command::new("distccd")
            .args(["--daemon", "--no-detach", "--listen", "127.0.0.1"])
            .args([
                "--allow",
                "127.0.0.1",
                "--enable-tcp-insecure",
                "--log-stderr",
            ])
            .args(["--jobs", "2", "--port", &port.to_string()])
            .env("TMPDIR", folder.path())
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the package distcc is installed");
        let mut server = Self {
            child,
            port,
            _kept: kept,
            _folder: folder,
        };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(server.child.try_wait().unwrap(), None, "distccd ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Distccd {
    fn drop(&mut self) {
        // Its workers are in the same group, which it was made the head of.
        let group = rustix::process::Pid::from_child(&self.child);
        let signal = rustix::process::Signal::KILL;
        let _ = rustix::process::kill_process_group(group, signal);
        let _ = self.child.wait();
    }
}

#[test]
fn distccd_3_4_compiles_in_all_protocols() {
    let server = Distccd::start();
    let port = server.port;
    let option = format!("-r{port}");
    for (protocol, suffix) in [("-P1", ""), ("-P2", ",lzo"), ("-P3", ",lzo,cpp")] {
        let args = [&option, protocol, "-pgcc", "127.0.0.1"];
        let said = lsdistcc(&[&PATIENT[..], &args].concat());
        assert_eq!(said.stdout, format!("127.0.0.1:{port}{suffix}\n"));
        assert_eq!(said.code, Some(0));
    }
}

#[test]
fn distccd_3_4_without_the_compiler_is_down() {
    let server = Distccd::start();
    let port = format!("-r{}", server.port);
    let args = [&port, "-x", "-pno-such-cc", "127.0.0.1"];
    let said = lsdistcc(&[&PATIENT[..], &args].concat());
    assert_eq!(said.stdout, format!("127.0.0.1:{},down\n", server.port));
}
