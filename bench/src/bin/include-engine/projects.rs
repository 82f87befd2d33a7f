//! What is measured: compile databases named on the command line, or those of the README's table.

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use end_to_end::compile_database::{self, Entry};
use end_to_end::programs::repository;
use end_to_end::tree::Tree;
use includes::Command;
use scan_includes::database;
use serde_json::Value;

use crate::{Failure, theirs};

/// A row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    files: Vec<PathBuf>,
    /// The header that is edited is below this folder.
    headers: Option<PathBuf>,
}

impl FromStr for Row {
    type Err = String;

    fn from_str(text: &str) -> Result<Row, String> {
        let (name, files) = text.split_once('=').ok_or("a row is NAME=FILE,FILE")?;
        Ok(Row {
            name: name.into(),
            files: files.split(',').map(PathBuf::from).collect(),
            headers: None,
        })
    }
}

/// A row's databases, without the compiles on which the compiler itself fails.
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) databases: Vec<Database>,
    pub(crate) left_out: usize,
}

/// A compile database.
pub(crate) struct Database {
    pub(crate) file: PathBuf,
    pub(crate) commands: Vec<Command>,
    /// The header that is edited is below this folder.
    pub(crate) headers: Option<PathBuf>,
}

impl Project {
    /// Reads the databases, and has the compiler look at each compile once: that brings files into the page cache, too.
    pub(crate) fn read(row: &Row, tree: &Tree) -> Result<Project, Failure> {
        let mut project = Project {
            name: row.name.clone(),
            databases: Vec::new(),
            left_out: 0,
        };
        for file in &row.files {
            let (database, left_out) = Database::read(file, row.headers.clone(), tree)?;
            project.databases.push(database);
            project.left_out += left_out;
        }
        if project.compiles() == 0 {
            return Err(format!("{}: the compiler fails on all compiles", row.name).into());
        }
        Ok(project)
    }

    pub(crate) fn compiles(&self) -> usize {
        self.databases.iter().map(|d| d.commands.len()).sum()
    }
}

impl Database {
    fn read(
        file: &Path,
        headers: Option<PathBuf>,
        tree: &Tree,
    ) -> Result<(Database, usize), Failure> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let named = |why: String| format!("{}: {why}", file.display());
        let env: Vec<_> = std::env::vars_os().collect();
        let cwd = std::env::current_dir()?
            .into_os_string()
            .into_encoded_bytes();
        let text = std::fs::read(file).map_err(|error| named(error.to_string()))?;
        let compiles = database::from_database(&text, &cwd, &env).map_err(named)?;
        let commands: Vec<Command> = compiles.into_iter().map(|c| c.command).collect();
        let works = preprocess(&commands)?;
        let left_out = works.iter().filter(|works| !**works).count();
        let kept = |at: &usize| works[*at];
        let Value::Array(list) = serde_json::from_slice(&text)? else {
            return Err(named("it is not a list".into()).into());
        };
        let list: Vec<&Value> = (0..list.len()).filter(kept).map(|at| &list[at]).collect();
        // The other side must read the same compiles.
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = tree.write(format!("kept-{next}.json"), serde_json::to_vec(&list)?);
        let commands = commands
            .into_iter()
            .zip(&works)
            .filter(|(_, works)| **works);
        let database = Database {
            file,
            commands: commands.map(|(command, _)| command).collect(),
            headers,
        };
        Ok((database, left_out))
    }
}

/// Whether the compiler itself preprocesses each of them.
fn preprocess(commands: &[Command]) -> Result<Vec<bool>, Failure> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![Ok(false); commands.len()]);
    let share = || {
        while let Some((at, command)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            commands.get(at).map(|command| (at, command))
        } {
            let status = theirs::list(command).map_err(|failure| failure.to_string());
            let works = status.map(|status| status.success());
            results.lock().expect("no holder panics")[at] = works;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(share);
        }
    });
    let results = results.into_inner().expect("no holder panics");
    Ok(results.into_iter().collect::<Result<_, String>>()?)
}

/// The rows of the README's table whose names contain `only`: projects unpacked and prepared below `tree`.
pub(crate) fn of_readme(tree: &Tree, only: &str) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    for (name, corpora) in [
        ("git", &["git"][..]),
        ("fmtlib + googletest", &["fmtlib", "googletest"]),
    ] {
        if name.contains(only) {
            let databases = corpora.iter().map(|corpus| {
                let entries = compile_database::of_corpus(corpus, tree);
                write(tree, corpus, &entries)
            });
            rows.push(Row {
                name: name.into(),
                files: databases.collect(),
                headers: None,
            });
        }
    }
    let names = [
        "ledger (Boost-heavy)",
        "Boost's libraries",
        "Boost's libraries, iterating",
    ];
    if !names.iter().any(|name| name.contains(only)) {
        return Ok(rows);
    }
    let boost = copied_boost(tree)?;
    let mut add = |name: &str, file: &str, mut entries: Vec<Entry>| {
        for entry in &mut entries {
            entry.command.push_str(&format!(" '-I{}'", boost.display()));
        }
        rows.push(Row {
            name: name.into(),
            files: vec![write(tree, file, &entries)],
            headers: Some(boost.clone()),
        });
    };
    if names[0].contains(only) {
        let entries = compile_database::of_corpus("ledger", tree);
        add(names[0], "ledger", entries);
    }
    // The units are copied too: new source files come to stand beside them.
    let units = tree.join("boost-units");
    copy(
        &Path::new(repository()).join("tests/hard-cases/boost"),
        &units,
    )?;
    // Libraries as they are used, and those made to iterate by including themselves: without the headers that Boost
    // brings ready-made, or beyond their limits.
    let iterates = |entry: &Entry| {
        entry.file.starts_with("pp_")
            || entry.file.contains("_made")
            || entry.command.contains(" -D")
    };
    let (iterating, plain): (Vec<Entry>, Vec<Entry>) = compile_database::of_units(&units, "gcc")
        .into_iter()
        .partition(iterates);
    add(names[1], "boost", plain);
    add(names[2], "boost-iterating", iterating);
    Ok(rows)
}

fn write(tree: &Tree, name: &str, entries: &[Entry]) -> PathBuf {
    tree.write(format!("{name}.json"), compile_database::json(entries))
}

/// Boost's headers, where one of them can be edited.
fn copied_boost(tree: &Tree) -> Result<PathBuf, Failure> {
    let installed = Path::new("/usr/include/boost");
    if !installed.exists() {
        return Err("Boost is needed: apt-get install libboost-dev".into());
    }
    let folder = tree.folder("boost-headers");
    copy(installed, &folder)?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let copied = Process::new("cp").arg("-a").args([from, to]).status()?;
    if !copied.success() {
        return Err(format!("copying {}: {copied}", from.display()).into());
    }
    Ok(())
}
