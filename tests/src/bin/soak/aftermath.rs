//! What must be true when all is over: nothing is left.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, wait};

use crate::findings::Findings;
use crate::server::Server;

/// Servers that are idle hold nothing any more.
pub(crate) fn check_idle(servers: &[Server], findings: &Findings) {
    for server in servers {
        let left = || names(&server.scratch);
        if !soon(|| left().is_empty()) {
            findings.wrong(format!(
                "left in the {} server's folder: {:?}",
                server.name,
                left()
            ));
        }
        let threads = || {
            server
                .with_pid(|pid| count(&format!("/proc/{pid}/task")))
                .unwrap_or(0)
        };
        if !soon(|| threads() <= 2) {
            findings.wrong(format!(
                "{} threads of the {} server",
                threads(),
                server.name
            ));
        }
        let open = || {
            server
                .with_pid(|pid| count(&format!("/proc/{pid}/fd")))
                .unwrap_or(0)
        };
        if !soon(|| open() <= 20) {
            findings.wrong(format!(
                "{} descriptors of the {} server",
                open(),
                server.name
            ));
        }
    }
}

/// Ended servers leave no process, mount or panic, and have used bounded memory.
pub(crate) fn check_gone(servers: &[Server], mounts_before: usize, findings: &Findings) {
    for server in servers {
        if server.log().contains("panicked") {
            let log = server.log();
            let line = log.lines().find(|line| line.contains("panicked"));
            findings.wrong(format!(
                "the {} server: {}",
                server.name,
                line.unwrap_or_default()
            ));
        }
        // A compiler of a server that was killed may still be running there.
        let unmounted = || {
            let mut umount = Command::new("umount");
            let umount = umount.arg("--quiet").arg(&server.scratch);
            umount.status().is_ok_and(|status| status.success())
        };
        if !soon(unmounted) {
            findings.wrong(format!("the {} server's folder is in use", server.name));
        }
    }
    let mounts = mounts();
    if mounts != mounts_before {
        findings.wrong(format!("{mounts} mounts, {mounts_before} before"));
    }
    if !soon(|| others().is_empty()) {
        findings.wrong(format!("processes left: {:?}", others()));
    }
}

/// How many mounts this namespace has.
pub(crate) fn mounts() -> usize {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines().count()
}

/// All processes of this namespace but this one. Nobody else waits for the children of those
/// that were killed.
fn others() -> Vec<String> {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    let own = std::process::id().to_string();
    let pids = names(Path::new("/proc"))
        .into_iter()
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own);
    pids.map(|pid| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!(
            "{pid}: {}",
            String::from_utf8_lossy(&words).replace('\0', " ")
        )
    })
    .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn count(folder: &str) -> usize {
    names(Path::new(folder)).len()
}

fn soon(mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
