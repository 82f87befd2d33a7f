//! Can this command be compiled elsewhere, and what does it compile?
//!
//! Client and server ask the same question of the same vector, so that a server can refuse what
//! no client should have sent. The rules are those of distcc 3.4, in its order; where it sends
//! commands that cannot come out right, comments say so and they stay local. What a
//! *client* adds to them is in [`mod@crate::client`].

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::client::tools_chosen::choice;
use crate::compile::{Compile, Place};
use crate::{extension, option, options};

/// What to do with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It compiles one source file into one object or assembler file.
    Distribute(Compile),
    /// It has to run where it was called.
    Local(WhyLocal),
}

/// Why a command runs where it was called. `Display` gives the words for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyLocal {
    /// `-E`: preprocessing only (3.4's reason code 120; takes a preprocessor slot).
    Preprocess,
    /// Neither `-c` nor `-S`: a link, or no compile at all.
    NotACompile,
    /// No word with a source extension.
    NoInput,
    /// Two source files.
    TwoInputs,
    /// Two outputs.
    TwoOutputs,
    /// An object file without `-o`. Compilers leave it to a linker; 3.4 takes it for the output.
    LooseObject(OsString),
    /// Output to standard output.
    OutputToStdout,
    /// An output with the source's name: the compiler here refuses to destroy its input.
    OutputIsInput,
    /// An option whose effect depends on this machine, or whose result is not the object alone.
    Option(OsString),
    /// A value, like the one in `-D -c`, that 3.4 would take for an option.
    AmbiguousValue(OsString),
    /// The last word is an option whose value is missing.
    MissingValue(OsString),
    /// `-x` with a language that is not preprocessed.
    Language(OsString),
    /// A test program of autoconf: `conftest.c` and `tmp.conftest.c`.
    Conftest,
    /// No `-o`, and a source name too short to make an output name from.
    BogusSourceName(OsString),
}

impl fmt::Display for WhyLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preprocess => write!(f, "called to preprocess only"),
            Self::NotACompile => write!(f, "apparently called not for compile"),
            Self::NoInput => write!(f, "no visible input file"),
            Self::TwoInputs => write!(f, "two input files"),
            Self::TwoOutputs => write!(f, "two output files"),
            Self::LooseObject(name) => write!(f, "object file {} without -o", name.display()),
            Self::OutputToStdout => write!(f, "output to standard output"),
            Self::OutputIsInput => write!(f, "output has the name of the source"),
            Self::Option(word) => write!(f, "option {} belongs to this machine", word.display()),
            Self::AmbiguousValue(word) => {
                write!(f, "value {} looks like an option", word.display())
            }
            Self::MissingValue(word) => write!(f, "option {} without a value", word.display()),
            Self::Language(name) => write!(f, "language {} is not preprocessed", name.display()),
            Self::Conftest => write!(f, "a test program of a configure script"),
            Self::BogusSourceName(name) => {
                write!(f, "source file name {} is too short", name.display())
            }
        }
    }
}

/// Plans a command whose `-Wp,` words are expanded already ([`crate::client::expand_wp`]).
///
/// `argv` holds the compiler first; an empty one, or one whose compiler starts with `-`, is the
/// caller's to refuse before.
#[must_use]
pub fn plan(argv: &[OsString]) -> Plan {
    match read(argv) {
        Ok(compile) => Plan::Distribute(compile),
        // Of a link people want to hear that it is one.
        Err(WhyLocal::TwoInputs | WhyLocal::TwoOutputs)
            if !argv.iter().any(|word| word == "-c" || word == "-S") =>
        {
            Plan::Local(WhyLocal::NotACompile)
        }
        Err(why) => Plan::Local(why),
    }
}

fn read(argv: &[OsString]) -> Result<Compile, WhyLocal> {
    let mut compiles = false;
    let mut to_assembler = false;
    let mut input = None;
    let mut output = None;
    let mut loose_object = None;
    let is_value = option::values(argv);
    let mut words = argv.iter().enumerate();
    while let Some((index, word)) = words.next() {
        let mut name_output = |place| match output.replace(place) {
            None => Ok(()),
            Some(_) => Err(WhyLocal::TwoOutputs),
        };
        let next = argv.get(index + 1).map(|next| next.as_bytes());
        match word.as_bytes() {
            b"-E" => return Err(WhyLocal::Preprocess),
            bytes if is_value[index] && misread_as_option(bytes) => {
                return Err(WhyLocal::AmbiguousValue(word.clone()));
            }
            b"-MF" | b"-MT" | b"-MQ" => {
                words.next();
            }
            bytes if is_local(bytes) => return Err(WhyLocal::Option(word.clone())),
            // 3.4 looks at the next word behind a glued language too (`-xc`).
            bytes if bytes.starts_with(b"-x") && next.is_some_and(|next| !preprocessed(next)) => {
                return Err(WhyLocal::Language(argv[index + 1].clone()));
            }
            b"-S" => (compiles, to_assembler) = (true, true),
            b"-c" => compiles = true,
            b"-o" if next.is_none() => {}
            b"-o" => {
                words.next();
                name_output(Place::Word(index + 1))?;
            }
            bytes if bytes.starts_with(b"-o") => name_output(Place::Glued {
                word: index,
                skip: 2,
            })?,
            bytes if bytes.starts_with(b"-") => {}
            _ if extension::source(word).is_some() => {
                input = match input {
                    None => Some(index),
                    Some(_) => return Err(WhyLocal::TwoInputs),
                };
            }
            bytes if bytes.ends_with(b".o") => {
                name_output(Place::Word(index))?;
                loose_object = Some(word);
            }
            _ => {}
        }
    }

    if !compiles {
        return Err(WhyLocal::NotACompile);
    }
    // 3.4 takes more for the input: `-c -include a.c x.cu`, a compiler with a source's name.
    let compiled = |&index: &usize| index > 0 && !is_value[index];
    let input = input.filter(compiled).ok_or(WhyLocal::NoInput)?;
    let source = extension::basename(argv[input].as_bytes());
    if source.starts_with(b"conftest.") || source.starts_with(b"tmp.conftest.") {
        return Err(WhyLocal::Conftest);
    }
    let compile = match output {
        Some(output) => Compile {
            argv: argv.to_vec(),
            input,
            output,
            output_appended: false,
        },
        None if source.len() < 3 => {
            return Err(WhyLocal::BogusSourceName(argv[input].clone()));
        }
        None => {
            let extension: &[u8] = if to_assembler { b".s" } else { b".o" };
            append_output(argv, input, extension::replaced(source, extension))
        }
    };
    if compile.output() == "-" {
        return Err(WhyLocal::OutputToStdout);
    }
    // Both may stand in folders that are one, however they are spelled.
    if extension::basename(compile.output().as_bytes())
        == extension::basename(argv[input].as_bytes())
    {
        return Err(WhyLocal::OutputIsInput);
    }
    // 3.4 takes `foo.o` in `-c a.c foo.o` for the output, and brings back an empty one.
    if let Some(object) = loose_object {
        return Err(WhyLocal::LooseObject(object.clone()));
    }
    refuse_open_end(argv, &is_value)?;
    Ok(compile)
}

/// Adds `-o NAME` to a command without an output.
fn append_output(argv: &[OsString], input: usize, name: Vec<u8>) -> Compile {
    let mut argv = argv.to_vec();
    let end = option::end(&argv);
    option::append(&mut argv, ["-o".into(), OsString::from_vec(name)]);
    Compile {
        argv,
        input: if input < end { input } else { input + 2 },
        output: Place::Word(end + 1),
        output_appended: true,
    }
}

/// Whether `word` alone keeps a command on this machine.
fn is_local(word: &[u8]) -> bool {
    match word {
        b"-MD" | b"-MMD" | b"-MG" | b"-MP" => false,
        // An addition of ours to 3.4's two: the compilers for Arm and PowerPC have it.
        b"-mcpu=native" => true,
        _ if choice(word, None).is_some() => false,
        b"-march=native" | b"-mtune=native" | b"-flto" | b"-frepo" => true,
        b"-fprofile-arcs" | b"-ftest-coverage" | b"--coverage" | b"-fprofile-correction" => true,
        _ if word.starts_with(b"-M") => !starts_with_any(word, &[b"-MF", b"-MT", b"-MQ"]),
        // A listing, or a dependency file of the assembler.
        _ if word.starts_with(b"-Wa,") => contains(word, b",-a") || contains(word, b"--MD"),
        _ => starts_with_any(
            word,
            &[
                b"-specs=",
                b"-fprofile-generate",
                b"-fprofile-use",
                b"-fauto-profile",
                b"-dr",
            ],
        ),
    }
}

/// Whether `language`, the word behind `-x`, is one that 3.4 sends. It reads prefixes, so
/// `c++-header` and `cpp-output` count too.
fn preprocessed(language: &[u8]) -> bool {
    starts_with_any(language, &[b"c", b"objective-c", b"go"])
}

/// Whether 3.4's rules, which know few values, give `value` a meaning that it has not.
fn misread_as_option(value: &[u8]) -> bool {
    matches!(value, b"-c" | b"-S" | b"-MF" | b"-MT" | b"-MQ")
        || starts_with_any(value, &[b"-o", b"-x"])
}

/// Refuses a last word that would make a value of whatever is appended, or that a server which
/// reads `-xc` as 3.4 does would take for an option with one. 3.4 sends it, and it fails there.
fn refuse_open_end(argv: &[OsString], is_value: &[bool]) -> Result<(), WhyLocal> {
    match argv {
        _ if is_value.last() == Some(&true) => Ok(()),
        [_, .., last] if options::takes_next(last.as_bytes()) => {
            Err(WhyLocal::MissingValue(last.clone()))
        }
        [_, .., last] if last.as_bytes().starts_with(b"-x") => {
            Err(WhyLocal::Language(last.clone()))
        }
        _ => Ok(()),
    }
}

fn starts_with_any(word: &[u8], prefixes: &[&[u8]]) -> bool {
    prefixes.iter().any(|prefix| word.starts_with(prefix))
}

fn contains(word: &[u8], part: &[u8]) -> bool {
    word.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::argv;

    /// Input, output and whole command of what is distributed.
    fn sends(command: &str, input: &str, output: &str, sent: &str) {
        match plan(&argv(command)) {
            Plan::Distribute(compile) => {
                assert_eq!(compile.input(), input, "{command}");
                assert_eq!(compile.output(), output, "{command}");
                assert_eq!(compile.argv(), argv(sent), "{command}");
            }
            Plan::Local(why) => panic!("{command}: {why}"),
        }
    }

    fn local(command: &str, why: WhyLocal) {
        assert_eq!(plan(&argv(command)), Plan::Local(why), "{command}");
    }

    fn local_option(command: &str, option: &str) {
        local(command, WhyLocal::Option(option.into()));
    }

    /// A command that differs from `cc -c a.c -o a.o` by one word that changes nothing.
    fn sends_with(words: &str) {
        let command = format!("cc {words} -c a.c -o a.o");
        sends(&command, "a.c", "a.o", &command);
    }

    #[test]
    fn a_source_is_not_overwritten() {
        for command in [
            "gcc -c a.c -o a.c",
            "gcc -c d/a.i -o ./d/../d/a.i",
            "gcc -oa.c -c a.c",
        ] {
            local(command, WhyLocal::OutputIsInput);
        }
        sends_with("-MF a.c");
    }

    #[test]
    fn decides_as_the_reference_test_suite_says() {
        sends(
            "gcc -c hello.c",
            "hello.c",
            "hello.o",
            "gcc -c hello.c -o hello.o",
        );
        local("gcc hello.c", WhyLocal::NotACompile);
        let absolute = "gcc -o /tmp/hello.o -c ../src/hello.c";
        sends(absolute, "../src/hello.c", "/tmp/hello.o", absolute);
        let defined = "gcc -DMYNAME=quasibar.c bar.c -c -o bar.o";
        sends(defined, "bar.c", "bar.o", defined);
        sends(
            "ccache gcc -c hello.c",
            "hello.c",
            "hello.o",
            "ccache gcc -c hello.c -o hello.o",
        );
        local("gcc hello.o", WhyLocal::NotACompile);
        sends(
            "gcc -S hello.c",
            "hello.c",
            "hello.s",
            "gcc -S hello.c -o hello.s",
        );
        local("gcc -S foo.c -o -", WhyLocal::OutputToStdout);
        local("gcc -ofoo foo.o", WhyLocal::NotACompile);
        local("cc foo.c -o foo.o", WhyLocal::NotACompile);
        sends_with("-Wa,-xarch=v8");
        local_option("gcc -Wa,-alh,-a=foo.lst -c foo.c", "-Wa,-alh,-a=foo.lst");
        local_option("gcc -ME hello.c", "-ME");
    }

    #[test]
    fn reads_dependency_options() {
        sends_with("-MD");
        sends_with("-MMD -MG -MP");
        sends_with("-MF b.c -MT c.c -MQ x.o");
        sends_with("-MFb.c -MTc.c -MQx.o");
        sends_with("-MT -E");
        for option in ["-M", "-MM", "-MDx", "-MPx", "-MGG", "-MJx", "-MV"] {
            local_option(&format!("cc -c a.c {option}"), option);
        }
    }

    #[test]
    fn keeps_what_depends_on_this_machine_or_brings_more_than_an_object() {
        for option in [
            "-march=native",
            "-mtune=native",
            "-mcpu=native",
            "-flto",
            "-frepo",
            "-Wa,-march=all,-a",
            "-Wa,--MD,x.d",
            "-specs=x",
            "-fprofile-arcs",
            "-ftest-coverage",
            "--coverage",
            "-fprofile-correction",
            "-fprofile-generate=x",
            "-fprofile-use",
            "-fauto-profile=x",
            "-dr",
            "-drx",
        ] {
            local_option(&format!("cc -c a.c {option}"), option);
        }
        local("cc -c a.c -E", WhyLocal::Preprocess);
        for option in [
            "-march=x86-64",
            "-flto=auto",
            "-fprofile-note",
            "-Wa,-march=all",
            "-dD",
        ] {
            sends_with(option);
        }
    }

    #[test]
    fn reads_languages_as_3_4_does() {
        for words in [
            "-x c",
            "-x c++-header",
            "-x cpp-output",
            "-x objective-c",
            "-x go",
        ] {
            sends_with(words);
        }
        // The next word is looked at behind a glued language too.
        sends_with("-xc c");
        local("cc -xc -c a.c", WhyLocal::Language("-c".into()));
        local("cc -x none -c a.c", WhyLocal::Language("none".into()));
        local(
            "cc -c a.c -x assembler",
            WhyLocal::Language("assembler".into()),
        );
        local("cc -c a.c -xc", WhyLocal::Language("-xc".into()));
    }

    #[test]
    fn needs_one_input_and_one_output() {
        local("cc -c noext", WhyLocal::NoInput);
        local("cc -c a.s", WhyLocal::NoInput);
        local("cc -c a.c b.cc", WhyLocal::TwoInputs);
        local("cc -c a.c -o x.o -o y.o", WhyLocal::TwoOutputs);
        local("cc -c a.c -ox y.o", WhyLocal::TwoOutputs);
        local("cc -c a.c -o-", WhyLocal::OutputToStdout);
        sends("cc -c a.c -ofile", "a.c", "file", "cc -c a.c -ofile");
        sends("cc -c a.c -o noext", "a.c", "noext", "cc -c a.c -o noext");
        sends(
            "cc -S -c d/a.b.C",
            "d/a.b.C",
            "a.b.s",
            "cc -S -c d/a.b.C -o a.b.s",
        );
        local("cc -c .c", WhyLocal::BogusSourceName(".c".into()));
        local("cc -c src/.c", WhyLocal::BogusSourceName("src/.c".into()));
        sends("cc -c .c -o x.o", ".c", "x.o", "cc -c .c -o x.o");
        local("cc -c conftest.c", WhyLocal::Conftest);
        local("cc -c x/tmp.conftest.q.c -o x.o", WhyLocal::Conftest);
        sends(
            "cc -c aconftest.c -o x.o",
            "aconftest.c",
            "x.o",
            "cc -c aconftest.c -o x.o",
        );
    }

    #[test]
    fn runs_locally_what_3_4_gets_wrong() {
        local("cc -c a.c foo.o", WhyLocal::LooseObject("foo.o".into()));
        local(
            "cc -c a.c -include x.o",
            WhyLocal::LooseObject("x.o".into()),
        );
        local("cc.o -c a.c", WhyLocal::LooseObject("cc.o".into()));
        local("cc -c -include a.c x.cu", WhyLocal::NoInput);
        local("./a.c -c", WhyLocal::NoInput);
        local("cc -D -c a.c", WhyLocal::AmbiguousValue("-c".into()));
        local(
            "cc -c a.c -iquote -o",
            WhyLocal::AmbiguousValue("-o".into()),
        );
        local("cc -c a.c -o", WhyLocal::MissingValue("-o".into()));
        local("cc -c a.c -o a.o -MT", WhyLocal::MissingValue("-MT".into()));
        local("cc -c a.c -x", WhyLocal::MissingValue("-x".into()));
        sends("cc -c a.c -D -D", "a.c", "a.o", "cc -c a.c -D -D -o a.o");
    }

    #[test]
    fn names_the_output_where_options_end() {
        sends("clang -c -- a.c", "a.c", "a.o", "clang -c -o a.o -- a.c");
    }
}
