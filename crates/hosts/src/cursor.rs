//! Reading a host list byte by byte, as distcc 3.4 does: each rule looks at the text from where
//! the last one stopped to the end of the whole list, not only of its entry. This is why its
//! messages quote the rest of the list, and why `a: 80` connects to port 80.

/// What separates entries: C's `isspace`.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends an entry. A vertical tab does not, although one in front of an entry is skipped.
fn ends_entry(byte: u8) -> bool {
    byte == b'#' || is_blank(byte) && byte != 0x0b
}

/// Length of the entry that `rest` begins with.
pub(crate) fn entry_len(rest: &[u8]) -> usize {
    let end = rest.iter().position(|&b| ends_entry(b));
    end.unwrap_or(rest.len())
}

/// What is left of the list while one entry is read.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The list from here on, for a message.
    pub(crate) fn quote(&self) -> String {
        String::from_utf8_lossy(self.rest).into_owned()
    }

    /// Steps over `prefix` if it comes next.
    pub(crate) fn eat(&mut self, prefix: &[u8]) -> bool {
        let tail = self.rest.strip_prefix(prefix);
        self.rest = tail.unwrap_or(self.rest);
        tail.is_some()
    }

    /// The bytes up to one of `stops` or the entry's end.
    pub(crate) fn take_until(&mut self, stops: &[u8]) -> &'a [u8] {
        let is_stop = |b: &u8| ends_entry(*b) || stops.contains(b);
        let end = self.rest.iter().position(is_stop);
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A name or address: up to `/`, `:`, `,` or the entry's end.
    pub(crate) fn name(&mut self) -> &'a [u8] {
        self.take_until(b"/:,")
    }

    /// `/N` or `=N`, `None` if neither sign comes next.
    ///
    /// The number is what C's `atoi` makes of the text, but only digits are stepped over: the
    /// rest of `/+5` is then text that nobody understands, which is ignored.
    pub(crate) fn multiplier(&mut self) -> Result<Option<u32>, String> {
        if !matches!(self.peek(), Some(b'/' | b'=')) {
            return Ok(None);
        }
        let sign = *self;
        self.rest = &self.rest[1..];
        let (number, _) = leading_number(self.rest);
        if number == 0 {
            let quote = sign.quote();
            return Err(format!("bad multiplier \"{quote}\" in host specification"));
        }
        let digits = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.rest = &self.rest[digits..];
        let number = number.clamp(0, i64::from(i32::MAX));
        Ok(Some(u32::try_from(number).expect("clamped above")))
    }

    /// `:PORT`, `None` without a colon. A colon and nothing behind it is port 0.
    pub(crate) fn port(&mut self) -> Result<Option<u16>, String> {
        if !self.eat(b":") {
            return Ok(None);
        }
        let (number, len) = leading_number(self.rest);
        let tail = &self.rest[len..];
        let is_whole = match tail.first() {
            Some(&byte) => is_blank(byte) || matches!(byte, b'#' | b'/' | b','),
            None => true,
        };
        match u16::try_from(number) {
            Ok(port) if is_whole => {
                self.rest = tail;
                Ok(Some(port))
            }
            _ => {
                let quote = self.quote();
                Err(format!("invalid tcp port specification in \"{quote}\""))
            }
        }
    }
}

/// What C's `strtol` reads in base 10: blanks, a sign, digits. The number, 0 without digits and
/// saturated if too large, and its length in bytes, 0 without digits.
fn leading_number(text: &[u8]) -> (i64, usize) {
    let blanks = text.iter().take_while(|&&b| is_blank(b)).count();
    let is_negative = text.get(blanks) == Some(&b'-');
    let is_signed = is_negative || text.get(blanks) == Some(&b'+');
    let start = blanks + usize::from(is_signed);
    let digits = text[start..].iter().take_while(|b| b.is_ascii_digit());
    let mut number = 0i64;
    let mut end = start;
    for digit in digits {
        number = number
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'));
        end += 1;
    }
    if end == start {
        (0, 0)
    } else if is_negative {
        (-number, end)
    } else {
        (number, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, expected) in [
            ("", (0, 0)),
            ("x", (0, 0)),
            ("-", (0, 0)),
            ("  ", (0, 0)),
            ("12x", (12, 2)),
            (" +7", (7, 3)),
            ("-8", (-8, 2)),
            ("010", (10, 3)),
            ("99999999999999999999", (i64::MAX, 20)),
        ] {
            assert_eq!(leading_number(text.as_bytes()), expected, "{text}");
        }
    }
}
