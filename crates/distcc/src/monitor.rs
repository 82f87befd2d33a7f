//! What we are doing, for `distccmon-text`: a record that changes with each phase.
//!
//! A monitor is a convenience: failing to write a record is no error.

use std::ffi::OsStr;
use std::path::Path;

use statedir::monitor::{Record, RecordFile};

pub(crate) use statedir::monitor::Phase;

use crate::settings::Settings;
use crate::signals::RemovedOnDeath;

/// This process's record.
#[derive(Debug)]
pub(crate) struct Monitor<'a> {
    settings: &'a Settings,
    /// Base name of the source file.
    file: &'a OsStr,
    pid: u32,
    open: Open,
}

#[derive(Debug)]
enum Open {
    NotYet,
    Yes {
        file: RecordFile,
        _removed: Option<RemovedOnDeath>,
    },
    Impossible,
}

impl<'a> Monitor<'a> {
    /// A record about this source file; nothing is written yet.
    pub(crate) fn new(settings: &'a Settings, source: &'a OsStr) -> Self {
        Self {
            settings,
            file: Path::new(source).file_name().unwrap_or(source),
            pid: std::process::id(),
            open: Open::NotYet,
        }
    }

    /// Says what we do now, for which host and in which of its slots.
    pub(crate) fn note(&mut self, phase: Phase, host: &OsStr, slot: u32) {
        if let Open::NotYet = self.open {
            let opened = self.settings.state.as_ref().map(|state| state.record());
            self.open = match opened {
                Some(file) => {
                    let _removed = RemovedOnDeath::new(file.path());
                    Open::Yes { file, _removed }
                }
                None => Open::Impossible,
            };
        }
        if let Open::Yes { file, .. } = &mut self.open {
            let written = file.write(&Record {
                pid: self.pid,
                file: self.file.to_owned(),
                host: host.to_owned(),
                slot,
                phase,
            });
            if written.is_err() {
                self.open = Open::Impossible;
            }
        }
    }
}
