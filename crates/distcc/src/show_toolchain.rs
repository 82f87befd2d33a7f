//! `--show-toolchain`: what belongs to a compiler. `pump` knows, which stands beside us; we only call it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::Exit;
use crate::log::Reason;
use crate::settings::Settings;

/// Becomes `pump`, with the compilers of the path that our children get. Comes back only if that cannot be.
pub(crate) fn run(words: &[OsString], settings: &Settings) -> Exit {
    let beside = std::env::current_exe().unwrap_or_default();
    let programs = [beside.with_file_name("pump"), PathBuf::from("pump")];
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for program in programs
        .iter()
        .filter(|path| path.exists() || **path == Path::new("pump"))
    {
        failure = Command::new(program)
            .arg("--show-toolchain")
            .args(words)
            .env("PATH", &settings.children.path)
            .exec();
    }
    let why = Reason(&failure);
    settings
        .log
        .error("", format_args!("failed to run pump: {why}"));
    Exit::FAILURE
}
