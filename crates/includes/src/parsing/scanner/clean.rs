//! Logical lines: text without its splices, each comment a blank.

use std::ops::Range;

use super::Scanner;
use crate::parsing::dialect::Dialect;

impl Scanner<'_> {
    /// Copies the rest of the logical line: splices removed, each comment a blank.
    pub(super) fn clean(&mut self, line: &mut Vec<u8>) {
        loop {
            let Some(byte) = self.byte(self.at) else {
                return;
            };
            match byte {
                b'\n' => {
                    self.at += 1;
                    return;
                }
                b'\\' => match self.splice(self.at) {
                    Some(end) => self.at = end,
                    None => {
                        line.push(byte);
                        self.at += 1;
                    }
                },
                b'/' => match self.comment(self.at) {
                    Some(end) => {
                        line.push(b' ');
                        self.at = end;
                    }
                    None => {
                        line.push(byte);
                        self.at += 1;
                    }
                },
                b'<' if wants_header(line) => {
                    let end = memchr::memchr2(b'>', b'\n', &self.src[self.at..])
                        .map_or(self.src.len(), |n| self.at + n);
                    line.extend_from_slice(&self.src[self.at..end]);
                    self.at = end;
                }
                b'"' | b'\'' => {
                    let end = self.literal(self.at);
                    let mut at = self.at;
                    while at < end {
                        match self.splice(at) {
                            Some(after) if !self.is_raw(self.at) => at = after,
                            _ => {
                                line.push(self.src[at]);
                                at += 1;
                            }
                        }
                    }
                    self.at = end;
                }
                _ => {
                    line.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// The text in `range` without comments and splices, for a look at its tokens.
    pub(crate) fn clean_text(src: &[u8], range: Range<usize>, dialect: Dialect) -> Vec<u8> {
        let mut scanner = Scanner::new(&src[..range.end], dialect);
        scanner.at = range.start;
        let mut text = Vec::new();
        while scanner.at < range.end {
            scanner.clean(&mut text);
            text.push(b'\n');
        }
        text
    }
}

/// Whether `<` after this much of a directive begins a header name, where `//` is no comment.
fn wants_header(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    if matches!(line, b"include" | b"include_next" | b"import" | b"embed") {
        return true;
    }
    let Some(line) = line.strip_suffix(b"(") else {
        return false;
    };
    let line = line.trim_ascii_end();
    line.ends_with(b"__has_include")
        || line.ends_with(b"__has_include_next")
        || line.ends_with(b"__has_embed")
}
