//! Which host, which slot, and when.
//!
//! Slots are lock files below `$DISTCC_DIR`, shared with every other client of this user,
//! distcc 3.4 included. All first slots are tried before any second one, hosts in the order of
//! the list, so that jobs spread; when all are taken we wait and ask again. Source: 3.4.
//!
//! Three things are ours: a host that failed is not tried again by the same process, whatever the
//! back-off period; where no host can ever give a slot, we say so and do not wait; and we do not
//! sleep for `DISTCC_PAUSE_TIME_MSEC`, but wait so long for one of the slots, each process for
//! another one. 48 commands of 0.1 s in two slots take 2.8 s so, near the 2.4 s that two slots
//! can do, and 8.8 s with 3.4.
//!
//! Cost where the first host has a free slot: one `stat` for its back-off mark, and its lock.

use std::cell::Cell;
use std::ffi::OsStr;
use std::thread;
use std::time::SystemTime;

use hosts::{Host, HostList, Transport};
use statedir::lock::SlotLock;
use statedir::{HostKey, StateDir};

use crate::alarm::Alarm;
use crate::log::Reason;
use crate::settings::Settings;

/// Local compiles at once, where no host list says more.
const LOCAL_SLOTS: u32 = 4;
/// Local preprocessors at once, where no host list says more.
const LOCAL_CPP_SLOTS: u32 = 8;

/// A slot, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Its number on its host, from 0.
    pub(crate) number: u32,
    /// None where locks do not work.
    _lock: Option<SlotLock>,
}

/// What a local slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LocalWork {
    /// A whole compile, or a link.
    Compile,
    /// Preprocessing, or waiting for the include server.
    Preprocess,
}

/// Hands out slots.
#[derive(Debug)]
pub(crate) struct Scheduler<'a> {
    settings: &'a Settings,
    hosts: &'a [Host],
    local_slots: u32,
    local_cpp_slots: u32,
    /// Hosts that failed in this process.
    failed: Vec<HostKey>,
    /// Locks do not work: we complained, and go on without.
    without_locks: Cell<bool>,
    /// How often we waited.
    turns: Cell<u32>,
}

impl<'a> Scheduler<'a> {
    /// Without a host list there are local slots only.
    pub(crate) fn new(settings: &'a Settings, list: Option<&'a HostList>) -> Self {
        Self {
            settings,
            hosts: list.map_or(&[], |list| &list.hosts),
            local_slots: list.map_or(LOCAL_SLOTS, |list| list.local_slots),
            local_cpp_slots: list.map_or(LOCAL_CPP_SLOTS, |list| list.local_cpp_slots),
            failed: Vec::new(),
            without_locks: Cell::new(false),
            turns: Cell::new(0),
        }
    }

    /// Waits for a slot on some host, possibly this one. `None` if no host can give one.
    pub(crate) fn wait_for_slot(&self) -> Option<(&'a Host, Slot)> {
        loop {
            let usable = |host: &Host| self.is_usable(host);
            if self.without_locks.get() {
                return pick_without_locks(self.hosts, usable, std::process::id());
            }
            match first_free(self.hosts, usable, |host, number| {
                self.try_lock(&key(host), number)
            }) {
                Search::Found(host, slot) => return Some((host, slot)),
                Search::NoneUsable => return None,
                Search::AllTaken if self.without_locks.get() => {}
                Search::AllTaken => {
                    let usable = self.hosts.iter().filter(|host| self.is_usable(host));
                    let slots: Vec<(&Host, u32)> = usable
                        .flat_map(|host| (0..host.slots).map(move |number| (host, number)))
                        .collect();
                    let wanted = |nth: usize| (key(slots[nth].0), slots[nth].1);
                    if let Some((nth, slot)) = self.wait_for_one("hosts", slots.len(), wanted)
                        // It may have failed while we waited.
                        && self.is_usable(slots[nth].0)
                    {
                        return Some((slots[nth].0, slot));
                    }
                }
            }
        }
    }

    /// A slot on this machine for a compile, if one is free.
    pub(crate) fn free_local_slot(&self) -> Option<Slot> {
        let key = HostKey::local();
        let free = (0..self.local_slots).find_map(|number| self.try_lock(&key, number));
        free.or_else(|| {
            self.without_locks.get().then_some(Slot {
                number: 0,
                _lock: None,
            })
        })
    }

    /// Waits for a slot on this machine.
    pub(crate) fn wait_for_local_slot(&self, work: LocalWork) -> Slot {
        let slots = match work {
            LocalWork::Compile => self.local_slots,
            LocalWork::Preprocess => self.local_cpp_slots,
        };
        let key = HostKey::local();
        loop {
            let free = (0..slots).find_map(|number| self.try_lock(&key, number));
            match free {
                Some(slot) => return slot,
                None if self.without_locks.get() => {
                    return Slot {
                        number: 0,
                        _lock: None,
                    };
                }
                None => {
                    let wanted = |nth| (key.clone(), u32::try_from(nth).unwrap_or(0));
                    let waited = self.wait_for_one("this machine", slots as usize, wanted);
                    if let Some((_, slot)) = waited {
                        return slot;
                    }
                }
            }
        }
    }

    /// Waits for one of `count` slots, each of which is taken: `wanted` names them. `None` if it
    /// was not free in time, or cannot be waited for.
    fn wait_for_one(
        &self,
        whose: &str,
        count: usize,
        wanted: impl Fn(usize) -> (HostKey, u32),
    ) -> Option<(usize, Slot)> {
        let pause = self.settings.pause;
        self.settings.log.debug(
            "dcc_lock_pause",
            format_args!("all slots of {whose} are taken, waiting {pause:?} for one"),
        );
        let turn = self.turns.replace(self.turns.get().wrapping_add(1));
        // Neighbours wait for neighbouring slots.
        let nth = (std::process::id().wrapping_add(turn) as usize).checked_rem(count);
        if let (Some(nth), Some(state)) = (nth, &self.settings.state) {
            let (host, number) = wanted(nth);
            let _alarm = Alarm::every(pause);
            if let Ok(lock) = state.wait_lock(&host, number) {
                let held = |lock| Slot {
                    number,
                    _lock: Some(lock),
                };
                return lock.map(|lock| (nth, held(lock)));
            }
        }
        thread::sleep(pause);
        None
    }

    fn is_usable(&self, host: &Host) -> bool {
        let key = key(host);
        !host.down && !self.failed.contains(&key) && !self.in_backoff(host, &key)
    }

    fn in_backoff(&self, host: &Host, key: &HostKey) -> bool {
        let period = self.settings.backoff_period;
        match &self.settings.state {
            Some(state) if !period.is_zero() && host.transport != Transport::Local => {
                state.in_backoff(key, period, SystemTime::now())
            }
            _ => false,
        }
    }

    /// Takes a slot if it is free. The first time that locks turn out not to work, complains and
    /// remembers.
    fn try_lock(&self, host: &HostKey, number: u32) -> Option<Slot> {
        if self.without_locks.get() {
            return None;
        }
        let complain = |text: std::fmt::Arguments<'_>| {
            self.settings.log.warning("dcc_lock_one", text);
            self.without_locks.set(true);
        };
        let Some(state) = &self.settings.state else {
            complain(format_args!(
                "neither DISTCC_DIR nor HOME is set; going on without counting jobs"
            ));
            return None;
        };
        match state.try_lock(host, number) {
            Ok(lock) => lock.map(|lock| Slot {
                number,
                _lock: Some(lock),
            }),
            Err(error) => {
                complain(format_args!(
                    "failed to lock in {}: {}; going on without counting jobs",
                    state.path().display(),
                    Reason(&error)
                ));
                None
            }
        }
    }

    /// Notes that a host failed: it gets no further job from this process, and for a while none
    /// from others.
    pub(crate) fn host_failed(&mut self, host: &Host) {
        let key = key(host);
        if let Some(state) = self.marks() {
            // A mark that cannot be written costs others an attempt, no more.
            let _ = state.back_off(&key);
        }
        self.failed.push(key);
    }

    /// Does without a host in this process, which is not its fault.
    pub(crate) fn pass_over(&mut self, host: &Host) {
        self.failed.push(key(host));
    }

    /// Notes that a compiler failed on a host with this source, and not here: with one file that may be the file's fault.
    pub(crate) fn host_differs(&mut self, host: &Host, source: &OsStr) {
        let period = self.settings.backoff_period;
        let again = self.marks().and_then(|state| {
            let source = std::path::absolute(source).ok()?;
            let now = SystemTime::now();
            state.doubt(&key(host), &source, period, now).ok()
        });
        if again == Some(true) {
            self.host_failed(host);
        }
    }

    /// Notes that a host did a job.
    pub(crate) fn host_worked(&self, host: &Host) {
        if let Some(state) = self.marks() {
            // As above: the mark ages anyway.
            let _ = state.clear_backoff(&key(host));
        }
    }

    /// Where back-off marks are, if there are any.
    fn marks(&self) -> Option<&StateDir> {
        let in_use = !self.settings.backoff_period.is_zero() && !self.without_locks.get();
        self.settings.state.as_ref().filter(|_| in_use)
    }
}

/// The part of file names that stands for a host.
fn key(host: &Host) -> HostKey {
    match &host.transport {
        Transport::Local => HostKey::local(),
        Transport::Tcp { host, port } => HostKey::tcp(host, *port),
        Transport::Ssh { host, .. } => HostKey::ssh(host),
        Transport::Engine { .. } => unreachable!("engines are the agent's"),
    }
}

/// What a look at all slots gave.
#[derive(Debug, PartialEq, Eq)]
enum Search<H, L> {
    Found(H, L),
    AllTaken,
    NoneUsable,
}

/// The first free slot: all hosts' slots 0, then all slots 1, and so on. `usable` is asked at
/// most once per host, and only for those that are reached.
fn first_free<L>(
    hosts: &[Host],
    mut usable: impl FnMut(&Host) -> bool,
    mut try_lock: impl FnMut(&Host, u32) -> Option<L>,
) -> Search<&Host, L> {
    let most = hosts.iter().map(|host| host.slots).max().unwrap_or(0);
    let mut left: Vec<Option<&Host>> = hosts.iter().map(Some).collect();
    for number in 0..most {
        for place in &mut left {
            let Some(host) = *place else { continue };
            if number == 0 && !usable(host) {
                *place = None;
            } else if number < host.slots
                && let Some(lock) = try_lock(host, number)
            {
                return Search::Found(host, lock);
            }
        }
    }
    match left.iter().any(Option::is_some) {
        true => Search::AllTaken,
        false => Search::NoneUsable,
    }
}

/// A host for a process that cannot count jobs: chance, by our pid, weighed by slots.
fn pick_without_locks(
    hosts: &[Host],
    usable: impl Fn(&Host) -> bool,
    pid: u32,
) -> Option<(&Host, Slot)> {
    let usable: Vec<&Host> = hosts.iter().filter(|host| usable(host)).collect();
    let all: u64 = usable.iter().map(|host| u64::from(host.slots)).sum();
    let mut nth = u64::from(pid).checked_rem(all)?;
    for host in usable {
        if let Some(beyond) = nth.checked_sub(u64::from(host.slots)) {
            nth = beyond;
            continue;
        }
        let number = nth as u32;
        return Some((
            host,
            Slot {
                number,
                _lock: None,
            },
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, slots: u32) -> Host {
        Host {
            spec: name.into(),
            transport: Transport::Tcp {
                host: name.into(),
                port: 3632,
            },
            slots,
            lzo: false,
            cpp: false,
            down: false,
            auth: None,
        }
    }

    fn name(host: &Host) -> &str {
        host.spec.to_str().unwrap()
    }

    /// Tries slots until the given number of them was refused; shows all that were tried.
    fn tried(hosts: &[Host], unusable: &str, refusals: usize) -> (String, bool) {
        let mut tried = String::new();
        let mut left = refusals;
        let found = first_free(
            hosts,
            |host| name(host) != unusable,
            |host, number| {
                tried += &format!("{}{number} ", name(host));
                left = left.checked_sub(1)?;
                None::<()>
            },
        );
        (tried, found == Search::NoneUsable)
    }

    #[test]
    fn first_slots_of_all_hosts_come_before_second_ones() {
        let hosts = [host("a", 2), host("b", 1), host("c", 3)];
        assert_eq!(tried(&hosts, "", 9).0, "a0 b0 c0 a1 c1 c2 ");
        assert_eq!(tried(&hosts, "a", 9).0, "b0 c0 c1 c2 ");
    }

    #[test]
    fn the_first_free_slot_is_taken() {
        let hosts = [host("a", 2), host("b", 1)];
        let found = first_free(
            &hosts,
            |_| true,
            |host, number| (name(host) == "a" && number == 1).then_some("lock"),
        );
        assert_eq!(found, Search::Found(&hosts[0], "lock"));
    }

    #[test]
    fn no_usable_host_is_told_from_taken_slots() {
        assert!(tried(&[host("a", 2)], "a", 9).1);
        assert!(tried(&[], "", 9).1);
        assert!(!tried(&[host("a", 2)], "", 9).1);
    }

    #[test]
    fn without_locks_chance_is_weighed_by_slots() {
        let hosts = [host("a", 2), host("b", 0), host("c", 1)];
        let pick = |pid| {
            let (host, slot) = pick_without_locks(&hosts, |_| true, pid).unwrap();
            format!("{}{}", name(host), slot.number)
        };
        assert_eq!([0, 1, 2, 3].map(pick), ["a0", "a1", "c0", "a0"]);
        assert!(pick_without_locks(&hosts, |_| false, 7).is_none());
    }
}
