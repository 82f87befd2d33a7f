//! Which commands does a client keep because of an option?
//!
//! The wire protocols bring back one object and one dependency file, and send the source and, at
//! most, what it includes. distcc 3.4 distributes commands that write more or read more: it
//! accepts the object, and the other files are lost, or the compile fails. Other options no
//! server should obey, or nobody here knows. (What 3.4's own rules keep local is in
//! [`mod@crate::plan`].)
//!
//! Most of it is in the table of options; here is what depends on a value. Found with gcc 12.2,
//! clang 14.0.6 and their manuals.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::tools_chosen;
use crate::options::{self, Class};
use crate::server::is_unsafe;
use crate::{Compile, extension, option};

/// An option for which a command runs where it was called. `Display` says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalOption {
    /// The word; the inner one of `-Xclang WORD`.
    pub option: OsString,
    /// What is wrong with it.
    pub why: Why,
}

/// Why an option keeps a command here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It writes a file that servers do not send back.
    Writes,
    /// It asks for something that is no object.
    Answers,
    /// It reads a file or folder that is not sent.
    Reads,
    /// It runs code that the user chose: servers refuse it.
    Executes,
    /// Its effect is known to be another one elsewhere.
    Unmodelled,
    /// No compiler that we know has it, so its next word may be anything.
    Unknown,
}

impl fmt::Display for LocalOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = self.option.display();
        match self.why {
            Why::Writes => write!(f, "{option} writes a file that servers do not send back"),
            Why::Answers => write!(f, "{option} asks for no object"),
            Why::Reads => write!(f, "{option} reads what is not sent to servers"),
            Why::Executes => write!(f, "{option} runs code, which servers refuse"),
            Why::Unmodelled => write!(f, "{option} means something else on servers"),
            Why::Unknown => write!(f, "{option} is not known"),
        }
    }
}

impl Compile {
    /// The first option that keeps a command here.
    #[must_use]
    pub fn local_option(&self) -> Option<LocalOption> {
        local_option(&self.argv, !self.output_appended)
    }
}

impl Compile {
    /// The option, if there is one, that has gcc note the working folder in the object: of a text that is preprocessed already
    /// it takes the folder that the text names, or else the one where it runs.
    #[must_use]
    pub fn notes_folder(&self) -> Option<LocalOption> {
        let mut options = option::options_of(&self.argv).map(|index| &self.argv[index]);
        let option = options.find(|word| debugs(word.as_bytes()))?;
        Some(LocalOption {
            option: option.clone(),
            why: Why::Unmodelled,
        })
    }
}

/// Whether an option asks for debug information: all that begin as such options do, but for those that switch it off or
/// only say what it looks like.
pub(super) fn debugs(word: &[u8]) -> bool {
    const OTHERS: &[&[u8]] = &[
        b"-gno-",
        b"-gcc-toolchain",
        b"-gen-",
        b"-gnat",
        b"-grecord-",
        b"-gcolumn-info",
        b"-gz",
    ];
    let is_other = OTHERS.iter().any(|other| word.starts_with(other));
    let is_none = matches!(word, b"-g0" | b"-ggdb0" | b"--debug=0" | b"--debug0");
    (word.starts_with(b"-g") || word.starts_with(b"--debug")) && !is_other && !is_none
}

fn local_option(argv: &[OsString], names_output: bool) -> Option<LocalOption> {
    let local = |option: &OsStr, why| LocalOption {
        option: option.to_owned(),
        why,
    };
    let found = option::options_of(argv).find_map(|index| {
        let why = judge(argv, index, names_output)?;
        let is_inner = argv[index] == "-Xclang";
        Some(local(&argv[index + usize::from(is_inner)], why))
    });
    found.or_else(|| {
        let mut words = argv.iter().enumerate().skip(1);
        let (_, option) = words.find(|&(index, word)| {
            is_unsafe(word.as_bytes()) && !chooses_other_tools(argv, index)
        })?;
        Some(local(option, Why::Executes))
    })
}

/// The first word that makes the compiler write a file that the wire protocols cannot bring
/// back (`-gsplit-dwarf`, `-save-temps`, `-fdump-...`, `-fstack-usage`, ...), or no object at
/// all (`-fsyntax-only`, `-###`): what a server refuses of it.
#[must_use]
pub fn lost_output(argv: &[OsString]) -> Option<&OsStr> {
    let mut indices = option::options_of(argv);
    let is_lost = |why| matches!(why, Why::Writes | Why::Answers);
    let found = indices.find(|&index| judge(argv, index, true).is_some_and(is_lost))?;
    Some(&argv[found])
}

/// How many words, from this one on, belong to an option that writes a file or prints something;
/// 0 if it is none. For commands from which such options have to go.
pub(super) fn writer_length(argv: &[OsString], index: usize) -> usize {
    let word = argv[index].as_bytes();
    let alone = std::slice::from_ref(&argv[index]);
    match judge(alone, 0, true) {
        Some(Why::Writes | Why::Answers) if options::takes_next(word) && index + 1 < argv.len() => {
            2
        }
        Some(Why::Writes | Why::Answers) => 1,
        _ => 0,
    }
}

/// Whether the option at `index` chooses tools of which the compile of preprocessed text uses none, as far as words can
/// tell.
fn chooses_other_tools(argv: &[OsString], index: usize) -> bool {
    let next = argv.get(index + 1).map(|next| next.as_bytes());
    tools_chosen::choice(argv[index].as_bytes(), next).is_some()
        && !tools_chosen::calls_assembler(argv)
}

/// `names_output`: the command says by itself where its object goes.
pub(crate) fn judge(argv: &[OsString], index: usize, names_output: bool) -> Option<Why> {
    let word = argv[index].as_bytes();
    let Some(entry) = options::find(word) else {
        return Some(Why::Unknown);
    };
    let next = || argv.get(index + 1).map(|next| next.as_bytes());
    let value = || entry.glued_value(word).or_else(next).unwrap_or_default();
    match entry.name {
        "-d" => is_dump(word).then_some(Why::Writes),
        // The rule goes to standard output, where a preprocessor's text goes too.
        "-MF" if matches!(value(), b"-" | b"/dev/stdout") => Some(Why::Writes),
        // gcc refuses them then, and servers add what is missing.
        "-M" if word != b"-MP" => None,
        "-M" | "-MF" | "-MQ" | "-MT" => (!asks_for_dependencies(argv)).then_some(Why::Unmodelled),
        // A precompiled header, good only for the very compiler that made it; without `-o` its
        // name is not the one that we would choose.
        "-x" if value().ends_with(b"-header") => Some(Why::Writes),
        // Preprocessing such a text, whose name says that it needs it, gives nothing.
        "-x" if value().ends_with(b"cpp-output") => {
            (!has_preprocessed_source(argv)).then_some(Why::Unmodelled)
        }
        "-x" => None,
        // clang names these `a.bc` and `a.ll` by itself, where a plan says `a.o` and `a.s`.
        "-emit-llvm" => (!names_output).then_some(Why::Writes),
        "-Xpreprocessor" => preprocessor_word(value()),
        "-Wp," => {
            let mut parts = value().split(|&byte| byte == b',');
            parts.find_map(preprocessor_word)
        }
        "-Xassembler" | "--for-assembler" => is_assembler_writer(value()).then_some(Why::Writes),
        "-Wa," => {
            let mut parts = value().split(|&byte| byte == b',');
            parts.any(is_assembler_writer).then_some(Why::Writes)
        }
        "-Xclang" if is_inner_value(argv, index) => None,
        // The folder would be the server's, unless the driver knows of debug information, too.
        "-Xclang" | "-Xclang=" if value().starts_with(b"-debug-info-kind") => {
            let mut words = argv.iter();
            let is_known = words.any(|word| debugs(word.as_bytes()));
            (!is_known).then_some(Why::Unmodelled)
        }
        "-Xclang" | "-Xclang=" => inner(value()),
        "-mllvm" | "-mllvm=" => is_llvm_writer(value()).then_some(Why::Writes),
        // The preprocessor would not do its work; what is preprocessed already may say so.
        "-fpreprocessed" if has_preprocessed_source(argv) => None,
        "-f" | "-g" => flag(word, argv),
        _ if chooses_other_tools(argv, index) => None,
        _ => local_class(entry.class),
    }
}

/// Whether the compiler writes which files it reads. (Longer words that ask for it keep a command here by
/// themselves.)
fn asks_for_dependencies(argv: &[OsString]) -> bool {
    option::options_of(argv).any(|index| {
        let word = argv[index].as_bytes();
        matches!(word, b"-M" | b"-MM" | b"-MD" | b"-MMD")
    })
}

fn local_class(class: Class) -> Option<Why> {
    match class {
        Class::Writes => Some(Why::Writes),
        Class::Answers => Some(Why::Answers),
        Class::Reads | Class::ReadsPath => Some(Why::Reads),
        Class::Executes => Some(Why::Executes),
        Class::Unmodelled => Some(Why::Unmodelled),
        _ => None,
    }
}

/// Flags of which only some values do harm.
fn flag(word: &[u8], argv: &[OsString]) -> Option<Why> {
    let starts = |prefix: &[u8]| word.starts_with(prefix);
    match word {
        _ if starts(b"-fopt-info") && word.contains(&b'=') => Some(Why::Writes),
        _ if starts(b"-fdiagnostics-format=") && word.ends_with(b"-file") => Some(Why::Writes),
        // gcc notes options that make code; clang the whole command, with the server's paths.
        b"-frecord-gcc-switches" | b"-grecord-gcc-switches" if calls_clang(argv) => {
            Some(Why::Unmodelled)
        }
        _ => None,
    }
}

/// Whether a command calls clang, by the names in front of its options.
pub(super) fn calls_clang(argv: &[OsString]) -> bool {
    let is_clang = |word: &OsString| {
        let name = extension::basename(word.as_bytes());
        name.windows(5).any(|part| part == b"clang")
    };
    let mut names = argv
        .iter()
        .take_while(|word| !word.as_bytes().starts_with(b"-"));
    names.any(is_clang)
}

/// A word for the preprocessor, or for all of the inner compiler.
fn preprocessor_word(word: &[u8]) -> Option<Why> {
    // It names files of its own by `-MD FILE`, whatever the driver's options say.
    if word.starts_with(b"-M") {
        return Some(Why::Writes);
    }
    match options::class(word) {
        None if word.starts_with(b"-") => Some(Why::Unknown),
        // gcc and clang preprocess within the compiler, which obeys it without a word of the driver's.
        Some(Class::Compile | Class::CompilePath) => Some(Why::Unmodelled),
        class => class.and_then(local_class),
    }
}

/// Whether the word that the `-Xclang` at `index` hands on is the value of the one before.
fn is_inner_value(argv: &[OsString], index: usize) -> bool {
    const TAKE_NEXT: &[&[u8]] = &[
        b"-target-feature",
        b"-target-cpu",
        b"-target-abi",
        b"-tune-cpu",
        b"-triple",
    ];
    let Some([carrier, option]) = index.checked_sub(2).map(|at| [&argv[at], &argv[at + 1]]) else {
        return false;
    };
    let takes_next =
        TAKE_NEXT.contains(&option.as_bytes()) || options::takes_next(option.as_bytes());
    carrier == "-Xclang" && takes_next && !is_inner_value(argv, index - 2)
}

/// A word for clang's inner compiler, which has options of its own: those that our table has,
/// and some that change code alone.
fn inner(word: &[u8]) -> Option<Why> {
    const KNOWN: &[&[u8]] = &[
        b"-disable-",
        b"-enable-",
        b"-no-",
        b"-target-",
        b"-tune-cpu",
        b"-triple",
        b"-vectorize-",
        b"-debugger-tuning",
        b"-dwarf-",
        b"-analyzer-",
    ];
    if !word.starts_with(b"-") {
        return None; // The value of the inner option before.
    }
    if KNOWN.iter().any(|known| word.starts_with(known)) {
        return None;
    }
    match options::class(word) {
        None | Some(Class::Linker) => Some(Why::Unknown),
        // An option of the code generator follows, as behind `-mllvm` itself.
        Some(Class::Carrier) if word == b"-mllvm" => None,
        Some(Class::Job | Class::Carrier) => Some(Why::Unmodelled),
        Some(Class::Dependencies | Class::Printing) => Some(Why::Writes),
        Some(class) => local_class(class),
    }
}

/// A listing, a dependency file, an output of another name.
fn is_assembler_writer(option: &[u8]) -> bool {
    let begins = |start: &&[u8]| option.starts_with(start);
    [&b"-a"[..], b"--MD", b"-MD", b"-o"].iter().any(begins)
}

fn is_llvm_writer(option: &[u8]) -> bool {
    let name = option.strip_prefix(b"-").unwrap_or(option);
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let end = name.iter().position(|&byte| byte == b'=');
    let (name, value) = name.split_at(end.unwrap_or(name.len()));
    // There are hundreds of these options, and they come and go with versions: by their words.
    const WORDS: &[&[u8]] = &[
        b"output", b"file", b"files", b"write", b"dump", b"dot", b"view", b"path", b"dir", b"log",
    ];
    let mut words = name.split(|&byte| byte == b'-');
    name.starts_with(b"print-changed")
        || (name == b"o" && !value.is_empty())
        || words.any(|word| WORDS.contains(&word))
}

/// gcc's `-d` and letters: a dump each, but for the ones that only annotate or that concern
/// `-E` alone.
fn is_dump(word: &[u8]) -> bool {
    word[2..]
        .iter()
        .any(|letter| !b"ADHIMNPUpx".contains(letter))
}

fn has_preprocessed_source(argv: &[OsString]) -> bool {
    let mut sources = argv.iter().filter_map(|word| extension::source(word));
    sources.any(|source| source.preprocessed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{argv, compile};

    #[test]
    fn debug_information_has_the_folder_in_it() {
        let option = |words: &str| {
            let found = compile(&format!("gcc -c a.i {words}")).notes_folder();
            found.map(|found| found.option)
        };
        for word in [
            "-g",
            "-g3",
            "-ggdb",
            "-gdwarf-5",
            "-gtoggle",
            "-gbtf",
            "--debug",
            "--debug=3",
        ] {
            assert_eq!(option(word), Some(word.into()));
        }
        assert_eq!(option("-g0 -gbtf"), Some("-gbtf".into()));
        for word in ["-O2", "-g0", "-ggdb0", "-gno-record-gcc-switches", "-gz"] {
            assert_eq!(option(word), None, "{word}");
        }
    }

    #[test]
    fn what_is_preprocessed_already_is_not_preprocessed_again() {
        let option = |command: &str| compile(command).local_option().map(|found| found.option);
        for language in ["-x cpp-output", "-x c++-cpp-output"] {
            assert!(
                option(&format!("gcc {language} -c a.c")).is_some(),
                "{language}"
            );
            assert_eq!(
                option(&format!("gcc {language} -c a.i")),
                None,
                "{language}"
            );
        }
        for writer in ["-Wa,-MD,a.d", "-Wa,--MD,a.d"] {
            assert_eq!(
                lost_output(&argv(&format!("gcc -c a.c {writer}"))),
                Some(writer.as_ref())
            );
        }
        let profile = "-fprofile-instr-generate";
        assert_eq!(
            option(&format!("clang -c a.c {profile}")),
            Some(profile.into())
        );
    }

    fn check(words: &str, expected: Option<&str>) {
        let command = argv(&format!("cc -c a.c -o a.o {words}"));
        assert_eq!(lost_output(&command), expected.map(OsStr::new), "{words}");
    }

    #[test]
    fn finds_options_that_write_more() {
        for word in [
            "-gsplit-dwarf",
            "-gsplit-dwarf=split",
            "-gsplit-dwarf=single",
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

    /// Options that keep a command here for another reason than lost files.
    fn check_local(words: &str, option: &str, why: Why) {
        let command = argv(&format!("gcc -c a.c -o a.o {words}"));
        let expected = LocalOption {
            option: option.into(),
            why,
        };
        assert_eq!(local_option(&command, true), Some(expected), "{words}");
    }

    #[test]
    fn keeps_what_no_server_can_do() {
        for option in [
            "-fauto-profile=x",
            "-fprofile-instr-use=x",
            "-fsanitize-ignorelist=x",
            "-fmodule-file=x",
            "-include-pch",
            "-working-directory=/x",
        ] {
            check_local(option, option, Why::Reads);
        }
        for option in ["-fplugin=x.so", "--plugin=x.so", "-wrapper", "@x"] {
            check_local(option, option, Why::Executes);
        }
        for option in [
            "-fsyntax-only",
            "-###",
            "-print-search-dirs",
            "--version",
            "-dumpmachine",
        ] {
            check_local(option, option, Why::Answers);
        }
        for option in ["-fcoverage-mapping", "-gembed-source", "-ObjC", "-arch"] {
            check_local(option, option, Why::Unmodelled);
        }
        for option in ["--machine-arch=native", "-fpreprocessed", "-Xarch_x86_64"] {
            check_local(option, option, Why::Unmodelled);
        }
        for option in ["-qopenmp", "-Yx", "-Kpic", "-no-such"] {
            check_local(option, option, Why::Unknown);
        }
    }

    #[test]
    fn reads_the_words_for_clangs_inner_compiler() {
        check_local("-Xclang -load -Xclang x.so", "-load", Why::Executes);
        check_local("-Xclang -include-pch -Xclang x", "-include-pch", Why::Reads);
        check_local("-Xclang -emit-pch", "-emit-pch", Why::Unknown);
        check_local("-Xclang -o -Xclang x", "-o", Why::Unmodelled);
        check_local(
            "-Xclang -split-dwarf-file",
            "-split-dwarf-file",
            Why::Unknown,
        );
        check_local("-Xclang=-verify", "-Xclang=-verify", Why::Unknown);
        for option in [
            "--info-output-file=x",
            "-print-changed=dot-cfg",
            "-orderfile-write-mapping=x",
            "-dot-cfg-mssa=x",
            "-o=x",
        ] {
            check_local(&format!("-mllvm {option}"), "-mllvm", Why::Writes);
        }
        let kind = "-debug-info-kind=limited";
        check_local(&format!("-Xclang {kind}"), kind, Why::Unmodelled);
        let counted = "-fprofile-instrument=clang";
        check_local(&format!("-Xclang {counted}"), counted, Why::Unmodelled);
        for words in [
            "-Xclang -disable-llvm-passes",
            "-Xclang -target-feature -Xclang +avx2",
            "-Xclang -target-feature -Xclang -avx512pf -Xclang -disable-x",
            "-Xclang -fno-validate-pch -Xclang -include -Xclang x.hxx",
            "-Xclang -mllvm -Xclang -instcombine-x=0",
            "-g -Xclang -debug-info-kind=limited",
            "-fpreprocessed -fdirectives-only b.i",
            "-mllvm -unroll-count=2 -mllvm -inline-threshold=3",
            "-Xpreprocessor -DX -Xassembler -march=all -Xlinker -o",
        ] {
            assert_eq!(
                local_option(&argv(&format!("gcc {words}")), true),
                None,
                "{words}"
            );
        }
    }

    #[test]
    fn options_of_dependencies_that_gcc_refuses_alone() {
        for option in ["-MP", "-MT x", "-MQ x", "-MF x.d", "-MFx.d"] {
            let word = option.split(' ').next().unwrap_or(option);
            let found = local_option(&argv(&format!("gcc -c a.c {option}")), true);
            let why = found.map(|found| (found.option, found.why));
            assert_eq!(why, Some((word.into(), Why::Unmodelled)), "{option}");
            for with in ["-MD", "-MMD"] {
                let command = format!("gcc -c a.c {option} {with}");
                assert_eq!(local_option(&argv(&command), true), None, "{command}");
            }
        }
    }

    #[test]
    fn clang_notes_the_whole_command() {
        let found = |command: &str| local_option(&argv(command), true).map(|found| found.why);
        let option = "-frecord-gcc-switches -c a.c";
        assert_eq!(found(&format!("gcc {option}")), None);
        assert_eq!(found(&format!("clang-14 {option}")), Some(Why::Unmodelled));
        assert_eq!(
            found(&format!("ccache /x/clang++ {option}")),
            Some(Why::Unmodelled)
        );
    }

    #[test]
    fn a_value_is_no_option() {
        for words in [
            "-D -save-temps",
            "-I -bogus",
            "-MD -MF --bogus",
            "-- -save-temps",
        ] {
            assert_eq!(
                local_option(&argv(&format!("gcc {words}")), true),
                None,
                "{words}"
            );
        }
    }

    #[test]
    fn leaves_what_goes_into_the_object_or_to_standard_error() {
        for words in [
            "-O2 -g -Wall",
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
        let found = compile("clang -emit-llvm -c a.c").local_option();
        assert_eq!(found.map(|found| found.why), Some(Why::Writes));
        let found = compile("clang -emit-llvm -c a.c -o a.bc").local_option();
        assert_eq!(found, None);
    }

    #[test]
    fn reads_the_words_for_the_preprocessor() {
        for words in [
            "-Xpreprocessor -aux-info -Xpreprocessor /x",
            "-Xpreprocessor -fdump-tree-all=/x",
            "-Wp,-DX,-fdump-tree-all=/x",
        ] {
            let option = words.split(' ').next();
            check(words, option);
        }
        check_local("-Xpreprocessor -qbogus", "-Xpreprocessor", Why::Unknown);
        for option in ["-fshort-enums", "-O2", "-g", "-Wall"] {
            let words = format!("-Xpreprocessor {option}");
            check_local(&words, "-Xpreprocessor", Why::Unmodelled);
            let word = format!("-Wp,{option}");
            check_local(&word, &word, Why::Unmodelled);
        }
    }
}
