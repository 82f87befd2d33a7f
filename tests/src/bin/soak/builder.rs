//! A client after the other, of either kind and by any protocol, some of them killed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use end_to_end::chance::Chance;
use end_to_end::programs::{Side, command};
use end_to_end::run::wait;
use end_to_end::tree::Tree;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::findings::Findings;
use crate::server::Server;
use crate::sources::{self, Compile};

/// What builders share.
pub(crate) struct Site<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) compiles: &'a [Compile],
    pub(crate) servers: &'a [Server],
    /// The include server's socket.
    pub(crate) socket: &'a Path,
    pub(crate) findings: &'a Findings,
}

/// Far more than any compile takes, disturbed or not.
const PATIENCE: Duration = Duration::from_secs(150);

/// A matter of patience with somebody who is silent, or of a very busy machine.
const LONG: Duration = Duration::from_secs(15);

/// Compiles until `end`.
pub(crate) fn build(site: &Site<'_>, number: u64, mut chance: Chance, end: Instant) {
    let out = sources::results(site.tree, number);
    let state = site.tree.folder(format!("state/{number}/distcc"));
    let temp = site.tree.folder(format!("state/{number}/tmp"));
    for count in 0_u64.. {
        if Instant::now() >= end {
            break;
        }
        let run = Run {
            side: *chance.of(&[Side::Ours, Side::Packaged]),
            protocol: 1 + chance.below(3),
            server: chance.of(site.servers),
            compile: chance.of(site.compiles),
            fallback: chance.one_in(2),
            // Each its own: a client that is killed leaves its local compiler running, which writes later.
            object: out.join(format!("{count}.o")),
        };
        // In plain mode the folder of a compile is the server's, for clients of 3.4.
        if run.compile.names_paths && (run.protocol != 3 || run.server.name != "sandboxed") {
            continue;
        }
        let mut child = run
            .command(site, &state, &temp)
            .spawn()
            .expect("distcc is executable");
        let killed = chance.one_in(6).then(|| {
            std::thread::sleep(chance.pause(150));
            let signal = *chance.of(&[Signal::KILL, Signal::TERM, Signal::INT]);
            let group = chance.one_in(2);
            strike(&child, signal, group);
            signal
        });
        let started = Instant::now();
        run.judge(site.findings, &mut child, killed);
        let _ = std::fs::remove_file(&run.object); // There may be none.
        if started.elapsed() > LONG {
            site.findings.count("compiles of more than 15 s");
        }
    }
}

fn strike(child: &Child, signal: Signal, group: bool) {
    let pid = Pid::from_child(child);
    // It may have ended.
    let _ = match group {
        true => kill_process_group(pid, signal),
        false => kill_process(pid, signal),
    };
}

struct Run<'a> {
    side: Side,
    protocol: u64,
    server: &'a Server,
    compile: &'a Compile,
    fallback: bool,
    object: PathBuf,
}

impl Run<'_> {
    fn command(&self, site: &Site<'_>, state: &Path, temp: &Path) -> Command {
        let options = ["", ",lzo", ",lzo,cpp"][usize::try_from(self.protocol - 1).unwrap_or(0)];
        let mut client = command(self.side.distcc());
        client
            .args(&self.compile.argv)
            .arg("-o")
            .arg(&self.object)
            .current_dir(site.tree.path())
            .env(
                "DISTCC_HOSTS",
                format!("127.0.0.1:{}{options}", self.server.port),
            )
            .env("DISTCC_DIR", state)
            .env("TMPDIR", temp)
            .env("HOME", temp)
            .env("DISTCC_FALLBACK", if self.fallback { "1" } else { "0" })
            // Servers are back in a moment.
            .env("DISTCC_BACKOFF_PERIOD", "1")
            .env("DISTCC_IO_TIMEOUT", "40")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        if self.protocol == 3 {
            client.env("INCLUDE_SERVER_PORT", site.socket);
            if self.side == Side::Packaged {
                // It would do without pump mode after the first compiler that was killed.
                client.env("DISTCC_MAX_DISCREPANCY", "1000000");
            }
        }
        client
    }

    /// Waits for the client, and looks at what it leaves.
    fn judge(&self, findings: &Findings, child: &mut Child, killed: Option<Signal>) {
        let name = format!(
            "{:?} client, protocol {}, {} server, {}",
            self.side,
            self.protocol,
            self.server.name,
            self.compile.argv.join(std::ffi::OsStr::new(" ")).display()
        );
        let Some(status) = wait(child, PATIENCE) else {
            strike(child, Signal::KILL, true);
            let _ = child.wait(); // Nothing survives that signal.
            return findings.wrong(format!("{name}: does not end"));
        };
        let object = std::fs::read(&self.object).ok();
        match (status.code(), &self.compile.object) {
            (Some(0), Some(expected)) if object.as_ref() == Some(expected) => {
                findings.count("compiles with the right object");
            }
            (Some(0), expected) => {
                let [got, due] = [&object, expected].map(|object| object.as_ref().map(Vec::len));
                findings.wrong(format!(
                    "{name}: a wrong object, or success without reason: bytes {got:?}, not {due:?}, {killed:?}"
                ));
            }
            (Some(1), None) => findings.count("errors in sources told"),
            _ if killed.is_some() => findings.count("clients killed"),
            (Some(100..), _) if !self.fallback => findings.count("failures of servers told"),
            (Some(1..), _) if !self.fallback => findings.count("compilers killed on servers"),
            (code, _) => findings.wrong(format!("{name}: ended with {code:?}, {status}")),
        }
        // Ours writes objects whole or not at all. (Local compilers do not, and 3.4 does not.)
        let written_by_us = self.side == Side::Ours && !self.fallback && status.code() != Some(0);
        if written_by_us && object.is_some() && object != self.compile.object {
            findings.wrong(format!("{name}: part of an object after {status}"));
        }
    }
}
