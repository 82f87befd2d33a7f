//! Bytes to logical lines: finds the directives of a file, skipping text, comments, strings and splices.
//!
//! This is where a cold run spends most of its time, so text is skipped by a byte table and directives
//! without comments and splices are used where they stand, without a copy.

mod clean;
mod literals;

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::parsing::dialect::Dialect;
use crate::parsing::tokens::is_blank;
use crate::parsing::trigraphs::Replaced;

/// A position in a file's bytes.
pub(crate) struct Scanner<'a> {
    src: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// Offsets of raw strings without which a skipped group would end elsewhere.
    pub(crate) hidden: Vec<usize>,
    /// Where the quotes of raw strings stand, so far.
    pub(crate) raw_strings: Vec<usize>,
    /// The bytes have trigraphs replaced within raw strings, too: these know where those end.
    pub(crate) replaced: Option<&'a Replaced<'a>>,
    /// Something the scanner does not model stands at this offset.
    pub(crate) unmodelled: Option<usize>,
    /// No digraphs: text can be searched for directives.
    searchable: bool,
    /// A raw string may begin here and not before, from where the text was searched last.
    next_raw: usize,
}

/// What stands between two stops of the scanner.
pub(crate) enum Piece {
    /// Text lines in this range of bytes.
    Text(Range<usize>),
    /// A directive; its cleaned text after the `#` is in the buffer given, or at this range of the file.
    Directive {
        /// Where its `#` stands.
        start: usize,
        /// Past its end.
        end: usize,
        /// The text as it stands in the file; `None`: it was cleaned into the buffer.
        plain: Option<Range<usize>>,
    },
}

static RAW: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("R\""));

const TEXT_STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    stops[b'\n' as usize] = true;
    stops[b'"' as usize] = true;
    stops[b'\'' as usize] = true;
    stops[b'/' as usize] = true;
    stops[b'\\' as usize] = true;
    stops
};

impl<'a> Scanner<'a> {
    pub(crate) fn new(src: &'a [u8], dialect: Dialect) -> Self {
        let at = if src.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let has = |rule: bool, what: &[u8]| rule && memchr::memmem::find(src, what).is_some();
        Scanner {
            src,
            at,
            dialect,
            hidden: Vec::new(),
            raw_strings: Vec::new(),
            replaced: None,
            unmodelled: None,
            searchable: !has(dialect.digraphs, b"%:") && !has(dialect.digraphs, b"%\\"),
            next_raw: 0,
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.src.get(at).copied()
    }

    /// End of the splice at `at`, if one stands there: a backslash, blanks, a newline.
    fn splice(&self, at: usize) -> Option<usize> {
        if self.byte(at) != Some(b'\\') {
            return None;
        }
        let mut end = at + 1;
        while self.byte(end).is_some_and(|b| self.may_split_splice(b)) {
            end += 1;
        }
        (self.byte(end) == Some(b'\n')).then_some(end + 1)
    }

    /// Whether this may stand between a splice's backslash and its newline.
    fn may_split_splice(&self, byte: u8) -> bool {
        is_blank(byte) && (byte != 0 || !self.dialect.clang)
    }

    fn after_splices(&self, mut at: usize) -> usize {
        while let Some(end) = self.splice(at) {
            at = end;
        }
        at
    }

    /// The end of the comment at `at`, if one starts there. A line comment ends before its newline.
    fn comment(&self, at: usize) -> Option<usize> {
        let second = self.after_splices(at + 1);
        match self.byte(second) {
            Some(b'*') => {
                let mut from = second + 1;
                loop {
                    let Some(star) = memchr::memchr(b'*', self.src.get(from..).unwrap_or_default())
                    else {
                        return Some(self.src.len());
                    };
                    from += star + 1;
                    let slash = self.after_splices(from);
                    if self.byte(slash) == Some(b'/') {
                        return Some(slash + 1);
                    }
                }
            }
            Some(b'/') if self.dialect.line_comments => {
                let mut from = second + 1;
                loop {
                    let Some(newline) =
                        memchr::memchr(b'\n', self.src.get(from..).unwrap_or_default())
                    else {
                        return Some(self.src.len());
                    };
                    let end = from + newline;
                    let last = self.src[from..end]
                        .iter()
                        .rposition(|&b| !self.may_split_splice(b));
                    if last.is_some_and(|last| self.src[from + last] == b'\\') {
                        from = end + 1;
                        continue;
                    }
                    return Some(end);
                }
            }
            _ => None,
        }
    }

    /// Skips blanks, comments and splices. Leaves the position at what decides the kind of line.
    fn start_of_line(&mut self) {
        loop {
            match self.byte(self.at) {
                Some(byte) if is_blank(byte) || byte == b'\n' => self.at += 1,
                Some(b'/') => match self.comment(self.at) {
                    Some(end) => self.at = end,
                    None => return,
                },
                Some(b'\\') => match self.splice(self.at) {
                    Some(end) => self.at = end,
                    None => return,
                },
                _ => return,
            }
        }
    }

    fn text_line(&mut self) {
        loop {
            while let Some(&byte) = self.src.get(self.at) {
                if TEXT_STOPS[usize::from(byte)] {
                    break;
                }
                self.at += 1;
            }
            match self.byte(self.at) {
                None => return,
                Some(b'\n') => {
                    self.at += 1;
                    return;
                }
                Some(b'/') => self.at = self.comment(self.at).unwrap_or(self.at + 1),
                Some(b'\\') => self.at = self.splice(self.at).unwrap_or(self.at + 1),
                Some(_) => self.at = self.literal(self.at),
            }
        }
    }

    /// Whether the line that starts at `start` continues the one before.
    fn continues(&self, start: usize) -> bool {
        let before = &self.src[..start.saturating_sub(1)];
        let last = before.iter().rposition(|&b| !self.may_split_splice(b));
        last.is_some_and(|last| before[last] == b'\\')
    }

    /// The first place from `from` on where a raw string may begin, or the file's end.
    fn raw_from(&mut self, from: usize) -> usize {
        if !self.dialect.raw_strings {
            return self.src.len();
        }
        if self.next_raw < from || from == 0 {
            let found = RAW.find(&self.src[from..]);
            self.next_raw = found.map_or(self.src.len(), |at| from + at);
        }
        self.next_raw
    }

    /// From within a line of text to the next line that may be none, by looking only at what could begin a directive,
    /// a comment or a raw string. Other literals matter where they could hide one's beginning, and nowhere else.
    fn skip_text(&mut self) {
        let mut from = self.at;
        // The last stop, and where its logical line starts; there no literal and no comment is open. No later stop looks
        // further back, or text in which many lines are continued would be read anew for each of them.
        let mut last = (self.at, self.at);
        loop {
            let raw = self.raw_from(from);
            let hit = memchr::memchr2(b'#', b'/', &self.src[from..raw]);
            let at = hit.map_or(raw, |hit| from + hit);
            if at == self.src.len() {
                self.at = at;
                return;
            }
            from = at + 1;
            let comment = match self.src[at] {
                b'/' => match self.comment(at) {
                    None => continue,
                    end => end,
                },
                _ => None,
            };
            let (stop, start_of_stop) = last;
            let line_before = |end: usize| {
                let newline = memchr::memrchr(b'\n', &self.src[stop..end]);
                newline.map_or(start_of_stop, |n| stop + n + 1)
            };
            let mut start = line_before(at);
            while start > stop && self.continues(start) {
                start = line_before(start - 1);
            }
            last = (at, start);
            if at == raw {
                self.at = start;
                self.text_line();
                return;
            }
            let before = &self.src[start..at];
            // A line that was stopped in before begins with something else.
            if start > stop
                && before
                    .iter()
                    .all(|&b| is_blank(b) || matches!(b, b'\n' | b'\\'))
            {
                self.at = start;
                return;
            }
            if let Some(end) = comment {
                if memchr::memchr2(b'"', b'\'', before).is_some() {
                    self.at = start;
                    self.text_line();
                    return;
                }
                from = end;
                last = (end, end);
            }
        }
    }

    /// The next piece of the file. A cleaned directive is put into `line`.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Option<Piece> {
        let text = self.at;
        loop {
            self.start_of_line();
            let start = self.at;
            let hash = match self.byte(start) {
                None if start == text => return None,
                None => return Some(Piece::Text(text..start)),
                Some(b'#') => 1,
                Some(b'%')
                    if self.dialect.digraphs
                        && self.byte(self.after_splices(start + 1)) == Some(b':') =>
                {
                    self.after_splices(start + 1) + 1 - start
                }
                Some(_) => 0,
            };
            if hash == 0 {
                if self.searchable {
                    self.skip_text();
                } else {
                    self.text_line();
                }
                continue;
            }
            if self.src[text..start]
                .iter()
                .any(|&b| !is_blank(b) && b != b'\n')
            {
                return Some(Piece::Text(text..start));
            }
            return Some(self.directive(start, start + hash, line));
        }
    }

    fn directive(&mut self, start: usize, from: usize, line: &mut Vec<u8>) -> Piece {
        let end = memchr::memchr(b'\n', &self.src[from..]).map_or(self.src.len(), |n| from + n);
        let raw = &self.src[from..end];
        let comment = memchr::memchr_iter(b'/', raw)
            .any(|at| matches!(raw.get(at + 1), Some(b'/' | b'*' | b'\\')));
        let raw_string = self.dialect.raw_strings && memchr::memmem::find(raw, b"R\"").is_some();
        if !comment && !raw_string && memchr::memchr(b'\\', raw).is_none() {
            self.at = end + 1;
            return Piece::Directive {
                start,
                end,
                plain: Some(from..end),
            };
        }
        line.clear();
        self.at = from;
        self.clean(line);
        Piece::Directive {
            start,
            end: self.at,
            plain: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directives of `src`, cleaned.
    fn check(src: &str, expected: &[&str]) {
        let dialect = Dialect {
            raw_strings: true,
            digit_separators: true,
            line_comments: true,
            cplusplus: true,
            digraphs: true,
            ..Dialect::default()
        };
        let mut scanner = Scanner::new(src.as_bytes(), dialect);
        let mut line = Vec::new();
        let mut got = Vec::new();
        while let Some(piece) = scanner.next(&mut line) {
            if let Piece::Directive { plain, .. } = piece {
                let text = plain.map_or(line.clone(), |range| src.as_bytes()[range].to_vec());
                got.push(String::from_utf8_lossy(&text).into_owned());
            }
        }
        assert_eq!(got, expected, "{}", &src[..src.len().min(80)]);
    }

    /// A piece: whether it is a directive, where it stands, and its text.
    type Said = (bool, Range<usize>, Vec<u8>);

    /// All pieces of `src`, and its raw strings: all, and those that hide something.
    fn pieces(src: &[u8], is_searched: bool) -> (Vec<Said>, [Vec<usize>; 2]) {
        let dialect = Dialect {
            line_comments: true,
            digit_separators: true,
            raw_strings: true,
            ..Dialect::default()
        };
        let mut scanner = Scanner::new(src, dialect);
        scanner.searchable = is_searched;
        let mut line = Vec::new();
        let mut pieces = Vec::new();
        while let Some(piece) = scanner.next(&mut line) {
            pieces.push(match piece {
                Piece::Text(range) => (false, range, Vec::new()),
                Piece::Directive { start, end, plain } => {
                    let text = plain.map_or(line.clone(), |range| src[range].to_vec());
                    (true, start..end, text)
                }
            });
        }
        (pieces, [scanner.raw_strings, scanner.hidden])
    }

    #[test]
    fn searching_text_finds_what_reading_it_finds() {
        const WORDS: [&str; 20] = [
            "\n", "\n", "\n#d", "#", "/*", "*/", "//", "/", "\"", "'", "\\", "\\\n", "\\ \n", " ",
            "x", "1'0", "R\"(", ")\"", "R", "\n#endif",
        ];
        let mut state = 1_u64;
        for _ in 0..50_000 {
            let mut src = String::new();
            for _ in 0..24 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                src += WORDS[usize::try_from(state >> 33).unwrap_or(0) % WORDS.len()];
            }
            assert_eq!(
                pieces(src.as_bytes(), true),
                pieces(src.as_bytes(), false),
                "{src:?}"
            );
        }
    }

    #[test]
    fn finds_directives_behind_comments_and_splices() {
        check(
            "/* x\n*/ # /* y */ define A\\\n B\nint x; # no\n  %:undef A",
            &["   define A B", "undef A"],
        );
        check("// c \\\n#not\n#yes // end\n", &["yes  "]);
        check("/\\\n* #no\n *\\\n/ #yes", &["yes"]);
    }

    #[test]
    fn reads_long_logical_lines_once() {
        // Going back to the line's start at each stop would take hours.
        let end = "x\n#yes\n";
        check(&("x # \\\n".repeat(2_000_000) + end), &["yes"]);
        let blanks = " ".repeat(2_000_000);
        let stops = "# / ".repeat(2_000_000);
        check(&format!("x\n{blanks}x{stops}{end}"), &["yes"]);
    }

    #[test]
    fn strings_hide_what_is_in_them() {
        check("a = \"/*\";\n#yes\n", &["yes"]);
        check("don't /*\n#yes\n", &["yes"]);
        check("R\"x(\n#no\n)\" )x\"\n#yes\n", &["yes"]);
        check("\"a\"R\"x(\n#yes\n", &["yes"]);
        check("auto n = 1'000'000; /*'*/\n#yes\n", &["yes"]);
        check("char q = '\"'; \n#yes \"/*\"\n", &["yes \"/*\""]);
        check("\"a\\\n#no\n#yes", &["yes"]);
    }

    #[test]
    fn finds_raw_strings_that_a_skipped_group_depends_on() {
        let dialect = Dialect {
            raw_strings: true,
            line_comments: true,
            ..Dialect::default()
        };
        for (src, hidden) in [
            ("R\"(\n#version 330\n #define x\n)\";\n#endif\n", false),
            ("R\"(\n#version 330\n # endif\n)\";\n", true),
            ("R\"(\n/*\n)\";\n#endif\n", true),
            ("R\"(\n/* */ don't\n)\";\n#endif\n", false),
            ("R\"x(\")x\" /*\n#endif\n*/;\n", true),
        ] {
            let mut scanner = Scanner::new(src.as_bytes(), dialect);
            while scanner.next(&mut Vec::new()).is_some() {}
            assert_eq!(!scanner.hidden.is_empty(), hidden, "{src}");
        }
    }

    #[test]
    fn header_names_hold_slashes() {
        check(
            "#include <a//b> // c\n#if __has_include(<a/*b>)\n",
            &["include <a//b>  ", "if __has_include(<a/*b>)"],
        );
    }
}
