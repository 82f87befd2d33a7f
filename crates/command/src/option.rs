//! Which words of a command are options, and which are the values of the option before.
//!
//! gcc and clang share most of their options, and where one of them lacks an option the other's
//! reading does no harm. So there is one table for both.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// Options whose value is the next word when they stand alone. Sorted.
///
/// Linker options are here as far as they are seen in compile commands.
const TAKE_NEXT: &[&[u8]] = &[
    b"--assert",
    b"--config",
    b"--define-macro",
    b"--dumpbase",
    b"--dumpbase-ext",
    b"--dumpdir",
    b"--for-assembler",
    b"--for-linker",
    b"--imacros",
    b"--include",
    b"--include-directory",
    b"--include-directory-after",
    b"--include-prefix",
    b"--include-with-prefix",
    b"--include-with-prefix-after",
    b"--include-with-prefix-before",
    b"--language",
    b"--library-directory",
    b"--output",
    b"--param",
    b"--prefix",
    b"--serialize-diagnostics",
    b"--specs",
    b"--std",
    b"--sysroot",
    b"--undefine-macro",
    b"-A",
    b"-B",
    b"-D",
    b"-F",
    b"-I",
    b"-L",
    b"-MF",
    b"-MJ",
    b"-MQ",
    b"-MT",
    b"-T",
    b"-U",
    b"-Xanalyzer",
    b"-Xarch_device",
    b"-Xarch_host",
    b"-Xassembler",
    b"-Xclang",
    b"-Xcuda-fatbinary",
    b"-Xcuda-ptxas",
    b"-Xlinker",
    b"-Xopenmp-target",
    b"-Xpreprocessor",
    b"-arch",
    b"-aux-info",
    b"-c-isystem",
    b"-ccc-gcc-name",
    b"-ccc-install-dir",
    b"-cxx-isystem",
    b"-dependency-dot",
    b"-dumpbase",
    b"-dumpbase-ext",
    b"-dumpdir",
    b"-e",
    b"-framework",
    b"-gcc-toolchain",
    b"-gen-cdb-fragment-path",
    b"-idirafter",
    b"-iframework",
    b"-iframeworkwithsysroot",
    b"-imacros",
    b"-imultilib",
    b"-include",
    b"-include-pch",
    b"-index-store-path",
    b"-index-unit-output-path",
    b"-iprefix",
    b"-iquote",
    b"-isysroot",
    b"-isystem",
    b"-isystem-after",
    b"-ivfsoverlay",
    b"-iwithprefix",
    b"-iwithprefixbefore",
    b"-iwithsysroot",
    b"-l",
    b"-mllvm",
    b"-module-dependency-dir",
    b"-o",
    b"-objc-isystem",
    b"-objcxx-isystem",
    b"-rpath",
    b"-serialize-diagnostics",
    b"-specs",
    b"-stdlib++-isystem",
    b"-target",
    b"-u",
    b"-working-directory",
    b"-wrapper",
    b"-x",
    b"-z",
];

/// Whether the word after `word` is its value.
pub(crate) fn takes_next(word: &[u8]) -> bool {
    TAKE_NEXT.binary_search(&word).is_ok()
}

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
    fn the_table_is_sorted() {
        assert!(TAKE_NEXT.is_sorted());
    }

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
