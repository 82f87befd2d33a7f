//! Which hosts are asked: a list, or a format with a number.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The last number that a format is tried with.
const LAST_NUMBER: u32 = 500;

/// Widest number in a format: no label of a host name is longer.
const MAX_WIDTH: usize = 63;

/// Where names come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The names themselves.
    List(Vec<OsString>),
    /// The same text for 1, 2, 3, ... with the number filled in.
    Format(Vec<Piece>),
}

/// A part of a format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Vec<u8>),
    /// `%d`, or `%3d` and `%03d` with at least that many characters.
    Number {
        width: usize,
        zeros: bool,
    },
}

impl Default for Source {
    /// `distcc%d`
    fn default() -> Self {
        Self::Format(vec![
            Piece::Text(b"distcc".to_vec()),
            Piece::Number {
                width: 0,
                zeros: false,
            },
        ])
    }
}

impl Source {
    /// The operands of the command line: the first alone, if it holds a number to fill in, else
    /// all. The error is a format that asks for something other than a number.
    pub(super) fn parse(operands: &[OsString]) -> Result<Self, OsString> {
        let Some(first) = operands.first() else {
            return Ok(Self::default());
        };
        let pieces = parse_format(first.as_bytes());
        let holds_number = |piece: &Result<Piece, ()>| matches!(piece, Ok(Piece::Number { .. }));
        if !pieces.iter().any(holds_number) {
            return Ok(Self::List(operands.to_vec()));
        }
        let pieces: Result<_, _> = pieces.into_iter().collect();
        pieces.map(Self::Format).map_err(|()| first.clone())
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(names) => names.len(),
            Self::Format(_) => LAST_NUMBER as usize,
        }
    }

    /// The name at `index`, which is below [`Source::len`], with `.domain` behind it if there is
    /// one.
    pub(super) fn name(&self, index: usize, domain: Option<&OsStr>) -> OsString {
        let mut name = match self {
            Self::List(names) => names[index].clone(),
            Self::Format(pieces) => fill(pieces, index + 1),
        };
        if let Some(domain) = domain {
            name.push(".");
            name.push(domain);
        }
        name
    }
}

/// The parts of a format; an error stands for a `%` that we do not understand.
fn parse_format(format: &[u8]) -> Vec<Result<Piece, ()>> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        let end = rest.iter().position(|&b| b == b'%').unwrap_or(rest.len());
        let (text, tail) = rest.split_at(end);
        if !text.is_empty() {
            pieces.push(Ok(Piece::Text(text.to_vec())));
        }
        rest = match tail {
            [] => tail,
            [b'%', b'%', tail @ ..] => {
                pieces.push(Ok(Piece::Text(b"%".to_vec())));
                tail
            }
            [_, tail @ ..] => {
                let digits = tail.iter().take_while(|b| b.is_ascii_digit()).count();
                let (digits, tail) = tail.split_at(digits);
                pieces.push(number(digits, tail.first()).ok_or(()));
                tail.get(1..).unwrap_or_default()
            }
        };
    }
    pieces
}

/// What stands between `%` and the letter behind `digits`.
fn number(digits: &[u8], letter: Option<&u8>) -> Option<Piece> {
    let width = match std::str::from_utf8(digits).ok()? {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    let piece = Piece::Number {
        width,
        zeros: digits.starts_with(b"0"),
    };
    (letter == Some(&b'd') && width <= MAX_WIDTH).then_some(piece)
}

fn fill(pieces: &[Piece], number: usize) -> OsString {
    let mut name = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => name.extend_from_slice(text),
            Piece::Number { width, zeros: true } => {
                name.extend(format!("{number:0width$}").into_bytes());
            }
            Piece::Number { width, .. } => name.extend(format!("{number:width$}").into_bytes()),
        }
    }
    OsString::from_vec(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(operands: &[&str]) -> Result<Source, OsString> {
        let operands: Vec<OsString> = operands.iter().map(OsString::from).collect();
        Source::parse(&operands)
    }

    fn check(operands: &[&str], domain: Option<&str>, expected: &[&str]) {
        let source = source(operands).unwrap();
        let names: Vec<OsString> = (0..source.len().min(3))
            .map(|index| source.name(index, domain.map(OsStr::new)))
            .collect();
        assert_eq!(names, expected, "{operands:?}");
    }

    #[test]
    fn formats_count_from_1_to_500() {
        check(&[], None, &["distcc1", "distcc2", "distcc3"]);
        check(&["h%d", "ignored"], None, &["h1", "h2", "h3"]);
        check(
            &["%d%%-%03d%2dx"],
            None,
            &["1%-001 1x", "2%-002 2x", "3%-003 3x"],
        );
        let source = source(&["h%d"]).unwrap();
        assert_eq!(source.len(), 500);
        assert_eq!(source.name(499, None), "h500");
    }

    #[test]
    fn other_operands_are_names() {
        check(&["b", "a"], None, &["b", "a"]);
        check(&["a", "h%d"], None, &["a", "h%d"]);
        check(&["50%", "%%", "%s"], None, &["50%", "%%", "%s"]);
    }

    #[test]
    fn domain_is_appended() {
        check(&["a", "b.c"], Some("x.y"), &["a.x.y", "b.c.x.y"]);
        check(&["h%d"], Some("z"), &["h1.z", "h2.z", "h3.z"]);
    }

    #[test]
    fn refuses_formats_that_ask_for_more_than_a_number() {
        for format in ["%d%s", "%d%", "%d%999d", "%d%99999999999999999999d", "%n%d"] {
            assert_eq!(source(&[format]), Err(format.into()), "{format}");
        }
    }
}
