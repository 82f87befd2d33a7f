//! The hot path: one command, compiled on some host or here.
//!
//! What it costs beyond the work itself, for a job that the first host takes, is counted in the
//! modules that spend it: PATH look-ups (`compiler_name`), a lock and a back-off mark
//! (`schedule`), five records (`monitor`), two writes and a few reads (`remote`), one
//! rename (`output`). What becomes of a job is in [`crate::conclusion`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;

use command::client::{
    LocalOption, WpWithoutFile, expand_wp, native, separate_language, without_precompiled_header,
};
use command::{Compile, Plan, extension, plan};
use hosts::{Host, Transport};

use crate::account::Account;
use crate::action::{self, Attempt, NotDone};
use crate::colours;
use crate::compiler_name;
use crate::conclusion::Here;
use crate::exchange::Fault;
use crate::exit::Exit;
use crate::host_list;
use crate::local::{self, WhyLocal};
use crate::monitor::Monitor;
use crate::preprocess::Source;
use crate::remote::{self, Failure, Job};
use crate::response_file;
use crate::schedule::{LocalWork, Scheduler};
use crate::settings::Settings;
use crate::this_machine;
use crate::tools_chosen;

/// Runs a command, `words` as they were typed, where it is best run.
pub(crate) fn run(words: &[OsString], settings: &Settings) -> Exit {
    match settings.children.depth {
        0 => {}
        // The distcc above us had a masquerade folder in its PATH behind its own.
        depth if depth < 0 || depth == 1 && settings.children.path_changed => {
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
    let not_done = match action::attempt(words, settings) {
        Attempt::Done(exit) => return exit,
        Attempt::Stays(why) => return run_here(words, &WhyLocal::NoAction(why), settings),
        Attempt::Doubtful(host) => return make_sure_here(words, &host, settings),
        Attempt::NotDone(why) => why,
    };
    match look_at(words, settings) {
        Ok(compile) if settings.colours => {
            distribute(words, &colours::asked_for(compile), not_done, settings)
        }
        Ok(compile) => distribute(words, &compile, not_done, settings),
        // An action might have done it: that there was none is the reason, too.
        Err(why @ WhyLocal::Option(_)) => match not_done {
            NotDone::Away(first) | NotDone::Passed(first) => {
                let both = format!("{}; and otherwise: {why}", first.display());
                run_here(words, &WhyLocal::NoAction(both.into()), settings)
            }
            NotDone::Refused(_) | NotDone::Nobody | NotDone::Gone => {
                run_here(words, &why, settings)
            }
        },
        Err(why) => run_here(words, &why, settings),
    }
}

/// What a command compiles, in the words that other machines understand; or why it cannot be
/// distributed.
pub(crate) fn look_at(words: &[OsString], settings: &Settings) -> Result<Compile, WhyLocal> {
    let words = response_file::expand(words.to_vec(), |file| std::fs::read(file).ok());
    Ok(look_at_expanded(&words, settings)?.with_target_of_wp(&words))
}

fn look_at_expanded(words: &[OsString], settings: &Settings) -> Result<Compile, WhyLocal> {
    if let Some(name) = settings.compilers_variable {
        return Err(WhyLocal::Variable(name));
    }
    let words = expand_wp(words).map_err(|WpWithoutFile| {
        settings.log.warning(
            "copy_extra_args",
            format_args!("'-Wp,-MD' or '-Wp,-MMD' option is missing filename argument"),
        );
        WhyLocal::WpWithoutFile
    })?;
    let words = without_precompiled_header(separate_language(words));
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
    // No preprocessor runs, which would write it; gcc writes a rule for such a source, too.
    let variable = settings.dependencies_output.as_deref();
    if compile.input_is_preprocessed()
        && variable.is_some()
        && compile.dependencies(variable).is_some()
    {
        return Err(WhyLocal::Variable("DEPENDENCIES_OUTPUT"));
    }
    match compile
        .local_option()
        .or_else(|| tools_chosen::that_matters(&compile, &settings.children.path))
    {
        None => match folder_would_be_lost(&compile) {
            None => Ok(compile),
            Some(option) => Err(WhyLocal::Option(option)),
        },
        Some(option) => Err(WhyLocal::Option(option)),
    }
}

/// The option that would have gcc note a server's folder as the one where this was compiled: it goes by the text, where
/// that names a folder, as one made with `-g` does.
fn folder_would_be_lost(compile: &Compile) -> Option<LocalOption> {
    let compiler = compile.argv()[0].as_encoded_bytes();
    // clang is told the folder.
    let is_clang = compiler.windows(5).any(|part| part == b"clang");
    if !compile.input_is_preprocessed() || is_clang {
        return None;
    }
    let option = compile.notes_folder()?;
    let mut start = Vec::new();
    // A pipe can be read only once.
    let is_file = std::fs::metadata(compile.input()).is_ok_and(|input| input.is_file());
    let file = is_file
        .then(|| File::open(compile.input()).ok())
        .flatten()?;
    file.take(START).read_to_end(&mut start).ok()?;
    let mut lines = start.split(|&byte| byte == b'\n').take(8);
    let names_folder = lines.any(|line| line.starts_with(b"# ") && line.ends_with(b"//\""));
    (!names_folder).then_some(option)
}

/// What a preprocessor says of the folder stands within the first bytes.
const START: u64 = 64 << 10;

/// Runs a command that failed on a host, for no reason that the source gave.
#[cold]
fn make_sure_here(words: &[OsString], host: &OsStr, settings: &Settings) -> Exit {
    let host = host.display();
    let why = format!("it failed on {host}, without an error in the source");
    let exit = run_here(words, &WhyLocal::NoAction(why.into()), settings);
    if exit == Exit::SUCCESS {
        let text = format_args!(
            "it failed on {host}, and does not here: is its disk full, or its memory?"
        );
        settings.log.warning("", text);
    }
    exit
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
    // For monitors and messages only, so the first word that looks like a source will do.
    let is_source = |word: &&OsString| {
        !word.as_encoded_bytes().starts_with(b"-") && extension::source(word).is_some()
    };
    let source = words.iter().skip(1).find(is_source);
    let source = source.map(OsString::as_os_str);
    let mut monitor = Monitor::new(settings, source.unwrap_or_default());
    Account::new(settings).here(why);
    local::run(words, source, &slot, &mut monitor, settings)
}

/// Runs a compile on the first host that does it, or here. As an action it was `not_done`.
fn distribute(
    words: &[OsString],
    compile: &Compile,
    not_done: NotDone,
    settings: &Settings,
) -> Exit {
    let log = &settings.log;
    let list = host_list::read(settings)
        .map(|list| host_list::usable(list, settings.pump.port.is_some(), log))
        .map_err(|none| none.report(log))
        .ok();
    let is_gone = matches!(not_done, NotDone::Gone);
    // There are engines only: what they said is all there is to say.
    let mut away = None;
    if list.as_ref().is_some_and(|list| list.hosts.is_empty()) {
        match not_done {
            NotDone::Refused(why) => {
                return run_here(words, &WhyLocal::NoAction(why), settings);
            }
            NotDone::Away(why) => away = Some(WhyLocal::NoAction(why)),
            NotDone::Passed(_) | NotDone::Nobody | NotDone::Gone => {}
        }
    }
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
        // It would have had the action, and gets no text in place of it. In pump mode the include server is asked again.
        if is_gone && settings.fallback && !host.cpp {
            drop(slot);
            return here
                .fall_back(Some(host), &WhyLocal::NoIncludeServer)
                .unwrap_or(Exit::NO_INCLUDES);
        }
        // They matter on hosts only, and 3.4 insists on them there.
        let limits = match settings.limits(host.cpp) {
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
                // A host that refuses one command does others.
                let is_fine = fault.is_this_machines() || matches!(fault, Fault::Refused(_));
                match is_fine {
                    true => here.scheduler.pass_over(host),
                    false => here.scheduler.host_failed(host),
                }
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
            Err(Failure::NoIncludeServer) => {
                drop(slot);
                return here
                    .fall_back(Some(host), &WhyLocal::NoIncludeServer)
                    .unwrap_or(Exit::NO_INCLUDES);
            }
        }
    }
    let (host, why) = match (failed, &list) {
        (Some((host, fault)), _) => {
            let spec = host.spec.clone();
            (Some(host), WhyLocal::HostFailed { host: spec, fault })
        }
        (None, Some(list)) if is_gone && list.hosts.is_empty() => (None, WhyLocal::NoIncludeServer),
        (None, Some(_)) => (None, away.unwrap_or(WhyLocal::NoHostLeft)),
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
