//! Searching: which file a header name leads to, in the order of the compiler's folders.
//!
//! Rules that were seen with gcc 12 and clang 14 and hold here: a quoted name is looked for beside its includer
//! *as spelled*; folders do not count as headers and dangling links do not stop the search; a folder twice in
//! the chain (by inode) keeps its first place, but one that is also a system folder keeps only that one.
//! clang gives each folder the first name that the command gives it, whichever place in the chain it keeps.
//! gcc names a header of a system folder by its real path where that is shorter, and looks beside that path for what
//! the header includes.

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) mod folders;

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
    /// Index of the first system folder.
    system: usize,
    /// Names of folders for clang, which also names files beside others by them.
    pub(crate) names: Vec<ChainFolder>,
    /// Headers of system folders have real paths as names where those are shorter.
    pub(crate) canonical: bool,
    /// Where a folder is named stands a file that clang takes for a map of headers.
    pub(crate) has_header_map: bool,
}

/// What the command line and the compiler say about the chain, before doubles are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct ChainRequest {
    pub(crate) quote: Vec<Vec<u8>>,
    pub(crate) bracket: Vec<Vec<u8>>,
    pub(crate) system: Vec<Vec<u8>>,
    pub(crate) after: Vec<Vec<u8>>,
    pub(crate) not_beside: bool,
    /// gcc, without `-fno-canonical-system-headers`.
    pub(crate) canonical: bool,
}

/// Whether clang takes the file for a map from names of headers to paths: by its first word, in either order of bytes.
fn is_header_map(path: &[u8], tree: &dyn Tree) -> bool {
    let text = tree.read(path).map(|(text, _)| text).unwrap_or_default();
    text.starts_with(b"hmap") || text.starts_with(b"pamh")
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
        let mut has_header_map = false;
        let mut identify = |list: &[Vec<u8>]| -> Vec<(ChainFolder, (u64, u64))> {
            list.iter()
                .filter_map(|spelled| {
                    let spelled = trim(spelled);
                    let id = folders.at(&absolute(cwd, &spelled));
                    named.push(id);
                    let Some(real) = folders.get(id).real.clone() else {
                        let path = absolute(cwd, &spelled);
                        let is_file = clang && folders.rest_on(&path).is_some();
                        has_header_map |= is_file && is_header_map(&path, tree);
                        return None;
                    };
                    let inode = tree.stamp(&real)?.inode;
                    Some((ChainFolder { spelled, id }, inode))
                })
                .collect()
        };
        let mut system = identify(&request.system);
        let mut after = identify(&request.after);
        let mut bracket = identify(&request.bracket);
        let mut quote = identify(&request.quote);
        let mut names = Vec::new();
        if clang {
            let mut first = HashMap::new();
            let lists = [&mut bracket, &mut after, &mut quote, &mut system];
            for (folder, inode) in lists.into_iter().flatten() {
                let named_first = first.entry(*inode).or_insert_with(|| folder.clone());
                folder.clone_from(named_first);
                names.push(folder.clone());
            }
        }
        system.append(&mut after);
        keep_first(&mut system);
        let is_system = |inode: &(u64, u64)| system.iter().any(|(_, other)| other == inode);
        bracket.retain(|(_, inode)| !is_system(inode));
        // gcc looks whether the chains join when it comes to the last quote folder of the command line; not if that is
        // taken out for being missing or double.
        let last = request.quote.last().map(|spelled| trim(spelled));
        let last = quote
            .last()
            .filter(|(folder, _)| Some(&folder.spelled) == last.as_ref());
        let last = last.map(|(_, inode)| *inode).filter(|last| {
            let doubles = quote.iter().filter(|(_, inode)| inode == last).count();
            doubles == 1 && !is_system(last)
        });
        if !clang {
            quote.retain(|(_, inode)| !is_system(inode));
        }
        keep_first(&mut bracket);
        keep_first(&mut quote);
        let bracket_len = bracket.len();
        bracket.append(&mut system);
        // gcc joins the chains where the last quote folder is the first bracket folder.
        if !clang && last.is_some() && last == bracket.first().map(|(_, inode)| *inode) {
            quote.pop();
        }
        let quote_len = quote.len();
        quote.append(&mut bracket);
        Chain {
            folders: quote.into_iter().map(|(folder, _)| folder).collect(),
            quote: quote_len,
            named,
            names,
            not_beside: request.not_beside,
            system: quote_len + bracket_len,
            canonical: request.canonical,
            has_header_map,
        }
    }

    /// Whether a file found there is one of a system folder.
    pub(crate) fn is_system(&self, place: Place) -> bool {
        match place {
            Place::Chain(at) => usize::from(at) >= self.system,
            Place::BesideSystem => true,
            Place::Main | Place::CommandLine | Place::Beside | Place::Absolute => false,
        }
    }

    /// Whether the includer's folder is searched for this header (with its quotes or brackets).
    pub(crate) fn looks_beside(
        &self,
        header: &[u8],
        form: Form,
        place: Place,
        clang: bool,
    ) -> bool {
        let goes_on = match place {
            Place::Main | Place::CommandLine | Place::Absolute => false,
            Place::Beside | Place::BesideSystem => !clang,
            Place::Chain(_) => true,
        };
        let is_next = form == Form::Next && goes_on;
        let is_relative = header.starts_with(b"\"") && !header.starts_with(b"\"/");
        let not_beside = self.not_beside && place != Place::CommandLine;
        is_relative && !not_beside && !is_next
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
    /// No file yet: `-include` looks beside it, in the working folder, even after `-I-`.
    CommandLine,
    /// Found beside its includer (gcc only: for clang such a file inherits its includer's place).
    Beside,
    /// The same, where gcc takes that folder for one of the system.
    BesideSystem,
    /// An absolute path: `#include_next` is a plain include there too.
    Absolute,
    /// At this index of the chain.
    Chain(u16),
}

/// The way to a header that gcc names by its real path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Through {
    /// Absolute, as spelled.
    pub(crate) path: Arc<[u8]>,
    pub(crate) folder: FolderId,
    pub(crate) links: Vec<Link>,
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
    /// How it was found, if its name does not say so.
    pub(crate) through: Option<Through>,
}

impl Hit {
    fn has_shorter_name(&self) -> bool {
        self.real.len() < self.spelled.len()
    }

    fn take_shorter_name(&mut self, folders: &mut Folders) {
        let folder = folders.at(crate::tree::split(&self.real).0);
        self.through = Some(Through {
            path: std::mem::replace(&mut self.path, self.real.clone()).into(),
            folder: std::mem::replace(&mut self.folder, folder),
            links: std::mem::take(&mut self.links),
        });
        self.spelled.clone_from(&self.real);
    }
}

/// The result of one search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) hit: Option<Hit>,
    /// Absolute paths, as spelled, that were probed before and are no header.
    pub(crate) absent: Vec<Vec<u8>>,
    /// A precompiled header that gcc would take instead.
    pub(crate) precompiled: Option<Vec<u8>>,
    /// Found beside its includer, and gcc would name it by its real path if that folder were one of the system.
    pub(crate) depends_on_system: bool,
}

impl Outcome {
    fn name_as_gcc(&mut self, chain: &Chain, folders: &mut Folders) {
        let Some(hit) = self
            .hit
            .as_mut()
            .filter(|hit| chain.canonical && hit.has_shorter_name())
        else {
            return;
        };
        if chain.is_system(hit.place) {
            hit.take_shorter_name(folders);
        }
        self.depends_on_system = matches!(hit.place, Place::Beside | Place::BesideSystem);
    }
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
    /// gcc takes the includer's folder for one of the system.
    pub(crate) beside_system: bool,
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
    beside_system: bool,
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
    let start = match place {
        Place::Chain(at) if form == Form::Next => usize::from(at) + 1,
        Place::Beside | Place::BesideSystem if form == Form::Next && !clang => 0,
        _ if quoted => 0,
        _ => chain.quote,
    };
    let look_beside = chain.looks_beside(header, form, place, clang);
    // clang goes on from where the includer itself was found; from the main file it searches anew.
    let place_beside = match place {
        Place::Chain(at) if clang => Place::Chain(at),
        _ if clang => Place::Absolute,
        _ if beside_system => Place::BesideSystem,
        _ => Place::Beside,
    };
    if look_beside && probe(beside, None, place_beside) {
        outcome.name_as_gcc(chain, folders);
        return outcome;
    }
    for (at, folder) in chain.folders.iter().enumerate().skip(start) {
        if probe(
            &folder.spelled,
            Some(folder.id),
            Place::Chain(u16::try_from(at).unwrap_or(u16::MAX)),
        ) {
            outcome.name_as_gcc(chain, folders);
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
                through: None,
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
