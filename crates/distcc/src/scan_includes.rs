//! `--scan-includes`: shows what pump mode would send, and compiles nothing.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use command::Compile;
use hosts::Transport;
use protocol::Version;
use protocol::include::{MUST_EXIST, client_name};

use crate::compile;
use crate::exit::Exit;
use crate::host_list;
use crate::include_server;
use crate::pump::{self, PumpError};
use crate::schedule::Scheduler;
use crate::settings::Settings;
use crate::tree::is_placeholder;

/// Shows the files of a compile. A command that would run here does so, as with 3.4.
pub(crate) fn run(words: &[OsString], settings: &Settings) -> Exit {
    let log = &settings.log;
    let Ok(job) = compile::look_at(words, settings) else {
        return compile::run(words, settings);
    };
    let list = match host_list::read(settings) {
        Ok(list) => host_list::usable(list, settings.pump.port.is_some(), log),
        Err(none) => {
            none.report(log);
            return Exit::FAILURE;
        }
    };
    let scheduler = Scheduler::new(settings, Some(&list));
    let chosen = scheduler.wait_for_slot();
    if let Some((host, _)) = &chosen
        && host.transport == Transport::Local
    {
        return compile::run(words, settings);
    }
    let pump = chosen.as_ref().is_some_and(|(host, _)| host.cpp);
    let limits = match settings.limits(pump) {
        Ok(limits) => limits,
        Err(bad) => {
            log.error("", format_args!("{bad}"));
            return Exit::BAD_ARGUMENTS;
        }
    };
    let version = chosen.map(|(host, _)| pump::version(host, &job, settings, limits));
    if version != Some(Version::Pump) {
        log.error(
            "dcc_approximate_includes",
            format_args!(
                "'--scan_includes' specified, but distcc wouldn't have used include server \
                 (make sure hosts list includes ',cpp' option?)"
            ),
        );
        return Exit::FAILURE;
    }
    match files(&job, settings, limits) {
        Ok(files) => show(&files),
        Err(error) => {
            if let PumpError::Include(error) = error {
                error.report(log);
            }
            log.error(
                "dcc_approximate_includes",
                format_args!("failed to get includes from include server"),
            );
            Exit::NO_INCLUDES
        }
    }
}

fn files(
    job: &Compile,
    settings: &Settings,
    limits: crate::settings::Limits,
) -> Result<Vec<OsString>, PumpError> {
    let (query, pump) = (pump::query(job)?, &settings.pump);
    include_server::ask_for_names(&query, pump, limits.io_timeout, &settings.log)
        .map_err(PumpError::Include)
}

fn show(files: &[OsString]) -> Exit {
    let mut lines = Vec::new();
    for path in files {
        let link = std::fs::read_link(path).ok();
        if let Some((kind, name)) = describe(path, link.as_deref().map(|link| link.as_os_str())) {
            lines.extend_from_slice(format!("{kind:<9} ").as_bytes());
            lines.extend_from_slice(name.as_bytes());
            lines.push(b'\n');
        }
    }
    match io::stdout().write_all(&lines) {
        Ok(()) => Exit::SUCCESS,
        Err(_) => Exit::IO_ERROR,
    }
}

/// What a path of the include server stands for, and its name on this machine. `link` is its
/// text if it is a link.
fn describe(path: &OsStr, link: Option<&OsStr>) -> Option<(&'static str, OsString)> {
    let name = client_name(path)?;
    if is_placeholder(path) {
        let folder = name.as_bytes().len() - MUST_EXIST.len() - 1;
        let folder = OsStr::from_bytes(&name.as_bytes()[..folder]);
        return Some(("DIRECTORY", folder.to_owned()));
    }
    let kind = match link {
        None => "FILE",
        Some(text) if climbs_to(text.as_bytes(), name.as_bytes()) => "SYSTEMDIR",
        Some(_) => "SYMLINK",
    };
    Some((kind, name))
}

/// Whether a link at `name` climbs above every root and comes back down to `name`.
fn climbs_to(mut text: &[u8], name: &[u8]) -> bool {
    let mut climbed = 0;
    while let Some(rest) = text.strip_prefix(b"../") {
        text = rest;
        climbed += 1;
    }
    let depth = name.iter().filter(|&&byte| byte == b'/').count();
    climbed > depth && name.strip_prefix(b"/") == Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, link: Option<&str>, expected: &str) {
        let path = format!("/dev/shm/root{path}");
        let (kind, name) = describe(path.as_ref(), link.map(OsStr::new)).unwrap();
        assert_eq!(format!("{kind} {}", name.display()), expected);
    }

    #[test]
    fn kinds_of_paths() {
        check("/p/a.c.lzo", None, "FILE /p/a.c");
        check("/p/a.c.lzo.abs", None, "FILE /p/a.c");
        check("/p/l.h", Some("/p/inc/v.h"), "SYMLINK /p/l.h");
        check("/p/l.h", Some("../p/l.h"), "SYMLINK /p/l.h");
        let up = "../".repeat(22);
        check(
            "/usr/include",
            Some(&format!("{up}usr/include")),
            "SYSTEMDIR /usr/include",
        );
        check("/p/d/forcing_technique_271828", None, "DIRECTORY /p/d");
        check("/forcing_technique_271828", None, "DIRECTORY ");
    }
}
