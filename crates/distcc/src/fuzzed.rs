//! What the client alone reads: any text as response files, as a list of `getent`, and as a server's answer,
//! refusals included.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use fuzz::Target;
use protocol::Version;
use protocol::response::Response;

use crate::exchange::receive;
use crate::resolve::listed;
use crate::response_file::expand;
use crate::why;

/// Words that name no file are what was written, and no quote or blank splits a file in two.
#[test]
fn response_files() {
    Target::new("response file")
        .seeds([
            "-c a.c -o 'a b.o' \"-DX=\\\"y\\\"\"\n-I inc\t@more",
            "@file @@file\n'@file' \\@ \\",
        ])
        .words(["'", "\"", "\\", " ", "\n", "\x0b", "@", "@file", "-o", "''"])
        // Files that name themselves are read a limited number of times.
        .memory(64 << 20, 256 << 10)
        .few(300)
        .run(|input| {
            let words = [OsString::from("cc"), "@file".into()];
            let once = expand(words.to_vec(), |_| Some(input.to_vec()));
            assert_eq!(once[0], "cc");
            // Its words, quoted, are the same words.
            let plain: Vec<&OsString> = once
                .iter()
                .filter(|word| !word.as_bytes().starts_with(b"@"))
                .collect();
            let quoted = |word: &&OsString| {
                let escaped = word.as_bytes().iter().flat_map(|&byte| [b'\\', byte]);
                let mut escaped: Vec<u8> = escaped.collect();
                if escaped.is_empty() {
                    escaped.extend(b"''");
                }
                escaped.push(b'\n');
                escaped
            };
            let text: Vec<u8> = plain.iter().flat_map(quoted).collect();
            let again = expand(vec!["@file".into()], |_| Some(text.clone()));
            assert!(again.iter().eq(plain));
        });
}

/// Each address has its port, and stands in the text.
#[test]
fn lists_of_getent() {
    Target::new("list of getent")
        .seeds(["::1             STREAM box\n::1             DGRAM  \n127.0.0.2 STREAM\n"])
        .words([
            "STREAM",
            "DGRAM",
            "RAW",
            " ",
            "\n",
            "fe80::1%lo",
            "::ffff:1.2.3.4",
            "1.2.3.4",
        ])
        .run(|input| {
            let text = String::from_utf8_lossy(input);
            let found = listed(&text, 3632);
            assert!(found.len() <= text.matches("STREAM").count());
            assert!(found.iter().all(|address| address.port() == 3632));
        });
}

/// Whatever a server says, it is an answer or a fault, and a reason has no control characters.
#[test]
fn answers() {
    let answer = |version| {
        Response {
            version,
            status: 0,
            stderr: b"warning",
            stdout: b"",
            object: b"OBJECT OBJECT OBJECT OBJECT",
            dependencies: b"a.o: a.c",
        }
        .encode()
    };
    const VERSIONS: [Version; 3] = [Version::Plain, Version::Lzo, Version::Pump];
    let refusal: &[u8] = b"NOPE0000000bnot\x1b\nthis one";
    Target::new("answer to the client")
        .seeds(VERSIONS.map(answer))
        .seeds([refusal])
        .words([
            "NOPE",
            "DONE0000000",
            "STAT00000000",
            "SERR0000000",
            "DOTO",
            "DOTD",
            "ffffffff",
        ])
        // Bodies are unpacked, and each may be 600 times as long as what it comes in.
        .memory(8 << 20, 2048)
        .run(|input| {
            if let Some(reason) = why::read(&mut &*input) {
                assert!(input.starts_with(b"NOPE") && !reason.contains(char::is_control));
            }
            for version in VERSIONS {
                if let Ok(answer) = receive(&mut &*input, version, 0, &mut || {}) {
                    assert!(answer.received <= input.len() as u64);
                }
            }
        });
}
