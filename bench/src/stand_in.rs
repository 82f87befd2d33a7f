//! The compiler of the servers, which answers at once (`stand_in.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

use end_to_end::tree::Tree;

use crate::Failure;

/// The names under which clients ask for it; packaged ones rewrite `gcc`.
const NAMES: [&str; 4] = ["gcc", "g++", "x86_64-linux-gnu-gcc", "x86_64-linux-gnu-g++"];

/// Builds it under all its names in one folder. Static, because its own start is part of the floor.
pub fn build(tree: &Tree) -> Result<PathBuf, Failure> {
    let folder = tree.folder("stand-in");
    let source = tree.write("stand_in.c", include_str!("stand_in.c"));
    let program = folder.join("stand-in");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-static", "-o"]).arg(&program).arg(source);
    if !gcc.status()?.success() {
        return Err("the stand-in compiler cannot be built".into());
    }
    for name in NAMES {
        tree.link("stand-in", Path::new("stand-in").join(name));
    }
    Ok(folder)
}
