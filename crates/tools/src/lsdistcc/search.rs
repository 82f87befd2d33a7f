//! All hosts at once: names are looked up a few at a time, and each host that has an address is
//! connected to without waiting for the others.
//!
//! One loop owns everything and sleeps in `poll` until a lookup is answered, a socket is ready
//! or the earliest deadline has come; nothing in it blocks.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::connection::{Connection, Progress, WhyDown};
use super::options::Options;
use super::resolve::{Answer, Resolver};
use super::{complain, print, probe};

/// How often a name is asked for.
const LOOKUPS: u32 = 5;

/// Most sockets open at once; further hosts wait for their turn.
const MAX_OPEN: u64 = 512;

/// Descriptors kept free for the resolver.
const SPARE_DESCRIPTORS: u64 = 64;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All was asked, and at least one name exists.
    Found,
    /// All was asked, and no name exists.
    NothingFound,
    /// The total time is over.
    TimeOut,
}

/// A search and all hosts in it. A host is in one of the three lists at a time.
pub(super) struct Search<'a> {
    options: &'a Options,
    domain: Option<&'a OsStr>,
    deadline: Option<Instant>,
    output: &'a mut dyn Write,
    resolver: Resolver,
    /// The test compile; empty if there is none.
    request: Vec<u8>,
    max_open: usize,
    lookups: Vec<Lookup>,
    /// Hosts with an address that wait for a free descriptor.
    waiting: VecDeque<(OsString, Ipv4Addr)>,
    connections: Vec<(OsString, Connection)>,
    /// Index of the next name to look up.
    next: usize,
    /// Index behind the last name to look up.
    end: usize,
    /// How many names do not exist.
    missing: usize,
    /// The first address found, which `-m` compares with.
    first: Option<Ipv4Addr>,
    /// Whether a name that exists has been dealt with.
    found: bool,
}

/// A name whose address is asked for.
struct Lookup {
    id: usize,
    name: OsString,
    /// How often it was asked for.
    asked: u32,
    /// When it was asked for last.
    since: Instant,
}

/// What woke the loop.
struct Events {
    answers: Vec<Answer>,
    /// For each connection, whether it is ready.
    ready: Vec<bool>,
}

impl<'a> Search<'a> {
    /// A search that has not begun. It ends at `deadline`, and lists hosts on `output`.
    ///
    /// # Errors
    /// The threads that look names up cannot be started.
    pub(super) fn new(
        options: &'a Options,
        domain: Option<&'a OsStr>,
        deadline: Option<Instant>,
        output: &'a mut dyn Write,
    ) -> io::Result<Self> {
        let probe = options.probe.as_ref();
        let request = probe.map(|probe| probe::encode_request(options.version, &probe.compiler));
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let max_open = descriptors.saturating_sub(SPARE_DESCRIPTORS);
        Ok(Self {
            options,
            domain,
            deadline,
            output,
            resolver: Resolver::start()?,
            request: request.unwrap_or_default(),
            max_open: max_open.clamp(1, MAX_OPEN) as usize,
            lookups: Vec::new(),
            waiting: VecDeque::new(),
            connections: Vec::new(),
            next: 0,
            end: options.names.len(),
            missing: 0,
            first: None,
            found: false,
        })
    }

    /// Asks all hosts.
    ///
    /// # Errors
    /// The list cannot be written, or the system refuses to wait.
    pub(super) fn run(mut self) -> io::Result<Outcome> {
        loop {
            self.start_lookups();
            self.start_connections()?;
            if self.lookups.is_empty() && self.connections.is_empty() {
                return Ok(match self.found {
                    true => Outcome::Found,
                    false => Outcome::NothingFound,
                });
            }
            let events = self.wait()?;
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(Outcome::TimeOut);
            }
            self.advance_lookups(&events.answers, now)?;
            self.advance_connections(&events.ready, now)?;
        }
    }

    fn start_lookups(&mut self) {
        while self.next < self.end && self.lookups.len() <= self.options.extra_lookups {
            let id = self.next;
            let name = self.options.names.name(id, self.domain);
            self.log(format_args!("Looking up {}", name.display()));
            self.resolver.ask(id, &name);
            self.lookups.push(Lookup {
                id,
                name,
                asked: 1,
                since: Instant::now(),
            });
            self.next += 1;
        }
    }

    fn start_connections(&mut self) -> io::Result<()> {
        while self.connections.len() < self.max_open
            && let Some((name, address)) = self.waiting.pop_front()
        {
            self.log(format_args!("Connecting to {}", name.display()));
            let now = Instant::now();
            match Connection::open(address, self.options.port, now) {
                Ok(connection) => self.connections.push((name, connection)),
                Err(error) => {
                    let why = WhyDown::CannotConnect(error).about(name.display());
                    self.log(format_args!("{why}"));
                    self.finish(&name, address, false, Duration::ZERO)?;
                }
            }
        }
        Ok(())
    }

    /// Waits for what comes first.
    fn wait(&mut self) -> io::Result<Events> {
        let retries = self.lookups.iter().map(|lookup| self.retry_time(lookup));
        let connections = self.connections.iter();
        let connections = connections.map(|(_, connection)| connection.deadline(self.options));
        let deadlines = retries.chain(connections).chain([self.deadline]);
        let timeout = deadlines.flatten().min().map(|deadline| {
            let timeout = deadline.saturating_duration_since(Instant::now());
            Timespec::try_from(timeout).unwrap_or(Timespec {
                tv_sec: i32::MAX.into(),
                tv_nsec: 0,
            })
        });

        let bell = (self.resolver.bell(), PollFlags::IN);
        let sockets = self.connections.iter();
        let sockets = sockets.map(|(_, connection)| connection.interest(&self.request));
        let mut fds: Vec<PollFd<'_>> = std::iter::once(bell)
            .chain(sockets)
            .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
            .collect();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let rings = ready.remove(0);
        Ok(Events {
            answers: match rings {
                true => self.resolver.take_answers(),
                false => Vec::new(),
            },
            ready,
        })
    }

    /// When a name is asked for again, or given up.
    fn retry_time(&self, lookup: &Lookup) -> Option<Instant> {
        lookup.since.checked_add(self.options.dns_retry?)
    }

    fn advance_lookups(&mut self, answers: &[Answer], now: Instant) -> io::Result<()> {
        for mut lookup in std::mem::take(&mut self.lookups) {
            let answer = answers.iter().find(|answer| answer.id == lookup.id);
            let is_late = self.retry_time(&lookup).is_some_and(|time| now >= time);
            match answer.map(|answer| answer.address) {
                Some(Some(address)) if self.is_near(address) => {
                    self.on_address(lookup.name, address)?;
                }
                None if !is_late => self.lookups.push(lookup),
                None if lookup.asked < LOOKUPS => {
                    self.log(format_args!("Looking up {} again", lookup.name.display()));
                    self.resolver.ask_again(lookup.id, &lookup.name)?;
                    lookup.asked += 1;
                    lookup.since = now;
                    self.lookups.push(lookup);
                }
                _ => {
                    self.log(format_args!("{} not found", lookup.name.display()));
                    self.on_missing();
                }
            }
        }
        Ok(())
    }

    /// Whether an address begins like the first one found, as `-m` asks.
    fn is_near(&self, address: Ipv4Addr) -> bool {
        let Some(first) = self.first else {
            return true;
        };
        let differing = first.to_bits() ^ address.to_bits();
        differing.leading_zeros() >= self.options.same_bits
    }

    fn on_address(&mut self, name: OsString, address: Ipv4Addr) -> io::Result<()> {
        self.first.get_or_insert(address);
        if self.options.connect.is_some() {
            self.waiting.push_back((name, address));
            return Ok(());
        }
        self.finish(&name, address, true, Duration::ZERO)
    }

    fn on_missing(&mut self) {
        self.missing += 1;
        if self.missing > self.options.tolerated && self.next < self.end {
            self.end = self.next;
            if self.options.verbose {
                complain(&format!(
                    "Already searching up to host {}, won't search any higher",
                    self.end
                ));
            }
        }
    }

    fn advance_connections(&mut self, ready: &[bool], now: Instant) -> io::Result<()> {
        let connections = std::mem::take(&mut self.connections);
        for ((name, mut connection), &is_ready) in connections.into_iter().zip(ready) {
            let progress = connection.advance(self.options, &self.request, now, is_ready);
            let host = name.display();
            let is_up = match progress {
                Progress::Waiting => None,
                Progress::Compiling => {
                    self.log(format_args!("{host}: sending compile request"));
                    None
                }
                Progress::Up => Some(true),
                Progress::Down(why) => {
                    self.log(format_args!("{}", why.about(host)));
                    Some(false)
                }
            };
            match is_up {
                Some(is_up) => {
                    let latency = now.saturating_duration_since(connection.started);
                    self.finish(&name, connection.address, is_up, latency)?;
                }
                None => self.connections.push((name, connection)),
            }
        }
        Ok(())
    }

    /// Lists a host, if it is to be listed.
    fn finish(
        &mut self,
        name: &OsStr,
        address: Ipv4Addr,
        is_up: bool,
        latency: Duration,
    ) -> io::Result<()> {
        self.found = true;
        if !is_up && !self.options.show_down {
            return Ok(());
        }
        let line = print::line(self.options, name, address, is_up, latency);
        self.output.write_all(&line)?;
        self.output.flush()
    }

    /// Tells what happens, and when, if `-v` asks for it.
    fn log(&self, event: fmt::Arguments<'_>) {
        if self.options.verbose {
            let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let (seconds, millis) = (now.as_secs(), now.subsec_millis());
            complain(&format!("now {seconds} {millis}: {event}"));
        }
    }
}
