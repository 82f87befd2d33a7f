//! A compile as a hermetic action: what the command reads beside the source and its headers, and all that it may write.
//!
//! Rules of their own, wider than those of [`mod@crate::plan`]: an action takes along any file that is named, and brings
//! back any file that is declared. What may be written is declared under each name that gcc or clang could give it;
//! what is not made is not missed. `tests/compilers/hermetic.rs` compares with the files that both make.
//!
//! `files.rs` knows which option reads and writes what, `tools.rs` which ones choose the compiler's own parts.

mod files;
mod tools;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::client::{LocalOption, Why, in_usual_words, judge, native};
use crate::extension::{basename, replaced};
use crate::option;
use crate::options;
use crate::plan::WhyLocal;

/// A command that can run where nothing is but what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hermetic {
    /// The source, as written.
    pub input: OsString,
    /// What the source is written in.
    pub language: Language,
    /// Files and folders that options name and the compiler may read, as far as they are there: from the working folder, or absolute.
    pub reads: Vec<OsString>,
    /// More of them, of which only the ends of the names are known.
    pub reads_within: Vec<Within>,
    /// Libraries that the compiler loads: paths, or for gcc names in its folder of plugins.
    pub plugins: Vec<OsString>,
    /// What those are told: it may name files.
    pub plugin_arguments: Vec<OsString>,
    /// Words that choose the compiler's programs and settings, with their values.
    pub tools: Vec<OsString>,
    /// Files that the compiler may write, the object among them: from the working folder, or absolute.
    pub writes: BTreeSet<OsString>,
    /// The object among them.
    pub output: OsString,
}

/// Files of one folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// The folder.
    pub folder: OsString,
    /// How their names end.
    pub endings: BTreeSet<OsString>,
}

/// What a source is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// C.
    C,
    /// C++.
    Cxx,
    /// Objective-C.
    ObjectiveC,
    /// Objective-C++.
    ObjectiveCxx,
    /// Assembler that is preprocessed.
    PreprocessedAssembler,
}

/// Why a command is no action. `Display` gives the words for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotHermetic {
    /// It is no compile of one source.
    Command(WhyLocal),
    /// An option of it.
    Option(LocalOption),
}

impl fmt::Display for NotHermetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(why) => why.fmt(f),
            Self::Option(why) => why.fmt(f),
        }
    }
}

impl From<WhyLocal> for NotHermetic {
    fn from(why: WhyLocal) -> Self {
        Self::Command(why)
    }
}

/// Reads a command without `@file`, whose `-Wp,` words are expanded and whose `-march=native` is spelled out.
///
/// # Errors
/// [`NotHermetic`]: it has to run where it was called.
pub fn hermetic(argv: &[OsString]) -> Result<Hermetic, NotHermetic> {
    let argv = &in_usual_words(argv.to_vec())[..];
    let words = Words::read(argv)?;
    let mut files = files::Files::new(argv, &words);
    for index in option::options_of(argv) {
        let why = match tools::chooses(argv, index) {
            true => None, // Whoever finds the compiler is told of it.
            false => judge(argv, index, true),
        };
        if let Some(why) = why
            && !files.add(index, why)
        {
            let inner = usize::from(argv[index] == "-Xclang");
            return Err(local(argv.get(index + inner).unwrap_or(&argv[index]), why));
        }
    }
    if native::asks_for_this_machine(argv) {
        let mut words = argv.iter();
        let word = words.find(|word| word.as_bytes().ends_with(b"=native"));
        return Err(local(word.unwrap_or(&argv[0]), Why::Unmodelled));
    }
    if let Some(word) = argv.iter().find(|word| converts(word.as_bytes())) {
        return Err(local(word, Why::Reads));
    }
    let files::Named {
        reads,
        reads_within,
        plugins,
        plugin_arguments,
        writes,
    } = files.named;
    Ok(Hermetic {
        input: words.input.clone(),
        language: words.language,
        output: OsString::from_vec(words.output.clone()),
        reads,
        reads_within,
        plugins,
        plugin_arguments,
        tools: tools::tools(argv, &words.input),
        writes,
    })
}

/// Whether an option has the compiler convert from or to another character set than its own: by modules of the C library, which
/// finds them by tables of the machine's. It may stand within a `-Wp,`, too.
fn converts(word: &[u8]) -> bool {
    let names = [
        &b"-finput-charset="[..],
        b"-fexec-charset=",
        b"-fwide-exec-charset=",
    ];
    names.iter().any(|name| {
        let at = word.windows(name.len()).position(|part| part == *name);
        let set = at.map(|at| &word[at + name.len()..]);
        set.is_some_and(|set| {
            !set.eq_ignore_ascii_case(b"utf-8") && !set.eq_ignore_ascii_case(b"utf8")
        })
    })
}

fn local(option: &OsStr, why: Why) -> NotHermetic {
    let option = option.to_owned();
    NotHermetic::Option(LocalOption { option, why })
}

/// What the words of a command are.
struct Words {
    input: OsString,
    output: Vec<u8>,
    language: Language,
}

impl Words {
    fn read(argv: &[OsString]) -> Result<Self, WhyLocal> {
        let is_value = option::values(argv);
        let end = option::end(argv);
        let (mut compiles, mut to_text, mut to_llvm) = (false, false, false);
        let (mut inputs, mut output, mut said) = (Vec::new(), None, None);
        // Whatever stands in front of options are compilers and launchers.
        let names = argv.iter().take_while(|word| !is_option(word));
        let is_name = |word: &OsStr| Language::of_name(word).is_none();
        let first = names.take_while(|word| is_name(word)).count().max(1);
        for (index, word) in argv.iter().enumerate().skip(first) {
            let bytes = word.as_bytes();
            if is_value[index] {
                continue;
            }
            if index > end || !is_option(word) {
                if index != end {
                    inputs.push(word);
                }
                continue;
            }
            let next = argv.get(index + 1);
            match bytes {
                b"-E" => return Err(WhyLocal::Preprocess),
                // Without `-MD` they stand for `-E`.
                b"-M" | b"-MM" => return Err(WhyLocal::Preprocess),
                b"-c" => compiles = true,
                b"-S" => (compiles, to_text) = (true, true),
                b"-emit-llvm" => to_llvm = true,
                _ if options::takes_next(bytes) && next.is_none() => {
                    return Err(WhyLocal::MissingValue(word.clone()));
                }
                _ => {}
            }
            let value = |option: &[u8]| match (bytes == option, next) {
                (true, next) => next.map(|next| next.as_bytes()),
                (false, _) => bytes.strip_prefix(option),
            };
            let entry = options::find(bytes).map(|entry| entry.name);
            if entry == Some("-o") && output.replace(value(b"-o").unwrap_or_default()).is_some() {
                return Err(WhyLocal::TwoOutputs);
            }
            if entry == Some("-x") {
                // It counts for what follows.
                if !inputs.is_empty() {
                    return Err(WhyLocal::AmbiguousValue(word.clone()));
                }
                said = value(b"-x").map(<[u8]>::to_vec);
            }
        }
        if !compiles {
            return Err(WhyLocal::NotACompile);
        }
        let [input] = inputs[..] else {
            return Err(match inputs.is_empty() {
                true => WhyLocal::NoInput,
                false => WhyLocal::TwoInputs,
            });
        };
        let source = basename(input.as_bytes());
        if source.starts_with(b"conftest.") || source.starts_with(b"tmp.conftest.") {
            return Err(WhyLocal::Conftest);
        }
        let language = match &said {
            Some(name) => Language::said(name)
                .ok_or_else(|| WhyLocal::Language(OsString::from_vec(name.clone())))?,
            None => Language::of_name(input).ok_or(WhyLocal::NoInput)?,
        };
        let compiles_cxx = argv[..first].iter().any(|name| is_cxx(name.as_bytes()));
        // Assembler text has no other form.
        let to_llvm = to_llvm && language != Language::PreprocessedAssembler;
        let extension: &[u8] = match (to_llvm, to_text) {
            (false, false) => b".o",
            (false, true) => b".s",
            (true, false) => b".bc",
            (true, true) => b".ll",
        };
        let ours = || replaced(source, extension);
        let output = output.map_or_else(ours, <[u8]>::to_vec);
        if matches!(&output[..], b"-" | b"/dev/stdout") {
            return Err(WhyLocal::OutputToStdout);
        }
        Ok(Self {
            input: input.clone(),
            output,
            language: match language {
                Language::C if compiles_cxx && said.is_none() => Language::Cxx,
                language => language,
            },
        })
    }
}

impl Language {
    /// By the extension of a source that is preprocessed.
    fn of_name(name: &OsStr) -> Option<Self> {
        let name = basename(name.as_bytes());
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        Some(match &name[dot..] {
            b".c" => Self::C,
            b".cc" | b".cpp" | b".cxx" | b".cp" | b".c++" | b".C" | b".CPP" => Self::Cxx,
            b".m" => Self::ObjectiveC,
            b".mm" | b".M" => Self::ObjectiveCxx,
            b".S" | b".sx" => Self::PreprocessedAssembler,
            _ => return None,
        })
    }

    /// As `-x` names it.
    fn said(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"c" => Self::C,
            b"c++" => Self::Cxx,
            b"objective-c" => Self::ObjectiveC,
            b"objective-c++" => Self::ObjectiveCxx,
            b"assembler-with-cpp" => Self::PreprocessedAssembler,
            _ => return None,
        })
    }
}

fn is_option(word: &OsStr) -> bool {
    word.len() > 1 && word.as_bytes()[0] == b'-'
}

/// Whether a compiler of this name takes C for C++: `g++-12`, `x86_64-linux-gnu-g++`, `clang++`, `c++`.
fn is_cxx(name: &[u8]) -> bool {
    basename(name).windows(2).any(|part| part == b"++")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    fn read(command: &str) -> Hermetic {
        match hermetic(&argv(command)) {
            Ok(hermetic) => hermetic,
            Err(why) => panic!("{command}: {why}"),
        }
    }

    fn writes(command: &str, expected: &[&str]) {
        let writes = read(command).writes;
        let expected: BTreeSet<OsString> = expected.iter().map(OsString::from).collect();
        assert_eq!(writes, expected, "{command}");
    }

    #[test]
    fn input_and_language_are_found() {
        for (command, input, language) in [
            ("gcc -c a.c", "a.c", Language::C),
            ("g++-12 -c a.c", "a.c", Language::Cxx),
            ("ccache clang++ -c a.c -o b.c.o", "a.c", Language::Cxx),
            ("gcc -x c++ -c -I a.h a.txt", "a.txt", Language::Cxx),
            ("g++ -xc -c a.cc", "a.cc", Language::C),
            ("gcc -c d/a.S", "d/a.S", Language::PreprocessedAssembler),
            ("gcc -c a.mm", "a.mm", Language::ObjectiveCxx),
            ("clang -c -- -a.c", "-a.c", Language::C),
        ] {
            let read = read(command);
            assert_eq!(
                (read.input, read.language),
                (input.into(), language),
                "{command}"
            );
        }
    }

    #[test]
    fn all_that_may_be_written_is_declared() {
        writes("gcc -c d/a.c", &["a.o"]);
        writes("gcc -S a.c", &["a.s"]);
        writes("gcc -c a.c -ox/y.o -MD -MF dep -MT t", &["x/y.o", "dep"]);
        writes("gcc -c a.c -o x -MMD -MF-", &["x"]);
        let made = read("gcc -c src/a.c -o x/y.o -MD --coverage -gsplit-dwarf").writes;
        for name in ["x/y.d", "x/y.gcno", "x/y.dwo", "a.gcno"] {
            assert!(made.contains(OsStr::new(name)), "{name}: {made:?}");
        }
    }

    #[test]
    fn files_that_options_name_are_read() {
        let read = read(
            "clang -c a.c -fsanitize=address -fsanitize-ignorelist=x/l -fprofile-sample-use=p",
        );
        assert_eq!(read.reads, ["x/l", "p"]);
    }

    #[test]
    fn what_is_no_compile_of_one_source_is_local() {
        for (command, why) in [
            ("gcc a.c", WhyLocal::NotACompile),
            ("gcc -E a.c", WhyLocal::Preprocess),
            ("gcc -c -M a.c", WhyLocal::Preprocess),
            ("gcc -c a.c b.c", WhyLocal::TwoInputs),
            ("gcc -c a.c x.o", WhyLocal::TwoInputs),
            ("gcc -c", WhyLocal::NoInput),
            ("gcc -c a.s", WhyLocal::NoInput),
            ("gcc -c a.c -o -", WhyLocal::OutputToStdout),
            ("gcc -c a.c -o a -ob", WhyLocal::TwoOutputs),
            ("gcc -c a.c -o", WhyLocal::MissingValue("-o".into())),
            (
                "gcc -c -x c-header a.c",
                WhyLocal::Language("c-header".into()),
            ),
            ("gcc -c conftest.c", WhyLocal::Conftest),
        ] {
            assert_eq!(
                hermetic(&argv(command)),
                Err(NotHermetic::Command(why)),
                "{command}"
            );
        }
    }

    #[test]
    fn what_no_action_can_hold_is_local() {
        for (words, option, why) in [
            ("-wrapper x", "-wrapper", Why::Executes),
            ("-Xclang -plugin -Xclang x", "-plugin", Why::Executes),
            ("-fdump-tree-all", "-fdump-tree-all", Why::Writes),
            ("-fsyntax-only", "-fsyntax-only", Why::Answers),
            ("-nowhere", "-nowhere", Why::Unknown),
            ("-iplugindir=x", "-iplugindir=x", Why::Executes),
            ("-march=native", "-march=native", Why::Unmodelled),
            ("-finput-charset=L1", "-finput-charset=L1", Why::Reads),
            ("-fexec-charset=x", "-fexec-charset=x", Why::Reads),
            (
                "-fwide-exec-charset=UTF-16",
                "-fwide-exec-charset=UTF-16",
                Why::Reads,
            ),
        ] {
            let option = option.into();
            let expected = Err(NotHermetic::Option(LocalOption { option, why }));
            assert_eq!(
                hermetic(&argv(&format!("clang -c a.c {words}"))),
                expected,
                "{words}"
            );
        }
    }

    #[test]
    fn what_only_the_old_protocols_cannot_carry_is_an_action() {
        for words in [
            "-flto",
            "-frecord-gcc-switches",
            "-fprofile-arcs",
            "-fcoverage-mapping",
            "-DX=1 -Iinc -std=c11 -include x.h",
        ] {
            read(&format!("clang -c a.c {words}"));
        }
    }
}
