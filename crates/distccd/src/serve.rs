//! Accepts connections and gives each its own thread, until a signal ends the server.
//!
//! The first signal stops accepting, and closes connections whose job does not run yet; compilers
//! that run are finished and their clients answered. A second signal ends those, too.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with, sockopt};

use crate::actions::Guard;
use crate::event::Event;
use crate::fault::reason;
use crate::job::{self, Served};
use crate::peer::Peer;
use crate::same_user;
use crate::server::Server;
use crate::settings::Clients;
use crate::shares::Client;
use crate::signals::{self, Signal, Signals};
use crate::summary::Verdict;
use crate::wire::{Wire, timespec};

/// Pause after a failed accept, which mostly means that there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The internal code of a connection for actions that nobody runs here.
const NO_ACTIONS: i32 = 100;

/// The connections that are being served.
#[derive(Debug)]
struct Connections {
    count: AtomicUsize,
    /// Raised when one ends.
    ended: Event,
}

/// One of them, until dropped.
struct Counted(Arc<Connections>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        self.0.ended.raise();
    }
}

/// Serves all who come to `listener`, until a signal or `until` ends it; returns the signal.
pub(crate) fn daemon(
    server: &Arc<Server>,
    listener: OwnedFd,
    signals: &Signals,
    until: Option<Instant>,
) -> io::Result<Signal> {
    // A connection may be gone again between poll and accept, and then accept would wait.
    rustix::io::ioctl_fionbio(&listener, true)?;
    let connections = Arc::new(Connections::new()?);
    let mut listener = Some(listener);
    let mut pause: Option<Instant> = None;
    loop {
        let open = listener.as_ref().filter(|_| pause.is_none());
        let woken = connections.wait(signals, open, [until, pause].into_iter().flatten().min())?;
        pause = None;
        if let (true, Some(open)) = (woken.client, open) {
            match acceptfrom_with(open, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok((socket, address)) => {
                    let peer = address.map_or(Peer::NotSocket, Peer::of);
                    server.counts.connection();
                    connections.take(server, socket, peer);
                }
                Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => {}
                Err(errno) => {
                    let reason = reason(&errno.into());
                    server.log.error(
                        "dcc_standalone_server",
                        format_args!("accept failed: {reason}"),
                    );
                    pause = Some(Instant::now() + ACCEPT_PAUSE);
                }
            }
        }
        let time_is_up = until.is_some_and(|until| until <= Instant::now());
        let signal = signals.came().or(time_is_up.then_some(signals::ALARM));
        if let Some(signal) = signal {
            listener.take();
            connections.finish(server, signals, signal)?;
            server.actions.end(server);
            return Ok(signal);
        }
    }
}

/// Serves the one client at standard input and output; returns the job's internal code.
///
/// # Errors
/// The signal that ended it, or the system's refusal.
pub(crate) fn inetd(
    server: &Arc<Server>,
    wire: Wire,
    peer: Peer,
    signals: &Signals,
) -> io::Result<Result<i32, Signal>> {
    let connections = Arc::new(Connections::new()?);
    let counted = connections.one_more();
    let shared = Arc::clone(server);
    let job = std::thread::Builder::new().spawn(move || {
        let guard: Guard = Box::new(counted);
        converse(&shared, wire, &peer, guard)
    })?;
    while !connections.none() {
        connections.wait(signals, None, None)?;
        if let Some(signal) = signals.came() {
            connections.finish(server, signals, signal)?;
            server.actions.end(server);
            return Ok(Err(signal));
        }
    }
    server.actions.end(server);
    // A panic was printed, and means an error.
    Ok(Ok(job.join().unwrap_or(100)))
}

/// What ended a wait, besides signals.
struct Woken {
    client: bool,
}

impl Connections {
    fn new() -> io::Result<Self> {
        Ok(Self {
            count: AtomicUsize::new(0),
            ended: Event::new()?,
        })
    }

    fn one_more(self: &Arc<Self>) -> Counted {
        self.count.fetch_add(1, Ordering::SeqCst);
        Counted(Arc::clone(self))
    }

    fn none(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Waits for a client, a signal, the end of a connection, or `until`.
    fn wait(
        &self,
        signals: &Signals,
        listener: Option<&OwnedFd>,
        until: Option<Instant>,
    ) -> io::Result<Woken> {
        let mut fds = vec![
            PollFd::new(signals, PollFlags::IN),
            PollFd::new(&self.ended, PollFlags::IN),
        ];
        fds.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.ended.lower();
        Ok(Woken {
            client: fds.get(2).is_some_and(|fd| !fd.revents().is_empty()),
        })
    }

    /// Gives a connection its thread.
    fn take(self: &Arc<Self>, server: &Arc<Server>, socket: OwnedFd, peer: Peer) {
        let refused = |text: &str| {
            let text = format_args!("connection from client '{peer}' refused: {text}");
            server.log.error("dcc_standalone_server", text);
            // Closed without a byte it goes elsewhere, or compiles at home.
            server.counts.job(Verdict::RejOverload, Instant::now());
        };
        let Some(part) = server.connections.take(Client::of(&peer), 1) else {
            return refused("too many connections of this client");
        };
        let counted = self.one_more();
        let (shared, its_peer) = (Arc::clone(server), peer.clone());
        let spawned = std::thread::Builder::new().spawn(move || {
            let guard: Guard = Box::new((counted, part));
            connection(&shared, socket, &its_peer, guard);
        });
        if let Err(error) = spawned {
            refused(&reason(&error));
        }
    }

    /// Lets what runs come to its end.
    fn finish(&self, server: &Server, signals: &Signals, signal: Signal) -> io::Result<()> {
        let name = signals::name(signal);
        let count = self.count.load(Ordering::SeqCst);
        server.log.notice(
            "dcc_daemon_terminate",
            format_args!("{name}; {count} connections are finished first"),
        );
        server.stop.raise();
        while !self.none() {
            self.wait(signals, None, None)?;
            if let Some(signal) = signals.came() {
                let name = signals::name(signal);
                server.log.notice(
                    "dcc_daemon_terminate",
                    format_args!("{name}; ending all jobs"),
                );
                server.kill.raise();
            }
        }
        Ok(())
    }
}

fn connection(server: &Arc<Server>, socket: OwnedFd, peer: &Peer, guard: Guard) {
    if let Err(reason) = admit(server, &socket, peer) {
        server.log.error(
            "dcc_check_client",
            format_args!("connection from client '{peer}' denied by {reason}"),
        );
        return;
    }
    if matches!(peer, Peer::Tcp(_)) {
        // Answers are written in one piece, and clients that vanish should be noticed one day.
        // Neither is worth refusing a client.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        let _ = sockopt::set_socket_keepalive(&socket, true);
    }
    let patience = server.settings.patience.idle;
    let wire = Wire::socket(socket, Arc::clone(&server.stop), patience);
    converse(server, wire, peer, guard);
}

/// Serves a connection, or gives it to those who know what it speaks, and returns the internal code of the job.
fn converse(server: &Arc<Server>, wire: Wire, peer: &Peer, guard: Guard) -> i32 {
    match job::serve(server, wire, peer) {
        Served::Over(code) => code,
        Served::Http2(wire) => match server.actions.take(server, wire, peer, guard) {
            Ok(()) => 0,
            Err(text) => {
                let text = format_args!("connection from client '{peer}' refused: {text}");
                server.log.error("dcc_actions", text);
                NO_ACTIONS
            }
        },
    }
}

/// Whether a client may use this server.
pub(crate) fn admit(server: &Server, socket: &OwnedFd, peer: &Peer) -> Result<(), String> {
    match (&server.clients, peer) {
        (Clients::Unsaid, _) => Ok(()),
        (Clients::Listed(list), Peer::Tcp(address)) if list.allows(address.ip()) => Ok(()),
        (Clients::Listed(_), Peer::NotSocket) => Ok(()),
        (Clients::Listed(_), _) => Err("access list".into()),
        (Clients::SameUser, _) => {
            let uid = rustix::process::geteuid().as_raw();
            match same_user::is_user(std::os::fd::AsFd::as_fd(socket), peer, uid) {
                Ok(true) => Ok(()),
                Ok(false) => Err("--same-user".into()),
                Err(error) => Err(format!("--same-user: {}", reason(&error))),
            }
        }
    }
}
