//! Standard output and standard error: the one place that writes to them.
//!
//! Each line leaves in one piece, since compilers and clients write to the same terminal. That
//! nobody reads it (a closed pipe) is no reason to fail.

use std::io::{self, Write};

/// Prints one line on standard output.
pub(crate) fn print(line: &str) {
    let _ = io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// Prints bytes as they are on standard output.
pub(crate) fn print_bytes(bytes: &[u8]) {
    let _ = io::stdout()
        .write_all(bytes)
        .and_then(|()| io::stdout().flush());
}

/// Prints one line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints bytes as they are on standard error.
pub(crate) fn complain_bytes(bytes: &[u8]) {
    let _ = io::stderr().write_all(bytes);
}
