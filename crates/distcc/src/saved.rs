//! `DISTCC_SAVE_TEMPS=1`: what was sent and what a server's compiler said, kept for people.
//!
//! 3.4 has these in temporary files anyway, and does not delete them then; we make them for this.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;

use crate::log::Reason;
use crate::settings::Settings;

/// How many names are tried.
const MAX_NAMES: u32 = 1000;

/// Writes a file `PREFIX_XXXXXXXXSUFFIX` into the folder for temporary files.
#[cold]
pub(crate) fn save(settings: &Settings, prefix: &str, suffix: &str, content: &[u8]) {
    let Some(folder) = &settings.saved_in else {
        return;
    };
    if let Err(error) = create(folder, prefix, suffix, content) {
        let folder = folder.display();
        settings.log.warning(
            "dcc_make_tmpnam",
            format_args!("cannot write to {folder}: {}", Reason(&error)),
        );
    }
}

fn create(folder: &OsString, prefix: &str, suffix: &str, content: &[u8]) -> std::io::Result<()> {
    for number in 0..MAX_NAMES {
        // Processes differ in the lower digits, and files of one in the upper.
        let unique = process::id().wrapping_add(number << 22);
        let path = Path::new(folder).join(format!("{prefix}_{unique:08x}{suffix}"));
        let created = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        match created {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            created => return created?.write_all(content),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}
