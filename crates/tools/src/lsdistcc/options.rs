//! The command line of lsdistcc.
//!
//! Parsed by hand: values are glued to their letters (`-r3632`, never `-r 3632`), numbers are
//! what C's `atoi` makes of them (`-t5x` is 5, `-tx` is 0), and only the first letter of a word
//! counts (`-vv`, `-nx`). clap can be taught none of this.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use protocol::Version;

use super::names::Source;

/// What `--help` and every mistake print.
pub(super) const USAGE: &str = "\
Usage: lsdistcc [OPTION]... [FORMAT | HOST...]

List the hosts that accept connections on the distcc port, one per line, as they
answer. FORMAT holds %d (or %3d, %03d) and names the hosts that counting from 1
gives, up to 500; the default is distcc%d. Otherwise each word is a host.

Values follow their letter without a blank:
  -tSEC       stop after SEC seconds, 0 = never [7]
  -hMS        repeat a name lookup without answer after MS milliseconds, up to
              four times, 0 = never [500]
  -cMS        wait MS milliseconds for a connection, 0 = only look names up [900]
  -kMS        wait MS milliseconds for the test compile, 0 = do not compile [1500]
  -mBITS      only hosts whose addresses have their first BITS bits (0-31) in
              common with the first address found [0]
  -oN         names looked up ahead while one is looked up [1]
  -gN         stop starting lookups after more than N names that do not exist [0]
  -rPORT      port [3632]
  -PN         protocol of the listed hosts, 1, 2 (lzo) or 3 (lzo,cpp) [1]
  -pCOMPILER  list only hosts that compile a test file with COMPILER
  -l          append the time until the answer in milliseconds
  -n          print addresses instead of names
  -x          list also hosts that are down, marked \",down\"
  -d          append this machine's domain to the names
  -v          tell on standard error what happens
  --help      show this; the exit code is 1
";

/// A command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// `-t`; none if there is no limit.
    pub(super) total: Option<Duration>,
    /// `-h`; none if lookups are not repeated.
    pub(super) dns_retry: Option<Duration>,
    /// `-c`; none if no connection is made.
    pub(super) connect: Option<Duration>,
    /// `-p` and `-k`; none if nothing is compiled.
    pub(super) probe: Option<ProbeOptions>,
    /// `-m`
    pub(super) same_bits: u32,
    /// `-o`
    pub(super) extra_lookups: usize,
    /// `-g`
    pub(super) tolerated: usize,
    /// `-r`
    pub(super) port: u16,
    /// `-P`
    pub(super) version: Version,
    /// `-l`
    pub(super) show_latency: bool,
    /// `-n`
    pub(super) show_address: bool,
    /// `-x`
    pub(super) show_down: bool,
    /// `-d`
    pub(super) append_domain: bool,
    /// `-v`
    pub(super) verbose: bool,
    /// The operands.
    pub(super) names: Source,
}

/// The test compile.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProbeOptions {
    pub(super) compiler: OsString,
    pub(super) timeout: Duration,
}

/// Why there is nothing to do but print the usage.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `--help`
    Help,
    /// A word that is no option, or has a value out of range.
    Bad(OsString),
}

impl Options {
    /// Parses the words behind the program's name, up to the first that does not start with `-`.
    pub(super) fn parse(args: &[OsString]) -> Result<Self, Refusal> {
        let mut options = Self {
            total: Some(Duration::from_secs(7)),
            dns_retry: Some(Duration::from_millis(500)),
            connect: Some(Duration::from_millis(900)),
            probe: None,
            same_bits: 0,
            extra_lookups: 1,
            tolerated: 0,
            port: protocol::DEFAULT_PORT,
            version: Version::Plain,
            show_latency: false,
            show_address: false,
            show_down: false,
            append_domain: false,
            verbose: false,
            names: Source::default(),
        };
        let mut compiler = None;
        let mut probe_timeout = Some(Duration::from_millis(1500));
        let mut operands = args;
        while let [word, rest @ ..] = operands
            && let Some(option) = word.as_bytes().strip_prefix(b"-")
        {
            operands = rest;
            let bad = || Refusal::Bad(word.clone());
            let (letter, value) = option.split_first().ok_or_else(bad)?;
            let number = |min, max| number(value).filter(|n| (min..=max).contains(n));
            let count = || number(0, i32::MAX as u32).ok_or_else(bad);
            let millis = || count().map(|ms| not_zero(Duration::from_millis(u64::from(ms))));
            match letter {
                b't' => options.total = not_zero(Duration::from_secs(u64::from(count()?))),
                b'h' => options.dns_retry = millis()?,
                b'c' => options.connect = millis()?,
                b'k' => probe_timeout = millis()?,
                b'm' => options.same_bits = number(0, 31).ok_or_else(bad)?,
                b'o' => options.extra_lookups = count()? as usize,
                b'g' => options.tolerated = count()? as usize,
                b'r' => {
                    let port = number(1, u16::MAX.into()).ok_or_else(bad)?;
                    options.port = port.try_into().expect("in range, as asked");
                }
                b'P' => {
                    let version = number(1, 3).and_then(Version::from_number);
                    options.version = version.ok_or_else(bad)?;
                }
                b'p' if !value.is_empty() => compiler = Some(OsStr::from_bytes(value).to_owned()),
                b'l' => options.show_latency = true,
                b'n' => options.show_address = true,
                b'x' => options.show_down = true,
                b'd' => options.append_domain = true,
                b'v' => options.verbose = true,
                b'-' if value == b"help" => return Err(Refusal::Help),
                _ => return Err(bad()),
            }
        }
        options.probe = match (compiler, probe_timeout) {
            (Some(compiler), Some(timeout)) => Some(ProbeOptions { compiler, timeout }),
            _ => None,
        };
        if !operands.is_empty() {
            options.names = Source::parse(operands).map_err(Refusal::Bad)?;
        }
        Ok(options)
    }
}

fn not_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

/// What C's `atoi` makes of a text, saturated; `None` if it is negative.
fn number(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-"));
    let digits = digits.unwrap_or(text).iter();
    let number = digits
        .take_while(|b| b.is_ascii_digit())
        .fold(0u32, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u32::from(digit - b'0'))
        });
    (number == 0 || !text.starts_with(b"-")).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Refusal> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Options::parse(&words)
    }

    #[test]
    fn defaults() {
        let options = parse("").unwrap();
        let expected = Options {
            total: Some(Duration::from_secs(7)),
            dns_retry: Some(Duration::from_millis(500)),
            connect: Some(Duration::from_millis(900)),
            probe: None,
            same_bits: 0,
            extra_lookups: 1,
            tolerated: 0,
            port: 3632,
            version: Version::Plain,
            show_latency: false,
            show_address: false,
            show_down: false,
            append_domain: false,
            verbose: false,
            names: Source::parse(&["distcc%d".into()]).unwrap(),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn values_are_glued() {
        let line = "-t9 -h100 -c200 -k300 -m24 -o7 -g8 -r4000 -P3 -pgcc -l -n -x -d -v a b";
        let expected = Options {
            total: Some(Duration::from_secs(9)),
            dns_retry: Some(Duration::from_millis(100)),
            connect: Some(Duration::from_millis(200)),
            probe: Some(ProbeOptions {
                compiler: "gcc".into(),
                timeout: Duration::from_millis(300),
            }),
            same_bits: 24,
            extra_lookups: 7,
            tolerated: 8,
            port: 4000,
            version: Version::Pump,
            show_latency: true,
            show_address: true,
            show_down: true,
            append_domain: true,
            verbose: true,
            names: Source::parse(&["a".into(), "b".into()]).unwrap(),
        };
        assert_eq!(parse(line).unwrap(), expected);
    }

    #[test]
    fn zero_times_mean_never() {
        let options = parse("-t0 -h0 -c0 -k0 -pgcc").unwrap();
        assert_eq!(options.total, None);
        assert_eq!(options.dns_retry, None);
        assert_eq!(options.connect, None);
        assert_eq!(options.probe, None);
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        assert_eq!(parse("-t5x").unwrap().total, Some(Duration::from_secs(5)));
        assert_eq!(parse("-tx").unwrap().total, None);
        assert_eq!(parse("-r+80x").unwrap().port, 80);
        assert_eq!(parse("-g-0").unwrap().tolerated, 0);
    }

    #[test]
    fn only_the_first_letter_of_a_word_counts() {
        let options = parse("-vvv -nx -l5").unwrap();
        assert!(options.verbose && options.show_address && options.show_latency);
        assert!(!options.show_down);
    }

    #[test]
    fn options_end_at_the_first_operand() {
        let options = parse("a -r99").unwrap();
        assert_eq!(options.port, 3632);
        assert_eq!(
            options.names,
            Source::parse(&["a".into(), "-r99".into()]).unwrap()
        );
    }

    #[test]
    fn refuses_values_out_of_range_and_unknown_words() {
        for word in [
            "-t-1",
            "-h-1",
            "-c-1",
            "-k-1",
            "-m32",
            "-m-1",
            "-o-1",
            "-g-1",
            "-r0",
            "-r",
            "-r65536",
            "-P0",
            "-P4",
            "-P",
            "-p",
            "-z",
            "-",
            "--",
            "--version",
            "-t99999999999",
        ] {
            assert_eq!(parse(word), Err(Refusal::Bad(word.into())), "{word}");
        }
        assert_eq!(parse("-r 3632"), Err(Refusal::Bad("-r".into())));
        assert_eq!(parse("-v --help a"), Err(Refusal::Help));
    }
}
