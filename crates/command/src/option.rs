//! Which words of a command are options, and which are the values of the option before.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::options::takes_next;

/// For each word, whether it is the value of the option before it.
pub(crate) fn values(argv: &[OsString]) -> Vec<bool> {
    let mut after_option = false;
    argv.iter()
        .enumerate()
        .map(|(index, word)| {
            let is_value = after_option;
            after_option = !is_value && index > 0 && takes_next(word.as_bytes());
            is_value
        })
        .collect()
}

/// Where options end: at a `--`, behind which clang reads only file names, or at the end.
pub(crate) fn end(argv: &[OsString]) -> usize {
    let is_value = values(argv);
    (1..argv.len())
        .find(|&index| argv[index] == "--" && !is_value[index])
        .unwrap_or(argv.len())
}

/// Where options stand: up to a `--`, without their values.
pub(crate) fn options_of(argv: &[OsString]) -> impl Iterator<Item = usize> {
    let is_value = values(argv);
    (1..end(argv)).filter(move |&index| {
        let word = argv[index].as_bytes();
        !is_value[index] && word.len() > 1 && word[0] == b'-'
    })
}

/// The last value of an option that takes it in the same word or the next.
pub(crate) fn last_value<'a>(argv: &'a [OsString], option: &[u8]) -> Option<&'a [u8]> {
    let all: Vec<usize> = options_of(argv).collect();
    all.into_iter().rev().find_map(|index| {
        let rest = argv[index].as_bytes().strip_prefix(option)?;
        match rest {
            [] => argv.get(index + 1).map(|next| next.as_bytes()),
            rest => Some(rest),
        }
    })
}

/// Adds options behind those that are there.
pub(crate) fn append<I>(argv: &mut Vec<OsString>, words: I)
where
    I: IntoIterator,
    I::Item: Into<OsString>,
{
    let end = end(argv);
    argv.splice(end..end, words.into_iter().map(Into::into));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_no_option() {
        let argv = ["-o", "-D", "-o", "-c", "-MF", "-MF", "-MFx", "x", "-l"].map(OsString::from);
        assert_eq!(
            values(&argv),
            [false, false, true, false, false, true, false, false, false]
        );
    }

    #[test]
    fn appends_before_the_end_of_options() {
        for (words, expected) in [
            (vec!["cc", "-c"], vec!["cc", "-c", "-w"]),
            (vec!["cc", "--", "a.c"], vec!["cc", "-w", "--", "a.c"]),
            (
                vec!["cc", "-D", "--", "a"],
                vec!["cc", "-D", "--", "a", "-w"],
            ),
        ] {
            let mut argv: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            append(&mut argv, ["-w"]);
            assert_eq!(argv, expected);
        }
    }
}
