//! Starting and ending the include server of a session.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, PipeWriter};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Pid;

use super::messages::PumpError;
use super::process;
use super::settings::Settings;

/// The file in the session's folder that tells of compiles which the include engine refused.
pub(super) const REFUSALS: &str = "refusals";

/// The variable that names the hosts of a session of which some may run actions: to the include server, which sends them
/// compiles, and to clients, which ask it only then.
pub(super) const ENGINES: &str = "INCLUDE_SERVER_ENGINES";

/// How long the servers of a session live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// As long as this process, even if that is killed.
    ThisProcess,
    /// Until `pump --shutdown`.
    UntilShutdown,
}

/// A running include server; ended when dropped.
#[derive(Debug)]
pub(super) struct IncludeServer {
    pid: Pid,
    is_left_running: bool,
    /// The server ends when this process, which alone holds this end of a pipe, does.
    _tie: Option<PipeWriter>,
}

impl IncludeServer {
    /// Starts it for the session in `folder`, and returns when it is ready.
    pub(super) fn start(
        settings: &Settings,
        folder: &Path,
        lifetime: Lifetime,
        engines: &OsStr,
    ) -> Result<Self, PumpError> {
        let failed = |why: String| PumpError::NoIncludeServer {
            expected: None,
            why: Some(why),
        };
        let failed_to = |what: &str, error: io::Error| failed(format!("{what}: {error}"));
        let program = settings
            .program("include_server")
            .ok_or_else(|| failed("Could not find the program 'include_server'".to_owned()))?;
        let socket = socket(folder);
        let pid_file = folder.join("pid");
        let mut command = Command::new(program);
        command
            .arg("--port")
            .arg(&socket)
            .arg("--pid_file")
            .arg(&pid_file)
            .arg("-d1")
            .arg("--refusals_file")
            .arg(folder.join(REFUSALS))
            .args(further_arguments(settings)?)
            // Always: there may be those of a session around this one.
            .env(ENGINES, engines)
            // Ctrl-C is for the build: the server is ended after it.
            .process_group(0)
            .stdin(Stdio::null());
        let tie = match lifetime {
            Lifetime::UntilShutdown => {
                let output = |name| File::create(folder.join(name)).map(Stdio::from);
                let outputs = output("stdout").and_then(|stdout| Ok((stdout, output("stderr")?)));
                let (stdout, stderr) =
                    outputs.map_err(|error| failed_to("Could not make a file", error))?;
                command.stdout(stdout).stderr(stderr);
                None
            }
            Lifetime::ThisProcess => {
                let (watched, held) =
                    io::pipe().map_err(|error| failed_to("Could not make a pipe", error))?;
                // Passed on to this one program: no other is started before it is dropped.
                fcntl_setfd(&watched, FdFlags::empty())
                    .map_err(|error| failed_to("Could not pass on a pipe", error.into()))?;
                command
                    .arg("--exit-with-fd")
                    .arg(watched.as_raw_fd().to_string())
                    .arg("--starters-folder")
                    .arg(folder);
                Some((watched, held))
            }
        };
        let ended = command.status();
        let tie = tie.map(|(_, held)| held);
        let status = ended.map_err(|error| failed_to("Could not run 'include_server'", error))?;
        let pid = fs::read(&pid_file).unwrap_or_default();
        let _ = fs::remove_file(&pid_file); // Not there if the server is not.
        let is_there =
            fs::symlink_metadata(&socket).is_ok_and(|metadata| metadata.file_type().is_socket());
        match process::parse_pid(&OsString::from_vec(pid)) {
            Some(pid) if status.success() && is_there => Ok(Self {
                pid,
                is_left_running: false,
                _tie: tie,
            }),
            _ => Err(PumpError::NoIncludeServer {
                expected: (!is_there).then_some(socket),
                why: None,
            }),
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Lets it run on.
    pub(super) fn leave_running(mut self) {
        self.is_left_running = true;
    }
}

impl Drop for IncludeServer {
    fn drop(&mut self) {
        if !self.is_left_running {
            process::end(self.pid);
        }
    }
}

/// The socket of the session in `folder`. Clients find the discrepancy counter by this name.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

/// The words of `INCLUDE_SERVER_ARGS`, after a second round of the shell.
fn further_arguments(settings: &Settings) -> Result<Vec<OsString>, PumpError> {
    let Some(text) = &settings.include_server_args else {
        return Ok(Vec::new());
    };
    split_by_shell(text).map_err(|why| PumpError::NoIncludeServer {
        expected: None,
        why: Some(format!("Could not understand INCLUDE_SERVER_ARGS: {why}")),
    })
}

fn split_by_shell(text: &OsStr) -> Result<Vec<OsString>, String> {
    let output = Command::new("sh")
        .arg("-c")
        .arg(r#"eval "set -- $1"; for word; do printf '%s\0' "$word"; done"#)
        .arg("pump")
        .arg(text)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let mut words: Vec<OsString> = output
        .stdout
        .split(|&byte| byte == 0)
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    words.pop(); // Behind the last zero.
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_through_a_shell() {
        let split = |text: &str| split_by_shell(OsStr::new(text));
        assert_eq!(split("").unwrap(), Vec::<OsString>::new());
        assert_eq!(
            split(r#"-s --stat_reset_triggers="*.h:a b" '' $((1 + 1))"#).unwrap(),
            ["-s", "--stat_reset_triggers=*.h:a b", "", "2"]
        );
        assert!(split("'unclosed").is_err());
    }
}
