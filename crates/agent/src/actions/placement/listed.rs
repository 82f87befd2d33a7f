//! The hosts of a list, as placement sees them: which may run actions, and how each is reached.

use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;

use hosts::Transport;
use remote::{Endpoint, Order, Outcome, Server, Trouble};
use statedir::{HostKey, StateDir};

use super::host::{Reach, Runs};
use super::slots::Slots;

/// A host of a list, reached in a way `W`.
#[derive(Debug)]
pub(super) struct Listed<W> {
    /// As the list has it.
    pub(super) name: String,
    pub(super) slots: Slots,
    pub(super) place: Place<W>,
}

/// What is known of a host by its name.
#[derive(Debug)]
pub(super) enum Place<W> {
    /// It runs actions.
    Engine(W),
    /// A `distccd` that runs actions if it is one of ours.
    Server(W),
    /// It takes what clients send by themselves: this machine, or a name that only clients know how to reach.
    Clients,
}

/// How a host is reached.
#[derive(Clone, Debug)]
pub enum Way {
    Network(Endpoint),
    /// This command talks to it.
    Program(Vec<OsString>),
}

impl Reach for Way {
    type Server = Server;

    async fn connect(&self) -> Result<Server, Trouble> {
        match self {
            Self::Network(endpoint) => Server::connect(endpoint).await,
            Self::Program(words) => Server::connect_by(words).await,
        }
    }
}

impl Runs for Server {
    async fn run(&self, order: &Order) -> Result<Outcome, Trouble> {
        Server::run(self, order).await
    }

    async fn is_there(&self) -> bool {
        Server::is_there(self).await
    }

    fn executes(&self) -> bool {
        Server::executes(self)
    }
}

/// What clients know of hosts besides the list.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where clients keep their locks.
    pub state: Option<StateDir>,
    /// `ssh` and its options.
    pub ssh: Vec<OsString>,
    /// Not so with `DISTCC_FALLBACK=0`.
    pub may_fall_back: bool,
}

/// The words of `DISTCC_SSH`, as clients read it.
#[must_use]
pub fn ssh_words(value: Option<&OsStr>) -> Vec<OsString> {
    let bytes = value.unwrap_or_default().as_bytes();
    let words = bytes.split(|byte| b" \t\n\x0b\x0c\r".contains(byte));
    let words = words.filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(|word| OsStr::from_bytes(word).into()).collect();
    match words.is_empty() {
        true => vec!["ssh".into()],
        false => words,
    }
}

/// Reads a host list.
///
/// # Errors
/// What is wrong with an entry, in words.
pub(super) fn read(list: &OsStr, around: &Surroundings) -> Result<Vec<Listed<Way>>, String> {
    let mut list = hosts::parse(list.as_bytes()).map_err(|error| error.to_string())?;
    if list.randomize {
        list.hosts
            .sort_by_cached_key(|host| RandomState::new().hash_one(&host.spec));
    }
    let mut all = Vec::new();
    let mut keys: Vec<HostKey> = Vec::new();
    for host in list.hosts {
        // As clients do.
        if host.down || host.auth.is_some() {
            continue;
        }
        let (key, place) = match &host.transport {
            Transport::Engine { name } => {
                let endpoint = Endpoint::parse(&name.to_string_lossy());
                let endpoint = endpoint.map_err(|error| error.to_string())?;
                (None, Place::Engine(Way::Network(endpoint)))
            }
            Transport::Local => (Some(HostKey::local()), Place::Clients),
            Transport::Tcp { host, port } => {
                let endpoint = network(host, *port);
                let place = endpoint.map_or(Place::Clients, |it| Place::Server(Way::Network(it)));
                (Some(HostKey::tcp(host, *port)), place)
            }
            Transport::Ssh {
                user,
                host,
                command,
            } => {
                let (user, command) = (user.as_deref(), command.as_deref());
                let words = hosts::ssh_command(&around.ssh, user, host, command);
                let place = Place::Server(Way::Program(words));
                (Some(HostKey::ssh(host)), place)
            }
        };
        if let Some(key) = &key {
            // Two entries with the same locks are one host: what counts its slots may be there once.
            if keys.contains(key) {
                continue;
            }
            keys.push(key.clone());
        }
        let files = around.state.clone().zip(key);
        all.push(Listed {
            name: host.spec.to_string_lossy().into_owned(),
            slots: Slots::new(host.slots, files),
            place,
        });
    }
    Ok(all)
}

/// The slots in which clients with this list count what they compile here.
///
/// # Errors
/// What is wrong with an entry, in words.
pub(super) fn slots_here(list: &OsStr, around: &Surroundings) -> Result<Slots, String> {
    let list = hosts::parse(list.as_bytes()).map_err(|error| error.to_string())?;
    let files = around.state.clone().map(|state| (state, HostKey::local()));
    Ok(Slots::new(list.local_slots, files))
}

/// None for a name that has no place in the protocol.
fn network(host: &OsStr, port: u16) -> Option<Endpoint> {
    let host = host.to_str()?;
    let authority = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
    Endpoint::parse(&format!("grpc://{authority}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(list: &[u8]) -> Result<Vec<String>, String> {
        let around = Surroundings {
            state: None,
            ssh: vec!["ssh".into(), "-q".into()],
            may_fall_back: true,
        };
        let way = |way: &Way| match way {
            Way::Network(endpoint) => endpoint.to_string(),
            Way::Program(words) => words.join(OsStr::new(" ")).display().to_string(),
        };
        let show = |host: Listed<Way>| {
            let place = match &host.place {
                Place::Engine(engine) => format!("engine {}", way(engine)),
                Place::Server(server) => way(server),
                Place::Clients => "clients".to_owned(),
            };
            format!("{} {place}", host.slots.count())
        };
        Ok(read(OsStr::from_bytes(list), &around)?
            .into_iter()
            .map(show)
            .collect())
    }

    #[test]
    fn each_kind_of_host_is_reached_in_its_way() {
        let list = b"localhost/2 red red:4000/8,cpp,lzo [::1]:3700/2 u@far/3:d,lzo @near \
            grpc://b:2/x,slots=5 off,down wants,auth \xff";
        let expected = [
            "2 clients",
            "4 grpc://red:3632",
            "8 grpc://red:4000",
            "2 grpc://[::1]:3700",
            "3 ssh -q -l u far d --inetd --enable-tcp-insecure",
            "4 ssh -q near distccd --inetd --enable-tcp-insecure",
            "5 engine grpc://b:2/x",
            "4 clients",
        ];
        assert_eq!(show(list).unwrap(), expected);
        assert_eq!(show(b" "), Ok(Vec::new()));
        assert!(show(b"grpc://u@\xff:1").is_err() && show(b"a,b").is_err());
    }

    #[test]
    fn ssh_may_have_options_of_its_own() {
        assert_eq!(ssh_words(None), ["ssh"]);
        assert_eq!(ssh_words(Some(" ".as_ref())), ["ssh"]);
        assert_eq!(ssh_words(Some(" a  -b\tc".as_ref())), ["a", "-b", "c"]);
    }

    #[test]
    fn entries_with_the_same_locks_are_one_host() {
        assert_eq!(show(b"red red:3632/8 red:1 @a u@a").unwrap().len(), 3);
    }
}
