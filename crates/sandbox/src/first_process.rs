//! The first process of jobs: takes one after the other, has each run in a process of its own ([`job_process`]), watches
//! and answers. What a job leaves running ends before its answer, and when this process ends.
//!
//! One process for many jobs, because to make a namespace of processes and to end it costs a third of a small job. To a
//! job it is like the kernel: nothing that a job may do reaches it (no signal, no memory, no limit, no priority), and
//! nothing of a job stays in it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, wait};
use rustix::thread::UnshareFlags;

use crate::children::Children;
use crate::confine::protect_first_process;
use crate::helper::Workshop;
use crate::job::{Ended, Job, Used};
use crate::job_process;
use crate::message::{Malformed, receive, receive_framed, send};
use crate::root;
use crate::sys::{Cloned, clone_process, end_all_others, exit_now, unblock_signals, wait_for};
use crate::usage;

/// How often is looked what a job uses.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// Runs the jobs that come over `connection`, and ends this process.
pub(crate) fn run(workshop: &Workshop, connection: &UnixStream, reports: [OwnedFd; 2]) -> ! {
    if let Err(ended) = serve(workshop, connection, reports) {
        answer(connection, &ended);
    }
    exit_now()
}

/// The server may be gone.
fn answer(connection: &UnixStream, ended: &Ended) {
    let _ = send(connection, &ended.encode(), &ended.descriptors());
}

/// An error is the last answer.
fn serve(
    workshop: &Workshop,
    connection: &UnixStream,
    [reports, report]: [OwnedFd; 2],
) -> Result<(), Ended> {
    protect_first_process().map_err(failed("protecting the first process"))?;
    if workshop.plan.is_some() {
        // The kernel keeps them from the first process; blocked ones would stay for later jobs to see.
        unblock_signals().map_err(failed("unblocking signals"))?;
    }
    let has_processes = match workshop.plan {
        Some(_) => {
            root::show_processes().map_err(|errno| failed("mounting /proc")(errno.into()))?
        }
        None => {
            // What a job leaves running comes to this process, which ends it.
            rustix::process::set_child_subreaper(Pid::from_raw(1))
                .map_err(|errno| failed("becoming a reaper")(errno.into()))?;
            false
        }
    };
    let first = First {
        workshop,
        connection,
        has_processes,
        reports,
        report,
    };
    while let Some((request, fds)) =
        receive_framed(connection).map_err(failed("reading a request"))?
    {
        let ended = first.job(&request, fds)?;
        let is_last = workshop.plan.is_none() || !ended.leaves_all_well();
        answer(connection, &ended);
        if is_last {
            break;
        }
    }
    Ok(())
}

struct First<'a> {
    workshop: &'a Workshop,
    connection: &'a UnixStream,
    /// Whether `/proc` shows this namespace.
    has_processes: bool,
    /// What jobs' processes report, and where they do.
    reports: OwnedFd,
    report: OwnedFd,
}

impl First<'_> {
    fn job(&self, request: &[u8], fds: Vec<OwnedFd>) -> Result<Ended, Ended> {
        let malformed = |error: Malformed| failed("reading a request")(error.into());
        let job = Job::decode(request).map_err(malformed)?;
        let messages = <[OwnedFd; 2]>::try_from(fds).map_err(|_| malformed(Malformed))?;
        let messages = messages.map(File::from);
        let children = self.workshop.plan.is_none().then(Children::new);
        let namespaces = match self.workshop.plan {
            Some(_) => UnshareFlags::NEWNS,
            None => UnshareFlags::empty(),
        };
        let command = match clone_process(namespaces).map_err(failed("starting a job"))? {
            Cloned::Parent(pid) => pid,
            Cloned::Child => {
                let (workshop, report) = (self.workshop, &self.report);
                job_process::run(workshop, self.has_processes, &job, &messages, report)
            }
        };
        let ended = self.watch(command, &messages);
        match children {
            Some(mut children) => children.end(command),
            // Before the answer: whoever comes next would wait for what dies slowly, and what is left running could write
            // to the results.
            None => end_all(),
        }
        let (end, took) = ended?;
        match self.reported()? {
            Some(Ended::Normally { out, folders, .. }) => Ok(Ended::Normally {
                status: end,
                out,
                folders,
                used: took,
            }),
            Some(other) => Ok(other),
            None => Err(Ended::Failed(format!(
                "a job's process ended before it became the program (wait status {end:#x})"
            ))),
        }
    }

    /// The last report of a process that is over, or has become the program.
    fn reported(&self) -> Result<Option<Ended>, Ended> {
        let mut last = None;
        let mut bytes = [0; 8192];
        loop {
            match receive(&self.reports, &mut bytes) {
                Ok((length, fds)) => last = Some((bytes[..length].to_vec(), fds)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(failed("reading a report")(error)),
            }
        }
        last.map(|(bytes, fds)| Ended::decode(&bytes, fds))
            .transpose()
            .map_err(|error| failed("reading a report")(error.into()))
    }

    /// Waits for the command; the server hanging up and the limits end it.
    fn watch(&self, command: Pid, messages: &[File; 2]) -> Result<(u32, Used), Ended> {
        let over = pidfd_open(command, PidfdFlags::empty());
        let over = over.map_err(|errno| failed("watching the command")(errno.into()))?;
        loop {
            let mut fds = [
                PollFd::new(&over, PollFlags::IN),
                PollFd::new(self.connection, PollFlags::IN | PollFlags::RDHUP),
            ];
            match poll(&mut fds, Some(&LOOK)) {
                Ok(0) if self.has_processes => {
                    if let Some(text) = usage::exceeded(&self.workshop.config.limits, messages) {
                        return Err(Ended::Exceeded(text));
                    }
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed("watching the command")(errno.into())),
            }
            let [ended, gone] = fds.map(|fd| !fd.revents().is_empty());
            if ended {
                return wait_for(command).map_err(failed("waiting for the command"));
            }
            if gone {
                return Err(Ended::Failed("nobody waits for the job".into()));
            }
        }
    }
}

/// Ends all other processes of this namespace.
fn end_all() {
    end_all_others();
    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Ended {
    move |error| Ended::Failed(format!("{doing}: {error}"))
}
