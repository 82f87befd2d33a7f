//! What all connections share. Immutable, but for the pools and events.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sandbox::View;

use crate::actions::Service;
use crate::compilers::Compilers;
use crate::confinement::{self, Confinement, Machine};
use crate::counts::Counts;
use crate::environment::{Environment, SearchPath};
use crate::event::Event;
use crate::folders::Folders;
use crate::log::{Level, Log};
use crate::machine;
use crate::reasons::Reasons;
use crate::receive::Memory;
use crate::settings::{Clients, RemoteExecution, Settings};
use crate::shares::Shares;
use crate::slots::Slots;
use crate::tree::Place;

/// Connections at the same time.
const MAX_CONNECTIONS: u64 = 2048;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) settings: Settings,
    /// Whom to serve, once it is known how we were started.
    pub(crate) clients: Clients,
    pub(crate) log: Log,
    pub(crate) compilers: Compilers,
    pub(crate) confinement: Confinement,
    pub(crate) memory: Memory,
    /// Each has a thread and a few descriptors.
    pub(crate) connections: Arc<Shares>,
    /// For all jobs.
    pub(crate) folders: Folders,
    /// For the files of clients.
    pub(crate) disk: Arc<Shares>,
    /// Of the Remote Execution API.
    pub(crate) actions: Service,
    /// Where actions have their blobs, or why nowhere.
    pub(crate) cache_folder: Result<PathBuf, String>,
    pub(crate) machine: Machine,
    /// One for each compiler or action that may run.
    pub(crate) slots: Arc<Slots>,
    /// For clients that ask why they got no answer.
    pub(crate) reasons: Reasons,
    /// What the statistics page tells of its jobs.
    pub(crate) counts: Counts,
    /// No more requests are taken; what runs is finished.
    pub(crate) stop: Arc<Event>,
    /// What runs is ended, too.
    pub(crate) kill: Event,
    /// For compilers, but for `TMPDIR`.
    environment: Vec<(OsString, OsString)>,
}

impl Server {
    /// Also starts the sandbox.
    ///
    /// # Errors
    /// What does not work on this machine, in words.
    pub(crate) fn new(
        settings: Settings,
        clients: Clients,
        environment: Environment,
        masquerade: &[PathBuf],
        cache_folder: Result<PathBuf, String>,
        log: Log,
    ) -> Result<Self, String> {
        let compilers = Compilers::load(&settings.programs, masquerade, &log);
        let system = rustix::system::sysinfo();
        let machine_bytes = (system.totalram as u64).saturating_mul(system.mem_unit.into());
        let path = search_path(environment.path, masquerade);
        log.info(
            "dcc_setup_daemon_path",
            format_args!("daemon's PATH is {}", path.display()),
        );
        let mut variables = environment.for_compilers;
        variables.push(("PATH".into(), path));
        let machine = Machine {
            memory_bytes: machine_bytes,
            jobs: settings.jobs,
            oom_score: settings.oom_score,
        };
        let folders = Folders::find(
            &settings.temp_folder,
            settings.in_memory,
            settings.keep_scratch,
            machine_bytes,
            &log,
        );
        let confinement = Confinement::choose(
            settings.sandboxing,
            &clients,
            &confinement::view(&variables, &compilers),
            &folders.all(),
            machine,
            &log,
        )?;
        log.info("dcc_sandbox", confinement.describe());
        let folders = match confinement.place() {
            Place::InPlace => folders,
            // There compilers write into them what nobody has counted.
            Place::BelowRoot => folders.without_memory(),
        };
        log.info("dcc_setup_tempdir", folders.describe());
        let actions = Service::new(settings.actions.execution, &confinement);
        if !actions.are_offered() && settings.actions.execution != RemoteExecution::Off {
            let level = match settings.actions.is_asked_for {
                true => Level::Warning,
                false => Level::Info,
            };
            let text = "actions of the Remote Execution API need namespaces: none are run here";
            log.line(level, "dcc_actions", text);
        }
        let event = || Event::new().map_err(|error| format!("making events: {error}"));
        Ok(Self {
            actions,
            cache_folder,
            machine,
            compilers,
            confinement,
            folders,
            clients,
            log,
            memory: Memory::new(machine_bytes),
            connections: Shares::new(MAX_CONNECTIONS),
            disk: Shares::new(disk_bytes(&settings.temp_folder)),
            slots: Slots::new(settings.jobs),
            reasons: Reasons::default(),
            counts: Counts::new(Instant::now()),
            stop: Arc::new(event()?),
            kill: event()?,
            environment: variables,
            settings,
        })
    }

    /// What actions see of this machine, if they may see anything.
    pub(crate) fn view(&self) -> View {
        confinement::view(&self.environment, &self.compilers)
    }

    /// The whole environment of a compiler whose temporary files go to `temp_folder`.
    pub(crate) fn compiler_environment(&self, temp_folder: &Path) -> Vec<(OsString, OsString)> {
        let temp_folder: (OsString, OsString) = ("TMPDIR".into(), temp_folder.into());
        self.environment
            .iter()
            .cloned()
            .chain([temp_folder])
            .collect()
    }
}

/// Half of what is free where clients' files go.
fn disk_bytes(folder: &Path) -> u64 {
    const LEAST: u64 = 64 << 20;
    let free = machine::free_space(folder);
    u64::try_from(free).map_or(u64::MAX, |mib| (mib << 19).max(LEAST))
}

/// Where compilers are searched: never in a masquerade folder by accident, where `gcc` is distcc.
/// 3.4's manual says so too, but 3.4 does not do it.
fn search_path(path: SearchPath, masquerade: &[PathBuf]) -> OsString {
    match path {
        SearchPath::Given(path) => path,
        SearchPath::Inherited(path) => {
            let folders =
                std::env::split_paths(&path).filter(|folder| !masquerade.contains(folder));
            // It was one path with the same separators before.
            std::env::join_paths(folders).unwrap_or(path.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masquerade_folders_are_not_searched() {
        let masquerade = ["/usr/lib/distcc".into()];
        let path = |path: &str| search_path(SearchPath::Inherited(path.into()), &masquerade);
        assert_eq!(path("/usr/lib/distcc:/usr/bin:/bin"), "/usr/bin:/bin");
        assert_eq!(path("/usr/bin:/usr/lib/distcc/"), "/usr/bin");
        let given = SearchPath::Given("/usr/lib/distcc:/bin".into());
        assert_eq!(search_path(given, &masquerade), "/usr/lib/distcc:/bin");
    }
}
