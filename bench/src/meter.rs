//! Processor time of a process alone, and of a command with everything it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, set_child_subreaper, waitid,
};

use crate::Failure;

/// The first argument that makes this program a meter.
pub const WORD: &str = "meter";
const FOREGROUND: &str = "foreground";
const BACKGROUND: &str = "background";

/// Runs a command and returns the processor time that its process took, without that of its children.
pub fn alone(command: &mut Command) -> Result<Duration, Failure> {
    let mut child = command.spawn()?;
    let id = WaitId::Pid(Pid::from_child(&child));
    // Ended, but not yet gone: then the kernel's account is complete and can still be read.
    waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let account = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()))?;
    let status = child.wait()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    let nanoseconds = account.split(' ').next().unwrap_or_default().parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// Runs a command and returns the processor time of all processes that it started, also of those
/// that outlived it.
pub fn whole(command: &Command, scratch: &Path) -> Result<Duration, Failure> {
    let status = meter(command, scratch, FOREGROUND)?.status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(Duration::from_micros(
        std::fs::read_to_string(scratch)?.parse()?,
    ))
}

/// This program, to run `command` in its environment.
fn meter(command: &Command, scratch: &Path, way: &str) -> Result<Command, Failure> {
    let mut meter = Command::new(std::env::current_exe()?);
    meter.arg(WORD).arg(way).arg(scratch);
    meter.arg(command.get_program()).args(command.get_args());
    meter.env_clear();
    for (name, value) in command.get_envs() {
        meter.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        meter.current_dir(folder);
    }
    Ok(meter)
}

/// A command that runs in the background until it is asked to end.
#[derive(Debug)]
pub struct Running {
    meter: Child,
    scratch: PathBuf,
}

/// Starts a command whose processor time is wanted at its end.
pub fn start(command: &Command, scratch: &Path) -> Result<Running, Failure> {
    let mut meter = meter(command, scratch, BACKGROUND)?;
    Ok(Running {
        meter: meter.stdin(Stdio::piped()).spawn()?,
        scratch: scratch.to_owned(),
    })
}

impl Running {
    /// The processor time so far, in ticks of the kernel, of all processes that it started and those that have ended.
    pub fn so_far(&self) -> Result<Duration, Failure> {
        let mut ticks = 0;
        let mut left = vec![self.meter.id()];
        while let Some(pid) = left.pop() {
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
                continue; // It has just ended, and counts for its parent.
            };
            // Behind the name, which may hold anything: state, parent, and as the 12th to 15th these.
            let (_, fields) = stat.rsplit_once(')').ok_or("stat is not as it was")?;
            let times = fields.split_whitespace().skip(11).take(4);
            ticks += times.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
            let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
            for thread in threads.into_iter().flatten().flatten() {
                let children = std::fs::read_to_string(thread.path().join("children"));
                let children = children.unwrap_or_default();
                let children = children.split_whitespace();
                left.extend(children.filter_map(|pid| pid.parse::<u32>().ok()));
            }
        }
        let second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_millis(ticks * 1000 / second))
    }

    /// Ends the command and returns the processor time of all processes that it started.
    pub fn stop(mut self) -> Result<Duration, Failure> {
        drop(self.meter.stdin.take()); // It reads the end of this.
        if !self.meter.wait()?.success() {
            return Err("the meter of a command in the background failed".into());
        }
        Ok(Duration::from_micros(
            std::fs::read_to_string(&self.scratch)?.parse()?,
        ))
    }
}

/// This program as a meter: runs `words[2..]` and writes the microseconds to the file `words[1]`.
pub fn main(words: &[std::ffi::OsString]) -> Result<ExitCode, Failure> {
    let [way, scratch, program, arguments @ ..] = words else {
        return Err("meter WAY FILE COMMAND...".into());
    };
    // Daemons become our children when whoever started them ends.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut command = Command::new(program);
    command.args(arguments);
    let is_fine = if way == BACKGROUND {
        let mut child = command.stdin(Stdio::null()).spawn()?;
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        child.wait()?;
        true
    } else {
        command.status()?.success()
    };
    while waitid(WaitId::All, WaitIdOptions::EXITED).is_ok() {}
    std::fs::write(scratch, children().as_micros().to_string())?;
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Of this process and of all that were waited for, and that they waited for.
#[must_use]
pub fn so_far() -> Duration {
    used(libc::RUSAGE_SELF) + children()
}

/// Of all that were waited for, and that they waited for.
fn children() -> Duration {
    used(libc::RUSAGE_CHILDREN)
}

#[allow(
    unsafe_code,
    reason = "neither the standard library nor rustix has getrusage"
)]
fn used(whose: libc::c_int) -> Duration {
    // SAFETY: `getrusage` fills the structure, of which all zeros are a value.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| {
            Duration::new(
                time.tv_sec.unsigned_abs(),
                time.tv_usec.unsigned_abs() as u32 * 1000,
            )
        })
        .iter()
        .sum()
}
