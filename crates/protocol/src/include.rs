//! The exchange between client and include server, over a Unix socket, one per connection:
//!
//! ```text
//! client:          CDIR, ARGC n, n x ARGV      its working folder and the compiler command
//! include server:  ARGC k, k x ARGV            files to send; none means "cannot do it"
//! ```
//!
//! The files stand under the include server's *client root*, three path components that the
//! client removes to get the name on the wire; suffixes and links below it are in
//! [`client_name`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::request::{Limits, RequestError, put_list};
use crate::strings::{Budget, List, string};
use crate::token::put_packet;
use crate::{Header, Token};

/// A question to the include server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The client's working folder.
    pub cwd: OsString,
    /// The compiler command, argv\[0\] included.
    pub argv: Vec<OsString>,
}

impl Query {
    /// The bytes on the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1024);
        put_packet(&mut out, Token::CDIR, self.cwd.as_bytes());
        put_list(&mut out, &self.argv);
        out
    }
}

/// The bytes of an answer; no files means that the client has to preprocess by itself.
#[must_use]
pub fn encode_answer(files: &[OsString]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, files);
    out
}

/// The last component of a path that stands for its folder: "this folder must exist".
pub const MUST_EXIST: &str = "forcing_technique_271828";

/// The name a client sends for a path in an answer: without the client root (the first three
/// components), and without the suffixes `.lzo` and `.lzo.abs`.
///
/// `None` if the path has fewer than four components, so that nothing would be left.
#[must_use]
pub fn client_name(path: &OsStr) -> Option<OsString> {
    let path = path.as_bytes();
    let (below, _) = path
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| byte == b'/')
        .nth(3)?;
    let name = &path[below..];
    // Both only at the very end, in this order: `x.abs.lzo` is a file really called `x.abs`.
    let name = name.strip_suffix(b".abs").unwrap_or(name);
    let name = name.strip_suffix(b".lzo").unwrap_or(name);
    Some(OsStr::from_bytes(name).to_owned())
}

/// What the reader of a query or an answer has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Read [`Header::LEN`] bytes and give them to `on_header`.
    Header,
    /// Read this many bytes, within the limits, and give them to `on_text`.
    Text {
        /// Length in bytes, possibly 0.
        bytes: u32,
    },
    /// All of it. Comes once.
    End(T),
}

/// Follows a query as it arrives, like [`crate::request::RequestDecoder`].
#[derive(Debug)]
pub struct QueryDecoder {
    budget: Budget,
    cwd: Option<OsString>,
    list: List,
    text: Option<u32>,
}

impl QueryDecoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Budget::new(limits),
            cwd: None,
            list: List::default(),
            text: None,
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> Step<Query> {
        if let Some(bytes) = self.text {
            return Step::Text { bytes };
        }
        match self.list.complete() {
            Some(argv) => Step::End(Query {
                cwd: self.cwd.take().unwrap_or_default(),
                argv,
            }),
            None => Step::Header,
        }
    }

    /// Takes the header that [`Step::Header`] asked for.
    ///
    /// # Errors
    /// [`RequestError`]: the connection cannot go on.
    pub fn on_header(&mut self, bytes: &[u8; Header::LEN]) -> Result<(), RequestError> {
        let header = Header::decode(bytes).map_err(|error| match self.cwd {
            None => error.where_due(Token::CDIR),
            Some(_) => error,
        })?;
        if self.cwd.is_none() {
            let bytes = header.expect(Token::CDIR)?;
            self.text = Some(self.budget.text(Token::CDIR, bytes)?);
            return Ok(());
        }
        self.text = self.list.on_header(header, &mut self.budget)?;
        if self.text.is_none() && header.value == 0 {
            return Err(RequestError::NoArguments);
        }
        Ok(())
    }

    /// Takes the string that [`Step::Text`] asked for.
    ///
    /// # Errors
    /// [`RequestError::ZeroByte`].
    pub fn on_text(&mut self, text: Vec<u8>) -> Result<(), RequestError> {
        self.text = None;
        if self.cwd.is_none() {
            self.cwd = Some(string(Token::CDIR, text)?);
            return Ok(());
        }
        self.list.on_text(text)
    }
}

/// Follows an answer as it arrives, like [`crate::request::RequestDecoder`]. The include server
/// is trusted (it runs as the same user), but a broken one must not exhaust the client.
#[derive(Debug)]
pub struct AnswerDecoder {
    budget: Budget,
    list: List,
    text: Option<u32>,
}

impl AnswerDecoder {
    /// A decoder after the query was sent.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            budget: Budget::new(limits),
            list: List::default(),
            text: None,
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> Step<Vec<OsString>> {
        if let Some(bytes) = self.text {
            return Step::Text { bytes };
        }
        match self.list.complete() {
            Some(files) => Step::End(files),
            None => Step::Header,
        }
    }

    /// Takes the header that [`Step::Header`] asked for.
    ///
    /// # Errors
    /// [`RequestError`]: the connection cannot go on.
    pub fn on_header(&mut self, bytes: &[u8; Header::LEN]) -> Result<(), RequestError> {
        self.text = self
            .list
            .on_header(Header::decode(bytes)?, &mut self.budget)?;
        Ok(())
    }

    /// Takes the string that [`Step::Text`] asked for.
    ///
    /// # Errors
    /// [`RequestError::ZeroByte`].
    pub fn on_text(&mut self, text: Vec<u8>) -> Result<(), RequestError> {
        self.text = None;
        self.list.on_text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{read_answer, read_query};

    #[test]
    fn query_as_recorded() {
        let query = Query {
            cwd: "/w".into(),
            argv: vec!["cc".into(), "a b.c".into()],
        };
        let bytes = query.encode();
        assert_eq!(
            bytes,
            b"CDIR00000002/wARGC00000002ARGV00000002ccARGV00000005a b.c"
        );
        assert_eq!(
            read_query(&mut &bytes[..], Limits::default()).unwrap(),
            query
        );
        for len in 0..bytes.len() {
            assert!(read_query(&mut &bytes[..len], Limits::default()).is_err());
        }
    }

    #[test]
    fn answers_with_and_without_files() {
        for files in [vec![], vec!["/r/a/b/x.c.lzo".into(), "/r/a/b/y".into()]] {
            let bytes = encode_answer(&files);
            assert_eq!(
                read_answer(&mut &bytes[..], Limits::default()).unwrap(),
                files
            );
        }
    }

    #[test]
    fn foreign_bytes_are_named() {
        let error = read_query(&mut &b"DIST00000001"[..], Limits::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "protocol derailment: expected token \"CDIR\", got \"DIST\""
        );
        let error = read_query(&mut &b"CDIR00000001/ARGC00000000"[..], Limits::default());
        assert!(error.is_err());
    }

    #[test]
    fn client_names() {
        let root = "/dev/shm/tmpmf0ty0e5.include_server-31540-1";
        for (path, name) in [
            ("/example/src/hello.c.lzo", Some("/example/src/hello.c")),
            ("/example/src/hello.c.lzo.abs", Some("/example/src/hello.c")),
            ("/x.abs.lzo", Some("/x.abs")),
            ("/usr/include", Some("/usr/include")),
            ("", None),
        ] {
            assert_eq!(
                client_name(format!("{root}{path}").as_ref()),
                name.map(Into::into)
            );
        }
        assert_eq!(client_name("relative".as_ref()), None);
    }
}
