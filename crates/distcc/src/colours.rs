//! Colours in messages: a compiler on a server writes to a file, and would never use them.
//!
//! Where the compiler here would, because it writes to a terminal, it is asked for them. Programs
//! that keep what compilers say, ccache or ninja, ask for them by themselves.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::Path;

use command::Compile;

/// Whether compilers of this process would choose colours; `term` and `gcc_colors` are the
/// variables `TERM` and `GCC_COLORS`.
pub(crate) fn are_chosen(term: Option<&OsStr>, gcc_colors: Option<&OsStr>) -> bool {
    term.is_some_and(|term| term != "dumb")
        && gcc_colors.is_none_or(|colours| !colours.is_empty())
        && io::stderr().is_terminal()
}

/// The same compile with colours, unless it says something of them itself.
pub(crate) fn asked_for(compile: Compile) -> Compile {
    let argv = compile.argv();
    if !understands(&argv[0]) || argv.iter().any(decides) {
        return compile;
    }
    compile.with_options(["-fdiagnostics-color=always".into()])
}

/// Whether a compiler is gcc (since 4.9) or clang, by its name: with any prefix and version.
fn understands(compiler: &OsStr) -> bool {
    let name = Path::new(compiler).file_name().unwrap_or_default();
    let name = name.as_encoded_bytes();
    let is_of_version = |&byte: &u8| byte.is_ascii_digit() || byte == b'.';
    let stem = match name.iter().rposition(|&byte| byte == b'-') {
        Some(dash) if name[dash + 1..].iter().all(is_of_version) => &name[..dash],
        _ => name,
    };
    let last = stem.rsplit(|&byte| byte == b'-').next().unwrap_or(stem);
    [&b"gcc"[..], b"g++", b"clang", b"clang++", b"cc", b"c++"].contains(&last)
}

/// Whether compilers write their commands into objects, where a word of ours would be seen.
pub(crate) fn are_noted(words: &[OsString]) -> bool {
    const NOTES: [&str; 4] = [
        "-frecord-command-line",
        "-grecord-command-line",
        "-frecord-gcc-switches",
        "-grecord-gcc-switches",
    ];
    words
        .iter()
        .any(|word| NOTES.iter().any(|note| word == note))
}

/// Whether an option says what messages look like.
fn decides(word: &OsString) -> bool {
    const STARTS: [&[u8]; 6] = [
        b"-fdiagnostics-color",
        b"-fno-diagnostics-color",
        b"-fcolor-diagnostics",
        b"-fno-color-diagnostics",
        b"-fdiagnostics-format",
        b"-fdiagnostics-plain-output",
    ];
    let word = word.as_encoded_bytes();
    STARTS.iter().any(|start| word.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use command::{Plan, plan};

    fn asked(line: &str) -> String {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let Plan::Distribute(compile) = plan(&argv) else {
            panic!("{line}");
        };
        let words = asked_for(compile);
        let words: Vec<_> = words
            .argv()
            .iter()
            .map(|word| word.display().to_string())
            .collect();
        words.join(" ")
    }

    #[test]
    fn commands_that_are_noted_in_objects_stay_as_they_are() {
        let noted =
            |words: &str| are_noted(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(noted("clang -c a.c -frecord-command-line"));
        assert!(noted("clang -grecord-gcc-switches -c a.c"));
        assert!(!noted("clang -c a.c -g"));
    }

    #[test]
    fn options_of_the_command_come_first() {
        assert_eq!(
            asked("gcc -o a.o -c -- a.c"),
            "gcc -o a.o -c -fdiagnostics-color=always -- a.c"
        );
        for option in [
            "-fdiagnostics-color=never",
            "-fdiagnostics-color",
            "-fno-diagnostics-color",
            "-fno-color-diagnostics",
            "-fcolor-diagnostics",
            "-fdiagnostics-format=json",
            "-fdiagnostics-plain-output",
        ] {
            let line = format!("gcc {option} -c a.c -o a.o");
            assert_eq!(asked(&line), line);
        }
    }

    #[test]
    fn gcc_and_clang_are_asked() {
        let check =
            |name: &str, expected| assert_eq!(understands(name.as_ref()), expected, "{name}");
        for name in [
            "gcc",
            "g++-12",
            "/usr/bin/c++",
            "clang++-14",
            "x86_64-linux-gnu-gcc-12.2.0",
            "arm-none-eabi-g++",
        ] {
            check(name, true);
        }
        for name in [
            "nvcc", "icc", "tcc", "ccache", "gccgo", "clang-cl", "gcc-ar", "-", "",
        ] {
            check(name, false);
        }
    }

    #[test]
    fn colours_need_a_terminal_that_has_them() {
        // Tests may have one, too.
        assert!(!are_chosen(None, None));
        assert!(!are_chosen(Some("dumb".as_ref()), None));
        assert!(!are_chosen(Some("xterm".as_ref()), Some("".as_ref())));
    }
}
