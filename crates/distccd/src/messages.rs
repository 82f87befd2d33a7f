//! Files for what a compiler says.

use std::fs::File;
use std::io;

use rustix::fs::fstatvfs;
use rustix::process::geteuid;

use crate::scratch::Scratch;

/// What a compiler says: opened before it starts, since what has these names afterwards may be
/// anything that it has put there.
#[derive(Debug)]
pub(crate) struct Messages {
    pub(crate) for_compiler: [File; 2],
    /// To be read when the compiler has ended.
    pub(crate) stdout: File,
    /// The same.
    pub(crate) stderr: File,
}

impl Messages {
    /// Makes both files.
    pub(crate) fn create(scratch: &Scratch) -> io::Result<Self> {
        let [stdout, stderr] = [scratch.stdout(), scratch.stderr()];
        Ok(Self {
            for_compiler: [File::create_new(&stdout)?, File::create_new(&stderr)?],
            stdout: File::open(stdout)?,
            stderr: File::open(stderr)?,
        })
    }

    /// Whether the disk is full, so that some may be missing: compilers do not mind, and a warning would be lost
    /// in silence.
    pub(crate) fn may_be_cut(&self) -> bool {
        fstatvfs(&self.stderr).is_ok_and(|space| {
            let left = match geteuid().is_root() {
                true => space.f_bfree,
                false => space.f_bavail,
            };
            // Without blocks it is a tmpfs without a limit.
            space.f_blocks > 0 && left == 0
        })
    }
}
