//! What must not hurt: bytes that are no request, programs that die in the middle of a job.
//!
//! - `requests`: nonsense for the compile server;
//! - `queries`: nonsense for the include server;
//! - `wire`: connections that break at each packet of each protocol;
//! - `deaths`: servers, clients and include servers that end while a compile runs.

#![allow(clippy::unwrap_used, reason = "what a test cannot do has failed")]

mod deaths;
mod queries;
mod requests;
mod wire;

use rustix::process::Pid;

/// The most memory that a process has had at a time, in MiB.
fn peak_memory_mib(pid: Pid) -> u64 {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = std::fs::read_to_string(path).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.map(|line| line.split_whitespace().collect::<Vec<_>>());
    match words.as_deref() {
        Some([number, "kB"]) => number.parse::<u64>().expect("a number") / 1024,
        _ => panic!("no VmHWM in {status}"),
    }
}

/// A packet's header: four letters, and a number.
fn token(name: &str, number: u32) -> Vec<u8> {
    format!("{name}{number:08x}").into_bytes()
}

/// A packet with a body.
fn packet(name: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = u32::try_from(body.len()).expect("bodies in tests are small");
    [token(name, length), body.to_vec()].concat()
}

/// A number of arguments, and the arguments.
fn arguments(words: &[&str]) -> Vec<u8> {
    let count = u32::try_from(words.len()).expect("there are few words");
    let mut bytes = token("ARGC", count);
    bytes.extend(words.iter().flat_map(|word| packet("ARGV", word)));
    bytes
}

/// Bytes without meaning, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}
