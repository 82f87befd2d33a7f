//! What the compilers themselves list.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use includes::Command;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::program::{ROOT, Reference};
use crate::resident::{self, Ended};

/// Some programs keep the compiler busy for ever: one that includes itself twice, until it is too deep. They are few, and
/// a machine may stand still for some seconds.
const PATIENCE: Duration = Duration::from_secs(100);

/// The files that the compiler lists, or its first error.
///
/// The driver is asked, not the compiler behind it: that would save a fifth of the time, and what the driver
/// does with the command line would go untested.
pub(crate) fn listed(
    reference: Reference,
    command: &Command,
    root: &Path,
) -> Result<BTreeSet<PathBuf>, String> {
    let rule = root.join("rule.d");
    let cwd = Path::new(OsStr::from_bytes(&command.cwd));
    // Found here and not by the child, which is cheaper.
    let program = found_in_path(&command.argv[0]);
    // At the first error it ends: one that goes on after "nested too deeply" may never do.
    let more = [
        "-w",
        "-Wfatal-errors",
        "-E",
        "-o",
        "/dev/null",
        "-MD",
        "-MF",
    ]
    .map(OsString::from);
    let more = more.into_iter().chain([rule.clone().into()]);
    let argv: Vec<OsString> = command.argv.iter().cloned().chain(more).collect();
    let (status, said) = match reference {
        Reference::Gcc => run(&program, &argv, &command.env, cwd),
        Reference::Clang => resident::run(&program, &argv, &command.env, cwd),
    };
    let Some(status) = status else {
        return Err("it does not end".into());
    };
    if !status.success() {
        let said = String::from_utf8_lossy(&said);
        let error = said.lines().find_map(|line| line.split_once("error: "));
        // Names of temporary folders would make each error another one.
        let error = error.map_or(&*said, |(_, error)| error);
        return Err(error.replace(&*root.to_string_lossy(), ROOT));
    }
    let rule = std::fs::read_to_string(&rule).expect("the compiler wrote it");
    Ok(prerequisites(&rule)
        .map(|path| cwd.join(&path).canonicalize().expect("it was read"))
        .collect())
}

fn found_in_path(program: &OsStr) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .expect("the compiler is installed")
}

fn run(program: &Path, argv: &[OsString], env: &[(OsString, OsString)], cwd: &Path) -> Ended {
    let mut child = Process::new(program)
        .arg0(&argv[0])
        .args(&argv[1..])
        .env_clear()
        .envs(env.iter().cloned())
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // The driver's children go with it.
        .process_group(0)
        .spawn()
        .expect("the compiler is installed");
    let mut stderr = child.stderr.take().expect("it is a pipe");
    let said = said_in_time(&mut stderr);
    if said.is_none() {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process_group(group.expect("it runs"), Signal::KILL).expect("it is our child");
    }
    let status = child.wait().expect("it is our child");
    (said.is_some().then_some(status), said.unwrap_or_default())
}

/// All that comes through a pipe, or nothing if its other end stays open for too long.
fn said_in_time(pipe: &mut std::process::ChildStderr) -> Option<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("some seconds");
        let mut waiting = [PollFd::new(&*pipe, PollFlags::IN)];
        if poll(&mut waiting, Some(&left)).expect("the pipe is open") == 0 {
            return None;
        }
        match pipe.read(&mut buffer).expect("the pipe is open") {
            0 => return Some(said),
            len => said.extend_from_slice(&buffer[..len]),
        }
    }
}

/// The files of a make rule.
fn prerequisites(rule: &str) -> impl Iterator<Item = String> {
    let files = rule.split_once(": ").map_or("", |(_, files)| files);
    let files = files.replace("\\\n", " ").replace("\\ ", "\u{1}");
    let words: Vec<String> = files
        .split_whitespace()
        .map(|word| {
            word.replace('\u{1}', " ")
                .replace("\\#", "#")
                .replace("$$", "$")
        })
        .collect();
    words.into_iter()
}

#[test]
fn a_rule_with_blanks_in_names_is_read() {
    let rule = "a.o: a\\ b.c \\\n  /x/h'$$1.h \\\n c.h\n";
    let files: Vec<_> = prerequisites(rule).collect();
    assert_eq!(files, ["a b.c", "/x/h'$1.h", "c.h"]);
}
