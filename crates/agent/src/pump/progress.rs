//! Lines about a build that goes on, on standard error: every so often, and only if a command
//! has ended since the last one.
//!
//! Whole lines, because the build writes to the same terminal at any time; with a return and an
//! erasure in front, because some builds keep a line of their own there.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::settings::Settings;
use super::summary::Records;
use crate::console;

/// The time between two lines, unless `PUMP_PROGRESS` says otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

/// Tells how a build goes on.
#[derive(Debug)]
pub(super) struct Progress {
    /// None if nothing is to be told.
    interval: Option<Duration>,
    started: Instant,
    records: Option<Records>,
}

impl Progress {
    /// A build that starts now, and its records.
    pub(super) fn start(settings: &Settings, records: Option<Records>) -> Self {
        let wanted = match settings.progress {
            Some(seconds) => Some(seconds).filter(|seconds| !seconds.is_zero()),
            None => io::stderr().is_terminal().then_some(INTERVAL),
        };
        Self {
            interval: wanted.filter(|_| records.is_some() && !settings.is_quiet),
            started: Instant::now(),
            records,
        }
    }

    /// The time between two calls of [`Self::tell`]; none if it need not be called.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Tells what is new.
    pub(super) fn tell(&mut self) {
        let Some(records) = &mut self.records else {
            return;
        };
        if !records.read() {
            return;
        }
        if let Some(line) = records.counts().progress(self.started.elapsed()) {
            let erase = if io::stderr().is_terminal() {
                "\r\x1b[K"
            } else {
                ""
            };
            console::complain(&format!("{erase}{line}"));
        }
    }

    /// The lines about the whole build.
    pub(super) fn summary(mut self) -> Vec<String> {
        let elapsed = self.started.elapsed();
        let Some(records) = &mut self.records else {
            return Vec::new();
        };
        records.read();
        records.counts().summary(elapsed)
    }
}
