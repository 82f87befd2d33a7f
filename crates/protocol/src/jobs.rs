//! Whole compiles: between our client and our agent only, over a socket of their own beside the include server's.
//!
//! ```text
//! client:   CDIR, ARGC n, n x ARGV     as in a question to an include server
//!           ARGC k, k x ARGV           its environment, NAME=VALUE each
//!           TERM t                     a sum: 1 if its messages are shown in colours, 2 if it may compile here as well
//! agent:    RACE k, k x NAME           at most once, and only to those: run it here, too. One of the others follows
//!           DONE 1, HOST name, SENT bytes, RECV bytes, STAT status, OUTP name, SERR, SOUT, NFIL k, k x (NAME, FILE)
//!           or HERE                    a sentence: why this is no compile for engines
//!           or STAY                    a sentence: why this is no compile for anybody else
//!           or AWAY                    a sentence: why there is nobody to do it, which users want to know
//!           or PASS                    a sentence: why the client's own ways are better just now
//! ```
//!
//! Bodies are as they are; the client writes the files. A client that closes the connection ends its job: so does one
//! whose own compile has ended first, after one more byte, [`ENDED`]. If its own compile does not begin, or fails without
//! an error in the source, which is no result as long as another one may come, it says [`FAILED`] and waits on.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::include::Query;
use crate::request::{Limits, RequestError, put_list};
use crate::stream::{read_answer, read_body, read_header, read_query};
use crate::strings::Budget;
use crate::token::{put_number, put_packet};
use crate::{Header, Token};

const TERMINAL: Token = Token(*b"TERM");
/// Its parts.
const IN_COLOUR: u32 = 1;
const MAY_RACE: u32 = 2;
const RACE: Token = Token(*b"RACE");
const HOST: Token = Token(*b"HOST");
const SENT: Token = Token(*b"SENT");
const RECV: Token = Token(*b"RECV");
const HERE: Token = Token(*b"HERE");
const STAY: Token = Token(*b"STAY");
const AWAY: Token = Token(*b"AWAY");
const PASS: Token = Token(*b"PASS");
const OUTPUT: Token = Token(*b"OUTP");

/// What a client says that was told to run it, too, has its result, and goes.
pub const ENDED: u8 = b'1';
/// What it says when there is no result of its own, and it waits for the other.
pub const FAILED: u8 = b'0';

/// A command as it was called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Working folder and words.
    pub query: Query,
    /// All variables.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether messages go to a terminal that shows colours.
    pub in_colour: bool,
    /// Whether the client may compile it as well, if that takes long elsewhere.
    pub may_race: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet, and another answer follows: it may well end sooner here.
    Race,
    /// It ran elsewhere.
    Done(Done),
    /// No engine can do it; why, in words. The client's own ways may.
    Here(OsString),
    /// It has to run where it was called; why, in words.
    Stay(OsString),
    /// Nobody was there to do it; why, in words.
    Away(OsString),
    /// There are hosts of the client's own that are free, or no others; which, in words.
    Pass(OsString),
}

/// A compile that ran elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Where it ran, as in the host list.
    pub host: OsString,
    /// Bytes to that host since the last compile that ran there.
    pub sent: u32,
    /// Bytes from it.
    pub received: u32,
    /// The compiler's exit code.
    pub exit_code: u32,
    /// The object among its files, whether it was made or not, as the command names it.
    pub output: OsString,
    /// What it wrote.
    pub stderr: Vec<u8>,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// Files that it made: absolute, or from the working folder.
    pub files: Vec<(OsString, Vec<u8>)>,
}

impl Question {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.query.encode();
        let variables: Vec<OsString> = self
            .environment
            .iter()
            .map(|(name, value)| {
                let parts = [name.as_bytes(), b"=", value.as_bytes()];
                OsString::from_vec(parts.concat())
            })
            .collect();
        put_list(&mut out, &variables);
        let in_colour = if self.in_colour { IN_COLOUR } else { 0 };
        let may_race = if self.may_race { MAY_RACE } else { 0 };
        put_number(&mut out, TERMINAL, in_colour | may_race);
        out
    }

    /// Reads a question.
    ///
    /// # Errors
    /// The stream's; [`io::ErrorKind::InvalidData`] where the bytes are no such question.
    pub fn read(from: &mut impl Read, limits: Limits) -> io::Result<Self> {
        let query = read_query(from, limits)?;
        let variables = read_answer(from, limits)?;
        let wishes = number(from, TERMINAL)?;
        let split = |variable: &OsString| {
            let bytes = variable.as_bytes();
            // A name may begin with an equals sign.
            let equals = bytes.iter().skip(1).position(|&byte| byte == b'=')? + 1;
            let part = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
            Some((part(&bytes[..equals]), part(&bytes[equals + 1..])))
        };
        Ok(Self {
            query,
            environment: variables.iter().filter_map(split).collect(),
            in_colour: wishes & IN_COLOUR != 0,
            may_race: wishes & MAY_RACE != 0,
        })
    }
}

impl Answer {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let sentence = |token, why: &OsString| {
            let mut out = Vec::new();
            put_packet(&mut out, token, why.as_bytes());
            out
        };
        let done = match self {
            Self::Here(why) => return sentence(HERE, why),
            Self::Stay(why) => return sentence(STAY, why),
            Self::Away(why) => return sentence(AWAY, why),
            Self::Pass(why) => return sentence(PASS, why),
            Self::Race => {
                let mut out = Vec::new();
                put_number(&mut out, RACE, 1);
                return out;
            }
            Self::Done(done) => done,
        };
        let bytes: usize = done.files.iter().map(|(_, content)| content.len()).sum();
        let mut out = Vec::with_capacity(bytes + done.stderr.len() + 1024);
        put_number(&mut out, Token::DONE, 1);
        put_packet(&mut out, HOST, done.host.as_bytes());
        put_number(&mut out, SENT, done.sent);
        put_number(&mut out, RECV, done.received);
        put_number(&mut out, Token::STAT, done.exit_code);
        put_packet(&mut out, OUTPUT, done.output.as_bytes());
        put_packet(&mut out, Token::SERR, &done.stderr);
        put_packet(&mut out, Token::SOUT, &done.stdout);
        put_number(&mut out, Token::NFIL, count(done.files.len()));
        for (name, content) in &done.files {
            put_packet(&mut out, Token::NAME, name.as_bytes());
            put_packet(&mut out, Token::FILE, content);
        }
        out
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// As [`Question::read`].
    pub fn read(from: &mut impl Read, limits: Limits) -> io::Result<Self> {
        let first = header(from)?;
        for (token, made) in [
            (HERE, Self::Here as fn(_) -> _),
            (STAY, Self::Stay),
            (AWAY, Self::Away),
            (PASS, Self::Pass),
        ] {
            if let Ok(bytes) = first.expect(token) {
                let why = body(from, token, bytes, limits.text_bytes)?;
                return Ok(made(OsString::from_vec(why)));
            }
        }
        match first.expect(RACE) {
            Ok(1) => return Ok(Self::Race),
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(_) => {}
        }
        first
            .expect(Token::DONE)
            .map_err(|error| invalid(RequestError::Header(error)))?;
        let bytes = number(from, HOST)?;
        let host = body(from, HOST, bytes, limits.text_bytes)?;
        let (sent, received) = (number(from, SENT)?, number(from, RECV)?);
        let exit_code = number(from, Token::STAT)?;
        let bytes = number(from, OUTPUT)?;
        let output = body(from, OUTPUT, bytes, limits.text_bytes)?;
        let mut bulk = |token| {
            let bytes = number(from, token)?;
            body(from, token, bytes, limits.body_bytes)
        };
        let (stderr, stdout) = (bulk(Token::SERR)?, bulk(Token::SOUT)?);
        let count = number(from, Token::NFIL)?;
        Budget::bounded(Token::NFIL, count, limits.files).map_err(invalid)?;
        let mut files = Vec::new();
        for _ in 0..count {
            let name = name(from, limits)?;
            let bytes = number(from, Token::FILE)?;
            let content = body(from, Token::FILE, bytes, limits.body_bytes)?;
            files.push((name, content));
        }
        Ok(Self::Done(Done {
            host: OsString::from_vec(host),
            sent,
            received,
            exit_code,
            output: OsString::from_vec(output),
            stderr,
            stdout,
            files,
        }))
    }
}

fn count(files: usize) -> u32 {
    u32::try_from(files).expect("an action declares few files")
}

fn name(from: &mut impl Read, limits: Limits) -> io::Result<OsString> {
    let bytes = number(from, Token::NAME)?;
    body(from, Token::NAME, bytes, limits.text_bytes).map(OsString::from_vec)
}

fn header(from: &mut impl Read) -> io::Result<Header> {
    let header = Header::decode(&read_header(from)?);
    header.map_err(|error| invalid(RequestError::Header(error)))
}

fn number(from: &mut impl Read, due: Token) -> io::Result<u32> {
    let number = header(from)?.expect(due);
    number.map_err(|error| invalid(RequestError::Header(error)))
}

fn body(from: &mut impl Read, token: Token, bytes: u32, most: u32) -> io::Result<Vec<u8>> {
    Budget::bounded(token, bytes, most).map_err(invalid)?;
    read_body(from, bytes)
}

fn invalid(error: RequestError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// The socket for whole compiles beside an include server's own.
#[must_use]
pub fn socket_beside(port: &OsStr) -> OsString {
    let mut path = port.to_owned();
    path.push(".jobs");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            query: Query {
                cwd: "/w".into(),
                argv: vec!["gcc".into(), OsString::from_vec(vec![0xff]), "".into()],
            },
            environment: vec![("A".into(), "b=c".into()), ("=x".into(), "".into())],
            in_colour: true,
            may_race: false,
        }
    }

    #[test]
    fn a_question_survives_the_way() {
        let bytes = question().encode();
        let read = |mut bytes: &[u8]| Question::read(&mut bytes, Limits::default());
        assert_eq!(read(&bytes).unwrap(), question());
        let racing = Question {
            in_colour: false,
            may_race: true,
            ..question()
        };
        assert_eq!(read(&racing.encode()).unwrap(), racing);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn an_answer_survives_the_way() {
        let done = Done {
            host: "grpc://a:1".into(),
            sent: 7,
            received: u32::MAX,
            exit_code: 4,
            output: "a.o".into(),
            stderr: b"warning".to_vec(),
            stdout: Vec::new(),
            files: vec![("a.o".into(), vec![0; 1000]), ("/x/a.d".into(), Vec::new())],
        };
        let sentences = [
            Answer::Here("a link".into()),
            Answer::Stay("a script".into()),
            Answer::Away("all down".into()),
            Answer::Pass("blue is free".into()),
            Answer::Race,
        ];
        for answer in [Answer::Done(done)].into_iter().chain(sentences) {
            let bytes = answer.encode();
            let read = |mut bytes: &[u8]| Answer::read(&mut bytes, Limits::default());
            assert_eq!(read(&bytes).unwrap(), answer);
            for length in 0..bytes.len() {
                assert!(read(&bytes[..length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn lengths_are_bounded() {
        for bytes in [
            &b"HEREffffffff"[..],
            b"DONE00000001HOST00000000STAT00000000OUTP00000000SERRffffffff",
            b"AWAYffffffff",
            b"RACEffffffff",
            b"STAT00000000",
        ] {
            let error = Answer::read(&mut &*bytes, Limits::default()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
