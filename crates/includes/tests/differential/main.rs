//! Differential tests: random programs, and what the engine says of them against gcc and clang.
//!
//! `INCLUDES_PROGRAMS` sets how many programs are tried (200 if unset) and `INCLUDES_SEED` where they begin.
//! A difference prints its seed; the program is then left in a folder named in the message.

mod generator;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::sync::Arc;

use generator::{Program, Random, program};
use includes::{Closure, Command, Engine, RealCompiler, RealTree, Refusal, Settings};

fn number(name: &str, default: u64) -> u64 {
    std::env::var_os(name)
        .and_then(|v| v.to_str().and_then(|v| v.parse().ok()))
        .unwrap_or(default)
}

fn write(program: &Program, folder: &Path) {
    for (path, text) in &program.files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("below the folder"))
            .expect("temporary folder");
        std::fs::write(path, text).expect("temporary folder");
    }
    for (path, target) in &program.links {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("below the folder"))
            .expect("temporary folder");
        std::os::unix::fs::symlink(target, path).expect("temporary folder");
    }
}

fn command(program: &Program, compiler: &str, folder: &Path) -> Command {
    let mut env: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(n, _)| n != "CPATH").collect();
    env.extend(
        program
            .cpath
            .iter()
            .map(|value| ("CPATH".into(), value.into())),
    );
    let argv = std::iter::once(compiler)
        .chain(program.arguments.iter().map(String::as_str))
        .map(OsString::from)
        .collect();
    Command {
        cwd: folder.as_os_str().as_bytes().to_vec(),
        argv,
        env,
    }
}

/// What the compiler lists; `None` if it fails.
fn theirs(command: &Command, folder: &Path) -> Option<BTreeSet<PathBuf>> {
    let rule = folder.join("rule.d");
    let mut process = Process::new(&command.argv[0]);
    process
        .args(&command.argv[1..])
        .args(["-w", "-E", "-o", "/dev/null", "-MD", "-MF"])
        .arg(&rule);
    process
        .env_clear()
        .envs(command.env.iter().cloned())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    if !process
        .status()
        .expect("the compiler is installed")
        .success()
    {
        return None;
    }
    let rule = std::fs::read_to_string(&rule).expect("the compiler wrote it");
    let rule = rule
        .split_once(": ")
        .map_or("", |(_, r)| r)
        .replace("\\\n", " ")
        .replace("\\ ", "\u{1}");
    Some(
        rule.split_whitespace()
            .map(|p| {
                folder
                    .join(p.replace('\u{1}', " "))
                    .canonicalize()
                    .expect("it was read")
            })
            .collect(),
    )
}

fn ours(engine: &Engine, command: &Command) -> Result<BTreeSet<PathBuf>, Refusal> {
    let closure = engine.closure(command)?;
    Ok(closure
        .files
        .iter()
        .filter(|f| f.listed)
        .map(|f| PathBuf::from(OsString::from_vec(f.real.to_vec())))
        .collect())
}

#[derive(Default)]
struct Tally {
    same: u64,
    invalid: u64,
    refused: u64,
    failures: Vec<String>,
}

fn compare(seed: u64, compiler: &str, compilers: &Arc<RealCompiler>, tally: &mut Tally) {
    let program = program(seed);
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().canonicalize().expect("it exists");
    write(&program, &path);
    let command = command(&program, compiler, &path);
    let theirs = theirs(&command, &path);
    let engine = Engine::new(
        Arc::new(RealTree::frozen()),
        Arc::clone(compilers) as _,
        Settings::default(),
    );
    let plain = Engine::new(
        Arc::new(RealTree::frozen()),
        Arc::clone(compilers) as _,
        Settings {
            memo: false,
            ..Settings::default()
        },
    );
    let mine = ours(&engine, &command);
    let again = ours(&engine, &command);
    let unremembered = ours(&plain, &command);
    let trouble = if mine != again || mine != unremembered {
        Some(format!(
            "answers differ: {mine:?} / {again:?} / {unremembered:?}"
        ))
    } else {
        match (&theirs, &mine) {
            (None, _) => {
                tally.invalid += 1;
                None
            }
            // gcc says nothing about a header that is not found if `__has_include` looked for it before.
            (Some(_), Err(Refusal::NotFound { .. })) if compiler == "gcc" => {
                tally.refused += 1;
                None
            }
            (Some(_), Err(Refusal::Unmodelled { .. })) => {
                tally.refused += 1;
                None
            }
            (Some(_), Err(refusal)) => Some(format!("refused: {refusal}")),
            (Some(theirs), Ok(mine)) if theirs == mine => {
                tally.same += 1;
                None
            }
            (Some(theirs), Ok(mine)) => Some(format!(
                "only {compiler}: {:?}, only we: {:?}",
                theirs.difference(mine).collect::<Vec<_>>(),
                mine.difference(theirs).collect::<Vec<_>>()
            )),
        }
    };
    if let Some(trouble) = trouble {
        tally.failures.push(format!(
            "seed {seed} {compiler} {:?} {:?}: {trouble} (in {})",
            program.arguments,
            program.cpath,
            folder.keep().display()
        ));
    }
}

#[test]
fn random_programs_have_the_closures_that_the_compilers_see() {
    let store = tempfile::tempdir().expect("temporary folder");
    let compilers = Arc::new(RealCompiler::new(Some(store.path().into())));
    let (first, count) = (number("INCLUDES_SEED", 1), number("INCLUDES_PROGRAMS", 200));
    let mut tally = Tally::default();
    for seed in first..first + count {
        for compiler in ["gcc", "clang"] {
            compare(seed, compiler, &compilers, &mut tally);
        }
    }
    println!(
        "{} same, {} refused, {} that the compiler fails on",
        tally.same, tally.refused, tally.invalid
    );
    let shown: Vec<_> = tally.failures.iter().take(10).cloned().collect();
    assert!(
        tally.failures.is_empty(),
        "{} differences:\n{}",
        tally.failures.len(),
        shown.join("\n")
    );
    // The generator must not drift into programs that test nothing.
    assert!(tally.same > tally.invalid, "most programs must be valid");
    assert!(tally.refused * 8 <= tally.same, "refusals must be rare");
}

/// One random change of the tree.
fn edit(random: &mut Random, folder: &Path, seed: u64) {
    let other = program(seed.wrapping_mul(31) + random.below(1000) as u64);
    let files: Vec<_> = other
        .files
        .iter()
        .filter(|(path, _)| !path.contains("main."))
        .collect();
    let (path, text) = files[random.below(files.len())];
    let path = folder.join(path);
    let parent = path.parent().expect("below the folder").to_path_buf();
    // An edit may do nothing (remove what is not there); that must not matter either.
    let _ = match random.below(9) {
        0..=2 => std::fs::create_dir_all(&parent).and_then(|()| std::fs::write(&path, text)),
        3 => std::fs::remove_file(&path),
        4 => std::fs::create_dir_all(&parent).and_then(|()| {
            let beside = path.with_extension("new");
            std::fs::write(&beside, text)?;
            std::fs::rename(&beside, &path)
        }),
        5 => {
            let _ = std::fs::remove_file(&path);
            std::os::unix::fs::symlink(
                folder.join("last").join(path.file_name().expect("a file")),
                &path,
            )
        }
        6 => std::fs::rename(&parent, folder.join("moved"))
            .or_else(|_| std::fs::rename(folder.join("moved"), &parent)),
        7 => std::fs::remove_dir_all(&parent),
        _ => {
            let _ = std::fs::remove_file(folder.join("linked"));
            std::os::unix::fs::symlink(&parent, folder.join("linked"))
        }
    };
}

#[test]
fn an_engine_that_lives_through_edits_answers_like_a_new_one() {
    let store = tempfile::tempdir().expect("temporary folder");
    let compilers = Arc::new(RealCompiler::new(Some(store.path().into())));
    let (first, count) = (
        number("INCLUDES_SEED", 1),
        number("INCLUDES_EDITED_PROGRAMS", 100),
    );
    let mut compared = 0;
    for seed in first..first + count {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        let made = program(seed);
        write(&made, &path);
        let tree = Arc::new(RealTree::watched().expect("inotify works here"));
        let engine = Engine::new(tree, Arc::clone(&compilers) as _, Settings::default());
        let mut random = Random::new(seed);
        for round in 0..12 {
            for compiler in ["gcc", "clang"] {
                let command = command(&made, compiler, &path);
                let new = Engine::new(
                    Arc::new(RealTree::frozen()),
                    Arc::clone(&compilers) as _,
                    Settings::default(),
                );
                // Folders come in no order.
                let answer = |engine: &Engine| {
                    engine.closure(&command).map(|closure| {
                        let mut closure = Closure::clone(&closure);
                        closure.folders.sort_unstable();
                        closure
                    })
                };
                assert_eq!(
                    answer(&engine),
                    answer(&new),
                    "seed {seed}, round {round}, {compiler}"
                );
                compared += 1;
            }
            for _ in 0..random.below(3) {
                edit(&mut random, &path, seed);
            }
        }
    }
    assert_eq!(compared, count * 24);
}
