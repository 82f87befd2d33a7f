//! What the command line and the environment mean together, after defaults and checks.
//!
//! Pure but for names of networks in `--allow`, which are resolved here.

mod actions;
mod size;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::access::{AccessList, Net};
use crate::environment::Environment;
use crate::flags::Flags;
use crate::log::{Level, Target};

pub(crate) use actions::{Actions, RemoteExecution};

/// How the server is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As standard input suggests.
    Auto,
    Inetd,
    Daemon,
}

/// Which clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    /// No list was given.
    Unsaid,
    Listed(AccessList),
    /// Only programs of the user that the server runs as.
    SameUser,
}

/// Which programs may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Programs {
    Any,
    /// Those with a link in a masquerade folder.
    Linked,
    /// Those in this file, found by so many of their last path components.
    InFile {
        file: PathBuf,
        words: usize,
    },
    /// This one, whatever is asked for: for measurements.
    StandIn(PathBuf),
}

/// Whether compilers run in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sandboxing {
    /// As this machine allows.
    Auto,
    Required,
    Off,
}

/// How much of jobs' files may be in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InMemory {
    /// As much as the machine can well spare.
    AsFits,
    /// So many bytes.
    AtMost(u64),
    Never,
}

/// How long the server waits for a connection to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For the whole command, from the start of the connection.
    pub(crate) head: Duration,
    /// Between the command and what follows: the client preprocesses meanwhile.
    pub(crate) pause: Duration,
    /// Between any other two bytes.
    pub(crate) idle: Duration,
}

/// Everything that the server does depends on these, and on nothing else from outside.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) detach: bool,
    pub(crate) clients: Clients,
    pub(crate) programs: Programs,
    pub(crate) sandboxing: Sandboxing,
    pub(crate) actions: Actions,
    pub(crate) port: u16,
    /// Address or host name; all addresses if absent.
    pub(crate) listen: Option<String>,
    /// Where the statistics page is, if it is asked for.
    pub(crate) stats_port: Option<u16>,
    pub(crate) jobs: u64,
    pub(crate) job_lifetime: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) patience: Patience,
    pub(crate) nice: i32,
    /// How likely the kernel ends compilers when memory gets short, from -1000 to 1000.
    pub(crate) oom_score: Option<i16>,
    pub(crate) user: Option<OsString>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) log: Target,
    pub(crate) log_level: Level,
    /// Where scratch folders go; absolute.
    pub(crate) temp_folder: PathBuf,
    pub(crate) in_memory: InMemory,
    pub(crate) keep_scratch: bool,
    /// Remarks on the options, to be logged as warnings once there is a log.
    pub(crate) warnings: Vec<String>,
}

/// 3.4's.
const STATS_PORT: u16 = 3633;

/// 3.4 preprocesses no longer than this either; it is the client's time limit, too.
const PAUSE: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_secs(60);
const HEAD: Duration = Duration::from_secs(30);

impl Settings {
    /// `cpus` is the number of processors this process may use; relative paths are below `cwd`.
    ///
    /// # Errors
    /// What is wrong with the command line, without `distccd: ERROR: `.
    pub(crate) fn new(
        flags: Flags,
        environment: &Environment,
        cpus: usize,
        cwd: &Path,
    ) -> Result<Self, String> {
        let mut warnings = Vec::new();
        let actions = Actions::new(&flags, environment, cwd)?;
        let wizard = flags.wizard;
        let jobs = match number("--jobs", flags.jobs.as_deref())? {
            _ if wizard || flags.no_fork => 1,
            None => cpus as u64 + 2,
            Some(jobs) => match u64::try_from(jobs) {
                Ok(jobs) if jobs > 0 => jobs,
                _ => return Err("--jobs argument must be more than 0".into()),
            },
        };
        let port = match number("--port", flags.port.as_deref())? {
            None => protocol::DEFAULT_PORT,
            Some(port) => match u16::try_from(port) {
                Ok(port) if port > 0 => port,
                _ => return Err(format!("port number out of range: {port}")),
            },
        };
        let stats_port = match number("--stats-port", flags.stats_port.as_deref())? {
            None => STATS_PORT,
            Some(port) => match u16::try_from(port) {
                Ok(port) if port > 0 => port,
                _ => return Err(format!("port number out of range: {port}")),
            },
        };
        let nice = number("--nice", flags.nice.as_deref())?.unwrap_or(5);
        let log_level = match flags.log_level.as_deref().map(OsStr::to_string_lossy) {
            _ if wizard || flags.verbose => Level::Debug,
            None => Level::Notice,
            Some(name) => Level::from_name(&name).unwrap_or_else(|| {
                warnings.push(format!("invalid --log-level argument \"{name}\""));
                Level::Notice
            }),
        };
        let log = match flags.log_file {
            _ if wizard || flags.log_stderr => Target::Stderr,
            Some(file) => Target::File(cwd.join(file)),
            None => Target::Syslog,
        };
        Ok(Self {
            mode: match (flags.inetd, flags.daemon || wizard) {
                (true, _) => Mode::Inetd,
                (false, true) => Mode::Daemon,
                (false, false) => Mode::Auto,
            },
            detach: !flags.no_detach && !wizard,
            clients: clients(&flags.allow, flags.allow_private, flags.same_user)?,
            programs: match &actions.stand_in {
                Some(program) => Programs::StandIn(program.clone()),
                None => programs(environment, flags.enable_tcp_insecure || flags.same_user)?,
            },
            sandboxing: sandboxing(flags.sandbox.as_deref())?,
            actions,
            port,
            listen: match flags.listen {
                None => None,
                Some(address) => Some(text("--listen", &address)?.to_owned()),
            },
            stats_port: flags.stats.then_some(stats_port),
            jobs,
            job_lifetime: seconds("--job-lifetime", flags.job_lifetime.as_deref())?,
            lifetime: seconds("--lifetime", flags.lifetime.as_deref())?,
            patience: patience(environment)?,
            nice: i32::try_from(nice).map_err(|_| invalid_number("--nice", &nice.to_string()))?,
            oom_score: match number("--oom-score-adj", flags.oom_score_adj.as_deref())? {
                None => None,
                Some(score @ -1000..=1000) => i16::try_from(score).ok(),
                Some(_) => {
                    return Err("--oom-score-adj argument must be between -1000 and 1000".into());
                }
            },
            user: flags.user,
            // 3.4 resolves it after changing to the temporary folder, so that is what scripts
            // with a relative name expect.
            pid_file: flags
                .pid_file
                .map(|file| temp_folder(environment, cwd).join(file)),
            log,
            log_level,
            temp_folder: temp_folder(environment, cwd),
            in_memory: in_memory(flags.scratch_memory.as_deref(), environment)?,
            keep_scratch: boolean(environment.save_temps.as_deref()),
            warnings,
        })
    }
}

fn temp_folder(environment: &Environment, cwd: &Path) -> PathBuf {
    match &environment.temp_folder {
        Some(folder) => cwd.join(folder),
        None => "/tmp".into(),
    }
}

fn clients(allow: &[OsString], private: bool, same_user: bool) -> Result<Clients, String> {
    let mut list = AccessList::default();
    for word in allow {
        list.add(Net::parse(text("--allow", word)?).map_err(|error| error.to_string())?);
    }
    if private {
        list.add_private();
    }
    Ok(match (same_user, list.is_empty()) {
        (true, _) => Clients::SameUser,
        (false, true) => Clients::Unsaid,
        (false, false) => Clients::Listed(list),
    })
}

fn programs(environment: &Environment, any: bool) -> Result<Programs, String> {
    let words = match environment.command_list_words.as_deref() {
        None => 1,
        Some(words) => words
            .to_str()
            .and_then(|words| words.parse().ok())
            .filter(|&words| words > 0)
            .ok_or_else(|| format!("bad value of DISTCC_CMDLIST_NUMWORDS: {}", words.display()))?,
    };
    Ok(match &environment.command_list {
        // As in 3.4 the list counts even where any program may run: it maps names to paths.
        Some(file) => Programs::InFile {
            file: file.clone(),
            words,
        },
        None if any => Programs::Any,
        None => Programs::Linked,
    })
}

fn sandboxing(word: Option<&OsStr>) -> Result<Sandboxing, String> {
    match word.map(OsStr::as_encoded_bytes) {
        None | Some(b"auto") => Ok(Sandboxing::Auto),
        Some(b"required") => Ok(Sandboxing::Required),
        Some(b"off") => Ok(Sandboxing::Off),
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            Err(format!("--sandbox={other}: auto, required or off"))
        }
    }
}

fn in_memory(word: Option<&OsStr>, environment: &Environment) -> Result<InMemory, String> {
    Ok(match size::size("--scratch-memory", word, 0)? {
        // Who says where files go means all of them.
        None if environment.temp_folder.is_some() => InMemory::Never,
        None => InMemory::AsFits,
        Some(0) => InMemory::Never,
        Some(bytes) => InMemory::AtMost(bytes),
    })
}

fn patience(environment: &Environment) -> Result<Patience, String> {
    let limit = match environment.io_timeout.as_deref() {
        None => PAUSE,
        Some(value) => value
            .to_str()
            .and_then(|value| value.parse().ok())
            .filter(|&value| value > 0)
            .map(Duration::from_secs)
            .ok_or_else(|| format!("bad value of DISTCC_IO_TIMEOUT: {}", value.display()))?,
    };
    Ok(Patience {
        head: HEAD.min(limit),
        pause: limit,
        idle: IDLE.min(limit),
    })
}

/// `DISTCC_` switches are on with `1`, and off with everything else.
fn boolean(value: Option<&OsStr>) -> bool {
    value.is_some_and(|value| value == "1")
}

fn text<'a>(option: &str, word: &'a OsStr) -> Result<&'a str, String> {
    word.to_str()
        .ok_or_else(|| format!("{option}={}: invalid value", word.display()))
}

fn number(option: &str, word: Option<&OsStr>) -> Result<Option<i64>, String> {
    let Some(word) = word else { return Ok(None) };
    word.to_str()
        .and_then(|word| word.parse().ok())
        .map(Some)
        .ok_or_else(|| invalid_number(option, &word.to_string_lossy()))
}

fn invalid_number(option: &str, word: &str) -> String {
    format!("{option}={word}: invalid numeric value")
}

/// A number of seconds; none, zero and less mean "for ever".
fn seconds(option: &str, word: Option<&OsStr>) -> Result<Option<Duration>, String> {
    let seconds = number(option, word)?.unwrap_or(0);
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|&seconds| seconds > 0)
        .map(Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings_in(words: &[&str], environment: &Environment) -> Result<Settings, String> {
        let flags = Flags::parse_line(["distccd"].iter().chain(words).map(Into::into)).unwrap();
        Settings::new(flags, environment, 6, Path::new("/cwd"))
    }

    fn settings(words: &[&str]) -> Settings {
        settings_in(words, &Environment::default()).unwrap()
    }

    fn check_error(words: &[&str], expected: &str) {
        let error = settings_in(words, &Environment::default()).unwrap_err();
        assert_eq!(error, expected, "{words:?}");
    }

    #[test]
    fn defaults() {
        let settings = settings(&[]);
        assert_eq!(settings.mode, Mode::Auto);
        assert!(settings.detach);
        assert_eq!(settings.clients, Clients::Unsaid);
        assert_eq!(settings.programs, Programs::Linked);
        assert_eq!((settings.port, settings.jobs, settings.nice), (3632, 8, 5));
        assert_eq!(settings.log, Target::Syslog);
        assert_eq!(settings.log_level, Level::Notice);
        assert_eq!(settings.temp_folder, Path::new("/tmp"));
        assert_eq!(settings.in_memory, InMemory::AsFits);
        assert_eq!(settings.patience.pause.as_secs(), 300);
    }

    #[test]
    fn bad_values_are_worded_as_in_3_4() {
        check_error(&["--port=0"], "port number out of range: 0");
        check_error(&["-p65536"], "port number out of range: 65536");
        check_error(&["--port=abc"], "--port=abc: invalid numeric value");
        check_error(&["-j0"], "--jobs argument must be more than 0");
        check_error(&["-a", "1.2.3.4/99"], "invalid mask \"99\"");
        check_error(&["--sandbox=on"], "--sandbox=on: auto, required or off");
        let text = "--scratch-memory argument must be 0 or more";
        check_error(&["--scratch-memory=-1"], text);
        let much = "--scratch-memory=9223372036854775807";
        check_error(&[much], &format!("{much}: too large"));
    }

    #[test]
    fn wizard_is_a_bundle() {
        let settings = settings(&["-W", "-j9"]);
        assert_eq!(settings.mode, Mode::Daemon);
        assert!(!settings.detach);
        assert_eq!((settings.jobs, settings.log_level), (1, Level::Debug));
        assert_eq!(settings.log, Target::Stderr);
    }

    #[test]
    fn a_bad_log_level_is_a_warning() {
        let settings = settings(&["--log-level", "loud"]);
        assert_eq!(settings.warnings, ["invalid --log-level argument \"loud\""]);
        assert_eq!(settings.log_level, Level::Notice);
    }

    #[test]
    fn same_user_needs_no_lists() {
        let settings = settings(&["--same-user", "--allow-private"]);
        assert_eq!(settings.clients, Clients::SameUser);
        assert_eq!(settings.programs, Programs::Any);
    }

    #[test]
    fn no_lifetime_is_below_one_second() {
        assert_eq!(settings(&["--job-lifetime=-3"]).job_lifetime, None);
        assert_eq!(
            settings(&["--lifetime=3"]).lifetime,
            Some(Duration::from_secs(3))
        );
    }

    #[test]
    fn the_environment_counts() {
        let environment = Environment {
            command_list: Some("/list".into()),
            io_timeout: Some("20".into()),
            temp_folder: Some("tmp".into()),
            ..Environment::default()
        };
        let settings = settings_in(&["--enable-tcp-insecure", "-Ppid"], &environment).unwrap();
        assert_eq!(
            settings.programs,
            Programs::InFile {
                file: "/list".into(),
                words: 1
            }
        );
        assert_eq!(settings.patience.head.as_secs(), 20);
        assert_eq!(settings.temp_folder, Path::new("/cwd/tmp"));
        assert_eq!(settings.in_memory, InMemory::Never);
        let words = ["--scratch-memory=3", "--cache-size=4G"];
        let asked = settings_in(&words, &environment).unwrap();
        assert_eq!(asked.in_memory, InMemory::AtMost(3 << 20));
        assert_eq!(asked.actions.cache_bytes, 4 << 30);
        assert_eq!(settings.pid_file, Some("/cwd/tmp/pid".into()));
        let bad = Environment {
            io_timeout: Some("soon".into()),
            ..environment
        };
        assert!(settings_in(&[], &bad).is_err());
    }
}
