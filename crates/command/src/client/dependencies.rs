//! Which dependency file does a compile write, and for which target?
//!
//! What compilers choose by themselves, found by running gcc 12.2 and clang 14.0.6, which agree
//! (`tests/compilers.rs` asks them again):
//!
//! | command | file | target |
//! |---|---|---|
//! | `-MD -c a.c`, `-MD -c src/a.c` | `a.d` | `a.o` |
//! | `-MD -c b.x.c` | `b.x.d` | `b.x.o` |
//! | `-MD -S a.c` | `a.d` | `a.o` (not `a.s`) |
//! | `-MD -S a.c -o q.s` | `q.d` | `q.s` |
//! | `-MD -c a.c -o sub/x.o` or `-osub/x.o` | `sub/x.d` | `sub/x.o` |
//! | `-o x`, `-o x.`, `-o x.y.o`, `-o sub.d/x` | `x.d`, `x.d`, `x.y.d`, `sub.d/x.d` | the output |
//! | `-o .hidden` | `.d` | `.hidden` |
//! | `-o /dev/null` | `/dev/null.d` | `/dev/null` |
//! | `-MF f -MFg` | `g` | |
//! | `-MT t -MTu -MQ v` | | all three |
//!
//! gcc drops a leading `./` of each target, also of one given by `-MT`; clang keeps it. So
//! nothing has to be done about it here: whoever writes the target treats it as usual.
//!
//! gcc obeys `DEPENDENCIES_OUTPUT` when neither `-MD` nor `-MMD` is given, and appends; its
//! default target is then made from the source's name, whatever `-o` says. clang ignores it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::local_option::calls_clang;
use crate::{Compile, extension, makefile, option};

/// A dependency file that a compile has to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies {
    /// Its path, as the compiler itself would choose it (relative to the working folder).
    pub file: OsString,
    /// Set if the command names no target: the target the compiler would use, to be appended
    /// as `-MT` in protocol 3. Quoted for make already.
    pub missing_target: Option<OsString>,
    /// Whether the compiler would append to the file (`DEPENDENCIES_OUTPUT`), not replace it.
    pub append: bool,
}

/// The dependency options of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    /// `-MD` or `-MMD`. Without one of them gcc refuses the other options and clang ignores
    /// them.
    pub(crate) wanted: bool,
    /// The last `-MF`.
    pub(crate) file: Option<&'a OsStr>,
    /// Whether there is a `-MT` or `-MQ`.
    pub(crate) target: bool,
}

impl Compile {
    /// The dependency file this compile writes, if any. `from_environment` is the value of
    /// `DEPENDENCIES_OUTPUT`.
    #[must_use]
    pub fn dependencies(&self, from_environment: Option<&OsStr>) -> Option<Dependencies> {
        let options = self.dependency_options();
        if options.wanted {
            return Some(Dependencies {
                file: options
                    .file
                    .map_or_else(|| self.default_dependency_file(), OsStr::to_owned),
                missing_target: (!options.target).then(|| makefile::quote(&self.default_target())),
                append: false,
            });
        }
        if calls_clang(&self.argv) {
            return None;
        }
        let mut words = from_environment?.as_bytes().splitn(2, |&byte| byte == b' ');
        let file = words.next().filter(|file| !file.is_empty())?;
        let target = words
            .next()
            .map(|target| OsString::from_vec(target.to_vec()));
        Some(Dependencies {
            file: OsString::from_vec(file.to_vec()),
            // gcc writes a target from the environment as it is.
            missing_target: target.or_else(|| Some(makefile::quote(&self.target_of_the_source()))),
            append: true,
        })
    }

    /// The same compile with the target that gcc makes where `words`, the command before
    /// [`expand_wp`](super::expand_wp), ask its preprocessor for a dependency file and not the driver: it does not
    /// know of `-o` (`x.o` for `-Wp,-MD,f -c d/x.c -o e/y.o`). clang reads `-Wp,-MD` as `-MD`.
    #[must_use]
    pub fn with_target_of_wp(self, words: &[OsString]) -> Self {
        let is_value = option::values(words);
        let options = || {
            let words = words.iter().zip(&is_value);
            words.filter_map(|(word, is_value)| (!is_value).then_some(word.as_bytes()))
        };
        let asks = |word: &[u8]| matches!(word, b"-MD" | b"-MMD");
        let asks_by_wp = |word: &[u8]| {
            let list = word.strip_prefix(b"-Wp,").unwrap_or_default();
            list.split(|&byte| byte == b',').any(asks)
        };
        if !options().any(asks_by_wp)
            || options().any(asks)
            || self.dependency_options().target
            || calls_clang(&self.argv)
        {
            return self;
        }
        let target = self.target_of_the_source();
        self.with_options(["-MQ".into(), target])
    }

    pub(crate) fn dependency_options(&self) -> Options<'_> {
        let mut options = Options::default();
        let is_value = option::values(&self.argv);
        for (index, word) in self.argv.iter().enumerate().skip(1) {
            match word.as_bytes() {
                _ if is_value[index] => {}
                b"-MD" | b"-MMD" => options.wanted = true,
                b"-MF" => options.file = self.argv.get(index + 1).map(OsString::as_os_str),
                bytes if bytes.starts_with(b"-MF") => {
                    options.file = Some(OsStr::from_bytes(&bytes[3..]));
                }
                bytes if bytes.starts_with(b"-MT") || bytes.starts_with(b"-MQ") => {
                    options.target = true;
                }
                _ => {}
            }
        }
        options
    }

    /// The file that compilers choose without `-MF`.
    pub(super) fn default_dependency_file(&self) -> OsString {
        OsString::from_vec(extension::replaced(self.output().as_bytes(), b".d"))
    }

    /// The target, unquoted, that compilers choose without `-MT` and `-MQ`.
    pub(super) fn default_target(&self) -> OsString {
        if self.output_appended {
            self.target_of_the_source()
        } else {
            self.output().to_owned()
        }
    }

    fn target_of_the_source(&self) -> OsString {
        let source = extension::basename(self.input().as_bytes());
        OsString::from_vec(extension::replaced(source, b".o"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{argv, compile};

    fn check(command: &str, environment: Option<&str>, expected: Option<(&str, Option<&str>)>) {
        let found = compile(command).dependencies(environment.map(OsStr::new));
        let expected = expected.map(|(file, target)| Dependencies {
            file: file.into(),
            missing_target: target.map(OsString::from),
            append: environment.is_some() && !command.contains("-MD"),
        });
        assert_eq!(found, expected, "{command}");
    }

    #[test]
    fn follow_the_output() {
        for (command, file, target) in [
            ("cc -MD -c a.c", "a.d", "a.o"),
            ("cc -MMD -c src/b.x.c", "b.x.d", "b.x.o"),
            ("cc -MD -S a.c", "a.d", "a.o"),
            ("cc -MD -S a.c -o q.s", "q.d", "q.s"),
            ("cc -MD -c a.c -o sub/x.o", "sub/x.d", "sub/x.o"),
            ("cc -MD -c a.c -osub/x.o", "sub/x.d", "sub/x.o"),
            ("cc -MD -c a.c -o x", "x.d", "x"),
            ("cc -MD -c a.c -o x.y.o", "x.y.d", "x.y.o"),
            ("cc -MD -c a.c -o sub.d/x", "sub.d/x.d", "sub.d/x"),
            ("cc -MD -c a.c -o /dev/null", "/dev/null.d", "/dev/null"),
            ("cc -MD -c a.c -o x$y#.o", "x$y#.d", "x$$y\\#.o"),
        ] {
            check(command, None, Some((file, Some(target))));
        }
    }

    #[test]
    fn go_where_options_say() {
        check("cc -c a.c -MD -MF f", None, Some(("f", Some("a.o"))));
        check("cc -c a.c -MD -MF f -MFg", None, Some(("g", Some("a.o"))));
        check("cc -c a.c -MD -MTt", None, Some(("a.d", None)));
        check("cc -c a.c -MMD -MQ t", None, Some(("a.d", None)));
        check("cc -c a.c -MD -MT -MFx", None, Some(("a.d", None)));
        check("cc -c a.c -MF f -MT t -MP", None, None);
        check("cc -c a.c -D -MD", None, None);
    }

    #[test]
    fn gcc_takes_the_target_from_the_source_if_its_preprocessor_is_asked() {
        let check = |typed: &str, expected: &str| {
            let typed = argv(typed);
            let words = crate::client::expand_wp(&typed).unwrap();
            let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
            let compile = compile(&words.join(" ")).with_target_of_wp(&typed);
            assert_eq!(compile.argv(), argv(expected));
        };
        check(
            "gcc -Wp,-MMD,e/.y.d -c d/b.x.c -o e/y.o",
            "gcc -MMD -MF e/.y.d -c d/b.x.c -o e/y.o -MQ b.x.o",
        );
        for (typed, expected) in [
            (
                "gcc -Wp,-MD,f -MTt -c a.c -o b",
                "gcc -MD -MF f -MTt -c a.c -o b",
            ),
            (
                "gcc -Wp,-MD,f,-MT,t -c a.c -o b",
                "gcc -MD -MF f -MT t -c a.c -o b",
            ),
            (
                "gcc -MD -Wp,-MD,f -c a.c -o b",
                "gcc -MD -MD -MF f -c a.c -o b",
            ),
            ("clang -Wp,-MD,f -c a.c -o b", "clang -MD -MF f -c a.c -o b"),
            ("gcc -Wp,-DX -c a.c -o b", "gcc -DX -c a.c -o b"),
        ] {
            check(typed, expected);
        }
    }

    #[test]
    fn come_from_the_environment_without_an_option() {
        check("cc -c a.c -o b.o", Some("e t u"), Some(("e", Some("t u"))));
        check("cc -c a.c -o b.o", Some("e"), Some(("e", Some("a.o"))));
        check("cc -c a.c -o b.o", Some(""), None);
        check("cc -c a.c -MD -MF f", Some("e t"), Some(("f", Some("a.o"))));
        check("clang -c a.c -o b.o", Some("e t"), None);
    }
}
