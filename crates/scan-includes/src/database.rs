//! Compile databases: `compile_commands.json`, as CMake, Meson, Ninja and Bear write it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use includes::Command;
use serde_json::Value;

use crate::launchers::see_through;

/// A compile, and what messages call it.
#[derive(Debug, PartialEq, Eq)]
pub struct Compile {
    /// The file that the entry names, or the command's source, or else its last word.
    pub name: String,
    /// What is run.
    pub command: Command,
    /// Why it is not clear what that compiles, if so. Of an entry that cannot be read there is no command.
    pub unclear: Option<String>,
}

impl Compile {
    /// The compile that `command` is, behind its launchers.
    pub fn new(name: String, mut command: Command) -> Self {
        let unclear = see_through(&mut command).err();
        Compile {
            name,
            command,
            unclear,
        }
    }
}

/// Reads a compile database. Relative folders start at `cwd`; all commands get the environment `env`.
///
/// # Errors
/// A sentence that names what is wrong with it, if nothing in it can be read.
pub fn from_database(
    text: &[u8],
    cwd: &[u8],
    env: &[(OsString, OsString)],
) -> Result<Vec<Compile>, String> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let database: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let list = database.as_array().ok_or("it is not a list of compiles")?;
    let compiles: Vec<Compile> = list
        .iter()
        .enumerate()
        .map(|(at, entry)| {
            entry_compile(entry, cwd, env).unwrap_or_else(|why| unreadable(entry, at, &why))
        })
        .collect();
    match compiles.first() {
        None => Err("it holds no compiles".into()),
        // Likely it is something else.
        Some(Compile {
            unclear: Some(why), ..
        }) if compiles.iter().all(|c| c.command.argv.is_empty()) => Err(why.clone()),
        Some(_) => Ok(compiles),
    }
}

fn unreadable(entry: &Value, at: usize, why: &str) -> Compile {
    let number = at + 1;
    let file = entry.get("file").and_then(Value::as_str);
    let (name, why) = match file {
        Some(file) => (file.to_owned(), format!("entry {number} ({file}): {why}")),
        None => (format!("entry {number}"), format!("entry {number}: {why}")),
    };
    let command = Command {
        cwd: b"/".to_vec(),
        argv: Vec::new(),
        env: Vec::new(),
    };
    Compile {
        name,
        command,
        unclear: Some(why),
    }
}

fn entry_compile(
    entry: &Value,
    cwd: &[u8],
    env: &[(OsString, OsString)],
) -> Result<Compile, String> {
    let text = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("\"{name}\" is no string")),
    };
    let directory = text("directory")?.ok_or("no \"directory\"")?;
    // Of the two forms the list says more exactly what is meant.
    let argv = match (entry.get("arguments"), text("command")?) {
        (Some(Value::Array(list)), _) => list
            .iter()
            .map(|word| word.as_str().map(OsString::from))
            .collect::<Option<Vec<_>>>()
            .ok_or("an argument is no string")?,
        (Some(_), _) => return Err("\"arguments\" is no list".into()),
        (None, Some(line)) => split(line.as_bytes())?,
        (None, None) => return Err("neither \"arguments\" nor \"command\"".into()),
    };
    if argv.is_empty() {
        return Err("an empty command".into());
    }
    let name = text("file")?.map_or_else(|| source_in(&argv), String::from);
    // As other tools do: from where we are, not from where the database is.
    let folder = match directory.as_bytes() {
        [b'/', ..] => directory.as_bytes().to_vec(),
        [] | b"." => cwd.to_vec(),
        relative => [cwd, b"/", relative].concat(),
    };
    Ok(Compile::new(
        name,
        Command {
            cwd: folder,
            argv,
            env: env.to_vec(),
        },
    ))
}

/// What messages call a command by: its source, or else its last word.
pub fn source_in(argv: &[OsString]) -> String {
    const ENDS: [&str; 13] = [
        "c", "cc", "cp", "cpp", "cxx", "c++", "C", "CPP", "m", "mm", "M", "S", "sx",
    ];
    let is_source = |word: &&OsString| {
        let end = Path::new(word).extension().and_then(|end| end.to_str());
        !word.as_bytes().starts_with(b"-") && end.is_some_and(|end| ENDS.contains(&end))
    };
    let word = argv.iter().rev().find(is_source).or(argv.last());
    word.map_or_else(String::new, |word| word.to_string_lossy().into_owned())
}

/// The words of a shell command line: quotes and backslashes, nothing else.
fn split(line: &[u8]) -> Result<Vec<OsString>, String> {
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
    if quote.is_some() {
        return Err("a quote in the command does not end".into());
    }
    words.extend(word);
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

/// Exchanges the compiler for `compiler`, or for its C++ sibling where the command names a C++ compiler.
pub fn exchange_compiler(command: &mut Command, compiler: &str) {
    let Some(first) = command.argv.first_mut() else {
        return;
    };
    let name = Path::new(&*first).file_name().unwrap_or_default();
    let is_cxx = name.as_bytes().windows(2).any(|pair| pair == b"++");
    *first = if is_cxx {
        cxx_sibling(compiler).into()
    } else {
        compiler.into()
    };
}

fn cxx_sibling(compiler: &str) -> String {
    let (folder, name) = compiler.split_at(compiler.rfind('/').map_or(0, |at| at + 1));
    let name = if name.contains("++") {
        name.to_owned()
    } else {
        name.replace("gcc", "g++").replace("clang", "clang++")
    };
    format!("{folder}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[&str]) {
        assert_eq!(split(line.as_bytes()).expect("closed"), expected, "{line}");
    }

    #[test]
    fn fuzzed_databases() {
        fuzz::Target::new("compile database")
            .seeds([
                r#"[{"directory": "/p", "command": "gcc -DX=\"a b\" -c a.c", "file": "a.c"}]"#,
                r#"[{"directory": ".", "arguments": ["g++", "-c", "a\u00e4.cc"], "output": null}]"#,
            ])
            .words([
                "[",
                "]",
                "{",
                "}",
                "\"directory\":",
                "\"command\":",
                "\"arguments\":",
                "null",
                "\\u0000",
                ",",
            ])
            .memory(1 << 20, 500)
            .run(|text| {
                if let Ok(compiles) = from_database(text, b"/cwd", &[]) {
                    assert!(!compiles.is_empty());
                }
            });
    }

    #[test]
    fn splits_like_a_shell() {
        check(
            r#"gcc -DX="\"a b\"" 'c d' e\ f "" "\n""#,
            &["gcc", "-DX=\"a b\"", "c d", "e f", "", "\\n"],
        );
        assert!(split(b"gcc 'x.c").is_err());
    }

    #[test]
    fn reads_both_forms_of_entries_and_prefers_the_list() {
        let text = br#"[{"directory":"/a","file":"x.c","arguments":["gcc","x.c"]},
            {"directory":"/a","file":"x.c","command":"gcc 'x.c'"},
            {"directory":"/a","file":"x.c","command":"gcc y.c","arguments":["gcc","x.c"]}]"#;
        let compiles = from_database(text, b"/here", &[]).expect("valid");
        assert_eq!(compiles[0], compiles[1]);
        assert_eq!(compiles[0], compiles[2]);
        assert_eq!(compiles[0].name, "x.c");
    }

    #[test]
    fn a_relative_directory_starts_where_we_are() {
        let folder = |directory: &str| {
            let text = format!(r#"[{{"directory":"{directory}","command":"gcc x.c"}}]"#);
            let compiles = from_database(text.as_bytes(), b"/here", &[]).expect("valid");
            String::from_utf8_lossy(&compiles[0].command.cwd).into_owned()
        };
        assert_eq!(folder("/a"), "/a");
        assert_eq!(folder("b"), "/here/b");
        assert_eq!(folder("."), "/here");
    }

    #[test]
    fn says_what_is_wrong_with_a_database() {
        let complain = |text: &str| from_database(text.as_bytes(), b"/", &[]).expect_err(text);
        assert!(complain("[").contains("line 1"));
        assert_eq!(complain("{}"), "it is not a list of compiles");
        assert_eq!(complain("[]"), "it holds no compiles");
        assert_eq!(complain("[{}]"), "entry 1: no \"directory\"");
        assert_eq!(
            complain(r#"[{"directory":"/","file":"x.c"}]"#),
            "entry 1 (x.c): neither \"arguments\" nor \"command\""
        );
        assert_eq!(
            complain(r#"[{"directory":"/","arguments":"gcc x.c"}]"#),
            "entry 1: \"arguments\" is no list"
        );
        assert_eq!(
            complain(r#"[{"directory":"/","command":""}]"#),
            "entry 1: an empty command"
        );
        assert_eq!(
            complain(r#"[{"directory":"/","command":"gcc 'x.c"}]"#),
            "entry 1: a quote in the command does not end"
        );
    }

    #[test]
    fn an_entry_that_cannot_be_read_costs_no_other_one() {
        let text = b"\xef\xbb\xbf[{\"directory\":\"/\",\"arguments\":[],\"file\":\"x.c\"},
            {\"directory\":\"/\",\"command\":\"gcc y.c\"}]";
        let compiles = from_database(text, b"/", &[]).expect("one can be read");
        let why = "entry 1 (x.c): an empty command";
        assert_eq!(compiles[0].unclear.as_deref(), Some(why));
        assert_eq!(
            (compiles[1].name.as_str(), &compiles[1].unclear),
            ("y.c", &None)
        );
    }

    #[test]
    fn exchanges_a_compiler_for_the_sibling_of_its_language() {
        let exchanged = |from: &str, to: &str| {
            let mut command = Command {
                cwd: Vec::new(),
                argv: vec![from.into()],
                env: Vec::new(),
            };
            exchange_compiler(&mut command, to);
            command.argv[0].to_string_lossy().into_owned()
        };
        assert_eq!(exchanged("gcc", "clang"), "clang");
        assert_eq!(exchanged("/usr/bin/g++-12", "clang"), "clang++");
        assert_eq!(exchanged("c++", "/gcc/bin/gcc-12"), "/gcc/bin/g++-12");
        assert_eq!(exchanged("c++", "clang++"), "clang++");
    }
}
