//! The words of a command line: `@file`s are read, and long spellings written as the short ones.

use crate::refusal::Refusal;
use crate::tree::join;

/// `@file`s in one command line beyond this are taken for a circle.
const MAX_FILES: usize = 2000;

/// Long options, `--name value` or `--name=value`, and the short ones that mean the same. Where a name begins
/// another it stands behind it.
const LONG: &[(&[u8], &[u8])] = &[
    (b"--include-directory-after", b"-idirafter"),
    (b"--include-directory", b"-I"),
    (b"--include-prefix", b"-iprefix"),
    (b"--include-with-prefix-after", b"-iwithprefix"),
    (b"--include-with-prefix-before", b"-iwithprefixbefore"),
    (b"--include-with-prefix", b"-iwithprefix"),
    (b"--include", b"-include"),
    (b"--imacros", b"-imacros"),
    (b"--define-macro", b"-D"),
    (b"--undefine-macro", b"-U"),
    (b"--language", b"-x"),
    (b"--assert", b"-A"),
    (b"--output", b"-o"),
    (b"--sysroot", b"--sysroot"),
];

/// All words after the compiler. `read` reads an `@file`; one that cannot be read is a word like others.
pub(crate) fn words(
    arguments: Vec<Vec<u8>>,
    cwd: &[u8],
    read: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut words = Vec::with_capacity(arguments.len());
    let mut files = 0;
    expand(arguments, cwd, read, &mut files, &mut words)?;
    Ok(words.into_iter().flat_map(shortened).collect())
}

fn expand(
    arguments: Vec<Vec<u8>>,
    cwd: &[u8],
    read: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    files: &mut usize,
    words: &mut Vec<Vec<u8>>,
) -> Result<(), Refusal> {
    for argument in arguments {
        let Some(file) = argument.strip_prefix(b"@").filter(|f| !f.is_empty()) else {
            words.push(argument);
            continue;
        };
        *files += 1;
        if *files > MAX_FILES {
            return Err(Refusal::Command("too many @files".into()));
        }
        let path = if file.starts_with(b"/") {
            file.to_vec()
        } else {
            join(cwd, file)
        };
        match read(&path) {
            Some(text) => expand(split_words(&text), cwd, read, files, words)?,
            None => words.push(argument),
        }
    }
    Ok(())
}

/// A long option as the short one, with its value apart.
fn shortened(word: Vec<u8>) -> Vec<Vec<u8>> {
    if !word.starts_with(b"--") {
        return vec![word];
    }
    for (long, short) in LONG {
        match word.strip_prefix(*long) {
            Some(b"") => return vec![short.to_vec()],
            Some([b'=', value @ ..]) => return vec![short.to_vec(), value.to_vec()],
            _ => {}
        }
    }
    vec![word]
}

/// The words of an `@file`: blanks separate, quotes and backslashes protect.
pub(crate) fn split_words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', _) => word.get_or_insert_default().extend(bytes.next()),
            (b, Some(q)) if b == q => quote = None,
            (b, Some(_)) => word.get_or_insert_default().push(b),
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (b, None) if b.is_ascii_whitespace() || b == 0x0b => words.extend(word.take()),
            (b, None) => word.get_or_insert_default().push(b),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arguments: &[&str], expected: &[&str]) {
        let arguments = arguments.iter().map(|a| a.as_bytes().to_vec()).collect();
        let read = |path: &[u8]| match path {
            b"/w/one" => Some(b"-DX='a b' \"-I sp\"\n@/two".to_vec()),
            b"/two" => Some(b"-I\\ y ''".to_vec()),
            b"/circle" => Some(b"@/circle".to_vec()),
            _ => None,
        };
        let got = words(arguments, b"/w", &read).map(|words| {
            words
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
        });
        match got {
            Ok(got) => assert_eq!(got, expected),
            Err(refusal) => assert_eq!(expected, [refusal.to_string()]),
        }
    }

    #[test]
    fn files_of_words_may_name_others() {
        check(&["@one", "x"], &["-DX=a b", "-I sp", "-I y", "", "x"]);
        check(&["@none", "@"], &["@none", "@"]);
        check(&["@/circle"], &["too many @files"]);
    }

    #[test]
    fn long_spellings_become_short_ones() {
        check(
            &[
                "--include-directory=a",
                "--include-directory",
                "b",
                "--include=c",
            ],
            &["-I", "a", "-I", "b", "-include", "c"],
        );
        check(
            &["--include-barrier", "--includes"],
            &["--include-barrier", "--includes"],
        );
    }
}
