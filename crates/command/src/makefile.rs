//! Dependency files: the makefile rules that compilers write.
//!
//! How gcc 12.2 and clang 14.0.6 write a name (`tests/compilers.rs` asks them again):
//!
//! | in the name | gcc, and targets of both | clang |
//! |---|---|---|
//! | space | `\ `, and each backslash in front of it doubled | `\ ` |
//! | tab | as a space | as it is |
//! | `#` | `\#`, and no backslash doubled | `\#` |
//! | `$` | `$$` | `$$` |
//! | backslash elsewhere | as it is | `/` (wherever it stands: a bug of clang's) |
//! | newline, `:`, `%`, `*`, `;`, quotes, bytes beyond ASCII | as they are | as they are |
//!
//! Both leave out a leading `./`. Names stand apart by a space; a long rule goes on behind a
//! space, a backslash and a newline, with one space (gcc) or two (clang) before the next name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// `name` as gcc writes it into a rule: blanks, tabs and `#` behind a backslash (and the
/// backslashes in front of a blank doubled), `$` doubled.
#[must_use]
pub fn quote(name: &OsStr) -> OsString {
    let mut quoted = Vec::with_capacity(name.len() + 8);
    let mut backslashes = 0;
    for &byte in name.as_bytes() {
        match byte {
            b' ' | b'\t' => quoted.extend(std::iter::repeat_n(b'\\', backslashes + 1)),
            b'#' => quoted.push(b'\\'),
            b'$' => quoted.push(b'$'),
            _ => {}
        }
        backslashes = if byte == b'\\' { backslashes + 1 } else { 0 };
        quoted.push(byte);
    }
    OsString::from_vec(quoted)
}

/// `name` as clang writes it into a rule as a prerequisite.
pub(crate) fn quote_as_clang(name: &OsStr) -> OsString {
    let mut quoted = Vec::with_capacity(name.len() + 8);
    for &byte in name.as_bytes() {
        match byte {
            b'\\' => quoted.push(b'/'),
            b' ' | b'#' => quoted.extend([b'\\', byte]),
            b'$' => quoted.extend(b"$$"),
            _ => quoted.push(byte),
        }
    }
    OsString::from_vec(quoted)
}

/// The prerequisites of the rule in `text`, unquoted: `main` first, the others in order. The
/// targets are left out.
///
/// `main` is the source file as the command names it; it may hold bytes that rules cannot
/// express (a newline).
///
/// `None` if `text` is not one whole rule with `main` among its prerequisites. So it is if a
/// header's name holds a newline, and if there are further rules (those of `-MP`, which could be
/// the rest of such a name): the list is never shorter than what the compiler wrote. A header's
/// name that ends in a backslash, or holds one if clang writes the rule, gives a name that is
/// not the header's: callers check that all of them exist.
#[must_use]
pub fn prerequisites(text: &[u8], main: &OsStr) -> Option<Vec<OsString>> {
    let mains = [quote(main), quote_as_clang(main)];
    let mains = mains
        .each_ref()
        .map(|name| without_dot_slash(name.as_bytes()));
    let mut rest = &text[end_of_targets(text)?..];
    let mut found = vec![main.to_owned()];
    let mut main_found = false;
    loop {
        rest = skip_separators(rest);
        match rest {
            // The rule ends, and the text with it.
            b"\n" => return main_found.then_some(found),
            [] | [b'\n', ..] => return None,
            _ => {}
        }
        if let Some(length) = mains.iter().find_map(|main| length_as_word(rest, main)) {
            main_found = true;
            rest = &rest[length..];
            continue;
        }
        let (name, length) = unquote_word(rest);
        found.push(OsString::from_vec(name));
        rest = &rest[length..];
    }
}

/// Where the first colon in front of a space stands, plus one: both compilers write one, and
/// neither leaves a space in a name alone.
fn end_of_targets(text: &[u8]) -> Option<usize> {
    text.windows(2)
        .position(|pair| pair == b": ")
        .map(|colon| colon + 1)
}

/// What both compilers leave of a name that starts with `./`.
fn without_dot_slash(mut name: &[u8]) -> &[u8] {
    while let Some(rest) = name.strip_prefix(b"./") {
        let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
        name = &rest[slashes..];
    }
    name
}

/// `text` behind the spaces and broken lines that it starts with.
pub(crate) fn skip_separators(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b' ', rest @ ..] => rest,
            // Without the space it is a name that starts with a backslash and a newline.
            [b'\\', b'\n', b' ', rest @ ..] => rest,
            _ => return text,
        }
    }
}

/// The length of `name` if `text` starts with it and it ends there.
fn length_as_word(text: &[u8], name: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(name)?;
    matches!(rest.first(), Some(b' ' | b'\n')).then_some(name.len())
}

/// The name that `text` starts with, unquoted, and how many bytes it takes.
pub(crate) fn unquote_word(text: &[u8]) -> (Vec<u8>, usize) {
    let mut name = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b' ' | b'\n' => break,
            b'$' => {
                name.push(b'$');
                at += if text.get(at + 1) == Some(&b'$') {
                    2
                } else {
                    1
                };
            }
            b'\\' => {
                let run = text[at..].iter().take_while(|&&byte| byte == b'\\').count();
                at += run;
                let next = text.get(at).copied();
                let (kept, escapes_next) = match next {
                    Some(b' ' | b'\t') if run % 2 == 1 => (run / 2, true),
                    Some(b'#') => (run - 1, true),
                    // No compiler goes on to the next line without a space before.
                    Some(b'\n') => (run, true),
                    _ => (run, false),
                };
                name.extend(std::iter::repeat_n(b'\\', kept));
                if let (true, Some(next)) = (escapes_next, next) {
                    name.push(next);
                    at += 1;
                }
            }
            _ => {
                name.push(byte);
                at += 1;
            }
        }
    }
    (name, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, main: &str, expected: Option<&[&str]>) {
        let found = prerequisites(text.as_bytes(), OsStr::new(main));
        let expected = expected.map(|names| names.iter().map(OsString::from).collect());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn reads_a_rule() {
        check("a.o: a.c b.h\n", "a.c", Some(&["a.c", "b.h"]));
        check(
            "a.o: a.c \\\n b.h c.h\n",
            "a.c",
            Some(&["a.c", "b.h", "c.h"]),
        );
        check("a.o: \\\n  a.c \\\n  b.h\n", "a.c", Some(&["a.c", "b.h"]));
        check("x y\\ z: w a.c\n", "a.c", Some(&["a.c", "w"]));
        check("a.o: src/a.c\n", ".//./src/a.c", Some(&[".//./src/a.c"]));
    }

    #[test]
    fn unquotes_names() {
        let list = r"o: a.c x\ y p\#q d$$e back\slash \\\#z m\\\ n c:d t\	u";
        let names = [
            "a.c",
            "x y",
            "p#q",
            "d$e",
            "back\\slash",
            r"\\#z",
            r"m\ n",
            "c:d",
            "t\tu",
        ];
        check(&format!("{list}\n"), "a.c", Some(&names));
        check("o: a.c x\ty\n", "a.c", Some(&["a.c", "x\ty"]));
        check("o: a.c x\\\ny\n", "a.c", Some(&["a.c", "x\\\ny"]));
    }

    #[test]
    fn finds_a_source_that_rules_cannot_express() {
        check("o: x\ny.c b.h\n", "x\ny.c", Some(&["x\ny.c", "b.h"]));
        check("o: x\\\ny.c\n", "x\\\ny.c", Some(&["x\\\ny.c"]));
        check("o: x/y.c\n", "x\\y.c", Some(&["x\\y.c"]));
        check("o: x\ty.c\n", "x\ty.c", Some(&["x\ty.c"]));
        check("o: x\\ b.h\n", "x\\", Some(&["x\\", "b.h"]));
    }

    #[test]
    fn never_gives_a_shorter_list() {
        // A header named "x\ny.h", one named "x\nb:", one named "x\n".
        check("o: a.c x\ny.h\n", "a.c", None);
        check("o: a.c b x\nb:\n", "a.c", None);
        check("o: a.c x\n\n", "a.c", None);
        // Headers named "\\\nb" and "b\\", which are no end of line and no quoted space.
        check("o: a.c \\\nb\n", "a.c", Some(&["a.c", "\\\nb"]));
        check("o: a.c b\\ \\\n c\n", "a.c", Some(&["a.c", "b \\\n", "c"]));
    }

    #[test]
    fn refuses_what_is_no_whole_rule() {
        check("", "a.c", None);
        check("a.o:\n", "a.c", None);
        check("a.o: b.c\n", "a.c", None);
        check("a.o: a.c b.", "a.c", None);
        check("a.o: a.cc\n", "a.c", None);
        check("a.o a.c\n", "a.c", None);
    }

    #[test]
    fn quotes_as_gcc_does() {
        for (name, expected) in [
            ("x y", r"x\ y"),
            ("x\ty", "x\\\ty"),
            (r"x\ y", r"x\\\ y"),
            (r"x\\ y", r"x\\\\\ y"),
            (r"x\#y", r"x\\#y"),
            ("x$$y", "x$$$$y"),
            ("x:y%*;'\"", "x:y%*;'\""),
            (r"x\", r"x\"),
        ] {
            assert_eq!(quote(OsStr::new(name)), expected);
        }
    }

    /// Names full of the characters that matter, but for the two that no rule expresses.
    fn name() -> impl Strategy<Value = OsString> {
        let byte = prop_oneof![
            3 => Just(b'x'),
            4 => prop::sample::select(&b"\\ \t#$:%/."[..]),
            1 => any::<u8>().prop_filter("names hold no NUL or newline", |byte| ![0, 10].contains(byte)),
        ];
        prop::collection::vec(byte, 1..8).prop_filter_map("a plain name", |mut bytes| {
            bytes.insert(0, b'n');
            (bytes.last() != Some(&b'\\')).then(|| OsString::from_vec(bytes))
        })
    }

    proptest! {
        #[test]
        fn reads_what_it_quotes(names in prop::collection::vec(name(), 0..6)) {
            let mut text = b"o: main.c".to_vec();
            for (index, name) in names.iter().enumerate() {
                text.extend(if index % 2 == 0 { &b" "[..] } else { b" \\\n " });
                text.extend(quote(name).as_bytes());
            }
            text.push(b'\n');
            let mut expected = vec![OsString::from("main.c")];
            expected.extend(names);
            prop_assert_eq!(prerequisites(&text, OsStr::new("main.c")), Some(expected));
        }

        #[test]
        fn survives_any_text(text: Vec<u8>, main: Vec<u8>) {
            let main = OsStr::from_bytes(&main);
            if let Some(found) = prerequisites(&text, main) {
                prop_assert_eq!(&found[0], main);
            }
        }
    }
}
