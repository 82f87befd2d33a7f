//! How much a job uses, looked up while it runs: what the kernel limits per process only.
//!
//! A compile of a fraction of a second never gets here.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::job::Limits;

/// What a job has used too much of, if anything; `messages` is what it says. `/proc` has to be the job's own.
pub(crate) fn exceeded(limits: &Limits, messages: &[File; 2]) -> Option<String> {
    let mut processes = 0;
    let mut bytes: u64 = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        processes += 1;
        // It may be gone.
        let status =
            |folder: PathBuf| fs::read_to_string(folder.join("status")).unwrap_or_default();
        let mut text = status(entry.path());
        if !text.contains("RssAnon") {
            // Its first thread is over, and another one has the memory.
            let threads = fs::read_dir(entry.path().join("task"));
            let mut threads = threads.into_iter().flatten().flatten();
            let other = threads.find_map(|thread| {
                let text = status(thread.path());
                text.contains("RssAnon").then_some(text)
            });
            text = other.unwrap_or_default();
        }
        bytes = bytes.saturating_add(own_bytes(&text));
    }
    if processes > limits.processes {
        let most = limits.processes;
        return Some(format!("more than {most} processes"));
    }
    let said = messages.iter().filter_map(|file| file.metadata().ok());
    // Room can be taken beyond the end.
    let said = said.map(|data| data.len().max(data.blocks().saturating_mul(512)));
    if said.sum::<u64>() > limits.written_bytes {
        let most = limits.written_bytes >> 20;
        return Some(format!("more than {most} MiB of messages"));
    }
    let most = limits.memory_bytes >> 20;
    (bytes > limits.memory_bytes).then(|| format!("more than {most} MiB of memory"))
}

/// The memory of a process that is no file's on disk, from its `status`: its own, what it shares with others, which is
/// counted for each of them, and the tables of it all.
fn own_bytes(status: &str) -> u64 {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let kinds = ["RssAnon", "RssShmem", "VmPTE", "VmSwap"];
    let memory = lines.filter(|(name, _)| kinds.contains(name));
    let kib = memory.filter_map(|(_, value)| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.sum::<u64>().saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memory_but_that_of_files_counts() {
        let status = "Name:\tcc1\nVmRSS:\t 900 kB\nRssAnon:\t  20 kB\nRssFile:\t 870 kB\n\
                      RssShmem:\t   10 kB\nThreads:\t1\n";
        assert_eq!(own_bytes(status), 30 << 10);
        assert_eq!(own_bytes(""), 0);
    }

    #[test]
    fn limits_are_seen_to() {
        let limits = |memory_bytes, processes| Limits {
            memory_bytes,
            written_bytes: 1 << 20,
            file_bytes: 0,
            processes,
            oom_score: 0,
        };
        // The test is a process among others.
        let messages = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
        assert_eq!(exceeded(&limits(u64::MAX, u64::MAX), &messages), None);
        assert!(exceeded(&limits(u64::MAX, 0), &messages).is_some());
        assert!(exceeded(&limits(1, u64::MAX), &messages).is_some());
        messages[1].set_len((1 << 20) + 1).unwrap();
        let text = exceeded(&limits(u64::MAX, u64::MAX), &messages);
        assert_eq!(text.as_deref(), Some("more than 1 MiB of messages"));
    }
}
