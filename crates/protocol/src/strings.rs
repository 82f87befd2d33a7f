//! Lists of strings: `ARGC n` and n times `ARGV`, which requests, queries and answers share, and
//! the limits on what foreign lengths may ask for.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::request::{Limits, RequestError};
use crate::{Header, Token};

/// Checks announced lengths against the limits of one conversation.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    text_so_far: u64,
}

impl Budget {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            text_so_far: 0,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A count or length that must not be above `max`.
    pub(crate) fn bounded(token: Token, got: u32, max: u32) -> Result<u32, RequestError> {
        if got > max {
            return Err(RequestError::TooLarge {
                token,
                got: got.into(),
                max: max.into(),
            });
        }
        Ok(got)
    }

    /// A string's announced length.
    pub(crate) fn text(&mut self, token: Token, bytes: u32) -> Result<u32, RequestError> {
        Self::bounded(token, bytes, self.limits.text_bytes)?;
        self.text_so_far += u64::from(bytes);
        if self.text_so_far > self.limits.all_text_bytes {
            return Err(RequestError::TooLarge {
                token,
                got: self.text_so_far,
                max: self.limits.all_text_bytes,
            });
        }
        Ok(bytes)
    }
}

/// Bytes that came for a string, as one that can be an argument or a path.
pub(crate) fn string(token: Token, bytes: Vec<u8>) -> Result<OsString, RequestError> {
    if bytes.contains(&0) {
        return Err(RequestError::ZeroByte(token));
    }
    Ok(OsString::from_vec(bytes))
}

/// Collects one list.
#[derive(Debug, Default)]
pub(crate) struct List {
    due: Option<u32>,
    strings: Vec<OsString>,
}

impl List {
    /// Takes `ARGC` or the next `ARGV`; for the latter, the string's length in bytes.
    pub(crate) fn on_header(
        &mut self,
        header: Header,
        budget: &mut Budget,
    ) -> Result<Option<u32>, RequestError> {
        if self.due.is_some() {
            let bytes = header.expect(Token::ARGV).map_err(RequestError::Header)?;
            return budget.text(Token::ARGV, bytes).map(Some);
        }
        let count = header.expect(Token::ARGC).map_err(RequestError::Header)?;
        self.due = Some(Budget::bounded(Token::ARGC, count, budget.limits().args)?);
        Ok(None)
    }

    pub(crate) fn on_text(&mut self, text: Vec<u8>) -> Result<(), RequestError> {
        self.strings.push(string(Token::ARGV, text)?);
        Ok(())
    }

    /// The strings, once all have come.
    pub(crate) fn complete(&mut self) -> Option<Vec<OsString>> {
        (self.due? as usize == self.strings.len()).then(|| std::mem::take(&mut self.strings))
    }
}
