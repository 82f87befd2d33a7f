//! Tokens: cuts one cleaned line (no comments, no splices) into preprocessing tokens.

use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::Dialect;

/// What a token is, as far as the preprocessor cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Identifier,
    Number,
    Character,
    Text,
    Punctuator,
    /// A parameter of the macro whose body this token is in; `arg` says which.
    Parameter,
    /// Nothing: what pasting leaves of an empty argument.
    Placemarker,
    Other,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) text: Id,
    pub(crate) arg: u16,
    pub(crate) kind: Kind,
    /// Blanks stand before it.
    pub(crate) space: bool,
    /// It named a macro that was being expanded, and never expands again.
    pub(crate) painted: bool,
}

impl Token {
    pub(crate) fn new(kind: Kind, text: Id, space: bool) -> Self {
        Token {
            text,
            arg: 0,
            kind,
            space,
            painted: false,
        }
    }
    pub(crate) fn is(&self, punctuator: Id) -> bool {
        self.text == punctuator && self.kind == Kind::Punctuator
    }
}

/// Between tokens. A NUL is one too, with a warning.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, 0 | b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

/// What a byte can be in an identifier: nothing, a later byte, or any.
const IDENTIFIER_BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let ascii = byte as u8;
        table[byte] = if ascii.is_ascii_alphabetic() || matches!(ascii, b'_' | b'$' | 0x80..) {
            2
        } else {
            ascii.is_ascii_digit() as u8
        };
        byte += 1;
    }
    table
};

fn starts_identifier(byte: u8, dialect: Dialect) -> bool {
    IDENTIFIER_BYTES[usize::from(byte)] == 2 && (byte != b'$' || !dialect.asm)
}

fn continues_identifier(byte: u8, dialect: Dialect) -> bool {
    IDENTIFIER_BYTES[usize::from(byte)] > 0 && (byte != b'$' || !dialect.asm)
}

/// Length of the identifier at the start of `text`, 0 if there is none.
pub(crate) fn identifier_len(text: &[u8], dialect: Dialect) -> usize {
    match text.first() {
        Some(&first) if starts_identifier(first, dialect) => {
            1 + text[1..]
                .iter()
                .position(|&b| !continues_identifier(b, dialect))
                .unwrap_or(text.len() - 1)
        }
        _ => 0,
    }
}

const LONG_PUNCTUATORS: &[&[u8]] = &[
    b"%:%:", b"...", b"<<=", b">>=", b"<=>", b"->*", b"##", b"<<", b">>", b"<=", b">=", b"==",
    b"!=", b"&&", b"||", b"::", b"++", b"--", b"->", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=",
    b"|=", b"^=", b".*", b"%:", b"<:", b":>", b"<%", b"%>",
];

fn punctuator_len(text: &[u8], dialect: Dialect) -> usize {
    // Most are one byte long; the table need not be asked for them.
    if !text.get(1).is_some_and(|b| b"%:.<=>*#&|-+".contains(b)) {
        return 1;
    }
    LONG_PUNCTUATORS
        .iter()
        .find(|p| {
            text.starts_with(p)
                && (dialect.cplusplus || !matches!(**p, b"<=>" | b"->*" | b".*" | b"::"))
        })
        .map_or(1, |p| p.len())
}

/// Length of the literal whose opening quote is at `text[0]`, up to and including the closing one.
/// `None`: it does not end on this line.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    let quote = *text.first()?;
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b if b == quote => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Length of the raw string whose `"` is at `text[0]`.
pub(crate) fn raw_string_len(text: &[u8]) -> Option<usize> {
    let open = text.iter().take(18).position(|&b| b == b'(')?;
    let delimiter = &text[1..open];
    if delimiter
        .iter()
        .any(|&b| is_blank(b) || b == b'\\' || b == b')' || b == b'"' || b == b'\n')
    {
        return None;
    }
    let mut at = open + 1;
    loop {
        at += memchr::memchr(b')', text.get(at..)?)? + 1;
        let rest = &text[at..];
        if rest.starts_with(delimiter) && rest.get(delimiter.len()) == Some(&b'"') {
            return Some(at + delimiter.len() + 1);
        }
    }
}

/// Length of the preprocessing number at the start of `text`.
fn number_len(text: &[u8], dialect: Dialect) -> usize {
    let mut at = 1;
    while let Some(&b) = text.get(at) {
        match b {
            b'+' | b'-' if matches!(text[at - 1], b'e' | b'E' | b'p' | b'P') => {}
            b'\'' if dialect.digit_separators => {
                if !text
                    .get(at + 1)
                    .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
                {
                    break;
                }
            }
            b'.' => {}
            b if continues_identifier(b, dialect) => {}
            _ => break,
        }
        at += 1;
    }
    at
}

/// Cuts `line` into `out`.
pub(crate) fn tokenize(line: &[u8], dialect: Dialect, names: &mut Names, out: &mut Vec<Token>) {
    let mut at = 0;
    let mut space = false;
    while let Some(&first) = line.get(at) {
        if is_blank(first) || first == b'\n' {
            space = true;
            at += 1;
            continue;
        }
        let rest = &line[at..];
        let (kind, len) = one(rest, first, dialect);
        let text = match (kind, &rest[..len]) {
            (Kind::Punctuator, b"%:") if dialect.digraphs => known::HASH,
            (Kind::Punctuator, b"%:%:") if dialect.digraphs => known::PASTE,
            (_, bytes) => names.id(bytes),
        };
        out.push(Token::new(kind, text, space));
        space = false;
        at += len;
    }
}

fn one(rest: &[u8], first: u8, dialect: Dialect) -> (Kind, usize) {
    if first.is_ascii_digit() || (first == b'.' && rest.get(1).is_some_and(u8::is_ascii_digit)) {
        return (Kind::Number, number_len(rest, dialect));
    }
    let name = identifier_len(rest, dialect);
    let quote = rest.get(name).copied();
    if name > 0 {
        let prefix = &rest[..name];
        let raw = prefix.ends_with(b"R");
        let plain = if raw { &prefix[..name - 1] } else { prefix };
        if matches!(plain, b"" | b"u8" | b"u" | b"U" | b"L") {
            let literal = match quote {
                Some(b'"') if raw && dialect.raw_strings => {
                    raw_string_len(&rest[name..]).map(|n| (Kind::Text, n))
                }
                Some(b'"') if !raw => quoted_len(&rest[name..]).map(|n| (Kind::Text, n)),
                Some(b'\'')
                    if !raw
                        && match plain {
                            b"L" => true,
                            b"u8" => dialect.utf8_characters,
                            _ => dialect.unicode_characters,
                        } =>
                {
                    quoted_len(&rest[name..]).map(|n| (Kind::Character, n))
                }
                _ => None,
            };
            if let Some((kind, len)) = literal {
                return (kind, name + len);
            }
        }
        return (Kind::Identifier, name);
    }
    match first {
        b'"' | b'\'' => match quoted_len(rest) {
            Some(len) => (
                if first == b'"' {
                    Kind::Text
                } else {
                    Kind::Character
                },
                len,
            ),
            None => (Kind::Other, 1),
        },
        b'\\' | b'@' | b'`' | b'$' => (Kind::Other, 1),
        _ => (Kind::Punctuator, punctuator_len(rest, dialect)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::names::SharedNames;
    use std::sync::Arc;

    fn check(line: &str, expected: &[&str]) {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        let mut out = Vec::new();
        let dialect = Dialect {
            raw_strings: true,
            digit_separators: true,
            cplusplus: true,
            digraphs: true,
            ..Dialect::default()
        };
        tokenize(line.as_bytes(), dialect, &mut names, &mut out);
        let got: Vec<String> = out
            .iter()
            .map(|t| String::from_utf8_lossy(&names.entry(t.text).bytes).into_owned())
            .collect();
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn cuts_by_the_longest_token() {
        check("a+++b", &["a", "++", "+", "b"]);
        check("1'000+0x1p-3.f", &["1'000", "+", "0x1p-3.f"]);
        check(
            "u8\"a\\\"b\" L'x' R\"x(a\")x\"",
            &["u8\"a\\\"b\"", "L'x'", "R\"x(a\")x\""],
        );
        check("a##b %:%: c", &["a", "##", "b", "##", "c"]);
        check("it's", &["it", "'", "s"]);
    }
}
