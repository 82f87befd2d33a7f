//! Command lines: what in a compile's arguments matters to its includes.
//!
//! An option is one of: about the search or macros (kept here), about outputs or warnings (dropped), or anything
//! else, which goes to the compiler when it is asked for its own facts. So an option we have never heard of is
//! right as long as its form is known; where it could do more than change macros, it is refused.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::refusal::Refusal;
use crate::tree::join;

/// A compile: where, what, and in which environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The absolute folder it runs in.
    pub cwd: Vec<u8>,
    /// The compiler and its arguments.
    pub argv: Vec<OsString>,
    /// Its environment, complete.
    pub env: Vec<(OsString, OsString)>,
}

impl Command {
    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&[u8]> {
        self.env
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_bytes())
    }
}

/// Something that happens before the main file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Prelude {
    Define(Vec<u8>),
    Undefine(Vec<u8>),
}

/// The language of the main file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    C,
    Cxx,
    ObjectiveC,
    ObjectiveCxx,
    Assembler,
    /// Already preprocessed, or assembler without directives: nothing is included.
    Finished,
}

impl Language {
    /// The name for `-x`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Language::C | Language::Finished => "c",
            Language::Cxx => "c++",
            Language::ObjectiveC => "objective-c",
            Language::ObjectiveCxx => "objective-c++",
            Language::Assembler => "assembler-with-cpp",
        }
    }
}

/// What the arguments mean for includes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Invocation {
    pub(crate) input: Vec<u8>,
    pub(crate) language: Option<Language>,
    pub(crate) preludes: Vec<Prelude>,
    pub(crate) macro_files: Vec<Vec<u8>>,
    pub(crate) include_files: Vec<Vec<u8>>,
    pub(crate) quote: Vec<Vec<u8>>,
    pub(crate) bracket: Vec<Vec<u8>>,
    pub(crate) system: Vec<Vec<u8>>,
    pub(crate) after: Vec<Vec<u8>>,
    /// Folders of `-iwithprefix`, and how many of `system` stand before each.
    pub(crate) with_prefix: Vec<(usize, Vec<u8>)>,
    pub(crate) not_beside: bool,
    /// Options that may change what the compiler predefines or where it searches by default.
    pub(crate) base: Vec<OsString>,
    /// `-I-` or `=` in a folder: only gcc has them in this form.
    pub(crate) gcc_only: bool,
    /// No `stdc-predef.h`.
    pub(crate) no_predef: bool,
    /// Such an option holds a relative path, so the answer depends on the folder.
    pub(crate) base_is_local: bool,
}

/// Options whose value is the next argument, and that say nothing about includes.
const DROPPED_WITH_VALUE: &[&[u8]] = &[
    b"-o",
    b"-MF",
    b"-MT",
    b"-MQ",
    b"-MJ",
    b"-Xassembler",
    b"-Xlinker",
    b"-dumpbase",
    b"-dumpbase-ext",
    b"-dumpdir",
    b"-aux-info",
    b"-u",
    b"-z",
    b"-T",
    b"-L",
    b"-l",
    b"-e",
    b"--serialize-diagnostics",
    b"-framework",
    b"-install_name",
    b"-current_version",
    b"-compatibility_version",
];

/// Options whose value is the next argument, kept with it for the compiler's own facts.
const KEPT_WITH_VALUE: &[&[u8]] = &[
    b"-isysroot",
    b"--sysroot",
    b"-imultilib",
    b"--param",
    b"-target",
    b"-B",
    b"-mllvm",
    b"-Xclang",
    b"-G",
    b"-V",
    b"-b",
    b"-gcc-toolchain",
    b"-specs",
    b"-fplugin",
    b"-stdlib",
    b"-std",
    b"-resource-dir",
    b"-march",
    b"-mcpu",
    b"-mtune",
];

/// Options that are refused by their prefix, and why.
const REFUSED: &[(&[u8], &str)] = &[
    (b"-fmodules", "modules"),
    (b"-fmodule", "modules"),
    (b"-fcxx-modules", "modules"),
    (b"-fimplicit-module", "modules"),
    (b"-include-pch", "a precompiled header"),
    (b"-ivfsoverlay", "a virtual file system"),
    (b"-traditional", "traditional preprocessing"),
    (b"-fdirectives-only", "-fdirectives-only"),
    (b"-working-directory", "-working-directory"),
    (b"-F", "frameworks"),
    (b"-iframework", "frameworks"),
    (b"-arch", "several architectures"),
    (b"-Xarch", "several architectures"),
    (b"-fms-", "Microsoft extensions"),
    (b"-imsvc", "Microsoft extensions"),
    (b"-no-integrated-cpp", "another preprocessor"),
    (b"-fopenmp-targets", "offloading"),
    (b"-foffload", "offloading"),
    (b"--cuda", "CUDA"),
    (b"-fpch", "a precompiled header"),
    (b"-fpreprocessed", "-fpreprocessed"),
    (b"-fembed-dir", "#embed"),
    (b"--embed-dir", "#embed"),
    (b"-A", "assertions"),
    (b"-cxx-isystem", "-cxx-isystem"),
    (b"-stdlib++-isystem", "-stdlib++-isystem"),
    (b"-isystem-after", "-isystem-after"),
    (b"-iwithsysroot", "-iwithsysroot"),
    (b"-wrapper", "-wrapper"),
    (b"-cc1", "clang's inner command"),
    (b"--driver-mode", "--driver-mode"),
    (b"-remap", "-remap"),
    (b"-fmax-include-depth", "another limit"),
];

fn extension(path: &[u8]) -> &[u8] {
    let (_, name) = crate::tree::split(path);
    memchr::memrchr(b'.', name).map_or(b"", |at| &name[at + 1..])
}

fn language_of(path: &[u8]) -> Option<Language> {
    Some(match extension(path) {
        b"c" | b"h" => Language::C,
        b"cc" | b"cp" | b"cxx" | b"cpp" | b"CPP" | b"c++" | b"C" | b"hh" | b"H" | b"hp"
        | b"hxx" | b"hpp" | b"HPP" | b"h++" | b"tcc" => Language::Cxx,
        b"m" => Language::ObjectiveC,
        b"mm" | b"M" => Language::ObjectiveCxx,
        b"S" | b"sx" => Language::Assembler,
        b"i" | b"ii" | b"mi" | b"mii" | b"s" => Language::Finished,
        _ => return None,
    })
}

fn language_named(name: &[u8]) -> Option<Language> {
    Some(match name {
        b"c" | b"c-header" => Language::C,
        b"c++" | b"c++-header" => Language::Cxx,
        b"objective-c" | b"objective-c-header" => Language::ObjectiveC,
        b"objective-c++" | b"objective-c++-header" => Language::ObjectiveCxx,
        b"assembler-with-cpp" => Language::Assembler,
        b"cpp-output"
        | b"c-cpp-output"
        | b"c++-cpp-output"
        | b"assembler"
        | b"objective-c-cpp-output"
        | b"objc-cpp-output"
        | b"objective-c++-cpp-output" => Language::Finished,
        _ => return None,
    })
}

struct Reader<'a> {
    read: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
    cwd: &'a [u8],
    out: Invocation,
    inputs: Vec<(Vec<u8>, Option<Language>)>,
    forced: Option<Language>,
    prefix: Option<Vec<u8>>,
    sysroot: Vec<u8>,
    /// Folders of `-iwithprefixbefore`, which the drivers put behind all of `-I`.
    before: Vec<Vec<u8>>,
    gcc_only: bool,
    files: usize,
}

/// Reads a compile's arguments. `read` reads an `@file`.
pub(crate) fn read(
    command: &Command,
    read: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<Invocation, Refusal> {
    let argv: Vec<Vec<u8>> = command.argv.iter().map(|a| a.as_bytes().to_vec()).collect();
    let mut reader = Reader {
        read,
        cwd: &command.cwd,
        out: Invocation::default(),
        inputs: Vec::new(),
        forced: None,
        prefix: None,
        before: Vec::new(),
        sysroot: Vec::new(),
        gcc_only: false,
        files: 0,
    };
    let arguments = reader.expand(argv.get(1..).unwrap_or_default().to_vec())?;
    for pair in arguments.windows(2) {
        if pair[0] == b"-isysroot" || pair[0] == b"--sysroot" {
            reader.sysroot.clone_from(&pair[1]);
        }
    }
    if let Some(joined) = arguments
        .iter()
        .rev()
        .find_map(|a| a.strip_prefix(b"--sysroot="))
    {
        reader.sysroot = joined.to_vec();
    }
    reader.arguments(arguments)?;
    let (driver, mut out) = (
        argv.first()
            .map(|a| crate::tree::split(a).1.to_vec())
            .unwrap_or_default(),
        reader.out,
    );
    out.gcc_only = reader.gcc_only;
    out.bracket.extend(reader.before);
    let mut inputs = reader.inputs;
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
    let cxx_driver = memchr::memmem::find(&driver, b"++").is_some();
    let language = match forced.or_else(|| language_of(&input)) {
        Some(Language::C) if cxx_driver && forced.is_none() => Language::Cxx,
        Some(language) => language,
        None => {
            return Err(Refusal::Command(
                "the input is no source by its name".into(),
            ));
        }
    };
    out.language = Some(language);
    out.input = input;
    Ok(out)
}

impl Reader<'_> {
    fn expand(&mut self, arguments: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Refusal> {
        let mut out = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let Some(file) = argument.strip_prefix(b"@").filter(|f| !f.is_empty()) else {
                out.push(argument);
                continue;
            };
            self.files += 1;
            if self.files > 2000 {
                return Err(Refusal::Command("too many @files".into()));
            }
            let path = if file.starts_with(b"/") {
                file.to_vec()
            } else {
                join(self.cwd, file)
            };
            match (self.read)(&path) {
                Some(text) => out.extend(self.expand(split_words(&text))?),
                None => out.push(argument),
            }
        }
        Ok(out)
    }

    fn folder(&mut self, value: &[u8]) -> Vec<u8> {
        if let Some(rest) = value
            .strip_prefix(b"=")
            .or_else(|| value.strip_prefix(b"$SYSROOT"))
        {
            self.gcc_only = true;
            return [&self.sysroot, rest].concat();
        }
        value.to_vec()
    }

    fn arguments(&mut self, arguments: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let mut rest = arguments.into_iter();
        while let Some(argument) = rest.next() {
            let mut value = |joined: &[u8], name: &str| -> Result<Vec<u8>, Refusal> {
                if joined.is_empty() {
                    rest.next()
                        .ok_or_else(|| Refusal::Command(format!("{name} without a value")))
                } else {
                    Ok(joined.to_vec())
                }
            };
            if argument.first() != Some(&b'-') || argument == b"-" {
                self.inputs.push((argument, self.forced));
                continue;
            }
            if DROPPED_WITH_VALUE.contains(&argument.as_slice()) {
                value(b"", "an option")?;
            } else if argument == b"-Xpreprocessor" || argument == b"-Wp" {
                let inner = value(b"", "-Xpreprocessor")?;
                self.inner(vec![inner])?;
            } else if let Some(list) = argument.strip_prefix(b"-Wp,") {
                self.inner(list.split(|&b| b == b',').map(<[u8]>::to_vec).collect())?;
            } else if let Some(joined) = argument.strip_prefix(b"-include-pch") {
                let _ = joined;
                return Err(Refusal::Option(
                    "-include-pch".into(),
                    "a precompiled header",
                ));
            } else if let Some(file) = long(&argument, b"-include") {
                let file = value(file, "-include")?;
                self.out.include_files.push(file);
            } else if let Some(file) = long(&argument, b"-imacros") {
                let file = value(file, "-imacros")?;
                self.out.macro_files.push(file);
            } else if let Some(folder) = argument
                .strip_prefix(b"-isystem")
                .filter(|_| !argument.starts_with(b"-isystem-after"))
            {
                let folder = value(folder, "-isystem")?;
                let folder = self.folder(&folder);
                self.out.system.push(folder);
            } else if let Some(folder) = argument.strip_prefix(b"-iquote") {
                let folder = value(folder, "-iquote")?;
                let folder = self.folder(&folder);
                self.out.quote.push(folder);
            } else if let Some(folder) = argument.strip_prefix(b"-idirafter") {
                let folder = value(folder, "-idirafter")?;
                let folder = self.folder(&folder);
                self.out.after.push(folder);
            } else if let Some(folder) = argument.strip_prefix(b"-iprefix") {
                self.prefix = Some(value(folder, "-iprefix")?);
            } else if let Some(folder) = argument.strip_prefix(b"-iwithprefixbefore") {
                let folder = value(folder, "-iwithprefixbefore")?;
                let folder = self.prefixed(&folder)?;
                self.before.push(folder);
            } else if let Some(folder) = argument.strip_prefix(b"-iwithprefix") {
                let folder = value(folder, "-iwithprefix")?;
                let folder = self.prefixed(&folder)?;
                let place = self.out.system.len();
                self.out.with_prefix.push((place, folder));
            } else if argument == b"-I-" {
                self.gcc_only = true;
                self.out.not_beside = true;
                let split = std::mem::take(&mut self.out.bracket);
                self.out.quote.extend(split);
            } else if let Some(folder) = argument
                .strip_prefix(b"-I")
                .or_else(|| argument.strip_prefix(b"--include-directory="))
            {
                let folder = value(folder, "-I")?;
                let folder = self.folder(&folder);
                self.out.bracket.push(folder);
            } else if let Some(text) = argument
                .strip_prefix(b"-D")
                .or_else(|| argument.strip_prefix(b"--define-macro="))
            {
                let text = value(text, "-D")?;
                self.out.preludes.push(Prelude::Define(text));
            } else if let Some(name) = argument
                .strip_prefix(b"-U")
                .or_else(|| argument.strip_prefix(b"--undefine-macro="))
            {
                let name = value(name, "-U")?;
                self.out.preludes.push(Prelude::Undefine(name));
            } else if let Some(name) = argument.strip_prefix(b"-x") {
                let name = value(name, "-x")?;
                self.forced = match name.as_slice() {
                    b"none" => None,
                    name => Some(language_named(name).ok_or_else(|| {
                        Refusal::Command(format!("language {}", String::from_utf8_lossy(name)))
                    })?),
                };
            } else if let Some((_, why)) = REFUSED
                .iter()
                .find(|(prefix, _)| argument.starts_with(prefix))
            {
                return Err(Refusal::Option(
                    String::from_utf8_lossy(&argument).into_owned(),
                    why,
                ));
            } else if KEPT_WITH_VALUE.contains(&argument.as_slice()) {
                let value = value(b"", "an option")?;
                if argument == b"-Xclang"
                    && (value.starts_with(b"-include")
                        || value.starts_with(b"-I")
                        || value.starts_with(b"-i")
                        || value.starts_with(b"-D"))
                {
                    return Err(Refusal::Option(
                        format!("-Xclang {}", String::from_utf8_lossy(&value)),
                        "an inner option",
                    ));
                }
                self.keep(argument);
                self.keep(value);
            } else if !is_irrelevant(&argument) {
                self.out.no_predef |= argument == b"-nostdinc" || argument == b"-ffreestanding";
                self.keep(argument);
            }
        }
        Ok(())
    }

    /// Options handed to the preprocessor itself: its `-MD` and the like take the next word.
    fn inner(&mut self, words: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let mut out = Vec::new();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if matches!(word.as_slice(), b"-MD" | b"-MMD") {
                words.next();
            } else {
                out.push(word);
            }
        }
        self.arguments(out)
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

    fn keep(&mut self, argument: Vec<u8>) {
        let value = argument
            .iter()
            .position(|&b| b == b'=')
            .map_or(&argument[..], |at| &argument[at + 1..]);
        self.out.base_is_local |= memchr::memchr(b'/', value).is_some() && !value.starts_with(b"/")
            || value.starts_with(b".");
        self.out.base.push(OsString::from_vec(argument));
    }
}

/// `-name value` and `-namevalue`, also with two dashes and `=`.
fn long<'a>(argument: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = argument
        .strip_prefix(b"-")
        .and_then(|a| a.strip_prefix(name))
    {
        return Some(rest.strip_prefix(b"=").unwrap_or(rest));
    }
    argument.strip_prefix(name)
}

/// Options that change neither macros nor the search.
fn is_irrelevant(argument: &[u8]) -> bool {
    const EXACT: &[&[u8]] = &[
        b"-c",
        b"-S",
        b"-E",
        b"-pipe",
        b"-v",
        b"-###",
        b"-w",
        b"-P",
        b"-C",
        b"-CC",
        b"-H",
        b"-save-temps",
        b"-time",
        b"-shared",
        b"-static",
        b"-rdynamic",
        b"-s",
    ];
    const PREFIX: &[&[u8]] = &[
        b"-W",
        b"-M",
        b"-g",
        b"-l",
        b"-L",
        b"-o",
        b"-d",
        b"-fdiagnostics",
        b"-fmessage-length",
        b"-fcolor-diagnostics",
        b"-fno-color-diagnostics",
        b"-fdebug-prefix-map",
        b"-ffile-prefix-map",
        b"-fmacro-prefix-map",
        b"-save-temps=",
        b"-Qunused",
        b"-fvisibility",
        b"-ffunction-sections",
        b"-fdata-sections",
        b"-frandom-seed",
        b"-pedantic",
        b"-fstack-usage",
        b"-ftime-",
        b"-fno-diagnostics",
    ];
    EXACT.contains(&argument) || PREFIX.iter().any(|prefix| argument.starts_with(prefix))
}

/// The words of an `@file`: blanks separate, quotes and backslashes protect.
fn split_words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', _) => word.get_or_insert_default().extend(bytes.next()),
            (b, Some(q)) if b == q => quote = None,
            (b, Some(_)) => word.get_or_insert_default().push(b),
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (b, None) if b.is_ascii_whitespace() || b == 0x0b => words.extend(word.take()),
            (b, None) => word.get_or_insert_default().push(b),
        }
    }
    words.extend(word);
    words
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
        read(&command, &|path| {
            (path == b"/w/args").then(|| b"-DX='a b' \"-I sp\"\n-Iy".to_vec())
        })
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
        assert_eq!(out.bracket, [b"b".to_vec(), b"p/a".to_vec()]);
        assert_eq!(out.system, [b"c", b"e"]);
        assert_eq!(out.with_prefix, [(1, b"p/d".to_vec())]);
    }

    #[test]
    fn reads_words_from_files() {
        let out = parsed(&["gcc", "@args", "x.c"]).expect("fine");
        assert_eq!(out.preludes, [Prelude::Define(b"X=a b".to_vec())]);
        assert_eq!(out.bracket, [b" sp".to_vec(), b"y".to_vec()]);
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
