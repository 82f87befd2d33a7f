//! The log of a command by e-mail, where `DISTCC_ENABLE_DISCREPANCY_EMAIL=1` wants that for
//! compiles that failed on a server and not here.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::log::Reason;
use crate::settings::Settings;

/// Sends all that was logged so far, by `mail`, which is looked for in `PATH` (3.4 knows only
/// `/bin/mail`). That it cannot is said, and no more.
#[cold]
pub(crate) fn send(settings: &Settings, to: &OsStr) {
    let log = &settings.log;
    if let Err(error) = pipe(settings, to) {
        log.warning(
            "dcc_please_send_email",
            format_args!("cannot send an e-mail: mail: {}", Reason(&error)),
        );
    }
}

fn pipe(settings: &Settings, to: &OsStr) -> io::Result<()> {
    let mut mail = Command::new("mail")
        .args(["-s", "distcc-pump email"])
        .arg(to)
        .env("PATH", &settings.children.path)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut stdin = mail.stdin.take().expect("it was piped above");
    let written = stdin.write_all(&settings.log.transcript());
    drop(stdin);
    let status = mail.wait()?;
    match status.success() {
        true => written,
        false => Err(io::Error::other(status.to_string())),
    }
}
