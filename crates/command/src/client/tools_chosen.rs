//! Options that choose the compiler's tools: `-B`, `--gcc-toolchain=`, and the specs of newlib.
//!
//! No server obeys them, because a client could choose programs with them. But what builds want of them is
//! most often other headers, libraries or linkers (`-B` for mold, `--gcc-toolchain=` for another libstdc++,
//! `--specs=nano.specs` in all builds for Arm's microcontrollers), and a compile of preprocessed text has no use for these.
//! So such compiles are preprocessed here, where the options are obeyed, and the options are left out of what is sent.
//!
//! Whether that is so is up to files, which the client looks at ([`Compile::tools_chosen`]).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::options;
use crate::{Compile, option};

/// What an option chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// `-B`, `--prefix`: how the paths of programs and of other files begin that are looked for first. A folder, or
    /// a folder and the beginning of a name.
    Prefix(&'a OsStr),
    /// A file of specs of newlib, which is looked for in gcc's own folders first, then as a path.
    Specs(&'a OsStr),
    /// Where clang finds gcc's headers and libraries.
    Libraries,
}

/// These change what is linked and, `nano.specs`, where headers are. Specs of other names can do anything.
const SPECS: &[&[u8]] = &[b"nano.specs", b"nosys.specs", b"rdimon.specs"];

impl Compile {
    /// The options that choose tools and do not keep the command here by themselves, and what they choose.
    pub fn tools_chosen(&self) -> impl Iterator<Item = (&OsStr, Choice<'_>)> {
        let is_value = option::values(&self.argv);
        (1..option::end(&self.argv)).filter_map(move |index| {
            let word = &self.argv[index];
            let next = self.argv.get(index + 1).map(|next| next.as_bytes());
            let choice = (!is_value[index]).then(|| choice(word.as_bytes(), next))??;
            Some((word.as_os_str(), choice))
        })
    }
}

/// What the option `word` chooses, if it is such an option. `next` is the word behind it.
pub(crate) fn choice<'a>(word: &'a [u8], next: Option<&'a [u8]>) -> Option<Choice<'a>> {
    let entry = options::find(word)?;
    let value = || entry.glued_value(word).or(next).map(OsStr::from_bytes);
    match entry.name {
        "-B" | "--prefix" => value().map(Choice::Prefix),
        "-specs" | "--specs" => value()
            .filter(|file| SPECS.contains(&file.as_bytes()))
            .map(Choice::Specs),
        "-gcc-toolchain" => Some(Choice::Libraries),
        "--gcc-toolchain" | "--gcc-install-dir" => {
            word.contains(&b'=').then_some(Choice::Libraries)
        }
        _ => None,
    }
}

/// Whether clang would call the assembler that it finds among the tools.
pub(super) fn calls_assembler(argv: &[OsString]) -> bool {
    let is_wish = |word: &&OsString| {
        matches!(
            word.as_bytes(),
            b"-no-integrated-as" | b"-fno-integrated-as"
        )
    };
    argv.iter().any(|word| is_wish(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{argv, compile};

    fn check(words: &str, expected: &[(&str, Choice<'_>)]) {
        let compile = compile(&format!("gcc {words} -c a.c -o a.o"));
        let found: Vec<_> = compile.tools_chosen().collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|&(word, choice)| (OsStr::new(word), choice))
            .collect();
        assert_eq!(found, expected, "{words}");
        assert_eq!(compile.local_option(), None, "{words}");
        assert_eq!(compile.stripped_command(), argv("gcc -c a.c -o a.o"));
        let preprocess = argv(&format!("gcc {words} -E a.c"));
        assert_eq!(compile.preprocess_command(), preprocess);
    }

    #[test]
    fn what_a_compile_of_text_has_no_use_for_stays_here() {
        let prefix = Choice::Prefix("/x".as_ref());
        let specs = Choice::Specs("nano.specs".as_ref());
        check("-B/x", &[("-B/x", prefix)]);
        check("-B /x", &[("-B", prefix)]);
        check("--prefix=/x", &[("--prefix=/x", prefix)]);
        check("--specs=nano.specs", &[("--specs=nano.specs", specs)]);
        check("-specs=nano.specs", &[("-specs=nano.specs", specs)]);
        check("--specs nano.specs", &[("--specs", specs)]);
        let toolchain = "--gcc-toolchain=/x";
        check(toolchain, &[(toolchain, Choice::Libraries)]);
        check(
            "-gcc-toolchain /x -B/x",
            &[("-gcc-toolchain", Choice::Libraries), ("-B/x", prefix)],
        );
    }

    #[test]
    fn what_may_run_code_keeps_the_command_here() {
        for words in [
            "--specs=my.specs",
            "--specs=/x/nano.specs",
            "--specs ./nano.specs",
            "--gcc-toolchain=/x -no-integrated-as",
            "-B/x -fno-integrated-as",
            "-Xclang -B/x",
            "-fplugin=/x",
            "-wrapper /x",
        ] {
            let compile = compile(&format!("clang {words} -c a.c -o a.o"));
            assert!(compile.local_option().is_some(), "{words}");
        }
    }

    #[test]
    fn values_and_files_choose_nothing() {
        let compile = compile("gcc -D -B/x -c -o a.o -- a.c -B/x");
        assert_eq!(compile.tools_chosen().count(), 0);
    }
}
