//! What becomes of a job: the result of a host is taken, or the command runs here after all.
//!
//! Whatever happens is told: to the user, to the monitor, and to the [`Account`].

use std::ffi::{OsStr, OsString};

use command::Compile;
use command::client::Manner;
use hosts::Host;
use protocol::Version;

use crate::account::Account;
use crate::discrepancy;
use crate::exchange::{Answer, Fault};
use crate::exit::{Ending, Exit};
use crate::fresh_files;
use crate::local::{self, WhyLocal};
use crate::log::Reason;
use crate::mail;
use crate::monitor::Monitor;
use crate::output;
use crate::preprocess::{PreprocessError, Source};
use crate::saved;
use crate::schedule::{LocalWork, Scheduler, Slot};
use crate::settings::{Limits, Settings};

/// Exit codes from here on are those of a server that could not run the compiler.
const OUR_CODES: i32 = 100;

/// What it takes to run the job here after all.
pub(crate) struct Here<'a> {
    pub(crate) words: &'a [OsString],
    pub(crate) compile: &'a Compile,
    pub(crate) settings: &'a Settings,
    pub(crate) scheduler: Scheduler<'a>,
    pub(crate) monitor: Monitor<'a>,
    pub(crate) account: Account<'a>,
}

impl Here<'_> {
    /// Makes the most of a host's answer.
    pub(crate) fn conclude(
        mut self,
        host: &Host,
        slot: u32,
        answer: &Answer,
        source: &Source,
        limits: Limits,
    ) -> Exit {
        let settings = self.settings;
        let log = &settings.log;
        let file = self.compile.input().display();
        let spec = host.spec.display();
        if settings.saved_in.is_some() {
            saved::save(settings, "distcc_server_stderr", ".txt", &answer.stderr);
            source.save(self.compile, settings);
        }
        let print = || output::print(&answer.stdout, &[source.stderr(), &answer.stderr]);
        if answer.status.success() {
            if let Some(what) = self.empty(answer) {
                return self.without_result(host, what);
            }
            if let Err((path, error)) = self.write(answer) {
                return self.cannot_write(&path, &error);
            }
            print();
            self.scheduler.host_worked(host);
            log.info("", format_args!("compile {file} on {spec} completed ok"));
            self.account.there(host, slot, answer);
            return Exit::SUCCESS;
        }
        let code = Exit::of(answer.status);
        let ending = Ending(answer.status);
        log.error("", format_args!("compile {file} on {spec}{ending}"));
        if answer.status.code().is_some() {
            if settings.skip_local_retry {
                print();
                self.account.there(host, slot, answer);
                return code;
            }
            log.warning(
                "dcc_build_somewhere",
                format_args!("remote compilation of '{file}' failed, retrying locally"),
            );
        }
        let (spec, status) = (host.spec.clone(), answer.status);
        let why = match not_started(answer) {
            Some(reason) => WhyLocal::HostFailed {
                host: spec,
                fault: Fault::Refused(reason),
            },
            None => WhyLocal::CompilerFailed { host: spec, status },
        };
        match self.fall_back(Some(host), &why) {
            None => {
                print();
                self.account.there(host, slot, answer);
                code
            }
            Some(here) => {
                self.compare(host, answer, here, limits);
                here
            }
        }
    }

    /// Writes the files of a successful answer; else which one could not be written, and why.
    fn write(&self, answer: &Answer) -> Result<(), (OsString, std::io::Error)> {
        let write = |path: &OsStr, content: &[u8], manner| {
            output::write(path, content, manner).map_err(|error| (path.to_owned(), error))
        };
        let compile = self.compile;
        let wanted = match answer.version {
            Version::Pump => compile.dependencies(self.settings.dependencies_output.as_deref()),
            _ => None, // The preprocessor wrote the dependency file.
        };
        // First: a new object means that all is well, also to the next `make`.
        if let Some(wanted) = wanted.as_ref().filter(|wanted| !wanted.append) {
            write(&wanted.file, &answer.dependencies, Manner::InPlace)?;
        }
        let manner = Manner::of(compile.argv());
        write(compile.output(), &answer.object, manner)?;
        match wanted {
            // Last: it could be added twice otherwise.
            Some(wanted) if wanted.append => output::append(&wanted.file, &answer.dependencies)
                .map_err(|error| (wanted.file, error)),
            _ => Ok(()),
        }
    }

    /// Which file of a success is empty. No compiler makes such an object or dependency file: the
    /// server's wrote another one, or none.
    fn empty(&self, answer: &Answer) -> Option<&'static str> {
        if answer.object.is_empty() {
            return Some("object");
        }
        let is_pump = answer.version == Version::Pump && answer.dependencies.is_empty();
        let environment = self.settings.dependencies_output.as_deref();
        let is_missing = is_pump && self.compile.dependencies(environment).is_some();
        is_missing.then_some("dependency file")
    }

    /// What is right where a host's answer is empty shows here; only if there is an object then,
    /// the host is to blame.
    #[cold]
    fn without_result(&mut self, host: &Host, what: &'static str) -> Exit {
        let why = WhyLocal::Empty {
            host: host.spec.clone(),
            what,
        };
        self.settings.log.warning("", format_args!("{why}"));
        let Some(exit) = self.fall_back(Some(host), &why) else {
            self.account.nowhere(&why);
            return Exit::IO_ERROR;
        };
        let made = std::fs::metadata(self.compile.output());
        if made.is_ok_and(|made| made.len() > 0) {
            self.scheduler.host_failed(host);
        }
        exit
    }

    /// Where the result cannot be written, the compiler cannot write it either: it says so.
    #[cold]
    fn cannot_write(&mut self, path: &OsStr, error: &std::io::Error) -> Exit {
        let settings = self.settings;
        if settings.fallback {
            return self.run(&WhyLocal::Output);
        }
        settings.log.error(
            "",
            format_args!("cannot write {}: {}", path.display(), Reason(error)),
        );
        self.account.nowhere(&WhyLocal::Output);
        Exit::IO_ERROR
    }

    /// Where the source cannot be preprocessed, or not sent, no host is to blame: the compiler says why, once.
    #[cold]
    pub(crate) fn without_source(&mut self, host: &Host, error: PreprocessError) -> Exit {
        let settings = self.settings;
        // No host was ever to have it, as with options that keep a command here.
        if error.is_no_failure() {
            return self.run(&WhyLocal::Source(error));
        }
        // A source that cannot be read is no compiler's failure.
        let skip = settings.skip_local_retry
            && !matches!(error, PreprocessError::Io(_) | PreprocessError::TooLong(_));
        if settings.fallback && !skip {
            return self.run(&WhyLocal::Source(error));
        }
        self.account.nowhere(&error);
        let file = self.compile.input().display();
        let spec = host.spec.display();
        let failed = |ending: std::fmt::Arguments<'_>| {
            settings
                .log
                .error("", format_args!("compile {file} on {spec}{ending}"));
        };
        match error {
            PreprocessError::Failed { status, stderr } => {
                output::print(b"", &[&stderr]);
                failed(format_args!("{}", Ending(status)));
                Exit::of(status)
            }
            PreprocessError::CannotRun(error) => {
                let code = local::cannot_run(&self.compile.argv()[0], &error, settings);
                failed(format_args!(" failed with exit code {}", code.code()));
                code
            }
            error => {
                failed(format_args!(" failed: {error}"));
                Exit::IO_ERROR
            }
        }
    }

    /// Compiles here what no host did. `None` if that is forbidden.
    #[cold]
    pub(crate) fn fall_back(&mut self, tried: Option<&Host>, why: &WhyLocal) -> Option<Exit> {
        let settings = self.settings;
        let log = &settings.log;
        if !settings.fallback {
            log.error(
                "dcc_build_somewhere",
                format_args!("failed to distribute and fallbacks are disabled"),
            );
            return None;
        }
        match tried {
            Some(host) => log.warning(
                "",
                format_args!(
                    "failed to distribute {} to {}, running locally instead",
                    self.compile.input().display(),
                    host.spec.display()
                ),
            ),
            None => log.warning(
                "dcc_build_somewhere",
                format_args!("failed to distribute, running locally instead"),
            ),
        }
        Some(self.run(why))
    }

    /// Runs the command in a slot of this machine.
    fn run(&mut self, why: &WhyLocal) -> Exit {
        let slot = self.scheduler.wait_for_local_slot(LocalWork::Compile);
        self.run_in(&slot, why)
    }

    pub(crate) fn run_in(&mut self, slot: &Slot, why: &WhyLocal) -> Exit {
        let source = Some(self.compile.input());
        let settings = self.settings;
        self.account.here(why);
        local::run(self.words, source, slot, &mut self.monitor, settings)
    }

    /// A host failed where we may not have: then something is wrong with it, or with what pump
    /// mode sent. The source being wrong is the usual case, and nobody's fault.
    #[cold]
    fn compare(&mut self, host: &Host, answer: &Answer, here: Exit, limits: Limits) {
        if here == Exit::of(answer.status) {
            self.scheduler.host_worked(host);
            return;
        }
        match answer.status.code() {
            Some(code) if code < OUR_CODES => {
                self.scheduler.host_differs(host, self.compile.input());
            }
            // The compiler died there, or is not there.
            _ => self.scheduler.host_failed(host),
        }
        if answer.status.code().is_none() {
            return;
        }
        let Self {
            compile, settings, ..
        } = self;
        settings.log.warning(
            "dcc_please_send_email_after_investigation",
            format_args!(
                "remote compilation of '{}' failed, retried locally and got a different result.",
                compile.input().display()
            ),
        );
        if answer.version == Version::Pump {
            let port = settings.pump.port.as_deref();
            discrepancy::count(port, limits.max_discrepancy, &settings.log);
        }
        if let Some(file) = fresh_files::changed(compile, settings) {
            settings.log.warning(
                "dcc_discrepancy_filename",
                format_args!(
                    "file '{file}', a dependency of {}, changed during the build",
                    compile.input().display()
                ),
            );
        } else if let Some(to) = &settings.mail_to {
            mail::send(settings, to);
        }
    }
}
/// Why a server has not started the compiler, if that is how the job ended: it says so in place of the compiler's messages.
fn not_started(answer: &Answer) -> Option<String> {
    /// 3.4's for it.
    const CODE: i32 = 110;
    let said = String::from_utf8_lossy(&answer.stderr);
    let reason = said
        .lines()
        .find_map(|line| line.split_once("(dcc_execvp) ERROR: "));
    let reason = reason.filter(|_| answer.status.code() == Some(CODE));
    reason.map(|(_, reason)| reason.replace(char::is_control, "?"))
}
