//! What no honest client sends: the server keeps serving, says in one line what was wrong, and
//! leaves nothing behind (which the support code checks).

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod support;

use std::io::Write;
use std::net::Shutdown;

use protocol::request::put_file_count;
use protocol::token::{put_number, put_packet};
use protocol::{Token, Version, lzo};
use support::{
    Daemon, Entry, Reply, SCRIPTED_COMPILER, Setup, head, source_request, tree_request, wait_until,
};

const ARGV: [&str; 5] = ["cc", "-c", "a.c", "-o", "a.o"];

fn server() -> Daemon {
    Setup::insecure().script("cc", SCRIPTED_COMPILER).start()
}

fn check_it_still_serves(server: &Daemon) {
    let request = source_request(Version::Plain, &ARGV, b"echo object > $out");
    let reply = server.ask(Version::Plain, &request).unwrap();
    assert_eq!((reply.status, &reply.object[..]), (0, &b"object\n"[..]));
}

/// The connection is closed without an answer, with one line in the log and one summary.
fn check(request: &[u8], expected: &str, result: &str) {
    check_with(server(), request, expected, result);
}

fn check_with(server: Daemon, request: &[u8], expected: &str, result: &str) {
    let mut stream = server.connect();
    let _ = stream.write_all(request);
    // A client that has said all it wants to: otherwise the server waits for more.
    let _ = stream.shutdown(Shutdown::Write);
    assert_eq!(Reply::read(&mut stream, Version::Plain), None);
    let faults = server.faults();
    assert_eq!(faults.len(), 1, "{faults:#?}");
    let client = stream.local_addr().unwrap();
    let (_, text) = faults[0].split_once(&format!("{client}: ")).unwrap();
    assert_eq!(text, expected);
    let summary = server.wait_for_log("(dcc_job_summary)").pop().unwrap();
    assert!(
        summary.contains(&format!("(dcc_job_summary) client: {client} {result} ")),
        "{summary}"
    );
    check_it_still_serves(&server);
}

#[test]
fn garbage() {
    check(
        b"GET / HTTP/1.0\r\n\r\n",
        "protocol derailment: expected token \"DIST\", got \"GET \"",
        "REJ_BAD_REQ",
    );
    check(
        &b"argc00000005".repeat(10_000),
        "protocol derailment: expected token \"DIST\", got \"argc\"",
        "REJ_BAD_REQ",
    );
    check(
        b"DIST0000000x",
        "failed to parse parameter of token \"DIST\": \"0000000x\" is not eight hexadecimal digits",
        "REJ_BAD_REQ",
    );
    check(
        b"DIST00000004",
        "can't handle requested protocol version is 4",
        "REJ_BAD_REQ",
    );
}

#[test]
fn counts_and_lengths_out_of_bounds() {
    check(
        b"DIST00000001ARGC00000000",
        "request names no compiler: ARGC is 0",
        "REJ_BAD_REQ",
    );
    check(
        b"DIST00000001ARGCffffffff",
        "token \"ARGC\" announces 4294967295, more than the limit of 100000",
        "REJ_BAD_REQ",
    );
    check(
        b"DIST00000001ARGC00000001ARGVffffffff",
        "token \"ARGV\" announces 4294967295, more than the limit of 131072",
        "REJ_BAD_REQ",
    );
    let mut request = head(Version::Plain, None, &ARGV);
    put_number(&mut request, Token::DOTI, u32::MAX);
    check(
        &request,
        "token \"DOTI\" announces 4294967295, more than the limit of 1073741824",
        "REJ_BAD_REQ",
    );
    let mut request = head(Version::Pump, Some("/c"), &ARGV);
    put_file_count(&mut request, u32::MAX);
    check(
        &request,
        "token \"NFIL\" announces 4294967295, more than the limit of 1000000",
        "REJ_BAD_REQ",
    );
    // More than anybody could run, one piece at a time.
    let mut request = b"DIST00000001ARGC000003e8".to_vec();
    for _ in 0..100 {
        put_packet(&mut request, Token::ARGV, &vec![b'x'; 128 << 10]);
    }
    check(
        &request,
        "command of 8392704 bytes, more than the limit of 8388608",
        "REJ_BAD_REQ",
    );
}

#[test]
fn zero_bytes_in_strings() {
    let request = head(Version::Plain, None, &["cc", "-c", "a\0.c"]);
    check(
        &request,
        "string of token \"ARGV\" holds a zero byte",
        "REJ_BAD_REQ",
    );
}

#[test]
fn a_request_cut_off_anywhere() {
    let requests = [
        source_request(Version::Plain, &ARGV, b"echo > $out"),
        source_request(Version::Lzo, &ARGV, b"echo > $out"),
        tree_request(
            "/c",
            &ARGV,
            &[Entry::File("/c/a.c", "x"), Entry::Link("/c/l", "a.c")],
        ),
    ];
    let server = server();
    let mut connections = 0;
    for request in requests {
        for len in 0..request.len() {
            let mut stream = server.connect();
            stream.write_all(&request[..len]).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(Reply::read(&mut stream, Version::Plain), None, "{len}");
            connections += 1;
        }
    }
    let summaries = || server.log().matches("(dcc_job_summary)").count();
    wait_until("all summaries", || summaries() == connections);
    let log = server.log();
    let said = log.matches("client closed the connection").count();
    assert_eq!(said, connections);
    // Nothing sent, or the command alone (its preprocessor failed): no reason to worry anybody.
    let worries = log
        .lines()
        .filter(|line| line.contains("Warning: ") || line.contains("ERROR: "));
    assert_eq!(worries.count(), connections - 2 * 3);
    check_it_still_serves(&server);
}

#[test]
fn blocks_that_cannot_be_unpacked() {
    let with_block = |block: &[u8]| {
        let mut request = head(Version::Lzo, None, &ARGV);
        put_packet(&mut request, Token::DOTI, block);
        request
    };
    check(
        &with_block(&[0xff; 50]),
        "LZO1X1 decompression failed: \"source\": LZO1X block ends too early",
        "REJ_BAD_REQ",
    );
    check(
        &with_block(b"\x15abcd\x11\0\0more"),
        "LZO1X1 decompression failed: \"source\": LZO1X block is followed by more bytes",
        "REJ_BAD_REQ",
    );
    let mut request = head(Version::Pump, Some("/c"), &ARGV);
    put_file_count(&mut request, 1);
    put_packet(&mut request, Token::NAME, b"/c/x\ny");
    put_packet(&mut request, Token::FILE, &[0xff; 300_000]);
    check(
        &request,
        "LZO1X1 decompression failed: \"/c/x\\ny\": LZO1X block refers to bytes before its start",
        "REJ_BAD_REQ",
    );
}

/// A block of `packed` bytes that unpacks to about 255 times as many.
fn bomb(packed: usize) -> Vec<u8> {
    let mut block = vec![18, b'x', 0x20];
    block.resize(packed, 0);
    block.extend([1, 0, 0, 0x11, 0, 0]);
    assert!(lzo::decompressed_len(&block).unwrap() as usize > 250 * packed);
    block
}

#[test]
fn memory_is_bounded() {
    let server = server();
    // 16 GiB in 64 MiB, and 1 GiB announced of which little comes.
    let block = bomb(64 << 20);
    for version in [Version::Lzo, Version::Pump] {
        let cwd = (version == Version::Pump).then_some("/c");
        let mut request = head(version, cwd, &ARGV);
        match version {
            Version::Pump => {
                put_file_count(&mut request, 1);
                put_packet(&mut request, Token::NAME, b"/c/a.c");
                put_packet(&mut request, Token::FILE, &block);
            }
            _ => put_packet(&mut request, Token::DOTI, &block),
        }
        assert_eq!(server.ask(version, &request), None);
    }
    let faults = server.faults();
    assert_eq!(faults.len(), 2, "{faults:#?}");
    for fault in faults {
        assert!(fault.contains(": file of 171"), "{fault}");
        assert!(fault.contains(" bytes, more than the limit of "), "{fault}");
    }

    let clients: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = server.connect();
            let mut request = head(Version::Lzo, None, &ARGV);
            put_number(&mut request, Token::DOTI, 1 << 30);
            request.resize(request.len() + 1000, b'x');
            stream.write_all(&request).unwrap();
            stream
        })
        .collect();
    check_it_still_serves(&server);
    drop(clients);
    let peak = server.peak_memory();
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
}

#[test]
fn names_and_links_that_leave_the_tree() {
    for (entry, expected) in [
        (
            Entry::File("/../escaped", "x"),
            "\"/../escaped\" is not the absolute path of a file",
        ),
        (
            Entry::File("/c/../../escaped", "x"),
            "\"/c/../../escaped\" is not the absolute path of a file",
        ),
        (
            Entry::File("relative", "x"),
            "\"relative\" is not the absolute path of a file",
        ),
        (
            Entry::Link("/c/link", "../../../../../../../../etc"),
            "link \"/c/link\" leads out of the job's tree: \"../../../../../../../../etc\"",
        ),
        (
            Entry::Link("/c/link", "/../../etc"),
            "link \"/c/link\" leads out of the job's tree: \"/../../etc\"",
        ),
    ] {
        let request = tree_request("/c", &ARGV, &[Entry::File("/c/a.c", "true"), entry]);
        check(&request, expected, "REJ_BAD_REQ");
    }
    for cwd in ["", "c", "/c/..", "/../x"] {
        let request = tree_request(cwd, &ARGV, &[Entry::File("/c/a.c", "true")]);
        let expected = format!("\"{cwd}\" is not the absolute path of a file");
        check(&request, &expected, "REJ_BAD_REQ");
    }
}

#[test]
fn nothing_is_written_through_a_system_folders_link() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().to_str().unwrap();
    let climb = "../".repeat(30) + &outside[1..];
    let inside = format!("{outside}/escaped");
    let request = tree_request(
        "/c",
        &ARGV,
        &[Entry::Link(outside, &climb), Entry::File(&inside, "x")],
    );
    let setup = Setup::insecure().script("cc", SCRIPTED_COMPILER);
    check_with(
        setup.arg("--sandbox=off").start(),
        &request,
        &format!("\"{inside}\" cannot be written: a folder or link is in its way"),
        "REJ_BAD_REQ",
    );
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
    // At the client's own paths there is nothing to link to, and the file is the job's.
    let request = tree_request(
        "/c",
        &ARGV,
        &[
            Entry::Link(outside, &climb),
            Entry::File(&inside, "x"),
            Entry::File(
                "/c/a.c",
                &format!("cat {inside}; echo a.o: > $deps; echo > $out"),
            ),
        ],
    );
    let reply = server().ask(Version::Pump, &request).unwrap();
    assert_eq!((reply.status, &*reply.stdout), (0, "x"));
    assert_eq!(std::fs::read_dir(outside).unwrap().count(), 0);
}

#[test]
fn a_link_where_something_is_already() {
    let request = tree_request(
        "/c",
        &ARGV,
        &[Entry::File("/c/a.c", "true"), Entry::Link("/c/a.c", "b.c")],
    );
    check(&request, "link \"/c/a.c\" exists already", "REJ_BAD_REQ");
}
