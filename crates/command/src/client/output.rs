//! What does a compiler do with that which stands where its output goes?
//!
//! Found by running gcc 12.2 (with GNU as 2.40) and clang 14.0.6: their kinds of links, empty files, files that
//! may not be written and files with a second name are treated in three ways.

use std::ffi::OsString;

use super::local_option::calls_clang;
use crate::option;

/// How an output comes to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// GNU as: what has content makes room for a new file, a link to such included. What is empty, and a link to nothing,
    /// is opened and written to.
    Assembler,
    /// Opened and emptied, whatever it is: gcc's `-S`, and all files beside the object.
    InPlace,
    /// clang: a new file in the place of a file or link, if what stands there could be written to.
    Renamed,
}

impl Manner {
    /// Of the object, or assembler file, that a command makes.
    #[must_use]
    pub fn of(argv: &[OsString]) -> Self {
        let to_assembler = option::options_of(argv).any(|index| argv[index] == "-S");
        let calls_assembler = || {
            let wish = |&index: &usize| match argv[index].to_str()? {
                "-fno-integrated-as" | "-no-integrated-as" => Some(true),
                "-fintegrated-as" | "-integrated-as" => Some(false),
                _ => None,
            };
            let all: Vec<_> = option::options_of(argv).collect();
            all.iter().rev().find_map(wish) == Some(true)
        };
        match calls_clang(argv) {
            true if to_assembler || !calls_assembler() => Self::Renamed,
            false if to_assembler => Self::InPlace,
            _ => Self::Assembler,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    #[test]
    fn who_writes_an_output_is_up_to_compiler_and_options() {
        for (command, expected) in [
            ("gcc -c a.c", Manner::Assembler),
            ("gcc -S -c a.c", Manner::InPlace),
            ("gcc -o -S -c a.c", Manner::Assembler),
            ("clang -c a.c", Manner::Renamed),
            ("ccache clang++-14 -S a.c", Manner::Renamed),
            ("clang -fno-integrated-as -c a.c", Manner::Assembler),
            ("clang -fno-integrated-as -S a.c", Manner::Renamed),
            (
                "clang -no-integrated-as -c a.c -integrated-as",
                Manner::Renamed,
            ),
        ] {
            assert_eq!(Manner::of(&argv(command)), expected, "{command}");
        }
    }
}
