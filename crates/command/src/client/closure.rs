//! The commands that make a compiler list the files a compile opens.
//!
//! What has to go: outputs and everything else that writes a file, all dependency options, and
//! the options for `-E` that keep text from being expanded (`-fdirectives-only`,
//! `-frewrite-includes`, `-dM`), since expansion can matter: `_Pragma("once")` in text. What is
//! added besides the obvious:
//!
//! * `-MT` with a word of our own: the default target is made from file names, which may hold
//!   anything.
//! * `-w`: a warning is no concern of a list, but `-Werror` would make one fail. clang warns of
//!   options that a preprocessor run has no use for.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::local_option::writer_length;
use crate::options::{self, Class};
use crate::{Compile, option};

impl Compile {
    /// The command that makes the compiler write the exact list of the files it opens to
    /// `deps`, as a makefile rule, and nothing else: `-E -MD -MF deps -o /dev/null` in place of
    /// the command's own outputs. (`-M` is not true to the compile: gcc expands no text under
    /// it, so `_Pragma("once")` and `_Pragma("push_macro")` in text have no effect there.)
    ///
    /// [`crate::makefile::prerequisites`] reads the rule.
    #[must_use]
    pub fn closure_command(&self, deps: &OsStr) -> Vec<OsString> {
        self.listing(&["-E", "-MD"], deps)
    }

    /// The same by `-M -MG`, which also lists headers that do not exist: for a compile whose
    /// [`Self::closure_command`] failed because of one.
    #[must_use]
    pub fn closure_command_with_missing(&self, deps: &OsStr) -> Vec<OsString> {
        self.listing(&["-M", "-MG"], deps)
    }

    fn listing(&self, mode: &[&str], deps: &OsStr) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::with_capacity(self.argv.len() + 9);
        words.push(self.argv[0].clone());
        let mut index = 1;
        while index < self.argv.len() {
            let word = &self.argv[index];
            let with_value = 1 + usize::from(options::takes_next(word.as_bytes()));
            let unwanted = match word.as_bytes() {
                _ if self.output_words().contains(&index) => 1,
                b"-c" | b"-S" | b"-fdirectives-only" => 1,
                bytes => match options::class(bytes) {
                    Some(Class::Dependencies) => with_value,
                    // What it says of `-P` is of no concern: it keeps the text as it is.
                    Some(Class::Printing) if bytes != b"-P" => 1,
                    _ => writer_length(&self.argv, index),
                },
            };
            if unwanted == 0 {
                let end = self.argv.len().min(index + with_value);
                words.extend_from_slice(&self.argv[index..end]);
                index = end;
            } else {
                index += unwanted;
            }
        }
        let mut added: Vec<&OsStr> = mode.iter().map(OsStr::new).collect();
        added.extend([OsStr::new("-MF"), deps]);
        added.extend(["-MT", "closure", "-o", "/dev/null", "-w"].map(OsStr::new));
        option::append(&mut words, added);
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{argv, compile};

    /// `kept` is what is left of the command's own words.
    fn check(command: &str, kept: &str) {
        let found = compile(command).closure_command(OsStr::new("deps"));
        let expected = format!("{kept} -E -MD -MF deps -MT closure -o /dev/null -w");
        assert_eq!(found, argv(&expected), "{command}");
    }

    #[test]
    fn takes_outputs_and_dependency_options_out() {
        check("cc -c a.c", "cc a.c");
        check("cc -c -o x.o a.c -S", "cc a.c");
        check("cc -ox.o -c a.c", "cc a.c");
        check("cc -MD -MF f -MP -MT t -MQq -MG -MMD -MFf -c a.c", "cc a.c");
        check(
            "cc -fsyntax-only -save-temps=obj -gsplit-dwarf -c a.c",
            "cc a.c",
        );
        check("cc -dM -dD -fdirectives-only -c a.c", "cc a.c");
        check("cc --serialize-diagnostics x -aux-info y -c a.c", "cc a.c");
    }

    #[test]
    fn keeps_the_rest() {
        for words in [
            "cc -O2 -g -pipe -Werror -P a.c",
            "cc -x c++ -include x.h -Ia -isystem b -DX -UY --sysroot z a.c",
            "ccache clang -Xclang -disable-O0-optnone -nostdinc a.c @more",
        ] {
            check(&format!("{words} -c"), words);
        }
        check("cc -I -MD -c a.c", "cc -I -MD a.c");
        check("cc -D -save-temps -c a.c", "cc -D -save-temps a.c");
    }

    #[test]
    fn stays_in_front_of_the_end_of_options() {
        let command = compile("clang -c -- a.c").closure_command(OsStr::new("d"));
        let expected = "clang -E -MD -MF d -MT closure -o /dev/null -w -- a.c";
        assert_eq!(command, argv(expected));
    }

    #[test]
    fn lists_missing_headers() {
        let command = compile("cc -MD -c a.c -o x").closure_command_with_missing(OsStr::new("d"));
        let expected = "cc a.c -M -MG -MF d -MT closure -o /dev/null -w";
        assert_eq!(command, argv(expected));
    }
}
