//! What the tests of this crate are written with.

use std::ffi::OsString;

use crate::{Compile, Plan, plan};

/// The words of a command that holds no other blanks.
pub(crate) fn argv(command: &str) -> Vec<OsString> {
    command.split(' ').map(OsString::from).collect()
}

/// The compile of a command that is distributed.
pub(crate) fn compile(command: &str) -> Compile {
    match plan(&argv(command)) {
        Plan::Distribute(compile) => compile,
        Plan::Local(why) => panic!("{command}: {why}"),
    }
}
