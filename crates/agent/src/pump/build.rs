//! The command that `pump` was called for.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use super::keeper::Keeper;
use super::progress::Progress;
use super::signals::Signals;
use crate::console;

/// Runs `command` with `environment` added, and returns its exit status as a shell would: 128
/// and the signal's number if it was killed; 127 if there is no such program, 126 if it cannot
/// be run. `name` opens messages.
pub(super) fn run(
    command: &[OsString],
    environment: &[(&str, OsString)],
    signals: &Signals,
    progress: &mut Progress,
    keeper: &mut Keeper<'_>,
    name: &OsStr,
) -> u8 {
    let Some((program, arguments)) = command.split_first() else {
        return 0;
    };
    let complain = |what: &dyn std::fmt::Display| {
        console::complain(&format!(
            "{}: {}: {what}",
            name.display(),
            program.display()
        ));
    };
    let started = Command::new(program)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .spawn();
    match started.and_then(|mut child| signals.wait(&mut child, progress, keeper)) {
        Ok(status) => {
            if status.signal().is_some() {
                complain(&status);
            }
            code(status)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            complain(&"not found");
            127
        }
        Err(error) => {
            complain(&error);
            126
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(code).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_count_from_128() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(9)), 137);
        assert_eq!(code(ExitStatus::from_raw(0x80 | 11)), 139);
    }
}
