//! Recorded conversations of the real programs, read and written again by this crate.
//!
//! `golden/README.md` says how they were recorded. Where the bytes are determined (headers,
//! strings, protocol 1) ours must equal them; an LZO1X block may be packed in many ways, so there
//! its content must be equal.
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as recorded"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::include::{self, client_name};
use protocol::request::{self, Head, Limits, RequestDecoder, put_bulk, put_file, put_link};
use protocol::response::{self, Body, Response, ResponseDecoder};
use protocol::{Token, Version, lzo, stream};

const CASES: [&str; 10] = [
    "assembly-out",
    "cxx",
    "debug",
    "deps",
    "empty",
    "error",
    "hello",
    "missing-header",
    "no-compiler",
    "warning",
];
const VERSIONS: [Version; 3] = [Version::Plain, Version::Lzo, Version::Pump];

fn golden(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(path)
}

fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = golden(path);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn conversation(version: Version, case: &str, side: &str) -> Vec<u8> {
    read(format!("protocol-{}/{case}.{side}", version.number()))
}

fn unpack(version: Version, body: &[u8]) -> Vec<u8> {
    if version.is_compressed() && !body.is_empty() {
        lzo::decompress(body, 1 << 24).unwrap()
    } else {
        body.to_vec()
    }
}

/// A request's parts; `None` where the client hung up after its head.
struct Request {
    head: Head,
    rest: Option<Vec<(request::Step, Vec<u8>)>>,
}

fn decode_request(mut bytes: &[u8]) -> Request {
    let from = &mut bytes;
    let mut decoder = RequestDecoder::new(Limits::default());
    let mut head = None;
    let mut rest = Vec::new();
    loop {
        match decoder.step() {
            request::Step::Header if from.is_empty() && head.is_some() && rest.is_empty() => {
                let head = head.unwrap();
                return Request { head, rest: None };
            }
            request::Step::Header => decoder
                .on_header(&stream::read_header(from).unwrap())
                .unwrap(),
            request::Step::Text { bytes } => decoder
                .on_text(stream::read_body(from, bytes).unwrap())
                .unwrap(),
            request::Step::Head(it) => head = Some(it),
            request::Step::End => break,
            step => {
                let body = match step {
                    request::Step::Source { wire_bytes }
                    | request::Step::File { wire_bytes, .. } => {
                        stream::read_body(from, wire_bytes).unwrap()
                    }
                    _ => Vec::new(),
                };
                rest.push((step, body));
            }
        }
    }
    assert!(from.is_empty());
    let head = head.unwrap();
    let rest = Some(rest);
    Request { head, rest }
}

#[test]
fn requests_are_read_and_written_as_recorded() {
    for version in VERSIONS {
        for case in CASES {
            let recorded = conversation(version, case, "c2s");
            let Request { head, rest } = decode_request(&recorded);
            // The include server could not run the compiler that does not exist: the client
            // fell back to protocol 2.
            let spoken = match (version, case) {
                (Version::Pump, "no-compiler") => Version::Lzo,
                _ => version,
            };
            assert_eq!(head.version, spoken, "{case}");
            assert!(!head.argv.is_empty());
            let mut written = head.encode();
            assert!(recorded.starts_with(&written), "{version:?} {case}: head");

            let hung_up = matches!(case, "missing-header" | "no-compiler");
            assert_eq!(rest.is_none(), hung_up && spoken != Version::Pump, "{case}");
            let Some(rest) = rest else { continue };
            if spoken == Version::Pump {
                request::put_file_count(&mut written, rest.len() as u32);
            }
            for (step, body) in &rest {
                match step {
                    // Repacked by us, the content stays.
                    request::Step::Source { .. } => {
                        let source = unpack(spoken, body);
                        let mut packed = Vec::new();
                        put_bulk(&mut packed, spoken, Token::DOTI, &source);
                        assert_eq!(unpack(spoken, &packed[12..]), source, "{case}");
                        // As recorded, every byte but the packing is ours.
                        let header = protocol::Header::new(Token::DOTI, body.len() as u32);
                        written.extend(header.encode());
                        written.extend(body);
                    }
                    request::Step::File { name, .. } => put_file(&mut written, name, body),
                    request::Step::Link { name, text } => put_link(&mut written, name, text),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(written, recorded, "{version:?} {case}");
        }
    }
}

#[test]
fn responses_are_read_and_written_as_recorded() {
    for version in VERSIONS {
        for case in CASES {
            let recorded = conversation(version, case, "s2c");
            if recorded.is_empty() {
                assert!(matches!(case, "missing-header" | "no-compiler"), "{case}");
                continue;
            }
            let from = &mut recorded.as_slice();
            let mut decoder = ResponseDecoder::new(version);
            let mut status = None;
            let mut bodies: [Vec<u8>; 4] = Default::default();
            let mut count = 0;
            loop {
                match decoder.step() {
                    response::Step::Header => decoder
                        .on_header(&stream::read_header(from).unwrap())
                        .unwrap(),
                    response::Step::Status(s) => status = Some(s),
                    response::Step::Body(body, len) => {
                        let at = match body {
                            Body::Stderr => 0,
                            Body::Stdout => 1,
                            Body::Object => 2,
                            Body::Dependencies => 3,
                        };
                        bodies[at] = unpack(version, &stream::read_body(from, len).unwrap());
                        count += 1;
                    }
                    response::Step::End => break,
                }
            }
            assert!(from.is_empty(), "{version:?} {case}");
            let status = status.unwrap();
            let failed = matches!(case, "error" | "missing-header");
            assert_eq!(status, if failed { 0x100 } else { 0 }, "{version:?} {case}");
            let with_dependencies = version == Version::Pump && !failed;
            assert_eq!(count, if with_dependencies { 4 } else { 3 }, "{case}");
            let [stderr, stdout, object, dependencies] = &bodies;
            assert_eq!(object.is_empty(), failed, "{case}");
            let written = Response {
                version,
                status,
                stderr,
                stdout,
                object,
                dependencies,
            }
            .encode();
            if version == Version::Plain {
                assert_eq!(written, recorded, "{case}");
            }
        }
    }
}

/// The files that a compile of each case sends, by name on the wire.
fn sent(case: &str) -> BTreeMap<OsString, Vec<u8>> {
    decode_request(&conversation(Version::Pump, case, "c2s"))
        .rest
        .unwrap()
        .into_iter()
        .filter_map(|(step, body)| match step {
            request::Step::File { name, .. } => Some((name, body)),
            _ => None,
        })
        .collect()
}

#[test]
fn queries_are_read_and_written_as_recorded() {
    for case in CASES {
        let recorded = read(format!("include-server/{case}.c2s"));
        let query = stream::read_query(&mut &recorded[..], Limits::default()).unwrap();
        assert_eq!(query.cwd, "/example/src");
        assert_eq!(query.encode(), recorded, "{case}");
    }
}

#[test]
fn answers_are_read_and_written_as_recorded() {
    for case in CASES {
        let recorded = read(format!("include-server/{case}.s2c"));
        let files = stream::read_answer(&mut &recorded[..], Limits::default()).unwrap();
        assert_eq!(include::encode_answer(&files), recorded, "{case}");
        assert_eq!(files.is_empty(), case == "no-compiler");
        if files.is_empty() {
            continue;
        }
        // What the client then sent bears the names that we make of the answer.
        let request = decode_request(&conversation(Version::Pump, case, "c2s"));
        let names: Vec<OsString> = request
            .rest
            .unwrap()
            .into_iter()
            .map(|(step, _)| match step {
                request::Step::File { name, .. } | request::Step::Link { name, .. } => name,
                other => panic!("{other:?}"),
            })
            .collect();
        let ours: Vec<OsString> = files.iter().map(|f| client_name(f).unwrap()).collect();
        assert_eq!(ours, names, "{case}");
    }
}

#[test]
fn mirrored_files_unpack_to_the_sources() {
    for (name, block) in sent("hello") {
        let name = name.to_str().unwrap();
        if name.ends_with(include::MUST_EXIST) {
            assert!(block.is_empty());
            continue;
        }
        let source = read(Path::new("src").join(name.strip_prefix("/example/src/").unwrap()));
        assert_eq!(unpack(Version::Pump, &block), source, "{name}");
        let mirrored = read(format!("include-server/mirror{name}.lzo"));
        assert_eq!(mirrored, block, "{name}");
    }
    // An empty source travels as an empty block here, and that is not length 0.
    assert_eq!(
        sent("empty")[&OsString::from("/example/src/empty.c")].len(),
        3
    );
}
