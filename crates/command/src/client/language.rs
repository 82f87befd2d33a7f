//! Which language does the compiler take the source for?
//!
//! The one of the last `-x` in front of it, or else the one that its name says; behind it `-x` has no effect, and compilers
//! warn of it. A name does not count where there is a `-x`: `-x c` has gcc preprocess an `a.i` once more.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::local_option::calls_clang;
use crate::{Compile, extension, option};

impl Compile {
    /// Whether the source is preprocessed already, and nothing is left to be preprocessed.
    #[must_use]
    pub fn input_is_preprocessed(&self) -> bool {
        match self.language() {
            Some(language) => language.ends_with(b"cpp-output"),
            None => self.input_is_named_preprocessed(),
        }
    }

    /// Whether its name says so: then pump mode is not for it, whatever the compiler does.
    #[must_use]
    pub fn input_is_named_preprocessed(&self) -> bool {
        extension::source(self.input()).is_some_and(|source| source.preprocessed)
    }

    /// The language that options say.
    fn language(&self) -> Option<&[u8]> {
        let options = option::options_of(&self.argv).take_while(|&index| index < self.input);
        let said = options.filter_map(|index| match self.argv[index].as_bytes() {
            b"-x" => Some(self.argv.get(index + 1)?.as_bytes()),
            word => word.strip_prefix(b"-x"),
        });
        said.last().filter(|&language| language != b"none")
    }

    /// The words of the command with the language said as it has to be for text of another name: without what is said too
    /// late, of which the preprocessor has warned, and with what `clang++` makes of a source of C.
    pub(super) fn words_for_text(&self) -> Vec<OsString> {
        let mut words = self.argv.clone();
        let late: Vec<_> = option::options_of(&words)
            .filter(|&index| index > self.input)
            .collect();
        for index in late.into_iter().rev() {
            let length = match words[index].as_bytes() {
                b"-x" => 2,
                word if is_glued(word) => 1,
                _ => continue,
            };
            words.drain(index..words.len().min(index + length));
        }
        let name = self.input().as_bytes();
        if is_clang_for_cxx(&words) && self.language().is_none() && name.ends_with(b".c") {
            let at = self.input.min(option::end(&words));
            words.splice(at..at, ["-x".into(), "c++".into()]);
        }
        words
    }
}

fn is_glued(word: &[u8]) -> bool {
    word.strip_prefix(b"-x").is_some_and(extension::is_language)
}

/// It takes C for C++, and warns of it.
fn is_clang_for_cxx(argv: &[OsString]) -> bool {
    let names = argv
        .iter()
        .take_while(|word| !word.as_bytes().starts_with(b"-"));
    let mut names = names.map(|word| extension::basename(word.as_bytes()));
    calls_clang(argv) && names.any(|name| name.windows(7).any(|part| part == b"clang++"))
}

#[cfg(test)]
mod tests {
    use crate::testing::{argv, compile};

    #[test]
    fn a_said_language_counts_for_more_than_a_name() {
        let is_preprocessed = |command: &str| compile(command).input_is_preprocessed();
        for command in [
            "cc -c a.ii",
            "cc -x c++-cpp-output -c a.i",
            "cc -x c -x cpp-output -c a.i",
            "cc -c a.i -x c",
            "cc -c -MT -MD a.i -o x",
        ] {
            assert!(is_preprocessed(command), "{command}");
        }
        for command in ["cc -c a.cc", "cc -x c -c a.i", "cc -x c++ -c a.ii"] {
            assert!(!is_preprocessed(command), "{command}");
        }
        assert!(compile("cc -x c -c a.i").input_is_named_preprocessed());
    }

    #[test]
    fn text_has_the_language_of_its_source() {
        for (command, expected) in [
            ("gcc -c a.c -o b -x c", "gcc -c a.c -o b"),
            (
                "gcc -x c++ -c a.c -x c -o b",
                "gcc -x c++-cpp-output -c a.c -o b",
            ),
            (
                "clang++ -O2 -c a.c -o b",
                "clang++ -O2 -c -x c++-cpp-output a.c -o b",
            ),
            (
                "ccache clang++-14 -c -o b -- a.c",
                "ccache clang++-14 -c -o b -x c++-cpp-output -- a.c",
            ),
            (
                "clang++ -x c -c a.c -o b",
                "clang++ -x cpp-output -c a.c -o b",
            ),
            ("clang++ -c a.cc -o b", "clang++ -c a.cc -o b"),
            ("clang++ -c a.i -o b", "clang++ -c a.i -o b"),
            ("g++ -c a.c -o b", "g++ -c a.c -o b"),
        ] {
            let sent = compile(command).stripped_command();
            assert_eq!(sent, argv(expected), "{command}");
        }
    }
}
