//! Protocols 1 and 2: what runs here (the preprocessor) and what is left for the server.
//!
//! distcc 3.4's preprocessor run loses the `-o` from which compilers make the dependency file's
//! name and target, and its server command keeps `-Xpreprocessor` without its argument, which
//! then swallows the next word (an empty object with exit status 0). Neither happens here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::local_option::calls_clang;
use super::tools_chosen::choice;
use crate::options::{self, Class};
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
                // Without it the text does not name the folder that debug information has to.
                b"-fno-working-directory" => {}
                // They mean nothing to a compile, but would change the text: `-dM` leaves only
                // macros of it, `-P` takes away the lines' origin.
                bytes if options::class(bytes) == Some(Class::Printing) => {}
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
    /// concern the preprocessor, the linker or the choice of tools, and with a language said by `-x` as the language
    /// of preprocessed text (or macros like `linux` would be expanded a second time).
    #[must_use]
    pub fn stripped_command(&self) -> Vec<OsString> {
        stripped(&self.words_for_text())
    }

    /// The option, if there is one, that only a preprocessor of this machine obeys: one that chooses
    /// tools, or clang's inner `-include`, which include servers do not follow.
    #[must_use]
    pub fn preprocessed_here_for(&self) -> Option<&OsStr> {
        let inner = |words: &[OsString]| words[0] == "-Xclang" && words[1] == "-include";
        let chosen = self.tools_chosen().map(|(option, _)| option).next();
        chosen.or_else(|| {
            let at = self.argv.windows(2).position(inner)?;
            Some(self.argv[at + 1].as_os_str())
        })
    }

    /// Whether the result shows lines of the source, which preprocessed text does not have: gcc's `-S -fverbose-asm`
    /// (with `-c` they are comments, that leave no trace).
    #[must_use]
    pub fn shows_source(&self) -> bool {
        let options = || option::options_of(&self.argv).map(|index| self.argv[index].as_bytes());
        let wish = |word: &[u8]| match word {
            b"-fverbose-asm" => Some(true),
            b"-fno-verbose-asm" => Some(false),
            _ => None,
        };
        options().filter_map(wish).last() == Some(true)
            && options().any(|word| word == b"-S")
            && !calls_clang(&self.argv)
    }
}

fn stripped(argv: &[OsString]) -> Vec<OsString> {
    let clang = calls_clang(argv);
    let mut kept: Vec<OsString> = Vec::with_capacity(argv.len());
    let mut words = argv.iter();
    kept.extend(words.next().cloned());
    // Whether the next word for clang's inner compiler is the value of a dropped one.
    let mut inner_value_dropped = false;
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let value = options::takes_next(bytes).then(|| words.next()).flatten();
        let drop = match (bytes, value) {
            (b"-Xclang", Some(inner)) => {
                let drop = inner_value_dropped || concerns_preprocessor(inner.as_bytes());
                inner_value_dropped =
                    !inner_value_dropped && drop && options::takes_next(inner.as_bytes());
                drop
            }
            // gcc needs it for `__builtin_FILE`; clang has no use for it, and says so.
            _ if bytes.starts_with(b"-fmacro-prefix-map=") => clang,
            // clang has no use for it, either; gcc looks for its own files there.
            _ if bytes.starts_with(b"-isysroot") => clang,
            _ => {
                concerns_preprocessor(bytes)
                    || options::class(bytes) == Some(Class::Linker)
                    || choice(bytes, value.map(|value| value.as_bytes())).is_some()
            }
        };
        if drop {
            continue;
        }
        // The value goes with its option: `-Xclang -Dx` must not leave a `-Xclang` that would
        // take the next word instead.
        let language =
            |name: &OsStr| OsString::from_vec(preprocessed_language(name.as_bytes()).to_vec());
        match (bytes, value) {
            (b"-x", Some(name)) => kept.extend([word.clone(), language(name)]),
            ([b'-', b'x', name @ ..], _) => {
                kept.push(OsString::from_vec(
                    [b"-x", preprocessed_language(name)].concat(),
                ));
            }
            _ => kept.extend([Some(word), value].into_iter().flatten().cloned()),
        }
    }
    kept
}

fn concerns_preprocessor(option: &[u8]) -> bool {
    use Class::{Dependencies, Preprocessor, SearchPath};
    matches!(
        options::class(option),
        Some(Dependencies | Preprocessor | SearchPath)
    )
}

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
        check_preprocess("cc -g -fno-working-directory -c a.c", "cc -g -E a.c");
        check_preprocess("clang -frewrite-includes -c a.c", "clang -E a.c");
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

    #[test]
    fn some_options_are_for_this_machines_preprocessor() {
        for (words, expected) in [
            ("-O2 -include x.h", None),
            ("-Bmold -c", Some("-Bmold")),
            ("-Xclang -include -Xclang x.h", Some("-include")),
            ("--gcc-toolchain=/usr", Some("--gcc-toolchain=/usr")),
        ] {
            let compile = compile(&format!("clang {words} -c a.c"));
            let found = compile.preprocessed_here_for();
            assert_eq!(found, expected.map(OsStr::new), "{words}");
        }
    }

    #[test]
    fn gccs_verbose_assembler_text_shows_the_source() {
        for (command, expected) in [
            ("gcc -S -fverbose-asm a.c", true),
            ("gcc -fverbose-asm -S -c a.i", true),
            ("gcc -fverbose-asm -c a.c", false),
            ("gcc -S a.c", false),
            ("gcc -S -fverbose-asm -fno-verbose-asm a.c", false),
            ("clang -S -fverbose-asm a.c", false),
        ] {
            assert_eq!(compile(command).shows_source(), expected, "{command}");
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
            "cc -iquote x -includey -idiraftery -A q -T script -e main -z now a.c",
            "cc a.c",
        );
        check_stripped(
            "cc -finput-charset=latin1 -fexec-charset=x a.c",
            "cc -fexec-charset=x a.c",
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
    }

    #[test]
    fn strips_what_clang_hands_to_its_preprocessor() {
        check_stripped("cc -c a.c -Xclang -DX -o x.o", "cc -c a.c -o x.o");
        check_stripped(
            "cc -Xclang -include -Xclang -x.h -Xclang -disable-O0-optnone a.c",
            "cc -Xclang -disable-O0-optnone a.c",
        );
    }

    #[test]
    fn keeps_prefix_maps_of_macros_for_gcc() {
        check_stripped(
            "gcc -fmacro-prefix-map=a=b a.c",
            "gcc -fmacro-prefix-map=a=b a.c",
        );
        check_stripped("/x/clang-14 -fmacro-prefix-map=a=b a.c", "/x/clang-14 a.c");
    }

    #[test]
    fn clang_has_to_be_told_the_folder_of_debug_information() {
        let needs = |command: &str| compile(command).needs_folder();
        assert!(needs("clang -g -c a.c"));
        assert!(needs("/x/clang++-14 -O2 -gdwarf-4 -c a.cc"));
        assert!(!needs("clang -O2 -c a.c"));
        assert!(!needs("clang -g0 -c a.c"));
        assert!(!needs("clang -g -fdebug-compilation-dir=. -c a.c"));
        assert!(!needs("clang -g -ffile-compilation-dir=. -c a.c"));
        assert!(!needs("gcc -g -c a.c"));
        let sent = compile("clang -g -c -Ix -- a.c").stripped_command_in(OsStr::new("/x y"));
        let words = [
            "clang",
            "-g",
            "-c",
            "-o",
            "a.o",
            "-Xclang",
            "-fdebug-compilation-dir",
        ];
        assert_eq!(sent[..7], words.map(OsString::from));
        assert_eq!(
            sent[7..],
            ["-Xclang", "/x y", "--", "a.c"].map(OsString::from)
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
