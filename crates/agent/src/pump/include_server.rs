//! Starting and ending the include server of a session: one of a build ([`Starting`], [`IncludeServer`], kept by
//! [`super::keeper`]) or of `--startup` ([`Detached`]).

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use protocol::{jobs, pieces};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, pidfd_open, setsid};

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

/// An include server that outlives this process; ended when dropped.
#[derive(Debug)]
pub(super) struct Detached {
    pid: Pid,
    is_left_running: bool,
}

impl Detached {
    /// Starts it for the session in `folder`, and returns when it is ready.
    pub(super) fn start(
        settings: &Settings,
        folder: &Path,
        engines: &OsStr,
    ) -> Result<Self, PumpError> {
        let mut command = command(settings, folder, engines)?;
        let pid_file = folder.join("pid");
        let output = |name| File::create(folder.join(name)).map(Stdio::from);
        let outputs = output("stdout").and_then(|stdout| Ok((stdout, output("stderr")?)));
        let (stdout, stderr) =
            outputs.map_err(|error| failed_to("Could not make a file", &error))?;
        command
            .arg("--pid_file")
            .arg(&pid_file)
            .stdout(stdout)
            .stderr(stderr)
            // Ctrl-C is for the builds.
            .process_group(0);
        let ended = command.status();
        let status = ended.map_err(|error| failed_to(CANNOT_RUN, &error))?;
        let pid = fs::read(&pid_file).unwrap_or_default();
        let _ = fs::remove_file(&pid_file); // Not there if the server is not.
        let socket = socket(folder);
        let is_there =
            fs::symlink_metadata(&socket).is_ok_and(|metadata| metadata.file_type().is_socket());
        match process::parse_pid(&OsString::from_vec(pid)) {
            Some(pid) if status.success() && is_there => Ok(Self {
                pid,
                is_left_running: false,
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

impl Drop for Detached {
    fn drop(&mut self) {
        if !self.is_left_running {
            process::end(self.pid);
        }
    }
}

/// The sockets of a session, which stay while one include server takes another one's place: who connects in between waits
/// in their queues.
#[derive(Debug)]
pub(super) struct Sockets {
    socket: UnixListener,
    /// None where its path would be too long, which costs clients of ours some time.
    pieces: Option<UnixListener>,
    /// None where nobody may run actions.
    jobs: Option<UnixListener>,
}

impl Sockets {
    /// Makes them in the session's `folder`.
    ///
    /// # Errors
    /// [`PumpError::NoIncludeServer`]
    pub(super) fn open(folder: &Path, has_engines: bool) -> Result<Self, PumpError> {
        let port = socket(folder);
        let failed = |error: io::Error| failed_to("Could not make a socket", &error);
        let jobs = || UnixListener::bind(jobs::socket_beside(port.as_os_str())).map_err(failed);
        Ok(Self {
            socket: UnixListener::bind(&port).map_err(failed)?,
            pieces: UnixListener::bind(pieces::socket_beside(port.as_os_str())).ok(),
            jobs: has_engines.then(jobs).transpose()?,
        })
    }

    /// With the options by which an include server is told of them.
    fn options(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>)> {
        [
            ("--socket-fd", Some(&self.socket)),
            ("--pieces-fd", self.pieces.as_ref()),
            ("--jobs-fd", self.jobs.as_ref()),
        ]
        .into_iter()
        .filter_map(|(option, listener)| Some((option, listener?.as_fd())))
    }
}

/// An include server that has not said yet that it is ready; ended when dropped.
#[derive(Debug)]
pub(super) struct Starting {
    /// Dropped first: it would complain if nobody wanted to hear of it any more.
    server: IncludeServer,
    /// Something to read once it is ready, and its end if it dies.
    ready: PipeReader,
}

impl Starting {
    /// Starts one at `sockets`, for the session in `folder`. It ends with this process.
    pub(super) fn start(
        settings: &Settings,
        folder: &Path,
        engines: &OsStr,
        sockets: &Sockets,
    ) -> Result<Self, PumpError> {
        let pipe = || io::pipe().map_err(|error| failed_to("Could not make a pipe", &error));
        let ((watched, held), (ready, tell)) = (pipe()?, pipe()?);
        let mut command = command(settings, folder, engines)?;
        command.arg("--starters-folder").arg(folder);
        let mut passed_on = Vec::new();
        for (option, descriptor) in sockets.options().chain([
            ("--exit-with-fd", watched.as_fd()),
            ("--ready-fd", tell.as_fd()),
        ]) {
            let number = descriptor.as_raw_fd();
            command.arg(option).arg(number.to_string());
            passed_on.push(number);
        }
        let prepare = move || {
            // Out of the terminal's reach: Ctrl-C is for the build, and the server is ended after it.
            setsid()?;
            for &number in &passed_on {
                // SAFETY: these are open here as in the parent, which has them until `spawn` returns.
                fcntl_setfd(unsafe { BorrowedFd::borrow_raw(number) }, FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: `prepare` makes some system calls and allocates nothing.
        unsafe { command.pre_exec(prepare) };
        let child = command
            .spawn()
            .map_err(|error| failed_to(CANNOT_RUN, &error))?;
        let mut server = IncludeServer {
            process: None,
            child,
            _tie: held,
        };
        let process = pidfd_open(Pid::from_child(&server.child), PidfdFlags::empty());
        let process = process.map_err(|error| failed_to("Could not watch it", &error.into()))?;
        server.process = Some(process);
        Ok(Self { server, ready })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// How it has ended instead.
    pub(super) fn finish(mut self) -> Result<IncludeServer, ExitStatus> {
        let mut said = [0];
        match self.ready.read(&mut said) {
            Ok(1..) => Ok(self.server),
            // It may have something to say yet.
            _ => Err(self.server.wait()),
        }
    }

    /// Its process.
    #[cfg(test)]
    pub(super) fn id(&self) -> u32 {
        self.server.child.id()
    }

    /// Ends it at once.
    pub(super) fn kill(self) {
        self.server.kill();
    }
}

impl AsFd for Starting {
    /// Something can be read when [`Self::finish`] does not have to wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

/// A running include server of a build; ended when dropped.
#[derive(Debug)]
pub(super) struct IncludeServer {
    child: Child,
    /// None before it is watched.
    process: Option<OwnedFd>,
    /// The server ends when this process, which alone holds this end of a pipe, does.
    _tie: PipeWriter,
}

impl IncludeServer {
    /// Waits until it has ended; how that was.
    pub(super) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap_or_default()
    }

    /// Something can be read there once it has ended.
    pub(super) fn process(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(AsFd::as_fd)
    }

    /// Ends it, if it has not ended.
    fn kill(mut self) {
        let _ = self.child.kill(); // Ended is as good.
        self.wait();
    }
}

impl Drop for IncludeServer {
    fn drop(&mut self) {
        // Where it was waited for, its number may be another one's.
        if matches!(self.child.try_wait(), Ok(None)) {
            process::end(Pid::from_child(&self.child));
            let _ = self.child.wait();
        }
    }
}

const CANNOT_RUN: &str = "Could not run 'include_server'";

fn failed(why: String) -> PumpError {
    PumpError::NoIncludeServer {
        expected: None,
        why: Some(why),
    }
}

fn failed_to(what: &str, error: &io::Error) -> PumpError {
    failed(format!("{what}: {error}"))
}

/// The command line of any include server for the session in `folder`.
fn command(settings: &Settings, folder: &Path, engines: &OsStr) -> Result<Command, PumpError> {
    let program = settings
        .program("include_server")
        .ok_or_else(|| failed("Could not find the program 'include_server'".to_owned()))?;
    let mut command = Command::new(program);
    command
        .arg("--port")
        .arg(socket(folder))
        .arg("-d1")
        .arg("--refusals_file")
        .arg(folder.join(REFUSALS))
        .args(further_arguments(settings)?)
        // Always: there may be those of a session around this one.
        .env(ENGINES, engines)
        .stdin(Stdio::null());
    Ok(command)
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
