//! From the command line to serving, in 3.4's order, and the exit codes.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::{Access, access};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::access::AccessList;
use crate::cache_folder;
use crate::compilers::{masquerade_folders, no_links};
use crate::daemonize::{Detached, PidFile, detach, keep_descriptors_to_ourselves, write_pid_file};
use crate::environment::Environment;
use crate::fault::reason;
use crate::flags::{Flags, Instead};
use crate::listen::{self, Stdin};
use crate::log::{Level, Log};
use crate::peer::Peer;
use crate::privileges::{User, give_up_root};
use crate::serve;
use crate::server::Server;
use crate::settings::{Clients, Mode, Programs, RemoteExecution, Settings};
use crate::signals::{self, Signals, die_by};
use crate::stats_page;
use crate::wire::Wire;

/// Why the server does not serve. The codes are distcc's.
#[derive(Debug)]
struct Failure {
    code: u8,
    function: &'static str,
    text: String,
}

const GENERAL: u8 = 100;
const BAD_ARGUMENTS: u8 = 101;
const BIND_FAILED: u8 = 102;
const ACCEPT_FAILED: u8 = 103;
const FORK_FAILED: u8 = 105;
const IO_ERROR: u8 = 107;
const NO_COMPILERS: u8 = 110;
const PRIVILEGES: u8 = 112;
const DENIED: u8 = 113;

/// The whole program.
pub(crate) fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let environment = Environment::read();
    let settings = match settings(argv, &environment) {
        Ok(settings) => settings,
        Err(Instead::Print(text)) => {
            let _ = io::stdout().write_all(text.as_bytes()); // Nobody reads it.
            return ExitCode::SUCCESS;
        }
        Err(Instead::Usage(text)) => {
            let _ = writeln!(io::stderr(), "distccd: ERROR: {text}"); // Nobody reads it.
            return BAD_ARGUMENTS.into();
        }
    };
    start(settings, environment).into()
}

fn settings(
    argv: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Settings, Instead> {
    let flags = Flags::parse_line(argv)?;
    // A folder that is gone makes relative paths fail where they are used.
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    Settings::new(flags, environment, cpus(), &cwd).map_err(Instead::Usage)
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Serves, and returns the exit code.
fn start(mut settings: Settings, environment: Environment) -> u8 {
    keep_descriptors_to_ourselves();
    // For what goes wrong before anybody looks into the log.
    let early = Log::to_stderr(settings.log_level.min(Level::Warning));
    for warning in &settings.warnings {
        early.warning("distccd_parse_options", warning);
    }
    let (way, why) = Way::find(&settings);
    let clients = clients(&settings, way, &early);
    // As root, if we are that: the user that we become cannot make files where logs are kept. (3.4
    // opens it later, and logs to syslog then.)
    let log = Log::open(&settings.log, settings.log_level);
    let mut cache_folder = cache_folder::choose(&settings.actions, &clients);
    let user = match step_down(&settings, &clients, &mut cache_folder, &early) {
        Ok(user) => user,
        Err(failure) => return failure.report(&early),
    };
    log.info("dcc_should_be_inetd", why);
    if let Some(User { uid, gid }) = user {
        let text = format_args!("discarded root privileges, changed to uid={uid} gid={gid}");
        log.info("dcc_discard_root", text);
    }
    let masquerade = masquerade_folders(std::env::current_exe().ok().as_deref());
    if let Err(failure) = check_surroundings(&mut settings, &masquerade) {
        return failure.report(&log);
    }
    raise_descriptor_limit(&log);
    let mut server = match Server::new(
        settings,
        clients,
        environment,
        &masquerade,
        cache_folder,
        log,
    ) {
        Ok(server) => server,
        Err(text) => return Failure::new(PRIVILEGES, "dcc_sandbox", text).report(&early),
    };
    if let Err(failure) = check_cache(&mut server, way) {
        return failure.report(&server.log);
    }
    let server = Arc::new(server);
    let ended = match way {
        Way::Inetd => inetd(&server),
        Way::Inherited => listen::take_stdin()
            .map_err(Failure::system("taking the socket on standard input"))
            .and_then(|listener| daemon(&server, listener, false)),
        Way::Own => {
            let settings = &server.settings;
            listen::listen(settings.listen.as_deref(), settings.port)
                .map_err(|text| Failure::new(BIND_FAILED, "dcc_listen_by_addr", text))
                .and_then(|listener| daemon(&server, listener, settings.detach))
        }
    };
    ended.unwrap_or_else(|failure| failure.report(&server.log))
}

/// Where clients come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// One is there, on standard input and output.
    Inetd,
    /// Through the listening socket on standard input. Whoever gave it to us waits for us, so we
    /// never go into the background.
    Inherited,
    /// Through a socket of ours.
    Own,
}

impl Way {
    /// And why it is this one.
    fn find(settings: &Settings) -> (Self, &'static str) {
        match (settings.mode, Stdin::look()) {
            (_, Stdin::Listener) => (Self::Inherited, "stdin is a listening socket; serving it"),
            (Mode::Inetd, _) => (Self::Inetd, "--inetd mode"),
            (Mode::Daemon, _) => (Self::Own, "--daemon mode"),
            (Mode::Auto, Stdin::Connection) => {
                (Self::Inetd, "stdin is socket; assuming --inetd mode")
            }
            (Mode::Auto, Stdin::Other) => (Self::Own, "stdin is no socket; assuming --daemon mode"),
        }
    }
}

/// Whom to serve. 3.4 prints this warning, and then serves everybody.
fn clients(settings: &Settings, way: Way, log: &Log) -> Clients {
    if settings.clients != Clients::Unsaid || way == Way::Inetd {
        return settings.clients.clone();
    }
    log.warning(
        "main",
        "No --allow option specified. Defaulting to --allow-private. Allowing non-Internet \
         (globally routable) addresses.",
    );
    let mut list = AccessList::default();
    list.add_private();
    Clients::Listed(list)
}

/// Becomes nicer, and another user than root, which is returned.
fn step_down(
    settings: &Settings,
    clients: &Clients,
    cache_folder: &mut Result<PathBuf, String>,
    log: &Log,
) -> Result<Option<User>, Failure> {
    if let Err(errno) = rustix::process::nice(settings.nice) {
        let reason = reason(&errno.into());
        log.warning(
            "main",
            format_args!("nice {} failed: {reason}", settings.nice),
        );
    }
    // Compilers get it from their helper; but less than we have only root may give.
    if let Some(score @ ..0) = settings.oom_score
        && let Err(error) = fs::write("/proc/self/oom_score_adj", score.to_string())
    {
        let reason = reason(&error);
        let text = format_args!("failed to write to /proc/self/oom_score_adj: {reason}");
        log.warning("main", text);
    }
    let is_root = rustix::process::geteuid().is_root();
    if settings.user.is_some() && !is_root {
        let text = "--user is ignored when distccd is not run by root";
        log.warning("distccd_parse_options", text);
    }
    if *clients == Clients::SameUser {
        return Ok(None);
    }
    let own_cache = |user| {
        if let Ok(folder) = cache_folder
            && settings.actions.execution != RemoteExecution::Off
            && let Err(error) = cache_folder::make_for(folder, user)
        {
            // The reason of root, and not that of the user who may do less; `check_cache` says it.
            let (shown, reason) = (folder.display(), reason(&error));
            *cache_folder = Err(format!("making the cache in {shown}: {reason}"));
        }
    };
    give_up_root(settings.user.as_deref(), log, own_cache)
        .map_err(|text| Failure::new(PRIVILEGES, "dcc_discard_root", text))
}

/// What has to be there for any job to succeed. Leaves the folder that we were started in.
fn check_surroundings(settings: &mut Settings, masquerade: &[PathBuf]) -> Result<(), Failure> {
    let folder = &mut settings.temp_folder;
    let failed = |reason: &str, folder: &Path| {
        let folder = folder.display();
        Failure::new(
            IO_ERROR,
            "main",
            format!("failed to chdir to {folder}: {reason}"),
        )
    };
    rustix::process::chdir(&*folder)
        .and_then(|()| access(&*folder, Access::WRITE_OK | Access::EXEC_OK))
        .map_err(|errno| failed(&reason(&errno.into()), folder))?;
    // Compilers see where they are without links on the way, and we have to recognise that.
    *folder = folder
        .canonicalize()
        .map_err(|error| failed(&reason(&error), folder))?;
    if folder.as_os_str().as_bytes().contains(&b'=') {
        return Err(failed(
            "compilers take a path with \"=\" in it for two",
            folder,
        ));
    }
    let actions = &settings.actions;
    let brought_along = actions.is_asked_for && actions.execution != RemoteExecution::Off;
    match no_links(masquerade) {
        // With actions compilers come along.
        Some(text) if settings.programs == Programs::Linked && !brought_along => Err(Failure::new(
            NO_COMPILERS,
            "dcc_warn_masquerade_whitelist",
            text,
        )),
        _ => Ok(()),
    }
}

/// Actions need a cache. If somebody asked for them it is a failure to have none; otherwise all else is served.
fn check_cache(server: &mut Server, way: Way) -> Result<(), Failure> {
    if !server.actions.are_offered() {
        return Ok(());
    }
    let folder = server.cache_folder.clone();
    let Err(why) = folder.and_then(|folder| cache_folder::check(&folder)) else {
        return Ok(());
    };
    let text = format!(
        "{why}: no actions of the Remote Execution API can run here; name a folder that this user may write to by \
         --cache-dir, or turn them off by --remote-exec=off"
    );
    let actions = &server.settings.actions;
    if actions.is_asked_for || actions.is_folder_asked_for {
        return Err(Failure::new(IO_ERROR, "dcc_actions", text));
    }
    let level = match way {
        // A line for each connection: whoever has not asked for actions does not miss them.
        Way::Inetd => Level::Info,
        Way::Inherited | Way::Own => Level::Warning,
    };
    server.log.line(level, "dcc_actions", &text);
    server.actions.withdraw();
    server.cache_folder = Err(text);
    Ok(())
}

/// Room for all connections where the system allows it: the usual limit is that of interactive
/// programs.
fn raise_descriptor_limit(log: &Log) {
    const ENOUGH: u64 = 16 << 10;
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_none_or(|now| now >= current) {
        return;
    }
    let raised = Rlimit {
        current: Some(current),
        maximum: limit.maximum,
    };
    if let Err(errno) = setrlimit(Resource::Nofile, raised) {
        let reason = reason(&errno.into());
        log.warning(
            "main",
            format_args!("failed to raise the limit of descriptors: {reason}"),
        );
    }
}

fn daemon(server: &Arc<Server>, listener: OwnedFd, into_background: bool) -> Result<u8, Failure> {
    let settings = &server.settings;
    let page = settings
        .stats_port
        .map(|port| listen::listen(settings.listen.as_deref(), port))
        .transpose()
        .map_err(|text| Failure::new(BIND_FAILED, "dcc_listen_by_addr", text))?;
    let until = settings.lifetime.map(|lifetime| Instant::now() + lifetime);
    let log = &server.log;
    log.info(
        "dcc_listen_by_addr",
        format_args!("listening on {}", listen::shown(&listener)),
    );
    let cpus = cpus();
    log.info(
        "dcc_standalone_server",
        format_args!("{cpus} CPUs online on this server"),
    );
    log.info(
        "dcc_standalone_server",
        format_args!("allowing up to {} active jobs", settings.jobs),
    );
    let abandoned = server.folders.remove_abandoned();
    if abandoned > 0 {
        log.notice(
            "dcc_standalone_server",
            format_args!("removed the files of {abandoned} jobs of servers that were killed"),
        );
    }
    let held_back = signals::hold_back();
    let pid_file = settings.pid_file.clone();
    let write_pid_file = |pid| {
        if let Some(path) = &pid_file {
            write_pid_file(path, pid, log);
        }
    };
    if into_background {
        let detached =
            detach().map_err(|error| Failure::new(FORK_FAILED, "dcc_detach", reason(&error)))?;
        if let Detached::Parent { daemon } = detached {
            write_pid_file(daemon);
            return Ok(0);
        }
    } else {
        write_pid_file(std::process::id().cast_signed());
    }
    let version = env!("CARGO_PKG_VERSION");
    log.info(
        "dcc_log_daemon_started",
        format_args!("daemon started (pumpcc {version})"),
    );
    let pid_file = pid_file.map(PidFile);
    let system = |error| Failure::new(ACCEPT_FAILED, "dcc_standalone_server", reason(&error));
    let signals = Signals::take_over(held_back).map_err(system)?;
    if let Some(page) = page {
        let port = listen::port(&page);
        stats_page::start(server, page)
            .map_err(|error| Failure::new(FORK_FAILED, "dcc_stats_server", reason(&error)))?;
        let text = format_args!("HTTP server started on port {port}");
        log.info("dcc_stats_server", text);
    }
    let signal = serve::daemon(server, listener, &signals, until).map_err(system)?;
    drop(pid_file);
    die_by(signal);
    Ok(0)
}

/// Serves the client on standard input and output.
fn inetd(server: &Arc<Server>) -> Result<u8, Failure> {
    let system = || Failure::system("preparing standard input and output");
    let copy = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(io::Error::from);
    let input = copy(rustix::stdio::stdin()).map_err(system())?;
    let output = copy(rustix::stdio::stdout()).map_err(system())?;
    let peer = match rustix::net::getpeername(input.as_fd()) {
        Ok(address) => address.map_or(Peer::Unix(PathBuf::new()), Peer::of),
        Err(errno) => {
            let reason = reason(&errno.into());
            server.log.info(
                "dcc_inetd_server",
                format_args!("failed to get peer name: {reason}"),
            );
            Peer::NotSocket
        }
    };
    serve::admit(server, &input, &peer).map_err(|reason| {
        let text = format!("connection from client '{peer}' denied by {reason}");
        Failure::new(DENIED, "dcc_check_client", text)
    })?;
    let patience = server.settings.patience.idle;
    let stop = Arc::clone(&server.stop);
    let wire = Wire::new(Arc::new(input), Arc::new(output), stop, patience);
    let ended = Signals::take_over(signals::hold_back())
        .and_then(|signals| serve::inetd(server, wire, peer, &signals))
        .map_err(system())?;
    match ended {
        Ok(code) => Ok(u8::try_from(code).unwrap_or(GENERAL)),
        Err(signal) => {
            die_by(signal);
            Ok(0)
        }
    }
}

impl Failure {
    fn new(code: u8, function: &'static str, text: String) -> Self {
        Self {
            code,
            function,
            text,
        }
    }

    fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let text = format!("failed {doing}: {}", reason(&error));
            Self::new(IO_ERROR, "main", text)
        }
    }

    /// Says it, and returns the exit code.
    fn report(&self, log: &Log) -> u8 {
        log.error(self.function, &self.text);
        // Whoever started us may not look into the log; but standard error may be the client's
        // connection, too, as inetd makes it.
        let stderr = rustix::stdio::stderr();
        if !log.is_stderr() && rustix::net::sockopt::socket_type(stderr).is_err() {
            let _ = writeln!(io::stderr(), "distccd: ERROR: {}", self.text); // Nobody reads it.
        }
        self.code
    }
}
