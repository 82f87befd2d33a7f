//! The first process of a job: makes what the job sees, gives up what it may not, runs the
//! command, waits, and answers. When it ends, all that the job has started ends with it.
//!
//! Costs about fifty system calls besides those of the command, a dozen of them mounts.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, chdir, kill_process, kill_process_group, pidfd_open,
    wait, waitpid,
};
use rustix::thread::UnshareFlags;

use crate::confine::{limit_processes, protect_first_process};
use crate::helper::Workshop;
use crate::job::{Ended, Job, Used};
use crate::landlocked::Walls;
use crate::message::{read_framed, send};
use crate::root::{self, NoRoot, Results};
use crate::sys::{
    Cloned, clone_process, end_all_others, exit_now, unblock_signals, unshare, wait_for,
};
use crate::usage;

/// How often is looked what a job uses.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// Runs the job whose request comes over `connection`, and ends this process.
pub(crate) fn run(
    workshop: &Workshop,
    mut connection: UnixStream,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> ! {
    let ended = attempt(workshop, &mut connection, stdout, stderr);
    let ended = ended.unwrap_or_else(|ended| ended);
    let fds: Vec<_> = match &ended {
        Ended::Normally { out, folders, .. } => {
            out.iter().chain(folders).map(AsFd::as_fd).collect()
        }
        _ => Vec::new(),
    };
    // The server may be gone.
    let _ = send(&connection, &ended.encode(), &fds);
    exit_now()
}

/// Both are what is answered.
fn attempt(
    workshop: &Workshop,
    connection: &mut UnixStream,
    stdout: OwnedFd,
    stderr: OwnedFd,
) -> Result<Ended, Ended> {
    protect_first_process().map_err(failed("protecting the first process"))?;
    let request = read_framed(connection).map_err(failed("reading a request"))?;
    let job = Job::decode(&request).map_err(|error| failed("reading a request")(error.into()))?;
    drop(request);
    let messages = [File::from(stdout), File::from(stderr)];
    let config = &workshop.config;
    let mut children = None;
    let mut walls = None;
    let Results { out, folders } = match &workshop.plan {
        None => {
            children = Some(Children::new());
            // What a job leaves running comes to this process, which ends it.
            rustix::process::set_child_subreaper(Pid::from_raw(1))
                .map_err(|errno| failed("becoming a reaper")(errno.into()))?;
            let built = Walls::build(config, &job);
            walls = Some(built.map_err(|error| Ended::Failed(format!("Landlock: {error}")))?);
            Results::default()
        }
        Some(plan) => {
            let results = root::make(plan, config, &job).map_err(|error| match error {
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
    if job.programs.is_empty() {
        // A rehearsal.
        let closed = walls.map_or(Ok(()), Walls::close);
        closed.map_err(failed("closing Landlock's walls"))?;
        return Ok(Ended::Normally {
            status: 0,
            out,
            folders,
            used: Used::default(),
        });
    }
    unblock_signals().map_err(failed("unblocking signals"))?;
    let command = match walls {
        None => spawn(&job, &messages),
        Some(walls) => spawn_behind(walls, &job, &messages),
    };
    let command =
        command.map_err(|error| Ended::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL)))?;
    let status = watch(workshop, command, connection, &messages);
    match children {
        Some(mut children) => children.end(command),
        // Otherwise the kernel does it, a moment after our answer; but what is left running could still write to
        // these folders.
        None if status.is_err() || !folders.is_empty() => {
            end_all_others();
            while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
        }
        None => {}
    }
    status.map(|(status, used)| Ended::Normally {
        status,
        out,
        folders,
        used,
    })
}

/// Starts the first of the programs that can be started.
fn spawn(job: &Job, messages: &[File; 2]) -> io::Result<Pid> {
    // Waited for by its number.
    first_that_starts(job, messages, |command| {
        command.spawn().map(|child| Pid::from_child(&child))
    })
}

/// The same, in a process that has closed `walls` around itself.
fn spawn_behind(walls: Walls, job: &Job, messages: &[File; 2]) -> io::Result<Pid> {
    let (mut failure, mut report) = io::pipe()?;
    match clone_process(UnshareFlags::empty())? {
        Cloned::Child => {
            drop(failure);
            let never: io::Result<()> = walls
                .close()
                .and_then(|()| first_that_starts(job, messages, |command| Err(command.exec())));
            let errno = never.err().and_then(|error| error.raw_os_error());
            // Nobody could do anything about an error here.
            let _ = report.write_all(&errno.unwrap_or(libc::EINVAL).to_ne_bytes());
            exit_now()
        }
        Cloned::Parent(pid) => {
            drop(report);
            let mut errno = [0; size_of::<i32>()];
            match failure.read_exact(&mut errno) {
                // The program has taken its place, which has closed the pipe.
                Err(_) => Ok(pid),
                Ok(()) => {
                    waitpid(Some(pid), WaitOptions::empty())?;
                    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
                }
            }
        }
    }
}

/// Prepares the programs one after the other until `start` can start one.
fn first_that_starts<T>(
    job: &Job,
    [stdout, stderr]: &[File; 2],
    start: impl Fn(&mut Command) -> io::Result<T>,
) -> io::Result<T> {
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
            start(&mut command)
        });
        match tried {
            Ok(started) => return Ok(started),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| Errno::NOENT.into()))
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

/// Waits for the command; the server hanging up and the limits end it.
fn watch(
    workshop: &Workshop,
    command: Pid,
    connection: &UnixStream,
    messages: &[File; 2],
) -> Result<(u32, Used), Ended> {
    let over = pidfd_open(command, PidfdFlags::empty());
    let over = over.map_err(|errno| failed("watching the command")(errno.into()))?;
    loop {
        let mut fds = [
            PollFd::new(&over, PollFlags::IN),
            PollFd::new(connection, PollFlags::IN | PollFlags::RDHUP),
        ];
        match poll(&mut fds, Some(&LOOK)) {
            Ok(0) if workshop.plan.is_some() => {
                if let Some(text) = usage::exceeded(&workshop.config.limits, messages) {
                    return Err(Ended::Exceeded(text));
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("watching the command")(errno.into())),
        }
        let [ended, gone] = fds.map(|fd| !fd.revents().is_empty());
        if ended {
            return wait_for(command).map_err(failed("waiting for the command"));
        }
        if gone {
            return Err(Ended::Failed("nobody waits for the job".into()));
        }
    }
}

/// The children of this process, where no namespace ends them: a list of the kernel's that is
/// read anew each time.
struct Children(Option<File>);

impl Children {
    fn new() -> Self {
        let own = std::process::id();
        // Not all kernels have it; then the command's group is all that is ended.
        Self(File::open(format!("/proc/{own}/task/{own}/children")).ok())
    }

    /// Ends all of them. Whoever loses its parent becomes one, so in the end that is everything
    /// that the job has started.
    fn end(&mut self, group: Pid) {
        let _ = kill_process_group(group, Signal::KILL); // Mostly nobody is left.
        while !matches!(wait(WaitOptions::NOHANG), Err(Errno::CHILD)) {
            let pids: Vec<Pid> = self.list();
            if pids.is_empty() && self.0.is_none() {
                return;
            }
            for pid in pids {
                let _ = kill_process(pid, Signal::KILL); // It may be over by itself.
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn list(&mut self) -> Vec<Pid> {
        let mut text = String::new();
        if let Some(file) = &mut self.0 {
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
        }
        let numbers = text.split_whitespace().flat_map(str::parse);
        numbers.filter_map(Pid::from_raw).collect()
    }
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Ended {
    move |error| Ended::Failed(format!("{doing}: {error}"))
}
