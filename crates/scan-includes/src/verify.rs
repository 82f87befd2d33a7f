//! Comparing with the compiler: its `-E -MD` is what it really opened (gcc's `-M` does not act on `_Pragma`).

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use includes::{Closure, Command, output_within};
use scan_includes::database::Compile;

use crate::claims;

/// What the compiler itself reads.
pub(crate) type Theirs = Result<BTreeSet<PathBuf>, Failure>;

/// Why there is no list of the compiler's own.
pub(crate) enum Failure {
    /// It fails; its first message.
    Compile(String),
    /// It cannot be run, and why.
    NotRun(String),
}

/// What the comparison found.
pub(crate) enum Verdict {
    Same,
    Different {
        /// Files that only one of the two lists.
        theirs: Vec<PathBuf>,
        ours: Vec<PathBuf>,
        /// What the answer says of the file system, and is not so.
        untrue: Vec<String>,
    },
}

/// Compares real paths: what the compiler lists, and what the engine says that it lists. What compilers do not list is
/// compared with the file system.
pub(crate) fn compare(closure: &Closure, cwd: &[u8], theirs: &BTreeSet<PathBuf>) -> Verdict {
    let ours: BTreeSet<PathBuf> = closure
        .files
        .iter()
        .filter(|f| f.listed)
        .map(|f| PathBuf::from(OsString::from_vec(f.real.to_vec())))
        .collect();
    let untrue = claims::untrue(closure, cwd);
    if ours == *theirs && untrue.is_empty() {
        return Verdict::Same;
    }
    Verdict::Different {
        untrue,
        theirs: theirs.difference(&ours).cloned().collect(),
        ours: ours.difference(theirs).cloned().collect(),
    }
}

/// Preprocessing takes seconds at most.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Runs the compiler for its dependencies.
pub(crate) fn ask(compile: &Compile) -> Theirs {
    let command = &compile.command;
    if command.argv.is_empty() {
        let why = compile.unclear.clone().unwrap_or_default();
        return Err(Failure::NotRun(why));
    }
    if let Some(message) = missing_folder(command) {
        return Err(Failure::NotRun(message));
    }
    let cwd = Path::new(OsStr::from_bytes(&command.cwd));
    let mut process = Process::new(&command.argv[0]);
    process
        .args(preprocessing(&command.argv[1..]))
        // Not a file: nothing is left where this is interrupted. And not `/dev/stdout`: where a header is missing, clang
        // removes what it was told to write, and root may.
        .args(["-MD", "-MF", "/proc/self/fd/1", "-E", "-o", "/dev/null"])
        .env_clear()
        .envs(command.env.iter().cloned())
        .current_dir(cwd);
    let output = output_within(&mut process, b"", TIME_LIMIT).map_err(|error| {
        Failure::NotRun(format!("running {}: {error}", command.argv[0].display()))
    })?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let first = errors
            .lines()
            .find(|line| line.contains("error"))
            .or(errors.lines().next());
        let first = first.unwrap_or("no message");
        return Err(Failure::Compile(first.to_owned()));
    }
    if output.stdout.is_empty() {
        let why = "it preprocesses nothing: no list was written";
        return Err(Failure::Compile(why.into()));
    }
    Ok(prerequisites(&output.stdout)
        .iter()
        .map(|path| {
            let path = cwd.join(OsStr::from_bytes(path));
            path.canonicalize().unwrap_or(path)
        })
        .collect())
}

/// What to say if the command's folder is missing.
pub(crate) fn missing_folder(command: &Command) -> Option<String> {
    let folder = Path::new(OsStr::from_bytes(&command.cwd));
    (!folder.is_dir()).then(|| format!("there is no folder {}", folder.display()))
}

/// The arguments without those that say what to write.
fn preprocessing(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_bytes() {
            b"-o" | b"-MF" | b"-MT" | b"-MQ" => {
                rest.next();
            }
            b"-c" | b"-S" | b"-E" | b"-M" | b"-MM" | b"-MD" | b"-MMD" | b"-MP" | b"-MG" => {}
            other
                if other.starts_with(b"-Wp,-M")
                    || other.starts_with(b"-MF")
                    || other.starts_with(b"-MT")
                    || other.starts_with(b"-MQ") => {}
            _ => kept.push(argument.clone()),
        }
    }
    kept
}

/// The prerequisites of a make rule as gcc and clang write it.
fn prerequisites(rule: &[u8]) -> Vec<Vec<u8>> {
    let start = rule
        .windows(2)
        .position(|w| w[0] == b':' && w[1].is_ascii_whitespace())
        .map_or(rule.len(), |at| at + 1);
    let mut words = Vec::new();
    let mut word = Vec::new();
    let mut bytes = rule[start..].iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek().copied()) {
            (b'\\', Some(b'\n')) | (b'\n' | b' ' | b'\t', _) => {
                if byte == b'\\' {
                    bytes.next();
                }
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (b'\\', Some(b' ' | b'#' | b'\t')) => word.extend(bytes.next()),
            // gcc doubles backslashes before a protected blank.
            (b'\\', Some(b'\\'))
                if bytes
                    .clone()
                    .find(|&b| b != b'\\')
                    .is_some_and(|b| b == b' ') =>
            {
                bytes.next();
                word.push(b'\\');
            }
            (b'$', Some(b'$')) => word.extend(bytes.next()),
            _ => word.push(byte),
        }
    }
    words.extend(Some(word).filter(|w| !w.is_empty()));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_rule_with_all_its_protections() {
        let got = prerequisites(b"a.o: a.c b\\ c.h \\\n d$$.h e\\#.h\n");
        assert_eq!(
            got,
            [
                b"a.c".to_vec(),
                b"b c.h".to_vec(),
                b"d$.h".to_vec(),
                b"e#.h".to_vec()
            ]
        );
    }
}
