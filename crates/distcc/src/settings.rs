//! What the environment says: read once, here, and passed down.

use std::env::var_os;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use statedir::StateDir;

use crate::colours;
use crate::log::{Log, Wishes};

/// The environment, understood.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) log: Log,
    /// `$DISTCC_DIR` or `~/.distcc`; none if neither it nor `HOME` is set.
    pub(crate) state: Option<StateDir>,
    /// `DISTCC_HOSTS`
    pub(crate) hosts: Option<OsString>,
    /// `DISTCC_FALLBACK`: compile here what could not be compiled elsewhere.
    pub(crate) fallback: bool,
    /// `DISTCC_SKIP_LOCAL_RETRY`: a compiler's failure elsewhere is the answer.
    pub(crate) skip_local_retry: bool,
    /// `DISTCC_BACKOFF_PERIOD`: how long a host that failed is left alone.
    pub(crate) backoff_period: Duration,
    /// `DISTCC_PAUSE_TIME_MSEC`: how long to wait before asking for a slot again.
    pub(crate) pause: Duration,
    /// `DISTCC_SSH`, split at blanks.
    pub(crate) ssh: Vec<OsString>,
    /// `DISTCC_NO_REWRITE_CROSS` is not set: name compilers so that any server understands it.
    pub(crate) rewrite_compiler: bool,
    /// `DISTCC_SAVE_TEMPS=1`: the folder (`TMPDIR`) where sources and messages are kept.
    pub(crate) saved_in: Option<OsString>,
    /// `DISTCC_ENABLE_DISCREPANCY_EMAIL=1`: who gets the logs of compiles that fail elsewhere only
    /// (`DISTCC_EMAILLOG_WHOM_TO_BLAME`).
    pub(crate) mail_to: Option<OsString>,
    /// `DISTCC_EXCLUDE_FRESH_FILES`: a glob of files that may change during a build.
    pub(crate) fresh_files_excluded: Option<OsString>,
    /// `DISTCC_PRINCIPAL`
    pub(crate) principal: Option<OsString>,
    /// The first of [`COMPILERS`] that is set.
    pub(crate) compilers_variable: Option<&'static str>,
    /// `DEPENDENCIES_OUTPUT`
    pub(crate) dependencies_output: Option<OsString>,
    /// What concerns pump mode.
    pub(crate) pump: PumpSettings,
    /// `PWD`: the working folder, by the name that the user gave it.
    pub(crate) pwd: Option<OsString>,
    /// Where what compilers say of themselves is kept: `$XDG_CACHE_HOME/pumpcc`, or the same
    /// below `~/.cache`.
    pub(crate) cache: Option<PathBuf>,
    /// Compilers here would colour what they say.
    pub(crate) colours: bool,
    /// What children get to see.
    pub(crate) children: ChildEnvironment,
    /// `DISTCC_IO_TIMEOUT` and `DISTCC_MAX_DISCREPANCY` as they are written: see [`Limits`].
    raw_limits: [Option<OsString>; 2],
}

/// What concerns pump mode.
#[derive(Debug)]
pub(crate) struct PumpSettings {
    /// `INCLUDE_SERVER_PORT`: the include server's socket.
    pub(crate) port: Option<OsString>,
    /// `INCLUDE_SERVER_STUB`: files to take for the include server's answer, for tests.
    pub(crate) stub: Option<OsString>,
    /// `INCLUDE_SERVER_ENGINES`: the hosts of the session, if some may run whole compiles that the include server has.
    pub(crate) engines: Option<OsString>,
    /// `PUMP_RACE`: what takes long there may be run here, too.
    pub(crate) race: bool,
    /// `DISTCC_TESTING_INCLUDE_SERVER`: fail where the include server fails.
    pub(crate) testing: bool,
    /// One of `CPATH`, `C_INCLUDE_PATH`, `CPLUS_INCLUDE_PATH` is set, which no server would see.
    pub(crate) header_paths: bool,
}

/// What is different in the environment of the programs that we run.
#[derive(Debug)]
pub(crate) struct ChildEnvironment {
    /// `_DISTCC_SAFEGUARD` as we found it: how many of our kind are above us.
    pub(crate) depth: i64,
    /// `PATH` as we found it, or what is left of it behind the masquerade folder.
    pub(crate) path: OsString,
    /// Whether it is what is left of it.
    pub(crate) path_changed: bool,
}

/// Limits that 3.4 looks at only when a job is distributed, and then insists on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `DISTCC_IO_TIMEOUT`: the longest silence of a peer.
    pub(crate) io_timeout: Duration,
    /// `DISTCC_MAX_DISCREPANCY`: so many pump compiles that differ from local ones end pump mode
    /// for the build. None unless it is set: then only these compiles are taken out.
    pub(crate) max_discrepancy: Option<u64>,
}

/// Variables by which gcc and clang write further files, take other options or compile twice. A server's do not see them.
const COMPILERS: [&str; 8] = [
    "SUNPRO_DEPENDENCIES",
    "GCC_COMPARE_DEBUG",
    "CCC_OVERRIDE_OPTIONS",
    "CCC_ADD_ARGS",
    "CC_PRINT_OPTIONS",
    "CC_PRINT_HEADERS",
    "CC_PRINT_PROC_STAT",
    "CC_LOG_DIAGNOSTICS",
];

/// The longest silence of a peer, unless `DISTCC_IO_TIMEOUT` says otherwise.
const IO_TIMEOUT: Duration = Duration::from_secs(300);

/// A variable that is not a number above 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    variable: &'static str,
    value: OsString,
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bad {} value: {}", self.variable, self.value.display())
    }
}

impl Settings {
    /// Reads the environment, and opens the log.
    pub(crate) fn read() -> Self {
        let filled = |name: &str| var_os(name).filter(|value| !value.is_empty());
        let mail_to =
            switch(var_os("DISTCC_ENABLE_DISCREPANCY_EMAIL").as_deref(), false).then(|| {
                // The second is the name in 3.4's manual.
                filled("DISTCC_EMAILLOG_WHOM_TO_BLAME")
                    .or_else(|| filled("DCC_EMAILLOG_WHOM_TO_BLAME"))
                    .unwrap_or("distcc-pump-errors".into())
            });
        let log = Log::open(&Wishes {
            transcript: mail_to.is_some(),
            file: filled("DISTCC_LOG"),
            descriptor: number(var_os("UNCACHED_ERR_FD").as_deref())
                .and_then(|number| i32::try_from(number).ok())
                .filter(|&number| number > 0),
            verbose: switch(var_os("DISTCC_VERBOSE").as_deref(), false),
        });
        let state = filled("DISTCC_DIR")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(filled("HOME")?).join(".distcc")))
            .map(StateDir::new);
        let whole = |name: &str| {
            let number = number(var_os(name).as_deref())?;
            Some(u64::try_from(number).unwrap_or(0))
        };
        let seconds = whole("DISTCC_BACKOFF_PERIOD").unwrap_or(60);
        let pause = whole("DISTCC_PAUSE_TIME_MSEC").unwrap_or(1000);
        let save = switch(var_os("DISTCC_SAVE_TEMPS").as_deref(), false);
        Self {
            log,
            state,
            hosts: var_os("DISTCC_HOSTS"),
            fallback: switch(var_os("DISTCC_FALLBACK").as_deref(), true),
            skip_local_retry: var_os("DISTCC_SKIP_LOCAL_RETRY").is_some(),
            backoff_period: Duration::from_secs(seconds),
            pause: Duration::from_millis(pause.max(1)), // Zero would be a busy loop.
            ssh: ssh_words(filled("DISTCC_SSH").as_deref()),
            rewrite_compiler: var_os("DISTCC_NO_REWRITE_CROSS").is_none(),
            saved_in: save.then(|| filled("TMPDIR").unwrap_or("/tmp".into())),
            mail_to,
            fresh_files_excluded: filled("DISTCC_EXCLUDE_FRESH_FILES"),
            principal: filled("DISTCC_PRINCIPAL"),
            compilers_variable: COMPILERS
                .into_iter()
                .find(|name| std::env::var_os(name).is_some()),
            dependencies_output: filled("DEPENDENCIES_OUTPUT"),
            pump: PumpSettings {
                port: var_os("INCLUDE_SERVER_PORT"),
                stub: var_os("INCLUDE_SERVER_STUB"),
                engines: filled("INCLUDE_SERVER_ENGINES"),
                race: switch(var_os("PUMP_RACE").as_deref(), true),
                testing: switch(var_os("DISTCC_TESTING_INCLUDE_SERVER").as_deref(), false),
                header_paths: ["CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH"]
                    .iter()
                    .any(|name| var_os(name).is_some()),
            },
            pwd: filled("PWD"),
            cache: filled("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(filled("HOME")?).join(".cache")))
                .map(|folder| folder.join("pumpcc")),
            colours: colours::are_chosen(
                filled("TERM").as_deref(),
                var_os("GCC_COLORS").as_deref(),
            ),
            children: ChildEnvironment {
                depth: depth(var_os("_DISTCC_SAFEGUARD").as_deref()),
                path: var_os("PATH").unwrap_or_default(),
                path_changed: false,
            },
            raw_limits: [
                var_os("DISTCC_IO_TIMEOUT"),
                var_os("DISTCC_MAX_DISCREPANCY"),
            ],
        }
    }

    /// The limits of a job that is distributed to a host, `pump` if that is one of pump mode.
    ///
    /// # Errors
    /// [`BadValue`]: the call has to fail.
    pub(crate) fn limits(&self, pump: bool) -> Result<Limits, BadValue> {
        let [io_timeout, max_discrepancy] = &self.raw_limits;
        let max_discrepancy = max_discrepancy.as_deref().filter(|_| pump);
        Ok(Limits {
            io_timeout: at_least_one("DISTCC_IO_TIMEOUT", io_timeout.as_deref())?
                .map_or(IO_TIMEOUT, Duration::from_secs),
            max_discrepancy: at_least_one("DISTCC_MAX_DISCREPANCY", max_discrepancy)?,
        })
    }
}

/// The number that a value begins with, as C's `atoi` reads it; none if it begins with none.
fn number(value: Option<&OsStr>) -> Option<i64> {
    let text = value?.as_encoded_bytes().trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let digits = digits[..count].iter().map(|digit| i64::from(digit - b'0'));
    let number = digits.fold(0_i64, |number, digit| {
        number.saturating_mul(10).saturating_add(digit)
    });
    (count > 0).then_some(sign * number)
}

/// 3.4 knows exactly `0` and `1`; all else means the default.
fn switch(value: Option<&OsStr>, default: bool) -> bool {
    match value.map(OsStr::as_encoded_bytes) {
        Some(b"0") => false,
        Some(b"1") => true,
        _ => default,
    }
}

/// The recursion level, as 3.4 reads it: what is not a number, or 0, counts as 1.
fn depth(value: Option<&OsStr>) -> i64 {
    match value.map(|value| number(Some(value))) {
        None => 0,
        Some(None | Some(0)) => 1,
        Some(Some(level)) => level,
    }
}

fn ssh_words(value: Option<&OsStr>) -> Vec<OsString> {
    let words = crate::response_file::blank_separated(value.unwrap_or_default());
    if words.is_empty() {
        return vec!["ssh".into()];
    }
    words
}

/// A number above 0, none if the variable is not set.
fn at_least_one(variable: &'static str, value: Option<&OsStr>) -> Result<Option<u64>, BadValue> {
    let Some(value) = value else { return Ok(None) };
    match number(Some(value)).and_then(|number| u64::try_from(number).ok()) {
        None | Some(0) => Err(BadValue {
            variable,
            value: value.to_owned(),
        }),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_know_two_values() {
        let check = |value: &str, expected| {
            assert_eq!(switch(Some(value.as_ref()), true), expected, "{value}");
        };
        check("0", false);
        check("1", true);
        check("no", true);
        check("", true);
        assert!(!switch(None, false));
    }

    #[test]
    fn limits_are_numbers_above_zero() {
        let check = |value: Option<&str>| at_least_one("V", value.map(OsStr::new));
        assert_eq!(check(None), Ok(None));
        for good in ["7", " 7", "+7", "7x", "007"] {
            assert_eq!(check(Some(good)), Ok(Some(7)));
        }
        for bad in ["0", "-1", "x", ""] {
            assert_eq!(
                check(Some(bad)).unwrap_err().to_string(),
                format!("Bad V value: {bad}")
            );
        }
    }

    #[test]
    fn ssh_is_split_at_blanks() {
        assert_eq!(ssh_words(None), ["ssh"]);
        assert_eq!(ssh_words(Some("  ".as_ref())), ["ssh"]);
        assert_eq!(ssh_words(Some("ssh -p 22".as_ref())), ["ssh", "-p", "22"]);
        // 3.4 drops what is behind the twelfth.
        let many = "ssh".to_owned() + &" -v".repeat(30);
        assert_eq!(ssh_words(Some(many.as_ref())).len(), 31);
    }

    #[test]
    fn depth_that_is_no_number_is_one() {
        assert_eq!(depth(None), 0);
        for (value, level) in [("2", 2), ("3x", 3), ("x", 1), ("", 1), ("0", 1), ("-1", -1)] {
            assert_eq!(depth(Some(value.as_ref())), level, "{value}");
        }
    }
}
