//! Which options choose a compiler's own programs and settings: whoever looks for what belongs to it has to give it these.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::option;
use crate::options::{self, Class};

/// Of these, the ones that have no value.
const ALONE: &[&[u8]] = &[
    b"-m32",
    b"-m64",
    b"-mx32",
    b"-m16",
    b"-fno-integrated-as",
    b"-no-integrated-as",
    b"-no-canonical-prefixes",
];

/// Whether the option at `index` does no more than choose a part of the compiler.
pub(super) fn chooses(argv: &[OsString], index: usize) -> bool {
    let word = argv[index].as_bytes();
    options::find(word).is_some_and(|entry| {
        is_specs(entry.name) || matches!(entry.name, "-B" | "--prefix" | "-gcc-toolchain")
    }) || word.starts_with(b"--gcc-toolchain=")
        || word.starts_with(b"--gcc-install-dir=")
}

/// All of them, with their values. Specs may ask for any other option of the command, so they come with all that are not
/// about the source.
pub(super) fn tools(argv: &[OsString], input: &OsStr) -> Vec<OsString> {
    let is_specs =
        |word: &OsString| options::find(word.as_bytes()).is_some_and(|e| is_specs(e.name));
    let all: Vec<usize> = option::options_of(argv).collect();
    let has_specs = all.iter().any(|&index| is_specs(&argv[index]));
    let mut tools = Vec::new();
    for index in all {
        let word = argv[index].as_bytes();
        let wanted = match has_specs {
            true => !options::class(word).is_none_or(is_about_source),
            false => {
                ALONE.contains(&word)
                    || chooses(argv, index)
                    || word.starts_with(b"--target")
                    || matches!(options::find(word), Some(e) if matches!(e.name, "-target" | "--sysroot"))
            }
        };
        if wanted {
            tools.push(argv[index].clone());
            let value = argv.get(index + 1).filter(|_| options::takes_next(word));
            tools.extend(value.filter(|value| *value != input).cloned());
        }
    }
    tools
}

fn is_specs(name: &str) -> bool {
    matches!(name, "-specs" | "--specs")
}

fn is_about_source(class: Class) -> bool {
    matches!(
        class,
        Class::Job
            | Class::Dependencies
            | Class::Preprocessor
            | Class::SearchPath
            | Class::Printing
            | Class::Answers
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    fn check(words: &str, expected: &str) {
        let command = argv(&format!("gcc {words} -c a.c"));
        let expected: Vec<OsString> = expected.split_whitespace().map(OsString::from).collect();
        assert_eq!(tools(&command, OsStr::new("a.c")), expected, "{words}");
    }

    #[test]
    fn what_chooses_parts_of_the_compiler() {
        check("-O2 -Wall -DX -Ix", "");
        check("-m32 -B x -Bx -O2", "-m32 -B x -Bx");
        check("-target arm --sysroot /x", "-target arm --sysroot /x");
        check("--gcc-toolchain=/x -D -B", "--gcc-toolchain=/x");
    }

    #[test]
    fn specs_see_all_options() {
        check("-O2 -fpie -DX -MD -specs=x -o y", "-O2 -fpie -specs=x");
    }
}
