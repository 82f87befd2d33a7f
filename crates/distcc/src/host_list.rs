//! The host list: where it comes from, and which of its hosts we can use.
//!
//! Source: distcc 3.4: `DISTCC_HOSTS` if set, even if empty; else the user's file; else the
//! system's. Only one of them is read.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hosts::{Host, HostError, HostList, Transport};

use crate::log::{Log, Reason};
use crate::settings::Settings;

/// The hosts file of the whole machine.
const SYSTEM_FILE: &str = "/etc/distcc/hosts";

/// A longer hosts file is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why there is no host list.
#[derive(Debug)]
pub(crate) enum NoHosts {
    /// Neither a variable nor a file.
    NoSource,
    /// It names no host.
    Empty(Source),
    /// It makes no sense.
    Bad(HostError),
    /// It is longer than any host list.
    TooLong(PathBuf),
    /// It is a folder, say.
    Unreadable(PathBuf, io::Error),
}

/// Where a host list stood.
#[derive(Debug)]
pub(crate) enum Source {
    /// `DISTCC_HOSTS`
    Environment,
    /// A file.
    File(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("$DISTCC_HOSTS"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl NoHosts {
    /// Complains in 3.4's words.
    pub(crate) fn report(&self, log: &Log) {
        match self {
            Self::NoSource => log.warning(
                "dcc_get_hostlist",
                format_args!("no hostlist is set; can't distribute work"),
            ),
            Self::Empty(source) => log.warning(
                "dcc_parse_hosts",
                format_args!("{source} contained no hosts; can't distribute work"),
            ),
            Self::Bad(error) => log.error("dcc_parse_hosts", format_args!("{}", error.message)),
            Self::Unreadable(path, error) => log.error(
                "dcc_load_file_string",
                format_args!("failed to read {}: {}", path.display(), Reason(error)),
            ),
            Self::TooLong(path) => log.error(
                "dcc_parse_hosts",
                format_args!("{} is longer than {MAX_FILE_BYTES} bytes", path.display()),
            ),
        }
    }
}

/// Reads the host list, every host of it.
///
/// # Errors
/// [`NoHosts`], which the caller reports where it matters.
pub(crate) fn read(settings: &Settings) -> Result<HostList, NoHosts> {
    let (source, text) = find(settings)?;
    let located = |error| located(error, &source, &text);
    let mut list = hosts::parse(&text).map_err(|error| NoHosts::Bad(located(error)))?;
    list.complaints = list.complaints.into_iter().map(located).collect();
    if list.hosts.is_empty() && !list.zeroconf {
        return Err(NoHosts::Empty(source));
    }
    if list.randomize {
        shuffle(&mut list.hosts, seed());
    }
    Ok(list)
}

/// What is wrong in a file is said with the file and the line, in front of 3.4's words.
fn located(mut error: HostError, source: &Source, text: &[u8]) -> HostError {
    if let Source::File(path) = source {
        let before = &text[..error.offset];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        error.message = format!("{}:{line}: {}", path.display(), error.message);
    }
    error
}

/// Complains about what makes no sense in a list, but does not spoil it.
pub(crate) fn complain(list: &HostList, log: &Log) {
    for complaint in &list.complaints {
        log.error("dcc_parse_hosts", format_args!("{complaint}"));
    }
}

/// The list for distributing: what makes no sense in it is complained about, and what we cannot do
/// (`+zeroconf`, `auth`) is warned about, once, and left out.
pub(crate) fn usable(mut list: HostList, below_pump: bool, log: &Log) -> HostList {
    complain(&list, log);
    // The agent has had its turn.
    let is_engine = |host: &Host| matches!(host.transport, Transport::Engine { .. });
    if let Some(engine) = list.hosts.iter().find(|host| is_engine(host))
        && !below_pump
    {
        let spec = engine.spec.display();
        log.warning(
            "dcc_parse_hosts",
            format_args!("{spec} is only used below pump; going on without it"),
        );
    }
    list.hosts.retain(|host| !is_engine(host));
    if list.zeroconf {
        log.warning(
            "dcc_parse_hosts",
            format_args!("+zeroconf is not available; going on without the hosts it would find"),
        );
    }
    let wants_auth = |host: &Host| host.auth.is_some();
    if let Some(host) = list.hosts.iter().find(|host| wants_auth(host)) {
        log.warning(
            "dcc_parse_hosts",
            format_args!(
                "authentication is not available; going on without {}{}",
                host.spec.display(),
                match list.hosts.iter().filter(|host| wants_auth(host)).count() {
                    1 => "",
                    _ => " and other hosts that want it",
                }
            ),
        );
        list.hosts.retain(|host| !wants_auth(host));
    }
    list
}

fn find(settings: &Settings) -> Result<(Source, Vec<u8>), NoHosts> {
    if let Some(text) = &settings.hosts {
        return Ok((Source::Environment, text.as_bytes().to_vec()));
    }
    let of_user = settings
        .state
        .as_ref()
        .map(|state| state.path().join("hosts"));
    let of_system = Path::new(SYSTEM_FILE).to_owned();
    for path in of_user.into_iter().chain([of_system]) {
        if let Some(text) = read_file(&path)? {
            return Ok((Source::File(path), text));
        }
    }
    Err(NoHosts::NoSource)
}

/// The file's content; `None` if it is not there or not for us to read.
fn read_file(path: &Path) -> Result<Option<Vec<u8>>, NoHosts> {
    let Ok(file) = File::open(path) else {
        return Ok(None);
    };
    let mut text = Vec::new();
    match file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text) {
        Err(error) => Err(NoHosts::Unreadable(path.to_owned(), error)),
        Ok(_) if text.len() as u64 > MAX_FILE_BYTES => Err(NoHosts::TooLong(path.to_owned())),
        Ok(_) => Ok(Some(text)),
    }
}

/// Differs from one process to the next, which is all that is asked for.
fn seed() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = time.map_or(0, |time| u64::from(time.subsec_nanos()));
    u64::from(std::process::id()) << 32 | nanoseconds
}

/// Fisher and Yates' shuffle, with splitmix64 for chance.
fn shuffle<T>(items: &mut [T], mut state: u64) {
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut random = state;
        random = (random ^ random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        random = (random ^ random >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        random ^= random >> 31;
        items.swap(last, (random % (last as u64 + 1)) as usize);
    }
}

/// A host's name as the monitor shows it, without port, user and options.
pub(crate) fn short_name(host: &Host) -> &OsStr {
    match &host.transport {
        hosts::Transport::Local => OsStr::new("localhost"),
        hosts::Transport::Tcp { host, .. } | hosts::Transport::Ssh { host, .. } => host,
        hosts::Transport::Engine { name } => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_loses_nothing_and_depends_on_the_seed() {
        let shuffled = |seed| {
            let mut items: Vec<u32> = (0..20).collect();
            shuffle(&mut items, seed);
            items
        };
        let mut sorted = shuffled(1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<u32>>());
        assert_ne!(shuffled(1), shuffled(2));
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        std::fs::write(&path, vec![b' '; 1 << 20]).unwrap();
        assert_eq!(read_file(&path).unwrap().unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
        assert!(matches!(read_file(&path), Err(NoHosts::TooLong(_))));
        assert!(read_file(&dir.path().join("none")).unwrap().is_none());
        let folder = read_file(dir.path());
        assert!(matches!(folder, Err(NoHosts::Unreadable(_, _))));
    }
}
