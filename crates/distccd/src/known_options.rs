//! Options that do no harm without a sandbox, by their shape: a list of what is known, because a
//! list of what is dangerous is never complete.
//!
//! What no list of options stops is not looked at here: sources can name any file that the
//! server may read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Harmless words.
#[rustfmt::skip] // A line holds what belongs together.
const HARMLESS: &[&[u8]] = &[
    b"-", b"--", b"-c", b"-S", b"-ansi", b"-pipe", b"-target", b"-arch", b"-EL", b"-EB",
    b"-undef", b"-P", b"-C", b"-CC", b"-H", b"-trigraphs", b"-remap", b"-nostdinc", b"-nostdinc++",
    b"-nobuiltininc", b"-MD", b"-MMD", b"-MP", b"-MG",
    b"-w", b"-v", b"--verbose", b"-time", b"-pg", b"-p",
    b"-dD", b"-dM", b"-dI", b"-dN", b"-dU",
    // For a linker, which does not run.
    b"-pthread", b"-shared", b"-static", b"-rdynamic", b"-pie", b"-no-pie", b"-static-pie",
    b"-nostdlib", b"-nodefaultlibs", b"-nostartfiles", b"-s", b"-rpath",
];

/// How words begin that are harmless whatever follows. Values of options in words of their own
/// do not begin with a dash.
#[rustfmt::skip] // As above.
const HARMLESS_BEGINNINGS: &[&[u8]] = &[
    b"-o", b"-x", b"-std=", b"--std=", b"--target=", b"--param", b"-O", b"-g", b"-m",
    b"-D", b"-U", b"-A", b"-I", b"-F", b"-iquote", b"-isystem", b"-idirafter", b"-include",
    b"-imacros", b"-iprefix", b"-iwithprefix", b"-isysroot", b"--sysroot", b"-iframework",
    b"-cxx-isystem", b"-stdlib", b"-traditional", b"-pedantic", b"-Qn", b"-Qy", b"-Qunused-",
    // The server says itself where dependencies go.
    b"-MT", b"-MQ", b"-MF",
    b"-L", b"-l", b"-u", b"-z",
];

/// Words that begin like harmless ones.
const EXCEPTIONS: &[&[u8]] = &[b"-mllvm", b"-include-pch", b"-objc"];

/// `-f` options that read, write or run something, by their beginning.
#[rustfmt::skip] // As above.
const HARMFUL_FLAGS: &[&[u8]] = &[
    b"plugin", b"pass-plugin", b"dump-", b"save-", b"callgraph-info", b"stack-usage",
    b"profile-", b"auto-profile", b"cs-profile", b"test-coverage", b"branch-probabilities",
    b"module", b"prebuilt-module", b"implicit-module", b"repo", b"time-trace", b"thinlto-index",
    b"crash-diagnostics", b"build-session", b"depfile", b"optimization-record", b"opt-info",
    b"sanitize-blacklist", b"sanitize-ignorelist", b"sanitize-coverage-", b"xray-", b"rewrite-",
    b"proc-stat", b"basic-block-sections=list", b"bolt", b"api-notes",
];

/// `-f` options whose values may be paths, since they are only compared or noted down.
#[rustfmt::skip] // As above.
const PATH_FLAGS: &[&[u8]] = &[
    b"file-prefix-map=", b"debug-prefix-map=", b"macro-prefix-map=", b"profile-prefix-map=",
    b"coverage-prefix-map=", b"debug-compilation-dir=", b"coverage-compilation-dir=",
    b"random-seed=",
];

/// What an assembler may be told.
#[rustfmt::skip] // As above.
const HARMLESS_FOR_ASSEMBLER: &[&[u8]] = &[
    b"-m", b"-W", b"-g", b"--gdwarf", b"--noexecstack", b"--compress-debug-sections",
    b"--nocompress-debug-sections", b"--32", b"--64", b"--x32", b"--fatal-warnings", b"--warn",
    b"--no-warn", b"-L", b"--keep-locals", b"-mrelax",
];

/// The first option that is not known to be harmless.
pub(crate) fn unknown_option(argv: &[OsString]) -> Option<&OsStr> {
    let mut words = argv.iter().skip(1).map(OsString::as_os_str);
    words.find(|word| !is_harmless(word.as_bytes()))
}

fn is_harmless(word: &[u8]) -> bool {
    let begins = |list: &[&[u8]]| list.iter().any(|start| word.starts_with(start));
    if !word.starts_with(b"-") {
        return !word.starts_with(b"@");
    }
    if let Some(list) = word.strip_prefix(b"-Wa,") {
        let mut words = list.split(|&byte| byte == b',');
        return words.all(|word| {
            HARMLESS_FOR_ASSEMBLER
                .iter()
                .any(|start| word.starts_with(start))
        });
    }
    if let Some(list) = word.strip_prefix(b"-Wp,") {
        let mut words = list.split(|&byte| byte == b',');
        return words.all(|word| word.starts_with(b"-D") || word.starts_with(b"-U"));
    }
    if word.starts_with(b"-W") {
        return true;
    }
    if let Some(flag) = word.strip_prefix(b"-f") {
        return is_harmless_flag(flag);
    }
    HARMLESS.contains(&word) || (begins(HARMLESS_BEGINNINGS) && !begins(EXCEPTIONS))
}

/// A word behind `-f`.
fn is_harmless_flag(flag: &[u8]) -> bool {
    let begins = |list: &[&[u8]]| list.iter().any(|start| flag.starts_with(start));
    let names_a_file = || flag.contains(&b'/') || flag.ends_with(b"-file");
    begins(PATH_FLAGS) || !(begins(HARMFUL_FLAGS) || names_a_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, expected: Option<&str>) {
        let argv: Vec<OsString> = words.split(' ').map(Into::into).collect();
        assert_eq!(unknown_option(&argv), expected.map(OsStr::new), "{words}");
    }

    #[test]
    fn builds_are_served() {
        for words in [
            "gcc -DHAVE_X=\"y\" -I. -I../inc -Wall -Wextra -g -O2 -fPIC -MT a.o -MD -MP -MF .d/a.d -c -o a.o a.c",
            "g++ -std=c++17 -isystem /x -fvisibility=hidden -fstack-protector-strong -D_FORTIFY_SOURCE=2 -c a.cc",
            "clang --target=x86_64-linux-gnu -mno-red-zone -fno-exceptions -Qunused-arguments -c a.c",
            "gcc -ffile-prefix-map=/a/b=. -fdebug-prefix-map=/a=/b -frandom-seed=a/b.c -c a.c",
            "gcc -Wa,--noexecstack,-march=all -Wp,-D_X=1 -Wl,-rpath,/x -pthread -pipe -c a.c",
            "gcc -fsanitize=address,undefined -flto=auto -fdiagnostics-color=always -c a.c",
        ] {
            check(words, None);
        }
    }

    #[test]
    fn what_is_not_known_is_not_taken() {
        for word in [
            "-wrapper",
            "-B/x",
            "-specs=x",
            "--specs=x",
            "-fplugin=x",
            "-fpass-plugin=x",
            "-Xclang",
            "-Xassembler",
            "-Xpreprocessor",
            "-mllvm",
            "-fdump-tree-all",
            "-fdump-go-spec=x",
            "-da",
            "-dumpdir",
            "-save-temps",
            "-aux-info",
            "-fprofile-use=x",
            "-Wa,@x",
            "-Wa,-a=x",
            "-Wa,-I,x",
            "-Wp,-MD,x",
            "-MJ",
            "--config",
            "-ivfsoverlay",
            "@x",
            "-ftime-trace",
            "-fmodule-mapper=|x",
            "-fuse-ld=/x",
            "--serialize-diagnostics",
            "-fopt-info-all=x",
            "-fdiagnostics-format=sarif-file",
            "-ccc-gcc-name",
            "--no-such-option",
            "-include-pch",
        ] {
            check(&format!("gcc -O2 {word} -c a.c"), Some(word));
        }
    }
}
