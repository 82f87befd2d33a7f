//! Garbage, truncated and oversized questions to our include server.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use end_to_end::include_server::IncludeServer;
use end_to_end::run::LIMIT;
use end_to_end::tree::Tree;

use crate::{arguments, noise, packet, peak_memory_mib, token};

/// Names, questions, and what must be said of each.
fn queries(here: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let command = || arguments(&["gcc", "-c", "a.c", "-o", "a.o"]);
    let cwd = || packet("CDIR", here);
    vec![
        ("noise", noise(4096), "protocol derailment: expected token"),
        ("half a header", b"CDIR0000".to_vec(), "bad request"),
        ("no folder", command(), "expected token \"CDIR\""),
        (
            "folder of 4 GB",
            token("CDIR", u32::MAX),
            "announces 4294967295",
        ),
        (
            "folder cut off",
            [token("CDIR", 100), noise(7)].concat(),
            "unexpected end",
        ),
        (
            "folder that is not there",
            [packet("CDIR", "/no/such/folder"), command()].concat(),
            "no working folder '/no/such/folder'",
        ),
        (
            "folder that is no text",
            [packet("CDIR", [b'/', 0xff, 0xfe]), command()].concat(),
            "no working folder",
        ),
        (
            "no arguments",
            [cwd(), arguments(&[])].concat(),
            "ARGC is 0",
        ),
        (
            "4 billion arguments",
            [cwd(), token("ARGC", u32::MAX)].concat(),
            "announces 4294967295",
        ),
        (
            "argument of 4 GB",
            [cwd(), token("ARGC", 2), token("ARGV", u32::MAX)].concat(),
            "announces 4294967295",
        ),
        (
            "argument cut off",
            [cwd(), token("ARGC", 2), token("ARGV", 100), noise(7)].concat(),
            "unexpected end",
        ),
        (
            "no compile",
            [cwd(), arguments(&["gcc", "a.o", "-o", "a"])].concat(),
            "not a compile",
        ),
        (
            "no such compiler",
            [cwd(), arguments(&["no-gcc", "-c", "a.c", "-o", "a.o"])].concat(),
            "no compiler 'no-gcc'",
        ),
        (
            "no such source",
            [cwd(), arguments(&["gcc", "-c", "b.c", "-o", "b.o"])].concat(),
            "for translation unit 'b.c'",
        ),
        (
            "unknown option",
            [
                cwd(),
                arguments(&["gcc", "--bogus", "-c", "a.c", "-o", "a.o"]),
            ]
            .concat(),
            "for translation unit 'a.c'",
        ),
    ]
}

#[test]
fn nonsense_is_refused_in_one_line_and_leaves_nothing() {
    let tree = Tree::new();
    tree.write("a.c", "#include \"a.h\"\n");
    tree.write("a.h", "int a;\n");
    let here = tree.path().as_os_str().as_bytes().to_vec();
    let include_server = IncludeServer::start(Path::new("/usr/bin"));
    let mut wrong = Vec::new();
    for (name, bytes, reason) in queries(&here) {
        let before = include_server.log().lines().count();
        let answer = ask(&include_server, &bytes);
        // "I cannot" is an answer, and so is hanging up.
        if !answer.is_empty() && answer != token("ARGC", 0) {
            wrong.push(format!(
                "{name}: answered {}",
                String::from_utf8_lossy(&answer)
            ));
        }
        let log = include_server.log();
        let lines: Vec<&str> = log.lines().skip(before).collect();
        match lines.as_slice() {
            [line] if line.contains(reason) => {}
            _ => wrong.push(format!("{name}: {reason:?} is due, not {lines:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let peak = peak_memory_mib(include_server.pid());
    assert!(peak < 128, "{peak} MiB");

    let honest = [
        packet("CDIR", &here),
        arguments(&["gcc", "-c", "a.c", "-o", "a.o"]),
    ]
    .concat();
    let answer = String::from_utf8_lossy(&ask(&include_server, &honest)).into_owned();
    for file in ["/a.c.lzo", "/a.h.lzo"] {
        assert!(answer.contains(file), "{answer}");
    }
    let left = include_server.stop();
    assert!(left.is_empty(), "{left:?}");
}

fn ask(include_server: &IncludeServer, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(include_server.socket()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // It may hang up before it has read all: then there is nothing to shut down.
    let _ = stream
        .write_all(bytes)
        .and_then(|()| stream.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => answer,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("{error}"),
    }
}
