//! Response files: `@FILE` in a command stands for the words in FILE.
//!
//! The rules are those of GNU programs: words between white space, quotes of either kind, a
//! backslash in front of any byte takes it as it is, even within quotes; files may name further
//! files. A word whose file cannot be read stays as it is.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How many files one command may name, over all. A file that names itself ends here.
const MAX_FILES: u32 = 2000;

/// Replaces each word that names a response file. `read` gives a file's content.
pub(crate) fn expand(
    words: Vec<OsString>,
    mut read: impl FnMut(&OsStr) -> Option<Vec<u8>>,
) -> Vec<OsString> {
    if !words.iter().any(|word| file_named_by(word).is_some()) {
        return words;
    }
    let mut files = 0;
    let mut out = Vec::with_capacity(words.len());
    // What is still to do, the next word last.
    let mut todo: Vec<OsString> = words.into_iter().rev().collect();
    while let Some(word) = todo.pop() {
        let content = file_named_by(&word)
            .filter(|_| files < MAX_FILES)
            .and_then(&mut read);
        match content {
            Some(content) => {
                files += 1;
                todo.extend(split(&content).into_iter().rev());
            }
            None => out.push(word),
        }
    }
    out
}

fn file_named_by(word: &OsStr) -> Option<&OsStr> {
    word.as_bytes().strip_prefix(b"@").map(OsStr::from_bytes)
}

/// The words of a response file.
fn split(content: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = content.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => word.get_or_insert_default().extend(bytes.next()),
            _ if quote == Some(byte) => quote = None,
            b'\'' | b'"' if quote.is_none() => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            _ if quote.is_none() && is_blank(byte) => words.extend(word.take()),
            _ => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// The words of a value that knows no quotes.
pub(crate) fn blank_separated(value: &OsStr) -> Vec<OsString> {
    value
        .as_bytes()
        .split(|&byte| is_blank(byte))
        .filter(|word| !word.is_empty())
        .map(|word| OsStr::from_bytes(word).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, expected: &[&str]) {
        assert_eq!(split(content.as_bytes()), expected, "{content}");
    }

    #[test]
    fn words_stand_between_white_space() {
        check("", &[]);
        check(" \n\t", &[]);
        check("-c  a.c\n-o\ta.o\n", &["-c", "a.c", "-o", "a.o"]);
    }

    #[test]
    fn quotes_keep_blanks_and_each_other() {
        check(r#"'a b' "c d""#, &["a b", "c d"]);
        check(r#"-DX='"y"'"#, &[r#"-DX="y""#]);
        check(r#""it's""#, &["it's"]);
        check("'' x", &["", "x"]);
        check("'open", &["open"]);
    }

    #[test]
    fn a_backslash_takes_the_next_byte_as_it_is() {
        check(r"a\ b", &["a b"]);
        check(r#""a\"b""#, &[r#"a"b"#]);
        check(r"'a\'b'", &["a'b"]);
        check(r"C:\\x", &[r"C:\x"]);
        check("end\\", &["end"]);
    }

    fn expand_with(words: &[&str], files: &[(&str, &str)]) -> Vec<OsString> {
        let words = words.iter().map(OsString::from).collect();
        expand(words, |name| {
            let found = files.iter().find(|(file, _)| *file == name)?;
            Some(found.1.as_bytes().to_vec())
        })
    }

    #[test]
    fn files_may_name_files() {
        let files = [("a", "1 @b 4"), ("b", "2 3")];
        assert_eq!(
            expand_with(&["0", "@a", "5"], &files),
            ["0", "1", "2", "3", "4", "5"]
        );
    }

    #[test]
    fn words_without_a_readable_file_stay() {
        assert_eq!(
            expand_with(&["@nowhere", "@", "x"], &[]),
            ["@nowhere", "@", "x"]
        );
    }

    #[test]
    fn a_file_that_names_itself_comes_to_an_end() {
        let words = expand_with(&["@a"], &[("a", "x @a")]);
        assert_eq!(words.len(), MAX_FILES as usize + 1);
    }
}
