//! A server's dependency file as the client expects it.
//!
//! Byte for byte what a local compile writes, not just without the scratch folder: compilers
//! break long rules by the length of the names, so a rule is laid out anew. The two layouts were
//! found by comparing some hundred rules of gcc 12.2 and clang 14.0.6, and nothing relies on
//! them: if laying out the names *with* the folder does not give the very text that the compiler
//! wrote, its line breaks stay.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::makefile::{quote, quote_as_clang, skip_separators, unquote_word};

/// A dependency file as the server's compiler wrote it, as the client expects it: every path
/// below `root` without `root`. Targets need nothing, see [`crate::Compile::tree_command`].
///
/// `root` within a name, and not at its start, stays.
#[must_use]
pub fn client_dependencies(deps: &[u8], root: &OsStr) -> Vec<u8> {
    let roots = [root.to_owned(), quote(root), quote_as_clang(root)];
    let (words, tail) = words(deps);
    let without_root: Vec<Word<'_>> = words
        .iter()
        .map(|word| Word {
            text: below(word.text, &roots.each_ref().map(|root| root.as_bytes())),
            ..*word
        })
        .collect();
    if without_root == words {
        return deps.to_vec();
    }
    for compiler in [Layout::Gcc, Layout::Clang] {
        if compiler.write(&words, tail) == deps {
            return compiler.write(&without_root, tail);
        }
    }
    let gaps_and_texts = without_root.iter().flat_map(|word| [word.gap, word.text]);
    gaps_and_texts.chain([tail]).collect::<Vec<_>>().concat()
}

/// A name as it is written, and what separates it from the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word<'a> {
    gap: &'a [u8],
    text: &'a [u8],
}

/// The names of all rules, targets included, and what follows the last one.
fn words(text: &[u8]) -> (Vec<Word<'_>>, &[u8]) {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        let mut from_word = skip_separators(rest);
        while let [b'\n', next @ ..] = from_word {
            from_word = skip_separators(next);
        }
        let gap = &rest[..rest.len() - from_word.len()];
        if from_word.is_empty() {
            return (words, gap);
        }
        let (_, length) = unquote_word(from_word);
        let (text, next) = from_word.split_at(length);
        words.push(Word { gap, text });
        rest = next;
    }
}

/// `name` without the root that it starts with, if it does.
fn below<'a>(name: &'a [u8], roots: &[&[u8]]) -> &'a [u8] {
    let stripped = |root: &&[u8]| {
        name.strip_prefix(*root)
            .filter(|rest| rest.starts_with(b"/"))
    };
    roots.iter().find_map(stripped).unwrap_or(name)
}

/// How a compiler breaks lines: when a name would pass column 72.
#[derive(Clone, Copy)]
enum Layout {
    /// Counts the bytes as written. The next line starts with one space.
    Gcc,
    /// Counts the bytes of prerequisites without what quotes them. Two spaces.
    Clang,
}

impl Layout {
    fn write(self, words: &[Word<'_>], tail: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        let mut column = 0;
        let mut in_targets = true;
        for (index, word) in words.iter().enumerate() {
            let line_ends = line_ends(word.gap);
            let starts_line = line_ends > 0 || index == 0;
            in_targets |= starts_line;
            // The colon is written when the last target is, and counts only then.
            let colon = usize::from(in_targets && word.text.ends_with(b":"));
            let length = match self {
                Self::Clang if !in_targets => unquote_word(word.text).0.len(),
                Self::Clang | Self::Gcc => word.text.len() - colon,
            };
            if starts_line {
                text.extend(std::iter::repeat_n(b'\n', line_ends));
                column = 0;
            } else {
                if column + length > 72 {
                    let (line_break, indent): (&[u8], _) = match self {
                        Self::Gcc => (b" \\\n", 0),
                        Self::Clang => (b" \\\n ", 2),
                    };
                    text.extend(line_break);
                    column = indent;
                }
                text.push(b' ');
                column += 1;
            }
            text.extend(word.text);
            column += length + colon;
            in_targets &= colon == 0;
        }
        text.extend(tail);
        text
    }
}

/// How many newlines of a gap end a line.
fn line_ends(gap: &[u8]) -> usize {
    let ends = |&index: &usize| gap[index] == b'\n' && (index == 0 || gap[index - 1] != b'\\');
    (0..gap.len()).filter(ends).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(root: &str, deps: &str, expected: &str) {
        let found = client_dependencies(deps.as_bytes(), OsStr::new(root));
        assert_eq!(String::from_utf8_lossy(&found), expected);
    }

    #[test]
    fn paths_lose_the_root() {
        check(
            "/r",
            "a.o: a.c /r/x/b.h /usr/c.h\n",
            "a.o: a.c /x/b.h /usr/c.h\n",
        );
        check(
            "/r",
            "a.o: \\\n  a.c \\\n  /r/b.h\n",
            "a.o: \\\n  a.c \\\n  /b.h\n",
        );
        check("/r", "a.o: a.c /r/b.h\n/r/b.h:\n", "a.o: a.c /b.h\n/b.h:\n");
        check(
            "/r",
            "a.o: a.c /r/b.h\n\n/r/b.h:\n",
            "a.o: a.c /b.h\n\n/b.h:\n",
        );
        check("/r", "a.o:  /r/a.c", "a.o:  /a.c");
    }

    #[test]
    fn the_root_is_found_quoted() {
        check("/r $#", "o: /r\\ $$\\#/b.h\n", "o: /b.h\n");
        check("/r\t", "o: /r\\\t/b.h /r\t/c.h\n", "o: /b.h /c.h\n");
    }

    #[test]
    fn other_text_stays() {
        for text in [
            "o: a.c x/r/b.h /rr/c.h /r /x/r/d.h\n",
            "o: a\\ /r/b.h\n",
            "o: x:/r/b.h\n",
            "",
            "\n",
            " \\\n",
        ] {
            check("/r", text, text);
        }
    }

    #[test]
    fn lines_break_where_a_local_compile_breaks_them() {
        let root = format!("/{}", "r".repeat(30));
        let (long, other) = ("x".repeat(40), "y".repeat(20));
        check(
            &root,
            &format!("o: a.c \\\n {root}/{long} \\\n {root}/{other}\n{root}/{long}:\n"),
            &format!("o: a.c /{long} /{other}\n/{long}:\n"),
        );
        check(
            &root,
            &format!("o: a.c \\\n  {root}/{long} \\\n  {root}/{other}\n"),
            &format!("o: a.c /{long} /{other}\n"),
        );
        // Neither compiler writes this.
        check(
            &root,
            &format!("o: a.c \\\n    {root}/{long}\n"),
            &format!("o: a.c \\\n    /{long}\n"),
        );
    }

    proptest::proptest! {
        #[test]
        fn without_the_root_nothing_changes(text: Vec<u8>) {
            let root = OsStr::new("/no/such/root");
            proptest::prop_assert_eq!(client_dependencies(&text, root), text);
        }
    }
}
