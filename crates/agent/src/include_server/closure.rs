//! The files that a compile opens, told by the compiler itself: it preprocesses, and writes
//! the list that it writes for make.
//!
//! Slow (a whole preprocessor run), but right for every option and construct that the compiler
//! knows. What its list leaves out is found by [`super::lookup`].

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command::{Compile, makefile};

use super::compiler::Compiler;
use super::refusal::Refusal;
use super::run::{Ended, Stop, run};

const TIME_LIMIT: Duration = Duration::from_secs(60);
const LONGEST_LIST: u64 = 64 << 20;

/// How gcc names headers from system folders in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As the compile itself names them: gcc takes the real path where that is shorter.
    AsCompiled,
    /// As spelled. Only gcc knows the option for it, and has it only for this purpose: it can
    /// change which file a header's own includes find.
    AsSpelled,
}

/// What a compiler said that it opens.
#[derive(Debug)]
pub(crate) struct List {
    /// As the compiler names them, the source first.
    pub(crate) names: Vec<OsString>,
    /// False if the compile fails; the list ends where that is.
    pub(crate) is_whole: bool,
}

/// The files that `compile` opens in `cwd`.
/// `scratch` is a file name for the list.
///
/// A compile that fails in preprocessing gets the list as far as it can be known: the server
/// will fail in the same way.
///
/// # Errors
/// [`Refusal`]: the compiler could not be run to its end, or left no list.
pub(crate) fn list(
    compile: &Compile,
    compiler: &Compiler,
    cwd: &Path,
    naming: Naming,
    scratch: &Path,
    stop: &Stop,
) -> Result<List, Refusal> {
    let listed = |words: Vec<OsString>| -> Result<(ExitStatus, Option<Vec<OsString>>), Refusal> {
        let mut command = compiler.command(cwd);
        if naming == Naming::AsSpelled {
            command.arg("-fno-canonical-system-headers");
        }
        command
            .args(words.iter().skip(1))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let ended = run(&mut command, TIME_LIMIT, stop);
        let names = read_list(scratch, compile.input());
        let _ = fs::remove_file(scratch); // Not there after some failures.
        match ended.map_err(|error| Refusal::CompilerNotRun(compiler.program.clone(), error))? {
            Ended::Exited(status) => Ok((status, names)),
            Ended::TimedOut => Err(Refusal::TimeLimit),
            Ended::Stopped => Err(Refusal::Stopping),
        }
    };
    let (status, names) = listed(compile.closure_command(scratch.as_os_str()))?;
    match names {
        Some(names) if status.success() => {
            let is_whole = true;
            return Ok(List { names, is_whole });
        }
        None if status.success() => return Err(Refusal::NoList),
        // After an `#error` gcc goes on, and writes a list.
        Some(names) if status.code().is_some() => return existing(names, cwd),
        _ => {}
    }
    // A missing header ends the run before there is a list.
    match listed(compile.closure_command_with_missing(scratch.as_os_str()))? {
        (again, Some(names)) if again.code().is_some() => existing(names, cwd),
        _ => Err(Refusal::CompilerFailed(status)),
    }
}

/// Without the files that do not exist; of these the source must not be one.
fn existing(mut names: Vec<OsString>, cwd: &Path) -> Result<List, Refusal> {
    let exists = |name: &OsString| cwd.join(name).exists();
    match names.first() {
        Some(source) if !exists(source) => Err(Refusal::Missing(source.into())),
        _ => {
            names.retain(exists);
            let is_whole = false;
            Ok(List { names, is_whole })
        }
    }
}

fn read_list(scratch: &Path, input: &OsStr) -> Option<Vec<OsString>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        File::open(scratch)?
            .take(LONGEST_LIST)
            .read_to_end(&mut text)?;
        Ok(text)
    };
    makefile::prerequisites(&read().ok()?, input)
}
