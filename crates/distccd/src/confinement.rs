//! Which sandbox compilers run in, and what it shows them of this machine.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use sandbox::{Config, Limits, Mode, Sandbox, StartError, View};

use crate::compilers::Compilers;
use crate::log::Log;
use crate::settings::{Clients, Sandboxing};
use crate::tree::Place;

/// How jobs are kept from doing harm.
#[derive(Debug)]
pub(crate) enum Confinement {
    /// In namespaces: the client's files stand at the client's own paths.
    Namespaces(Sandbox),
    /// By Landlock: they are below the job's scratch folder.
    Landlock(Sandbox),
    /// Not at all, so that only harmless options are taken.
    Options,
    /// Not at all, for clients who may run anything here anyway.
    Trust,
}

/// The machine, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) memory_bytes: u64,
    pub(crate) jobs: u64,
    /// `--oom-score-adj`
    pub(crate) oom_score: Option<i16>,
}

impl Confinement {
    /// Starts the strongest sandbox that this machine allows.
    ///
    /// # Errors
    /// Why there is none, if one is required.
    pub(crate) fn choose(
        sandboxing: Sandboxing,
        clients: &Clients,
        view: &View,
        scratch: &[PathBuf],
        machine: Machine,
        log: &Log,
    ) -> Result<Self, String> {
        let start = |mode| {
            let config = Config {
                mode,
                view: view.clone(),
                scratch: scratch.to_vec(),
                programs: false,
                limits: limits(machine),
            };
            Sandbox::start(config)
        };
        let without = match sandboxing {
            Sandboxing::Off => "--sandbox=off".to_owned(),
            Sandboxing::Auto | Sandboxing::Required => {
                let no_namespaces = match start(Mode::Namespaces) {
                    Ok(sandbox) => return Ok(Self::Namespaces(sandbox)),
                    Err(error) => error,
                };
                match start(Mode::Landlock) {
                    Ok(sandbox) => {
                        let text = format_args!(
                            "no namespaces ({no_namespaces}): compilers are confined by \
                             Landlock, and absolute paths are mapped"
                        );
                        log.warning("dcc_sandbox", text);
                        return Ok(Self::Landlock(sandbox));
                    }
                    Err(error) => nothing_left(&no_namespaces, &error),
                }
            }
        };
        if sandboxing == Sandboxing::Required {
            return Err(format!("no sandbox: {without}"));
        }
        if *clients == Clients::SameUser {
            return Ok(Self::Trust);
        }
        let text = format_args!(
            "no sandbox ({without}): compilers run with all rights of this server, and only \
             options that are known to be harmless are taken"
        );
        log.warning("dcc_sandbox", text);
        Ok(Self::Options)
    }

    /// Where compilers find a client's files.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Namespaces(_) => Place::InPlace,
            Self::Landlock(_) | Self::Options | Self::Trust => Place::BelowRoot,
        }
    }

    /// For the log.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Namespaces(_) => "compilers run in namespaces of their own",
            Self::Landlock(_) => "compilers run behind Landlock",
            Self::Options | Self::Trust => "compilers run without a sandbox",
        }
    }
}

fn nothing_left(no_namespaces: &StartError, no_landlock: &StartError) -> String {
    format!("namespaces: {no_namespaces}; Landlock: {no_landlock}")
}

/// What one job may use: enough for the largest compile that the machine could do at all, and
/// not enough to take the machine from the others.
pub(crate) fn limits(machine: Machine) -> Limits {
    const MIB: u64 = 1 << 20;
    let share = machine.memory_bytes / 4 / machine.jobs.max(1);
    Limits {
        memory_bytes: (machine.memory_bytes / 2).max(512 * MIB),
        // It is memory, too.
        written_bytes: share.clamp(64 * MIB, 4096 * MIB),
        // No larger object could be sent.
        file_bytes: 1024 * MIB,
        processes: 512,
        // The kernel shall rather end compilers than the server.
        oom_score: machine.oom_score.unwrap_or(500),
    }
}

/// What compilers need to see: the folders that they are searched in, and where the ones lie that
/// links and lists lead to.
pub(crate) fn view(environment: &[(OsString, OsString)], compilers: &Compilers) -> View {
    let value = |name: &str| {
        let variable = environment.iter().find(|(variable, _)| variable == name);
        variable.map_or(OsStr::new(""), |(_, value)| value)
    };
    let folders: Vec<PathBuf> = std::env::split_paths(value("PATH")).collect();
    let mut programs = folders.clone();
    for name in compilers.names() {
        let found = folders.iter().map(|folder| folder.join(&name));
        let found = found.filter_map(|path| path.canonicalize().ok());
        programs.extend(found.filter(|path| path.is_file()).take(1));
    }
    programs.extend(std::env::split_paths(value("LD_LIBRARY_PATH")));
    View::of_this_machine(&programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_fit_the_machine() {
        let limits = limits(Machine {
            memory_bytes: 16 << 30,
            jobs: 8,
            oom_score: None,
        });
        assert_eq!(limits.memory_bytes, 8 << 30);
        assert_eq!(limits.written_bytes, 512 << 20);
    }
}
