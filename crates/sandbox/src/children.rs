//! The children of a process where no namespace ends them.

use std::fs::File;
use std::io::{Read, Seek};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};

/// The children of this process: a list of the kernel's that is
/// read anew each time.
pub(crate) struct Children(Option<File>);

impl Children {
    pub(crate) fn new() -> Self {
        let own = std::process::id();
        // Not all kernels have it; then the command's group is all that is ended.
        Self(File::open(format!("/proc/{own}/task/{own}/children")).ok())
    }

    /// Ends all of them. Whoever loses its parent becomes one, so in the end that is everything
    /// that the job has started.
    pub(crate) fn end(&mut self, group: Pid) {
        let _ = kill_process_group(group, Signal::KILL); // Mostly nobody is left.
        while !matches!(wait(WaitOptions::NOHANG), Err(Errno::CHILD)) {
            let pids: Vec<Pid> = self.list();
            if pids.is_empty() && self.0.is_none() {
                return;
            }
            for pid in pids {
                let _ = kill_process(pid, Signal::KILL); // It may be over by itself.
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn list(&mut self) -> Vec<Pid> {
        let mut text = String::new();
        if let Some(file) = &mut self.0 {
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
        }
        let numbers = text.split_whitespace().flat_map(str::parse);
        numbers.filter_map(Pid::from_raw).collect()
    }
}
