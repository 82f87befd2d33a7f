//! The short form of `make kill-builds`: two builds of each kind.

use std::process::Command;
use std::time::Duration;

use end_to_end::programs::stage;
use end_to_end::run::run_within;

#[test]
fn builds_survive_what_is_killed_in_them() {
    let mut kill = Command::new(env!("CARGO_BIN_EXE_kill-builds"));
    kill.args(["--builds", "6"]).env("PUMPCC_STAGE", stage());
    run_within(&mut kill, Duration::from_secs(600)).expect_success();
}
