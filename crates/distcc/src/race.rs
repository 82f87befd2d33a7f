//! A compile that the agent wants to be run here as well, because it takes long elsewhere, say: what ends first is the result.
//!
//! There is never more than one writer of its outputs. The compiler here writes them as in any local compile; what comes
//! from elsewhere is written by us, and only when nothing is left of the compiler here and of the programs that it
//! started. Messages are kept back until it is known whose they are to be.
//!
//! It needs a local slot, as any compile here, and does not wait for one: the other compile goes on meanwhile.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use protocol::jobs::{Answer, ENDED, FAILED};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, getpid, getpriority_process, pidfd_open, set_child_subreaper,
    setpriority_process,
};

use crate::account::Account;
use crate::action::{self, LIMITS};
use crate::child::{self, Child};
use crate::colours;
use crate::diagnosis::blames_source;
use crate::exit::Exit;
use crate::host_list;
use crate::local::WhyLocal;
use crate::log::{Reason, Words};
use crate::output;
use crate::schedule::{Scheduler, Slot};
use crate::settings::Settings;
use crate::text::{memory_file, read_from_start};

/// How often a free slot is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// How much nicer the compiler is than we are: nobody knows whether it is of any use.
const NICER: i32 = 10;

/// Who ended first.
pub(crate) enum Winner {
    /// The agent's compile, or nobody.
    There {
        answer: Answer,
        /// Or there was no time for it here.
        begun_here: bool,
    },
    /// The compiler here. All is written and said.
    Here(Exit),
}

/// Runs a command here, too, while `agent` has it done elsewhere.
///
/// # Errors
/// The agent's connection, if there is no result from here either.
pub(crate) fn run(
    agent: &mut BufReader<&UnixStream>,
    words: &[OsString],
    settings: &Settings,
) -> io::Result<Winner> {
    let log = &settings.log;
    let there = |answer, begun_here| Winner::There { answer, begun_here };
    let Some(slot) = free_slot(agent, settings)? else {
        return Ok(there(Answer::read(agent, LIMITS)?, false));
    };
    let mut compiler = match Compiler::start(words, slot, settings) {
        Ok(compiler) => compiler,
        Err(error) => {
            log.info("", format_args!("not run here, too: {}", Reason(&error)));
            let _ = agent.get_mut().write_all(&[FAILED]); // It may be waiting for us.
            return Ok(there(Answer::read(agent, LIMITS)?, false));
        }
    };
    let mut answer = match first_of(agent, Some(&compiler.ends), None)? {
        First::There => Some(Answer::read(agent, LIMITS)),
        First::Here | First::Neither => None,
    };
    let mut ended = None;
    if answer.is_none() {
        let here = compiler.wait();
        let is_certain = here.as_ref().is_ok_and(Ended::is_certain);
        if !is_certain {
            // A disk or a memory that is full here is not the compile's fault. If it is, the same is said elsewhere.
            match here.as_ref().is_ok_and(Ended::is_result) {
                true => log.info("", format_args!("it failed here: waiting for elsewhere")),
                false => log.warning("", format_args!("the compiler here was ended by a signal")),
            }
            // It may be waiting for us. If it has gone, that is noticed now.
            let _ = agent.get_mut().write_all(&[FAILED]);
            answer = Some(Answer::read(agent, LIMITS));
        }
        ended = Some(here);
    }
    if let Some(Ok(Answer::Done(done))) = &answer
        && action::is_result(done, settings)
    {
        if ended.is_none() {
            let host = done.host.display();
            log.info(
                "",
                format_args!("{host} was first: ending the compile here"),
            );
        }
        // What it started may be left, and would write after us.
        compiler.end();
        return Ok(there(Answer::Done(done.clone()), true));
    }
    match &answer {
        Some(Err(error)) => log.warning("", format_args!("the agent has gone: {}", Reason(error))),
        Some(Ok(_)) => log.info("", format_args!("there is no result from elsewhere")),
        None => {}
    }
    let ended = ended.unwrap_or_else(|| compiler.wait());
    match (ended, answer) {
        (Ok(ended), _) if ended.is_result() => {
            compiler.has_ended();
            Account::of_race(settings).here(&WhyLocal::EndedFirst);
            output::print(&ended.stdout, &[&ended.stderr]);
            let _ = agent.get_mut().write_all(&[ENDED]); // It may have gone.
            Ok(Winner::Here(Exit::of(ended.status)))
        }
        (_, answer) => {
            compiler.end();
            let answer = answer.unwrap_or_else(|| Answer::read(agent, LIMITS));
            Ok(there(answer?, true))
        }
    }
}

/// A local slot; none if the agent answers before there is one.
fn free_slot(agent: &BufReader<&UnixStream>, settings: &Settings) -> io::Result<Option<Slot>> {
    // Of the host list only the number of local slots matters, and that has a default.
    let list = host_list::read(settings).ok();
    let scheduler = Scheduler::new(settings, list.as_ref());
    loop {
        if let Some(slot) = scheduler.free_local_slot() {
            return Ok(Some(slot));
        }
        if let First::There = first_of(agent, None, Some(PAUSE))? {
            return Ok(None);
        }
    }
}

enum First {
    /// The agent says something, or ends.
    There,
    /// The compiler here has ended.
    Here,
    /// Not within that time.
    Neither,
}

/// Waits for the agent, for the end of the compiler here, and for no longer than this.
fn first_of(
    agent: &BufReader<&UnixStream>,
    ends: Option<&OwnedFd>,
    patience: Option<Duration>,
) -> io::Result<First> {
    if !agent.buffer().is_empty() {
        return Ok(First::There);
    }
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    let mut both = vec![PollFd::new(agent.get_ref(), PollFlags::IN)];
    both.extend(ends.map(|ends| PollFd::new(ends, PollFlags::IN)));
    loop {
        match poll(&mut both, patience.as_ref()) {
            Ok(0) => return Ok(First::Neither),
            // It may have ended, too; but then it does not have to be ended.
            Ok(_) if both.get(1).is_some_and(|ends| !ends.revents().is_empty()) => {
                return Ok(First::Here);
            }
            Ok(_) => return Ok(First::There),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The compiler here. It is ended when this is dropped, with all that it started.
struct Compiler {
    /// None when it has ended by itself, and its result counts.
    child: Option<Child>,
    /// Readable when it has ended.
    ends: OwnedFd,
    stdout: File,
    stderr: File,
    _slot: Slot,
}

/// What became of it.
struct Ended {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Ended {
    /// It ended by itself.
    fn is_result(&self) -> bool {
        !action::was_ended_by_signal(Exit::of(self.status).code(), &self.stderr)
    }

    /// It would have ended so anywhere else, too.
    fn is_certain(&self) -> bool {
        self.status.success() || (self.is_result() && blames_source(&self.stderr))
    }
}

impl Compiler {
    fn start(words: &[OsString], slot: Slot, settings: &Settings) -> io::Result<Self> {
        let mut words = words.to_vec();
        if settings.colours && !colours::are_noted(&words) {
            // In front, so that the command's own word counts.
            words.insert(1, "-fdiagnostics-color=always".into());
        }
        let text = format_args!("exec on localhost, too: {}", Words(&words));
        settings.log.info("", text);
        let (stdout, stderr) = (memory_file("distcc stdout")?, memory_file("distcc stderr")?);
        let mut command = child::command(&words, &settings.children);
        command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone()?)
            .stderr(stderr.try_clone()?);
        child::can_end_all()?;
        // What its parts leave running becomes ours, and can be ended and waited for.
        set_child_subreaper(Some(getpid()))?;
        // In our process group, so that who ends that as a whole ends this.
        let child = Child::spawn(&mut command)?;
        let pid = Pid::from_child(&child.process);
        let nice = getpriority_process(None).unwrap_or(0) + NICER;
        let _ = setpriority_process(Some(pid), nice); // It may have ended already.
        let ends = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(ends) => ends,
            Err(error) => {
                child.end_all();
                return Err(error.into());
            }
        };
        Ok(Self {
            child: Some(child),
            ends,
            stdout,
            stderr,
            _slot: slot,
        })
    }

    /// Ends it and all that it started.
    fn end(self) {
        drop(self);
    }

    /// What it left running is its own affair.
    fn has_ended(&mut self) {
        self.child = None;
    }

    /// Once.
    fn wait(&mut self) -> io::Result<Ended> {
        let child = self.child.as_mut();
        let status = child.ok_or(io::ErrorKind::NotFound)?.wait_for()?;
        Ok(Ended {
            status,
            stdout: read_from_start(&mut self.stdout)?,
            stderr: read_from_start(&mut self.stderr)?,
        })
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            child.end_all();
        }
    }
}
