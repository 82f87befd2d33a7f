//! The hot path: one command, compiled on some host or here.
//!
//! What it costs beyond the work itself, for a job that the first host takes, is counted in the
//! modules that spend it: PATH look-ups (`compiler_name`), a lock and a back-off mark
//! (`schedule`), five records (`monitor`), two writes and a few reads (`remote`), one
//! rename (`output`).

use std::ffi::{OsStr, OsString};

use command::client::{WpWithoutFile, expand_wp, local_option, native, separate_language};
use command::{Compile, Plan, plan};
use hosts::{Host, Transport};
use protocol::Version;

use crate::account::Account;
use crate::compiler_name;
use crate::discrepancy;
use crate::exchange::{Answer, Fault};
use crate::exit::{Ending, Exit};
use crate::fresh_files;
use crate::host_list;
use crate::local::{self, WhyLocal};
use crate::log::Reason;
use crate::mail;
use crate::monitor::Monitor;
use crate::output;
use crate::preprocess::{PreprocessError, Source};
use crate::remote::{self, Failure, Job};
use crate::response_file;
use crate::saved;
use crate::schedule::{LocalWork, Scheduler};
use crate::settings::{Limits, Settings};
use crate::this_machine;

/// Exit codes from here on are those of a server that could not run the compiler.
const OUR_CODES: i32 = 100;

/// Runs a command, `words` as they were typed, where it is best run.
pub(crate) fn run(words: &[OsString], settings: &Settings) -> Exit {
    match settings.children.depth {
        0 => {}
        // The distcc above us had a masquerade folder in its PATH behind its own.
        1 if settings.children.path_changed => {
            return run_here(words, &WhyLocal::Nested, settings);
        }
        _ => {
            settings.log.critical(
                "main",
                format_args!("distcc seems to have invoked itself recursively!"),
            );
            return Exit::RECURSION;
        }
    }
    match look_at(words, settings) {
        Ok(compile) => distribute(words, &compile, settings),
        Err(why) => run_here(words, &why, settings),
    }
}

/// What a command compiles, in the words that other machines understand; or why it cannot be
/// distributed.
pub(crate) fn look_at(words: &[OsString], settings: &Settings) -> Result<Compile, WhyLocal> {
    let words = response_file::expand(words.to_vec(), |file| std::fs::read(file).ok());
    let words = expand_wp(&words).map_err(|WpWithoutFile| {
        settings.log.warning(
            "copy_extra_args",
            format_args!("'-Wp,-MD' or '-Wp,-MMD' option is missing filename argument"),
        );
        WhyLocal::WpWithoutFile
    })?;
    let words = separate_language(words);
    if !native::asks_for_this_machine(&words) {
        return planned(&words, settings);
    }
    // The compiler is asked only for a command that would be distributed otherwise.
    planned(&native::without_this_machine(&words), settings)?;
    let words = this_machine::spelled_out(&words, settings).map_err(WhyLocal::ThisMachine)?;
    planned(&words, settings)
}

fn planned(words: &[OsString], settings: &Settings) -> Result<Compile, WhyLocal> {
    let compile = match plan(words) {
        Plan::Distribute(compile) => compiler_name::rewrite(compile, settings),
        Plan::Local(why) => return Err(WhyLocal::Command(why)),
    };
    match local_option(compile.argv()) {
        None => Ok(compile),
        Some(option) => Err(WhyLocal::Option(option)),
    }
}

/// Runs a command that was never to be distributed.
fn run_here(words: &[OsString], why: &WhyLocal, settings: &Settings) -> Exit {
    // Of the host list only the number of local slots matters, and that has a default.
    let list = host_list::read(settings).ok();
    let scheduler = Scheduler::new(settings, list.as_ref());
    let work = match why {
        WhyLocal::Command(plan::WhyLocal::Preprocess) => LocalWork::Preprocess,
        _ => LocalWork::Compile,
    };
    let slot = scheduler.wait_for_local_slot(work);
    let mut monitor = Monitor::new(settings, OsStr::new(""));
    Account::new(settings).here(why);
    local::run(words, None, &slot, &mut monitor, settings)
}

/// Runs a compile on the first host that does it, or here.
fn distribute(words: &[OsString], compile: &Compile, settings: &Settings) -> Exit {
    let log = &settings.log;
    let list = host_list::read(settings)
        .map(|list| host_list::usable(list, log))
        .map_err(|none| none.report(log))
        .ok();
    let mut here = Here {
        words,
        compile,
        settings,
        scheduler: Scheduler::new(settings, list.as_ref()),
        monitor: Monitor::new(settings, compile.input()),
        account: Account::new(settings),
    };
    let mut source = Source::NotStarted;
    let mut failed = None;
    while let Some((host, slot)) = here.scheduler.wait_for_slot() {
        if host.transport == Transport::Local {
            return here.run_in(&slot, &WhyLocal::Chosen);
        }
        // They matter on hosts only, and 3.4 insists on them there.
        let limits = match settings.limits() {
            Ok(limits) => limits,
            Err(bad) => {
                log.error("", format_args!("{bad}"));
                return Exit::BAD_ARGUMENTS;
            }
        };
        let job = Job {
            compile,
            settings,
            limits,
        };
        let Here {
            scheduler, monitor, ..
        } = &mut here;
        match remote::attempt(job, host, slot.number, &mut source, scheduler, monitor) {
            Ok(answer) => {
                let number = slot.number;
                drop(slot);
                return here.conclude(host, number, &answer, &source, limits);
            }
            Err(Failure::Host(fault)) => {
                report(host, &fault, settings);
                here.scheduler.host_failed(host);
                here.account.host_failed();
                failed = Some((host, fault));
                // It holds a slot of this machine, which may be the next host.
                if let Err(error) = source.settle() {
                    drop(slot);
                    return here.without_source(host, error);
                }
            }
            Err(Failure::Source(error)) => {
                drop(slot);
                return here.without_source(host, error);
            }
            Err(Failure::IncludeServer) => return Exit::NO_INCLUDES,
        }
    }
    let (host, why) = match (failed, &list) {
        (Some((host, fault)), _) => {
            let spec = host.spec.clone();
            (Some(host), WhyLocal::HostFailed { host: spec, fault })
        }
        (None, Some(_)) => (None, WhyLocal::NoHostLeft),
        (None, None) => (None, WhyLocal::NoHostList),
    };
    here.fall_back(host, &why).unwrap_or_else(|| {
        here.account.nowhere(&why);
        Exit::NO_HOSTS
    })
}

/// Says what is wrong with a host.
#[cold]
fn report(host: &Host, fault: &Fault, settings: &Settings) {
    match fault {
        Fault::Connect(error) => settings.log.error("", format_args!("{error}")),
        fault => {
            let spec = host.spec.display();
            settings.log.error("", format_args!("{spec}: {fault}"));
        }
    }
}

/// What it takes to run the job here after all.
struct Here<'a> {
    words: &'a [OsString],
    compile: &'a Compile,
    settings: &'a Settings,
    scheduler: Scheduler<'a>,
    monitor: Monitor<'a>,
    account: Account<'a>,
}

impl Here<'_> {
    /// Makes the most of a host's answer.
    fn conclude(
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
            if answer.object.is_empty() {
                return self.without_object(host);
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
        let why = WhyLocal::CompilerFailed {
            host: host.spec.clone(),
            status: answer.status,
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
        let write = |path: &OsStr, content: &[u8]| {
            output::write(path, content).map_err(|error| (path.to_owned(), error))
        };
        let compile = self.compile;
        write(compile.output(), &answer.object)?;
        if answer.version != Version::Pump {
            return Ok(()); // The preprocessor wrote the dependency file.
        }
        let wanted = compile.dependencies(self.settings.dependencies_output.as_deref());
        match wanted {
            Some(wanted) if wanted.append => output::append(&wanted.file, &answer.dependencies)
                .map_err(|error| (wanted.file, error)),
            Some(wanted) => write(&wanted.file, &answer.dependencies),
            None => Ok(()),
        }
    }

    /// No compiler makes an object of nothing: the server's wrote another file, or none. What is
    /// right shows here; only if there is an object then, the host is to blame.
    #[cold]
    fn without_object(&mut self, host: &Host) -> Exit {
        let why = WhyLocal::EmptyObject {
            host: host.spec.clone(),
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

    /// Where the source cannot be preprocessed, no host is to blame: the compiler says why, once.
    #[cold]
    fn without_source(&mut self, host: &Host, error: PreprocessError) -> Exit {
        let settings = self.settings;
        if settings.fallback && !settings.skip_local_retry {
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
            PreprocessError::Io(_) | PreprocessError::TooLong(_) => {
                failed(format_args!(" failed: {error}"));
                Exit::IO_ERROR
            }
        }
    }

    /// Compiles here what no host did. `None` if that is forbidden.
    #[cold]
    fn fall_back(&mut self, tried: Option<&Host>, why: &WhyLocal) -> Option<Exit> {
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

    fn run_in(&mut self, slot: &crate::schedule::Slot, why: &WhyLocal) -> Exit {
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
            Some(code) if code < OUR_CODES => self.scheduler.host_differs(host),
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
