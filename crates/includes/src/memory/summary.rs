//! Summaries: what including a file did, remembered under what it had read.
//!
//! Evaluation is deterministic, so two variants of a file agree on the names they read until a value differs.
//! The variants of one file therefore form a decision tree in the order of evaluation: a look-up follows one
//! path, however many variants there are.

use std::sync::Arc;

use crate::memory::environment::Environment;
use crate::memory::names::Id;
use crate::memory::offers::Offer;

/// Index of a summary.
pub(crate) type SummaryId = u32;

/// Something that happened, in order; what a closure is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// The search with this index was made for an include, and its file was listed.
    Visit(u32),
    /// The same, but the file is one more copy of one marked "once": opened and not listed.
    Double(u32),
    /// The search was made for `__has_include`.
    Probe(u32),
    /// All that this summary lists.
    Child(SummaryId),
    /// A note: index of the file and of its note, and whether the file was one of the system.
    Note(u32, u32, bool),
    /// The number of a line of this file was asked for.
    Line(u32),
}

/// What one evaluation of a file did.
#[derive(Debug)]
pub(crate) struct Summary {
    /// Shared by what is made over to other contexts.
    pub(crate) effects: Arc<[(Id, Id)]>,
    pub(crate) items: Box<[Item]>,
    /// Levels of includes below this one.
    pub(crate) height: u16,
    /// The same for other workers, once it was offered.
    pub(crate) offer: Option<Arc<Offer>>,
}

impl Summary {
    /// An offer's items are longer, and say the same.
    fn weight_of_offer(&self) -> usize {
        self.offer.as_ref().map_or(0, |_| 8 * self.items.len())
    }
}

#[derive(Debug)]
struct Node {
    /// Reads that all variants below have in common.
    reads: Box<[(Id, Id)]>,
    then: Then,
}

#[derive(Debug)]
enum Then {
    Leaf(SummaryId),
    /// The values met for this name, and where each leads.
    Branch(Id, Vec<(Id, u32)>),
}

/// All summaries and their trees.
#[derive(Debug, Default)]
pub(crate) struct Summaries {
    nodes: Vec<Node>,
    list: Vec<Summary>,
    /// Reads and effects kept, to bound memory.
    pub(crate) weight: usize,
}

/// The root of a file's decision tree.
pub(crate) type Root = Option<u32>;

impl Summaries {
    pub(crate) fn clear(&mut self) {
        *self = Summaries::default();
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, id: SummaryId) -> &Summary {
        &self.list[id as usize]
    }

    /// The summary that fits the environment. All reads of the path to it count as reads of the open frame:
    /// when there is no fit, the evaluation that follows makes the same reads anyway.
    pub(crate) fn find(&self, root: Root, env: &mut Environment) -> Option<SummaryId> {
        let mut node = &self.nodes[root? as usize];
        loop {
            for &(name, value) in &node.reads {
                if env.read(name) != value {
                    return None;
                }
            }
            match &node.then {
                Then::Leaf(summary) => return Some(*summary),
                Then::Branch(name, ways) => {
                    let value = env.read(*name);
                    let (_, next) = ways.iter().find(|(v, _)| *v == value)?;
                    node = &self.nodes[*next as usize];
                }
            }
        }
    }

    /// The summary that fits the environment, and its reads; none of them is recorded.
    pub(crate) fn peek(&self, root: Root, env: &Environment) -> Option<(SummaryId, Vec<(Id, Id)>)> {
        let mut reads = Vec::new();
        let mut node = &self.nodes[root? as usize];
        loop {
            for &(name, value) in &node.reads {
                if env.peek(name) != value {
                    return None;
                }
            }
            reads.extend_from_slice(&node.reads);
            match &node.then {
                Then::Leaf(summary) => return Some((*summary, reads)),
                Then::Branch(name, ways) => {
                    let value = env.peek(*name);
                    let (_, next) = ways.iter().find(|(v, _)| *v == value)?;
                    reads.push((*name, value));
                    node = &self.nodes[*next as usize];
                }
            }
        }
    }

    /// Empties all summaries in which one of these things happened, and says which those are.
    pub(crate) fn empty_those_with(&mut self, is_void: impl Fn(&Item) -> bool) -> Vec<bool> {
        let mut gone: Vec<bool> = Vec::with_capacity(self.list.len());
        // A summary is younger than those it lists.
        for summary in &mut self.list {
            let is_gone = summary.items.iter().any(|item| match item {
                Item::Child(id) => gone.get(*id as usize).copied().unwrap_or(true),
                other => is_void(other),
            });
            gone.push(is_gone);
            if is_gone {
                let lists = summary.effects.len() + summary.items.len() + summary.weight_of_offer();
                self.weight -= lists.min(self.weight);
                summary.effects = Arc::default();
                summary.items = Box::default();
                summary.offer = None;
            }
        }
        gone
    }

    /// The tree without ways to summaries that are gone.
    ///
    /// It is built anew: a read that only such ways had in common is none of the ways that stay.
    pub(crate) fn pruned(&mut self, root: Root, is_gone: impl Fn(SummaryId) -> bool) -> Root {
        let top = root?;
        if !self.leads_to(top, &is_gone) {
            return root;
        }
        let mut ways = Vec::new();
        self.ways(top, &mut Vec::new(), &mut ways);
        let mut pruned = None;
        for (reads, leaf) in ways {
            if !is_gone(leaf) {
                self.link(&mut pruned, &reads, leaf);
            }
        }
        pruned
    }

    fn leads_to(&self, node: u32, wanted: &impl Fn(SummaryId) -> bool) -> bool {
        match &self.nodes[node as usize].then {
            Then::Leaf(id) => wanted(*id),
            Then::Branch(_, ways) => ways.iter().any(|&(_, next)| self.leads_to(next, wanted)),
        }
    }

    /// All ways below a node, with their reads.
    fn ways(
        &self,
        node: u32,
        before: &mut Vec<(Id, Id)>,
        ways: &mut Vec<(Vec<(Id, Id)>, SummaryId)>,
    ) {
        let node = &self.nodes[node as usize];
        let len = before.len();
        before.extend_from_slice(&node.reads);
        match &node.then {
            Then::Leaf(id) => ways.push((before.clone(), *id)),
            Then::Branch(name, branches) => {
                for &(value, next) in branches {
                    before.push((*name, value));
                    self.ways(next, before, ways);
                    before.pop();
                }
            }
        }
        before.truncate(len);
    }

    /// Remembers a summary under its reads.
    pub(crate) fn insert(
        &mut self,
        root: &mut Root,
        reads: &[(Id, Id)],
        summary: Summary,
    ) -> SummaryId {
        self.weight += summary.effects.len();
        let id = self.push(summary);
        self.link(root, reads, id);
        id
    }

    /// Keeps a summary that no tree leads to yet.
    pub(crate) fn push(&mut self, summary: Summary) -> SummaryId {
        self.weight += 4 + summary.items.len() + summary.weight_of_offer();
        let id = SummaryId::try_from(self.list.len()).unwrap_or(SummaryId::MAX);
        self.list.push(summary);
        id
    }

    /// Notes the offer that was made of a summary.
    pub(crate) fn note_offer(&mut self, id: SummaryId, offer: &Arc<Offer>) {
        let summary = &mut self.list[id as usize];
        summary.offer = Some(Arc::clone(offer));
        self.weight += summary.weight_of_offer();
    }

    /// Lets the tree lead to a summary under its reads.
    pub(crate) fn link(&mut self, root: &mut Root, reads: &[(Id, Id)], id: SummaryId) {
        self.weight += reads.len();
        let Some(mut at) = *root else {
            *root = Some(self.node(reads, Then::Leaf(id)));
            return;
        };
        let mut rest = reads;
        loop {
            let here = &self.nodes[at as usize];
            let same = here
                .reads
                .iter()
                .zip(rest)
                .take_while(|(a, b)| a == b)
                .count();
            if same < here.reads.len() {
                self.split(at, same, rest, id);
                return;
            }
            rest = &rest[same..];
            match (&here.then, rest.first()) {
                (Then::Branch(name, ways), Some(&(read, value))) => {
                    debug_assert_eq!(*name, read, "the same evaluation read another name");
                    match ways.iter().find(|(v, _)| *v == value) {
                        Some(&(_, next)) => {
                            rest = &rest[1..];
                            at = next;
                        }
                        None => {
                            let next = self.node(&rest[1..], Then::Leaf(id));
                            if let Then::Branch(_, ways) = &mut self.nodes[at as usize].then {
                                ways.push((value, next));
                            }
                            return;
                        }
                    }
                }
                // The same reads once more: the newer summary takes the place.
                _ => {
                    self.nodes[at as usize].then = Then::Leaf(id);
                    return;
                }
            }
        }
    }

    fn node(&mut self, reads: &[(Id, Id)], then: Then) -> u32 {
        self.nodes.push(Node {
            reads: reads.into(),
            then,
        });
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    /// Splits node `at` before its read number `same`, where `rest` goes another way to `leaf`.
    fn split(&mut self, at: u32, same: usize, rest: &[(Id, Id)], leaf: SummaryId) {
        let old = std::mem::replace(
            &mut self.nodes[at as usize],
            Node {
                reads: rest[..same].into(),
                then: Then::Leaf(leaf),
            },
        );
        let (name, old_value) = old.reads[same];
        let Some(&(new_name, new_value)) = rest.get(same) else {
            return;
        };
        debug_assert_eq!(name, new_name, "the same evaluation read another name");
        let old_way = self.node(&old.reads[same + 1..], old.then);
        let new_way = self.node(&rest[same + 1..], Then::Leaf(leaf));
        self.nodes[at as usize].then =
            Then::Branch(name, vec![(old_value, old_way), (new_value, new_way)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn finds_the_variant_whose_reads_match() {
        let mut all = Summaries::default();
        let mut root = None;
        let summary = || Summary {
            effects: Arc::default(),
            items: Box::default(),
            height: 0,
            offer: None,
        };
        let a = all.insert(&mut root, &[(1, 1), (2, 1), (3, 1)], summary());
        let b = all.insert(&mut root, &[(1, 1), (2, 2)], summary());
        let c = all.insert(&mut root, &[(1, 1), (2, 3), (4, 4)], summary());
        let check = |values: Vec<Id>, expected| {
            let mut env = Environment::default();
            env.begin(Arc::new(values));
            assert_eq!(all.find(root, &mut env), expected);
        };
        check(vec![0, 1, 1, 1], Some(a));
        check(vec![0, 1, 2], Some(b));
        check(vec![0, 1, 3, 0, 4], Some(c));
        check(vec![0, 1, 3, 0, 5], None);
        check(vec![0, 2], None);
    }
}
