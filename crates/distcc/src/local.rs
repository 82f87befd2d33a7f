//! Running a command here, as it was typed.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::ExitStatus;

use command::client::LocalOption;
use command::plan;

use crate::child::{self, Child};
use crate::exchange::Fault;
use crate::exit::{Ending, Exit};
use crate::log::{Level, Reason, Words};
use crate::monitor::{Monitor, Phase};
use crate::preprocess::PreprocessError;
use crate::schedule::Slot;
use crate::settings::Settings;
use crate::this_machine::UnknownMachine;

/// Why a command runs here. `Display` finishes the sentence "running locally: ...".
#[derive(Debug)]
pub(crate) enum WhyLocal {
    /// Its words say so.
    Command(plan::WhyLocal),
    /// This option does not come out right elsewhere.
    Option(LocalOption),
    /// This variable has the compiler do something that a server's does not do.
    Variable(&'static str),
    /// It asks for this machine's processor, and nobody knows its name.
    ThisMachine(UnknownMachine),
    /// Which file such an option writes is left to the next word, whatever it is.
    WpWithoutFile,
    /// There are engines only, and it is no compile for them.
    NoAction(OsString),
    /// The host list put this machine first.
    Chosen,
    /// The source cannot be preprocessed, and the compiler will say why; or only an assembler here can make of it what is meant.
    Source(PreprocessError),
    /// There is no host list, or none that makes sense.
    NoHostList,
    /// All hosts are down, without slots, or left alone because they failed not long ago.
    NoHostLeft,
    /// The include server of this session has ended, and no other one was started.
    NoIncludeServer,
    /// No host was left when this one had failed.
    HostFailed { host: OsString, fault: Fault },
    /// The compiler failed on this host, and may do better here.
    CompilerFailed { host: OsString, status: ExitStatus },
    /// This host's compiler succeeded, and this came back empty.
    Empty { host: OsString, what: &'static str },
    /// The result cannot be written; the compiler will say why.
    Output,
    /// The agent had it run here, too, and this was first.
    EndedFirst,
    /// A distcc runs us in a compiler's place.
    Nested,
}

impl fmt::Display for WhyLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(why) => why.fmt(f),
            Self::Option(option) => option.fmt(f),
            Self::Variable(name) => write!(f, "the variable {name} is set"),
            Self::ThisMachine(unknown) => unknown.fmt(f),
            Self::WpWithoutFile => f.write_str("-Wp names no dependency file"),
            Self::NoAction(why) => write!(f, "{}", why.display()),
            Self::Chosen => f.write_str("the host list says so"),
            Self::Source(error) => error.fmt(f),
            Self::NoHostList => f.write_str("there is no host list"),
            Self::NoHostLeft => f.write_str("all hosts are down or have failed lately"),
            Self::NoIncludeServer => f.write_str("the include server has ended"),
            Self::HostFailed { host, fault } => {
                let fault = fault.to_string();
                // The advice that follows some faults was given when they came up.
                let (fault, _) = fault.split_once(". ").unwrap_or((&fault, ""));
                write!(f, "{}: {fault}", host.display())
            }
            Self::CompilerFailed { host, status } => {
                write!(f, "compile on {}{}", host.display(), Ending(*status))
            }
            Self::Empty { host, what } => {
                write!(f, "{} sent an empty {what}", host.display())
            }
            Self::Output => f.write_str("the result cannot be written"),
            Self::EndedFirst => f.write_str("it ended here before it did elsewhere"),
            Self::Nested => f.write_str("called by another distcc"),
        }
    }
}

/// Runs a command; why it runs here has been told. `source` is the file that it compiles, if it is known to compile one, and
/// `slot` is one of this machine's.
pub(crate) fn run(
    words: &[OsString],
    source: Option<&OsStr>,
    slot: &Slot,
    monitor: &mut Monitor<'_>,
    settings: &Settings,
) -> Exit {
    let log = &settings.log;
    log.info("", format_args!("exec on localhost: {}", Words(words)));
    monitor.note(Phase::Compile, "localhost".as_ref(), slot.number);
    let mut command = child::command(words, &settings.children);
    let exit = match Child::spawn(&mut command).and_then(Child::wait) {
        Ok(status) if status.success() => Exit::SUCCESS,
        Ok(status) => {
            report(source, &Ending(status), settings);
            return Exit::of(status);
        }
        Err(error) => {
            let exit = cannot_run(&words[0], &error, settings);
            let code = exit.code();
            report(
                source,
                &format_args!(" failed with exit code {code}"),
                settings,
            );
            return exit;
        }
    };
    if log.shows(Level::Info) {
        let name = Name(source);
        log.info("", format_args!("compile {name} on localhost completed ok"));
    }
    exit
}

/// Says that there is no such compiler, or no room for it to run.
pub(crate) fn cannot_run(program: &OsStr, error: &std::io::Error, settings: &Settings) -> Exit {
    if child::is_shortage(error) {
        settings.log.error(
            "dcc_spawn_child",
            format_args!(
                "failed to fork for {}, several times: {}",
                program.display(),
                Reason(error)
            ),
        );
        return Exit::OUT_OF_MEMORY;
    }
    settings.log.error(
        "dcc_execvp",
        format_args!("failed to exec {}: {}", program.display(), Reason(error)),
    );
    Exit::COMPILER_MISSING
}

fn report(source: Option<&OsStr>, ending: &dyn fmt::Display, settings: &Settings) {
    settings.log.error(
        "",
        format_args!("compile {} on localhost{ending}", Name(source)),
    );
}

/// A source file's name, or 3.4's word for none.
struct Name<'a>(Option<&'a OsStr>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => name.display().fmt(f),
            None => f.write_str("(null)"),
        }
    }
}
