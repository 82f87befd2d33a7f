//! The steps of a session: which servers there are, the include server, the build, the end.
//!
//! Servers end when their values are dropped, so every way out of here ends them.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::build;
use super::hosts::{self, Search, Source};
use super::include_server::{Detached, ENGINES, Lifetime, socket};
use super::keeper::Keeper;
use super::messages::{Progress, PumpError};
use super::private_server::PrivateServer;
use super::progress;
use super::settings::{PRIVATE_SERVER_PID, Settings};
use super::shutdown;
use super::signals::Signals;
use super::summary::Records;
use crate::console;

/// What was started. Dropped in this order: servers write to the folder.
struct Session<S> {
    include_server: S,
    private_server: Option<PrivateServer>,
    folder: TempDir,
    /// The value of `DISTCC_HOSTS`, if it has to be another one than before.
    hosts: Option<OsString>,
    /// The value of `INCLUDE_SERVER_ENGINES`; empty where there are none.
    engines: OsString,
}

/// Runs `command` in a session of its own; returns the exit code.
///
/// # Errors
/// [`PumpError`]: the command was not run.
pub(super) fn build(settings: &Settings, command: &[OsString]) -> Result<u8, PumpError> {
    let signals = Signals::collect().map_err(PumpError::Signals)?;
    let distcc = check(settings)?;
    say(settings, &Progress::Location(settings.location.clone()));
    let start = |folder: &Path, engines: &OsStr| Keeper::start(settings, folder, engines);
    let mut session = open(settings, &distcc, Lifetime::ThisProcess, start)?;
    let mut environment = vec![
        ("PATH", settings.build_path()),
        ("INCLUDE_SERVER_PORT", socket(session.folder.path()).into()),
    ];
    if !session.engines.is_empty() {
        environment.push((ENGINES, session.engines.clone()));
    }
    environment.extend(session.hosts.clone().map(|hosts| ("DISTCC_HOSTS", hosts)));
    let records = Records::open(session.folder.path()).ok();
    let mut progress = progress::Progress::start(settings, records);
    let code = match signals.take() {
        Some(signal) => u8::try_from(128 + signal).unwrap_or(255),
        None => build::run(
            command,
            &environment,
            &signals,
            &mut progress,
            &mut session.include_server,
            &settings.name,
        ),
    };
    session.end(settings, progress);
    Ok(code)
}

/// Starts a session for others, and prints what they need; returns the exit code.
///
/// # Errors
/// [`PumpError`]: nothing was started.
pub(super) fn startup(settings: &Settings) -> Result<u8, PumpError> {
    let signals = Signals::collect().map_err(PumpError::Signals)?;
    let distcc = check(settings)?;
    let start = |folder: &Path, engines: &OsStr| Detached::start(settings, folder, engines);
    let session = open(settings, &distcc, Lifetime::UntilShutdown, start)?;
    if let Some(signal) = signals.take() {
        return Ok(u8::try_from(128 + signal).unwrap_or(255));
    }
    let pid = |pid: rustix::process::Pid| OsString::from(pid.as_raw_nonzero().to_string());
    let folder = session.folder.path();
    let mut variables = vec![
        ("INCLUDE_SERVER_PID", pid(session.include_server.pid())),
        ("INCLUDE_SERVER_DIR", folder.into()),
        ("INCLUDE_SERVER_PORT", socket(folder).into()),
    ];
    if !session.engines.is_empty() {
        variables.push((ENGINES, session.engines.clone()));
    }
    if let Some(server) = &session.private_server {
        variables.push((PRIVATE_SERVER_PID, pid(server.pid())));
    }
    let hosts = session.hosts.clone().unwrap_or(settings.hosts.clone());
    if !hosts.is_empty() {
        variables.push(("DISTCC_HOSTS", hosts));
    }
    variables.push(("PATH", settings.build_path()));
    for (name, value) in variables {
        console::print_bytes(&export(name, &value));
    }
    session.leave_running();
    Ok(0)
}

/// What 3.4 looks at before anything else. Returns the client.
fn check(settings: &Settings) -> Result<PathBuf, PumpError> {
    if let Err(value) = &settings.max_discrepancy {
        return Err(PumpError::MaxDiscrepancy(value.clone()));
    }
    settings
        .distcc()
        .ok_or_else(|| PumpError::NoDistcc(settings.location.clone()))
}

/// `start` starts an include server in a folder, for these engines.
fn open<S>(
    settings: &Settings,
    distcc: &Path,
    lifetime: Lifetime,
    start: impl FnOnce(&Path, &OsStr) -> Result<S, PumpError>,
) -> Result<Session<S>, PumpError> {
    let say = |progress: &Progress| {
        if lifetime == Lifetime::ThisProcess {
            say(settings, progress);
        }
    };
    let source = hosts::source(settings, distcc)?;
    let mut engines = OsString::new();
    if let Source::Configured {
        listed,
        engines: found,
    } = &source
    {
        say(&Progress::Hosts(*listed, settings.asks_for_actions));
        engines.clone_from(found);
    }
    let mut hosts = None;
    if source == Source::Potential {
        // First of all: the include server has to know them.
        let (found, count) = Search::start(settings).finish();
        say(&Progress::Found(count));
        if settings.asks_for_actions && count > 0 {
            engines.clone_from(&found);
        }
        hosts = Some(found);
    }

    let folder = tempfile::Builder::new()
        .prefix("distcc-pump.")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&settings.temporary)
        .map_err(|error| PumpError::NoFolder(settings.temporary.clone(), error))?;
    Records::create(folder.path())
        .map_err(|error| PumpError::NoFolder(settings.temporary.clone(), error))?;
    let mut private_server = match source {
        Source::Private(why) => {
            let server = PrivateServer::start(settings, folder.path(), lifetime)?;
            if settings.asks_for_actions {
                engines = server.hosts();
            }
            Some((server, why))
        }
        Source::Potential | Source::Configured { .. } => None,
    };
    let include_server = match start(folder.path(), &engines) {
        Ok(server) => server,
        Err(error) => {
            shutdown::print_outputs_as_errors(folder.path());
            return Err(error);
        }
    };
    if let Some((server, why)) = &mut private_server {
        server.wait_until_ready()?;
        let progress = server.progress(*why);
        match lifetime {
            Lifetime::ThisProcess => say(&progress),
            // Standard output is for the shell.
            Lifetime::UntilShutdown => console::complain(&progress.to_string()),
        }
        hosts = Some(server.hosts());
    }
    Ok(Session {
        folder,
        include_server,
        private_server: private_server.map(|(server, _)| server),
        hosts,
        engines,
    })
}

impl Session<Keeper<'_>> {
    fn end(self, settings: &Settings, progress: progress::Progress) {
        if !settings.is_quiet {
            let summary = progress.summary();
            let of_server = self.include_server.summary();
            let lines = summary.iter().chain(&of_server);
            lines.for_each(|line| console::print(line));
        }
        self.include_server.print_refusals();
        shutdown::print_discrepancies(settings, self.folder.path());
        say(settings, &Progress::ShuttingDown);
        drop(self.include_server);
        drop(self.private_server);
        let _ = self.folder.close(); // In a folder for temporary files.
    }
}

impl Session<Detached> {
    fn leave_running(self) {
        let _ = self.folder.keep();
        self.include_server.leave_running();
        if let Some(server) = self.private_server {
            server.leave_running();
        }
    }
}

fn say(settings: &Settings, progress: &Progress) {
    if !settings.is_quiet {
        console::print(&progress.to_string());
    }
}

/// A line for a shell to evaluate.
fn export(name: &str, value: &OsStr) -> Vec<u8> {
    let mut line = format!("export {name}='").into_bytes();
    for &byte in value.as_bytes() {
        match byte {
            // 3.4 does not care, and breaks on such a value.
            b'\'' => line.extend_from_slice(br"'\''"),
            _ => line.push(byte),
        }
    }
    line.extend_from_slice(b"'\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_survive_any_value() {
        assert_eq!(export("A", "b c".as_ref()), b"export A='b c'\n");
        assert_eq!(
            export("A", "it's".as_ref()),
            br"export A='it'\''s'"
                .iter()
                .chain(b"\n")
                .copied()
                .collect::<Vec<u8>>()
        );
    }
}
