//! What a client says and is told, in raw bytes.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::io::Read;

use protocol::request::{Head, put_bulk, put_file, put_file_count, put_link};
use protocol::response::{Body, ResponseDecoder, Step};
use protocol::{Token, Version, lzo, stream};

/// An answer, unpacked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) stderr: String,
    pub(crate) stdout: String,
    pub(crate) object: Vec<u8>,
    pub(crate) dependencies: Option<String>,
}

impl Reply {
    /// Reads an answer; `None` if the connection ends without a byte.
    pub(crate) fn read(stream: &mut impl Read, version: Version) -> Option<Self> {
        let mut decoder = ResponseDecoder::new(version);
        let mut reply = Self::default();
        let mut first = true;
        loop {
            match decoder.step() {
                Step::Header => {
                    let header = match stream::read_header(stream) {
                        Err(error) if first => {
                            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock);
                            return None;
                        }
                        header => header.unwrap(),
                    };
                    first = false;
                    decoder.on_header(&header).unwrap();
                }
                Step::Status(status) => reply.status = status,
                Step::Body(body, bytes) => {
                    let mut content = stream::read_body(stream, bytes).unwrap();
                    if version.is_compressed() && bytes > 0 {
                        content = lzo::decompress(&content, 1 << 30).unwrap();
                    }
                    let text = || String::from_utf8(content.clone()).unwrap();
                    match body {
                        Body::Stderr => reply.stderr = text(),
                        Body::Stdout => reply.stdout = text(),
                        Body::Object => reply.object = content,
                        Body::Dependencies => reply.dependencies = Some(text()),
                    }
                }
                Step::End => break,
            }
        }
        // The server says nothing more, and closes.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        Some(reply)
    }
}

/// A request's head.
pub(crate) fn head(version: Version, cwd: Option<&str>, argv: &[&str]) -> Vec<u8> {
    let head = Head {
        version,
        cwd: cwd.map(Into::into),
        argv: argv.iter().map(Into::into).collect(),
    };
    head.encode()
}

/// A whole request in protocol 1 or 2.
pub(crate) fn source_request(version: Version, argv: &[&str], source: &[u8]) -> Vec<u8> {
    let mut bytes = head(version, None, argv);
    put_bulk(&mut bytes, version, Token::DOTI, source);
    bytes
}

/// What a protocol 3 request holds.
pub(crate) enum Entry<'a> {
    File(&'a str, &'a str),
    Link(&'a str, &'a str),
}

/// A whole request in protocol 3.
pub(crate) fn tree_request(cwd: &str, argv: &[&str], entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = head(Version::Pump, Some(cwd), argv);
    put_file_count(&mut bytes, entries.len().try_into().unwrap());
    for entry in entries {
        match entry {
            Entry::File(name, "") => put_file(&mut bytes, name.as_ref(), b""),
            Entry::File(name, content) => {
                let block = lzo::compress(content.as_bytes());
                put_file(&mut bytes, name.as_ref(), &block);
            }
            Entry::Link(name, text) => put_link(&mut bytes, name.as_ref(), text.as_ref()),
        }
    }
    bytes
}
