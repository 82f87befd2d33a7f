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
    let text = Replaced::outside(bytes, &[]);
    if !dialect.raw_strings || memmem::find(&text.bytes, b"R\"").is_none() {
        return Some(text.bytes);
    }
    let kept = text.raw_strings_with_trigraphs(dialect);
    Some(if kept.is_empty() {
        text.bytes
    } else {
        Replaced::outside(bytes, &kept).bytes
    })
}

/// A file with its trigraphs replaced.
pub(crate) struct Replaced<'a> {
    original: &'a [u8],
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

impl<'a> Replaced<'a> {
    /// `original` with all trigraphs replaced that are not in `kept`.
    fn outside(original: &'a [u8], kept: &[Range<usize>]) -> Self {
        let mut bytes = Vec::with_capacity(original.len());
        let mut replacements = Vec::new();
        let mut done = 0;
        let end = original.len()..original.len();
        for keep in kept.iter().chain([&end]) {
            while let Some((at, byte)) = next(&original[..keep.start], done) {
                bytes.extend_from_slice(&original[done..at]);
                replacements.push(bytes.len());
                bytes.push(byte);
                done = at + 3;
            }
            bytes.extend_from_slice(&original[done..keep.end]);
            done = keep.end;
        }
        Replaced {
            original,
            bytes,
            replacements,
        }
    }

    /// The raw strings that hold trigraphs, as ranges of the original. Which quotes begin one depends on where the ones
    /// before end, and that only the original tells: it is asked by the scanner, so that once through the text is enough.
    fn raw_strings_with_trigraphs(&self, dialect: Dialect) -> Vec<Range<usize>> {
        let mut scanner = Scanner::new(&self.bytes, dialect);
        scanner.replaced = Some(self);
        let mut line = Vec::new();
        while scanner.next(&mut line).is_some() {}
        let ranges = scanner.raw_strings.iter().map(|&at| {
            let start = self.in_original(at);
            let len = raw_string_len(&self.original[start..]);
            start..len.map_or(self.original.len(), |len| start + len)
        });
        ranges
            .filter(|range| next(&self.original[range.clone()], 0).is_some())
            .collect()
    }

    fn in_original(&self, at: usize) -> usize {
        at + 2 * self.replacements.partition_point(|&r| r < at)
    }

    /// How long the raw string is whose quote stands at `at` of the bytes in which all trigraphs are replaced.
    pub(crate) fn raw_string_len(&self, at: usize) -> Option<usize> {
        let start = self.in_original(at);
        let end = start + raw_string_len(&self.original[start..])?;
        let first = self.replacements.partition_point(|&r| r < at);
        let within = (first..self.replacements.len())
            .take_while(|&nth| self.replacements[nth] + 2 * nth < end)
            .count();
        Some(end - start - 2 * within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect() -> Dialect {
        Dialect {
            trigraphs: true,
            raw_strings: true,
            line_comments: true,
            ..Dialect::default()
        }
    }

    fn check(src: &str, expected: &str) {
        let got = replaced(src.as_bytes(), dialect());
        let got = got.as_deref().unwrap_or(src.as_bytes());
        if src.len() < 1_000 {
            assert_eq!(String::from_utf8_lossy(got), expected, "{src}");
        }
        assert!(got == expected.as_bytes(), "{}...", &src[..80]);
    }

    /// The same as `replaced`, by reading the file anew after each raw string that is found.
    fn replaced_one_by_one(src: &[u8]) -> Vec<u8> {
        let mut kept: Vec<Range<usize>> = Vec::new();
        loop {
            let text = Replaced::outside(src, &kept);
            let mut scanner = Scanner::new(&text.bytes, dialect());
            while scanner.next(&mut Vec::new()).is_some() {}
            let ranges = scanner.raw_strings.iter().map(|&at| {
                let start = text.in_original(at);
                let len = raw_string_len(&src[start..]).unwrap_or(src.len() - start);
                start..start + len
            });
            let from = kept.last().map_or(0, |range| range.end);
            let mut ranges = ranges
                .filter(|range| range.start >= from && next(&src[range.clone()], 0).is_some());
            match ranges.next() {
                Some(range) => kept.push(range),
                None => return text.bytes,
            }
        }
    }

    #[test]
    fn finds_what_reading_anew_after_each_raw_string_finds() {
        const WORDS: [&str; 16] = [
            "R\"(", ")\"", "R\"x(", ")x\"", "R\"??/(", ")??/\"", "??/", "??/\n", "?", "\"", "'",
            "\n", "\n??=", "//", "/*", "*/",
        ];
        let mut state = 1_u64;
        for _ in 0..50_000 {
            let mut src = String::new();
            for _ in 0..16 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                src += WORDS[usize::try_from(state >> 33).unwrap_or(0) % WORDS.len()];
            }
            let got = replaced(src.as_bytes(), dialect());
            let got = got.as_deref().unwrap_or(src.as_bytes());
            let expected = replaced_one_by_one(src.as_bytes());
            assert_eq!(
                String::from_utf8_lossy(got),
                String::from_utf8_lossy(&expected),
                "{src:?}"
            );
        }
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

    #[test]
    fn raw_strings_are_found_at_once() {
        // Reading the file anew for each of them would take hours.
        let raw = "R\"(??/)\" ??/ R\"a(\n???/)\" )a\" ??!\n";
        let replaced = "R\"(??/)\" \\ R\"a(\n???/)\" )a\" |\n";
        let times = 200_000;
        check(
            &format!("{}??=", raw.repeat(times)),
            &format!("{}#", replaced.repeat(times)),
        );
        // One that does not end takes all the rest with it.
        let open = "R\"x( ??= )\n".repeat(times);
        check(&format!("??={open}"), &format!("#{open}"));
    }
}
