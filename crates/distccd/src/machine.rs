//! How busy the machine is, for the statistics page: what `/proc` says.
//!
//! What cannot be found out is -1, as in 3.4, or left at nothing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How busy the machine is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    /// Processes that run at this moment.
    pub(crate) running: i64,
    /// The load averages of 1, 5 and 15 minutes.
    pub(crate) averages: [f64; 3],
    /// Processes that wait for a disk.
    pub(crate) waiting: u64,
    /// The largest process: its memory in KiB and its name.
    pub(crate) largest: (u64, String),
}

/// Remembers what the disks had done, to tell how much they do.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    last: Option<(Instant, u64)>,
    rate: Option<u64>,
}

/// As in 3.4: a rate is of no less than this.
const SAMPLE: Duration = Duration::from_secs(50);

impl Load {
    pub(crate) fn look() -> Self {
        let mut load = Self::from_loadavg(&fs::read_to_string("/proc/loadavg").unwrap_or_default());
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let is_process = entry.file_name().as_encoded_bytes()[0].is_ascii_digit();
            // It may be gone.
            if is_process && let Ok(line) = fs::read(entry.path().join("stat")) {
                load.add(&String::from_utf8_lossy(&line));
            }
        }
        load
    }

    /// From a line such as `0.44 0.43 1.34 2/345 6789`.
    fn from_loadavg(line: &str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        let average = |at: usize| words.get(at).and_then(|word| word.parse().ok());
        let running = words.get(3).and_then(|word| word.split('/').next());
        Self {
            running: running.and_then(|word| word.parse().ok()).unwrap_or(-1),
            averages: [0, 1, 2].map(|at| average(at).unwrap_or(-1.0)),
            waiting: 0,
            largest: (0, "none".into()),
        }
    }

    /// Adds a process, from its `stat`: `7 (name) S ...`, where the name may hold anything.
    fn add(&mut self, line: &str) {
        /// Counted from the state.
        const RSS: usize = 21;
        let Some(((_, name), rest)) = line
            .rsplit_once(')')
            .and_then(|(start, rest)| Some((start.split_once('(')?, rest)))
        else {
            return;
        };
        let mut words = rest.split_whitespace();
        self.waiting += u64::from(words.next() == Some("D"));
        let pages: u64 = words
            .nth(RSS - 1)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0);
        let kib = pages * (rustix::param::page_size() as u64 >> 10);
        if kib > self.largest.0 {
            self.largest = (kib, format!("({name})"));
        }
    }
}

impl Disks {
    /// Sectors read and written each second since the sample before.
    pub(crate) fn rate(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_none_or(|(at, _)| now >= at + SAMPLE) {
            let text = fs::read_to_string("/proc/diskstats").unwrap_or_default();
            let is_disk = |name: &str| Path::new("/sys/block").join(name).join("device").exists();
            self.sample(now, sectors(&text, is_disk));
        }
        self.rate
    }

    fn sample(&mut self, now: Instant, sectors: u64) {
        if let Some((then, before)) = self.last {
            let seconds = now.duration_since(then).as_secs().max(1);
            self.rate = Some(sectors.saturating_sub(before) / seconds);
        }
        self.last = Some((now, sectors));
    }
}

/// All that whole disks have read and written. 3.4 knows only `hda` and `sda`.
fn sectors(diskstats: &str, is_disk: impl Fn(&str) -> bool) -> u64 {
    const NAME: usize = 2;
    const READ: usize = 5;
    const WRITTEN: usize = 9;
    let lines = diskstats.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        match words.get(NAME) {
            Some(name) if is_disk(name) => number(READ).zip(number(WRITTEN)),
            _ => None,
        }
    });
    lines.flatten().map(|(read, written)| read + written).sum()
}

/// What is free in a folder, in MiB.
pub(crate) fn free_space(folder: &Path) -> i64 {
    match rustix::fs::statvfs(folder) {
        Ok(space) => {
            let bytes = u128::from(space.f_bavail) * u128::from(space.f_frsize);
            i64::try_from(bytes >> 20).unwrap_or(i64::MAX)
        }
        Err(_) => -1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_averages() {
        let load = Load::from_loadavg("0.44 0.43 1.34 2/345 6789\n");
        assert_eq!((load.running, load.averages), (2, [0.44, 0.43, 1.34]));
        let load = Load::from_loadavg("");
        assert_eq!((load.running, load.averages), (-1, [-1.0; 3]));
    }

    #[test]
    fn processes_with_odd_names() {
        let mut load = Load::from_loadavg("");
        let line = |name: &str, state: &str, rss: &str| {
            format!("7 ({name}) {state} 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 9000 {rss} 18\n")
        };
        load.add(&line("a", "S", "10"));
        load.add(&line("b) D (c", "D", "30"));
        load.add(&line("d", "R", "20"));
        load.add("garbage");
        let kib = 30 * (rustix::param::page_size() as u64 >> 10);
        assert_eq!(load.waiting, 1);
        assert_eq!(load.largest, (kib, "(b) D (c)".into()));
    }

    #[test]
    fn this_machine_has_processes() {
        let load = Load::look();
        assert!(load.largest.0 > 0 && load.averages[0] >= 0.0, "{load:?}");
        assert!(free_space(Path::new("/tmp")) >= 0);
        assert_eq!(free_space(Path::new("/nowhere")), -1);
    }

    #[test]
    fn disks_have_a_rate_after_two_samples() {
        let text = "   8       0 sda 9 9 1000 9 9 9 500 9 0 9 9\n   8 1 sda1 1 1 7 1 1 1 7 1\n";
        assert_eq!(sectors(text, |name| name == "sda"), 1500);
        let mut disks = Disks::default();
        let start = Instant::now();
        disks.sample(start, 1500);
        assert_eq!(disks.rate, None);
        disks.sample(start + Duration::from_secs(60), 2100);
        assert_eq!(disks.rate, Some(10));
    }
}
