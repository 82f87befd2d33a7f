//! What `pump` says, in the words of distcc 3.4.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::hosts::{Listed, Why};

/// Opens lines that stand between those of a build.
pub(super) const RULE: &str = "__________";

/// Why there is no session.
#[derive(Debug)]
pub(super) enum PumpError {
    /// `DISTCC_MAX_DISCREPANCY`.
    MaxDiscrepancy(OsString),
    /// The first word is an option that stands for nothing.
    UnknownOption(OsString),
    /// There is no client in the folder where it must be.
    NoDistcc(PathBuf),
    /// No hosts are configured, and there is no server program either.
    NoHosts,
    /// None of the configured hosts takes part in pump mode.
    NoPumpHosts,
    /// The client has said what is wrong with them.
    BadHosts,
    /// The client does not tell its hosts.
    ShowHosts(io::Error),
    /// The session's folder cannot be made.
    NoFolder(PathBuf, io::Error),
    /// The include server did not start.
    NoIncludeServer {
        /// Where its socket is not, if that is what is missing.
        expected: Option<PathBuf>,
        /// What else is known.
        why: Option<String>,
    },
    /// The private server did not start.
    NoPrivateServer(String),
    /// Handlers for signals cannot be installed.
    Signals(io::Error),
}

impl PumpError {
    /// Why there is no include server, without the words around it.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::NoIncludeServer { why: Some(why), .. } => why.clone(),
            other => failure(OsStr::new("pump"), other),
        }
    }
}

/// `s` where there is not one.
pub(super) fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// The text for standard error about an error; `name` is `argv[0]`.
pub(super) fn failure(name: &OsStr, error: &PumpError) -> String {
    let name = name.display();
    match error {
        PumpError::MaxDiscrepancy(value) => format!(
            "{name}: Bad DISTCC_MAX_DISCREPANCY value: \"{}\". Needs to be 1 or greater.",
            value.display()
        ),
        PumpError::UnknownOption(word) => format!(
            "{name}: error: {} is no command, and no option that stands alone (see '{name} --help')",
            word.display()
        ),
        PumpError::NoDistcc(folder) => format!(
            "{name}: error: can't find distcc (looked in {})",
            folder.display()
        ),
        PumpError::NoHosts => format!(
            "{name}: expected environment variables \"DISTCC_HOSTS\" or \"DISTCC_POTENTIAL_HOSTS\" \
             to be set, or to find a distcc hosts file in \"$DISTCC_DIR/hosts\", \
             \"$HOME/.distcc/hosts\", or \"/etc/distcc/hosts\"."
        ),
        PumpError::NoPumpHosts => format!(
            "{name}: error: pump mode requested, but distcc hosts list does not contain any hosts \
             with ',cpp' option\n(add ',cpp,lzo' to hosts, or set PUMP_PRIVATE_SERVER=1 to use this \
             machine alone)"
        ),
        PumpError::BadHosts => {
            format!("{name}: error: the host list cannot be used (see 'distcc --show-hosts')")
        }
        PumpError::ShowHosts(error) => {
            format!("{name}: error: cannot run 'distcc --show-hosts': {error}")
        }
        PumpError::NoFolder(folder, error) => format!(
            "{name}: Could not make temp \"distcc-pump\" in {}: {error}",
            folder.display()
        ),
        PumpError::NoIncludeServer { expected, why } => {
            let mut text = String::new();
            if let Some(why) = why {
                text += &format!("{RULE}{why}\n");
            }
            if let Some(socket) = expected {
                text += &format!("{RULE}Expected a socket at '{}'\n", socket.display());
            }
            text + RULE + "Could not start distcc-pump include server"
        }
        PumpError::NoPrivateServer(why) => {
            format!("{name}: error: cannot start a private server: {why}")
        }
        PumpError::Signals(error) => format!("{name}: error: cannot handle signals: {error}"),
    }
}

/// A line about progress.
#[derive(Debug)]
pub(super) enum Progress {
    Location(PathBuf),
    /// And whether each is asked if it runs actions.
    Hosts(Listed, bool),
    Found(usize),
    PrivateServer {
        why: Why,
        port: u16,
        jobs: usize,
    },
    ShuttingDown,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(RULE)?;
        match self {
            Self::Location(folder) => write!(f, "Using distcc-pump from {}", folder.display()),
            Self::Hosts(Listed { all, pump }, _) if all == pump => {
                let plural = if *all == 1 { "" } else { "s" };
                write!(f, "Using {all} distcc server{plural} in pump mode")
            }
            Self::Hosts(Listed { all, pump }, true) => {
                let plural = if *all == 1 { "" } else { "s" };
                write!(
                    f,
                    "Using {all} distcc server{plural}, {pump} listed for pump mode; each is asked whether it runs actions"
                )
            }
            Self::Hosts(Listed { all, pump }, false) => write!(
                f,
                "Using {all} distcc servers, of which only {pump} support(s) pump mode"
            ),
            Self::Found(count) => write!(f, "Found {count} available distcc servers"),
            Self::PrivateServer { why, port, jobs } => {
                f.write_str(match why {
                    Why::NoHosts => "No distcc hosts configured: using",
                    Why::Asked => "Using",
                })?;
                write!(
                    f,
                    " a private server on this machine (127.0.0.1:{port}, {jobs} jobs)"
                )
            }
            Self::ShuttingDown => f.write_str("Shutting down distcc-pump include server"),
        }
    }
}

/// The warning about `count` compiles that failed on a server only; none if there were none.
/// At `limit`, if there is one, clients gave pump mode up.
pub(super) fn discrepancies(count: u64, limit: Option<u64>) -> Option<String> {
    if count == 0 {
        return None;
    }
    let demoted = if limit.is_some_and(|limit| count >= limit) {
        format!("{RULE}Distcc-pump was demoted to plain mode.\n")
    } else {
        String::new()
    };
    Some(format!(
        "{RULE}Warning: {count} pump-mode compilation(s) failed on server, but succeeded locally.\n\
         {demoted}See the Distcc Discrepancy Symptoms section in the include_server(1) man page."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_counted_in_words() {
        let line = |all, pump| Progress::Hosts(Listed { all, pump }, false).to_string();
        assert_eq!(line(1, 1), "__________Using 1 distcc server in pump mode");
        assert_eq!(line(2, 2), "__________Using 2 distcc servers in pump mode");
        assert_eq!(
            line(3, 1),
            "__________Using 3 distcc servers, of which only 1 support(s) pump mode"
        );
        assert_eq!(
            Progress::Hosts(Listed { all: 1, pump: 0 }, true).to_string(),
            "__________Using 1 distcc server, 0 listed for pump mode; each is asked whether it runs actions"
        );
    }

    #[test]
    fn a_private_server_is_told_in_one_line() {
        let line = |why| {
            let (port, jobs) = (1234, 4);
            Progress::PrivateServer { why, port, jobs }.to_string()
        };
        assert_eq!(
            line(Why::NoHosts),
            "__________No distcc hosts configured: using a private server on this machine \
             (127.0.0.1:1234, 4 jobs)"
        );
        assert_eq!(
            line(Why::Asked),
            "__________Using a private server on this machine (127.0.0.1:1234, 4 jobs)"
        );
    }

    #[test]
    fn demotion_is_told_at_the_limit() {
        assert_eq!(discrepancies(0, Some(1)), None);
        let warning = "__________Warning: 2 pump-mode compilation(s) failed on server, but \
                       succeeded locally.\n";
        let see = "See the Distcc Discrepancy Symptoms section in the include_server(1) man page.";
        assert_eq!(discrepancies(2, None), Some(format!("{warning}{see}")));
        assert_eq!(discrepancies(2, Some(3)), Some(format!("{warning}{see}")));
        assert_eq!(
            discrepancies(2, Some(2)),
            Some(format!(
                "{warning}__________Distcc-pump was demoted to plain mode.\n{see}"
            ))
        );
    }

    #[test]
    fn failures_are_told_as_3_4_does() {
        let text = |error| failure(OsStr::new("/bin/pump"), &error);
        assert_eq!(
            text(PumpError::MaxDiscrepancy("0".into())),
            "/bin/pump: Bad DISTCC_MAX_DISCREPANCY value: \"0\". Needs to be 1 or greater."
        );
        assert_eq!(
            text(PumpError::NoIncludeServer {
                expected: Some("/t/socket".into()),
                why: None
            }),
            "__________Expected a socket at '/t/socket'\n\
             __________Could not start distcc-pump include server"
        );
    }
}
