//! The commands that a client runs itself or sends, made from a [`Compile`].
//!
//! Nine questions, a file each: what the preprocessor is called with and what is left for the
//! server (`preprocess.rs`), how the compiler is asked for the files a compile opens
//! (`closure.rs`), which dependency file a compile writes (`dependencies.rs`), which
//! options keep a command here (`local_option.rs`), which only seem to (`tools_chosen.rs`), what
//! asks for this very machine (`native.rs`), which working folder debug information names
//! (`folder.rs`), what becomes of an old output (`output.rs`), and which language the source is
//! in (`language.rs`). Here is what comes before a plan: words that stand for other words.

mod closure;
mod dependencies;
mod folder;
mod language;
mod local_option;
pub mod native;
mod output;
mod preprocess;
pub(crate) mod tools_chosen;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::options::{self, Class};
use crate::{extension, option};

pub use dependencies::Dependencies;
pub(crate) use local_option::judge;
pub use local_option::{LocalOption, Why, lost_output};
pub use output::Manner;
pub use tools_chosen::Choice;

/// A `-Wp,-MD` or `-Wp,-MMD` without the file name that has to follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WpWithoutFile;

impl fmt::Display for WpWithoutFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 3.4's own words.
        f.write_str("'-Wp,-MD' or '-Wp,-MMD' option is missing filename argument")
    }
}

impl std::error::Error for WpWithoutFile {}

/// Splits each `-Wp,a,b,c` into words; `-MD,FILE` and `-MMD,FILE` become `-MD -MF FILE`.
///
/// A word with an option among them that the driver looks at, too, stays as it is: `-g` is not `-Wp,-g`.
///
/// gcc makes the dependency file's target from the source's name then: see
/// [`Compile::with_target_of_wp`].
///
/// # Errors
/// [`WpWithoutFile`]: the caller warns and goes on with the words it gave.
pub fn expand_wp(argv: &[OsString]) -> Result<Vec<OsString>, WpWithoutFile> {
    let mut words = Vec::with_capacity(argv.len());
    for word in argv {
        let Some(list) = word.as_bytes().strip_prefix(b"-Wp,") else {
            words.push(word.clone());
            continue;
        };
        if list.split(|&byte| byte == b',').any(is_for_compiler) {
            words.push(word.clone());
            continue;
        }
        let mut parts = list.split(|&byte| byte == b',');
        while let Some(part) = parts.next() {
            words.push(OsString::from_vec(part.to_vec()));
            if part == b"-MD" || part == b"-MMD" {
                let file = parts.next().ok_or(WpWithoutFile)?;
                words.push("-MF".into());
                words.push(OsString::from_vec(file.to_vec()));
            }
        }
    }
    Ok(words)
}

/// Whether the driver would do more with this word than hand it to the preprocessor, and with it to the compiler.
fn is_for_compiler(part: &[u8]) -> bool {
    matches!(
        options::class(part),
        Some(Class::Compile | Class::CompilePath)
    )
}

/// Leaves out clang's precompiled header where the header's own text is asked for behind it, in the
/// words of CMake: `-Xclang -include-pch -Xclang H.pch -Xclang -include -Xclang H`. The text says
/// the same, and can be sent.
#[must_use]
pub fn without_precompiled_header(argv: Vec<OsString>) -> Vec<OsString> {
    const WORDS: usize = 8;
    let is_inner = |words: &[OsString]| words.iter().step_by(2).all(|word| word == "-Xclang");
    let found = argv.windows(WORDS).position(|words| {
        let header = words[7].as_bytes();
        is_inner(words)
            && words[1] == "-include-pch"
            && words[3].as_bytes().strip_suffix(b".pch") == Some(header)
            && words[5] == "-include"
    });
    let mut argv = argv;
    if let Some(start) = found {
        argv.drain(start..start + 4);
    }
    argv
}

/// Writes `-fexceptions` for `--exceptions`, which gcc reads so (clang does not): whoever looks for an option finds it in one
/// spelling.
pub(crate) fn in_usual_words(argv: Vec<OsString>) -> Vec<OsString> {
    let begins = |word: &OsString| word.as_bytes().starts_with(b"--");
    if !argv.iter().any(begins) || local_option::calls_clang(&argv) {
        return argv;
    }
    let mut argv = argv;
    let found: Vec<_> = option::options_of(&argv)
        .filter_map(|index| Some((index, options::usual(argv[index].as_bytes())?)))
        .collect();
    for (index, word) in found {
        argv[index] = OsString::from_vec(word);
    }
    argv
}

/// Writes `-xLANGUAGE` as two words: servers of 3.4 look at the word behind it, whatever it is.
/// (Other compilers have other options that begin so: `-xHost`.)
#[must_use]
pub fn separate_language(argv: Vec<OsString>) -> Vec<OsString> {
    let is_glued = |word: &OsString| {
        let language = word.as_bytes().strip_prefix(b"-x");
        language.is_some_and(extension::is_language)
    };
    if !argv.iter().any(is_glued) {
        return argv;
    }
    let end = option::end(&argv);
    let is_value = option::values(&argv);
    let words = argv.into_iter().enumerate().flat_map(|(index, word)| {
        let glued = index > 0 && index < end && !is_value[index] && is_glued(&word);
        let language = glued.then(|| OsString::from_vec(word.as_bytes()[2..].to_vec()));
        let option = if glued { "-x".into() } else { word };
        std::iter::once(option).chain(language)
    });
    words.collect()
}

/// The first `@FILE` word: options that the compiler reads from a file, which no function of
/// this crate sees. The caller expands them before, or keeps its hands off the command.
#[must_use]
pub fn response_file(argv: &[OsString]) -> Option<&OsStr> {
    let mut options = argv.iter().skip(1).map(OsString::as_os_str);
    options.find(|word| word.as_bytes().starts_with(b"@"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    fn check_wp(command: &str, expected: &str) {
        assert_eq!(expand_wp(&argv(command)), Ok(argv(expected)), "{command}");
    }

    #[test]
    fn a_precompiled_header_beside_its_text_is_left_out() {
        let check = |words: &str, expected: &str| {
            assert_eq!(without_precompiled_header(argv(words)), argv(expected));
        };
        check(
            "clang -O2 -Xclang -include-pch -Xclang h.hxx.pch -Xclang -include -Xclang h.hxx -c a.c",
            "clang -O2 -Xclang -include -Xclang h.hxx -c a.c",
        );
        for words in [
            "clang -Xclang -include-pch -Xclang h.hxx.pch -c a.c -Xclang -include -Xclang h.hxx",
            "clang -Xclang -include-pch -Xclang h.pch -Xclang -include -Xclang other.h -c a.c",
            "clang -c a.c",
        ] {
            check(words, words);
        }
    }

    #[test]
    fn expands_preprocessor_words() {
        check_wp("cc -c a.c", "cc -c a.c");
        check_wp("cc -Wp,-DX,-Iinc -c", "cc -DX -Iinc -c");
        check_wp("cc -Wp,-MD,f.d -c", "cc -MD -MF f.d -c");
        check_wp("cc -Wp,-DX,-MMD,f,-MT,t", "cc -DX -MMD -MF f -MT t");
        check_wp("cc -Wp,-MT,-MD,f", "cc -MT -MD -MF f");
        // 3.4 passes empty words on as well.
        check_wp("cc -Wp,-DX,,-DY,", "cc -DX  -DY ");
        check_wp("cc -Wp -Wpedantic", "cc -Wp -Wpedantic");
        check_wp("cc -Wp,-DX,-O2 -c", "cc -Wp,-DX,-O2 -c");
    }

    #[test]
    fn misses_the_file_name_of_dependencies() {
        assert_eq!(expand_wp(&argv("cc -Wp,-MD -c a.c")), Err(WpWithoutFile));
        assert_eq!(expand_wp(&argv("cc -Wp,-DX,-MMD")), Err(WpWithoutFile));
    }

    #[test]
    fn languages_stand_apart() {
        let check = |command: &str, expected: &str| {
            assert_eq!(
                separate_language(argv(command)),
                argv(expected),
                "{command}"
            );
        };
        check("cc -xc -c a.c", "cc -x c -c a.c");
        check("cc -x c -xc++ a.c", "cc -x c -x c++ a.c");
        check("cc -D -xc -c -- -xc", "cc -D -xc -c -- -xc");
        check(
            "cc -xHost -xcore-avx2 -c a.c",
            "cc -xHost -xcore-avx2 -c a.c",
        );
        check("-xc -c a.c", "-xc -c a.c");
    }

    #[test]
    fn flags_have_one_spelling() {
        let check = |command: &str, expected: &str| {
            assert_eq!(in_usual_words(argv(command)), argv(expected), "{command}");
        };
        check(
            "gcc --no-working-directory -c a.c --opt-info-all=x",
            "gcc -fno-working-directory -c a.c -fopt-info-all=x",
        );
        for command in [
            "gcc -D --exceptions -c a.c --param x=y",
            "gcc -c -- --pic",
            "clang --exceptions -c a.c",
        ] {
            check(command, command);
        }
    }

    #[test]
    fn finds_response_files() {
        assert_eq!(response_file(&argv("cc -c a.c")), None);
        assert_eq!(response_file(&argv("@cc -c x@y")), None);
        assert_eq!(response_file(&argv("cc -c @x @y")), Some(OsStr::new("@x")));
    }
}
