//! The compiler on this machine, and its answers kept on disk.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::facts::{Ask, Compiler, Said};

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

/// Version of the file format.
const MAGIC: &[u8] = b"includes-facts 1\n";

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
        .find(|file| file.is_file())
}

/// All that the answer depends on, as one key: the program's identity and the question. `None` where that is not
/// all.
fn key(ask: &Ask, program: &Path) -> Option<Vec<u8>> {
    let real = program.canonicalize().ok()?;
    if !speaks_for_itself(&real) {
        return None;
    }
    let meta = real.metadata().ok()?;
    let mut key = Vec::new();
    let mut add = |bytes: &[u8]| {
        key.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        key.extend_from_slice(bytes);
    };
    add(program.as_os_str().as_bytes());
    add(real.as_os_str().as_bytes());
    add(format!(
        "{} {} {} {}",
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ino()
    )
    .as_bytes());
    add(&ask.cwd);
    for argument in &ask.arguments {
        add(argument.as_bytes());
    }
    add(b"env");
    for name in ["GCC_EXEC_PREFIX", "COMPILER_PATH", "SDKROOT", "SYSROOT"] {
        add(ask
            .env
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map_or(OsStr::new(""), |(_, v)| v)
            .as_bytes());
    }
    add(&ask.script);
    Some(key)
}

fn decode(stored: &[u8], key: &[u8]) -> Option<Said> {
    let mut rest = stored.strip_prefix(MAGIC)?;
    let mut part = || -> Option<&[u8]> {
        let (len, after) = rest.split_at_checked(8)?;
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        let (part, after) = after.split_at_checked(len)?;
        rest = after;
        Some(part)
    };
    // The key is stored whole: a collision of file names is found out.
    if part()? != key {
        return None;
    }
    let output = part()?.to_vec();
    let errors = part()?.to_vec();
    Some(Said { output, errors })
}

fn encode(key: &[u8], said: &Said) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    for part in [key, &said.output, &said.errors] {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Writes beside and renames, so that a reader sees all or nothing. Failing only costs the next build a question.
fn store(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let Some(folder) = file.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder)?;
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, file)
}

impl Compiler for RealCompiler {
    fn ask(&self, ask: &Ask) -> Result<Said, String> {
        let program =
            locate(ask).ok_or_else(|| format!("{} is not in PATH", ask.compiler.display()))?;
        let kept = self.store.as_ref().and_then(|folder| {
            let key = key(ask, &program)?;
            let mut hasher = DefaultHasher::new();
            key.hash(&mut hasher);
            Some((folder.join(format!("{:016x}", hasher.finish())), key))
        });
        if let Some((file, key)) = &kept
            && let Some(said) = std::fs::read(file)
                .ok()
                .and_then(|stored| decode(&stored, key))
        {
            return Ok(said);
        }
        let said =
            (self.run)(ask, &program).map_err(|error| format!("{}: {error}", program.display()))?;
        if let Some((file, key)) = &kept {
            // A read-only or full disk must not fail the build.
            let _ = store(file, &encode(key, &said));
        }
        Ok(said)
    }
}

fn run(ask: &Ask, program: &Path) -> std::io::Result<Said> {
    let mut child = Command::new(program)
        .args(&ask.arguments)
        .env_clear()
        .envs(ask.env.iter().map(|(n, v)| (n.clone(), v.clone())))
        .env("LC_ALL", "C")
        .current_dir(Path::new(&OsString::from_vec(ask.cwd.clone())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut said = Said::default();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if let Some(mut pipe) = stdin {
                // The compiler may die first; its silence is noticed below.
                let _ = pipe.write_all(&ask.script);
            }
        });
        let errors = scope.spawn(|| {
            let mut bytes = Vec::new();
            stderr.map(|mut pipe| pipe.read_to_end(&mut bytes));
            bytes
        });
        if let Some(mut pipe) = stdout {
            let _ = pipe.read_to_end(&mut said.output);
        }
        said.errors = errors.join().unwrap_or_default();
    });
    child.wait()?;
    Ok(said)
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

    #[test]
    fn a_stored_answer_is_found_by_its_whole_key() {
        let said = Said {
            output: b"out".to_vec(),
            errors: b"err".to_vec(),
        };
        let stored = encode(b"key", &said);
        assert_eq!(decode(&stored, b"key"), Some(said));
        assert_eq!(decode(&stored, b"other"), None);
        assert_eq!(decode(&stored[..stored.len() - 1], b"key"), None);
    }
}
