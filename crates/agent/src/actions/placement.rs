//! Which server runs an action.
//!
//! Each server has so many places, as the host list says. An action goes to the server with the smallest part of its
//! places taken, in the list's order where they are equal; if all are taken it waits for the first that becomes free.
//! A server that cannot be reached is left alone for a while, and its actions go to others; one that says that it has
//! too much to do is left alone for as long as it asks for, but no action waits a minute for such servers. What a
//! server refuses runs where it was called.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use remote::{Endpoint, Order, Outcome, Server, Trouble};
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// How long a server that cannot be reached is left alone; as distcc does with its hosts.
const BACKOFF: Duration = Duration::from_secs(60);
/// How long one that is overloaded is left alone if it says nothing.
const BUSY: Duration = Duration::from_secs(1);
/// Nobody waits longer for a server that says when to come again.
const LONGEST: Duration = Duration::from_secs(30);
/// Whose action was told so for this long by one server after the other goes on without them.
const ENOUGH: Duration = Duration::from_secs(60);

/// All servers of a host list.
pub struct Placement {
    hosts: Vec<Host>,
    /// Called when a place becomes free, or a server comes back.
    changed: Notify,
}

struct Host {
    endpoint: Endpoint,
    /// As in the host list.
    name: String,
    slots: u32,
    state: Mutex<State>,
    connection: AsyncMutex<Option<Arc<Server>>>,
}

#[derive(Default)]
struct State {
    taken: u32,
    not_before: Option<Instant>,
    /// Why it is left alone.
    why: Option<Trouble>,
}

/// A place on a server, until dropped.
struct Taken<'p> {
    placement: &'p Placement,
    host: &'p Host,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.host.lock().taken -= 1;
        self.placement.changed.notify_one();
    }
}

/// Where the next action goes.
enum Choice<'p> {
    Take(Taken<'p>),
    /// All places are taken.
    Full,
    /// All servers are left alone, the first until then.
    Until(Instant),
    /// None can be reached; why.
    Nobody(String),
}

impl Placement {
    /// `hosts` are servers and how many actions each gets at once.
    #[must_use]
    pub fn new(hosts: impl IntoIterator<Item = (Endpoint, u32)>) -> Self {
        let host = |(endpoint, slots): (Endpoint, u32)| Host {
            name: endpoint.to_string(),
            endpoint,
            slots: slots.max(1),
            state: Mutex::default(),
            connection: AsyncMutex::default(),
        };
        Self {
            hosts: hosts.into_iter().map(host).collect(),
            changed: Notify::new(),
        }
    }

    /// Whether there is any server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Runs an action, and says where it ran.
    ///
    /// # Errors
    /// Why no server runs it, in words.
    pub async fn run(&self, order: &Order) -> Result<(String, Outcome), String> {
        let mut first_busy = None;
        loop {
            let changed = self.changed.notified();
            let taken = match self.choose(Instant::now()) {
                Choice::Take(taken) => taken,
                Choice::Full => {
                    changed.await;
                    continue;
                }
                Choice::Until(time) => {
                    tokio::time::sleep_until(time.into()).await;
                    continue;
                }
                Choice::Nobody(why) => return Err(why),
            };
            let host = taken.host;
            let ran = match host.connected().await {
                Ok(server) => server.run(order).await,
                Err(trouble) => Err(trouble),
            };
            let trouble = match ran {
                Ok(outcome) => return Ok((host.name.clone(), outcome)),
                Err(trouble) => trouble,
            };
            let pause = match &trouble {
                Trouble::Away(_) => BACKOFF,
                Trouble::Busy { again, .. } => {
                    let since = *first_busy.get_or_insert_with(Instant::now);
                    if since.elapsed() >= ENOUGH {
                        return Err(format!("{}: {trouble}", host.name));
                    }
                    again.unwrap_or(BUSY).min(LONGEST)
                }
                _ => return Err(format!("{}: {trouble}", host.name)),
            };
            host.leave_alone(pause, trouble).await;
            // None of those who wait for a place will get this one's.
            self.changed.notify_waiters();
        }
    }

    fn choose(&self, now: Instant) -> Choice<'_> {
        let mut best: Option<(&Host, f64)> = None;
        let mut full = false;
        let mut first: Option<Instant> = None;
        let mut why = Vec::new();
        for host in &self.hosts {
            let state = host.lock();
            if let Some(time) = state.not_before.filter(|time| *time > now) {
                match &state.why {
                    Some(Trouble::Busy { .. }) => {
                        first = Some(first.map_or(time, |first| first.min(time)));
                    }
                    Some(trouble) => why.push(format!("{}: {trouble}", host.name)),
                    None => {}
                }
                continue;
            }
            if state.taken >= host.slots {
                full = true;
                continue;
            }
            let part = f64::from(state.taken) / f64::from(host.slots);
            if best.is_none_or(|(_, least)| part < least) {
                best = Some((host, part));
            }
        }
        match (best, full, first) {
            (Some((host, _)), ..) => {
                host.lock().taken += 1;
                Choice::Take(Taken {
                    placement: self,
                    host,
                })
            }
            (None, true, _) => Choice::Full,
            (None, false, Some(time)) => Choice::Until(time),
            (None, false, None) => Choice::Nobody(match why.is_empty() {
                true => "there is no server".to_owned(),
                false => why.join("; "),
            }),
        }
    }
}

impl Host {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, made when it is needed first.
    async fn connected(&self) -> Result<Arc<Server>, Trouble> {
        let mut connection = self.connection.lock().await;
        if let Some(server) = &*connection {
            return Ok(Arc::clone(server));
        }
        let server = Arc::new(Server::connect(&self.endpoint).await?);
        *connection = Some(Arc::clone(&server));
        Ok(server)
    }

    async fn leave_alone(&self, pause: Duration, trouble: Trouble) {
        if matches!(trouble, Trouble::Away(_)) {
            // What comes back may be another one.
            *self.connection.lock().await = None;
        }
        let mut state = self.lock();
        state.not_before = Some(Instant::now() + pause);
        state.why = Some(trouble);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(slots: &[u32]) -> Placement {
        let endpoint = |number| Endpoint::parse(&format!("grpc://h{number}:1")).unwrap();
        Placement::new((0..).map(endpoint).zip(slots.iter().copied()))
    }

    fn take(placement: &Placement, now: Instant) -> Taken<'_> {
        match placement.choose(now) {
            Choice::Take(taken) => taken,
            _ => panic!("no server is free"),
        }
    }

    #[test]
    fn the_server_with_the_smallest_part_taken_is_next() {
        let (placement, now) = (placement(&[2, 4]), Instant::now());
        let order: Vec<_> = (0..6).map(|_| take(&placement, now)).collect();
        let names: Vec<_> = order.iter().map(|taken| &*taken.host.name).collect();
        let [a, b] = ["grpc://h0:1", "grpc://h1:1"];
        assert_eq!(names, [a, b, b, a, b, b]);
        assert!(matches!(placement.choose(now), Choice::Full));
        drop(order);
        assert_eq!(take(&placement, now).host.name, a);
    }

    #[tokio::test]
    async fn who_has_too_much_to_do_is_waited_for_and_who_is_away_is_not() {
        let (placement, now) = (placement(&[1, 1]), Instant::now());
        let away = |said: &str| Trouble::Away(said.to_owned());
        let busy = Trouble::Busy {
            said: String::new(),
            again: None,
        };
        let [first, second] = &placement.hosts[..] else {
            panic!("two were given");
        };
        first.leave_alone(BACKOFF, away("x")).await;
        assert_eq!(take(&placement, now).host.name, second.name);
        second.leave_alone(BUSY, busy).await;
        assert!(matches!(placement.choose(now), Choice::Until(time) if time > now));
        let later = Instant::now() + BUSY;
        assert_eq!(take(&placement, later).host.name, second.name);
        second.leave_alone(BACKOFF, away("y")).await;
        let Choice::Nobody(why) = placement.choose(now) else {
            panic!("both are away");
        };
        let expected = "grpc://h0:1: not reachable: x; grpc://h1:1: not reachable: y";
        assert_eq!(why, expected);
        let later = Instant::now() + BACKOFF;
        assert_eq!(take(&placement, later).host.name, first.name);
    }

    #[tokio::test]
    async fn a_placement_whose_servers_are_all_away_says_so() {
        // It is taken, and nobody listens.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let endpoint = Endpoint::parse(&format!("grpc://{address}")).unwrap();
        let placement = Placement::new([(endpoint, 1)]);
        struct Nothing;
        impl remote::Contents for Nothing {
            fn content(&self, _: &action::Digest) -> std::io::Result<remote::Content> {
                unreachable!("nobody is there to be sent anything")
            }
        }
        let order = Order {
            action: action::Digest::of(b""),
            blobs: Arc::default(),
            outputs: Arc::default(),
            cached: true,
            contents: Arc::new(Nothing),
        };
        // Also those who wait for its only place.
        let run = || placement.run(&order);
        let (a, b, c, d) = tokio::join!(run(), run(), run(), run());
        for why in [a, b, c, d].map(Result::unwrap_err) {
            assert!(why.contains("not reachable"), "{why}");
        }
    }
}
