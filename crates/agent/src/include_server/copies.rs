//! Copies of the client's files, made for clients to send: what the two kinds have in common.
//!
//! Any client is answered with paths of a mirror of its tree ([`super::mirror`]); clients of ours with pieces of
//! a file ([`super::store`]).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use protocol::lzo;

use super::refusal::Refusal;
use super::source::{self, Identity, Text};

/// A place for copies. What is there already and has not changed costs no more than finding it.
pub(crate) trait Copies {
    /// What an answer says of a copy.
    type Copy;

    /// The file at the real path `real`, of the given identity (`None` for `/dev/null`). With
    /// `line`, a first line names the file so. `text` is its text, if it was just read.
    ///
    /// # Errors
    /// [`Refusal::Mirror`]; those of [`super::source::read`]; [`Refusal::Unsettled`] if the file is
    /// not the one of that identity any more.
    fn file(
        &self,
        real: &Path,
        identity: Option<Identity>,
        line: Option<&OsStr>,
        text: Option<Text>,
    ) -> Result<Self::Copy, Refusal>;

    /// A link at `at`.
    ///
    /// # Errors
    /// [`Refusal::Mirror`].
    fn link(&self, at: &Path, text: &OsStr) -> Result<Self::Copy, Refusal>;

    /// What stands for the folder `at`.
    ///
    /// # Errors
    /// [`Refusal::Mirror`].
    fn folder(&self, at: &Path) -> Result<Self::Copy, Refusal>;
}

/// A text as it travels.
pub(crate) struct Packed {
    pub(crate) block: Vec<u8>,
    /// The identity stands for this text from now on.
    pub(crate) is_settled: bool,
}

/// The text of the file of this identity, packed; read if it is not at hand.
///
/// # Errors
/// As [`Copies::file`], but for the mirror's.
pub(crate) fn packed(
    real: &Path,
    identity: Option<Identity>,
    line: Option<&OsStr>,
    text: Option<Text>,
) -> Result<Packed, Refusal> {
    let text = match text {
        Some(text) => text,
        None => source::read(real)?,
    };
    if text.identity != identity {
        return Err(Refusal::Unsettled);
    }
    let block = match line {
        Some(line) => lzo::compress_once(&with_line(line, &text.content)),
        None => lzo::compress_once(&text.content),
    };
    Ok(Packed {
        block,
        is_settled: text.is_settled,
    })
}

/// `content` with a first line that makes compilers name it `spelled`.
///
/// Messages, `__FILE__` and debug information then have the client's name and not that of the
/// server's copy. (The compile unit of a main file keeps the server's name in all compilers.)
fn with_line(spelled: &OsStr, content: &[u8]) -> Vec<u8> {
    // Compilers pass over a byte order mark at the very start only.
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let (mark, content) = match content.strip_prefix(MARK) {
        Some(content) => (MARK, content),
        None => (&b""[..], content),
    };
    let mut text = mark.to_vec();
    text.extend_from_slice(b"#line 1 \"");
    for &byte in spelled.as_bytes() {
        match byte {
            // A question mark could be part of a trigraph.
            b'"' | b'\\' | b'?' => text.extend_from_slice(&[b'\\', byte]),
            b'\n' => text.extend_from_slice(b"\\n"),
            _ => text.push(byte),
        }
    }
    text.extend_from_slice(b"\"\n");
    text.extend_from_slice(content);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_is_escaped_and_stands_behind_a_byte_order_mark() {
        assert_eq!(
            with_line(OsStr::new("/a\"b\\c??/\n/\u{e9}"), b"x"),
            "#line 1 \"/a\\\"b\\\\c\\?\\?/\\n/\u{e9}\"\nx".as_bytes()
        );
        assert_eq!(
            with_line(OsStr::new("/a"), b"\xef\xbb\xbfx"),
            b"\xef\xbb\xbf#line 1 \"/a\"\nx"
        );
    }
}
