//! The command line of `pump`.

use std::ffi::OsString;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Task<'a> {
    Usage,
    Startup,
    Shutdown,
    /// Show what belongs to this compiler; a name, and options.
    ShowToolchain(&'a [OsString]),
    /// Run this command; never empty.
    Build(&'a [OsString]),
    /// This cannot be the name of a command.
    Unknown(&'a OsString),
}

/// Understands a command line. An option counts only if it is the only argument. (3.4 starts all
/// servers before it finds out that `--bogus` is no program.)
pub(super) fn parse(argv: &[OsString]) -> Task<'_> {
    let words = argv.get(1..).unwrap_or_default();
    match words {
        [] => Task::Usage,
        [only] if only == "-h" || only == "--help" => Task::Usage,
        [only] if only == "--startup" => Task::Startup,
        [only] if only == "--shutdown" => Task::Shutdown,
        [first, command @ ..] if first == "--show-toolchain" && !command.is_empty() => {
            Task::ShowToolchain(command)
        }
        [first, ..] if first.as_encoded_bytes().starts_with(b"-") => Task::Unknown(first),
        command => Task::Build(command),
    }
}

pub(super) const USAGE: &str = r#"Usage:
    pump COMMAND [ARG...]
or
    pump --startup
    pump --shutdown
or
    pump --show-toolchain COMPILER [OPTION...]

Runs COMMAND, usually a parallel build such as "make -j80", so that distcc also
preprocesses on the servers: an include server runs beside it and tells distcc
which files each compile needs. COMMAND finds the include server by its
environment. Its exit status is that of pump.

"pump --startup" only starts the include server, and prints the settings of the
environment that distcc and "pump --shutdown" need:

    eval `pump --startup`
    make -j80
    pump --shutdown

"pump --show-toolchain" shows which files belong to a compiler, and why.

Where no hosts are configured, the first two forms also start a private server on this
machine, which serves nobody else.

Environment variables (all optional):

  DISTCC_HOSTS           The servers; those with the options ",cpp,lzo" are used in
                         pump mode, and so are engines ("grpc://HOST:PORT").
  DISTCC_POTENTIAL_HOSTS Names of servers for lsdistcc to choose from. Takes the
                         place of DISTCC_HOSTS.
  PUMP_PRIVATE_SERVER    If 1, use a private server whatever hosts are configured.
  LSDISTCC_ARGS          Further arguments of lsdistcc.
  INCLUDE_SERVER_ARGS    Further arguments of the include server, quoted as for a
                         shell.
  DISTCC_LOCATION        The folder of distcc and the other programs; otherwise that
                         of pump itself.
  DISTCC_MAX_DISCREPANCY After so many compiles that failed on a server only, distcc
                         preprocesses locally for the rest of the build.
  DISTCC_CLIENT_TMP      Where the include server keeps its copies of files.
  TMPDIR                 Where the include server's socket is made.
  PUMP_PROGRESS          Seconds between two lines about the build's progress, 0 for
                         none; otherwise 10 on a terminal, and none elsewhere.
  PYTHONOPTIMIZE         Without effect."#;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &str) {
        let argv: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        assert_eq!(format!("{:?}", parse(&argv)), expected, "{line}");
    }

    #[test]
    fn an_option_counts_only_alone() {
        check("pump", "Usage");
        check("pump -h", "Usage");
        check("pump --help", "Usage");
        check("pump --startup", "Startup");
        check("pump --shutdown", "Shutdown");
        check("pump make -j4", r#"Build(["make", "-j4"])"#);
        check("pump --startup x", r#"Unknown("--startup")"#);
        check(
            "pump --show-toolchain gcc -m32",
            r#"ShowToolchain(["gcc", "-m32"])"#,
        );
        check("pump --show-toolchain", r#"Unknown("--show-toolchain")"#);
        check("pump --bogus", r#"Unknown("--bogus")"#);
        check("pump make --help", r#"Build(["make", "--help"])"#);
        check("", "Usage");
    }
}
