//! Takes what a compile needs from the connection, and says where the compiler finds it.
//!
//! In namespaces a client's tree stands at the client's own paths, preprocessed source in `/tmp`,
//! and results go to a folder of the sandbox. Otherwise all of it is in the scratch folder, and
//! the command says so.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use command::{Compile, extension};
use sandbox::{OUT, View};

use crate::confinement::Confinement;
use crate::fault::Fault;
use crate::receive::{Incoming, JOB_BYTES};
use crate::scratch::{DEPENDENCIES, OBJECT, Scratch};
use crate::tree::{Place, Tree, TreeError};
use crate::words::Words;

/// All that a compile needs, on disk.
pub(crate) struct Ready {
    pub(crate) argv: Vec<OsString>,
    /// As the compiler sees it.
    pub(crate) cwd: PathBuf,
    /// For the compiler's own files, as it sees it.
    pub(crate) temp_folder: PathBuf,
    /// What the sandbox has to show.
    pub(crate) trees: Vec<sandbox::Tree>,
    pub(crate) words: Words,
    /// Where the client's tree is, if not at the client's own paths.
    pub(crate) root: Option<PathBuf>,
}

/// Receives preprocessed source (protocols 1 and 2).
pub(crate) fn receive_source(
    incoming: &mut Incoming<'_, '_>,
    scratch: &mut Scratch,
    compile: &Compile,
    confinement: &Confinement,
) -> Result<Ready, Fault> {
    let place = confinement.place();
    let name = source_name(compile.input());
    incoming.source(scratch, &name)?;
    let (cwd, object) = match place {
        // Always the same, so that objects do not differ that name it.
        Place::InPlace => (PathBuf::from(TEMP_FOLDER), Path::new(OUT).join(OBJECT)),
        Place::BelowRoot => (scratch.work(), scratch.object()),
    };
    let path = cwd.join(&name);
    // A bare name leaves no path of ours in messages and objects of sources without line marks.
    let bare = !compile.input().as_bytes().contains(&b'/');
    let input = if bare {
        name.as_os_str()
    } else {
        path.as_os_str()
    };
    Ok(Ready {
        argv: compile.source_command(input, object.as_os_str()),
        words: match place {
            Place::InPlace => Words::in_place(Some(&path), &object, compile),
            Place::BelowRoot => Words::for_source(scratch, &path, compile),
        },
        temp_folder: temp_folder(scratch, place),
        trees: trees(scratch, place, "work", TEMP_FOLDER),
        cwd,
        root: None,
    })
}

/// What a compiler in a sandbox sees as its temporary folder: one of its own.
const TEMP_FOLDER: &str = "/tmp";

fn temp_folder(scratch: &Scratch, place: Place) -> PathBuf {
    match place {
        Place::InPlace => TEMP_FOLDER.into(),
        Place::BelowRoot => scratch.path().to_owned(),
    }
}

fn trees(scratch: &Scratch, place: Place, folder: &str, at: &str) -> Vec<sandbox::Tree> {
    let (folder, at) = match place {
        Place::InPlace => (scratch.name().join(folder), at.into()),
        Place::BelowRoot => (scratch.name().to_owned(), scratch.path().to_owned()),
    };
    vec![sandbox::Tree {
        scratch: scratch.place(),
        folder,
        at,
    }]
}

/// The client's file name, with the extension that tells the compiler that it is preprocessed.
fn source_name(input: &OsStr) -> OsString {
    const LONGEST: usize = 200;
    let input = Path::new(input);
    let known = extension::source(input.as_os_str());
    let extension = known.map_or(".i", |source| source.preprocessed_extension);
    let mut name = match input.file_stem() {
        Some(stem) if stem.len() <= LONGEST => stem.to_owned(),
        _ => "source".into(),
    };
    name.push(extension);
    name
}

/// Receives the client's files (protocol 3).
pub(crate) fn receive_tree(
    incoming: &mut Incoming<'_, '_>,
    scratch: &mut Scratch,
    compile: &Compile,
    cwd: &OsStr,
    confinement: &Confinement,
) -> Result<Ready, Fault> {
    let place = confinement.place();
    let made = Tree::create(scratch.root(), place, JOB_BYTES);
    let mut tree = made.map_err(Fault::server("making a tree"))?;
    tree.folder(cwd).map_err(Fault::Tree)?;
    incoming.tree(scratch, &mut tree)?;
    let root = scratch.root();
    if let Confinement::Namespaces(sandbox) = confinement {
        hide_folders(&mut tree, compile, &sandbox.config().view)?;
    }
    let temp_folder = temp_folder(scratch, place);
    let trees = trees(scratch, place, "root", "/");
    Ok(match place {
        Place::InPlace => {
            let [object, deps] = [OBJECT, DEPENDENCIES].map(|name| Path::new(OUT).join(name));
            Ready {
                argv: compile.in_place_command(object.as_os_str(), deps.as_os_str()),
                words: Words::in_place(None, &object, compile),
                cwd: cwd.into(),
                temp_folder,
                trees,
                root: None,
            }
        }
        Place::BelowRoot => {
            let (object, deps) = (scratch.object(), scratch.dependencies());
            Ready {
                argv: compile.tree_command(root.as_os_str(), object.as_os_str(), deps.as_os_str()),
                words: Words::for_tree(scratch, compile),
                cwd: tree.path_of(cwd),
                temp_folder,
                trees,
                root: Some(root),
            }
        }
    })
}

/// Makes folders that the command names, the client has not sent anything of, and this machine
/// shows to compilers: empty, so that nothing is found in them that the client has not.
fn hide_folders(tree: &mut Tree, compile: &Compile, view: &View) -> Result<(), Fault> {
    for path in compile.named_paths() {
        let folder = Path::new(path);
        if view.shows(folder) && !view.keeps(folder) && folder.is_dir() {
            // A link of the client's on the way leads elsewhere, and hides it already.
            match tree.folder(path) {
                Ok(()) | Err(TreeError::Way { .. } | TreeError::Name(_)) => {}
                Err(error) => return Err(Fault::Tree(error)),
            }
        }
    }
    Ok(())
}
