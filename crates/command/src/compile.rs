//! A command that can be distributed: what it compiles, and where its words say so.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::option;

/// A command that compiles one source file into one output file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compile {
    pub(crate) argv: Vec<OsString>,
    pub(crate) input: usize,
    pub(crate) output: Place,
    /// Whether the output is our own addition: the compiler would have chosen it itself.
    pub(crate) output_appended: bool,
}

/// Where a value stands in a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The whole word: `-o NAME`.
    Word(usize),
    /// Behind an option in the same word, `skip` bytes long: `-oNAME`.
    Glued { word: usize, skip: usize },
}

impl Compile {
    /// The whole command, the compiler included; `-o NAME` was appended if there was no output.
    #[must_use]
    pub fn argv(&self) -> &[OsString] {
        &self.argv
    }

    /// The source file, as written.
    #[must_use]
    pub fn input(&self) -> &OsStr {
        &self.argv[self.input]
    }

    /// The output file, as written.
    #[must_use]
    pub fn output(&self) -> &OsStr {
        match self.output {
            Place::Word(word) => &self.argv[word],
            Place::Glued { word, skip } => OsStr::from_bytes(&self.argv[word].as_bytes()[skip..]),
        }
    }

    /// The same compile by a compiler of another name.
    #[must_use]
    pub fn by(mut self, compiler: OsString) -> Self {
        self.argv[0] = compiler;
        self
    }

    /// The same compile with further options, which name neither input nor output.
    #[must_use]
    pub fn with_options<const N: usize>(mut self, options: [OsString; N]) -> Self {
        let end = option::end(&self.argv);
        let moved = |word: usize| if word < end { word } else { word + N };
        self.input = moved(self.input);
        self.output = match self.output {
            Place::Word(word) => Place::Word(moved(word)),
            Place::Glued { word, skip } => Place::Glued {
                word: moved(word),
                skip,
            },
        };
        option::append(&mut self.argv, options);
        self
    }

    /// The words with the output replaced.
    pub(crate) fn argv_with_output(&self, output: &OsStr) -> Vec<OsString> {
        let mut argv = self.argv.clone();
        match self.output {
            Place::Word(word) => argv[word] = output.to_owned(),
            Place::Glued { word, skip } => {
                let option = &self.argv[word].as_bytes()[..skip];
                argv[word] = OsString::from_vec([option, output.as_bytes()].concat());
            }
        }
        argv
    }

    /// The positions of the words that name the output, the option included.
    pub(crate) fn output_words(&self) -> std::ops::RangeInclusive<usize> {
        match self.output {
            Place::Word(word) => word - 1..=word,
            Place::Glued { word, .. } => word..=word,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{argv, compile};

    #[test]
    fn takes_another_name_and_further_options() {
        let compile = compile("cc -ox.o -c -- a.c").by("clang".into());
        let compile = compile.with_options(["-target".into(), "t".into()]);
        assert_eq!(compile.argv(), argv("clang -ox.o -c -target t -- a.c"));
        assert_eq!(compile.input(), "a.c");
        assert_eq!(compile.output(), "x.o");
    }
}
