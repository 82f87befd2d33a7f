//! Where literals end: strings, characters, raw strings, and quotes that only separate digits.

use std::ops::Range;

use super::Scanner;
use crate::parsing::dialect::Dialect;
use crate::parsing::tokens::raw_string_len;

impl Scanner<'_> {
    /// End of the quoted literal whose quote is at `at`: after the closing quote, or at the newline if it is not closed.
    fn quoted(&self, at: usize) -> usize {
        let quote = self.src[at];
        let mut at = at + 1;
        loop {
            match self.byte(at) {
                None | Some(b'\n') => return at,
                Some(b'\\') => match self.splice(at) {
                    Some(end) => at = end,
                    None => {
                        at = self.after_splices(at + 1);
                        at += usize::from(self.byte(at).is_some_and(|b| b != b'\n'));
                    }
                },
                Some(byte) => {
                    at += 1;
                    if byte == quote {
                        return at;
                    }
                }
            }
        }
    }

    /// Whether the quote at `at` has the prefix of a raw string before it.
    pub(super) fn is_raw(&self, at: usize) -> bool {
        if !self.dialect.raw_strings || at == 0 || self.src[at - 1] != b'R' {
            return false;
        }
        let mut start = at - 1;
        while start > 0
            && (self.src[start - 1].is_ascii_alphanumeric()
                || matches!(self.src[start - 1], b'_' | b'$' | 0x80..))
        {
            start -= 1;
        }
        // What touches a literal before it is that literal's suffix.
        let is_suffix =
            self.dialect.cplusplus && start > 0 && matches!(self.src[start - 1], b'"' | b'\'');
        !is_suffix && matches!(&self.src[start..at - 1], b"" | b"u8" | b"u" | b"U" | b"L")
    }

    /// Whether the `'` at `at` separates digits of a number.
    fn separates_digits(&self, at: usize) -> bool {
        if !self.dialect.digit_separators
            || at == 0
            || !self
                .byte(at + 1)
                .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            return false;
        }
        let mut start = at;
        while start > 0
            && (self.src[start - 1].is_ascii_alphanumeric()
                || matches!(self.src[start - 1], b'_' | b'.' | b'\''))
        {
            start -= 1;
        }
        let first = self.src[start..at]
            .iter()
            .find(|&&b| b != b'\'' || start == at);
        start < at
            && (first.is_some_and(u8::is_ascii_digit)
                || (self.src[start] == b'.'
                    && self.byte(start + 1).is_some_and(|b| b.is_ascii_digit())))
    }

    /// Past the quote at `at`, whatever it begins.
    pub(super) fn literal(&mut self, at: usize) -> usize {
        if self.src[at] == b'\'' {
            return if self.separates_digits(at) {
                at + 1
            } else {
                self.quoted(at)
            };
        }
        // After one that does not end the file is refused, and no other must be looked for to the file's end.
        if self.unmodelled.is_none() && self.is_raw(at) {
            self.raw_strings.push(at);
            let len = match self.replaced {
                Some(replaced) => replaced.raw_string_len(at),
                None => raw_string_len(&self.src[at..]),
            };
            match len {
                Some(len) if self.replaced.is_some() => return at + len,
                Some(len) => {
                    if self.quoted(at) != at + len && self.hides(at..at + len) {
                        self.hidden.push(at);
                    }
                    return at + len;
                }
                None => self.unmodelled = Some(at),
            }
        }
        self.quoted(at)
    }

    /// Whether a skipped group goes on otherwise for a compiler that takes this raw string for plain text there: it
    /// meets other conditionals, or another end of the last line.
    fn hides(&self, raw: Range<usize>) -> bool {
        if self.dialect.trigraphs && memchr::memmem::find(&self.src[raw.clone()], b"??").is_some() {
            return true;
        }
        let plain = Dialect {
            raw_strings: false,
            ..self.dialect
        };
        let [mut within, after] = [raw.start, raw.end].map(|at| {
            let mut scanner = Scanner::new(self.src, plain);
            scanner.at = at;
            scanner.text_line();
            scanner
        });
        while within.at < after.at {
            within.start_of_line();
            let rest = &within.src[within.at..];
            let hash = [&b"#"[..], b"%:"].into_iter().find(|h| rest.starts_with(h));
            if let Some(hash) = hash {
                within.at += hash.len();
                within.start_of_line();
                let rest = &within.src[within.at..];
                if [&b"if"[..], b"el", b"end"]
                    .iter()
                    .any(|word| rest.starts_with(word))
                {
                    return true;
                }
            }
            within.text_line();
        }
        within.at != after.at
    }
}
