//! The include server of a build, for as long as that runs: one that dies is started again, at the same sockets.
//!
//! The sockets are this process's. So who asks while there is no include server waits in their queues, whatever client it
//! is, and those whose conversation broke off connect again. Where none is started any more the sockets are closed: then all are
//! told at once that nobody comes.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::include_server::{IncludeServer, REFUSALS, Sockets, Starting, socket};
use super::messages::{PumpError, RULE, plural};
use super::settings::Settings;
use super::shutdown::print_refusals;
use crate::console;

/// Within [`WITHIN`]; then something is wrong that another start does not mend.
const MOST_STARTS: usize = 5;
const WITHIN: Duration = Duration::from_secs(300);

/// For an include server to get ready. The first one has any time.
const START_LIMIT: Duration = Duration::from_secs(30);

/// See above.
pub(super) struct Keeper<'a> {
    settings: &'a Settings,
    folder: PathBuf,
    engines: OsString,
    /// Dropped before the sockets: who waits there is not to see a server that ends.
    state: State,
    /// None once it was given up.
    sockets: Option<Sockets>,
    /// [`START_LIMIT`]
    start_limit: Duration,
    /// When one was started again lately.
    starts: Vec<Instant>,
    deaths: u64,
    /// What those that died had refused, in their words.
    refusals: Vec<Vec<u8>>,
}

enum State {
    Running(IncludeServer),
    Starting(Starting, Instant),
    GivenUp,
}

impl<'a> Keeper<'a> {
    /// Starts one for the session in `folder`, and returns when it is ready.
    pub(super) fn start(
        settings: &'a Settings,
        folder: &Path,
        engines: &OsStr,
    ) -> Result<Self, PumpError> {
        let sockets = Sockets::open(folder, !engines.is_empty())?;
        let starting = Starting::start(settings, folder, engines, &sockets)?;
        let server = starting.finish().map_err(|_| PumpError::NoIncludeServer {
            expected: Some(socket(folder)),
            why: None,
        })?;
        Ok(Self {
            settings,
            folder: folder.to_owned(),
            engines: engines.to_owned(),
            state: State::Running(server),
            sockets: Some(sockets),
            start_limit: START_LIMIT,
            starts: Vec::new(),
            deaths: 0,
            refusals: Vec::new(),
        })
    }

    /// Where something can be read once [`Self::go_on`] has something to do.
    pub(super) fn event(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Running(server) => server.process(),
            State::Starting(starting, _) => Some(starting.as_fd()),
            State::GivenUp => None,
        }
    }

    /// When [`Self::go_on`] has something to do in any case.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Starting(_, due) => Some(*due),
            State::Running(_) | State::GivenUp => None,
        }
    }

    /// Looks after a server for which there is an event, or which is late.
    pub(super) fn go_on(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::GivenUp) {
            State::Running(server) => {
                let status = server.wait();
                self.another(&format!("has ended ({status})"))
            }
            State::Starting(starting, due) if Instant::now() >= due => {
                starting.kill();
                self.another("did not get ready")
            }
            State::Starting(starting, _) => match starting.finish() {
                Ok(server) => State::Running(server),
                Err(status) => self.another(&format!("has ended ({status})")),
            },
            State::GivenUp => State::GivenUp,
        };
    }

    /// Starts another one, and says why.
    fn another(&mut self, why: &str) -> State {
        self.deaths += 1;
        self.keep_refusals();
        let now = Instant::now();
        self.starts
            .retain(|start| now.duration_since(*start) < WITHIN);
        let started = match &self.sockets {
            Some(sockets) if self.starts.len() < MOST_STARTS => {
                console::complain(&format!(
                    "{RULE}The include server {why}; starting another one"
                ));
                self.starts.push(now);
                Starting::start(self.settings, &self.folder, &self.engines, sockets)
                    .map_err(|error| format!("cannot be started again ({})", error.reason()))
            }
            _ => Err(format!(
                "{why} for the {}th time: it is not started again",
                self.starts.len() + 1
            )),
        };
        match started {
            Ok(starting) => State::Starting(starting, now + self.start_limit),
            Err(why) => {
                self.sockets = None;
                console::complain(&format!(
                    "{RULE}The include server {why}; what needs it runs on this machine from now on"
                ));
                State::GivenUp
            }
        }
    }

    /// The next one counts anew, in the same file.
    fn keep_refusals(&mut self) {
        let file = self.folder.join(REFUSALS);
        if let Ok(told) = fs::read(&file) {
            self.refusals.push(told);
            let _ = fs::remove_file(&file); // It would be told twice, no more.
        }
    }

    /// The line about those that died; none if none did.
    pub(super) fn summary(&self) -> Option<String> {
        let deaths = self.deaths;
        let rest = match self.state {
            State::GivenUp => "and was given up",
            State::Running(_) | State::Starting(..) => "and was started again",
        };
        (deaths > 0).then(|| {
            format!(
                "{RULE}The include server ended {deaths} time{} {rest}; what it had sent for \
                 unfinished commands is not counted",
                plural(deaths)
            )
        })
    }

    /// Tells what was refused by all of them.
    pub(super) fn print_refusals(&self) {
        for told in &self.refusals {
            console::complain_bytes(&[RULE.as_bytes(), told].concat());
        }
        print_refusals(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};

    /// Ready once, and never again.
    const SCRIPT: &[u8] = b"#!/bin/sh\n\
        cd \"${0%/*}\"\n\
        [ -e ended ] && exec sleep 1000.5\n\
        while [ $# -gt 0 ]; do [ \"$1\" = --ready-fd ] && fd=$2; shift; done\n\
        : >ended; printf 1 >/proc/self/fd/$fd\n";

    /// Another process writes it: while a program that another test starts has it open, it could not be run.
    fn install(script: &Path) {
        let mut install = Command::new("install")
            .args(["-m755", "/dev/stdin"])
            .arg(script)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        install.stdin.take().unwrap().write_all(SCRIPT).unwrap();
        assert!(install.wait().unwrap().success());
    }

    #[test]
    fn include_servers_that_do_not_get_ready_are_ended_and_given_up() {
        let dir = tempfile::tempdir().unwrap();
        install(&dir.path().join("include_server"));
        let mut settings = Settings::without_environment();
        settings.location = dir.path().to_owned();
        let mut keeper = Keeper::start(&settings, dir.path(), OsStr::new("")).unwrap();
        keeper.start_limit = Duration::ZERO;
        let mut processes = Vec::new();
        for _ in 0..MOST_STARTS {
            // The first one has ended, the others are late.
            keeper.go_on();
            let State::Starting(starting, _) = &keeper.state else {
                panic!("given up after {processes:?}");
            };
            processes.push(starting.id());
            assert!(keeper.event().is_some() && keeper.due().is_some());
        }
        keeper.go_on();
        assert!(keeper.event().is_none() && keeper.due().is_none());
        for process in processes {
            assert!(!Path::new(&format!("/proc/{process}")).exists());
        }
        // A process that another test is about to start holds all that is open here until it runs.
        let limit = Instant::now() + Duration::from_secs(10);
        while UnixStream::connect(socket(dir.path())).is_ok() {
            assert!(Instant::now() < limit, "somebody holds the sockets");
            std::thread::sleep(Duration::from_millis(1));
        }
        let told = keeper.summary().unwrap();
        assert!(told.contains("ended 6 times and was given up"), "{told}");
    }
}
