//! The short form of the soak; `make soak` is the long one.

use std::process::Command;
use std::time::Duration;

use end_to_end::programs::stage;
use end_to_end::run::run_within;

#[test]
fn nothing_is_left_and_no_object_is_wrong() {
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    soak.args(["--seconds", "40"]).env("PUMPCC_STAGE", stage());
    // It calms down, and waits for what is slow.
    run_within(&mut soak, Duration::from_secs(600)).expect_success();
}
