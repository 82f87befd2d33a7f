//! The test compile: what is sent, and whether the answer makes a host usable.
//!
//! A host is up if it answers in the protocol it was asked in, the compiler succeeded, and the
//! connection is then closed after whatever else was said.

use std::ffi::OsStr;

use protocol::request::{Head, put_bulk, put_file, put_file_count};
use protocol::response::{ResponseDecoder, Step};
use protocol::{Header, Token, Version, lzo};

const SOURCE: &[u8] = b"int foo(){return 0;}";

/// The whole request.
pub(super) fn encode_request(version: Version, compiler: &OsStr) -> Vec<u8> {
    let head = Head {
        version,
        cwd: (version == Version::Pump).then(|| "/".into()),
        argv: vec![
            compiler.to_owned(),
            "-c".into(),
            "hello.c".into(),
            "-o".into(),
            "hello.o".into(),
        ],
    };
    let mut request = head.encode();
    if version == Version::Pump {
        put_file_count(&mut request, 1);
        put_file(&mut request, "/hello.c".as_ref(), &lzo::compress(SOURCE));
    } else {
        put_bulk(&mut request, version, Token::DOTI, SOURCE);
    }
    request
}

/// A host's answer, as it arrives.
#[derive(Debug)]
pub(super) struct Answer {
    decoder: ResponseDecoder,
    /// Bytes of a header that is not complete yet.
    pending: Vec<u8>,
    verdict: Option<bool>,
}

impl Answer {
    /// The answer to a request made in `version`.
    pub(super) fn new(version: Version) -> Self {
        Self {
            decoder: ResponseDecoder::new(version),
            pending: Vec::with_capacity(Header::LEN),
            verdict: None,
        }
    }

    /// Takes what arrived. False: the host is down, whatever follows.
    pub(super) fn on_bytes(&mut self, mut bytes: &[u8]) -> bool {
        while self.verdict.is_none() {
            match self.decoder.step() {
                Step::Status(status) => self.verdict = Some(status == 0),
                Step::Header => {
                    let missing = (Header::LEN - self.pending.len()).min(bytes.len());
                    self.pending.extend_from_slice(&bytes[..missing]);
                    bytes = &bytes[missing..];
                    let Ok(header) = self.pending.as_slice().try_into() else {
                        return true; // The rest has yet to come.
                    };
                    if self.decoder.on_header(header).is_err() {
                        self.verdict = Some(false);
                    }
                    self.pending.clear();
                }
                // Neither comes before the status, at which we stop.
                Step::Body(..) | Step::End => self.verdict = Some(false),
            }
        }
        self.verdict != Some(false)
    }

    /// Whether the host is up, now that it has closed the connection.
    pub(super) fn on_end(&self) -> bool {
        self.verdict == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_3_4() {
        let lzo = b"\x25int foo(){return 0;}\x11\0\0";
        let head = "ARGC00000005ARGV00000003gccARGV00000002-cARGV00000007hello.cARGV00000002-o\
                    ARGV00000007hello.o";
        for (version, front, back, body) in [
            (Version::Plain, "DIST00000001", "DOTI00000014", SOURCE),
            (Version::Lzo, "DIST00000002", "DOTI00000018", lzo),
            (
                Version::Pump,
                "DIST00000003CDIR00000001/",
                "NFIL00000001NAME00000008/hello.cFILE00000018",
                lzo,
            ),
        ] {
            let mut expected = [front, head, back].concat().into_bytes();
            expected.extend_from_slice(body);
            assert_eq!(encode_request(version, OsStr::new("gcc")), expected);
        }
    }

    /// Whether the host is up after it said this, in pieces of every size.
    fn is_up(answer: &str) -> bool {
        let verdicts = (1..=answer.len()).map(|size| {
            let mut decoded = Answer::new(Version::Plain);
            let mut pieces = answer.as_bytes().chunks(size);
            pieces.all(|piece| decoded.on_bytes(piece)) && decoded.on_end()
        });
        let verdicts: Vec<bool> = verdicts.collect();
        assert!(verdicts.windows(2).all(|pair| pair[0] == pair[1]));
        verdicts[0]
    }

    #[test]
    fn fuzzed_answers() {
        fuzz::Target::new("host's answer to a test compile")
            .seeds([
                "DONE00000001STAT00000000SERR00000000SOUT00000000DOTO00000003ELF",
                "DONE00000001STAT00000100SERR00000000",
            ])
            .words(["DONE", "STAT", "SERR", "00000001", "00000000"])
            .run(|bytes| {
                // In whatever pieces it comes, it means the same.
                let verdicts = [1, 5, 12, 4096].map(|size| {
                    let mut answer = Answer::new(Version::Plain);
                    let mut pieces = bytes.chunks(size);
                    pieces.all(|piece| answer.on_bytes(piece)) && answer.on_end()
                });
                assert!(
                    verdicts.windows(2).all(|pair| pair[0] == pair[1]),
                    "{verdicts:?}"
                );
            });
    }

    #[test]
    fn host_is_up_if_it_compiled() {
        assert!(is_up("DONE00000001STAT00000000"));
        assert!(is_up(
            "DONE00000001STAT00000000SERR00000000SOUT00000000DOTO00000003ELF"
        ));
        assert!(is_up("DONE00000001STAT00000000and anything else"));
    }

    #[test]
    fn host_is_down_otherwise() {
        for answer in [
            "DONE00000001STAT00000100SERR00000000",
            "DONE00000002STAT00000000",
            "STAT00000000",
            "DONE00000001",
            "DONE00000001STAT0000000",
            "DONE00000001SERR00000000",
            "SSH-2.0-OpenSSH_9.2p1",
        ] {
            assert!(!is_up(answer), "{answer}");
        }
        assert!(!Answer::new(Version::Plain).on_end());
    }
}
