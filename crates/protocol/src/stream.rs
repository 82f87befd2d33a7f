//! Reading packets from any [`Read`]: the one way in which programs take foreign lengths.

use std::ffi::OsString;
use std::io::{self, Read};

use crate::Header;
use crate::include::{AnswerDecoder, Query, QueryDecoder, Step};
use crate::request::{Limits, RequestError};

/// Reads one header's bytes.
///
/// # Errors
/// The stream's; [`io::ErrorKind::UnexpectedEof`] where it ends, even before the first byte.
pub fn read_header(from: &mut impl Read) -> io::Result<[u8; Header::LEN]> {
    let mut bytes = [0; Header::LEN];
    match from.read_exact(&mut bytes) {
        // Without the words of `read_exact`, which tell nobody that the peer has gone.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
        read => read.map(|()| bytes),
    }
}

/// Reads a body of `len` bytes. Memory grows with what has arrived, not with what was announced.
///
/// # Errors
/// The stream's; [`io::ErrorKind::UnexpectedEof`] where it ends before `len` bytes.
pub fn read_body(from: &mut impl Read, len: u32) -> io::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(len.min(1 << 16) as usize);
    let got = from.take(u64::from(len)).read_to_end(&mut body)?;
    if got < len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

/// Reads a whole include-server query.
///
/// # Errors
/// The stream's; [`io::ErrorKind::InvalidData`] holding a [`RequestError`] where the bytes are
/// not a query.
pub fn read_query(from: &mut impl Read, limits: Limits) -> io::Result<Query> {
    let mut decoder = QueryDecoder::new(limits);
    loop {
        match decoder.step() {
            Step::Header => decoder.on_header(&read_header(from)?).map_err(invalid)?,
            Step::Text { bytes } => decoder.on_text(read_body(from, bytes)?).map_err(invalid)?,
            Step::End(query) => return Ok(query),
        }
    }
}

/// Reads a whole include-server answer.
///
/// # Errors
/// As [`read_query`].
pub fn read_answer(from: &mut impl Read, limits: Limits) -> io::Result<Vec<OsString>> {
    let mut decoder = AnswerDecoder::new(limits);
    loop {
        match decoder.step() {
            Step::Header => decoder.on_header(&read_header(from)?).map_err(invalid)?,
            Step::Text { bytes } => decoder.on_text(read_body(from, bytes)?).map_err(invalid)?,
            Step::End(files) => return Ok(files),
        }
    }
}

fn invalid(error: RequestError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
