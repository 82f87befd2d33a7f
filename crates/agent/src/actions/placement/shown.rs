//! What monitors show of compiles that run as actions: the agent writes their clients' records.
//!
//! Clients that wait have nothing to say, and most are over before anybody looks. So a compile has a record once a server
//! has had it for a tenth of a second, which no build notices.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::future::pending;
use std::time::Duration;

use hosts::Transport;
use statedir::StateDir;
use statedir::monitor::{Phase, Record};
use tokio::time::sleep;

/// What takes no longer has no record.
const SOON: Duration = Duration::from_millis(100);

/// A monitor of 3.4 deletes records that have not changed for a minute.
const AGAIN: Duration = Duration::from_secs(20);

/// A client, as monitors show it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its process.
    pub pid: u32,
    /// Base name of the source file.
    pub file: OsString,
}

/// Shows that a host has this client's compile, until this is dropped: it has no end. A monitor is a convenience, so
/// failing to write a record is no error.
pub(super) async fn show(
    state: Option<&StateDir>,
    client: Option<&Shown>,
    host: &str,
    slot: u32,
) -> Infallible {
    let (Some(state), Some(client)) = (state, client) else {
        return pending().await;
    };
    sleep(SOON).await;
    let record = Record {
        pid: client.pid,
        file: client.file.clone(),
        host: short(host),
        slot,
        phase: Phase::Compile,
    };
    let mut file = state.record_of(client.pid);
    loop {
        let _ = file.write(&record);
        sleep(AGAIN).await;
    }
}

/// A host's name without what the list says of it.
fn short(spec: &str) -> OsString {
    let list = hosts::parse(spec.as_bytes()).ok();
    match list.and_then(|mut list| list.hosts.pop()) {
        Some(host) => match host.transport {
            Transport::Tcp { host, .. } | Transport::Ssh { host, .. } => host,
            Transport::Engine { name } => name,
            Transport::Local => "localhost".into(),
        },
        None => OsStr::new(spec).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_the_names_that_clients_give_them() {
        for (spec, name) in [
            ("red", "red"),
            ("red:4000/7,lzo,cpp", "red"),
            ("[::1]:4000,lzo", "::1"),
            ("me@red:/x/distccd/3", "red"),
            ("grpc://red:4000/main,slots=4", "grpc://red:4000/main"),
        ] {
            assert_eq!(short(spec), *name, "{spec}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_is_there_while_a_host_has_a_compile() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::new(folder.path().to_owned());
        let client = Shown {
            pid: std::process::id(),
            file: "a.c".into(),
        };
        let shown = || state.read_clients().unwrap();
        for (takes, is_shown) in [(SOON / 2, false), (2 * SOON, true), (300 * AGAIN, true)] {
            {
                let showing = show(Some(&state), Some(&client), "red:4000/7,lzo,cpp", 3);
                let compile = async {
                    sleep(takes).await;
                    shown()
                };
                let records = tokio::select! {
                    records = compile => records,
                    never = showing => match never {},
                };
                assert_eq!(records.len(), usize::from(is_shown), "{takes:?}");
                if let [record] = &*records {
                    let said = (record.pid, record.slot, record.phase);
                    assert_eq!(said, (client.pid, 3, Phase::Compile));
                    assert_eq!(
                        (&*record.file, &*record.host),
                        ("a.c".as_ref(), "red".as_ref())
                    );
                }
            }
            assert!(shown().is_empty());
        }
    }
}
