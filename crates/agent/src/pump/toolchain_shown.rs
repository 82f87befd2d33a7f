//! `--show-toolchain`: all files that go along with a compile, each with the reason.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use command::hermetic::{Hermetic, hermetic};
use command::plan::WhyLocal;
use toolchain::{Place, Surroundings, Toolchain, discover};

use crate::actions::toolchains::wanted;
use crate::console;

/// Shows the toolchain of a compiler with these options. A command of a whole compile does, too.
pub(super) fn show(command: &[OsString]) -> ExitCode {
    match found(command) {
        Ok(toolchain) => {
            console::print_bytes(&text(&toolchain));
            ExitCode::SUCCESS
        }
        Err(why) => {
            console::complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn found(command: &[OsString]) -> Result<Toolchain, String> {
    let name = command.first().map_or(OsStr::new(""), |name| name);
    let hermetic = compile(command)?;
    let around = Surroundings {
        variables: std::env::vars_os().collect(),
        folder: std::env::current_dir().map_err(|error| error.to_string())?,
    };
    discover(&wanted(name, &hermetic), &around).map_err(|why| why.to_string())
}

/// The command itself, or the one that compiles some source with its options.
fn compile(command: &[OsString]) -> Result<Hermetic, String> {
    hermetic(command).or_else(|why| {
        let is_whole = !matches!(
            why,
            command::hermetic::NotHermetic::Command(WhyLocal::NotACompile | WhyLocal::NoInput)
        );
        if is_whole {
            return Err(why.to_string());
        }
        let mut whole = command.to_vec();
        whole.extend(["-c", "a.c"].map(OsString::from));
        hermetic(&whole).map_err(|why| why.to_string())
    })
}

fn text(toolchain: &Toolchain) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = |parts: &[&[u8]]| {
        text.extend_from_slice(&parts.concat());
        text.push(b'\n');
    };
    line(&[b"driver   ", toolchain.driver.as_os_str().as_bytes()]);
    line(&[b"version  ", toolchain.version.as_bytes()]);
    line(&[b"target   ", toolchain.target.as_bytes()]);
    if toolchain.needs_library_path {
        line(&[b"with     LD_LIBRARY_PATH, as it is set here"]);
    }
    line(&[]);
    let (mut files, mut bytes) = (0, 0);
    for (path, place) in &toolchain.places.by_path {
        let (what, target) = match place {
            Place::File { size, .. } => {
                files += 1;
                bytes += size;
                (size.to_string(), None)
            }
            Place::Link(target) => ("link".to_owned(), Some(target.as_os_str().as_bytes())),
            Place::Folder => ("folder".to_owned(), None),
        };
        let reason = toolchain.reasons.get(path).map_or("", |reason| reason);
        let leads = target.map_or(Vec::new(), |target| [b" -> ", target].concat());
        line(&[
            format!("{what:>10}  ").as_bytes(),
            path.as_os_str().as_bytes(),
            &leads,
            b"  (",
            reason.as_bytes(),
            b")",
        ]);
    }
    line(&[]);
    line(&[format!("{files} files, {bytes} bytes").as_bytes()]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn each_file_of_gcc_has_a_reason() {
        let toolchain = found(&words("gcc -O2")).unwrap();
        let text = String::from_utf8(text(&toolchain)).unwrap();
        for part in [
            "\nversion  gcc version ",
            "cc1  (the driver starts it as cc1)",
            " bytes\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("()"), "{text}");
    }

    #[test]
    fn options_say_more() {
        let has_cc1plus = |line: &str| {
            let toolchain = found(&words(line)).unwrap();
            toolchain
                .places
                .by_path
                .keys()
                .any(|path| path.ends_with("cc1plus"))
        };
        assert!(has_cc1plus("gcc -x c++"));
        assert!(has_cc1plus("gcc -c a.cc"));
        assert!(!has_cc1plus("gcc"));
        assert!(found(&words("gcc -wrapper x")).is_err());
        assert!(found(&words("no-such-compiler")).is_err());
    }
}
