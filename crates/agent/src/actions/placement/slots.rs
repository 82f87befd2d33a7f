//! How many jobs a host gets at once.
//!
//! Slots of hosts that clients use as well are clients' lock files: one count for both ways to a host, for several
//! builds of one user, and for distcc 3.4. Such a lock belongs to a process, so this one keeps count of its own: it
//! never opens the file of a slot that it holds.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use statedir::lock::SlotLock;
use statedir::{HostKey, StateDir};

/// Those of one host.
#[derive(Debug)]
pub(super) struct Slots {
    count: u32,
    /// Where clients count theirs. None for engines, and where there is no such folder.
    files: Option<(StateDir, HostKey)>,
    /// With their locks, if there are any.
    held: Mutex<BTreeMap<u32, Option<SlotLock>>>,
}

impl Slots {
    pub(super) fn new(count: u32, files: Option<(StateDir, HostKey)>) -> Self {
        Self {
            count: count.max(1),
            files,
            held: Mutex::default(),
        }
    }

    /// Others may take and give slots back without telling us.
    pub(super) fn are_shared(&self) -> bool {
        self.files.is_some()
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Those that this process has.
    pub(super) fn taken(&self) -> u32 {
        u32::try_from(self.held().len()).unwrap_or(u32::MAX)
    }

    /// Takes the first that is free.
    pub(super) fn take(&self) -> Option<u32> {
        let mut held = self.held();
        let free = (0..self.count).filter(|number| !held.contains_key(number));
        let mut found = free.filter_map(|number| Some((number, self.lock(number)?)));
        let (number, lock) = found.next()?;
        drop(found);
        held.insert(number, lock);
        Some(number)
    }

    pub(super) fn give_back(&self, number: u32) {
        self.held().remove(&number);
    }

    /// Whether a client would find one now.
    pub(super) fn has_free(&self) -> bool {
        let held = self.held();
        let mut free = (0..self.count).filter(|number| !held.contains_key(number));
        free.any(|number| self.lock(number).is_some())
    }

    /// Has clients leave the host alone for their back-off period. A mark that cannot be written costs them time, no more.
    pub(super) fn back_off(&self) {
        if let Some((state, host)) = &self.files {
            let _ = state.back_off(host);
        }
    }

    /// The opposite.
    pub(super) fn clear_backoff(&self) {
        if let Some((state, host)) = &self.files {
            let _ = state.clear_backoff(host); // The mark ages anyway.
        }
    }

    /// A lock if nobody else has it; locks that do not work count as free, as clients have it.
    fn lock(&self, number: u32) -> Option<Option<SlotLock>> {
        match &self.files {
            None => Some(None),
            Some((state, host)) => match state.try_lock(host, number) {
                Ok(lock) => lock.map(Some),
                Err(_) => Some(None),
            },
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u32, Option<SlotLock>>> {
        // Every change is complete before it could panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    /// Set in a copy of this test program: the folder in which it holds a slot until it is killed.
    const HOLD: &str = "PLACEMENT_TEST_HOLD";

    fn shared(folder: &std::ffi::OsStr) -> Slots {
        let state = StateDir::new(folder.into());
        Slots::new(2, Some((state, HostKey::tcp("h".as_ref(), 1))))
    }

    #[test]
    fn each_slot_is_taken_once_and_comes_back() {
        let slots = Slots::new(2, None);
        assert_eq!(
            [slots.take(), slots.take(), slots.take()],
            [Some(0), Some(1), None]
        );
        assert!(!slots.has_free() && !slots.are_shared());
        slots.give_back(0);
        assert!(slots.has_free());
        assert_eq!((slots.taken(), slots.take()), (1, Some(0)));
        assert_eq!(Slots::new(0, None).take(), Some(0), "a host without any");
    }

    #[test]
    fn what_others_have_is_not_taken() {
        if let Some(folder) = std::env::var_os(HOLD) {
            let slots = shared(&folder);
            assert_eq!(slots.take(), Some(0));
            println!("\nheld");
            loop {
                std::thread::park();
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let name = "actions::placement::slots::tests::what_others_have_is_not_taken";
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--exact", name])
            .env(HOLD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(other.stdout.take().unwrap()).lines();
        assert!(said.map_while(Result::ok).any(|line| line == "held"));
        let slots = shared(dir.path().as_os_str());
        let free = slots.has_free();
        let taken = (slots.take(), slots.take(), slots.has_free());
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(free && slots.are_shared());
        assert_eq!(taken, (Some(1), None, false));
        assert_eq!((slots.take(), slots.taken()), (Some(0), 2));
    }
}
