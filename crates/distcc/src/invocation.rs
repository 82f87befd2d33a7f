//! How were we called? By options of our own, with a compiler, without one, or in a compiler's
//! place.
//!
//! Source: distcc 3.4, as it behaves.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use command::extension;

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--show-hosts`
    ShowHosts,
    /// `-j`: how many jobs the hosts take at once.
    Concurrency,
    /// `--show-principal`
    ShowPrincipal,
    /// `--show-toolchain COMPILER [OPTION...]`
    ShowToolchain(Vec<OsString>),
    /// `--scan-includes COMMAND`
    ScanIncludes(Vec<OsString>),
    /// Run this command, somewhere.
    Compile(Vec<OsString>),
    /// The call is not complete; this is missing.
    Missing(&'static str),
}

/// Decides what a call asks for. `argv` is ours, our own name first.
pub(crate) fn decide(mut argv: Vec<OsString>) -> Call {
    let name = argv.first().map(|name| base_name(name).to_owned());
    if let Some(compiler) = name.filter(|name| !is_our_name(name)) {
        argv[0] = compiler;
        return Call::Compile(argv);
    }
    let rest = argv.get(1..).unwrap_or_default();
    match rest.first().map(|word| word.as_bytes()) {
        None => Call::Missing("option/operand"),
        Some(b"--help") => Call::Help,
        Some(b"--version") => Call::Version,
        Some(b"--show-hosts") => Call::ShowHosts,
        Some(b"-j") => Call::Concurrency,
        Some(b"--show-principal") => Call::ShowPrincipal,
        Some(b"--show-toolchain") => match rest.get(1..) {
            Some(command @ [_, ..]) => Call::ShowToolchain(command.to_vec()),
            _ => Call::Missing("operand"),
        },
        Some(b"--scan-includes") => match rest.get(1..) {
            Some(command @ [_, ..]) => Call::ScanIncludes(with_compiler(command)),
            _ => Call::Missing("operand"),
        },
        Some(_) => Call::Compile(with_compiler(rest)),
    }
}

/// Whether a program of this name is distcc, and not a compiler's stand-in.
fn is_our_name(name: &OsStr) -> bool {
    name.as_bytes().windows(6).any(|part| part == b"distcc")
}

fn base_name(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    let start = bytes.iter().rposition(|&byte| byte == b'/');
    OsStr::from_bytes(&bytes[start.map_or(0, |slash| slash + 1)..])
}

/// The command with `cc` in front where it names no compiler: where it starts with an option, a
/// source file or an object.
fn with_compiler(command: &[OsString]) -> Vec<OsString> {
    let first = &command[0];
    let implicit = first.as_bytes().starts_with(b"-")
        || extension::source(first).is_some()
        || first.as_bytes().ends_with(b".o");
    let compiler = implicit.then(|| OsString::from("cc"));
    compiler
        .into_iter()
        .chain(command.iter().cloned())
        .collect()
}

/// For a call in a compiler's place: what is left of `path` behind the folder that we were found
/// in, so that the real compiler is found next. `None` if that leaves nothing, or if the folder
/// is not in it.
///
/// `argv0` is our name as called, `cwd` gives the working folder, and `is_executable` says
/// whether a path is a program.
pub(crate) fn path_behind(
    argv0: &OsStr,
    path: &OsStr,
    cwd: impl FnOnce() -> Option<OsString>,
    is_executable: impl Fn(&Path) -> bool,
) -> Option<OsString> {
    let name = base_name(argv0);
    if is_our_name(name) {
        return None;
    }
    let called_with_folder = name.len() < argv0.len();
    let folder = match called_with_folder {
        true => Some(absolute_folder(argv0.as_bytes(), cwd)?),
        false => None,
    };
    let mut rest = path.as_bytes();
    loop {
        let (element, behind) = match rest.iter().position(|&byte| byte == b':') {
            Some(colon) => (&rest[..colon], Some(&rest[colon + 1..])),
            None => (rest, None),
        };
        let ours = match &folder {
            Some(folder) => element.starts_with(b"/") && folded(element) == *folder,
            None => is_executable(&Path::new(OsStr::from_bytes(element)).join(name)),
        };
        let behind = behind?;
        if ours {
            return (!behind.is_empty()).then(|| OsStr::from_bytes(behind).to_owned());
        }
        rest = behind;
    }
}

/// The folder of a program called with one, absolute.
fn absolute_folder(argv0: &[u8], cwd: impl FnOnce() -> Option<OsString>) -> Option<Vec<u8>> {
    let mut whole = match argv0 {
        [b'/', ..] => Vec::new(),
        _ => cwd()?.into_vec(),
    };
    whole.push(b'/');
    whole.extend_from_slice(argv0);
    let name = base_name(OsStr::from_bytes(argv0)).len();
    whole.truncate(whole.len() - name);
    Some(folded(&whole))
}

/// An absolute path without `.`, `..` and needless slashes, as text: the disk is not looked at,
/// as in 3.4.
fn folded(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let mut folded = vec![b'/'];
    folded.extend(parts.join(&b'/'));
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn check(argv: &[&str], expected: Call) {
        assert_eq!(decide(words(argv)), expected, "{argv:?}");
    }

    fn compile(command: &[&str]) -> Call {
        Call::Compile(words(command))
    }

    #[test]
    fn own_options() {
        check(&["distcc", "--help"], Call::Help);
        check(&["/usr/bin/distcc", "--version"], Call::Version);
        check(&["distcc", "--show-hosts"], Call::ShowHosts);
        check(
            &["distcc", "--show-toolchain", "-m32"],
            Call::ShowToolchain(vec!["-m32".into()]),
        );
        check(&["distcc", "--show-toolchain"], Call::Missing("operand"));
        check(&["distcc-0.1", "-j"], Call::Concurrency);
        check(&["distcc", "--show-principal"], Call::ShowPrincipal);
        check(
            &["distcc", "--scan-includes", "gcc", "-c", "a.c"],
            Call::ScanIncludes(words(&["gcc", "-c", "a.c"])),
        );
        check(&["distcc"], Call::Missing("option/operand"));
        check(&["distcc", "--scan-includes"], Call::Missing("operand"));
    }

    #[test]
    fn own_options_count_only_as_the_first_word() {
        check(
            &["distcc", "gcc", "--version"],
            compile(&["gcc", "--version"]),
        );
        check(&["gcc", "--version"], compile(&["gcc", "--version"]));
    }

    #[test]
    fn explicit_compiler() {
        check(
            &["distcc", "gcc", "-c", "a.c"],
            compile(&["gcc", "-c", "a.c"]),
        );
    }

    #[test]
    fn implicit_compiler() {
        check(&["distcc", "-c", "a.c"], compile(&["cc", "-c", "a.c"]));
        check(&["distcc", "a.c"], compile(&["cc", "a.c"]));
        check(&["distcc", "a.o"], compile(&["cc", "a.o"]));
        check(&["distcc", "-jx"], compile(&["cc", "-jx"]));
    }

    #[test]
    fn in_a_compilers_place() {
        check(&["/m/gcc", "-c", "a.c"], compile(&["gcc", "-c", "a.c"]));
        check(&["g++"], compile(&["g++"]));
    }

    fn behind(argv0: &str, path: &str, programs: &[&str]) -> Option<String> {
        let found = path_behind(
            argv0.as_ref(),
            path.as_ref(),
            || Some("/home/u".into()),
            |program| programs.iter().any(|known| program == Path::new(known)),
        );
        found.map(|path| path.into_string().unwrap())
    }

    #[test]
    fn path_goes_on_behind_the_folder_we_were_found_in() {
        let path = "/a:/m:/usr/bin:/bin";
        let programs = ["/m/gcc", "/usr/bin/gcc"];
        assert_eq!(behind("gcc", path, &programs).unwrap(), "/usr/bin:/bin");
        assert_eq!(behind("/m/gcc", path, &[]).unwrap(), "/usr/bin:/bin");
    }

    #[test]
    fn relative_calls_are_made_absolute_as_text() {
        let path = "/home/u/m:/usr/bin";
        assert_eq!(behind("./m/gcc", path, &[]).unwrap(), "/usr/bin");
        assert_eq!(behind("x/../m/gcc", path, &[]).unwrap(), "/usr/bin");
        assert_eq!(behind("../u/m/gcc", path, &[]).unwrap(), "/usr/bin");
    }

    /// ccache calls a compiler by the folder as `PATH` has it.
    #[test]
    fn folders_in_path_may_be_written_oddly() {
        for folder in ["/m/", "//m", "/x/../m", "/./m/."] {
            let path = format!("/ccache:{folder}:/usr/bin");
            for argv0 in [format!("{folder}/gcc"), "/m/gcc".into()] {
                assert_eq!(behind(&argv0, &path, &[]).unwrap(), "/usr/bin", "{argv0}");
            }
        }
        assert_eq!(behind("/m/gcc", "m:/usr/bin", &[]), None);
    }

    #[test]
    fn path_stays_where_nothing_would_be_left_or_matches() {
        assert_eq!(behind("/m/gcc", "/usr/bin:/m", &[]), None);
        assert_eq!(behind("/m/gcc", "/m:", &[]), None);
        assert_eq!(behind("/other/gcc", "/m:/usr/bin", &[]), None);
        assert_eq!(behind("gcc", "/m:/usr/bin", &[]), None);
        assert_eq!(behind("/usr/bin/distcc", "/usr/bin:/bin", &[]), None);
    }
}
