//! The command line: what the user typed, before it means anything.
//!
//! Words are read as 3.4 (popt) reads them: `--port=4000`, `--port 4000`, `-p4000`, `-p 4000`;
//! the last of several wins; words that are no options are ignored. So are its error messages.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Parser};

/// What was typed. Values are read by [`crate::settings`].
#[derive(Debug, Default, Parser)]
#[command(
    name = "distccd",
    about = "Compiles for distcc clients.",
    override_usage = "distccd [OPTIONS]",
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    next_line_help = false,
    after_help = AFTER_HELP
)]
pub(crate) struct Flags {
    /// Explain usage and exit
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Show version and exit
    #[arg(long)]
    pub(crate) version: bool,
    /// Save the daemon's process id to FILE
    #[arg(short = 'P', long, value_name = "FILE", allow_hyphen_values = true)]
    pub(crate) pid_file: Option<OsString>,
    /// Lower priority, 20 = most nice
    #[arg(short = 'N', long, value_name = "LEVEL", allow_hyphen_values = true)]
    pub(crate) nice: Option<OsString>,
    /// If run by root, change to this user
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    pub(crate) user: Option<OsString>,
    /// Compilers that run at the same time
    #[arg(short, long, value_name = "LIMIT", allow_hyphen_values = true)]
    pub(crate) jobs: Option<OsString>,
    /// Longest time for one compile
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub(crate) job_lifetime: Option<OsString>,
    /// End after this time
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    pub(crate) lifetime: Option<OsString>,
    /// How likely the kernel ends compilers if memory gets short (-1000 to 1000)
    #[arg(long, value_name = "SCORE", allow_hyphen_values = true)]
    pub(crate) oom_score_adj: Option<OsString>,
    /// Run any program, not only the compilers in /usr/lib/distcc (INSECURE)
    #[arg(long, alias = "make-me-a-botnet")]
    pub(crate) enable_tcp_insecure: bool,
    /// Whether compilers run in a sandbox: auto, required, off
    #[arg(long, value_name = "WHETHER", allow_hyphen_values = true)]
    pub(crate) sandbox: Option<OsString>,
    /// Which actions of the Remote Execution API are run: hermetic, any, off
    #[arg(long, value_name = "WHICH", allow_hyphen_values = true)]
    pub(crate) remote_exec: Option<OsString>,
    /// Folder for what actions need and what came of them
    #[arg(long, value_name = "FOLDER", allow_hyphen_values = true)]
    pub(crate) cache_dir: Option<OsString>,
    /// How much may be in there
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) cache_size: Option<OsString>,
    /// For measurements only: this static program in place of all compilers
    #[arg(long, value_name = "PROGRAM", allow_hyphen_values = true)]
    pub(crate) bench_compiler: Option<OsString>,
    /// How much of jobs' files may be in memory (/dev/shm)
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) scratch_memory: Option<OsString>,

    /// TCP port to listen on
    #[arg(
        short,
        long,
        value_name = "PORT",
        allow_hyphen_values = true,
        help_heading = "Networking"
    )]
    pub(crate) port: Option<OsString>,
    /// Address to listen on
    #[arg(
        long,
        value_name = "ADDRESS",
        allow_hyphen_values = true,
        help_heading = "Networking"
    )]
    pub(crate) listen: Option<OsString>,
    /// Allow clients from this address or network
    #[arg(
        short,
        long,
        value_name = "IP[/BITS]",
        allow_hyphen_values = true,
        help_heading = "Networking"
    )]
    pub(crate) allow: Vec<OsString>,
    /// Allow clients with private (not globally routable) addresses
    #[arg(long, help_heading = "Networking")]
    pub(crate) allow_private: bool,
    /// Serve a page with statistics over HTTP
    #[arg(long, help_heading = "Networking")]
    pub(crate) stats: bool,
    /// TCP port of that page
    #[arg(
        long,
        value_name = "PORT",
        allow_hyphen_values = true,
        help_heading = "Networking"
    )]
    pub(crate) stats_port: Option<OsString>,
    /// Allow only clients of the same user on this machine
    #[arg(long, help_heading = "Networking")]
    pub(crate) same_user: bool,

    /// Set detail level for the log
    #[arg(
        long,
        value_name = "LEVEL",
        allow_hyphen_values = true,
        help_heading = "Debug and trace"
    )]
    pub(crate) log_level: Option<OsString>,
    /// Set log level to "debug"
    #[arg(long, help_heading = "Debug and trace")]
    pub(crate) verbose: bool,
    /// Don't detach from the parent (for service managers)
    #[arg(long, help_heading = "Debug and trace")]
    pub(crate) no_detach: bool,
    /// Run one compiler at a time
    #[arg(long, help_heading = "Debug and trace")]
    pub(crate) no_fork: bool,
    /// Accepted for compatibility, without effect
    #[arg(long, help_heading = "Debug and trace")]
    no_fifo: bool,
    /// Send messages to FILE instead of syslog
    #[arg(
        long,
        value_name = "FILE",
        allow_hyphen_values = true,
        help_heading = "Debug and trace"
    )]
    pub(crate) log_file: Option<OsString>,
    /// Send messages to standard error
    #[arg(long, help_heading = "Debug and trace")]
    pub(crate) log_stderr: bool,
    /// For debugging: --daemon --no-detach --no-fork --log-stderr --verbose
    #[arg(short = 'W', long, help_heading = "Debug and trace")]
    pub(crate) wizard: bool,

    /// Serve the one client connected to standard input and output
    #[arg(long, help_heading = "Mode of operation")]
    pub(crate) inetd: bool,
    /// Bind and listen on a socket
    #[arg(long, help_heading = "Mode of operation")]
    pub(crate) daemon: bool,

    #[arg(long, hide = true)]
    zeroconf: bool,
    #[arg(long, hide = true)]
    auth: bool,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    blacklist: Option<OsString>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    whitelist: Option<OsString>,
    #[arg(long, hide = true)]
    show_principal: bool,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    sysroot: Option<OsString>,

    #[arg(hide = true)]
    ignored: Vec<OsString>,
}

const AFTER_HELP: &str = "\
Log levels: critical, error, warning, notice, info, debug.

Without --inetd and --daemon, a connected socket on standard input means --inetd and
anything else --daemon. A listening socket on standard input is served as it is.

Without --allow, clients with private addresses are allowed. Clients may only run the
compilers that have a link in /usr/lib/distcc (see update-distcc-symlinks), or those in
the file $DISTCC_CMDLIST.

--sandbox=auto, which is the default, takes what this machine allows: namespaces, else
Landlock, else it warns and accepts only compiler options that are known to be harmless;
required refuses to start without; off takes none, like the last.

--scratch-memory: files of jobs live for a moment only, and cost least in memory. By
default an eighth of the machine's memory may be used, and half of what is free in /dev/shm,
unless TMPDIR says where files go; 0 for none. What does not fit goes to TMPDIR, or /tmp.
Only where compilers run in namespaces.

--remote-exec=hermetic, which is the default, also serves grpc://SERVER:PORT hosts: actions of
the Remote Execution API that bring all of their root folder, the compiler included, as
`pump` makes them. With any, others see this machine's system folders beside their own
files. Both only where there are namespaces. What they need is kept in --cache-dir
(/var/cache/pumpcc for a server that root starts, else pumpcc/server in the user's folder
of caches), up to --cache-size (10G).

A SIZE is a number of mebibytes, or has a unit behind it: K, M, G or T, as in 4G.

--same-user is for private servers, as `pump` starts them: it serves only connections
over the loopback address (or a Unix socket) whose other end belongs to the user that
the server runs as. Since that user may run any program anyway, neither the list of
compilers nor --allow is looked at, and root stays root.

distccd should only run on trusted networks.";

/// What to do instead of serving.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Instead {
    /// Print this on standard output and exit successfully.
    Print(String),
    /// The command line is wrong: a message without `distccd: ERROR: `.
    Usage(String),
}

impl Flags {
    /// Reads a command line; `argv` includes the program's name.
    pub(crate) fn parse_line(argv: impl IntoIterator<Item = OsString>) -> Result<Self, Instead> {
        let flags = Self::try_parse_from(argv).map_err(instead)?;
        if flags.version {
            return Err(Instead::Print(version()));
        }
        match flags.unavailable() {
            Some(option) => Err(Instead::Usage(format!("{option}: not available yet"))),
            None => Ok(flags),
        }
    }

    fn unavailable(&self) -> Option<&'static str> {
        [
            (self.zeroconf, "--zeroconf"),
            (self.auth, "--auth"),
            (self.blacklist.is_some(), "--blacklist"),
            (self.whitelist.is_some(), "--whitelist"),
            (self.show_principal, "--show-principal"),
            (self.sysroot.is_some(), "--sysroot"),
        ]
        .into_iter()
        .find_map(|(given, option)| given.then_some(option))
    }
}

/// The first two lines are read by scripts: program, version (that of the program whose place we take
/// comes first), machine; protocols and port.
fn version() -> String {
    let (version, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let port = protocol::DEFAULT_PORT;
    format!(
        "distccd 3.4-pumpcc-{version} {machine}-linux\n  (protocols 1, 2 and 3) (default port {port})\n"
    )
}

fn instead(error: clap::Error) -> Instead {
    let option = match error.get(ContextKind::InvalidArg) {
        // "--port <PORT>" where the value is missing.
        Some(ContextValue::String(word)) => word.split(" <").next().unwrap_or(word),
        _ => "",
    };
    match error.kind() {
        ErrorKind::DisplayHelp => Instead::Print(format!("{}\n{error}", version())),
        ErrorKind::UnknownArgument => Instead::Usage(format!("{option}: unknown option")),
        ErrorKind::InvalidValue => Instead::Usage(format!("{option}: missing argument")),
        ErrorKind::TooManyValues => {
            Instead::Usage(format!("{option}: option does not take an argument"))
        }
        _ => Instead::Usage(error.to_string().trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Flags, Instead> {
        Flags::parse_line(["distccd"].iter().chain(words).map(Into::into))
    }

    fn check_error(words: &[&str], expected: &str) {
        assert_eq!(
            parse(words).unwrap_err(),
            Instead::Usage(expected.to_owned()),
            "{words:?}"
        );
    }

    #[test]
    fn all_spellings_of_a_value() {
        for words in [
            &["--port=4000"][..],
            &["--port", "4000"],
            &["-p4000"],
            &["-p", "4000"],
            &["-p1", "-p4000"],
            &["word", "-p4000", "more"],
        ] {
            assert_eq!(parse(words).unwrap().port, Some("4000".into()), "{words:?}");
        }
        assert_eq!(parse(&["--nice", "-5"]).unwrap().nice, Some("-5".into()));
        assert_eq!(parse(&["-a1.2.3.4", "-a", "::1"]).unwrap().allow.len(), 2);
        assert!(parse(&["--make-me-a-botnet"]).unwrap().enable_tcp_insecure);
        assert!(parse(&["--daemon", "--daemon"]).unwrap().daemon);
    }

    #[test]
    fn mistakes_are_worded_as_in_3_4() {
        check_error(&["--bogus"], "--bogus: unknown option");
        check_error(&["--dae"], "--dae: unknown option");
        check_error(&["--port"], "--port: missing argument");
        check_error(
            &["--daemon=3"],
            "--daemon: option does not take an argument",
        );
    }

    #[test]
    fn options_of_later_versions_say_so() {
        check_error(&["--zeroconf"], "--zeroconf: not available yet");
        check_error(&["--whitelist", "x"], "--whitelist: not available yet");
    }

    #[test]
    fn help_and_version() {
        let Err(Instead::Print(help)) = parse(&["--help"]) else {
            panic!("no help");
        };
        assert!(
            help.contains("Usage:") && help.contains("--same-user"),
            "{help}"
        );
        let Err(Instead::Print(version)) = parse(&["--version"]) else {
            panic!("no version");
        };
        let lines: Vec<&str> = version.lines().collect();
        assert_eq!(lines[0].split(' ').count(), 3);
        assert_eq!(lines[1], "  (protocols 1, 2 and 3) (default port 3632)");
    }
}
