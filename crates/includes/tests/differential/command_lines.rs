//! Random command lines: language, dialect, folders in every chain, definitions, forced includes, variables.

use crate::conditions::MACROS;
use crate::program::{FOLDERS, LAST, ROOT, Reference};
use crate::random::Random;
use crate::trees::HEADERS;

/// The language of a main file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Cxx,
    ObjectiveC,
    Assembler,
}

/// A command line, and what the texts must know of it to be valid.
#[derive(Debug)]
pub(crate) struct CommandLine {
    pub(crate) reference: Reference,
    pub(crate) language: Language,
    /// `1'000` is a number.
    pub(crate) digit_separators: bool,
    /// `u'a'` is a character, `R"(` opens a raw string where the compiler has them at all.
    pub(crate) unicode: bool,
    /// `//` begins a comment.
    pub(crate) line_comments: bool,
    /// `#elifdef` may follow a group that was taken.
    pub(crate) elifdef: bool,
    /// Files come before the main file: macros that all files use must come before them.
    pub(crate) forced: bool,
    pub(crate) arguments: Vec<Vec<String>>,
    pub(crate) variables: Vec<(&'static str, String)>,
    pub(crate) cwd: &'static str,
    /// What stands in the file of arguments, if there is one.
    pub(crate) response_file: Option<String>,
    /// The main file, from the program's folder.
    pub(crate) main: String,
}

/// The file of arguments.
pub(crate) const RESPONSE_FILE: &str = "arguments";

const C: [&str; 10] = [
    "",
    "",
    "",
    "-std=c89",
    "-std=gnu89",
    "-std=c99",
    "-std=c11",
    "-std=gnu17",
    "-std=c2x",
    "-ansi",
];
const CXX: [&str; 9] = [
    "",
    "",
    "-std=c++98",
    "-std=gnu++98",
    "-std=c++11",
    "-std=c++14",
    "-std=gnu++17",
    "-std=c++20",
    "-std=gnu++2b",
];
const FLAGS: [&str; 13] = [
    "-trigraphs",
    "-nostdinc",
    "-nostdinc++",
    "-undef",
    "-O2",
    "-ffreestanding",
    "-funsigned-char",
    "-fshort-wchar",
    "-pthread",
    "-fopenmp",
    "-g",
    "-Wall",
    "-pipe",
];

/// Makes a command line.
pub(crate) fn random(r: &mut Random, reference: Reference) -> CommandLine {
    let gcc = reference == Reference::Gcc;
    let (language, standards): (_, &[&str]) = match r.below(16) {
        0..=7 => (Language::C, &C),
        8..=13 => (Language::Cxx, &CXX),
        // gcc's own Objective-C compiler is a package of its own, and seldom there.
        14 if !gcc => (Language::ObjectiveC, &["", "-std=c11"]),
        _ => (Language::Assembler, &[""]),
    };
    let standard = r.pick(standards);
    let recent = |names: &[&str]| names.iter().any(|name| standard.ends_with(name));
    let cxx = language == Language::Cxx;
    let c89 = recent(&["c89", "gnu89", "-ansi"]);
    let digit_separators = if cxx {
        !recent(&["++98", "++11"])
    } else {
        recent(&["c2x"])
    };
    let cwd = if r.one_in(5) { "src" } else { "" };
    let mut line = CommandLine {
        reference,
        language,
        digit_separators,
        unicode: if cxx {
            !recent(&["++98"])
        } else {
            !c89 && !recent(&["c99"])
        } && language != Language::Assembler,
        line_comments: cxx || !(recent(&["c89"]) || standard == "-ansi"),
        elifdef: !gcc || recent(&["c2x", "++2b"]),
        forced: r.one_in(5),
        arguments: Vec::new(),
        variables: Vec::new(),
        cwd,
        response_file: None,
        main: main_file(r, language),
    };
    line.push(standard);
    if r.one_in(4) {
        let flag = r.pick(&FLAGS);
        line.push(flag);
    }
    if r.one_in(25) {
        sysroot(r, &mut line);
    }
    for _ in 0..1 + r.below(5) {
        folder_option(r, &mut line);
    }
    if gcc && r.one_in(15) {
        let at = r.below(line.arguments.len() + 1);
        line.arguments.insert(at, vec!["-I-".into()]);
    }
    definitions(r, &mut line);
    if r.one_in(20) {
        response_file(r, &mut line);
    }
    if line.forced {
        line.arguments
            .push(vec!["-imacros".into(), format!("{ROOT}/{LAST}/prelude.h")]);
        for _ in 0..1 + r.below(2) {
            let option = r.pick(&["-include", "-imacros"]).to_owned();
            let header = format!("h{}.h", r.below(6));
            line.arguments.push(vec![option, header]);
        }
    }
    line.arguments
        .push(vec![format!("-idirafter{ROOT}/{LAST}")]);
    // In the very last folder gcc calls it an error to ask for the next.
    line.arguments.push(vec![format!("-idirafter{ROOT}/empty")]);
    environment(r, &mut line);
    let spelled = spelled(r, line.cwd, &line.main);
    let main = if line.main.ends_with(".inc") {
        vec!["-x".into(), "c".into(), spelled]
    } else {
        vec![spelled]
    };
    line.arguments.push(main);
    line
}

fn main_file(r: &mut Random, language: Language) -> String {
    let folder = r.pick(&["", "", "src/", "my work/"]);
    let name = match language {
        Language::C => r.pick(&["main.c", "main.c", "main.inc"]),
        Language::Cxx => r.pick(&["main.cc", "main.cpp", "main.C"]),
        Language::ObjectiveC => "main.m",
        Language::Assembler => "main.S",
    };
    format!("{folder}{name}")
}

/// A path of the tree as someone might write it in that working folder.
fn spelled(r: &mut Random, cwd: &str, path: &str) -> String {
    let up = if cwd.is_empty() { "" } else { "../" };
    match r.below(12) {
        0 => format!("{ROOT}/{path}"),
        1 => format!("./{up}{path}"),
        2 => format!("{up}src/../{path}"),
        3 => format!("{up}inc1//../{path}"),
        _ => format!("{up}{path}"),
    }
}

fn folder(r: &mut Random, line: &CommandLine) -> String {
    let name = match r.below(14) {
        0 | 1 => "linked",
        2 => "linked/../inc1",
        3 => "missing",
        // clang then knows the folder of this file by another name.
        4 if line.reference == Reference::Gcc => "last/prelude.h",
        _ => r.pick(&FOLDERS),
    };
    // A file is no folder, but gcc minds only with the slash.
    let slash = if r.one_in(6) && !name.ends_with(".h") {
        "/"
    } else {
        ""
    };
    spelled(r, line.cwd, name) + slash
}

fn folder_option(r: &mut Random, line: &mut CommandLine) {
    if r.one_in(20) {
        // A folder given twice, in whatever chains.
        if let Some(again) = line.arguments.last().cloned().filter(|a| a.len() == 2) {
            line.arguments.push(again);
        }
    }
    let folder = folder(r, line);
    if r.one_in(15) {
        let option = r.pick(&["-iwithprefix", "-iwithprefixbefore"]).to_owned();
        let half = folder.len() / 2;
        // Texts hold nothing but ASCII, so any place is fine to split but inside of the root's name.
        let half = if folder.starts_with(ROOT) {
            ROOT.len()
        } else {
            half
        };
        let (prefix, rest) = folder.split_at(half);
        line.arguments
            .push(vec!["-iprefix".into(), prefix.into(), option, rest.into()]);
        return;
    }
    let option = r.pick(&["-I", "-I", "-I", "-isystem", "-iquote", "-idirafter"]);
    line.arguments.push(if r.one_in(2) {
        vec![format!("{option}{folder}")]
    } else {
        vec![option.to_owned(), folder]
    });
}

/// Another root for default folders; `usr/include` stands below `inc0` only for this.
fn sysroot(r: &mut Random, line: &mut CommandLine) {
    let option = r.pick(&["--sysroot=", "-isysroot"]).to_owned();
    line.arguments.push(if option.ends_with('=') {
        vec![format!("{option}{ROOT}/inc0")]
    } else {
        vec![option, format!("{ROOT}/inc0")]
    });
    if line.reference == Reference::Gcc && r.one_in(2) {
        let option = r.pick(&["-I", "-isystem", "-idirafter", "-iquote"]);
        let folder = r.pick(&["=/../inc1", "=/usr/include", "=/.", "$SYSROOT/../sys"]);
        line.arguments.push(vec![format!("{option}{folder}")]);
    }
}

/// Moves the arguments so far into a file, written in ways that mean the same.
fn response_file(r: &mut Random, line: &mut CommandLine) {
    let mut text = String::new();
    for argument in std::mem::take(&mut line.arguments).iter().flatten() {
        let blank = r.pick(&[" ", "\n", "  ", "\n\n"]);
        let written = match r.below(3) {
            0 => format!("'{argument}'"),
            1 => format!("\"{}\"", argument.replace('"', "\\\"")),
            _ => argument.replace(' ', "\\ ").replace('"', "\\\""),
        };
        text += &format!("{written}{blank}");
    }
    line.response_file = Some(text);
    let path = spelled(r, line.cwd, RESPONSE_FILE);
    line.arguments.push(vec![format!("@{path}")]);
}

fn definitions(r: &mut Random, line: &mut CommandLine) {
    for _ in 0..r.below(4) {
        let name = r.below(MACROS);
        let number = r.below(4);
        line.arguments.push(match r.below(9) {
            0 => vec![format!("-UM{name}")],
            1 => vec![format!("-DM{name}")],
            2 => vec!["-D".into(), format!("M{name}={number}")],
            3 => vec![format!("-DF{}(x)=x+{number}", r.below(3))],
            4 => vec![format!("-DE{}=", r.below(4))],
            5 => vec![format!("-DM{name}=M{number}+1")],
            6 => vec!["-U".into(), format!("E{}", r.below(4))],
            7 => vec![format!("-Wp,-DM{name}={number}")],
            _ => vec![format!("-DM{name}=(0x{number}u)")],
        });
    }
}

fn environment(r: &mut Random, line: &mut CommandLine) {
    for name in [
        "CPATH",
        "C_INCLUDE_PATH",
        "CPLUS_INCLUDE_PATH",
        "OBJC_INCLUDE_PATH",
    ] {
        if r.one_in(14) {
            let (first, second) = (folder(r, line), folder(r, line));
            let value = match r.below(4) {
                0 => first,
                1 => format!("{first}::{second}"),
                2 => format!(":{first}"),
                _ => format!("{first}:{second}:"),
            };
            line.variables.push((name, value));
        }
    }
}

impl CommandLine {
    fn push(&mut self, argument: &str) {
        if !argument.is_empty() {
            self.arguments.push(vec![argument.to_owned()]);
        }
    }
}

/// The name of header number `n` as an include writes it.
pub(crate) fn header_name(n: usize) -> String {
    match n.min(HEADERS - 1) {
        6 => "h'6.h".into(),
        7 => "h 7.h".into(),
        8 => "d/h8.h".into(),
        n => format!("h{n}.h"),
    }
}
