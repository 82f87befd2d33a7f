//! Processor time of a process alone, and of a command with everything it leaves behind.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, set_child_subreaper, waitid};

use crate::Failure;

/// The first argument that makes this program a meter.
pub(crate) const WORD: &str = "meter";

/// Runs a command and returns the processor time that its process took, without that of its children.
pub(crate) fn alone(command: &mut Command) -> Result<Duration, Failure> {
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
pub(crate) fn whole(command: &Command, scratch: &Path) -> Result<Duration, Failure> {
    let mut meter = Command::new(std::env::current_exe()?);
    meter.arg(WORD).arg(scratch).arg(command.get_program());
    meter.args(command.get_args()).env_clear();
    for (name, value) in command.get_envs() {
        meter.env(name, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        meter.current_dir(folder);
    }
    let status = meter.status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(Duration::from_micros(
        std::fs::read_to_string(scratch)?.parse()?,
    ))
}

/// This program as a meter: runs `words[1..]` and writes the microseconds to the file `words[0]`.
pub(crate) fn main(words: &[std::ffi::OsString]) -> Result<ExitCode, Failure> {
    let [scratch, program, arguments @ ..] = words else {
        return Err("meter FILE COMMAND...".into());
    };
    // Daemons become our children when whoever started them ends.
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let status = Command::new(program).args(arguments).status()?;
    while waitid(WaitId::All, WaitIdOptions::EXITED).is_ok() {}
    std::fs::write(scratch, children().as_micros().to_string())?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Of all that were waited for, and that they waited for.
#[allow(
    unsafe_code,
    reason = "neither the standard library nor rustix has getrusage"
)]
fn children() -> Duration {
    // SAFETY: `getrusage` fills the structure, of which all zeros are a value.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
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
