//! The other programs: `clang-scan-deps`, and the compilers' own `-M`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command as Process, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use includes::Command;

use crate::Failure;

/// One run of clang-scan-deps over a database.
pub(crate) fn scan_deps(program: &str, database: &Path) -> Result<Duration, Failure> {
    let started = Instant::now();
    let status = Process::new(program)
        .args(["-j", "1", "-mode", "preprocess-minimized-sources"])
        .arg("-compilation-database")
        .arg(database)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    // It fails if one compile does; the others were scanned all the same.
    if status.code().is_none() {
        return Err(format!("{program}: {status}").into());
    }
    Ok(started.elapsed())
}

/// The compilers' own `-M` for `wanted` of the compiles, scaled to all of them.
pub(crate) fn compilers(commands: &[Command], wanted: usize) -> Result<Duration, Failure> {
    let step = (commands.len() / wanted.max(1)).max(1);
    let mut times = Vec::new();
    for command in commands.iter().step_by(step) {
        let started = Instant::now();
        let status = list(command)?;
        if !status.success() {
            return Err(format!("{:?}: -M: {status}", command.argv.last()).into());
        }
        times.push(started.elapsed());
    }
    let sum: Duration = times.iter().sum();
    Ok(sum.mul_f64(commands.len() as f64 / times.len().max(1) as f64))
}

/// Runs the compiler with `-M`; nothing is written.
pub(crate) fn list(command: &Command) -> Result<ExitStatus, Failure> {
    let (program, arguments) = command.argv.split_first().ok_or("an empty command")?;
    let mut words: Vec<&OsStr> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match word.as_bytes() {
            b"-o" | b"-MF" | b"-MT" | b"-MQ" => {
                rest.next();
            }
            b"-c" | b"-MD" | b"-MMD" => {}
            _ => words.push(word),
        }
    }
    let status = Process::new(program)
        .args(words)
        .arg("-M")
        .current_dir(OsStr::from_bytes(&command.cwd))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    Ok(status.map_err(|error| format!("{}: {error}", program.display()))?)
}
