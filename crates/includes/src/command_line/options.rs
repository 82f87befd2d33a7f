//! Command lines: what in a compile's arguments matters to its includes.
//!
//! An option is one of: about the search or macros (kept here), about outputs or warnings (dropped), or anything
//! else, which goes to the compiler when it is asked for its own facts. So an option we have never heard of is
//! right as long as its form is known; where it could do more than change macros, it is refused.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub use crate::command_line::invocation::Command;
pub(crate) use crate::command_line::invocation::{Invocation, Language, Prelude};
use crate::command_line::language::{language_named, language_of};
use crate::command_line::option_tables::{
    DROPPED_WITH_VALUE, KEPT_WITH_VALUE, NAMES_FOLDER, NAMES_FOLDER_JOINED, REFUSED, begins_with,
    is_irrelevant,
};
use crate::command_line::words::words;
use crate::refusal::Refusal;

/// Options with a value that is the next word, or follows at once. Where a name begins another it stands behind it.
const VALUED: &[(&[u8], Valued)] = &[
    (b"-isysroot", Valued::InnerSysroot),
    (b"-isystem", Valued::System),
    (b"-iquote", Valued::Quote),
    (b"-idirafter", Valued::After),
    (b"-iprefix", Valued::Prefix),
    (b"-iwithprefixbefore", Valued::WithPrefixBefore),
    (b"-iwithprefix", Valued::WithPrefix),
    (b"-include", Valued::Include),
    (b"-imacros", Valued::MacroFile),
    (b"-I", Valued::Bracket),
    (b"-D", Valued::Define),
    (b"-U", Valued::Undefine),
    (b"-x", Valued::Language),
];

#[derive(Debug, Clone, Copy)]
enum Valued {
    InnerSysroot,
    System,
    Quote,
    After,
    Prefix,
    WithPrefixBefore,
    WithPrefix,
    Include,
    MacroFile,
    Bracket,
    Define,
    Undefine,
    Language,
}

#[derive(Default)]
struct Reader {
    out: Invocation,
    inputs: Vec<(Vec<u8>, Option<Language>)>,
    forced: Option<Language>,
    prefix: Option<Vec<u8>>,
    /// What `=` in front of a folder stands for.
    sysroot: Vec<u8>,
    /// Words for the preprocessor itself (`-Wp,` and `-Xpreprocessor`): it gets them after all others.
    inner: Vec<Vec<u8>>,
}

/// Reads a compile's arguments. `read` reads an `@file`.
pub(crate) fn read(
    command: &Command,
    read: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Invocation, Refusal> {
    let argv: Vec<Vec<u8>> = command.argv.iter().map(|a| a.as_bytes().to_vec()).collect();
    let arguments = words(
        argv.get(1..).unwrap_or_default().to_vec(),
        &command.cwd,
        read,
    )?;
    let mut reader = Reader {
        sysroot: sysroot(&arguments),
        ..Reader::default()
    };
    reader.arguments(arguments)?;
    // The drivers put them behind all of `-I`.
    for (place, _) in &mut reader.out.with_prefix_before {
        *place = reader.out.bracket.len();
    }
    let inner = without_dependency_files(std::mem::take(&mut reader.inner));
    if inner.iter().any(|word| word == b"-I-") && !reader.out.with_prefix_before.is_empty() {
        return Err(Refusal::Option(
            "-Wp,-I-".into(),
            "behind -iwithprefixbefore",
        ));
    }
    reader.arguments(inner)?;
    let (mut out, mut inputs) = (reader.out, reader.inputs);
    let Some((input, forced)) = inputs.pop().filter(|_| inputs.is_empty()) else {
        return Err(Refusal::Command(if inputs.is_empty() {
            "no input file".into()
        } else {
            "several input files".into()
        }));
    };
    if input == b"-" {
        return Err(Refusal::Command("the input comes from a pipe".into()));
    }
    let driver = argv.first().map_or(&b""[..], |a| crate::tree::split(a).1);
    let cxx_driver = memchr::memmem::find(driver, b"++").is_some();
    let language = match forced.or_else(|| language_of(&input)) {
        Some(Language::C) if cxx_driver && forced.is_none() => Language::Cxx,
        Some(language) => language,
        None => {
            return Err(Refusal::Command(
                "the input is no source by its name".into(),
            ));
        }
    };
    let is_said = |word: &Vec<u8>| word == b"-shared-libgcc";
    out.may_be_cxx = language == Language::C && forced.is_none() && !argv.iter().any(is_said);
    out.language = Some(language);
    out.input = input;
    Ok(out)
}

/// Whether an option chooses UTF-8 for what is read or made.
fn is_utf8(argument: &[u8]) -> bool {
    let names = [&b"-finput-charset="[..], b"-fexec-charset="];
    begins_with(argument, b"-f")
        && names.iter().any(|name| {
            let set = argument.strip_prefix(*name);
            set.is_some_and(|set| {
                set.eq_ignore_ascii_case(b"utf-8") || set.eq_ignore_ascii_case(b"utf8")
            })
        })
}

/// The folder for `=`: the preprocessor's own, or else the driver's.
fn sysroot(arguments: &[Vec<u8>]) -> Vec<u8> {
    let last = |name: &[u8]| {
        arguments.iter().enumerate().rev().find_map(|(at, word)| {
            let joined = word.strip_prefix(name)?;
            if joined.is_empty() {
                arguments.get(at + 1).cloned()
            } else {
                Some(joined.to_vec())
            }
        })
    };
    last(b"-isysroot")
        .or_else(|| last(b"--sysroot"))
        .unwrap_or_default()
}

/// The preprocessor's own `-MD` and `-MMD` take the next word.
fn without_dependency_files(words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut words = words.into_iter();
    let mut out = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word.as_slice(), b"-MD" | b"-MMD") {
            words.next();
        } else {
            out.push(word);
        }
    }
    out
}

impl Reader {
    fn arguments(&mut self, arguments: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let mut next = || {
                let lacks = || format!("{} without a value", String::from_utf8_lossy(&argument));
                rest.next().ok_or_else(|| Refusal::Command(lacks()))
            };
            if argument.first() != Some(&b'-') || argument == b"-" {
                self.inputs.push((argument, self.forced));
            } else if DROPPED_WITH_VALUE.contains(&argument.as_slice()) {
                next()?;
            } else if argument == b"-Xpreprocessor" {
                let word = next()?;
                self.inner.push(word);
            } else if let Some(list) = argument.strip_prefix(b"-Wp,") {
                self.inner
                    .extend(list.split(|&b| b == b',').map(<[u8]>::to_vec));
            } else if is_utf8(&argument) {
                // What it is in any case.
            } else if let Some((_, why)) = REFUSED
                .iter()
                .find(|(prefix, _)| begins_with(&argument, prefix))
            {
                let option = String::from_utf8_lossy(&argument).into_owned();
                return Err(Refusal::Option(option, why));
            } else if argument == b"-I-" {
                self.out.gcc_only = true;
                self.out.not_beside = true;
                // They come before all of `-iquote`, also before those named earlier.
                let mut split = std::mem::take(&mut self.out.bracket);
                split.append(&mut self.out.quote);
                self.out.quote = split;
            } else if let Some((name, valued)) = VALUED
                .iter()
                .find(|(prefix, _)| begins_with(&argument, prefix))
            {
                let joined = &argument[name.len()..];
                let value = if joined.is_empty() {
                    next()?
                } else {
                    joined.to_vec()
                };
                self.valued(*valued, value)?;
            } else if KEPT_WITH_VALUE.contains(&argument.as_slice()) {
                let value = next()?;
                self.keep_with_value(argument, value)?;
            } else if let Some(map) = [&b"-ffile-prefix-map="[..], b"-fmacro-prefix-map="]
                .iter()
                .find_map(|option| argument.strip_prefix(*option))
            {
                let end = memchr::memchr(b'=', map).unwrap_or(map.len());
                self.out.mapped.push(map[..end].to_vec());
            } else if !is_irrelevant(&argument) {
                match argument.as_slice() {
                    b"-fno-canonical-system-headers" => self.out.not_canonical = true,
                    b"-fcanonical-system-headers" => self.out.not_canonical = false,
                    _ => {}
                }
                self.out.no_predef |= argument == b"-nostdinc" || argument == b"-ffreestanding";
                self.keep(argument);
            }
        }
        Ok(())
    }

    fn valued(&mut self, option: Valued, value: Vec<u8>) -> Result<(), Refusal> {
        match option {
            Valued::InnerSysroot => self.keep_with_value(b"-isysroot".to_vec(), value)?,
            Valued::System => {
                let folder = self.gcc_folder(value);
                self.out.system.push(folder);
            }
            Valued::Quote => {
                let folder = self.gcc_folder(value);
                self.out.quote.push(folder);
            }
            Valued::After => {
                let folder = self.gcc_folder(value);
                self.out.after.push(folder);
            }
            Valued::Bracket => {
                let folder = match value
                    .strip_prefix(b"=")
                    .filter(|_| !self.sysroot.is_empty())
                {
                    Some(below) => {
                        // clang puts a slash between, gcc does not.
                        self.out.gcc_only |=
                            !below.starts_with(b"/") && !self.sysroot.ends_with(b"/");
                        [&self.sysroot, below].concat()
                    }
                    None => self.gcc_folder(value),
                };
                self.out.bracket.push(folder);
            }
            Valued::Prefix => self.prefix = Some(value),
            Valued::WithPrefixBefore => {
                let folder = self.prefixed(&value)?;
                let place = self.out.bracket.len();
                self.out.with_prefix_before.push((place, folder));
            }
            Valued::WithPrefix => {
                let folder = self.prefixed(&value)?;
                let place = self.out.system.len();
                self.out.with_prefix.push((place, folder));
            }
            Valued::Include => self.out.include_files.push(value),
            Valued::MacroFile => self.out.macro_files.push(value),
            Valued::Define => self.out.preludes.push(Prelude::Define(value)),
            Valued::Undefine => self.out.preludes.push(Prelude::Undefine(value)),
            Valued::Language if value == b"none" => self.forced = None,
            Valued::Language => {
                let unknown = || format!("language {}", String::from_utf8_lossy(&value));
                let language = language_named(&value).ok_or_else(|| Refusal::Command(unknown()))?;
                self.forced = Some(language);
            }
        }
        Ok(())
    }

    /// A folder in which gcc replaces `=` and `$SYSROOT` by the sysroot, if there is one, and clang does not.
    fn gcc_folder(&mut self, value: Vec<u8>) -> Vec<u8> {
        let below = value
            .strip_prefix(b"=")
            .or_else(|| value.strip_prefix(b"$SYSROOT"));
        match below.filter(|_| !self.sysroot.is_empty()) {
            Some(below) => {
                self.out.gcc_only = true;
                [&self.sysroot, below].concat()
            }
            None => value,
        }
    }

    fn prefixed(&self, folder: &[u8]) -> Result<Vec<u8>, Refusal> {
        match &self.prefix {
            Some(prefix) => Ok([prefix.as_slice(), folder].concat()),
            None => Err(Refusal::Option(
                "-iwithprefix".into(),
                "the compiler's own prefix",
            )),
        }
    }

    fn keep_with_value(&mut self, option: Vec<u8>, value: Vec<u8>) -> Result<(), Refusal> {
        // They come behind all others, or are what no driver would hand on.
        let is_about_includes = |value: &[u8]| {
            matches!(value, [b'-', b'I' | b'i' | b'D' | b'U' | b'F', ..])
                || REFUSED.iter().any(|(prefix, _)| value.starts_with(prefix))
        };
        if option == b"-Xclang" && is_about_includes(&value) {
            return Err(Refusal::Option(
                format!("-Xclang {}", String::from_utf8_lossy(&value)),
                "an inner option",
            ));
        }
        self.out.base_is_local |=
            NAMES_FOLDER.contains(&option.as_slice()) && !value.starts_with(b"/");
        self.keep(option);
        self.keep(value);
        Ok(())
    }

    fn keep(&mut self, argument: Vec<u8>) {
        let joined = NAMES_FOLDER_JOINED
            .iter()
            .find_map(|option| argument.strip_prefix(*option))
            .map(|value| value.strip_prefix(b"=").unwrap_or(value));
        // Without a value, a profile is looked for in the working folder.
        let is_own_option = |value: &[u8]| value.is_empty() && !argument.starts_with(b"-fprofile");
        self.out.base_is_local |=
            joined.is_some_and(|value| !value.starts_with(b"/") && !is_own_option(value));
        let value = argument
            .iter()
            .position(|&b| b == b'=')
            .map_or(&argument[..], |at| &argument[at + 1..]);
        self.out.base_is_local |= memchr::memchr(b'/', value).is_some() && !value.starts_with(b"/")
            || value.starts_with(b".");
        self.out.base.push(OsString::from_vec(argument));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argv: &[&str]) -> Result<Invocation, Refusal> {
        let command = Command {
            cwd: b"/w".to_vec(),
            argv: argv.iter().map(OsString::from).collect(),
            env: Vec::new(),
        };
        read(&command, &|_| None)
    }

    #[test]
    fn sorts_folders_by_their_chain() {
        let out = parsed(&[
            "gcc",
            "-Ia",
            "-I",
            "b",
            "-isystem",
            "c",
            "-isystemd",
            "-iquote",
            "e",
            "-idirafter",
            "f",
            "-c",
            "x.c",
            "-o",
            "x.o",
        ])
        .expect("fine");
        assert_eq!(out.bracket, [b"a", b"b"]);
        assert_eq!(out.system, [b"c", b"d"]);
        assert_eq!(
            (out.quote, out.after),
            (vec![b"e".to_vec()], vec![b"f".to_vec()])
        );
        assert!(out.base.is_empty());
    }

    #[test]
    fn a_folder_with_a_prefix_comes_behind_those_without() {
        let out = parsed(&[
            "gcc",
            "-iprefix",
            "p/",
            "-iwithprefixbefore",
            "a",
            "-Ib",
            "-isystem",
            "c",
            "-iwithprefix",
            "d",
            "-isystem",
            "e",
            "x.c",
        ])
        .expect("fine");
        assert_eq!(out.bracket, [b"b"]);
        assert_eq!(out.with_prefix_before, [(1, b"p/a".to_vec())]);
        assert_eq!(out.system, [b"c", b"e"]);
        assert_eq!(out.with_prefix, [(1, b"p/d".to_vec())]);
    }

    #[test]
    fn words_for_the_preprocessor_come_last() {
        let out = parsed(&[
            "gcc",
            "-Wp,-DX,-Ia",
            "-Xpreprocessor",
            "-D",
            "-UX",
            "-Xpreprocessor",
            "Y",
            "-Ib",
            "x.c",
        ])
        .expect("fine");
        let define = |text: &[u8]| Prelude::Define(text.to_vec());
        assert_eq!(
            out.preludes,
            [Prelude::Undefine(b"X".to_vec()), define(b"X"), define(b"Y")]
        );
        assert_eq!(out.bracket, [b"b", b"a"]);
    }

    #[test]
    fn an_equals_sign_is_the_sysroot_if_there_is_one() {
        let bracket = |argv: &[&str]| parsed(argv).expect("fine").bracket;
        assert_eq!(bracket(&["gcc", "-I=/a", "x.c"]), [b"=/a"]);
        assert_eq!(bracket(&["gcc", "-I=/a", "--sysroot=/s", "x.c"]), [b"/s/a"]);
        let both = ["gcc", "-I=/a", "-isysroot", "/i", "--sysroot", "/s", "x.c"];
        assert_eq!(bracket(&both), [b"/i/a"]);
    }

    #[test]
    fn the_driver_and_the_name_give_the_language() {
        assert_eq!(
            parsed(&["gcc", "x.c"]).expect("fine").language,
            Some(Language::C)
        );
        assert_eq!(
            parsed(&["g++", "x.c"]).expect("fine").language,
            Some(Language::Cxx)
        );
        assert_eq!(
            parsed(&["gcc", "-x", "c++", "x"]).expect("fine").language,
            Some(Language::Cxx)
        );
        assert_eq!(
            parsed(&["gcc", "x.S"]).expect("fine").language,
            Some(Language::Assembler)
        );
        assert!(parsed(&["gcc", "a.c", "b.c"]).is_err());
    }

    #[test]
    fn refuses_what_it_does_not_model() {
        assert!(matches!(
            parsed(&["clang", "-fmodules", "x.c"]),
            Err(Refusal::Option(..))
        ));
        assert!(matches!(
            parsed(&["clang", "-include-pch", "p", "x.c"]),
            Err(Refusal::Option(..))
        ));
    }
}
