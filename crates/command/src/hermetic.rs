//! A compile as a hermetic action: what the command reads beside the source and its headers, and all that it may write.
//!
//! Rules of their own, wider than those of [`mod@crate::plan`]: an action takes along any file that is named, and brings
//! back any file that is declared. What may be written is declared under each name that gcc or clang could give it;
//! what is not made is not missed. `tests/compilers/hermetic.rs` compares with the files that both make.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::client::tools_chosen::choice;
use crate::client::{LocalOption, Why, judge, native};
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
    /// Files that options name and the compiler may read, as written, with a working folder like the command's.
    pub reads: Vec<OsString>,
    /// Files that the compiler may write, the object among them: from the working folder, or absolute.
    pub writes: BTreeSet<OsString>,
    /// The object among them.
    pub output: OsString,
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
    let words = Words::read(argv)?;
    let mut files = Files {
        argv,
        words: &words,
        reads: Vec::new(),
        writes: BTreeSet::new(),
    };
    files.write(&words.output);
    files.add_dependency_file();
    for index in option::options_of(argv) {
        let next = argv.get(index + 1).map(|next| next.as_bytes());
        let why = match choice(argv[index].as_bytes(), next) {
            // Of the tools that they choose nobody knows what they are made of.
            Some(_) => Some(Why::Executes),
            None => judge(argv, index, !words.output_is_ours),
        };
        if let Some(why) = why
            && !files.add(index, why)
        {
            let inner = usize::from(argv[index] == "-Xclang");
            return Err(local(&argv[index + inner], why));
        }
    }
    if native::asks_for_this_machine(argv) {
        let mut words = argv.iter();
        let word = words.find(|word| word.as_bytes().ends_with(b"=native"));
        return Err(local(word.unwrap_or(&argv[0]), Why::Unmodelled));
    }
    let Files { reads, writes, .. } = files;
    Ok(Hermetic {
        input: words.input.clone(),
        language: words.language,
        output: OsString::from_vec(words.output.clone()),
        reads,
        writes,
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
    /// The compiler chooses it.
    output_is_ours: bool,
    language: Language,
}

impl Words {
    fn read(argv: &[OsString]) -> Result<Self, WhyLocal> {
        let is_value = option::values(argv);
        let end = option::end(argv);
        let (mut compiles, mut to_assembler) = (false, false);
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
                b"-S" => (compiles, to_assembler) = (true, true),
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
        let extension: &[u8] = if to_assembler { b".s" } else { b".o" };
        let ours = || replaced(source, extension);
        let output_is_ours = output.is_none();
        let output = output.map_or_else(ours, <[u8]>::to_vec);
        if matches!(&output[..], b"-" | b"/dev/stdout") {
            return Err(WhyLocal::OutputToStdout);
        }
        Ok(Self {
            input: input.clone(),
            output,
            output_is_ours,
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

/// What a command reads and writes, as it is found.
struct Files<'c> {
    argv: &'c [OsString],
    words: &'c Words,
    reads: Vec<OsString>,
    writes: BTreeSet<OsString>,
}

impl Files<'_> {
    /// Adds the files of the option at `index`, which for this reason would keep a command of protocol 3 local.
    /// Says whether that is all that it does.
    fn add(&mut self, index: usize, why: Why) -> bool {
        let word = self.argv[index].as_bytes();
        let Some(entry) = options::find(word) else {
            return false;
        };
        let value = match options::takes_next(word) {
            true => self.argv.get(index + 1).map(|next| next.as_bytes()),
            false => entry.glued_value(word),
        };
        let value = value.unwrap_or_default().to_vec();
        match (entry.name, why) {
            ("-gsplit-dwarf", _) => self.write_beside(&[b".dwo"]),
            ("-fstack-usage", _) => self.write_beside(&[b".su"]),
            ("-fcallgraph-info", _) => self.write_beside(&[b".ci"]),
            ("--coverage" | "-coverage" | "-ftest-coverage", _) => self.write_beside(&[b".gcno"]),
            // What is written then, the program writes when it runs.
            ("-fprofile-arcs", _) => {}
            ("-save-temps", _) if matches!(&*value, b"" | b"=cwd" | b"=obj" | b"cwd" | b"obj") => {
                self.write_beside(&[b".i", b".ii", b".mi", b".mii", b".s", b".bc"]);
            }
            ("-ftime-trace", _) if word == b"-ftime-trace" => self.write_beside(&[b".json"]),
            ("-fsave-optimization-record", _) if word == b"-fsave-optimization-record" => {
                let source = self.words.input.as_bytes();
                let stem = replaced(source, b"").len();
                // gcc keeps the source's extension in it.
                let record = [&source[stem..], b".opt-record.json.gz"].concat();
                self.write_beside(&[b".opt.yaml", &record]);
            }
            ("-MF", _) => {} // Standard output comes back.
            ("-Wp,", Why::Writes) => return self.add_dependencies_of_wp(&value),
            ("-MJ" | "-serialize-diagnostics" | "-aux-info", _) if !value.is_empty() => {
                self.write(&value);
            }
            ("-fsanitize-blacklist=" | "-fsanitize-ignorelist=", _)
            | ("-fprofile-instr-use" | "-fprofile-sample-use" | "-fauto-profile", _)
            | ("-fprofile-list" | "-fprofile-remapping-file", _)
            | ("-fxray-always-instrument" | "-fxray-attr-list" | "-fxray-never-instrument", _)
            | ("-fsanitize-coverage-allowlist" | "-fsanitize-coverage-ignorelist", _) => {
                let file = value.strip_prefix(b"=").unwrap_or(&value);
                if file.is_empty() {
                    return false;
                }
                self.reads.push(OsString::from_vec(file.to_vec()));
            }
            // Arguments and folders are the client's own.
            ("-g" | "-f", Why::Unmodelled) => {}
            ("-fcoverage-mapping" | "-gembed-source" | "-frecord-command-line", _)
            | ("-grecord-command-line", _) => {}
            _ => return false,
        }
        true
    }

    /// Kernels' makefiles ask for `-Wp,-MMD,FILE`.
    fn add_dependencies_of_wp(&mut self, list: &[u8]) -> bool {
        let parts: Vec<&[u8]> = list.split(|&byte| byte == b',').collect();
        match parts[..] {
            [b"-MD" | b"-MMD", file] => {
                self.write(file);
                true
            }
            _ => false,
        }
    }

    fn add_dependency_file(&mut self) {
        let is_value = option::values(self.argv);
        let words = self.argv.iter().zip(&is_value).skip(1);
        let mut words = words.filter_map(|(word, is_value)| (!is_value).then_some(word.as_bytes()));
        if !words.any(|word| {
            matches!(
                word,
                b"-MD" | b"-MMD" | b"--write-dependencies" | b"--write-user-dependencies"
            )
        }) {
            return;
        }
        let file = option::last_value(self.argv, b"-MF");
        match file {
            Some(b"-" | b"/dev/stdout") => {}
            Some(file) => {
                let file = file.to_vec();
                self.write(&file);
            }
            None => self.write_beside(&[b".d"]),
        }
    }

    /// A file that is named by itself.
    fn write(&mut self, name: &[u8]) {
        self.writes.insert(OsString::from_vec(name.to_vec()));
    }

    /// Files that compilers name after the object or the source.
    fn write_beside(&mut self, extensions: &[&[u8]]) {
        let (output, source) = (&self.words.output, basename(self.words.input.as_bytes()));
        let folder = &output[..output.len() - basename(output).len()];
        let beside = [folder, source].concat();
        let named = basename(output);
        for extension in extensions {
            let names = [
                replaced(output, extension),
                [output, *extension].concat(),
                replaced(&beside, extension),
                replaced(source, extension),
                replaced(named, extension),
                // clang, without `-o`.
                replaced(&replaced(source, b""), extension),
                // gcc, where the object is called neither after the source nor `*.o`.
                replaced(&[output, &b"-"[..], source].concat(), extension),
                replaced(&[named, &b"-"[..], source].concat(), extension),
            ];
            self.writes.extend(names.map(OsString::from_vec));
        }
    }
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
        let read =
            read("clang -c a.c -fsanitize=address -fsanitize-ignorelist=x/l -fprofile-instr-use=p");
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
            ("-fplugin=x.so", "-fplugin=x.so", Why::Executes),
            ("-wrapper x", "-wrapper", Why::Executes),
            ("-Xclang -load -Xclang x", "-load", Why::Executes),
            ("-fdump-tree-all", "-fdump-tree-all", Why::Writes),
            ("-fsyntax-only", "-fsyntax-only", Why::Answers),
            ("-nowhere", "-nowhere", Why::Unknown),
            ("-fprofile-instr-use", "-fprofile-instr-use", Why::Reads),
            ("-Bx", "-Bx", Why::Executes),
            ("-march=native", "-march=native", Why::Unmodelled),
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
