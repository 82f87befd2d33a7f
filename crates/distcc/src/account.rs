//! Where a command ran, and why: one line in the log, and one record for the `pump` above us.
//!
//! Each command has exactly one such line: `running locally: WHY`, `ran on HOST: ...` or
//! `ran nowhere: WHY`.
//!
//! Costs nothing without `pump`, and an open, a write and a close with it.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;

use hosts::{Host, Transport};
use protocol::Version;
use protocol::session::{RECORDS, Ran, Record, beside_socket};

use crate::exchange::Answer;
use crate::local::WhyLocal;
use crate::settings::Settings;

/// What is told of one command.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    settings: &'a Settings,
    /// Hosts that failed at it so far.
    failed_hosts: Cell<u64>,
    /// It ran on a host and here at the same time.
    raced: bool,
}

/// What a host is called in records.
fn place(host: &Host) -> OsString {
    match &host.transport {
        Transport::Tcp { host, port } => {
            let mut place = host.clone();
            place.push(format!(":{port}"));
            place
        }
        Transport::Ssh { host, .. } => host.clone(),
        Transport::Engine { name } => name.clone(),
        Transport::Local => "localhost".into(),
    }
}

impl<'a> Account<'a> {
    /// Nothing is told yet.
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            failed_hosts: Cell::new(0),
            raced: false,
        }
    }

    /// The same of a command that ran on a host and here at the same time.
    pub(crate) fn of_race(settings: &'a Settings) -> Self {
        Self {
            raced: true,
            ..Self::new(settings)
        }
    }

    /// A host failed at it.
    pub(crate) fn host_failed(&self) {
        self.failed_hosts.set(self.failed_hosts.get() + 1);
    }

    /// It is going to run here.
    pub(crate) fn here(&self, why: &WhyLocal) {
        self.settings
            .log
            .info("", format_args!("running locally: {why}"));
        // The distcc that calls us in a compiler's place tells of the same command.
        if !matches!(why, WhyLocal::Nested) {
            self.record(Ran::Here(why.to_string()), 0, 0);
        }
    }

    /// It ran on a host, whose answer is the result.
    pub(crate) fn there(&self, host: &Host, slot: u32, answer: &Answer) {
        let place = || place(host);
        let (mode, ran) = match answer.version {
            Version::Pump => ("preprocessed there", Ran::Pump(place())),
            Version::Lzo | Version::Plain => ("preprocessed here", Ran::Plain(place())),
        };
        let failed = match self.failed_hosts.get() {
            0 => String::new(),
            failed => format!(", after {failed} that failed"),
        };
        self.settings.log.info(
            "",
            format_args!(
                "ran on {}: its slot {slot} was the first free one{failed}; {mode}",
                host.spec.display()
            ),
        );
        self.record(ran, answer.sent, answer.received);
    }

    /// The agent had it run on this host.
    pub(crate) fn by_agent(&self, host: &OsStr, sent: u32, received: u32) {
        let spec = host.display();
        self.settings
            .log
            .info("", format_args!("ran on {spec}: as an action"));
        // It says hosts as the list does; a server is one, whoever talked to it.
        let listed = hosts::parse(host.as_encoded_bytes()).ok();
        let listed = listed.and_then(|list| Some(place(list.hosts.first()?)));
        let host = listed.unwrap_or_else(|| host.to_owned());
        self.record(Ran::Pump(host), sent.into(), received.into());
    }

    /// It was not to run here, and could not run elsewhere.
    pub(crate) fn nowhere(&self, why: &dyn Display) {
        self.settings.log.info(
            "",
            format_args!("ran nowhere: {why}, and fallbacks are disabled"),
        );
    }

    fn record(&self, ran: Ran, sent: u64, received: u64) {
        let Some(port) = &self.settings.pump.port else {
            return;
        };
        let Some(file) = beside_socket(port, RECORDS) else {
            return;
        };
        let record = Record {
            ran,
            failed_hosts: self.failed_hosts.get(),
            sent,
            received,
            raced: self.raced,
        };
        // `pump` makes the file if it wants to know; the compile does not depend on it.
        if let Ok(mut file) = OpenOptions::new().append(true).open(file) {
            let _ = file.write_all(&record.encode());
        }
    }
}
