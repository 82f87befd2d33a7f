//! The compiler on this machine, and its answers kept on disk.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::compilers::ask::{Ask, Compiler, Said, VARIABLES};
use crate::compilers::fact_store::{self, state};
use crate::compilers::within::output_within;

/// Runs a program with what an [`Ask`] says; the path is that of the program.
pub type Run = dyn Fn(&Ask, &Path) -> std::io::Result<Said> + Send + Sync;

/// Runs compilers; with a folder, remembers what they said across builds.
pub struct RealCompiler {
    store: Option<PathBuf>,
    run: Box<Run>,
}

impl RealCompiler {
    /// Keeps answers in `store`, or nowhere.
    pub fn new(store: Option<PathBuf>) -> Self {
        RealCompiler {
            store,
            run: Box::new(run),
        }
    }

    /// Has compilers run by `run`, which may set a time limit, for one.
    #[must_use]
    pub fn run_by(self, run: Box<Run>) -> Self {
        RealCompiler { run, ..self }
    }
}

/// Programs that only call a compiler. Which one cannot be told from themselves.
const LAUNCHERS: [&str; 7] = [
    "buildcache",
    "ccache",
    "colorgcc",
    "distcc",
    "fastbuild",
    "icecc",
    "sccache",
];

/// Whether the program at this real path will say tomorrow what it says today, as long as it stays the same itself:
/// not so for a script, or for a program that calls another.
fn speaks_for_itself(real: &Path) -> bool {
    let is_launcher = real
        .file_stem()
        .is_some_and(|name| LAUNCHERS.iter().any(|launcher| name == *launcher));
    let mut start = [0; 4];
    let is_script = std::fs::File::open(real)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| start != *b"\x7fELF");
    !is_launcher && !is_script
}

/// The program a name stands for: found through `PATH` if it has no slash.
fn locate(ask: &Ask) -> Option<PathBuf> {
    let cwd = Path::new(OsStr::from_bytes(&ask.cwd));
    if ask.compiler.as_bytes().contains(&b'/') {
        return Some(cwd.join(&ask.compiler));
    }
    let path = ask
        .env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.clone())?;
    std::env::split_paths(&path)
        .map(|folder| cwd.join(folder).join(&ask.compiler))
        .find(|file| {
            file.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
        })
}

/// All that the answer depends on, as one key: the program's identity and the question. `None` where that is not
/// all.
fn key(ask: &Ask, program: &Path) -> Option<Vec<u8>> {
    let real = program.canonicalize().ok()?;
    if !speaks_for_itself(&real) {
        return None;
    }
    let mut key = Vec::new();
    let mut add = |bytes: &[u8]| {
        key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        key.extend_from_slice(bytes);
    };
    add(program.as_os_str().as_bytes());
    add(real.as_os_str().as_bytes());
    add(state(&real).as_bytes());
    add(&ask.cwd);
    for argument in &ask.arguments {
        add(argument.as_bytes());
    }
    add(b"env");
    for (name, value) in &ask.env {
        // `PATH` has done its part: the program is found.
        if name != "PATH" && VARIABLES.iter().any(|known| name == known) {
            add(name.as_bytes());
            add(value.as_bytes());
        }
    }
    add(&ask.script);
    Some(key)
}

impl Compiler for RealCompiler {
    fn ask(&self, ask: &Ask) -> Result<Said, String> {
        let program =
            locate(ask).ok_or_else(|| format!("{} is not in PATH", ask.compiler.display()))?;
        let kept = self.store.as_deref().zip(key(ask, &program));
        if let Some((folder, key)) = &kept
            && let Some(said) = fact_store::find(folder, key)
        {
            return Ok(said);
        }
        let said =
            (self.run)(ask, &program).map_err(|error| format!("{}: {error}", program.display()))?;
        if let Some((folder, key)) = &kept {
            // A read-only or full disk must not fail the build.
            let _ = fact_store::keep(folder, key, &said);
        }
        Ok(said)
    }
}

/// Compilers answer within a fraction of a second.
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn run(ask: &Ask, program: &Path) -> std::io::Result<Said> {
    let mut command = Command::new(program);
    command
        .args(&ask.arguments)
        .env_clear()
        .envs(ask.env.iter().map(|(n, v)| (n.clone(), v.clone())))
        .env("LC_ALL", "C")
        .current_dir(Path::new(&OsString::from_vec(ask.cwd.clone())));
    let output = output_within(&mut command, &ask.script, TIME_LIMIT)?;
    Ok(Said {
        output: output.stdout,
        errors: output.stderr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_scripts_and_launchers_are_not_kept() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let program = |name: &str, start: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, start).expect("temporary folder");
            speaks_for_itself(&path)
        };
        assert!(program("gcc-12", b"\x7fELF\x02"));
        assert!(!program("my-gcc", b"#!/bin/sh\n"));
        assert!(!program("ccache", b"\x7fELF\x02"));
    }
}
