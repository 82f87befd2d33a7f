//! Outputs that are folders: each is one `Tree`, a message of all `Directory` messages below it.

use action::messages::{Directory, OutputDirectory, Tree, command::OutputDirectoryFormat};
use action::{Digest, Root};
use prost::Message as _;
use store::Store;
use tonic::Status;

use crate::engine::{Failure, Folder, Found};
use crate::execution::status;
use crate::fault;

/// Puts all that is in a folder into the store, and the messages that say what it is. `format` is the command's: who wants
/// folders as messages of their own gets them besides.
///
/// # Errors
///
/// The folder's, and the store's.
pub(crate) fn keep(
    store: &Store,
    folder: &dyn Folder,
    path: &str,
    format: i32,
) -> Result<OutputDirectory, Status> {
    let mut root = Root::default();
    let mut trouble = None;
    let visited = folder.visit(&mut |inner, found| {
        let at = format!("/{inner}").into_bytes();
        let added = match found {
            Found::File {
                content,
                executable,
            } => match store.put_file(&content) {
                Ok(digest) => root.add_file(&at, digest, executable),
                Err(error) => {
                    trouble = Some(fault::store(error));
                    return Err(Failure::Stopped);
                }
            },
            Found::Link(target) => root.add_link(&at, target.as_bytes()),
            Found::Folder => root.add_folder(&at),
        };
        added.map_err(|bad| Failure::Invalid(format!("the output {path:?}: {bad}")))
    });
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    visited.map_err(status)?;
    let packed = root.pack();
    // There, what is named comes before what names it.
    let messages = packed.blobs.iter().rev();
    let messages = messages.map(|(_, bytes)| Directory::decode(&**bytes));
    let mut messages = messages
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Status::internal(format!("a folder's message: {error}")))?
        .into_iter();
    let tree = Tree {
        root: messages.next(),
        children: messages.collect(),
    };
    let bytes = tree.encode_to_vec();
    let digest = Digest::of(&bytes);
    store.put(digest, &bytes).map_err(fault::store)?;
    let mut output = OutputDirectory {
        path: path.to_owned(),
        tree_digest: Some(digest.message()),
        is_topologically_sorted: true,
        root_directory_digest: None,
    };
    if format != i32::from(OutputDirectoryFormat::TreeOnly) {
        for (digest, bytes) in &packed.blobs {
            store.put(*digest, bytes).map_err(fault::store)?;
        }
        output.root_directory_digest = Some(packed.digest.message());
    }
    Ok(output)
}

/// All blobs that an output rests on, its own included. Nothing if they cannot be told, because some are gone.
pub(crate) fn blobs(store: &Store, output: &OutputDirectory) -> Option<Vec<Digest>> {
    let named = fault::digest(output.tree_digest.as_ref()).ok()?;
    let tree = Tree::decode(&*store.read(named).ok()?).ok()?;
    let mut all = vec![named];
    for directory in tree.root.iter().chain(&tree.children) {
        for file in &directory.files {
            all.push(fault::digest(file.digest.as_ref()).ok()?);
        }
        if output.root_directory_digest.is_some() {
            all.push(Digest::of(&directory.encode_to_vec()));
        }
    }
    Some(all)
}
