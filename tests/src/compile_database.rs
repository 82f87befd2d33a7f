//! Compile databases, for `scan-includes`: of folders of units that say themselves how they are compiled, of projects
//! that are built with make or CMake.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::programs::{command, corpus};
use crate::run::run_within;
use crate::tree::Tree;

const LIMIT: Duration = Duration::from_secs(1800);

/// One compile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The current folder.
    pub folder: PathBuf,
    /// The source file, for messages.
    pub file: String,
    /// The command, as for a shell.
    pub command: String,
}

/// The database as text.
pub fn json(entries: &[Entry]) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|entry| {
            let folder = entry.folder.to_str().expect("tests' folders are UTF-8");
            format!(
                r#"{{"directory":{},"file":{},"command":{}}}"#,
                quoted(folder),
                quoted(&entry.file),
                quoted(&entry.command)
            )
        })
        .collect();
    format!("[{}]\n", entries.join(",\n"))
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// All units below `folder`, for the compiler `gcc` or `clang`. Their first comments say how they are compiled:
/// `tests/hard-cases/README.md`.
pub fn of_units(folder: &Path, compiler: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the folder is readable").path();
            if path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some("c" | "cc" | "m" | "mm" | "S") =
                path.extension().and_then(|extension| extension.to_str())
            {
                entries.extend(of_unit(&path, compiler));
            }
        }
    }
    // The order of a folder's entries is up to the file system.
    entries.sort();
    entries
}

fn of_unit(path: &Path, compiler: &str) -> Vec<Entry> {
    let text = fs::read_to_string(path).expect("units are UTF-8");
    let said = |key: &str| -> Vec<&str> {
        let start = format!("// {key}: ");
        text.lines()
            .take_while(|line| line.starts_with("// "))
            .filter_map(|line| line.strip_prefix(start.as_str()))
            .collect()
    };
    let or_none = |list: Vec<&str>| {
        if list.is_empty() {
            vec![String::new()]
        } else {
            list.into_iter().map(String::from).collect()
        }
    };
    let (standards, flags) = (said("std"), said("flags"));
    if (standards.is_empty() && flags.is_empty())
        || said("only").first().is_some_and(|only| *only != compiler)
    {
        return Vec::new();
    }
    let own = path.parent().expect("it is in a folder");
    let folder = own.join(said("folder").first().unwrap_or(&""));
    let folder = folder.canonicalize().expect("a unit names a folder");
    let file = path
        .strip_prefix(&folder)
        .expect("a unit is below its folder");
    let file = file.to_str().expect("units' names are UTF-8");
    let driver = match (path.extension().and_then(|e| e.to_str()), compiler) {
        (Some("cc" | "mm"), "gcc") => "g++".to_owned(),
        (Some("cc" | "mm"), other) => format!("{other}++"),
        (_, other) => other.to_owned(),
    };
    let standards = or_none(standards.iter().flat_map(|list| list.split(' ')).collect());
    let mut entries = Vec::new();
    for standard in standards {
        let standard = match standard.as_str() {
            "" => String::new(),
            name => format!("-std={name}"),
        };
        for flags in or_none(flags.clone()) {
            entries.push(Entry {
                folder: folder.clone(),
                file: file.to_owned(),
                command: format!("{driver} {standard} {flags} -c '{file}'"),
            });
        }
    }
    entries
}

/// The compiles of a Debian source package, in a folder of their own within `tree`.
pub fn of_corpus(name: &str, tree: &Tree) -> Vec<Entry> {
    let source = tree.join(name);
    let mut copy = command("cp");
    run_within(copy.arg("-a").arg(corpus(name)).arg(&source), LIMIT).expect_success();
    let make = |folder: &Path, words: &[&str]| {
        let mut make = command("make");
        run_within(make.args(words).current_dir(folder), LIMIT)
    };
    let planned = |folder: PathBuf, words: &[&str]| {
        let mut all = vec!["-n", "V=1", "CC=gcc", "--no-print-directory"];
        all.extend(words);
        let text = make(&folder, &all).expect_success().text().0;
        of_make(&text, &folder)
    };
    match name {
        "lua5.4" => planned(source.join("src"), &["all", "SYSCFLAGS=-DLUA_USE_LINUX"]),
        "git" => {
            let options = ["NO_TCLTK=1", "NO_GETTEXT=1", "NO_PERL=1", "NO_PYTHON=1"];
            let headers = ["command-list.h", "config-list.h", "hook-list.h"];
            make(&source, &[&options[..], &headers].concat()).expect_success();
            planned(source, &[&options[..], &["all"]].concat())
        }
        "redis" => {
            // Some headers of what it brings along are made.
            make(
                &source.join("deps"),
                &["hiredis", "linenoise", "lua", "hdr_histogram"],
            )
            .expect_success();
            planned(source.join("src"), &["MALLOC=libc", "redis-server"])
        }
        _ => {
            let build = tree.join(format!("{name}-build"));
            let mut cmake = command("cmake");
            cmake.arg("-S").arg(&source).arg("-B").arg(&build);
            cmake.args([
                "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
                "-DCMAKE_BUILD_TYPE=Release",
                "-DCMAKE_C_COMPILER=gcc",
                "-DCMAKE_CXX_COMPILER=g++",
                "-Dgmock_build_tests=ON",
                "-Dgtest_build_tests=ON",
            ]);
            run_within(&mut cmake, LIMIT).expect_success();
            of_cmake(&build.join("compile_commands.json"))
        }
    }
}

/// The compiles that `make -n` speaks of.
fn of_make(text: &str, folder: &Path) -> Vec<Entry> {
    let is_source = |word: &&&str| word.ends_with(".c") || word.ends_with(".S");
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() != Some(&"gcc") || !words.contains(&"-c") {
            return None;
        }
        Some(Entry {
            folder: folder.to_owned(),
            file: (*words.iter().rev().find(is_source)?).to_owned(),
            command: line.to_owned(),
        })
    };
    text.lines().filter_map(entry).collect()
}

/// What CMake writes: each field on a line of its own.
fn of_cmake(file: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(file).expect("CMake writes UTF-8 here");
    let field = |block: &str, name: &str| {
        let start = format!("\"{name}\": \"");
        let value = block.lines().find_map(|line| {
            let value = line.trim().strip_prefix(start.as_str())?;
            value.trim_end_matches(',').strip_suffix('"')
        });
        let value = value.unwrap_or_else(|| panic!("no {name} in {block}"));
        unescaped(value)
    };
    text.split("\n{")
        .skip(1)
        .map(|block| Entry {
            folder: field(block, "directory").into(),
            file: field(block, "file"),
            command: field(block, "command"),
        })
        .collect()
}
