//! Protocols 1 and 2: what runs here (the preprocessor) and what is left for the server.
//!
//! distcc 3.4's preprocessor run loses the `-o` from which compilers make the dependency file's
//! name and target, and its server command keeps `-Xpreprocessor` without its argument, which
//! then swallows the next word (an empty object with exit status 0). Neither happens here.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::{Compile, option};

impl Compile {
    /// The command that preprocesses to standard output (protocols 1 and 2). Dependency files
    /// are written by this run: where the command leaves their name or target to be derived from
    /// `-o`, which is removed here, they are said explicitly.
    #[must_use]
    pub fn preprocess_command(&self) -> Vec<OsString> {
        let is_value = option::values(&self.argv);
        let mut words: Vec<OsString> = Vec::with_capacity(self.argv.len() + 4);
        for (index, word) in self.argv.iter().enumerate() {
            match word.as_bytes() {
                _ if self.output_words().contains(&index) => {}
                _ if index == 0 || is_value[index] => words.push(word.clone()),
                b"-c" | b"-S" => words.push("-E".into()),
                // They mean nothing to a compile, but would change the text: `-dM` leaves only
                // macros of it, `-P` takes away the lines' origin.
                b"-P" | b"-dM" | b"-dN" | b"-dI" | b"-dU" | b"-dD" => {}
                _ => words.push(word.clone()),
            }
        }
        let dependencies = self.dependency_options();
        if dependencies.wanted && dependencies.file.is_none() {
            option::append(&mut words, ["-MF".into(), self.default_dependency_file()]);
        }
        if dependencies.wanted && !dependencies.target {
            option::append(&mut words, ["-MQ".into(), self.default_target()]);
        }
        words
    }

    /// The command sent with preprocessed source (protocols 1 and 2): without options that
    /// concern the preprocessor or the linker, and with a language said by `-x` as the language
    /// of preprocessed text (or macros like `linux` would be expanded a second time).
    #[must_use]
    pub fn stripped_command(&self) -> Vec<OsString> {
        stripped(&self.argv)
    }
}

fn stripped(argv: &[OsString]) -> Vec<OsString> {
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(argv.len());
    let mut words = argv.iter();
    kept.extend(words.next().map(|compiler| compiler.as_bytes().to_vec()));
    while let Some(word) = words.next() {
        match Fate::of(word.as_bytes()) {
            Fate::Drop => {}
            Fate::DropWithNext => {
                words.next();
            }
            Fate::Keep => {
                kept.push(match word.as_bytes().strip_prefix(b"-x") {
                    Some(language) => [b"-x", preprocessed_language(language)].concat(),
                    None => word.as_bytes().to_vec(),
                });
                // The value goes with its option: `-Xclang -Dx` must not leave a `-Xclang`
                // that would take the next word instead.
                if option::takes_next(word.as_bytes())
                    && let Some(value) = words.next().map(|value| value.as_bytes())
                {
                    kept.push(match word.as_bytes() {
                        b"-x" => preprocessed_language(value).to_vec(),
                        _ => value.to_vec(),
                    });
                }
            }
        }
    }
    kept.into_iter().map(OsString::from_vec).collect()
}

enum Fate {
    Keep,
    Drop,
    DropWithNext,
}

impl Fate {
    fn of(word: &[u8]) -> Self {
        if DROPPED_WITH_NEXT.contains(&word) {
            Self::DropWithNext
        } else if DROPPED.contains(&word)
            || DROPPED_PREFIXES
                .iter()
                .any(|prefix| word.starts_with(prefix))
        {
            Self::Drop
        } else {
            Self::Keep
        }
    }
}

/// From `-iquote` on, what 3.4 leaves in: harmless to gcc, but each makes clang warn of an
/// unused argument, where a local compile would say nothing.
const DROPPED_WITH_NEXT: &[&[u8]] = &[
    b"-D",
    b"-I",
    b"-U",
    b"-L",
    b"-l",
    b"-MF",
    b"-MT",
    b"-MQ",
    b"-include",
    b"-imacros",
    b"-iprefix",
    b"-iwithprefix",
    b"-isystem",
    b"-iwithprefixbefore",
    b"-idirafter",
    b"-Xpreprocessor",
    b"-iquote",
    b"-include-pch",
    b"-F",
    b"-iframework",
    b"-cxx-isystem",
    b"-isystem-after",
    b"-Xlinker",
];

const DROPPED: &[&[u8]] = &[
    b"-undef",
    b"-nostdinc",
    b"-nostdinc++",
    b"-MD",
    b"-MMD",
    b"-MG",
    b"-MP",
    b"-C",
    b"-CC",
];

/// From `-iquote` on, what 3.4 leaves in.
const DROPPED_PREFIXES: &[&[u8]] = &[
    b"-Wp,",
    b"-Wl,",
    b"-D",
    b"-U",
    b"-I",
    b"-l",
    b"-L",
    b"-MF",
    b"-MT",
    b"-MQ",
    b"-isystem",
    b"-stdlib",
    b"-iquote",
    b"-include",
    b"-imacros",
    b"-iprefix",
    b"-iwithprefix",
    b"-idirafter",
    b"-F",
    b"-fmacro-prefix-map=",
];

/// The language of the text that preprocessing `language` gives.
fn preprocessed_language(language: &[u8]) -> &[u8] {
    match language {
        b"c" => b"cpp-output",
        b"c++" => b"c++-cpp-output",
        b"objective-c" => b"objective-c-cpp-output",
        b"objective-c++" => b"objective-c++-cpp-output",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{argv, compile};

    fn check_preprocess(command: &str, expected: &str) {
        assert_eq!(
            compile(command).preprocess_command(),
            argv(expected),
            "{command}"
        );
    }

    #[test]
    fn preprocesses_instead_of_compiling() {
        check_preprocess("cc -c a.c -o x.o -O2", "cc -E a.c -O2");
        check_preprocess("cc -S -c -ox.s a.c -DX", "cc -E -E a.c -DX");
        check_preprocess("cc -c a.c", "cc -E a.c");
        check_preprocess("cc -x c++ -c a.c", "cc -x c++ -E a.c");
        check_preprocess("cc -D -P -c a.c", "cc -D -P -E a.c");
        check_preprocess("cc -dM -P -dumpbase x -c a.c", "cc -dumpbase x -E a.c");
        check_preprocess("ccache gcc -c a.c -o q", "ccache gcc -E a.c");
    }

    #[test]
    fn says_where_dependencies_go() {
        for (command, expected) in [
            (
                "cc -MD -c a.c -o sub/x.o",
                "cc -MD -E a.c -MF sub/x.d -MQ sub/x.o",
            ),
            (
                "cc -MMD -c a.c -osub/x.o",
                "cc -MMD -E a.c -MF sub/x.d -MQ sub/x.o",
            ),
            ("cc -MD -c src/a.c", "cc -MD -E src/a.c -MF a.d -MQ a.o"),
            ("cc -MD -S a.c", "cc -MD -E a.c -MF a.d -MQ a.o"),
            ("cc -MD -MFf -c a.c -o x", "cc -MD -MFf -E a.c -MQ x"),
            ("cc -MD -MF f -MT t -c a.c", "cc -MD -MF f -MT t -E a.c"),
            ("cc -MD -MTt -c a.c -o x", "cc -MD -MTt -E a.c -MF x.d"),
            ("cc -MD -MQt -c a.c -o x", "cc -MD -MQt -E a.c -MF x.d"),
            ("cc -MD -c -o x -- a.c", "cc -MD -E -MF x.d -MQ x -- a.c"),
            ("cc -MP -c a.c -o x", "cc -MP -E a.c"),
        ] {
            check_preprocess(command, expected);
        }
    }

    fn check_stripped(command: &str, expected: &str) {
        assert_eq!(stripped(&argv(command)), argv(expected), "{command}");
    }

    #[test]
    fn strips_as_the_reference_test_suite_says() {
        check_stripped("cc -Dhello hello.c -c", "cc hello.c -c");
        check_stripped("cc -c hello.c", "cc -c hello.c");
        check_stripped("cc -c hello.c -D", "cc -c hello.c");
        check_stripped("cc -c hello.c -D -D", "cc -c hello.c");
        check_stripped(
            "cc -c -I. -I.. -I../include -c -o foo.o foo.c",
            "cc -c -c -o foo.o foo.c",
        );
    }

    #[test]
    fn strips_preprocessor_and_linker_words() {
        check_stripped("cc -c a.c -MD -MF f -MTt -MP -MG -MQ q", "cc -c a.c");
        check_stripped(
            "cc -undef -nostdinc -nostdinc++ -stdlib=libc++ a.c",
            "cc a.c",
        );
        check_stripped("cc -lm -l m -L/x -L /x -Wl,-x -Wp,-D -c a.c", "cc -c a.c");
        check_stripped(
            "cc -include x -imacros y -isystemz -isystem z a.c",
            "cc a.c",
        );
        check_stripped(
            "cc -iquote x -includey -idiraftery -include-pch z a.c",
            "cc a.c",
        );
        check_stripped(
            "cc --sysroot x -isysroot y -O2 -g -fPIC -target t -c a.c",
            "cc --sysroot x -isysroot y -O2 -g -fPIC -target t -c a.c",
        );
    }

    #[test]
    fn strips_xpreprocessor_with_its_argument() {
        check_stripped("cc -c a.c -Xpreprocessor -DX -o xp.o", "cc -c a.c -o xp.o");
        check_stripped("cc -c a.c -Xlinker -lm -o xl.o", "cc -c a.c -o xl.o");
        check_stripped(
            "cc -c a.c -Xclang -DX -o x.o",
            "cc -c a.c -Xclang -DX -o x.o",
        );
    }

    #[test]
    fn sends_preprocessed_text_as_such() {
        check_stripped("cc -x c -c a.c", "cc -x cpp-output -c a.c");
        check_stripped("cc -x c++ -c a.c", "cc -x c++-cpp-output -c a.c");
        check_stripped("cc -c -xc++ c.c", "cc -c -xc++-cpp-output c.c");
        check_stripped("cc -x cpp-output -c c.c", "cc -x cpp-output -c c.c");
    }
}
