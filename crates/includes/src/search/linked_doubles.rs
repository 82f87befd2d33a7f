//! clang and files that have two names: a file's includes are looked for beside the name by which the compile met it
//! first, even by `__has_include`, while gcc looks beside the name at hand.
//!
//! Summaries do not know by which name a compile met a file first. So such a compile is refused, if it matters.
//! Names are told apart by links; hard links between folders are not noticed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::parsing::steps::Step;
use crate::refusal::Refusal;
use crate::worker::Worker;

/// Refuses if one of the files in `linked`, all reached through links, has another name among `files`, in
/// another folder, and looks for anything beside itself.
pub(crate) fn check(worker: &mut Worker, files: &[u32], linked: &[u32]) -> Result<(), Refusal> {
    let mut names: HashMap<Arc<[u8]>, Vec<u32>> = HashMap::new();
    for &id in linked {
        names
            .entry(Arc::clone(&worker.files[id as usize].real))
            .or_default();
    }
    for &id in files {
        if let Some(same) = names.get_mut(&worker.files[id as usize].real) {
            same.push(id);
        }
    }
    for same in names.values() {
        let folder = |id: u32| &worker.folders.get(worker.files[id as usize].folder).real;
        if same.iter().all(|&id| folder(id) == folder(same[0])) {
            continue;
        }
        if same.iter().any(|&id| looks_beside(worker, id)) {
            return Err(Refusal::Unmodelled {
                file: worker.files[same[0] as usize].spelled.to_vec(),
                what: "clang, and another name of this file".into(),
            });
        }
    }
    Ok(())
}

fn looks_beside(worker: &mut Worker, file: u32) -> bool {
    let Worker { files, names, .. } = worker;
    files[file as usize]
        .loaded
        .iter()
        .flat_map(|(_, loaded)| &loaded.parsed.steps)
        .any(|step| match *step {
            Step::Include { header, .. } => names.entry(header).bytes.first() == Some(&b'"'),
            Step::Computed { .. } => true,
            _ => false,
        })
}
