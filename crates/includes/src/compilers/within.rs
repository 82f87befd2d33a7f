//! Running a compiler that may never end.

use std::io::{Error, Read, Result, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// Runs `command` with `input` as its standard input, and takes what it writes.
///
/// It leads a process group, all of which ends with it when the time is over.
///
/// # Errors
/// It cannot be started, or takes longer than `limit`.
pub fn output_within(command: &mut Command, input: &[u8], limit: Duration) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let mut said = Vec::new();
    let (is_done, done) = mpsc::channel::<()>();
    let (in_time, errors) = std::thread::scope(|scope| {
        let in_time = scope.spawn(move || {
            let in_time = done.recv_timeout(limit) != Err(RecvTimeoutError::Timeout);
            if !in_time {
                // Its pipes then end. It has not been waited for, so the number is still its own.
                let _ = kill_process_group(group, Signal::KILL);
            }
            in_time
        });
        scope.spawn(|| {
            if let Some(mut pipe) = stdin {
                // The compiler may die first; its silence is noticed by who reads what it said.
                let _ = pipe.write_all(input);
            }
        });
        let errors = scope.spawn(|| {
            let mut bytes = Vec::new();
            stderr.map(|mut pipe| pipe.read_to_end(&mut bytes));
            bytes
        });
        if let Some(mut pipe) = stdout {
            let _ = pipe.read_to_end(&mut said);
        }
        let errors = errors.join().unwrap_or_default();
        drop(is_done);
        (in_time.join().unwrap_or(true), errors)
    });
    let status = child.wait()?;
    match in_time {
        true => Ok(Output {
            status,
            stdout: said,
            stderr: errors,
        }),
        false => Err(Error::other(format!(
            "it did not answer within {} seconds",
            limit.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_does_not_answer_is_ended_with_all_that_it_started() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "sleep 1000 & sleep 1000"]);
        // It returns only when nobody holds its pipes any more.
        let error = output_within(&mut command, b"", Duration::from_millis(20))
            .expect_err("it takes longer");
        assert!(
            error.to_string().starts_with("it did not answer"),
            "{error}"
        );
    }

    #[test]
    fn what_it_says_and_how_it_ends_are_told() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "cat; echo no >&2; exit 3"]);
        let output = output_within(&mut command, b"yes", Duration::from_secs(60)).expect("it runs");
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"yes"[..], &b"no\n"[..])
        );
        assert_eq!(output.status.code(), Some(3));
    }
}
