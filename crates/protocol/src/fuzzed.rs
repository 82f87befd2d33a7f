//! Any bytes from the network: requests, responses, questions to the include server and its
//! answers, packed bodies, records. What is understood means the same when it is said again.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use fuzz::Target;

use crate::include::{Query, client_name, encode_answer};
use crate::request::{self, Limits, RequestDecoder, put_file, put_file_count, put_link};
use crate::response::{self, ResponseDecoder};
use crate::session::Record;
use crate::token::{put_number, put_packet};
use crate::{Header, Token, Version, lzo, stream};

/// Small, so that short inputs reach them.
const LIMITS: Limits = Limits {
    args: 20,
    text_bytes: 1000,
    all_text_bytes: 2000,
    files: 20,
    body_bytes: 100_000,
};

const TOKENS: [&str; 15] = [
    "DIST", "CDIR", "ARGC", "ARGV", "DOTI", "NFIL", "NAME", "FILE", "LINK", "DONE", "STAT", "SERR",
    "SOUT", "DOTO", "DOTD",
];

/// One side of all recorded conversations.
fn recorded(folder: &str, side: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder);
    let entries = fs::read_dir(folder).unwrap().flatten();
    let files = entries.map(|entry| entry.path());
    let mut files: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|end| end == side))
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn packets() -> impl Iterator<Item = String> {
    let numbers = ["00000000", "00000001", "00000003", "ffffffff"];
    TOKENS
        .iter()
        .flat_map(move |token| numbers.map(|number| format!("{token}{number}")))
}

/// A request's parts, as far as it goes, and whether that is all of it.
fn request(mut bytes: &[u8]) -> (Vec<(request::Step, Vec<u8>)>, bool) {
    let from = &mut bytes;
    let mut decoder = RequestDecoder::new(LIMITS);
    let mut parts = Vec::new();
    loop {
        let step = decoder.step();
        let taken = match step {
            request::Step::Header => stream::read_header(from)
                .ok()
                .and_then(|header| decoder.on_header(&header).ok()),
            request::Step::Text { bytes } => stream::read_body(from, bytes)
                .ok()
                .and_then(|text| decoder.on_text(text).ok()),
            request::Step::End => return (parts, true),
            request::Step::Source { wire_bytes } | request::Step::File { wire_bytes, .. } => {
                let body = stream::read_body(from, wire_bytes).ok();
                body.map(|body| parts.push((step, body)))
            }
            request::Step::Head(_) | request::Step::Why { .. } | request::Step::Link { .. } => {
                parts.push((step, Vec::new()));
                Some(())
            }
        };
        if taken.is_none() {
            return (parts, false);
        }
    }
}

fn encode(parts: &[(request::Step, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (step, body) in parts {
        match step {
            request::Step::Head(head) => {
                out = head.encode();
                if head.version == Version::Pump {
                    put_file_count(&mut out, u32::try_from(parts.len() - 1).unwrap());
                }
            }
            request::Step::Source { .. } => put_packet(&mut out, Token::DOTI, body),
            request::Step::File { name, .. } => put_file(&mut out, name, body),
            request::Step::Link { name, text } => put_link(&mut out, name, text),
            request::Step::Why { port } => put_number(&mut out, Token::WHYN, *port),
            other => panic!("{other:?} is no part"),
        }
    }
    out
}

#[test]
fn requests() {
    let seeds = ["protocol-1", "protocol-2", "protocol-3"].map(|folder| recorded(folder, "c2s"));
    Target::new("request")
        .seeds(seeds.concat())
        .words(packets())
        .memory(200 << 10, 64)
        .run(|bytes| {
            let (parts, whole) = request(bytes);
            if whole {
                assert_eq!(request(&encode(&parts)), (parts, true));
            }
        });
}

/// A response's steps, as far as it goes.
fn response(version: Version, mut bytes: &[u8]) -> (Vec<(response::Step, Vec<u8>)>, bool) {
    let from = &mut bytes;
    let mut decoder = ResponseDecoder::new(version);
    let mut parts = Vec::new();
    loop {
        let step = decoder.step();
        let taken = match step {
            response::Step::Header => stream::read_header(from)
                .ok()
                .and_then(|header| decoder.on_header(&header).ok()),
            response::Step::Body(_, bytes) => stream::read_body(from, bytes)
                .ok()
                .map(|body| parts.push((step, body))),
            response::Step::Status(_) => {
                parts.push((step, Vec::new()));
                Some(())
            }
            response::Step::End => return (parts, true),
        };
        if taken.is_none() {
            return (parts, false);
        }
    }
}

#[test]
fn responses() {
    for (version, folder) in [
        (Version::Plain, "protocol-1"),
        (Version::Lzo, "protocol-2"),
        (Version::Pump, "protocol-3"),
    ] {
        Target::new("response")
            .seeds(recorded(folder, "s2c"))
            .words(packets())
            .memory(200 << 10, 64)
            .run(|bytes| {
                let (parts, whole) = response(version, bytes);
                if !whole {
                    return;
                }
                let mut again = Vec::new();
                let number = Header::new(Token::DONE, version.number());
                again.extend(number.encode());
                for (step, content) in &parts {
                    match step {
                        response::Step::Body(body, _) => {
                            put_packet(&mut again, body.token(), content);
                        }
                        response::Step::Status(status) => {
                            again.extend(Header::new(Token::STAT, *status).encode());
                        }
                        _ => panic!("{step:?} is no part"),
                    }
                }
                assert_eq!(response(version, &again), (parts, true));
            });
    }
}

#[test]
fn questions() {
    Target::new("include server's question")
        .seeds(recorded("include-server", "c2s"))
        .words(packets())
        .memory(200 << 10, 64)
        .run(|mut bytes| {
            if let Ok(query) = stream::read_query(&mut bytes, LIMITS) {
                let again = query.encode();
                let read: Query = stream::read_query(&mut &again[..], LIMITS).unwrap();
                assert_eq!(read, query);
            }
        });
}

#[test]
fn answers() {
    Target::new("include server's answer")
        .seeds(recorded("include-server", "s2c"))
        .words(packets())
        .words(["/a/b/c/d.h.lzo", ".lzo.abs", "/", "//", "\0"])
        .memory(200 << 10, 64)
        .run(|mut bytes| {
            if let Ok(files) = stream::read_answer(&mut bytes, LIMITS) {
                let names: Vec<Option<OsString>> =
                    files.iter().map(|file| client_name(file)).collect();
                let names = names.iter().flatten();
                // An absolute name, or none.
                assert!(names.clone().all(|name| name.as_encoded_bytes()[0] == b'/'));
                let again = encode_answer(&files);
                let read = stream::read_answer(&mut &again[..], LIMITS).unwrap();
                assert_eq!(read, files);
            }
        });
}

#[test]
fn packed_bodies() {
    const LONGEST: usize = 64 << 10;
    let content: Vec<Vec<u8>> = recorded("include-server", "s2c");
    let blocks = content.iter().map(|content| lzo::compress(content));
    let repeated = content
        .iter()
        .map(|content| lzo::compress(&content.repeat(40)));
    Target::new("LZO1X block")
        .seeds(blocks.chain(repeated))
        .words([
            &b"\x11\0\0"[..],
            b"\0\0\0\0\0\0\0\0",
            b"\x20\0\0\0\0\0\0",
            b"\x15abcd",
            b"\x40\x01",
        ])
        .memory(4 * LONGEST, 300)
        .run(|block| {
            let length = lzo::decompressed_len(block);
            let content = lzo::decompress(block, LONGEST);
            match (length, content) {
                (Ok(length), Ok(content)) => {
                    assert_eq!(length, content.len() as u64);
                    let again = lzo::compress(&content);
                    assert_eq!(lzo::decompress(&again, LONGEST), Ok(content));
                }
                (Ok(length), Err(error)) => {
                    assert!(length > LONGEST as u64, "{error}");
                }
                (Err(error), content) => assert_eq!(content, Err(error)),
            }
        });
}

#[test]
fn records() {
    Target::new("record of a command")
        .seeds([
            "pump 2 1834 9120 build1:3632",
            "plain 0 9034 9120 b",
            "here 0 0 0 two input files",
        ])
        .words(["pump ", "plain ", "here ", "18446744073709551615", " "])
        .run(|line| {
            let Some(record) = Record::decode(line) else {
                return;
            };
            let mut again = record.encode();
            assert_eq!(again.pop(), Some(b'\n'));
            assert!(!again.contains(&b'\n'));
            // Long texts are cut, and odd characters left out: once.
            let once = Record::decode(&again).unwrap();
            assert_eq!(once.encode().len(), again.len() + 1);
            assert_eq!((once.sent, once.received), (record.sent, record.received));
        });
}
