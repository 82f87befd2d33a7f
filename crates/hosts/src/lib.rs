//! Host lists: what stands in `DISTCC_HOSTS` and in hosts files.
//!
//! Pure: text in, hosts out. Where the text comes from is the client's business, and so is the
//! message for a list without hosts, because it names that place.
//!
//! Reading order: the types here, then `entry` (one host), `cursor` (reading bytes as 3.4 does).
//!
//! Source: `distcc(1)`, "HOST SPECIFICATIONS", and experiments with distcc 3.4 where it says
//! less. The tests keep what those showed, oddities included: text behind the part of an entry
//! that is understood is ignored (`a,lzo/8` has 4 slots).
//!
//! Departures, all on entries that 3.4 cannot use either:
//! - `#` ends an entry wherever it stands. 3.4 looks for a host named `a#note` in `a#note`, and
//!   refuses `a:80#note`, although its manual has comments directly behind an entry.
//! - A port must fit in 16 bits. 3.4 connects to port 4464 where 70000 is written.
//! - Counts are clamped to 0..2^31; a negative one is 0, which uses a host as little as 3.4 does.
//!   The local counts are 1 then: 3.4 waits for ever.
#![forbid(unsafe_code)]

mod cursor;
mod entry;
#[cfg(test)]
mod fuzzed;

use std::ffi::{OsStr, OsString};
use std::fmt;

use cursor::{Cursor, is_blank};

/// A parsed host list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostList {
    /// The hosts in the order given.
    pub hosts: Vec<Host>,
    /// `--randomize` was given: shuffle the list before use.
    pub randomize: bool,
    /// `--localslots=N`: compiles that run at once on this machine. Default 4.
    pub local_slots: u32,
    /// `--localslots_cpp=N`: preprocessors that run at once on this machine. Default 8.
    pub local_cpp_slots: u32,
    /// `+zeroconf` was given.
    pub zeroconf: bool,
    /// Errors that 3.4 prints and then gets over: a bad number of `--localslots`.
    pub complaints: Vec<HostError>,
}

/// One entry of a host list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The entry as written, for messages.
    pub spec: OsString,
    /// How it is reached.
    pub transport: Transport,
    /// How many jobs a client gives it at once.
    pub slots: u32,
    /// `lzo`: bulk data is compressed.
    pub lzo: bool,
    /// `cpp`: the server preprocesses. Implies `lzo`.
    pub cpp: bool,
    /// `down`: never used, only listed.
    pub down: bool,
    /// `auth` or `auth=NAME`: GSS-API authentication is asked for, with this name if one is given.
    pub auth: Option<Option<OsString>>,
}

/// How a host is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `localhost`: the compile runs here, without any server.
    Local,
    /// A distccd listening on a TCP port.
    Tcp {
        /// Name or address as written, without the brackets of an IPv6 address.
        host: OsString,
        /// The port, 3632 unless given.
        port: u16,
    },
    /// `ssh` runs a distccd for each job.
    Ssh {
        /// The user in front of `@`, if any.
        user: Option<OsString>,
        /// Name or address as written.
        host: OsString,
        /// The command behind `:`, `distccd` unless given.
        command: Option<OsString>,
    },
    /// `grpc://HOST:PORT/INSTANCE`: an engine of the Remote Execution API, which only the agent below `pump` reaches.
    Engine {
        /// All of it, without options.
        name: OsString,
    },
}

/// Why a host list cannot be used. `Display` gives distcc 3.4's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// Offset in bytes, from 0, of the entry that does not fit.
    pub offset: usize,
    /// The message of distcc 3.4. Where it quotes, it quotes the list from there to its end.
    pub message: String,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

/// Parses a host list: entries between blanks or newlines, `#` comments.
///
/// # Errors
/// [`HostError`]: one bad entry spoils the list, as in 3.4.
pub fn parse(text: &[u8]) -> Result<HostList, HostError> {
    let mut list = HostList {
        hosts: Vec::new(),
        randomize: false,
        local_slots: 4,
        local_cpp_slots: 8,
        zeroconf: false,
        complaints: Vec::new(),
    };
    let mut rest = text;
    while let Some(&first) = rest.first() {
        if is_blank(first) {
            rest = &rest[1..];
            continue;
        }
        if first == b'#' {
            let line = rest.iter().position(|&b| b == b'\n');
            rest = &rest[line.unwrap_or(rest.len())..];
            continue;
        }
        let len = cursor::entry_len(rest);
        let failed = |message| HostError {
            offset: text.len() - rest.len(),
            message,
        };
        if !list.take_option(rest, &rest[..len], failed) {
            let host = entry::parse(rest, &rest[..len]).map_err(failed)?;
            list.hosts.push(host);
        }
        rest = &rest[len..];
    }
    Ok(list)
}

/// The command that starts a server behind ssh, which is `ssh` with its own options: for a host of [`Transport::Ssh`].
#[must_use]
pub fn ssh_command(
    ssh: &[OsString],
    user: Option<&OsStr>,
    host: &OsStr,
    command: Option<&OsStr>,
) -> Vec<OsString> {
    let mut words = ssh.to_vec();
    if let Some(user) = user {
        words.extend(["-l".into(), user.to_owned()]);
    }
    words.push(host.to_owned());
    words.push(command.unwrap_or(OsStr::new("distccd")).to_owned());
    words.extend(["--inetd".into(), "--enable-tcp-insecure".into()]);
    words
}

impl HostList {
    /// Takes an entry that is an option and not a host; `rest` is the list from this entry on.
    fn take_option(
        &mut self,
        rest: &[u8],
        entry: &[u8],
        failed: impl Fn(String) -> HostError,
    ) -> bool {
        if entry.starts_with(b"--randomize") {
            self.randomize = true;
        } else if let Some(tail) = rest.strip_prefix(b"--localslots_cpp") {
            match Cursor::new(tail).multiplier() {
                Ok(slots) => self.local_cpp_slots = slots.unwrap_or(self.local_cpp_slots).max(1),
                Err(message) => self.complaints.push(failed(message)),
            }
        } else if let Some(tail) = rest.strip_prefix(b"--localslots") {
            match Cursor::new(tail).multiplier() {
                Ok(slots) => self.local_slots = slots.unwrap_or(self.local_slots).max(1),
                Err(message) => {
                    self.complaints.push(failed(message));
                    return false; // 3.4 goes on to take the word for a host.
                }
            }
        } else if entry == b"+zeroconf" {
            self.zeroconf = true;
        } else {
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests;
