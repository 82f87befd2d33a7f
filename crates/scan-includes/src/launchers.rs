//! Launchers in front of a compiler: `ccache gcc -c x.c` compiles what `gcc -c x.c` compiles.
//!
//! What a launcher does to the environment is done to the command's. One whose words are not understood is left,
//! and named.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use includes::Command;

/// Launchers that take the compiler and its arguments as they are.
const WRAPPERS: &[&[u8]] = &[
    b"ccache",
    b"sccache",
    b"distcc",
    b"icecc",
    b"gomacc",
    b"buildcache",
    b"cachepot",
    b"time",
    b"nohup",
];

/// Takes the launchers away from the start of `command`.
///
/// # Errors
/// A sentence that names the launcher whose words are not understood; the command is as it was then.
pub fn see_through(command: &mut Command) -> Result<(), String> {
    let mut seen = command.clone();
    while let Some(first) = seen.argv.first() {
        let name = Path::new(first).file_name().unwrap_or_default().to_owned();
        let words = match name.as_bytes() {
            b"env" => of_env(&mut seen),
            b"nice" => of_nice(&seen.argv),
            name if WRAPPERS.contains(&name) => Some(1 + settings(&seen.argv)),
            _ => break,
        };
        let is_program = |word: &OsString| !word.is_empty() && !word.as_bytes().starts_with(b"-");
        match words.filter(|&at| seen.argv.get(at).is_some_and(is_program)) {
            Some(words) => drop(seen.argv.drain(..words)),
            None => {
                return Err(format!(
                    "which compiler '{}' starts is not understood",
                    name.display()
                ));
            }
        }
    }
    *command = seen;
    Ok(())
}

fn is_assignment(word: &OsStr) -> bool {
    let word = word.as_bytes();
    let name = word.iter().position(|&b| b == b'=');
    name.is_some_and(|end| {
        end > 0
            && word[..end]
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    })
}

/// ccache's own settings, which stand before the compiler.
fn settings(argv: &[OsString]) -> usize {
    argv[1..]
        .iter()
        .take_while(|word| is_assignment(word))
        .count()
}

/// The words that `env` takes, after doing to the environment what they say.
fn of_env(command: &mut Command) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = command.argv.get(at) {
        match word.as_bytes() {
            b"-i" | b"-" | b"--ignore-environment" => command.env.clear(),
            b"-u" => {
                at += 1;
                let name = command.argv.get(at)?;
                command.env.retain(|(other, _)| other != name);
            }
            option if option.starts_with(b"-") => return None,
            assignment => match assignment.iter().position(|&b| b == b'=') {
                None => return Some(at),
                Some(end) => {
                    let name = OsStr::from_bytes(&assignment[..end]).to_owned();
                    let value = OsStr::from_bytes(&assignment[end + 1..]).to_owned();
                    command.env.retain(|(other, _)| *other != name);
                    command.env.push((name, value));
                }
            },
        }
        at += 1;
    }
    None
}

/// The words that `nice` takes.
fn of_nice(argv: &[OsString]) -> Option<usize> {
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match argv.get(1)?.as_bytes() {
        b"-n" => Some(3),
        option if option.starts_with(b"--adjustment=") => Some(2),
        [b'-', rest @ ..] => {
            let rest = rest.strip_prefix(b"n").unwrap_or(rest);
            number(rest.strip_prefix(b"-").unwrap_or(rest)).then_some(2)
        }
        _ => Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &str) -> Result<(String, String), String> {
        let mut command = Command {
            cwd: Vec::new(),
            argv: line.split(' ').map(OsString::from).collect(),
            env: vec![("PATH".into(), "/bin".into())],
        };
        see_through(&mut command)?;
        let words: Vec<_> = command
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let env: Vec<_> = command
            .env
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        Ok((words.join(" "), env.join(" ")))
    }

    #[track_caller]
    fn check(line: &str, command: &str, env: &str) {
        assert_eq!(seen(line), Ok((command.into(), env.into())));
    }

    #[test]
    fn launchers_are_taken_away() {
        check("gcc -c x.c", "gcc -c x.c", "PATH=/bin");
        check("/usr/bin/ccache gcc -c x.c", "gcc -c x.c", "PATH=/bin");
        check(
            "ccache sloppiness=none distcc clang x.c",
            "clang x.c",
            "PATH=/bin",
        );
        check("nice -n 5 time gcc x.c", "gcc x.c", "PATH=/bin");
        check("nice -19 gcc x.c", "gcc x.c", "PATH=/bin");
        check("nice gcc x.c", "gcc x.c", "PATH=/bin");
        check("env A=b PATH=/x sccache gcc x.c", "gcc x.c", "A=b PATH=/x");
        check("env -u PATH A=b=c gcc x.c", "gcc x.c", "A=b=c");
        check("env -i gcc x.c", "gcc x.c", "");
        // A compiler may have any name.
        check(
            "./ccache-gcc ccache.c",
            "./ccache-gcc ccache.c",
            "PATH=/bin",
        );
    }

    #[test]
    fn a_launcher_with_other_words_is_named() {
        for line in [
            "distcc -c x.c",
            "env -S gcc",
            "env A=b",
            "nice -x gcc",
            "ccache",
        ] {
            let name = line.split(' ').next().expect("a word");
            let why = format!("which compiler '{name}' starts is not understood");
            assert_eq!(seen(line), Err(why), "{line}");
        }
    }
}
