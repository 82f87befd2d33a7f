//! Which words must no server obey?
//!
//! Those by which a compiler on the allow-list runs another program, loads a library, or reads
//! options and configuration from a file that the client names. distcc 3.4 refuses `-fplugin=`
//! and `-specs=` in just these spellings. The others were tried on gcc 12.2 and clang 14.0.6:
//! `-wrapper`, `-B`, `--specs`, `-fpass-plugin=`, `-fmodule-mapper=|` and `--plugin=` (gcc's other
//! spelling of `-fplugin=`) each ran a program of the client's choosing. Which options these are
//! is in the table of options, and so is no spelling of them forgotten.
//!
//! Not here: options that make a compiler read or write a file of the client's choosing. No list
//! of options can stop that (`#include "/etc/passwd"`); it takes a sandbox. Neither are options
//! that concern a linker only, as long as they name no file: builds pass `-fuse-ld=lld` to
//! every compile.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::options::{self, Class};

/// Options that hold others in the same word.
const CARRIERS: &[&[u8]] = &[b"-Xclang=", b"-mllvm=", b"--for-assembler="];

/// The first word that would make the compiler run code of the client's choosing or read
/// configuration from a path of the client's choosing: `-fplugin=`, `-specs=` (as 3.4), and
/// `--specs`, `-specs FILE`, `-wrapper`, `-fpass-plugin=`, `-Xclang -load` and their kin, and
/// `@FILE`.
#[must_use]
pub fn unsafe_option(argv: &[OsString]) -> Option<&OsStr> {
    let mut words = argv.iter().skip(1).map(OsString::as_os_str);
    words.find(|word| is_unsafe(word.as_bytes()))
}

/// Values of other options are not told apart: behind `-Xclang`, `-Xpreprocessor` and their like
/// a value is an option, and elsewhere none looks like this.
pub(crate) fn is_unsafe(word: &[u8]) -> bool {
    word.starts_with(b"@") // Options from a file.
        || options::class(word) == Some(Class::Executes)
        || word
            .strip_prefix(b"-fuse-ld=")
            .is_some_and(|linker| linker.contains(&b'/'))
        || CARRIERS
            .iter()
            .any(|carrier| word.strip_prefix(*carrier).is_some_and(is_unsafe))
        || [&b"-Wp,"[..], b"-Wa,"].iter().any(|carrier| {
            let list = word.strip_prefix(*carrier);
            list.is_some_and(|list| list.split(|&byte| byte == b',').any(is_unsafe))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    fn check(words: &str, expected: Option<&str>) {
        let command = argv(&format!("gcc -c a.c -o a.o {words}"));
        assert_eq!(unsafe_option(&command), expected.map(OsStr::new), "{words}");
    }

    #[test]
    fn refuses_code_and_configuration() {
        for word in [
            "-fplugin=/x.so",
            "--plugin=/x.so",
            "--module-mapper=|sh",
            "-fplugin-arg-x-y=z",
            "-iplugindir=/x",
            "-fpass-plugin=/x.so",
            "-specs=/x",
            "--specs=/x",
            "-B/x",
            "-B",
            "--prefix=/x",
            "-fmodule-mapper=|sh",
            "--config=/x",
            "--config-user-dir=/x",
            "-ccc-install-dir",
            "--gcc-toolchain=/x",
            "--gcc-install-dir=/x",
            "-fuse-ld=/x/ld",
            "--ld-path=/x",
            "--ptxas-path=/x",
            "--driver-mode=cl",
            "-cc1",
            "@/etc/passwd",
            "-Wa,@/etc/passwd",
            "-Wa,-W,@/etc/passwd",
            "-Wp,-DX,-fplugin=/x.so",
            "-Xclang=-load",
            "-mllvm=-load=/x.so",
        ] {
            check(word, Some(word));
        }
        check("-wrapper sh,-c,true", Some("-wrapper"));
        check("-specs /x", Some("-specs"));
        check("--specs /x", Some("--specs"));
        check("-Xclang -load -Xclang /x.so", Some("-load"));
        check("-Xclang -add-plugin -Xclang x", Some("-add-plugin"));
        check(
            "-mllvm -load-pass-plugin=/x.so",
            Some("-load-pass-plugin=/x.so"),
        );
        check("-Xpreprocessor -fplugin=/x.so", Some("-fplugin=/x.so"));
        check("-Xassembler @/etc/passwd", Some("@/etc/passwd"));
        check("-O2 -B/x @y", Some("-B/x"));
    }

    #[test]
    fn leaves_the_rest() {
        for words in [
            "-O2 -g -Wall -Wa,--noexecstack,-march=all",
            "-fuse-ld=lld -fuse-linker-plugin -no-integrated-cpp -no-integrated-as",
            "-Wl,@x -Xclang -disable-O0-optnone -mllvm -unroll-count=2",
            "-fprofile-dir=x -fpie -D@x x@y",
        ] {
            check(words, None);
        }
        assert_eq!(unsafe_option(&argv("@gcc -c a.c")), None);
    }
}
