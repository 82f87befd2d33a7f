//! Running commands to their end, with a time limit; waiting for conditions.
//!
//! Limits are generous: they only end tests that hang.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Time for anything that takes a second or less on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// The search path of all commands: nothing of the person who runs the tests.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that has ended.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote.
    pub stdout: Vec<u8>,
    /// All it complained of.
    pub stderr: Vec<u8>,
}

impl Done {
    /// The exit code as a shell shows it: 128 and the signal for a command that was killed.
    pub fn code(&self) -> i32 {
        let signal = self.status.signal().map(|signal| 128 + signal);
        self.status
            .code()
            .or(signal)
            .expect("the command has ended")
    }

    /// For the message of an assertion.
    pub fn explain(&self) -> String {
        format!(
            "{}\n--- stdout\n{}--- stderr\n{}---",
            self.status,
            String::from_utf8_lossy(&self.stdout),
            String::from_utf8_lossy(&self.stderr)
        )
    }

    /// Standard output and error as text.
    pub fn text(&self) -> (String, String) {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(&self.stdout), text(&self.stderr))
    }

    /// This, if the command succeeded.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code(), 0, "{}", self.explain());
        self
    }
}

/// Takes away the environment but for what a command needs to be found and to speak English.
pub fn clean(command: &mut Command) {
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C");
}

/// The same command, of an environment that was [cleaned](clean), dying of all signals that end it:
/// those that whoever runs the tests ignores (`nohup`, a script's background) would stay ignored.
pub fn mortal(command: &Command) -> Command {
    let mut mortal = Command::new("env");
    mortal
        .arg("--default-signal=HUP,INT,QUIT,TERM")
        .arg(command.get_program())
        .args(command.get_args());
    clean(&mut mortal);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => mortal.env(name, value),
            None => mortal.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        mortal.current_dir(folder);
    }
    mortal
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Done {
    run_within(command, LIMIT)
}

/// Runs a command that may take up to `limit`.
///
/// Output goes through files: a pipe would stay open for as long as any process that the command
/// has left behind.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Done {
    let file = || tempfile::tempfile().expect("the temporary folder is writable");
    let (stdout, stderr) = (file(), file());
    let copy = |file: &File| file.try_clone().expect("there are descriptors left");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(copy(&stdout))
        .stderr(copy(&stderr))
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = wait(&mut child, limit);
    if status.is_none() {
        let _ = child.kill(); // It may have ended in this moment.
    }
    let done = Done {
        status: status.unwrap_or_else(|| child.wait().expect("the child is ours")),
        stdout: content(stdout),
        stderr: content(stderr),
    };
    assert!(
        status.is_some(),
        "{command:?} did not end within {limit:?}: {}",
        done.explain()
    );
    done
}

fn content(mut file: File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.read_to_end(&mut bytes))
        .expect("a temporary file is readable");
    bytes
}

/// Waits for a child to end; `None` when it still runs after `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("the child has not been waited for");
    let limit = Timespec::try_from(limit).expect("limits are short");
    let mut ends = [PollFd::new(&pidfd, PollFlags::IN)];
    loop {
        match poll(&mut ends, Some(&limit)) {
            Ok(0) => return None,
            Ok(_) => return Some(child.wait().expect("the child is ours")),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Waits until `condition` gives a value; panics with what `otherwise` says when it never does.
#[track_caller]
pub fn wait_until<T>(
    mut condition: impl FnMut() -> Option<T>,
    otherwise: impl FnOnce() -> String,
) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process is there and not yet dead; zombies nobody waits for count as dead.
pub fn is_alive(pid: Pid) -> bool {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    // "PID (NAME) STATE ...", where NAME may contain anything.
    std::fs::read(stat).is_ok_and(|text| {
        let name_end = text.iter().rposition(|&byte| byte == b')');
        name_end.is_some_and(|at| !matches!(text.get(at + 2), Some(b'Z' | b'X')))
    })
}

/// The running processes that name this folder in their environment or their command, and what they are called.
pub fn processes_of(folder: &Path) -> Vec<(Pid, String)> {
    let folder = folder.as_os_str().as_bytes();
    let names = |pid: Pid, what: &str| {
        let bytes = std::fs::read(format!("/proc/{}/{what}", pid.as_raw_nonzero()));
        bytes.is_ok_and(|bytes| bytes.windows(folder.len()).any(|part| part == folder))
    };
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Pid::from_raw(pid)
    });
    let found = pids.filter(|&pid| names(pid, "environ") || names(pid, "cmdline"));
    found
        .filter(|&pid| is_alive(pid))
        .filter_map(|pid| {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
            Some((pid, name.ok()?.trim_end().to_owned()))
        })
        .collect()
}

/// The running processes whose environment has a variable with this value.
pub fn processes_with(name: &str, value: &OsStr) -> Vec<Pid> {
    let variable = [name.as_bytes(), b"=", value.as_bytes()].concat();
    let has_variable = |pid: &Pid| {
        let environment = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero()));
        environment.is_ok_and(|bytes| bytes.split(|&byte| byte == 0).any(|part| part == variable))
    };
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Pid::from_raw(pid)
    });
    pids.filter(has_variable)
        .filter(|&pid| is_alive(pid))
        .collect()
}
