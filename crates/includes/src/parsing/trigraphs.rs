//! Trigraphs: nine characters that `??` and a third one stand for, everywhere but inside raw strings.
//!
//! Compilers replace them first, and take that back where a raw string turns out to be. Here the same is done for
//! whole files: files with trigraphs are rare, those with raw strings beside them are rarer still.

use std::ops::Range;

use memchr::memmem;

use crate::parsing::dialect::Dialect;
use crate::parsing::scanner::Scanner;
use crate::parsing::tokens::raw_string_len;

/// `bytes` with its trigraphs replaced; `None`: there are none.
pub(crate) fn replaced(bytes: &[u8], dialect: Dialect) -> Option<Vec<u8>> {
    if !dialect.trigraphs || next(bytes, 0).is_none() {
        return None;
    }
    // Raw strings that hold trigraphs, found one by one: where the next one starts depends on all before it.
    let mut kept: Vec<Range<usize>> = Vec::new();
    loop {
        let text = replaced_outside(bytes, &kept);
        let from = kept.last().map_or(0, |range| range.end);
        match raw_string_with_trigraphs(bytes, &text, dialect, from) {
            Some(range) => kept.push(range),
            None => return Some(text.bytes),
        }
    }
}

struct Text {
    bytes: Vec<u8>,
    /// Where in `bytes` a trigraph was, in order.
    replacements: Vec<usize>,
}

/// The first trigraph at or after `from`, and the byte it stands for.
fn next(bytes: &[u8], from: usize) -> Option<(usize, u8)> {
    memmem::find_iter(&bytes[from..], b"?")
        .map(|at| from + at)
        .find_map(|at| match bytes.get(at..at + 3)? {
            [b'?', b'?', third] => Some((at, meaning(*third)?)),
            _ => None,
        })
}

fn meaning(third: u8) -> Option<u8> {
    Some(match third {
        b'=' => b'#',
        b'/' => b'\\',
        b'\'' => b'^',
        b'(' => b'[',
        b')' => b']',
        b'!' => b'|',
        b'<' => b'{',
        b'>' => b'}',
        b'-' => b'~',
        _ => return None,
    })
}

fn replaced_outside(bytes: &[u8], kept: &[Range<usize>]) -> Text {
    let mut text = Text {
        bytes: Vec::with_capacity(bytes.len()),
        replacements: Vec::new(),
    };
    let mut done = 0;
    let end = bytes.len()..bytes.len();
    for keep in kept.iter().chain([&end]) {
        while let Some((at, byte)) = next(&bytes[..keep.start], done) {
            text.bytes.extend_from_slice(&bytes[done..at]);
            text.replacements.push(text.bytes.len());
            text.bytes.push(byte);
            done = at + 3;
        }
        text.bytes.extend_from_slice(&bytes[done..keep.end]);
        done = keep.end;
    }
    text
}

/// The first raw string at or after `from` that holds trigraphs, as a range of the original bytes.
fn raw_string_with_trigraphs(
    bytes: &[u8],
    text: &Text,
    dialect: Dialect,
    from: usize,
) -> Option<Range<usize>> {
    if !dialect.raw_strings || memmem::find(&text.bytes, b"R\"").is_none() {
        return None;
    }
    let mut scanner = Scanner::new(&text.bytes, dialect);
    let mut line = Vec::new();
    while scanner.next(&mut line).is_some() {}
    scanner
        .raw_strings
        .iter()
        .map(|&at| {
            let start = at + 2 * text.replacements.partition_point(|&r| r < at);
            let len = raw_string_len(&bytes[start..]).unwrap_or(bytes.len() - start);
            start..start + len
        })
        .find(|range| range.start >= from && next(&bytes[range.clone()], 0).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(src: &str, expected: &str) {
        let dialect = Dialect {
            trigraphs: true,
            raw_strings: true,
            line_comments: true,
            ..Dialect::default()
        };
        let got = replaced(src.as_bytes(), dialect);
        let got = got.as_deref().unwrap_or(src.as_bytes());
        assert_eq!(String::from_utf8_lossy(got), expected, "{src}");
    }

    #[test]
    fn replaces_all_nine() {
        check(
            "??=??/??'??(??)??!??<??>??- ??? ????= ??",
            "#\\^[]|{}~ ??? ??# ??",
        );
    }

    #[test]
    fn raw_strings_keep_theirs() {
        check("??= R\"(??=)\" ??=", "# R\"(??=)\" #");
        check("R\"??/(??=)??/\" ??=", "R\"??/(??=)??/\" #");
        check("R\"(??/)\" R\"x(??!)x\" ??!", "R\"(??/)\" R\"x(??!)x\" |");
    }

    #[test]
    fn what_only_looks_like_a_raw_string_does_not_count() {
        check("// R\"(??=\n??=", "// R\"(#\n#");
        check("\"??/\" R\"(??=)\"", "\"\\\" R\"(#)\"");
        check("BAR\"(??=)\" ??=", "BAR\"(#)\" #");
    }
}
