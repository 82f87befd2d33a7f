//! Where a compiler searches for headers, and which options make it read other files.
//!
//! Pure: reads the words of one command. What a compile server does with these words decides
//! as much as what the compiler does: distcc 3.4 moves the folders of `-I`, `-iquote`,
//! `-isystem`, `-idirafter`, `-include` and `-imacros` below its copy of the client's files and
//! leaves all others alone, so a folder named by any other option would be one of the server's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::refusal::Refusal;

/// What a command says about searching, in the order of the command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    /// `-iquote` folders.
    pub(crate) quote: Vec<OsString>,
    /// `-I` folders.
    pub(crate) bracket: Vec<OsString>,
    /// `-isystem` folders.
    pub(crate) system: Vec<OsString>,
    /// `-idirafter` folders.
    pub(crate) after: Vec<OsString>,
    /// `-include` and `-imacros` files.
    pub(crate) forced: Vec<OsString>,
    /// The words that change the compiler's default folders.
    pub(crate) defaults: Vec<OsString>,
    /// The value of `-x`, where there is one before the source.
    pub(crate) language: Option<OsString>,
}

impl Search {
    /// All folders that the command names.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &OsString> {
        [&self.quote, &self.bracket, &self.system, &self.after]
            .into_iter()
            .flatten()
    }
}

/// Options with a value that may be glued to them or be the next word.
const VALUED: &[&str] = &[
    // The longer ones first: they are matched by prefix.
    "-idirafter",
    "-imacros",
    "-include",
    "-iquote",
    "-isysroot",
    "-isystem",
    "-I",
];

/// Options with a value in the next word, which is no option itself.
const VALUE_FOLLOWS: &[&str] = &[
    "-o",
    "-x",
    "-D",
    "-U",
    "-A",
    "-L",
    "-l",
    "-u",
    "-T",
    "-z",
    "-MF",
    "-MT",
    "-MQ",
    "-arch",
    "-aux-info",
    "-dumpbase",
    "-dumpbase-ext",
    "-dumpdir",
    "-mllvm",
    "-target",
    "-gcc-toolchain",
    "-resource-dir",
    "--param",
    "--sysroot",
    "--target",
    "-Xassembler",
    "-Xlinker",
    "-Xclang",
];

/// Options (their beginnings) that make the compiler read files which its list of
/// dependencies does not name, or search folders that a server does not move.
const REFUSED: &[&str] = &[
    // Precompiled headers and modules.
    "-include-pch",
    "-fmodule",
    "-fcxx-modules",
    "-fimplicit-module",
    "-fprebuilt-module",
    "-fbuiltin-module-map",
    // Programs and their configuration.
    "-B",
    "-fplugin",
    "-fpass-plugin",
    "-specs",
    "--specs",
    "-wrapper",
    "--config",
    // Words for the preprocessor that only it understands, and searches that servers leave alone.
    "-Xpreprocessor",
    "-Xarch",
    "-Xopenmp",
    "-Xcuda",
    "-I-",
    "-F",
    "-iframework",
    "-imultilib",
    "-imsvc",
    "-iprefix",
    "-iwith",
    "-isystem-after",
    "-c-isystem",
    "-cxx-isystem",
    "-objc-isystem",
    "-objcxx-isystem",
    "-ivfsoverlay",
    "-vfsoverlay",
    "-working-directory",
    "--working-directory",
    "--include",
    "--imacros",
    "--prefix",
    "--embed-dir",
    // Profiles and lists.
    "-fauto-profile",
    "-fcs-profile-use",
    "-fmemory-profile-use",
    "-fprofile-instr-use",
    "-fprofile-list",
    "-fprofile-remapping-file",
    "-fprofile-sample-use",
    "-fprofile-use",
    "-fbasic-block-sections=list",
    "-frandomize-layout-seed-file",
    "-fsanitize-blacklist",
    "-fsanitize-ignorelist",
    "-fsanitize-system-",
    "-fsanitize-coverage-allowlist",
    "-fsanitize-coverage-blacklist",
    "-fsanitize-coverage-ignorelist",
    "-fsanitize-coverage-whitelist",
    "-fthinlto-index",
    "-fxray-always-instrument",
    "-fxray-attr-list",
    "-fxray-never-instrument",
];

/// Beginnings of words behind `-Xclang` that name files or folders.
const REFUSED_INNER: &[&str] = &[
    "-I",
    "-F",
    "-i",
    "-load",
    "-plugin",
    "-add-plugin",
    "-chain-include",
    "-resource-dir",
    "-token-cache",
];

/// Words that move the default folders, besides those with a value in the next word.
const DEFAULTS: &[&str] = &[
    "--sysroot=",
    "--target=",
    "--gcc-toolchain=",
    "--gcc-install-dir=",
    "--gcc-triple=",
    "-resource-dir=",
    "-stdlib=",
    "-mabi=",
    "-mfloat-abi=",
];
const DEFAULT_SWITCHES: &[&str] = &[
    "-m16",
    "-m32",
    "-m64",
    "-mx32",
    "-mthumb",
    "-marm",
    "-mbig-endian",
    "-mlittle-endian",
    "-EB",
    "-EL",
];

/// Texts that would hide in a macro of the command line what [`super::scan`] looks for.
const HIDDEN: &[&str] = &[
    "__TIMESTAMP__",
    "__DATE__",
    "__TIME__",
    "__has_include",
    "__has_embed",
    ".incbin",
    ".include",
];

/// Reads a command; `input` is its source file.
///
/// # Errors
/// [`Refusal::Option`] and [`Refusal::ArgumentFile`].
pub(crate) fn parse(argv: &[OsString], input: &OsStr) -> Result<Search, Refusal> {
    let mut search = Search::default();
    let mut language_open = true;
    let mut words = argv.iter().skip(1);
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes.starts_with(b"@") {
            return Err(Refusal::ArgumentFile(word.clone()));
        }
        if starts_with_any(bytes, REFUSED) || assembles_more(bytes) {
            return Err(Refusal::Option(word.clone()));
        }
        if !bytes.starts_with(b"-") {
            language_open &= word != input;
        } else if let Some(option) = VALUED.iter().find(|option| starts_with(bytes, option)) {
            let glued = &bytes[option.len()..];
            let value = if glued.is_empty() {
                words.next().cloned().unwrap_or_default()
            } else {
                OsString::from_vec(glued.to_vec())
            };
            // gcc puts the system root in front of these; servers take them for relative.
            if value.as_bytes().starts_with(b"=") || value.as_bytes().starts_with(b"$SYSROOT") {
                return Err(Refusal::Option(word.clone()));
            }
            match *option {
                "-iquote" => search.quote.push(value),
                "-I" => search.bracket.push(value),
                "-isystem" => search.system.push(value),
                "-idirafter" => search.after.push(value),
                "-isysroot" => search.defaults.extend(["-isysroot".into(), value]),
                _ => search.forced.push(value),
            }
        } else if VALUE_FOLLOWS.iter().any(|option| word == option) {
            let value = words.next().cloned().unwrap_or_default();
            match word.as_bytes() {
                b"-Xclang" if starts_with_any(value.as_bytes(), REFUSED_INNER) => {
                    return Err(Refusal::Option(value));
                }
                b"-Xclang" if starts_with_any(value.as_bytes(), REFUSED) => {
                    return Err(Refusal::Option(value));
                }
                b"-D" if hides(value.as_bytes()) => return Err(Refusal::Option(value)),
                b"-x" if language_open => search.language = Some(value),
                b"-target" | b"--target" | b"--sysroot" | b"-gcc-toolchain" | b"-resource-dir"
                | b"-arch" => search.defaults.extend([word.clone(), value]),
                _ => {}
            }
        } else if let Some(language) = bytes.strip_prefix(b"-x") {
            if language_open {
                search.language = Some(OsString::from_vec(language.to_vec()));
            }
        } else if bytes.starts_with(b"-D") && hides(bytes) {
            return Err(Refusal::Option(word.clone()));
        } else if starts_with_any(bytes, DEFAULTS)
            || DEFAULT_SWITCHES.iter().any(|option| word == option)
        {
            search.defaults.push(word.clone());
        }
    }
    if search.language.as_deref() == Some(OsStr::new("none")) {
        search.language = None;
    }
    Ok(search)
}

fn starts_with(word: &[u8], option: &str) -> bool {
    word.starts_with(option.as_bytes())
}

fn starts_with_any(word: &[u8], options: &[&str]) -> bool {
    options.iter().any(|option| starts_with(word, option))
}

/// `-Wa,FILE.s` and `-Wa,@FILE`: the assembler reads these besides the compiler's output.
fn assembles_more(word: &[u8]) -> bool {
    word.strip_prefix(b"-Wa,").is_some_and(|parts| {
        parts
            .split(|&byte| byte == b',')
            .map(|part| part.strip_suffix(b"]").unwrap_or(part))
            .any(|part| part.starts_with(b"@") || part.ends_with(b".s") || part.ends_with(b".S"))
    })
}

fn hides(macro_text: &[u8]) -> bool {
    HIDDEN.iter().any(|needle| {
        macro_text
            .windows(needle.len())
            .any(|window| window == needle.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(command: &str) -> Result<Search, String> {
        let argv: Vec<OsString> = command.split_whitespace().map(OsString::from).collect();
        parse(&argv, OsStr::new("a.c")).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn folders_are_found_glued_and_apart() {
        let search = parsed(
            "gcc -I a -Ib -iquote c -iquoted -isystem e -isystem/f -idirafter g -idirafterh \
             -include i.h -imacrosj.h -c a.c",
        )
        .unwrap();
        assert_eq!(search.bracket, ["a", "b"]);
        assert_eq!(search.quote, ["c", "d"]);
        assert_eq!(search.system, ["e", "/f"]);
        assert_eq!(search.after, ["g", "h"]);
        assert_eq!(search.forced, ["i.h", "j.h"]);
        assert_eq!(
            search.folders().collect::<Vec<_>>(),
            ["c", "d", "a", "b", "e", "/f", "g", "h"]
        );
    }

    #[test]
    fn values_of_other_options_are_no_options() {
        let search = parsed("gcc -o -Ix -MF -Iy -D -Iz -c a.c -I w").unwrap();
        assert_eq!(search.bracket, ["w"]);
    }

    #[test]
    fn what_moves_the_default_folders_is_kept() {
        let search = parsed(
            "clang --sysroot=/r --sysroot /s -isysroot /t -target T --target=U -m32 -stdlib=libc++ \
             -O2 -march=x -c a.c",
        )
        .unwrap();
        assert_eq!(
            search.defaults,
            [
                "--sysroot=/r",
                "--sysroot",
                "/s",
                "-isysroot",
                "/t",
                "-target",
                "T",
                "--target=U",
                "-m32",
                "-stdlib=libc++"
            ]
        );
    }

    #[test]
    fn the_language_is_the_one_said_before_the_source() {
        let language = |command: &str| parsed(command).unwrap().language;
        assert_eq!(language("gcc -x c++ -c a.c"), Some("c++".into()));
        assert_eq!(language("gcc -xc++ -c a.c"), Some("c++".into()));
        assert_eq!(language("gcc -c a.c -x c++"), None);
        assert_eq!(language("gcc -x c++ -x none -c a.c"), None);
        assert_eq!(language("gcc -c a.c"), None);
    }

    #[test]
    fn options_that_read_unlisted_files_are_refused() {
        for word in [
            "-include-pch",
            "-fmodules",
            "-fmodules-ts",
            "-fmodule-file=x",
            "-fmodule-map-file=x",
            "-B/opt",
            "-fplugin=x.so",
            "-specs=x",
            "-Xpreprocessor",
            "-I-",
            "-I=/usr/x",
            "-isystem=/usr/x",
            "-iwithprefixbefore/x",
            "-iprefix",
            "-cxx-isystem",
            "--include=x.h",
            "-fprofile-use=x",
            "-fsanitize-ignorelist=x",
            "-Wa,x.s",
            "-Wa,[x.s]",
            "-Wa,--fatal-warnings,@x",
            "-DT=__TIMESTAMP__",
            "-DT=__TIME__",
            "-DHAS(x)=__has_include(x)",
            "@args",
        ] {
            let refusal = parsed(&format!("gcc -c a.c {word}")).unwrap_err();
            assert!(refusal.contains(word), "{word}: {refusal}");
        }
        assert!(parsed("clang -c a.c -Xclang -include-pch -Xclang x").is_err());
        assert!(parsed("clang -c a.c -Xclang -ivfsoverlay -Xclang x").is_err());
        assert!(parsed("clang -c a.c -D __has_include(x)=1").is_err());
    }

    #[test]
    fn harmless_options_are_not() {
        for word in [
            "-include",
            "-Wa,--noexecstack",
            "-fno-common",
            "-Xclang",
            "-fmacro-prefix-map=a=b",
            "-idirafter",
            "-fprofile-arcs",
            "-DX=1",
            "-ffast-math",
        ] {
            assert!(parsed(&format!("gcc -c a.c {word} x")).is_ok(), "{word}");
        }
    }
}
