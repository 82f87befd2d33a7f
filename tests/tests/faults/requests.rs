//! Garbage, truncated and oversized requests to our server.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use end_to_end::client::Client;
use end_to_end::programs::Side;
use end_to_end::run::{run, wait_until};
use end_to_end::server::{Server, Setup};
use end_to_end::tree::Tree;

use crate::{arguments, noise, packet, peak_memory_mib, token};

/// An LZO1X block of about `block_bytes` that unpacks to 255 times as much: one letter, and one
/// match that repeats it.
fn bomb(block_bytes: usize) -> Vec<u8> {
    let mut block = vec![17 + 1, b'a', 0x20];
    block.resize(block_bytes, 0);
    block.extend([1, 0, 0, 0x11, 0, 0]);
    block
}

/// The smallest block: nothing.
const EMPTY_BLOCK: &[u8] = &[0x11, 0, 0];

/// A request that must be refused.
struct Bad {
    name: &'static str,
    bytes: Vec<u8>,
    /// What the log must say of it.
    reason: &'static str,
}

fn bad(name: &'static str, bytes: impl Into<Vec<u8>>, reason: &'static str) -> Bad {
    Bad {
        name,
        bytes: bytes.into(),
        reason,
    }
}

fn requests() -> Vec<Bad> {
    let compile = || arguments(&["gcc", "-c", "a.c", "-o", "a.o"]);
    let version = |number| token("DIST", number);
    let plain = |end: &[u8]| [version(1), compile(), end.to_vec()].concat();
    let packed = |end: &[u8]| [version(2), compile(), end.to_vec()].concat();
    let command =
        |words: &[&str]| [version(1), arguments(words), packet("DOTI", "int a;")].concat();
    let files = |count, end: &[u8]| {
        let head = [
            version(3),
            packet("CDIR", "/w"),
            compile(),
            token("NFIL", count),
        ];
        [head.concat(), end.to_vec()].concat()
    };
    let file = |name: &str| [packet("NAME", name), packet("FILE", EMPTY_BLOCK)].concat();
    let link = |name: &str, target: &str| [packet("NAME", name), packet("LINK", target)].concat();
    vec![
        bad("noise", noise(4096), "protocol derailment: expected token"),
        bad(
            "another protocol",
            b"GET / HTTP/1.0\r\n\r\n".as_slice(),
            "protocol derailment: expected token",
        ),
        bad("half a header", b"DIST0000".as_slice(), "unexpected eof"),
        bad(
            "header of letters",
            b"DISTxxxxxxxx".as_slice(),
            "is not eight hexadecimal digits",
        ),
        bad("version 0", version(0), "requested protocol version is 0"),
        bad("version 4", version(4), "requested protocol version is 4"),
        bad(
            "no arguments",
            [version(1), arguments(&[])].concat(),
            "ARGC is 0",
        ),
        bad(
            "4 billion arguments",
            [version(1), token("ARGC", u32::MAX)].concat(),
            "announces 4294967295",
        ),
        bad(
            "argument of 4 GB",
            [version(1), token("ARGC", 2), token("ARGV", u32::MAX)].concat(),
            "announces 4294967295",
        ),
        bad(
            "argument cut off",
            [version(1), token("ARGC", 2), token("ARGV", 100), noise(7)].concat(),
            "unexpected eof",
        ),
        bad(
            "wrong token",
            plain(&token("NFIL", 1)),
            "expected token \"DOTI\"",
        ),
        bad(
            "source of 4 GB",
            plain(&token("DOTI", u32::MAX)),
            "announces 4294967295",
        ),
        bad(
            "source cut off",
            plain(&[token("DOTI", 1 << 20), noise(3 << 18)].concat()),
            "unexpected eof",
        ),
        bad(
            "source that is no block",
            packed(&packet("DOTI", [0xff; 50])),
            "decompression failed",
        ),
        bad(
            "source that grows to 8 GB",
            packed(&packet("DOTI", bomb(32 << 20))),
            "more than the limit",
        ),
        bad(
            "4 billion files",
            files(u32::MAX, &[]),
            "announces 4294967295",
        ),
        bad(
            "list of files cut off",
            files(2, &file("/w/a.c")),
            "unexpected eof",
        ),
        bad(
            "file outside",
            files(1, &file("/../escaped")),
            "\"/../escaped\" is not",
        ),
        bad(
            "file without a root",
            files(1, &file("escaped")),
            "\"escaped\" is not",
        ),
        bad("file with a NUL", files(1, &file("/w/a\0b")), "zero byte"),
        bad(
            "file through a link",
            files(
                2,
                &[link("/w/l", "../../.."), file("/w/l/escaped")].concat(),
            ),
            "leads out",
        ),
        bad(
            "link to outside",
            files(1, &link("/w/l", "../../../../../../etc/passwd")),
            "leads out",
        ),
        bad(
            "file in a file",
            files(2, &[file("/w/a"), file("/w/a/b")].concat()),
            "\"/w/a/b\" cannot be written",
        ),
        bad(
            "file that grows to 8 GB",
            files(
                1,
                &[packet("NAME", "/w/a.c"), packet("FILE", bomb(32 << 20))].concat(),
            ),
            "more than the limit",
        ),
        bad(
            "neither file nor link",
            files(1, &[packet("NAME", "/w/a"), token("DOTI", 0)].concat()),
            "expected token \"FILE\"",
        ),
        bad(
            "folder without a root",
            [version(3), packet("CDIR", "w"), compile(), token("NFIL", 0)].concat(),
            "\"w\" is not",
        ),
        bad(
            "no compile",
            command(&["gcc", "a.o", "-o", "a"]),
            "not a job",
        ),
        bad(
            "option for a compiler",
            command(&["-c", "a.c"]),
            "unrecognized distcc option",
        ),
        bad(
            "plugin",
            command(&["gcc", "-fplugin=/tmp/x.so", "-c", "a.c", "-o", "a.o"]),
            "insecure",
        ),
    ]
}

#[test]
fn nonsense_is_refused_in_one_line_and_leaves_nothing() {
    let server = Setup::of(Side::Ours).start();
    let mut wrong = Vec::new();
    for Bad {
        name,
        bytes,
        reason,
    } in requests()
    {
        let (port, answer) = send(&server, &bytes);
        if !answer.is_empty() {
            wrong.push(format!("{name}: answered {answer:?}"));
        }
        let lines = lines_about(&server, port);
        match lines.as_slice() {
            [line] if line.contains(reason) => {}
            _ => wrong.push(format!("{name}: {reason:?} is due, not {lines:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let peak = peak_memory_mib(server.pid());
    assert!(peak < 256, "{peak} MiB");
    compile(&server);
    server.wait_for_clean_scratch();
}

#[test]
fn a_visitor_without_a_word_is_served_no_worse() {
    let server = Setup::of(Side::Ours).start();
    let (_, answer) = send(&server, b"");
    assert!(answer.is_empty());
    compile(&server);
}

#[test]
fn silent_connections_take_no_job_slot() {
    let server = Setup::of(Side::Ours).jobs(1).start();
    let silent: Vec<TcpStream> = (0..50)
        .map(|number| {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            let request = [
                token("DIST", 1),
                arguments(&["gcc", "-c", "a.c", "-o", "a.o"]),
            ];
            let request = request.concat();
            // Each stops somewhere else.
            stream
                .write_all(&request[..number.min(request.len())])
                .unwrap();
            stream
        })
        .collect();
    let started = Instant::now();
    compile(&server);
    let took = started.elapsed();
    // Less than any of them may stay.
    assert!(took < Duration::from_secs(25), "{took:?}");
    drop(silent);
}

#[test]
fn many_bad_requests_at_once_leave_it_serving() {
    let server = Setup::of(Side::Ours).jobs(2).start();
    let requests = requests();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for request in &requests {
                    send(&server, &request.bytes);
                }
            });
        }
    });
    compile(&server);
    let peak = peak_memory_mib(server.pid());
    assert!(peak < 512, "{peak} MiB");
    server.wait_for_clean_scratch();
}

/// Sends bytes and nothing more; returns the port they came from, and what came back.
fn send(server: &Server, bytes: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let port = stream.local_addr().unwrap().port();
    stream
        .set_read_timeout(Some(end_to_end::run::LIMIT))
        .unwrap();
    stream
        .set_write_timeout(Some(end_to_end::run::LIMIT))
        .unwrap();
    // The server may refuse before it has read all.
    let sent = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let received = stream.read_to_end(&mut answer);
    for error in [sent.err(), received.err()].into_iter().flatten() {
        let expected = [
            ErrorKind::ConnectionReset,
            ErrorKind::BrokenPipe,
            ErrorKind::NotConnected,
        ];
        assert!(expected.contains(&error.kind()), "{error}");
    }
    (port, answer)
}

/// What the log says of a client besides the summary of its job.
fn lines_about(server: &Server, port: u16) -> Vec<String> {
    let client = format!("127.0.0.1:{port}");
    // A longer number may begin with this one.
    let is_about = |line: &&str| {
        let rest = line.split_once(&client).map(|(_, rest)| rest);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
    };
    wait_until(
        || {
            let log = server.log();
            let lines: Vec<&str> = log.lines().filter(is_about).collect();
            let (summaries, others): (Vec<&str>, Vec<&str>) = lines
                .into_iter()
                .partition(|line| line.contains("(dcc_job_summary)"));
            (summaries.len() == 1).then(|| others.into_iter().map(str::to_owned).collect())
        },
        || format!("no summary of {client}:\n{}", server.log()),
    )
}

/// An honest compile.
#[track_caller]
fn compile(server: &Server) {
    let tree = Tree::new();
    tree.write("a.c", "int f(void) { return 3; }\n");
    let client = Client::of(Side::Ours, &server.host(2));
    let argv = ["gcc", "-c", "a.c", "-o", "a.o"].map(Into::into);
    run(&mut client.distcc(&argv, &tree.path())).expect_success();
    assert!(tree.join("a.o").is_file());
    server.expect_jobs("COMPILE_OK", 1);
}
