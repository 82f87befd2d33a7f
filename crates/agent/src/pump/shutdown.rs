//! The end of a session, and of one that another `pump --startup` opened.

use std::fs;
use std::path::Path;

use protocol::session::RECORDS;

use super::include_server::{REFUSALS, socket};
use super::messages::{Progress, RULE, discrepancies};
use super::private_server::log;
use super::process;
use super::settings::Settings;
use super::summary::Records;
use crate::console;

/// What clients and servers leave in a session's folder.
const FILES: &[&str] = &[
    "socket",
    "socket.pieces",
    "socket.jobs",
    "pid",
    "discrepancy_counter",
    RECORDS,
    REFUSALS,
    "refusals.new",
    "stdout",
    "stderr",
    "distccd.log",
    "distccd.pid",
];

/// Ends the session that the environment describes, as far as it does.
///
/// Only processes that were started for this session are ended, and only files that belong to
/// one are removed: variables are easily wrong.
pub(super) fn by_environment(settings: &Settings) {
    let Some(folder) = settings.session_folder.as_deref() else {
        return;
    };
    print_summary(settings, folder);
    print_refusals(folder);
    print_discrepancies(settings, folder);
    let started_for = |pid: &Option<_>, file: &Path| {
        pid.as_ref()
            .and_then(|pid: &std::ffi::OsString| process::parse_pid(pid))
            .filter(|&pid| process::mentions(pid, file.as_os_str()))
    };
    if let Some(pid) = started_for(&settings.include_server_pid, &socket(folder)) {
        if !settings.is_quiet {
            console::print(&Progress::ShuttingDown.to_string());
        }
        process::end(pid);
    }
    if let Some(pid) = started_for(&settings.private_server_pid, &log(folder)) {
        process::end(pid);
    }
    let content = |name| fs::read(folder.join(name)).unwrap_or_default();
    console::print_bytes(&content("stdout"));
    console::complain_bytes(&content("stderr"));
    for name in FILES {
        let _ = fs::remove_file(folder.join(name)); // Most are not there.
    }
    let _ = fs::remove_dir(folder); // What is not ours stays.
}

/// Tells what became of the commands of a session that began when its socket was made.
fn print_summary(settings: &Settings, folder: &Path) {
    let began = fs::metadata(socket(folder)).and_then(|socket| socket.modified());
    let elapsed = began.ok().and_then(|began| began.elapsed().ok());
    if let (Ok(mut records), false) = (Records::open(folder), settings.is_quiet) {
        records.read();
        let lines = records.counts().summary(elapsed.unwrap_or_default());
        lines.iter().for_each(|line| console::print(line));
    }
}

/// Tells of compiles that the include engine refused, in the include server's words.
pub(super) fn print_refusals(folder: &Path) {
    if let Ok(told) = fs::read(folder.join(REFUSALS)) {
        console::complain_bytes(&[RULE.as_bytes(), &told].concat());
    }
}

/// Warns if compiles failed on a server only.
pub(super) fn print_discrepancies(settings: &Settings, folder: &Path) {
    // Clients append one byte for each.
    let counter = fs::metadata(folder.join("discrepancy_counter"));
    let count = counter.map_or(0, |counter| counter.len());
    let limit = settings.max_discrepancy.as_ref().ok().copied().flatten();
    let limit = limit.map(std::num::NonZeroU64::get);
    if let Some(warning) = discrepancies(count, limit) {
        console::complain(&warning);
    }
}

/// Shows what an include server said that did not start.
pub(super) fn print_outputs_as_errors(folder: &Path) {
    for name in ["stdout", "stderr"] {
        console::complain_bytes(&fs::read(folder.join(name)).unwrap_or_default());
    }
}
