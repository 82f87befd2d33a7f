//! Printing: make rules, JSON, figures, messages. All output leaves through here.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use includes::{Closure, Command, Refusal};
use serde_json::{Value, json};

use crate::Format;

/// A message of failure.
pub(crate) fn error(message: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(std::io::stderr(), "scan-includes: {message}");
}

/// A line of results.
pub(crate) fn line(text: &str) -> Result<(), String> {
    print(format!("{text}\n").as_bytes())
}

/// Where the reader of standard output has gone (`| head`), there is nothing left to do: this program ends as others do
/// by SIGPIPE, which Rust's programs ignore.
fn print(bytes: &[u8]) -> Result<(), String> {
    let printed = std::io::stdout().lock().write_all(bytes);
    if let Err(error) = &printed
        && error.kind() == ErrorKind::BrokenPipe
    {
        std::process::exit(128 + 13);
    }
    printed.map_err(|error| format!("standard output: {error}"))
}

/// Prints one compile's closure.
pub(crate) fn closure(
    format: Format,
    command: &Command,
    result: &Result<Arc<Closure>, Refusal>,
) -> Result<(), String> {
    let bytes = match format {
        Format::Make => match result {
            Ok(closure) => make(closure, &command.argv),
            Err(_) => return Ok(()),
        },
        Format::Json => {
            let mut text = json(command, result).to_string().into_bytes();
            text.push(b'\n');
            text
        }
    };
    print(&bytes)
}

fn make(closure: &Closure, argv: &[OsString]) -> Vec<u8> {
    let mut out = Vec::new();
    let input = closure.files.first().map_or(&[][..], |f| &f.spelled[..]);
    let targets = targets(argv, input);
    out.extend_from_slice(&targets.join(&b' '));
    out.push(b':');
    for file in closure.files.iter().filter(|f| f.listed) {
        out.extend_from_slice(b" \\\n ");
        protect(&file.spelled, &mut out);
    }
    out.push(b'\n');
    out
}

/// What the compile's own dependency file would have in front of the colon: what `-MT` and `-MQ` say, or else the
/// object.
fn targets(argv: &[OsString], input: &[u8]) -> Vec<Vec<u8>> {
    let mut targets = Vec::new();
    let mut object = None;
    let mut words = argv.iter().skip(1).map(|word| word.as_bytes());
    while let Some(word) = words.next() {
        let mut value = |option: &[u8]| match word.strip_prefix(option) {
            Some([]) => words.next(),
            glued => glued,
        };
        let quoted = |name: &[u8]| {
            let mut quoted = Vec::new();
            protect(name, &mut quoted);
            quoted
        };
        if word.starts_with(b"-MT") {
            targets.extend(value(b"-MT").map(<[u8]>::to_vec));
        } else if word.starts_with(b"-MQ") {
            targets.extend(value(b"-MQ").map(quoted));
        } else if word.starts_with(b"-o") {
            object = value(b"-o").map(quoted);
        }
    }
    if targets.is_empty() {
        targets.push(object.unwrap_or_else(|| {
            let name = input.rsplit(|&b| b == b'/').next().unwrap_or_default();
            let stem = name.iter().rposition(|&b| b == b'.').unwrap_or(name.len());
            let mut object = Vec::new();
            protect(&name[..stem], &mut object);
            object.extend_from_slice(b".o");
            object
        }));
    }
    targets
}

/// Writes a path so that make reads it as one word, as the compilers do.
fn protect(path: &[u8], out: &mut Vec<u8>) {
    for (at, &byte) in path.iter().enumerate() {
        match byte {
            b' ' | b'\t' => {
                // A backslash before the protecting one must itself be doubled.
                let before = path[..at].iter().rev().take_while(|&&b| b == b'\\');
                out.extend(before);
                out.extend_from_slice(&[b'\\', byte]);
            }
            b'#' => out.extend_from_slice(b"\\#"),
            b'$' => out.extend_from_slice(b"$$"),
            _ => out.push(byte),
        }
    }
}

fn json(command: &Command, result: &Result<Arc<Closure>, Refusal>) -> Value {
    // JSON has no bytes: what is not UTF-8 is shown with replacement characters.
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
    let texts = |list: &[std::sync::Arc<[u8]>]| Value::from_iter(list.iter().map(|b| text(b)));
    let sorted = |list: &[std::sync::Arc<[u8]>]| {
        let mut list = list.to_vec();
        list.sort_unstable();
        texts(&list)
    };
    let arguments = Value::from_iter(command.argv.iter().map(|word| text(word.as_bytes())));
    match result {
        Err(refusal) => json!({
            "directory": text(&command.cwd),
            "arguments": arguments,
            "refused": refusal.to_string(),
        }),
        Ok(closure) => json!({
            "directory": text(&command.cwd),
            "arguments": arguments,
            "files": closure.files.iter().map(|f| json!({
                "path": text(&f.spelled), "real": text(&f.real), "listed": f.listed, "probed_only": f.probed_only,
            })).collect::<Vec<_>>(),
            "absent": Value::from_iter(closure.absent.paths().into_iter().map(|path| text(path))),
            "folders": sorted(&closure.folders),
            "links": closure.links.iter().map(|(at, to)| json!({ "path": text(at), "target": text(to) })).collect::<Vec<_>>(),
            "time_macros": closure.time_macros,
            "assembler": closure.assembler.iter().map(|a| json!({ "within": text(&a.within), "file": a.name.as_deref().map(text) })).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_what_the_compile_makes() {
        for (command, expected) in [
            ("gcc -c d/a.b.c", "a.b.o"),
            ("gcc -c a.c -o build/x.o", "build/x.o"),
            ("gcc -c a.c -obuild/$x.o", "build/$$x.o"),
            (
                "gcc -c a.c -o x.o -MT one -MQtwo$ -MT $(three)",
                "one two$$ $(three)",
            ),
        ] {
            let argv: Vec<OsString> = command.split(' ').map(OsString::from).collect();
            let input = argv[2].as_bytes();
            let targets = targets(&argv, input).join(&b' ');
            assert_eq!(String::from_utf8_lossy(&targets), expected, "{command}");
        }
    }
}
