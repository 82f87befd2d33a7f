//! How much a job uses, looked up while it runs: what the kernel limits per process only.
//!
//! A compile of a fraction of a second never gets here.

use std::fs;

use crate::job::Limits;

/// What a job has used too much of, if anything. `/proc` has to be the job's own.
pub(crate) fn exceeded(limits: &Limits) -> Option<String> {
    let mut processes = 0;
    let mut bytes: u64 = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        processes += 1;
        // It may be gone.
        let text = fs::read_to_string(entry.path().join("statm")).unwrap_or_default();
        bytes = bytes.saturating_add(own_bytes(&text));
    }
    if processes > limits.processes {
        let most = limits.processes;
        return Some(format!("more than {most} processes"));
    }
    let most = limits.memory_bytes >> 20;
    (bytes > limits.memory_bytes).then(|| format!("more than {most} MiB of memory"))
}

/// The memory that a process shares with no file, from its `statm`.
fn own_bytes(statm: &str) -> u64 {
    let mut pages = statm.split(' ').skip(1).map(str::parse::<u64>);
    match (pages.next(), pages.next()) {
        (Some(Ok(resident)), Some(Ok(shared))) => {
            resident.saturating_sub(shared) * rustix::param::page_size() as u64
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_shared_counts_not() {
        let page = rustix::param::page_size() as u64;
        assert_eq!(own_bytes("900 30 10 1 0 5 0\n"), 20 * page);
        assert_eq!(own_bytes(""), 0);
    }

    #[test]
    fn limits_are_seen_to() {
        let limits = |memory_bytes, processes| Limits {
            memory_bytes,
            written_bytes: 0,
            file_bytes: 0,
            processes,
        };
        // The test is a process among others.
        assert_eq!(exceeded(&limits(u64::MAX, u64::MAX)), None);
        assert!(exceeded(&limits(u64::MAX, 0)).is_some());
        assert!(exceeded(&limits(1, u64::MAX)).is_some());
    }
}
