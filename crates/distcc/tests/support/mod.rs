//! What the tests share: a folder to compile in, servers that say what a test wants, and the
//! packaged distccd.
#![allow(dead_code, reason = "each test program uses its own part")]

#[allow(unreachable_pub, reason = "the end-to-end tests use it, too")]
#[path = "../../../../tests/src/port.rs"]
mod port;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use port::Port;
use protocol::request::{Head, Limits, RequestDecoder, Step};
use protocol::response::Response;
use protocol::{Version, lzo, stream};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// A source that compiles without a word.
pub(crate) const HELLO: &str = "int main(void) { return 0; }\n";

/// A folder with sources, and a state folder of its own.
pub(crate) struct Place {
    dir: TempDir,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code, or 128 and the signal.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    /// With `a.c`, which is [`HELLO`].
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        place.write("a.c", HELLO);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// A shell script that can be run.
    pub(crate) fn script(&self, name: &str, body: &str) {
        // By another process: if this one opened the file for writing, a test that forks at that
        // moment would keep it busy for longer.
        let mut install = Command::new("install")
            .args(["-D", "-m755", "/dev/stdin"])
            .arg(self.path(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("#!/bin/sh\n{body}\n");
        install
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(install.wait().unwrap().success());
    }

    /// Any command, here, in an environment that holds nothing else.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("LC_ALL", "C")
            .env("DISTCC_DIR", self.path("state-dir"))
            .env("DISTCC_PAUSE_TIME_MSEC", "20")
            .stdin(Stdio::null());
        command
    }

    /// `distcc` with these hosts and words; blanks separate words.
    pub(crate) fn distcc(&self, hosts: &str, words: &str) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_distcc"));
        command.env("DISTCC_HOSTS", hosts).args(words.split(' '));
        command
    }

    /// A command that the test expects to run without distcc.
    pub(crate) fn local(&self, words: &str) -> Outcome {
        let (program, rest) = words.split_once(' ').unwrap();
        run(self.command(program).args(rest.split(' ')))
    }

    /// Names in the folder, hidden ones too, without what tests and `distcc` keep there.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "state-dir" && name != "home")
            .collect();
        names.sort();
        names
    }

    /// Records for the monitor that are left.
    pub(crate) fn records(&self) -> usize {
        let is_record =
            |name: std::ffi::OsString| name.as_encoded_bytes().starts_with(b"binstate_");
        fs::read_dir(self.path("state-dir/state")).map_or(0, |entries| {
            let names = entries.flatten().map(|entry| entry.file_name());
            names.filter(|name| is_record(name.clone())).count()
        })
    }

    /// Whether a host is left alone for now.
    pub(crate) fn is_backed_off(&self, port: u16) -> bool {
        self.exists(&format!("state-dir/lock/backoff_tcp_127.0.0.1_{port}_0"))
    }
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let status = output.status;
    Outcome {
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Outcome {
    /// Asserts the exit code, and that standard error has exactly these lines, in which process
    /// numbers are `*`.
    pub(crate) fn assert(&self, code: i32, stderr: &[&str]) {
        let lines: Vec<String> = self.stderr.lines().map(without_pid).collect();
        assert_eq!(lines, stderr, "{self:?}");
        assert_eq!(self.code, code, "{self:?}");
    }

    /// Asserts the exit code, and that standard error says this somewhere.
    pub(crate) fn assert_says(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(text), "no {text:?} in {self:?}");
    }
}

fn without_pid(line: &str) -> String {
    let parts = line
        .strip_prefix("distcc[")
        .and_then(|rest| rest.split_once(']'));
    match parts {
        Some((_, rest)) => format!("distcc[*]{rest}"),
        None => line.to_owned(),
    }
}

/// A request as a server got it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    /// Preprocessed source, unpacked.
    pub(crate) source: Vec<u8>,
    /// Names and contents (unpacked) or texts of links.
    pub(crate) files: Vec<(OsString, Content)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    File(Vec<u8>),
    Link(OsString),
}

/// Reads a whole request.
pub(crate) fn read_request(from: &mut impl Read) -> io::Result<Request> {
    let mut decoder = RequestDecoder::new(Limits::default());
    let mut head = None;
    let mut source = Vec::new();
    let mut files = Vec::new();
    loop {
        match decoder.step() {
            Step::Header => decoder
                .on_header(&stream::read_header(from)?)
                .map_err(io::Error::other)?,
            Step::Text { bytes } => decoder
                .on_text(stream::read_body(from, bytes)?)
                .map_err(io::Error::other)?,
            Step::Head(read) => head = Some(read),
            Step::Source { wire_bytes } => {
                let body = stream::read_body(from, wire_bytes)?;
                let version = head.as_ref().map(|head| head.version);
                source = unpacked(body, version != Some(Version::Plain));
            }
            Step::File { name, wire_bytes } => {
                let body = stream::read_body(from, wire_bytes)?;
                files.push((name, Content::File(unpacked(body, true))));
            }
            Step::Link { name, text } => files.push((name, Content::Link(text))),
            Step::Why { .. } => return Err(io::Error::other("no request")),
            Step::End => {
                return Ok(Request {
                    head: head.expect("the decoder gives it first"),
                    source,
                    files,
                });
            }
        }
    }
}

fn unpacked(body: Vec<u8>, packed: bool) -> Vec<u8> {
    match packed && !body.is_empty() {
        true => lzo::decompress(&body, 1 << 24).unwrap(),
        false => body,
    }
}

/// A success with this object, and nothing said.
pub(crate) fn success(version: Version, object: &[u8]) -> Vec<u8> {
    answer(version, 0, "", object)
}

/// An answer without standard output.
pub(crate) fn answer(version: Version, status: u32, stderr: &str, object: &[u8]) -> Vec<u8> {
    Response {
        version,
        status,
        stderr: stderr.as_bytes(),
        stdout: b"",
        object,
        dependencies: b"from the server\n",
    }
    .encode()
}

/// A server that does what a test wants with each connection, one after the other, as long as
/// the test program runs.
pub(crate) struct FakeServer {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
}

impl FakeServer {
    pub(crate) fn start(serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        Self::accepting(TcpListener::bind("127.0.0.1:0").unwrap(), serve)
    }

    /// Closes each connection without a word, and tells whoever asks why.
    pub(crate) fn refusing(reason: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let refuse = |mut connection: TcpStream| drop(read_request(&mut connection));
        Self::telling(listener, reason, refuse)
    }

    fn accepting(listener: TcpListener, serve: impl FnMut(TcpStream) + Send + 'static) -> Self {
        // As a server of 3.4 does.
        Self::telling(listener, b"", serve)
    }

    /// The same, for clients that ask why they were refused, too: their connections do not count.
    fn telling(
        listener: TcpListener,
        reason: &'static [u8],
        mut serve: impl FnMut(TcpStream) + Send + 'static,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut first = [0; 4];
                // Requests begin with one write of more than that.
                if connection.peek(&mut first).is_ok() && &first == b"WHYN" {
                    let _ = connection.read(&mut [0; 12]);
                    let _ = connection.write_all(reason);
                    continue;
                }
                counter.fetch_add(1, Ordering::SeqCst);
                serve(connection);
            }
        });
        Self { port, connections }
    }

    /// Reads each request and answers with the same bytes.
    pub(crate) fn answering(bytes: Vec<u8>) -> Self {
        Self::serving(TcpListener::bind("127.0.0.1:0").unwrap(), bytes)
    }

    /// The same at another address.
    pub(crate) fn serving(listener: TcpListener, bytes: Vec<u8>) -> Self {
        Self::accepting(listener, move |mut connection| {
            // A client that hangs up is the test's business.
            if read_request(&mut connection).is_ok() {
                let _ = connection.write_all(&bytes);
            }
        })
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Waits for something that another process does.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(
            start.elapsed() < Duration::from_secs(120),
            "waiting for {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}

/// The packaged distccd, serving on the loopback address until this is dropped.
pub(crate) struct Distccd {
    pub(crate) port: u16,
    process: Child,
    dir: TempDir,
    _port: Port,
}

impl Distccd {
    pub(crate) const PROGRAM: &str = "/usr/bin/distccd";

    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // As root it becomes the user distccd, who needs this folder too.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let port = Port::keep();
        let mut server = Self {
            port: port.number,
            process: Self::spawn(port.number, dir.path()),
            dir,
            _port: port,
        };
        wait_until("distccd", || {
            assert_eq!(server.process.try_wait().unwrap(), None);
            TcpStream::connect(("127.0.0.1", server.port)).is_ok()
        });
        server
    }

    fn spawn(port: u16, dir: &Path) -> Child {
        Command::new(Self::PROGRAM)
            .args(["--daemon", "--no-detach", "--enable-tcp-insecure"])
            .args(["--listen", "127.0.0.1", "--allow", "127.0.0.1"])
            .args(["--port", &port.to_string(), "--log-file"])
            .arg(dir.join("log"))
            .env("TMPDIR", dir)
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", Self::PROGRAM))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Distccd {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.process);
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::TERM);
        let _ = self.process.wait();
    }
}
