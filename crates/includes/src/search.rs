//! Searching: which file a header name leads to, in the order of the compiler's folders.
//!
//! Rules that were seen with gcc 12 and clang 14 and hold here: a quoted name is looked for beside its includer
//! *as spelled*; folders do not count as headers and dangling links do not stop the search; a folder twice in
//! the chain (by inode) keeps its first place, but one that is also a system folder keeps only that one.

pub(crate) mod folders;
pub(crate) mod linked_doubles;

use crate::memory::names::{FastMap, Id};
use crate::parsing::steps::Form;
use crate::search::folders::{FolderId, Folders, Link, PRECOMPILED, Target};
use crate::tree::{Tree, join};

/// A folder of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ChainFolder {
    /// As the compiler would write it in front of a header's name; empty for the current folder.
    pub(crate) spelled: Vec<u8>,
    pub(crate) id: FolderId,
}

/// The chain of folders: `quote` ones first, which only `#include "..."` searches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Chain {
    pub(crate) folders: Vec<ChainFolder>,
    pub(crate) quote: usize,
    /// All folders of the request, those too that are searched elsewhere already or do not exist.
    pub(crate) named: Vec<FolderId>,
    /// `-I-`: the includer's folder is not searched.
    pub(crate) not_beside: bool,
}

/// What the command line and the compiler say about the chain, before doubles are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ChainRequest {
    pub(crate) quote: Vec<Vec<u8>>,
    pub(crate) bracket: Vec<Vec<u8>>,
    pub(crate) system: Vec<Vec<u8>>,
    pub(crate) after: Vec<Vec<u8>>,
    pub(crate) not_beside: bool,
}

impl Chain {
    /// The chain that the compiler searches, relative folders taken from `cwd`.
    pub(crate) fn build(
        request: &ChainRequest,
        cwd: &[u8],
        clang: bool,
        folders: &mut Folders,
        tree: &dyn Tree,
    ) -> Chain {
        let mut named = Vec::new();
        let mut identify = |list: &[Vec<u8>]| -> Vec<(ChainFolder, (u64, u64))> {
            list.iter()
                .filter_map(|spelled| {
                    let path = absolute(cwd, spelled);
                    let id = folders.at(&path);
                    named.push(id);
                    let real = folders.get(id).real.clone()?;
                    let inode = tree.stamp(&real)?.inode;
                    Some((
                        ChainFolder {
                            spelled: trim(spelled),
                            id,
                        },
                        inode,
                    ))
                })
                .collect()
        };
        let mut system = identify(&request.system);
        system.extend(identify(&request.after));
        keep_first(&mut system);
        let mut bracket = identify(&request.bracket);
        let mut quote = identify(&request.quote);
        let is_system = |inode: &(u64, u64)| system.iter().any(|(_, other)| other == inode);
        bracket.retain(|(_, inode)| !is_system(inode));
        if !clang {
            quote.retain(|(_, inode)| !is_system(inode));
        }
        keep_first(&mut bracket);
        keep_first(&mut quote);
        bracket.append(&mut system);
        // gcc joins the chains where the last quote folder is the first bracket folder.
        if !clang
            && quote.last().map(|(_, inode)| *inode) == bracket.first().map(|(_, inode)| *inode)
        {
            quote.pop();
        }
        let quote_len = quote.len();
        quote.append(&mut bracket);
        Chain {
            folders: quote.into_iter().map(|(folder, _)| folder).collect(),
            quote: quote_len,
            named,
            not_beside: request.not_beside,
        }
    }
}

fn keep_first(list: &mut Vec<(ChainFolder, (u64, u64))>) {
    let mut seen = Vec::new();
    list.retain(|(_, inode)| {
        let new = !seen.contains(inode);
        seen.push(*inode);
        new
    });
}

fn trim(spelled: &[u8]) -> Vec<u8> {
    let mut end = spelled.len();
    while end > 1 && spelled[end - 1] == b'/' {
        end -= 1;
    }
    spelled[..end].to_vec()
}

/// `path` from the folder `cwd`.
pub(crate) fn absolute(cwd: &[u8], path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        path.to_vec()
    } else {
        join(cwd, path)
    }
}

/// Where `#include_next` goes on after a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The main file: `#include_next` is a plain include.
    Main,
    /// Found beside its includer (gcc only: for clang such a file inherits its includer's place).
    Beside,
    /// An absolute path: `#include_next` is a plain include there too.
    Absolute,
    /// At this index of the chain.
    Chain(u16),
}

/// A header found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hit {
    /// As the compiler spells it.
    pub(crate) spelled: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) folder: FolderId,
    pub(crate) real: Vec<u8>,
    pub(crate) links: Vec<Link>,
    pub(crate) place: Place,
}

/// The result of one search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) hit: Option<Hit>,
    /// Absolute paths, as spelled, that were probed before and are no header.
    pub(crate) absent: Vec<Vec<u8>>,
    /// A precompiled header that gcc would take instead.
    pub(crate) precompiled: Option<Vec<u8>>,
}

/// One search to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Query {
    /// With its quotes or brackets.
    pub(crate) header: Id,
    pub(crate) form: Form,
    /// Index of the includer's folder as spelled.
    pub(crate) beside: u32,
    pub(crate) place: Place,
}

/// Searches remembered, for one context.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    pub(crate) known: FastMap<Query, u32>,
}

/// Makes a search. `beside` is the includer's folder as spelled (empty: the current one).
pub(crate) fn search(
    header: &[u8],
    form: Form,
    beside: &[u8],
    place: Place,
    chain: &Chain,
    cwd: &[u8],
    clang: bool,
    folders: &mut Folders,
) -> Outcome {
    let quoted = header.first() == Some(&b'"');
    let name = header
        .get(1..header.len().saturating_sub(1))
        .unwrap_or_default();
    let mut outcome = Outcome::default();
    let mut probe = |spelled_folder: &[u8], id: Option<FolderId>, place: Place| -> bool {
        let spelled = join(spelled_folder, name);
        probe_one(spelled, id, name, place, cwd, clang, folders, &mut outcome)
    };
    if name.starts_with(b"/") {
        probe(b"", None, Place::Absolute);
        return outcome;
    }
    let mut start = if quoted { 0 } else { chain.quote };
    let mut look_beside = quoted && !chain.not_beside;
    if form == Form::Next {
        match place {
            Place::Main | Place::Absolute => {}
            Place::Chain(at) => {
                start = usize::from(at) + 1;
                look_beside = false;
            }
            Place::Beside if clang => {}
            Place::Beside => {
                start = 0;
                look_beside = false;
            }
        }
    }
    // clang goes on from where the includer itself was found; from the main file it searches anew.
    let place_beside = match place {
        Place::Chain(at) if clang => Place::Chain(at),
        _ if clang => Place::Absolute,
        _ => Place::Beside,
    };
    if look_beside && probe(beside, None, place_beside) {
        return outcome;
    }
    for (at, folder) in chain.folders.iter().enumerate().skip(start) {
        if probe(
            &folder.spelled,
            Some(folder.id),
            Place::Chain(u16::try_from(at).unwrap_or(u16::MAX)),
        ) {
            return outcome;
        }
    }
    outcome
}

fn probe_one(
    spelled: Vec<u8>,
    base: Option<FolderId>,
    name: &[u8],
    place: Place,
    cwd: &[u8],
    clang: bool,
    folders: &mut Folders,
    outcome: &mut Outcome,
) -> bool {
    let (_, last) = crate::tree::split(name);
    let path = absolute(cwd, &spelled);
    let folder = match base {
        Some(id) if last.len() == name.len() => id,
        // Most header folders are missing below most search folders: one look at the first component tells.
        Some(id) if !may_hold_first(id, name, folders) => {
            outcome.absent.push(path);
            return false;
        }
        _ => folders.at(crate::tree::split(&path).0),
    };
    if !clang && folders.may_hold_precompiled(folder) {
        let precompiled = [last, PRECOMPILED].concat();
        if folders.may_hold(folder, &precompiled)
            && folders.target(folder, &precompiled) != Target::Absent
        {
            outcome.precompiled = Some(join(&folders.get(folder).path.clone(), &precompiled));
        }
    }
    match folders.target(folder, last) {
        Target::File { real, links } => {
            outcome.hit = Some(Hit {
                spelled,
                path,
                folder,
                real,
                links,
                place,
            });
            true
        }
        Target::Absent | Target::Folder => {
            outcome.absent.push(path);
            false
        }
    }
}

fn may_hold_first(id: FolderId, name: &[u8], folders: &mut Folders) -> bool {
    let first = name.split(|&b| b == b'/').next().unwrap_or_default();
    matches!(first, b"." | b".." | b"") || folders.may_hold(id, first)
}
