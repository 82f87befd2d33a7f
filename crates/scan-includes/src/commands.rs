//! Which compiles are scanned: one from the command line, or those of a compile database.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use includes::Command;
use serde_json::Value;

/// Reads a compile database. Messages name what is wrong with it.
pub(crate) fn from_database(
    text: &[u8],
    env: &[(OsString, OsString)],
) -> Result<Vec<Command>, String> {
    let database: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let list = database.as_array().ok_or("it is not a list")?;
    list.iter()
        .enumerate()
        .map(|(at, entry)| entry_command(entry, env).map_err(|why| format!("entry {at}: {why}")))
        .collect()
}

fn entry_command(entry: &Value, env: &[(OsString, OsString)]) -> Result<Command, String> {
    let directory = entry
        .get("directory")
        .and_then(Value::as_str)
        .ok_or("no directory")?;
    let argv = match (
        entry.get("arguments").and_then(Value::as_array),
        entry.get("command").and_then(Value::as_str),
    ) {
        (Some(list), _) => {
            let words: Option<Vec<OsString>> = list
                .iter()
                .map(|word| word.as_str().map(OsString::from))
                .collect();
            words.ok_or("an argument is no string")?
        }
        (None, Some(line)) => split(line.as_bytes()),
        (None, None) => return Err("neither arguments nor command".into()),
    };
    if argv.is_empty() {
        return Err("an empty command".into());
    }
    Ok(Command {
        cwd: directory.as_bytes().to_vec(),
        argv,
        env: env.to_vec(),
    })
}

/// The words of a shell command line: quotes and backslashes, nothing else.
fn split(line: &[u8]) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut bytes = line.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', Some(b'"')) if !matches!(bytes.peek(), Some(b'"' | b'\\' | b'$' | b'`')) => {
                word.get_or_insert_default().push(byte)
            }
            (b'\\', None | Some(b'"')) => word.get_or_insert_default().extend(bytes.next()),
            (b, Some(q)) if b == q => quote = None,
            (b, Some(_)) => word.get_or_insert_default().push(b),
            (b'"' | b'\'', None) => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (b, None) if b.is_ascii_whitespace() => words.extend(word.take()),
            (b, None) => word.get_or_insert_default().push(b),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from_vec).collect()
}

/// Exchanges the compiler for `compiler`, or for its C++ sibling where the command names a C++ compiler.
pub(crate) fn exchange_compiler(command: &mut Command, compiler: &str) {
    let Some(first) = command.argv.first_mut() else {
        return;
    };
    let name = Path::new(&*first)
        .file_name()
        .unwrap_or_default()
        .as_bytes();
    let sibling = match compiler {
        "gcc" => "g++".to_owned(),
        other => other.replace("gcc", "g++").replace("clang", "clang++"),
    };
    *first = if name.ends_with(b"++") {
        sibling.into()
    } else {
        compiler.into()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        assert_eq!(split(line.as_bytes()), expected, "{line}");
    }

    #[test]
    fn splits_like_a_shell() {
        check(
            r#"gcc -DX="\"a b\"" 'c d' e\ f "" "\n""#,
            &["gcc", "-DX=\"a b\"", "c d", "e f", "", "\\n"],
        );
    }

    #[test]
    fn reads_both_forms_of_entries() {
        let text = br#"[{"directory":"/a","file":"x.c","arguments":["gcc","x.c"]},{"directory":"/a","file":"x.c","command":"gcc 'x.c'"}]"#;
        let commands = from_database(text, &[]).expect("valid");
        assert_eq!(commands[0], commands[1]);
        assert!(from_database(b"[{}]", &[]).is_err());
    }
}
