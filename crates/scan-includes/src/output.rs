//! Printing: make rules, JSON, figures, messages. All output leaves through here.

use std::io::Write;

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
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {error}"))
}

/// Prints one compile's closure.
pub(crate) fn closure(
    format: Format,
    command: &Command,
    result: &Result<Arc<Closure>, Refusal>,
) -> Result<(), String> {
    let bytes = match format {
        Format::Make => match result {
            Ok(closure) => make(closure),
            Err(_) => return Ok(()),
        },
        Format::Json => {
            let mut text = json(command, result).to_string().into_bytes();
            text.push(b'\n');
            text
        }
    };
    std::io::stdout()
        .lock()
        .write_all(&bytes)
        .map_err(|error| format!("standard output: {error}"))
}

fn make(closure: &Closure) -> Vec<u8> {
    let mut out = Vec::new();
    let input = closure.files.first().map_or(&[][..], |f| &f.spelled[..]);
    let name = input.rsplit(|&b| b == b'/').next().unwrap_or_default();
    out.extend_from_slice(&name[..name.iter().rposition(|&b| b == b'.').unwrap_or(name.len())]);
    out.extend_from_slice(b".o:");
    for file in closure.files.iter().filter(|f| f.listed) {
        out.extend_from_slice(b" \\\n ");
        protect(&file.spelled, &mut out);
    }
    out.push(b'\n');
    out
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
    match result {
        Err(refusal) => json!({ "directory": text(&command.cwd), "refused": refusal.to_string() }),
        Ok(closure) => json!({
            "directory": text(&command.cwd),
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
