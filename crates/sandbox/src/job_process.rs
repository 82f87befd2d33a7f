//! The process that becomes a job's command: makes what the job sees, gives up what it may not, and starts the program
//! in its own place.
//!
//! It reports what it has made, and then again if the program cannot be started: whoever waits for it takes the last
//! report. Costs about forty system calls besides those of the command, a dozen of them mounts.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::chdir;
use rustix::thread::UnshareFlags;

use crate::confine::limit_processes;
use crate::helper::Workshop;
use crate::job::{Ended, Job, Used};
use crate::landlocked::Walls;
use crate::message::send;
use crate::root::{self, NoRoot, Results};
use crate::sys::{exit_now, unblock_signals, unshare};

/// Runs `job` in this process, and reports what becomes of it but for the command's own end.
pub(crate) fn run(
    workshop: &Workshop,
    has_processes: bool,
    job: &Job,
    messages: &[File; 2],
    report: &OwnedFd,
) -> ! {
    let ended = match enter(workshop, has_processes, job) {
        Err(ended) => ended,
        Ok(inside) => start(inside, job, messages, report),
    };
    // Who waits for this process may be gone.
    let _ = tell(report, &ended);
    exit_now()
}

/// What is left to be done in the place where the job runs.
struct Inside {
    results: Results,
    walls: Option<Walls>,
}

/// Goes where the job runs, and gives up all rights.
fn enter(workshop: &Workshop, has_processes: bool, job: &Job) -> Result<Inside, Ended> {
    let config = &workshop.config;
    let mut walls = None;
    let results = match &workshop.plan {
        None => {
            let built = Walls::build(config, job);
            walls = Some(built.map_err(|error| Ended::Failed(format!("Landlock: {error}")))?);
            Results::default()
        }
        Some(plan) => {
            let made = root::make(plan, config, job, has_processes);
            let results = made.map_err(|error| match error {
                NoRoot::Misplaced(text) => Ended::Misplaced(text),
                NoRoot::Failed(text) => Ended::Failed(text),
            })?;
            // Another one for each job: the kernel counts processes by user namespace, and not
            // even a mistake below gives rights over the mounts, which belong to the outer one.
            unshare(UnshareFlags::NEWUSER).map_err(failed("making a user namespace"))?;
            limit_processes(config.limits.processes).map_err(failed("limiting processes"))?;
            results
        }
    };
    chdir(&job.cwd).map_err(|errno| {
        let (cwd, error) = (job.cwd.display(), io::Error::from(errno));
        Ended::Misplaced(format!("entering {cwd}: {error}"))
    })?;
    workshop
        .filters
        .confine_job()
        .map_err(|text| Ended::Failed(format!("filtering system calls: {text}")))?;
    unblock_signals().map_err(failed("unblocking signals"))?;
    Ok(Inside { results, walls })
}

/// Becomes the program; or tells why not.
fn start(inside: Inside, job: &Job, messages: &[File; 2], report: &OwnedFd) -> Ended {
    let Results { out, folders } = inside.results;
    let made = Ended::Normally {
        status: 0,
        out,
        folders,
        used: Used::default(),
    };
    if job.programs.is_empty() {
        // A rehearsal.
        let closed = inside.walls.map_or(Ok(()), Walls::close);
        return closed.map_or_else(failed("closing Landlock's walls"), |()| made);
    }
    if let Err(error) = tell(report, &made) {
        return failed("reporting what was made")(error);
    }
    let error = match inside.walls.map_or(Ok(()), Walls::close) {
        Ok(()) => become_program(job, messages),
        Err(error) => error,
    };
    Ended::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL))
}

fn tell(report: &OwnedFd, ended: &Ended) -> io::Result<()> {
    send(report, &ended.encode(), &ended.descriptors())
}

/// Becomes the first of the programs that can be started; why not, otherwise.
fn become_program(job: &Job, [stdout, stderr]: &[File; 2]) -> io::Error {
    let mut first_error = None;
    for name in &job.programs {
        let tried = find(name, &job.environment).and_then(|program| {
            let mut words = job.argv.iter();
            let mut command = Command::new(&program);
            command
                .arg0(words.next().unwrap_or(name))
                .args(words)
                .env_clear()
                .envs(job.environment.iter().map(|(name, value)| (name, value)))
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(stdout.try_clone()?)
                .stderr(stderr.try_clone()?);
            Err::<Infallible, _>(command.exec())
        });
        let Err(error) = tried;
        first_error.get_or_insert(error);
    }
    first_error.unwrap_or_else(|| Errno::NOENT.into())
}

/// The file of a program, searched as `execvp` does: with a path `Command` needs no slow way
/// to look into the new environment.
fn find(name: &OsStr, environment: &[(OsString, OsString)]) -> io::Result<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let path = environment.iter().find(|(variable, _)| variable == "PATH");
    let folders = path
        .map(|(_, folders)| folders.as_os_str())
        .unwrap_or_default();
    let mut error = Errno::NOENT;
    for folder in std::env::split_paths(folders) {
        let file = folder.join(name);
        match access(&file, Access::EXEC_OK) {
            Ok(()) if file.is_file() => return Ok(file),
            Err(Errno::ACCESS) | Ok(()) => error = Errno::ACCESS,
            Err(_) => {}
        }
    }
    Err(error.into())
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Ended {
    move |error| Ended::Failed(format!("{doing}: {error}"))
}
