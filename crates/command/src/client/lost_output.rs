//! Which commands lose a file when they are compiled elsewhere?
//!
//! The wire protocols bring back one object and one dependency file. distcc 3.4 distributes
//! commands that write more, accepts the object, and the other files are lost. (What its own
//! rules keep local, like `-ftest-coverage`, is in [`mod@crate::plan`].)
//!
//! Found with gcc 12.2, clang 14.0.6 and their manuals; an option that only one of them has is
//! simply absent from the other's commands.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::option;

/// Options that write a file, by how they begin.
const WRITERS: &[&[u8]] = &[
    // Files beside the object.
    b"-save-temps",
    b"--save-temps",
    b"-fdump-",
    b"-fstack-usage",
    b"-fcallgraph-info",
    b"-fsave-optimization-record",
    b"-foptimization-record-file",
    b"-ftime-trace",
    b"-fprofile-note",
    b"-dumpbase",
    b"--dumpbase",
    b"-dumpdir",
    b"--dumpdir",
    b"--analyze",
    // Files with a name of their own.
    b"-aux-info",
    b"--serialize-diagnostics",
    b"-serialize-diagnostics",
    b"-index-store-path",
    b"-index-unit-output-path",
    b"-gen-cdb-fragment-path",
    b"-dependency-dot",
    b"-dependency-file",
    b"-module-dependency-dir",
    b"-fproc-stat-report",
    b"-time=",
    b"-fdiagnostics-add-output=",
    // Compiled modules.
    b"-fmodule-output",
    b"-fmodule-header",
    b"-fmodule-only",
    // Outputs and dependency files in spellings that no rule of 3.4 knows.
    b"--output",
    b"--assemble",
    b"--preprocess",
    b"--dependencies",
    b"--user-dependencies",
    b"--write-dependencies",
    b"--write-user-dependencies",
    // No object at all, but an answer on standard output.
    b"-print-",
    b"--print-",
    b"--help",
    b"--target-help",
    b"--version",
    b"-dumpmachine",
    b"-dumpversion",
    b"-dumpfullversion",
    b"-dumpspecs",
];

/// The same, by their whole word.
const WRITER_WORDS: &[&[u8]] = &[
    b"-fmodules",
    b"-fcxx-modules",
    b"-fmodules-ts",
    b"-fsyntax-only",
    b"-###",
];

/// Options that name a value in the next word or behind `=` or a comma, and the values with
/// which they write a file.
fn writes_with_value(option: &[u8], value: &[u8]) -> bool {
    match option {
        // The rule goes to standard output, where a preprocessor's text goes too.
        b"-MF" => value == b"-" || value == b"/dev/stdout",
        b"-Xassembler" => is_assembler_writer(value),
        // They name files of their own by `-MD FILE`, whatever the driver's options say.
        b"-Xpreprocessor" => value.starts_with(b"-M"),
        // A precompiled header, good only for the very compiler that made it; without `-o` its
        // name is not the one that we would choose.
        b"-x" => value.ends_with(b"-header"),
        _ => false,
    }
}

/// The first word that makes the compiler write a file that the wire protocols cannot bring
/// back (`-gsplit-dwarf`, `-save-temps`, `-fdump-...`, `-fstack-usage`, ...), or no object at
/// all (`-fsyntax-only`, `-###`). distcc 3.4 distributes such compiles and loses the file; our
/// client runs them locally.
#[must_use]
pub fn lost_output(argv: &[OsString]) -> Option<&OsStr> {
    let has_output = argv.iter().any(|word| word.as_bytes().starts_with(b"-o"));
    let words = argv.iter().enumerate().skip(1);
    let mut writers = words.filter(|&(index, word)| {
        let word = word.as_bytes();
        let value = argv.get(index + 1).map_or(&b""[..], |next| next.as_bytes());
        // clang names these `a.bc` and `a.ll` by itself, where a plan says `a.o` and `a.s`.
        let misnamed = word == b"-emit-llvm" && !has_output;
        misnamed || is_writer(word) || writes_with_value(word, value)
    });
    writers.next().map(|(_, word)| word.as_os_str())
}

/// Whether `word` alone writes a file. Values of other options are not told apart: none of them
/// looks like this.
fn is_writer(word: &[u8]) -> bool {
    WRITERS.iter().any(|writer| word.starts_with(writer))
        || WRITER_WORDS.contains(&word)
        || is_split_dwarf(word)
        || is_dump(word)
        || (word.starts_with(b"-fopt-info") && word.contains(&b'='))
        || (word.starts_with(b"-fdiagnostics-format=") && word.ends_with(b"-file"))
        || glued_value(word, b"-MF").is_some_and(|value| writes_with_value(b"-MF", value))
        || glued_value(word, b"-x").is_some_and(|value| writes_with_value(b"-x", value))
        || glued_value(word, b"-Wa,").is_some_and(|list| {
            let mut parts = list.split(|&byte| byte == b',');
            parts.any(is_assembler_writer)
        })
}

/// How many words, from this one on, belong to an option that writes a file; 0 if it is none.
/// For commands from which such options have to go.
pub(super) fn writer_length(argv: &[OsString], index: usize) -> usize {
    let word = argv[index].as_bytes();
    if !is_writer(word) {
        0
    } else if option::takes_next(word) && index + 1 < argv.len() {
        2
    } else {
        1
    }
}

/// A listing, a dependency file, an output of another name.
fn is_assembler_writer(option: &[u8]) -> bool {
    option.starts_with(b"-a") || option.starts_with(b"--MD") || option.starts_with(b"-o")
}

/// `-gsplit-dwarf` writes a `.dwo`; `=single` keeps it in the object.
fn is_split_dwarf(word: &[u8]) -> bool {
    word.starts_with(b"-gsplit-dwarf") && word != b"-gsplit-dwarf=single"
}

/// gcc's `-d` and letters: a dump each, but for the ones that only annotate or that concern
/// `-E` alone.
fn is_dump(word: &[u8]) -> bool {
    let Some(letters) = glued_value(word, b"-d") else {
        return false;
    };
    letters.len() <= 4
        && letters.iter().all(u8::is_ascii_alphabetic)
        && letters.iter().any(|letter| !b"ADHIMNPUpx".contains(letter))
}

fn glued_value<'a>(word: &'a [u8], option: &[u8]) -> Option<&'a [u8]> {
    word.strip_prefix(option).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    fn check(words: &str, expected: Option<&str>) {
        let command = argv(&format!("cc -c a.c -o a.o {words}"));
        assert_eq!(lost_output(&command), expected.map(OsStr::new), "{words}");
    }

    #[test]
    fn finds_options_that_write_more() {
        for word in [
            "-gsplit-dwarf",
            "-gsplit-dwarf=split",
            "-save-temps",
            "-save-temps=obj",
            "--save-temps",
            "-fdump-tree-original",
            "-fdump-tree-original=/x",
            "-fdump-go-spec=x",
            "-da",
            "-dap",
            "-dj",
            "-fstack-usage",
            "-fcallgraph-info=su",
            "-ftime-trace",
            "-ftime-trace=x",
            "-fsave-optimization-record",
            "-fsave-optimization-record=yaml",
            "-foptimization-record-file=x",
            "-fopt-info-all=x",
            "-fprofile-note=x",
            "-dumpbase",
            "-dumpdir",
            "--serialize-diagnostics",
            "-index-store-path",
            "-fproc-stat-report=x",
            "-time=x",
            "-fmodule-output=x",
            "-fmodules",
            "-fmodules-ts",
            "-fdiagnostics-format=sarif-file",
            "-fsyntax-only",
            "-###",
            "--output=x",
            "--write-dependencies",
            "--analyze",
            "-MF-",
            "-xc++-header",
            "-Wa,-o,x",
            "-Wa,-a=x",
        ] {
            check(word, Some(word));
        }
        check("-aux-info x", Some("-aux-info"));
        check("-MF -", Some("-MF"));
        check("-x c-header", Some("-x"));
        check("-Xassembler -alh", Some("-Xassembler"));
        check("-Xpreprocessor -MD", Some("-Xpreprocessor"));
        check("-O2 -fstack-usage -da", Some("-fstack-usage"));
    }

    #[test]
    fn leaves_what_goes_into_the_object_or_to_standard_error() {
        for words in [
            "-O2 -g -Wall",
            "-gsplit-dwarf=single",
            "-dD -dM -dI -dN -dU -dA -dp",
            "-dynamic",
            "-fopt-info",
            "-fopt-info-vec",
            "-fdiagnostics-format=json",
            "-fembed-bitcode",
            "-emit-llvm",
            "-time",
            "-Wa,--noexecstack,-march=all",
            "-MD -MF a.d",
            "-x c++",
            "-v -H",
            "-Xpreprocessor -DX",
        ] {
            check(words, None);
        }
    }

    #[test]
    fn sees_names_that_a_plan_would_get_wrong() {
        let unnamed = argv("clang -emit-llvm -c a.c");
        assert_eq!(lost_output(&unnamed), Some(OsStr::new("-emit-llvm")));
    }
}
