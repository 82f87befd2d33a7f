//! What `--help` and `--version` say.

use std::io::{self, Write};

use crate::compiler_name::GNU_HOST;

/// The version of distcc that we take the place of comes first: scripts compare it.
const VERSION: &str = concat!("3.4-pumpcc-", env!("CARGO_PKG_VERSION"));

const USAGE: &str = "\
Usage:
   distcc [--scan-includes] [COMPILER] [compile options] -o OBJECT -c SOURCE
   distcc [--help|--version|--show-hosts|-j|--show-principal]
   distcc --show-toolchain COMPILER [options]

Compiles on other machines what can be compiled there, and runs everything else here.
COMPILER is cc unless given. Called under the name of a compiler, distcc takes its place.

Options:
   --help            Show this, and exit.
   --version         Show the version, and exit.
   --show-hosts      Show the list of hosts, and exit.
   -j                Show how many jobs these hosts take at once, and exit.
   --show-toolchain  Show which files belong to a compiler, and why, and exit.
   --scan-includes   Show the files that pump mode would send, and exit.
   --show-principal  Show the name for authentication, and exit.

Hosts come from $DISTCC_HOSTS, $DISTCC_DIR/hosts, ~/.distcc/hosts or /etc/distcc/hosts:
   localhost              This machine, without a server.
   HOST[:PORT][/LIMIT]    A distccd; port 3632, four jobs at once, unless given.
   [USER]@HOST            A distccd that ssh starts for each job.
   HOST...,lzo            Send compressed.
   HOST...,cpp,lzo        Pump mode: preprocess on the server; run the build under pump.
   grpc://HOST:PORT       An engine of the Remote Execution API; run the build under pump.
   --randomize            Shuffle the list.
   --localslots=N         Compiles at once on this machine, if they cannot run elsewhere; 4.
   --localslots_cpp=N     Preprocessors at once on this machine; 8.

Environment, among others:
   DISTCC_VERBOSE=1       Say everything that is done, and why.
   DISTCC_LOG=FILE        Say it to a file.
   DISTCC_FALLBACK=0      Do not compile here what should have been compiled elsewhere.
   DISTCC_DIR             Hosts file and locks; ~/.distcc unless given.
   DISTCC_SSH             The command for ssh hosts.
   DISTCC_IO_TIMEOUT      The longest silence of a server in seconds; 300 unless given.
   DISTCC_BACKOFF_PERIOD  Seconds for which a host that failed is left alone; 60 unless given.
   DISTCC_SKIP_LOCAL_RETRY  If set, a compiler's failure on a server is not tried here.
   DISTCC_SAVE_TEMPS=1    Keep what is sent and what servers say in $TMPDIR.
   DISTCC_MAX_DISCREPANCY After so many pump compiles that fail on servers only, go on without
                          pump mode.
";

/// Writes the version.
pub(crate) fn write_version(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "distcc {VERSION} {GNU_HOST}")?;
    writeln!(
        out,
        "  (protocols 1, 2 and 3) (default port {})",
        protocol::DEFAULT_PORT
    )?;
    writeln!(out, "\nFree software: MIT or Apache-2.0, without warranty.")
}

/// Writes the version and how to call us.
pub(crate) fn write_help(out: &mut impl Write) -> io::Result<()> {
    write_version(out)?;
    write!(out, "\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_has_the_shape_that_scripts_read() {
        let mut out = Vec::new();
        write_version(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let mut lines = text.lines();
        let words: Vec<&str> = lines.next().unwrap().split(' ').collect();
        assert_eq!(words.len(), 3);
        assert_eq!(words[0], "distcc");
        assert!(words[1].starts_with("3.4-"), "{}", words[1]);
        for word in &words[1..] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(!word.is_empty() && word.chars().all(plain), "{word}");
        }
        assert_eq!(
            lines.next(),
            Some("  (protocols 1, 2 and 3) (default port 3632)")
        );
    }

    #[test]
    fn help_shows_usage() {
        let mut out = Vec::new();
        write_help(&mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("Usage:"));
    }
}
