//! What went wrong, and what was counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Shared by all who look.
#[derive(Debug, Default)]
pub(crate) struct Findings(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    wrong: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl Findings {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something that must not be; printed at once, since the end may never come.
    pub(crate) fn wrong(&self, what: String) {
        println!("FOUND: {what}");
        self.with(|inner| inner.wrong.push(what));
    }

    pub(crate) fn count(&self, what: &str) {
        self.with(|inner| *inner.counts.entry(what.to_owned()).or_default() += 1);
    }

    pub(crate) fn counted(&self, what: &str) -> u64 {
        self.with(|inner| inner.counts.get(what).copied().unwrap_or_default())
    }

    /// Prints all of it; true if nothing was wrong.
    pub(crate) fn report(&self) -> bool {
        self.with(|inner| {
            for (what, count) in &inner.counts {
                println!("{count:8} {what}");
            }
            match inner.wrong.len() {
                0 => println!("nothing found"),
                count => println!("{count} FOUND, the first: {}", inner.wrong[0]),
            }
            inner.wrong.is_empty()
        })
    }
}
