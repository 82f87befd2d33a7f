//! What happens to servers: deaths of all kinds, a full disk, no descriptors.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use end_to_end::chance::Chance;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::findings::Findings;
use crate::server::Server;

/// Makes trouble until `end`.
pub(crate) fn make(servers: &[Server], findings: &Findings, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        sleep(Duration::from_millis(200) + chance.pause(1200));
        let server = chance.of(servers);
        match chance.below(12) {
            0 | 1 => {
                findings.count("servers killed");
                server.restart(Signal::KILL);
            }
            2 => {
                findings.count("servers ended");
                if !server.restart(Signal::TERM) {
                    findings.wrong(format!("the {} server does not end", server.name));
                }
            }
            3 => {
                if kill_one(|process| process.is_helper) {
                    findings.count("sandbox helpers killed");
                }
            }
            4..=8 => {
                let scratch = server.scratch.as_path();
                let mine = |process: &Process| process.is_compiler && process.is_servers(scratch);
                if kill_one(mine) {
                    findings.count("compilers killed");
                }
            }
            9 | 10 => {
                findings.count("disks filled");
                fill(&server.scratch, chance.pause(1500));
            }
            _ => {
                findings.count("descriptors exhausted");
                let few = 10 + chance.below(40);
                limit_descriptors(server, few);
                sleep(chance.pause(1500));
                limit_descriptors(server, 4096);
            }
        }
    }
}

/// The soft limit only, which can be raised again.
fn limit_descriptors(server: &Server, most: u64) {
    server.with_pid(|pid| {
        let limit = Rlimit {
            current: Some(most),
            maximum: None,
        };
        let now = rustix::process::getrlimit(Resource::Nofile);
        let limit = Rlimit {
            maximum: now.maximum,
            ..limit
        };
        // It may have ended.
        let _ = prlimit(Some(pid), Resource::Nofile, limit);
    });
}

fn fill(folder: &Path, for_so_long: Duration) {
    let path = folder.join("filler");
    // It may be full of something else.
    if let Ok(mut file) = fs::File::create(&path) {
        while file.write_all(&[0; 64 << 10]).is_ok() {}
        sleep(for_so_long);
    }
    let _ = fs::remove_file(path); // It is not there if the disk was full of something else.
}

/// A process as far as trouble is concerned.
struct Process {
    pid: Pid,
    is_helper: bool,
    is_compiler: bool,
    in_own_namespace: bool,
    cwd: Option<std::path::PathBuf>,
}

impl Process {
    /// Whether it runs for a server with this scratch folder, and not for a client here.
    fn is_servers(&self, scratch: &Path) -> bool {
        self.in_own_namespace
            || self
                .cwd
                .as_ref()
                .is_some_and(|cwd| cwd.starts_with(scratch))
    }
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let folder = entry.path();
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        let words = fs::read(folder.join("cmdline")).ok()?;
        let status = fs::read_to_string(folder.join("status")).ok()?;
        let pids = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))?;
        let helper = b"--sandbox-helper";
        Some(Process {
            pid,
            is_helper: words.split(|&byte| byte == 0).any(|word| word == helper),
            is_compiler: ["cc1", "cc1plus", "as", "gcc", "g++", "clang"].contains(&name.trim()),
            in_own_namespace: pids.split_whitespace().count() > 1,
            cwd: folder.join("cwd").read_link().ok(),
        })
    })
}

fn kill_one(wanted: impl Fn(&Process) -> bool) -> bool {
    let found = processes().find(|process| wanted(process));
    found.is_some_and(|process| kill_process(process.pid, Signal::KILL).is_ok())
}
