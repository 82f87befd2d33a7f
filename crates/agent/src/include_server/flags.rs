//! The command line of `include_server`.
//!
//! All options of distcc 3.4's include server are accepted. Those that repair or tune its
//! guessing have no use here; each that is given is named once at the start, with the reason.
//!
//! Source: `include_server(1)`, and what 3.4 does where it says less.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;

/// What was typed.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "include_server",
    about = "Tells distcc clients which files a compile needs, so that the server can preprocess.",
    version,
    infer_long_args = true,
    args_override_self = true
)]
pub(crate) struct Flags {
    /// The socket on which clients ask.
    #[arg(long, value_name = "PATH")]
    pub(crate) port: Option<PathBuf>,

    /// Write the process number of the server to this file.
    #[arg(long = "pid_file", value_name = "PATH")]
    pub(crate) pid_file: Option<PathBuf>,

    /// What to print, as a sum of bits: 1 warnings, 2 every answer.
    #[arg(
        short = 'd',
        long = "debug_pattern",
        value_name = "BITS",
        default_value_t = 1
    )]
    pub(crate) debug_pattern: u32,

    /// Print figures about each answer on standard output.
    #[arg(short = 's', long)]
    pub(crate) statistics: bool,

    /// Print the time used, at the end, on standard error.
    #[arg(short = 't', long)]
    pub(crate) time: bool,

    /// Write the files of each answer to a `.d_approx` file beside the object file.
    #[arg(short = 'w', long = "write_include_closure")]
    pub(crate) write_include_closure: bool,

    /// Keep in this file a sentence about the compiles that needed the compiler's own list of
    /// files.
    #[arg(long = "refusals_file", value_name = "PATH")]
    pub(crate) refusals_file: Option<PathBuf>,

    /// Stay in the foreground.
    #[arg(long, alias = "no-detach")]
    pub(crate) foreground: bool,

    /// Not needed: the files are exactly those that the compiler reads.
    #[arg(short = 'x', long = "exact_analysis", alias = "simple_algorithm")]
    exact_analysis: bool,

    /// Not needed: see --exact_analysis.
    #[arg(short = 'v', long)]
    verify: bool,

    /// Not needed: absolute includes are sent like all others.
    #[arg(long = "unsafe_absolute_includes")]
    unsafe_absolute_includes: bool,

    /// Not needed: macros are expanded as the compiler does.
    #[arg(long = "unsafe_no_unexpanded_functions")]
    unsafe_no_unexpanded_functions: bool,

    /// Not needed: folders are sent only where the compile passes through them.
    #[arg(long = "no_force_dirs")]
    no_force_dirs: bool,

    /// Not needed: changed files are noticed.
    #[arg(long = "stat_reset_triggers", value_name = "LIST")]
    stat_reset_triggers: Option<OsString>,

    /// Without effect.
    #[arg(long = "path_observation_re", value_name = "RE")]
    path_observation_re: Option<OsString>,

    /// Without effect: no mail is sent.
    #[arg(short = 'e', long)]
    email: bool,

    /// Without effect: no mail is sent.
    #[arg(long = "no-email")]
    no_email: bool,

    /// Without effect: no mail is sent.
    #[arg(long = "email_bound", value_name = "NUMBER")]
    email_bound: Option<OsString>,

    /// Internal: this is the server in the background; say on this descriptor when it is ready.
    #[arg(long = "ready-fd", hide = true)]
    pub(crate) ready_fd: Option<RawFd>,

    /// Internal: end when the other end of this pipe is closed.
    #[arg(long = "exit-with-fd", hide = true)]
    pub(crate) exit_with_fd: Option<RawFd>,

    /// Internal: listen here, at the socket of `--port`, which stays when this server ends.
    #[arg(long = "socket-fd", hide = true)]
    pub(crate) socket_fd: Option<RawFd>,

    /// Internal: the same for the socket with `.pieces` behind its name.
    #[arg(long = "pieces-fd", hide = true, requires = "socket_fd")]
    pub(crate) pieces_fd: Option<RawFd>,

    /// Internal: the same for the socket with `.jobs` behind its name.
    #[arg(long = "jobs-fd", hide = true, requires = "socket_fd")]
    pub(crate) jobs_fd: Option<RawFd>,

    /// Internal: remove this folder of whoever started the server, if that has gone without doing so.
    #[arg(
        long = "starters-folder",
        value_name = "PATH",
        hide = true,
        requires = "exit_with_fd"
    )]
    pub(crate) starters_folder: Option<PathBuf>,
}

/// A command line, understood.
#[derive(Debug)]
pub(crate) enum Parsed {
    Flags(Box<Flags>),
    /// Print this on standard output, and end with the code.
    Text {
        text: String,
        code: u8,
    },
}

impl Flags {
    pub(crate) fn parse(argv: &[OsString]) -> Parsed {
        match Self::try_parse_from(argv) {
            Ok(flags) if flags.port.is_some() => Parsed::Flags(Box::new(flags)),
            Ok(_) => Parsed::Text {
                text: format!("INCLUDE_SERVER_PORT not provided. Aborting.\n{}", usage()),
                code: 1,
            },
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
                ) =>
            {
                Parsed::Text {
                    text: error.to_string(),
                    code: 0,
                }
            }
            Err(error) => Parsed::Text {
                text: format!("{error}\n{}", usage()),
                code: 1,
            },
        }
    }

    /// The options given that have no effect, with the reason.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        const MAIL: &str = "no mail is sent";
        [
            (
                self.exact_analysis,
                "-x is not needed: the files are exactly those that the compiler reads",
            ),
            (
                self.verify,
                "-v is not needed: the files are exactly those that the compiler reads",
            ),
            (
                self.unsafe_absolute_includes,
                "--unsafe_absolute_includes is not needed: absolute includes are sent",
            ),
            (
                self.unsafe_no_unexpanded_functions,
                "--unsafe_no_unexpanded_functions is not needed: macros are expanded as the \
                 compiler does",
            ),
            (
                self.no_force_dirs,
                "--no_force_dirs is not needed: folders are sent only where the compile passes \
                 through them",
            ),
            (
                self.stat_reset_triggers.is_some(),
                "--stat_reset_triggers is not needed: changed files are noticed",
            ),
            (
                self.path_observation_re.is_some(),
                "--path_observation_re has no effect: use -d2 or -w to see files",
            ),
            (self.email || self.email_bound.is_some(), MAIL),
        ]
        .into_iter()
        .filter_map(|(given, words)| given.then_some(words))
        .collect()
    }
}

fn usage() -> String {
    use clap::CommandFactory;
    Flags::command().render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Parsed {
        let argv: Vec<OsString> = ["include_server"]
            .into_iter()
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect();
        Flags::parse(&argv)
    }

    fn flags(line: &str) -> Flags {
        match parse(line) {
            Parsed::Flags(flags) => *flags,
            Parsed::Text { text, .. } => panic!("{text}"),
        }
    }

    #[test]
    fn what_pump_says_is_understood() {
        let flags = flags("--port /s --pid_file /p -d1");
        assert_eq!(flags.port, Some("/s".into()));
        assert_eq!(flags.pid_file, Some("/p".into()));
        assert_eq!(flags.debug_pattern, 1);
        assert!(!flags.foreground);
        assert_eq!(flags.without_effect(), Vec::<&str>::new());
    }

    /// What is left of the defaults once `option` is given, and what is said about it.
    fn check(option: &str, has_effect: impl Fn(&Flags) -> bool, said: &[&str]) {
        let before = flags("--port /s");
        assert!(!has_effect(&before), "{option}");
        let after = flags(&format!("--port /s {option}"));
        assert_eq!(has_effect(&after), said.is_empty(), "{option}");
        let words = after.without_effect();
        assert_eq!(words.len(), said.len(), "{option}: {words:?}");
        for (words, said) in words.iter().zip(said) {
            assert!(words.contains(said), "{option}: {words}");
        }
    }

    #[test]
    fn each_option_of_3_4_works_or_is_named_with_the_reason() {
        let none = |_: &Flags| false;
        check("--pid_file /p", |flags| flags.pid_file.is_some(), &[]);
        for option in ["-d3", "-d 3", "--debug_pattern=3", "--debug_pattern 3"] {
            check(option, |flags| flags.debug_pattern == 3, &[]);
        }
        for option in ["-s", "--statistics"] {
            check(option, |flags| flags.statistics, &[]);
        }
        for option in ["-t", "--time"] {
            check(option, |flags| flags.time, &[]);
        }
        for option in ["-w", "--write_include_closure"] {
            check(option, |flags| flags.write_include_closure, &[]);
        }
        for option in ["-x", "--exact_analysis", "--simple_algorithm"] {
            check(option, none, &["-x is not needed"]);
        }
        for option in ["-v", "--verify"] {
            check(option, none, &["-v is not needed"]);
        }
        for option in ["-e", "--email", "--email_bound 3", "--email_bound=3"] {
            check(option, none, &["no mail is sent"]);
        }
        for option in [
            "--no_force_dirs",
            "--unsafe_absolute_includes",
            "--unsafe_no_unexpanded_functions",
        ] {
            check(option, none, &[&format!("{option} is not needed")]);
        }
        for option in ["--stat_reset_triggers=a:b", "--stat_reset_triggers a:b"] {
            check(option, none, &["--stat_reset_triggers is not needed"]);
        }
        check(
            "--path_observation_re=",
            none,
            &["--path_observation_re has no effect"],
        );
        // It asks for what is so already.
        assert!(flags("--port /s --no-email").without_effect().is_empty());
    }

    #[test]
    fn options_may_be_given_together_and_again() {
        let flags = flags(
            "--port=/s -d19 -d3 -s -t -w -stw -x --exact_analysis --stat_reset_triggers=a \
             --stat_reset_triggers=b --refusals_file /r",
        );
        assert_eq!(flags.debug_pattern, 3);
        assert!(flags.statistics && flags.time && flags.write_include_closure);
        assert_eq!(flags.refusals_file, Some("/r".into()));
        assert_eq!(flags.without_effect().len(), 2);
    }

    #[test]
    fn long_options_can_be_cut_short() {
        assert!(flags("--po /s --stati").statistics);
        assert!(flags("--port /s --no-detach").foreground);
    }

    #[test]
    fn mistakes_print_the_usage_and_end_with_1() {
        for line in ["", "--bogus", "--port /s extra", "--port /s -d x"] {
            let Parsed::Text { text, code } = parse(line) else {
                panic!("{line}")
            };
            assert_eq!(code, 1, "{line}");
            assert!(text.contains("--pid_file"), "{text}");
        }
        let Parsed::Text { text, .. } = parse("-s") else {
            panic!()
        };
        assert!(text.starts_with("INCLUDE_SERVER_PORT not provided. Aborting."));
        assert!(matches!(parse("--help"), Parsed::Text { code: 0, .. }));
    }
}
