//! From a command line to a running server.
//!
//! Without `--foreground` the program starts itself a second time in the background and ends
//! when that one is ready for clients: whoever waits for it may connect at once. It ends with
//! a failure if the second one cannot start (distcc 3.4 waits for ever then).
//!
//! The one place of the include server that reads the environment.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use statedir::StateDir;

use super::client_root::{RootFolder, RootFolderError};
use super::engine::Engine;
use super::engine_refusals::EngineRefusals;
use super::flags::Flags;
use super::mirror::Mirror;
use super::query_server::QueryServer;
use super::report::{Report, times};
use super::run::Stop;
use super::service::Service;
use crate::actions::placement::{Placement, Surroundings, ssh_words};
use crate::console;

/// Why there is no server.
#[derive(Debug)]
pub(crate) enum StartError {
    /// `DISTCC_CLIENT_TMP` cannot be used.
    RootFolder(RootFolderError),
    /// No copies can be made in the folder for them.
    Mirror(io::Error),
    /// The socket cannot be opened.
    Socket(PathBuf, io::Error),
    /// The file for the process number cannot be written.
    PidFile(PathBuf, io::Error),
    /// A descriptor named on the command line is none.
    Descriptor(RawFd),
    /// The list of hosts cannot be used.
    Engines(String),
    /// The process in the background has ended instead of being ready; it has said why.
    NotReady(ExitStatus),
    /// Something else that the system refused.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RootFolder(error) => error.fmt(f),
            Self::Mirror(error) => write!(f, "cannot make a folder for copies: {error}"),
            Self::Socket(path, error) => {
                write!(f, "cannot open the socket '{}': {error}", path.display())
            }
            Self::PidFile(path, error) => write!(f, "cannot write '{}': {error}", path.display()),
            Self::Descriptor(number) => write!(f, "descriptor {number} is not open"),
            Self::Engines(why) => write!(f, "INCLUDE_SERVER_ENGINES: {why}"),
            Self::NotReady(status) => write!(f, "could not start ({status})"),
            Self::System(error) => error.fmt(f),
        }
    }
}

/// Starts the server in the background, and returns when it is ready.
///
/// # Errors
/// [`StartError`]; nothing runs in the background then.
pub(crate) fn detach(argv: &[OsString], flags: &Flags) -> Result<(), StartError> {
    let program = std::env::current_exe().map_err(StartError::System)?;
    let (mut ready, tell) = io::pipe().map_err(StartError::System)?;
    // The only descriptor that is passed on. No other thread could start a program here.
    fcntl_setfd(&tell, FdFlags::empty()).map_err(|error| StartError::System(error.into()))?;
    let mut command = Command::new(program);
    if let Some(name) = argv.first() {
        command.arg0(name);
    }
    let mut server = command
        .args(argv.iter().skip(1))
        .arg("--ready-fd")
        .arg(tell.as_raw_fd().to_string())
        .spawn()
        .map_err(StartError::System)?;
    drop(tell);
    let mut said = Vec::new();
    // Ends when the server has said that it is ready, or has ended.
    let _ = ready.read_to_end(&mut said);
    if said.is_empty() {
        let status = server.wait().map_err(StartError::System)?;
        return Err(StartError::NotReady(status));
    }
    if let Some(path) = &flags.pid_file
        && let Err(error) = write_pid(path, server.id())
    {
        let _ = kill_process(Pid::from_child(&server), Signal::TERM);
        let _ = server.wait();
        return Err(StartError::PidFile(path.clone(), error));
    }
    Ok(())
}

/// Serves until the end.
///
/// # Errors
/// [`StartError`]; nothing is left behind then.
pub(crate) fn serve(flags: &Flags) -> Result<(), StartError> {
    without_huge_pages();
    let started = Instant::now();
    let Inherited {
        ready,
        starter,
        given,
    } = Inherited::take(flags)?;
    if ready.is_some() {
        // Out of the terminal's reach: Ctrl-C must not end the server before the compiles.
        let _ = rustix::process::setsid(); // Fails only if it is so already.
    }
    let signals = signals().map_err(StartError::System)?;

    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let chosen = std::env::var_os("DISTCC_CLIENT_TMP");
    let roots = RootFolder::choose(chosen.as_deref()).map_err(StartError::RootFolder)?;
    roots.remove_stale_roots().map_err(StartError::Mirror)?;
    let mirror = Mirror::new(roots).map_err(StartError::Mirror)?;
    let stop = Arc::new(Stop::new().map_err(StartError::System)?);
    let processors = available_parallelism().map_or(2, NonZeroUsize::get);
    let engine = Engine::new(
        std::env::vars_os().collect(),
        facts_folder(variable("XDG_CACHE_HOME"), variable("HOME")),
        processors.div_ceil(4),
        Arc::clone(&stop),
    );
    let service = Service::new(
        std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
        processors,
        engine,
        EngineRefusals::new(flags.refusals_file.clone()),
        stop,
        mirror,
    );
    let report = Report::new(flags.debug_pattern, flags.statistics);
    for words in flags.without_effect() {
        report.warn(words);
    }
    let socket = flags.port.clone().unwrap_or_default();
    let Given {
        socket: given,
        pieces,
        jobs,
    } = given;
    let mut server = QueryServer::open(
        &socket,
        (given, pieces),
        signals,
        starter,
        service,
        report,
        flags.write_include_closure,
    )
    .map_err(|error| StartError::Socket(socket, error))?;

    if let Some(hosts) = variable("INCLUDE_SERVER_ENGINES") {
        let home = variable("HOME");
        let folder = variable("DISTCC_DIR").map(PathBuf::from);
        let folder = folder.or_else(|| Some(Path::new(home.as_ref()?).join(".distcc")));
        let around = Surroundings {
            state: folder.map(StateDir::new),
            ssh: ssh_words(variable("DISTCC_SSH").as_deref()),
            may_fall_back: variable("DISTCC_FALLBACK").is_none_or(|value| value != "0"),
        };
        let placement = Placement::of_list(&hosts, &around).map_err(StartError::Engines)?;
        server
            .take_jobs(
                jobs,
                facts_folder(variable("XDG_CACHE_HOME"), home),
                placement,
            )
            .map_err(StartError::System)?;
    }

    match (ready, &flags.pid_file) {
        (Some(ready), _) => {
            if let Err(error) = fs::File::from(ready).write_all(b"1") {
                server.end(); // Whoever wanted a server has gone.
                return Err(StartError::System(error));
            }
        }
        (None, Some(path)) => {
            if let Err(error) = write_pid(path, std::process::id()) {
                server.end();
                return Err(StartError::PidFile(path.clone(), error));
            }
        }
        (None, None) => {}
    }
    server.serve();
    if let Some(folder) = &flags.starters_folder
        && server.has_lost_starter()
    {
        remove_left_behind(folder);
    }
    if flags.time {
        console::complain(&times(started.elapsed()));
    }
    Ok(())
}

/// Removes the folder of a `pump` that was killed. A compile server that ends at the same time may still write there.
fn remove_left_behind(folder: &Path) {
    for _ in 0..20 {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(Duration::from_millis(50));
            }
            // Anything else is somebody else's doing, and nobody is left to tell.
            _ => return,
        }
    }
}

/// Where the user's programs keep what they can find out again: that is where compilers' facts
/// are kept from build to build. Nowhere if the environment does not say.
fn facts_folder(cache: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |path: OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let cache = cache
        .and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(cache.join("pumpcc/facts"))
}

fn write_pid(path: &Path, pid: u32) -> io::Result<()> {
    fs::write(path, format!("{pid}\n"))
}

/// A stream on which something can be read once a signal asks for the end.
fn signals() -> io::Result<UnixStream> {
    let (signals, raise) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, raise.try_clone()?)?;
    }
    Ok(signals)
}

/// Each thread's heap would begin with pages of 2 MiB, of which it uses a fraction, and which the kernel fills
/// with zeros first: for git's 501 compiles that is 40 MB of 100, and a quarter of this program's processor time.
fn without_huge_pages() {
    // SAFETY: changes nothing but how the kernel maps memory that is asked for from now on. It is no harm where a
    // kernel does not know it.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// What the parent process left open for this one.
struct Inherited {
    ready: Option<OwnedFd>,
    starter: Option<OwnedFd>,
    given: Given,
}

/// Sockets that are not ours to remove: whoever made them has them served by another one when this server has ended.
struct Given {
    socket: Option<UnixListener>,
    pieces: Option<UnixListener>,
    jobs: Option<UnixListener>,
}

impl Inherited {
    fn take(flags: &Flags) -> Result<Self, StartError> {
        let mut numbers = [
            flags.ready_fd,
            flags.exit_with_fd,
            flags.socket_fd,
            flags.pieces_fd,
            flags.jobs_fd,
        ];
        let [ready, starter, socket, pieces, jobs] = numbers;
        numbers.sort_unstable();
        if let Some([twice, _]) = numbers
            .windows(2)
            .find(|pair| pair[0].is_some() && pair[0] == pair[1])
        {
            return Err(StartError::Descriptor(twice.unwrap_or(-1)));
        }
        let taken = |number: Option<RawFd>| number.map(inherited).transpose();
        let listener = |number| Ok(taken(number)?.map(UnixListener::from));
        Ok(Self {
            ready: taken(ready)?,
            starter: taken(starter)?,
            given: Given {
                socket: listener(socket)?,
                pieces: listener(pieces)?,
                jobs: listener(jobs)?,
            },
        })
    }
}

/// Takes over a descriptor that the parent process left open for this one.
fn inherited(number: RawFd) -> Result<OwnedFd, StartError> {
    // SAFETY: asks about a number and changes nothing; the number may be any.
    let is_open = number > 2 && unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
    if !is_open {
        return Err(StartError::Descriptor(number));
    }
    // SAFETY: it is open, and nothing in this process owns it: each option is read once, and no two
    // have the same number, at the start, before this process opens anything of its own that it keeps.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    // Compilers must not hold it.
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC).map_err(|error| StartError::System(error.into()))?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_kept_where_caches_are() {
        let folder = |cache: Option<&str>, home: Option<&str>| {
            facts_folder(cache.map(OsString::from), home.map(OsString::from))
                .map(|path| path.into_os_string().into_string().unwrap())
        };
        let at = |path: &str| Some(path.to_owned());
        assert_eq!(folder(Some("/c"), Some("/h")), at("/c/pumpcc/facts"));
        assert_eq!(folder(None, Some("/h")), at("/h/.cache/pumpcc/facts"));
        // As the standard for this variable has it.
        assert_eq!(folder(Some("c"), Some("/h")), at("/h/.cache/pumpcc/facts"));
        assert_eq!(folder(None, Some("h")), None);
        assert_eq!(folder(None, None), None);
    }
}
