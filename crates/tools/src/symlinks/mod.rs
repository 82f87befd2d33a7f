//! `update-distcc-symlinks`: keeps the masquerade folder, one link to distcc per compiler of the
//! machine. With that folder in front of `PATH`, compilers are called through distcc; and a
//! server runs only compilers that have a link there.
//!
//! For a program installed as `PREFIX/bin/update-distcc-symlinks` (or `sbin`) the folder is
//! `PREFIX/lib/distcc` and its links say `../../bin/distcc`. Compilers are looked for below
//! `/usr`, and below `PREFIX` where that is another place.
//!
//! Reading order: [`Flags`], `candidates` (which names count as compilers), `plan` (what has to
//! change), `system` (reading and changing folders).
//!
//! Source: what the program of Debian's distcc 3.4 makes of a folder; that one takes no options.

mod candidates;
mod plan;
mod system;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use system::{Error, Tree};

/// Update the links to distcc in its masquerade folder: one for each compiler in /usr/bin.
///
/// Links whose compiler is gone are removed, and so are links that lead nowhere. Other files are
/// left alone.
#[derive(Debug, clap::Parser)]
#[command(name = "update-distcc-symlinks", version)]
pub struct Flags {
    /// Work on the system below DIR, as for an image or a package.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Where distcc is installed [default: where this program is, or /usr].
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
}

/// Runs the program, which is the file `program`, and returns its exit code.
pub fn run(flags: Flags, program: Option<&Path>) -> ExitCode {
    let installed = || program.and_then(prefix_of).map(Path::to_owned);
    let prefix = flags.prefix.or_else(installed);
    let tree = Tree::new(flags.root, prefix.unwrap_or_else(|| "/usr".into()));
    match update(&tree) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(std::io::stderr(), "update-distcc-symlinks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn update(tree: &Tree) -> Result<(), Error> {
    let listing = tree.read_listing()?;
    let wanted = candidates::candidates(&listing);
    let plan = plan::plan(&wanted, &listing.programs, tree.read_links()?);
    tree.apply(&plan)
}

/// The prefix that a program in `bin` or `sbin` is installed under; none for a program elsewhere,
/// such as one that has just been built.
fn prefix_of(program: &Path) -> Option<&Path> {
    let folder = program.parent()?;
    let is_installed = folder.ends_with("bin") || folder.ends_with("sbin");
    let prefix = folder.parent().filter(|_| is_installed)?;
    // In /bin and /sbin are programs of /usr.
    (prefix != Path::new("/")).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_where_the_program_is() {
        for (program, prefix) in [
            ("/usr/sbin/update-distcc-symlinks", Some("/usr")),
            ("/opt/x/bin/u", Some("/opt/x")),
            ("/sbin/u", None),
            ("/home/u/target/debug/u", None),
            ("u", None),
        ] {
            let expected = prefix.map(Path::new);
            assert_eq!(prefix_of(Path::new(program)), expected, "{program}");
        }
    }
}
