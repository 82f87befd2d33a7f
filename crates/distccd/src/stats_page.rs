//! The statistics page (`--stats`): 3.4's fields, over just enough of HTTP.
//!
//! One thread for all who ask, which never waits for any of them: who sends no request gets the page
//! after a moment all the same, as from 3.4, and who does not take it is left.

use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, acceptfrom_with};

use crate::counts::{Longest, Totals};
use crate::machine::{self, Disks, Load};
use crate::peer::Peer;
use crate::serve::admit;
use crate::server::Server;
use crate::summary::Verdict;
use crate::wire::timespec;

/// How long a request is waited for, and how long for its sender to go.
const PATIENCE: Duration = Duration::from_millis(500);
/// Beyond so many at a time the one that came first is left.
const VISITORS: usize = 32;
/// A look at the machine serves all who ask within this time.
const FRESH: Duration = Duration::from_secs(1);
/// Names that clients choose are cut to this.
const LONGEST_NAME: usize = 200;

/// Somebody who asks.
struct Visitor {
    socket: OwnedFd,
    answered: bool,
    until: Instant,
}

/// Serves the page on `listener` in a thread of its own, as long as the server lives.
///
/// # Errors
/// The system's refusal.
pub(crate) fn start(server: &Arc<Server>, listener: OwnedFd) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&listener, true)?;
    let server = Arc::clone(server);
    std::thread::Builder::new()
        .name("stats".into())
        .spawn(move || Page::new(&server).serve(&listener))
        .map(|_| ())
}

/// The page and what it remembers.
struct Page<'a> {
    server: &'a Server,
    disks: Disks,
    load: Option<(Instant, Load)>,
    visitors: Vec<Visitor>,
}

impl<'a> Page<'a> {
    fn new(server: &'a Server) -> Self {
        Self {
            server,
            disks: Disks::default(),
            load: None,
            visitors: Vec::new(),
        }
    }

    fn serve(mut self, listener: &OwnedFd) {
        loop {
            let mut fds = vec![PollFd::new(listener, PollFlags::IN)];
            let sockets = self.visitors.iter();
            fds.extend(sockets.map(|visitor| PollFd::new(&visitor.socket, PollFlags::IN)));
            let until = self.visitors.iter().map(|visitor| visitor.until).min();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            // Interrupted or not, all are looked at.
            let _ = poll(&mut fds, left.map(timespec).as_ref());
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            let visitors = std::mem::take(&mut self.visitors);
            for (visitor, ready) in visitors.into_iter().zip(&ready[1..]) {
                let still_here = self.look_after(visitor, *ready);
                self.visitors.extend(still_here);
            }
            if ready[0] {
                self.welcome(listener);
            }
        }
    }

    fn welcome(&mut self, listener: &OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (socket, peer) = match acceptfrom_with(listener, flags) {
            Ok((socket, address)) => (socket, address.map_or(Peer::NotSocket, Peer::of)),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return,
            // Out of descriptors: the next attempt shall not come at once.
            Err(_) => return std::thread::sleep(PATIENCE),
        };
        let log = &self.server.log;
        if let Err(reason) = admit(self.server, &socket, &peer) {
            let text = format_args!("connection from client '{peer}' denied by {reason}");
            return log.error("dcc_check_client", text);
        }
        log.info("dcc_check_client", format_args!("connection from {peer}"));
        if self.visitors.len() == VISITORS {
            self.visitors.remove(0);
        }
        self.visitors.push(Visitor {
            socket,
            answered: false,
            until: Instant::now() + PATIENCE,
        });
    }

    /// Returns who has not gone yet.
    fn look_after(&mut self, mut visitor: Visitor, ready: bool) -> Option<Visitor> {
        let now = Instant::now();
        if !ready && now < visitor.until {
            return Some(visitor);
        }
        let got = match ready {
            true => rustix::net::recv(&visitor.socket, &mut [0; 1024], RecvFlags::DONTWAIT),
            false => Err(Errno::AGAIN),
        };
        if visitor.answered {
            let more = matches!(got, Ok((1.., _)));
            return (more && now < visitor.until).then_some(visitor);
        }
        let page = self.text(now);
        // It fits into the socket's buffer as a whole.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::send(&visitor.socket, page.as_bytes(), flags).ok()?;
        // Closed at once, bytes of a request that are still to come would take the page with them.
        rustix::net::shutdown(&visitor.socket, Shutdown::Write).ok()?;
        visitor.answered = true;
        visitor.until = now + PATIENCE;
        Some(visitor)
    }

    fn text(&mut self, now: Instant) -> String {
        let load = match self.load.take() {
            Some((at, load)) if now < at + FRESH => (at, load),
            _ => (now, Load::look()),
        };
        let settings = &self.server.settings;
        let machine = Machine {
            load: &load.1,
            io_rate: self.disks.rate(now),
            free_space: machine::free_space(&settings.temp_folder),
        };
        let page = page(&self.server.counts.totals(now), settings.jobs, &machine);
        self.load = Some(load);
        page
    }
}

/// What is told of the machine.
struct Machine<'a> {
    load: &'a Load,
    io_rate: Option<u64>,
    free_space: i64,
}

/// The page with its header.
fn page(totals: &Totals, jobs: u64, machine: &Machine<'_>) -> String {
    let mut page = "HTTP/1.0 200 OK\nContent-Type: text/plain\nConnection: close\n\n\
                    argv /distccd\n<distccstats>\n"
        .to_owned();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(page, "dcc_{name} {value}"); // Strings take it all.
    };
    line("tcp_accept", &totals.connections);
    for (name, verdict) in [
        ("rej_bad_req", Verdict::RejBadReq),
        ("rej_overload", Verdict::RejOverload),
        ("compile_ok", Verdict::CompileOk),
        ("compile_error", Verdict::CompileError),
        ("compile_timeout", Verdict::CompileTimeout),
        ("cli_disconnect", Verdict::CliDisconn),
        ("other", Verdict::Other),
    ] {
        line(name, &totals.of(verdict));
    }
    let longest = totals.longest.as_ref();
    let name = |of: fn(&Longest) -> &str| longest.map_or("none".into(), |job| printable(of(job)));
    line("longest_job", &name(|job| &job.source));
    line("longest_job_compiler", &name(|job| &job.compiler));
    let time = longest.map(|job| i64::try_from(job.time.as_millis()).unwrap_or(i64::MAX));
    line("longest_job_time_msecs", &time.unwrap_or(-1));
    line("max_kids", &jobs);
    for (number, running) in (1..).zip(totals.running) {
        line(&format!("avg_kids{number}"), &running);
    }
    let load = machine.load;
    line("current_load", &load.running);
    for (number, average) in (1..).zip(load.averages) {
        line(&format!("load{number}"), &format_args!("{average:.2}"));
    }
    for (number, compiles) in (1..).zip(totals.compiles) {
        line(&format!("num_compiles{number}"), &compiles);
    }
    line("num_procstate_D", &load.waiting);
    line("max_RSS", &load.largest.0);
    line("max_RSS_name", &printable(&load.largest.1));
    let rate = machine
        .io_rate
        .map_or(-1, |rate| i64::try_from(rate).unwrap_or(i64::MAX));
    line("io_rate", &rate);
    line("free_space", &format_args!("{} MB", machine.free_space));
    page + "</distccstats>\n"
}

/// A name that cannot pretend to be another line of the page.
fn printable(name: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    name.chars().take(LONGEST_NAME).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Counts;

    #[test]
    fn the_page_is_3_4s() {
        let now = Instant::now();
        let counts = Counts::new(now);
        counts.connection();
        counts.job(Verdict::CompileOk, now);
        let longest = || Longest {
            time: Duration::from_millis(48),
            compiler: "x86_64-linux-gnu-gcc".into(),
            source: "a.c\ndcc_other 7".into(),
        };
        counts.success(Duration::from_millis(40), longest, now);
        let machine = Machine {
            load: &Load {
                running: 1,
                averages: [0.44, 0.43, 1.345],
                waiting: 2,
                largest: (14476, "(python3)".into()),
            },
            io_rate: None,
            free_space: 77419,
        };
        let expected = "HTTP/1.0 200 OK\nContent-Type: text/plain\nConnection: close\n\n\
            argv /distccd\n<distccstats>\n\
            dcc_tcp_accept 1\ndcc_rej_bad_req 0\ndcc_rej_overload 0\ndcc_compile_ok 1\n\
            dcc_compile_error 0\ndcc_compile_timeout 0\ndcc_cli_disconnect 0\ndcc_other 0\n\
            dcc_longest_job a.c?dcc_other 7\ndcc_longest_job_compiler x86_64-linux-gnu-gcc\n\
            dcc_longest_job_time_msecs 48\ndcc_max_kids 3\n\
            dcc_avg_kids1 0\ndcc_avg_kids2 0\ndcc_avg_kids3 0\ndcc_current_load 1\n\
            dcc_load1 0.44\ndcc_load2 0.43\ndcc_load3 1.34\n\
            dcc_num_compiles1 1\ndcc_num_compiles2 1\ndcc_num_compiles3 1\n\
            dcc_num_procstate_D 2\ndcc_max_RSS 14476\ndcc_max_RSS_name (python3)\n\
            dcc_io_rate -1\ndcc_free_space 77419 MB\n</distccstats>\n";
        assert_eq!(page(&counts.totals(now), 3, &machine), expected);
    }

    #[test]
    fn names_have_an_end() {
        assert_eq!(printable(&"x".repeat(5000)).len(), LONGEST_NAME);
    }
}
