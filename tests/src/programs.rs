//! Where the programs are: ours as `make stage` installs them, and Debian's distcc 3.4.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::run::{clean, run_within};

/// Whose programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Those of this workspace.
    Ours,
    /// Those of Debian's packages `distcc` and `distcc-pump`.
    Packaged,
}

impl Side {
    /// The client.
    pub fn distcc(self) -> PathBuf {
        self.program("distcc")
    }

    /// The server.
    pub fn distccd(self) -> PathBuf {
        self.program("distccd")
    }

    fn program(self, name: &str) -> PathBuf {
        match self {
            Self::Ours => ours(name),
            Self::Packaged => packaged(name),
        }
    }
}

/// One of our programs.
pub fn ours(name: &str) -> PathBuf {
    existing(stage().join("bin").join(name))
}

/// One of the packaged programs.
pub fn packaged(name: &str) -> PathBuf {
    existing(Path::new("/usr/bin").join(name))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: `scripts/setup build test` gets what tests need",
        path.display()
    );
    path
}

/// The workspace.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a member of the workspace")
}

/// The folder of installed programs: `$PUMPCC_STAGE`, or else what `make stage` makes.
pub fn stage() -> &'static Path {
    static STAGE: OnceLock<PathBuf> = OnceLock::new();
    STAGE.get_or_init(|| match std::env::var_os("PUMPCC_STAGE") {
        Some(folder) => folder.into(),
        None => printed_path(&["stage"], Duration::from_secs(1800)),
    })
}

/// The unpacked source of a Debian package, not to be built in: other tests use it, too.
pub fn corpus(name: &str) -> PathBuf {
    printed_path(
        &["corpus", &format!("NAME={name}")],
        Duration::from_secs(600),
    )
}

/// The folder of `buildbox-casd`, an engine of the Remote Execution API that is not ours.
pub fn engine() -> PathBuf {
    printed_path(&["engine"], Duration::from_secs(600))
}

/// `distccd` as one static file.
pub fn bare_server() -> PathBuf {
    printed_path(&["bare-server"], Duration::from_secs(1800))
}

/// The folder of `pump` and `include_server` as static files.
pub fn static_pump() -> PathBuf {
    printed_path(&["static-pump"], Duration::from_secs(1800))
}

/// A root folder of another release of Debian, with its gcc and g++. Not to be written to.
pub fn debian_root(release: &str) -> PathBuf {
    printed_path(
        &["debian-root", &format!("RELEASE={release}")],
        Duration::from_secs(900),
    )
}

/// What BuildGrid generated of the Remote Execution API for Python: a folder to import it from.
pub fn stubs() -> PathBuf {
    printed_path(&["stubs"], Duration::from_secs(600))
}

/// Runs `make` in the workspace with the tests' own environment, and reads the path it prints.
fn printed_path(words: &[&str], limit: Duration) -> PathBuf {
    let mut make = Command::new("make");
    make.args(["--silent", "--no-print-directory"]).args(words);
    // What belongs to an outer make or cargo must not reach an inner one.
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR", "PREFIX"] {
        make.env_remove(name);
    }
    let done = run_within(make.current_dir(repository()), limit);
    assert!(done.status.success(), "{make:?}: {}", done.explain());
    let text = String::from_utf8(done.stdout).expect("make prints a path in UTF-8");
    text.lines().last().expect("make prints a path").into()
}

/// A command whose environment holds nothing but the search path and a plain locale.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    clean(&mut command);
    command
}
