//! The environment of `pump`, read once, and where its programs are.

use std::env;
use std::ffi::{OsStr, OsString};
use std::num::NonZeroU64;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the environment says.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// `argv[0]`, which opens messages.
    pub(super) name: OsString,
    /// `DISTCC_LOCATION`, or the folder of this program.
    pub(super) location: PathBuf,
    /// Whether it was `DISTCC_LOCATION`.
    is_located: bool,
    /// The folder of this program.
    own_folder: PathBuf,
    path: OsString,
    /// `DISTCC_HOSTS`; empty where it is not set.
    pub(super) hosts: OsString,
    /// `DISTCC_POTENTIAL_HOSTS`, split into words.
    pub(super) potential_hosts: Vec<OsString>,
    /// `LSDISTCC_ARGS`, split into words.
    pub(super) lsdistcc_args: Vec<OsString>,
    /// `INCLUDE_SERVER_ARGS`, if it says anything.
    pub(super) include_server_args: Option<OsString>,
    /// `DISTCC_MAX_DISCREPANCY`, or what is wrong with it.
    pub(super) max_discrepancy: Result<Option<NonZeroU64>, OsString>,
    /// Where a hosts file may be.
    pub(super) hosts_files: Vec<PathBuf>,
    /// `TMPDIR`.
    pub(super) temporary: PathBuf,
    /// `PUMP_PRIVATE_SERVER`: use a private server whatever hosts are configured.
    pub(super) wants_private_server: bool,
    /// `PUMP_ACTIONS`: whether hosts that are no engines by their names are asked if they run actions.
    pub(super) asks_for_actions: bool,
    /// `DISTCC_SSH`.
    pub(super) ssh: Option<OsString>,
    /// `PUMP_PROGRESS`: seconds between two lines about progress; 0 for none.
    pub(super) progress: Option<Duration>,
    /// `DISTCC_TESTING_INCLUDE_SERVER`: no lines about progress.
    pub(super) is_quiet: bool,
    /// What `--startup` told the shell, for `--shutdown`.
    pub(super) session_folder: Option<PathBuf>,
    pub(super) include_server_pid: Option<OsString>,
    pub(super) private_server_pid: Option<OsString>,
}

/// The variable that names the private server's process between `--startup` and `--shutdown`.
pub(super) const PRIVATE_SERVER_PID: &str = "PUMP_PRIVATE_SERVER_PID";

impl Settings {
    /// Reads the environment of this process; `name` is its `argv[0]`.
    pub(super) fn read(name: Option<&OsString>) -> Self {
        let own_folder = env::current_exe()
            .ok()
            .and_then(|program| Some(program.parent()?.to_owned()))
            .unwrap_or_default();
        Self::from_environment(name, own_folder, |name| {
            env::var_os(name).filter(|value| !value.is_empty())
        })
    }

    #[cfg(test)]
    pub(super) fn without_environment() -> Self {
        Self::from_environment(None, PathBuf::new(), |_| None)
    }

    /// `value` gives a variable's value, none if that is empty.
    fn from_environment(
        name: Option<&OsString>,
        own_folder: PathBuf,
        value: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let words = |name| value(name).map_or(Vec::new(), |words| split(&words));
        let location = value("DISTCC_LOCATION").map(PathBuf::from);
        Self {
            name: name.map_or("pump".into(), OsString::clone),
            is_located: location.is_some(),
            location: location.unwrap_or_else(|| own_folder.clone()),
            own_folder,
            path: value("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            hosts: value("DISTCC_HOSTS").unwrap_or_default(),
            potential_hosts: words("DISTCC_POTENTIAL_HOSTS"),
            lsdistcc_args: words("LSDISTCC_ARGS"),
            include_server_args: value("INCLUDE_SERVER_ARGS"),
            max_discrepancy: value("DISTCC_MAX_DISCREPANCY").map_or(Ok(None), |number| {
                let parsed = number
                    .to_str()
                    .and_then(|number| number.trim().parse().ok());
                parsed.map(Some).ok_or(number)
            }),
            hosts_files: [
                value("DISTCC_DIR").map(|folder| PathBuf::from(folder).join("hosts")),
                value("HOME").map(|folder| PathBuf::from(folder).join(".distcc/hosts")),
                Some(PathBuf::from("/etc/distcc/hosts")),
            ]
            .into_iter()
            .flatten()
            .collect(),
            temporary: value("TMPDIR").map_or("/tmp".into(), PathBuf::from),
            wants_private_server: value("PUMP_PRIVATE_SERVER").is_some_and(|value| value != "0"),
            asks_for_actions: value("PUMP_ACTIONS").is_none_or(|value| value != "0"),
            ssh: value("DISTCC_SSH"),
            progress: value("PUMP_PROGRESS")
                .and_then(|seconds| seconds.to_str()?.trim().parse().ok())
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            is_quiet: value("DISTCC_TESTING_INCLUDE_SERVER").is_some_and(|value| value != "0"),
            session_folder: value("INCLUDE_SERVER_DIR").map(PathBuf::from),
            include_server_pid: value("INCLUDE_SERVER_PID"),
            private_server_pid: value(PRIVATE_SERVER_PID),
        }
    }

    /// `PATH` for the build: our programs first.
    pub(super) fn build_path(&self) -> OsString {
        let mut path = self.location.clone().into_os_string();
        path.push(":");
        path.push(&self.path);
        path
    }

    /// The client. Beside `DISTCC_LOCATION`, if that is set, nothing else will do.
    pub(super) fn distcc(&self) -> Option<PathBuf> {
        if self.is_located {
            Some(self.location.join("distcc")).filter(|path| is_program(path))
        } else {
            self.program("distcc")
        }
    }

    /// One of our programs: in `DISTCC_LOCATION`, beside this one, or in `PATH`.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        [self.location.clone(), self.own_folder.clone()]
            .into_iter()
            .chain(env::split_paths(&self.path))
            .map(|folder| folder.join(name))
            .find(|path| is_program(path))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Words between blanks, as an unquoted variable in a shell.
fn split(words: &OsStr) -> Vec<OsString> {
    words
        .as_bytes()
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\n'))
        .filter(|word| !word.is_empty())
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        Settings::from_environment(None, "/own".into(), |name| {
            environment
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_discrepancy_limit_is_a_positive_number() {
        let limit = |value| settings(&[("DISTCC_MAX_DISCREPANCY", value)]).max_discrepancy;
        assert_eq!(settings(&[]).max_discrepancy, Ok(None));
        assert_eq!(limit("3"), Ok(NonZeroU64::new(3)));
        for bad in ["0", "-1", "x", "1.5"] {
            assert_eq!(limit(bad), Err(bad.into()));
        }
    }

    #[test]
    fn hosts_files_are_those_of_the_client() {
        let files = settings(&[("DISTCC_DIR", "/d"), ("HOME", "/h")]).hosts_files;
        assert_eq!(
            files,
            ["/d/hosts", "/h/.distcc/hosts", "/etc/distcc/hosts"].map(PathBuf::from)
        );
        assert_eq!(
            settings(&[]).hosts_files,
            ["/etc/distcc/hosts"].map(PathBuf::from)
        );
    }

    #[test]
    fn programs_are_found_in_the_location_first() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, mode| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let folder = |name: &str| {
            dir.path()
                .join(name)
                .into_os_string()
                .into_string()
                .unwrap()
        };
        put("located/distcc", 0o644);
        let lsdistcc = put("located/lsdistcc", 0o755);
        put("path/lsdistcc", 0o755);
        let distcc = put("path/distcc", 0o755);
        let (located, path) = (folder("located"), folder("path"));
        let with = settings(&[("DISTCC_LOCATION", &located), ("PATH", &path)]);
        assert_eq!(with.program("lsdistcc"), Some(lsdistcc));
        assert_eq!(with.program("distccd"), None);
        assert_eq!(with.distcc(), None);
        assert_eq!(settings(&[("PATH", &path)]).distcc(), Some(distcc));
        assert_eq!(
            with.build_path(),
            OsString::from(format!("{located}:{path}"))
        );
    }

    #[test]
    fn variables_with_words_are_split_at_blanks() {
        let settings = settings(&[("DISTCC_POTENTIAL_HOSTS", " a  b\tc\n")]);
        assert_eq!(settings.potential_hosts, ["a", "b", "c"]);
        assert!(settings.lsdistcc_args.is_empty());
    }
}
