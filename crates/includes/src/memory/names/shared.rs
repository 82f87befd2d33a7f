//! The names that all workers share, in tables that are read without a lock and only grow.
//!
//! Workers that read files for the first time meet tens of thousands of names at once, and what a name costs then is the cache
//! lines that travel from one processor to another. So a name has one such line: that of its hash, which holds four
//! names and their lock. A line that is full stays as it is, and a greater table takes what follows. Numbers are dealt out
//! by blocks, so that what a worker writes down of its new names stands beside what it wrote before.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::{Entry, Id, known, new_entry};
use crate::locks::lock;

/// Names in a line.
const SLOTS: usize = 4;

/// Lines of the first table, as a power of two; each table has four times as many as the one before.
const FIRST_TABLE: u32 = 12;

/// Tables there may be. Beyond them names are looked for under one lock.
const TABLES: usize = 8;

/// Numbers in a block.
const BLOCK: usize = 256;

/// Blocks in a row, and rows there may be: for more names than memory has room for.
const ROW: usize = 1024;

/// The first block is that of the reserved spellings.
const _: () = assert!(known::RESERVED.len() <= BLOCK);

/// The names of one hash, more or less: on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Line {
    /// Held by who adds a name.
    adding: Mutex<()>,
    /// From the first 0 on they are free.
    ids: [AtomicU32; SLOTS],
    hashes: [AtomicU64; SLOTS],
}

const _: () = assert!(size_of::<Line>() == 64);

/// What a line knows of a hash.
enum Sought {
    Known(Id),
    /// It would come here.
    Free(usize),
    Full,
}

impl Line {
    fn find(&self, hash: u64) -> Sought {
        for (at, id) in self.ids.iter().enumerate() {
            match id.load(Ordering::Acquire) {
                0 => return Sought::Free(at),
                id if self.hashes[at].load(Ordering::Relaxed) == hash => return Sought::Known(id),
                _ => {}
            }
        }
        Sought::Full
    }
}

type Block = Box<[OnceLock<Arc<Entry>>]>;
type Row = Box<[OnceLock<Block>]>;

/// The tables.
#[derive(Debug)]
pub(crate) struct SharedNames {
    tables: [OnceLock<Box<[Line]>>; TABLES],
    /// Those whose hash belongs to another.
    others: Mutex<HashMap<Box<[u8]>, Id>>,
    /// Spellings by number: rows of blocks.
    rows: Box<[OnceLock<Row>]>,
    next_block: AtomicUsize,
    /// What each worker added or copied, in words of memory, about.
    weights: Mutex<Vec<Arc<Weight>>>,
}

/// Written by one worker only, so on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Weight(AtomicUsize);

/// The numbers that a worker may give next.
#[derive(Debug)]
pub(super) struct Numbers {
    next: usize,
    end: usize,
    weight: Arc<Weight>,
}

impl Numbers {
    fn new_entry(&self, bytes: &[u8]) -> Arc<Entry> {
        let (weight, words) = (&self.weight.0, 20 + bytes.len() / 8);
        // Nobody else writes it.
        weight.store(weight.load(Ordering::Relaxed) + words, Ordering::Relaxed);
        new_entry(bytes)
    }
}

fn empty<T: Default>(len: usize) -> Box<[T]> {
    (0..len).map(|_| T::default()).collect()
}

impl SharedNames {
    /// Tables that hold the reserved spellings at their fixed numbers.
    pub(crate) fn new() -> Self {
        let shared = SharedNames {
            tables: Default::default(),
            others: Mutex::default(),
            rows: empty(ROW),
            next_block: AtomicUsize::new(1),
            weights: Mutex::default(),
        };
        for (id, spelling) in known::RESERVED.iter().enumerate() {
            // Workers know them from the start, so they need no place in the tables.
            shared.put(id, &new_entry(spelling.as_bytes()));
        }
        shared
    }

    /// For one more worker.
    pub(super) fn numbers(&self) -> Numbers {
        let weight = Arc::new(Weight::default());
        lock(&self.weights).push(Arc::clone(&weight));
        Numbers {
            next: 0,
            end: 0,
            weight,
        }
    }

    /// Words of memory, about.
    pub(crate) fn weight(&self) -> usize {
        let weights = lock(&self.weights);
        let each = weights
            .iter()
            .map(|weight| weight.0.load(Ordering::Relaxed));
        let tables = self.tables.iter().filter_map(OnceLock::get);
        let lines: usize = tables.map(|lines| lines.len()).sum();
        each.sum::<usize>() + lines * (size_of::<Line>() / size_of::<u64>())
    }

    /// The number of these bytes, whose hash is known, and an entry of the caller's own: to count who holds one in common
    /// would cost a travelling cache line each time.
    pub(super) fn insert(&self, hash: u64, bytes: &[u8], own: &mut Numbers) -> (Id, Arc<Entry>) {
        for (bits, lines) in (FIRST_TABLE..).step_by(2).zip(&self.tables) {
            let lines = lines.get_or_init(|| empty(1 << bits));
            let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let line = &lines[(mixed >> (64 - bits)) as usize];
            let mut sought = line.find(hash);
            if let Sought::Free(_) = sought {
                let _adding = lock(&line.adding);
                // Another worker may have added one.
                sought = line.find(hash);
                if let Sought::Free(at) = sought {
                    let (id, entry) = self.add(bytes, own);
                    line.hashes[at].store(hash, Ordering::Relaxed);
                    line.ids[at].store(id, Ordering::Release);
                    return (id, entry);
                }
            }
            match sought {
                Sought::Known(id) if *self.entry(id).bytes == *bytes => {
                    return (id, own.new_entry(bytes));
                }
                Sought::Known(_) => break,
                Sought::Free(_) | Sought::Full => {}
            }
        }
        self.insert_other(bytes, own)
    }

    fn insert_other(&self, bytes: &[u8], own: &mut Numbers) -> (Id, Arc<Entry>) {
        let mut others = lock(&self.others);
        if let Some(&id) = others.get(bytes) {
            return (id, own.new_entry(bytes));
        }
        let (id, entry) = self.add(bytes, own);
        others.insert(bytes.into(), id);
        (id, entry)
    }

    /// Gives a new spelling its number.
    fn add(&self, bytes: &[u8], own: &mut Numbers) -> (Id, Arc<Entry>) {
        if own.next == own.end {
            own.next = BLOCK * self.next_block.fetch_add(1, Ordering::Relaxed);
            own.end = own.next + BLOCK;
        }
        let id = own.next;
        own.next += 1;
        let entry = own.new_entry(bytes);
        self.put(id, &entry);
        (Id::try_from(id).unwrap_or(Id::MAX), entry)
    }

    fn place(&self, id: usize) -> &OnceLock<Arc<Entry>> {
        let block = id / BLOCK;
        let row = self.rows[block / ROW].get_or_init(|| empty(ROW));
        &row[block % ROW].get_or_init(|| empty(BLOCK))[id % BLOCK]
    }

    fn put(&self, id: usize, entry: &Arc<Entry>) {
        self.place(id).get_or_init(|| Arc::clone(entry));
    }

    /// An entry of the caller's own for a number that was given.
    pub(super) fn copy(&self, id: Id, own: &Numbers) -> Arc<Entry> {
        own.new_entry(&self.entry(id).bytes)
    }

    fn entry(&self, id: Id) -> &Entry {
        let entry = self.place(id as usize).get();
        entry.expect("a number is told when its spelling is there")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn spellings_of_one_hash_have_their_own_numbers() {
        let shared = SharedNames::new();
        let mut workers = [shared.numbers(), shared.numbers()];
        let mut number = |worker: usize, name: &[u8]| shared.insert(7, name, &mut workers[worker]);
        let names = [&b"ONE"[..], b"TWO", b"THREE"];
        let ids = names.map(|name| number(0, name).0);
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        for (name, id) in names.into_iter().zip(ids) {
            let (again, entry) = number(1, name);
            assert_eq!((again, &*entry.bytes), (id, name));
            assert_eq!(&*shared.entry(id).bytes, name);
        }
    }

    #[test]
    fn full_lines_send_names_on_to_the_next_table() {
        let shared = SharedNames::new();
        let mut own = shared.numbers();
        // Multiplied as hashes are, these are the numbers from 0 on: all belong to the first line of each table.
        let hash = |at: usize| 0xf1de_83e1_9937_733d_u64.wrapping_mul(at as u64);
        let names: Vec<String> = (0..SLOTS * TABLES + 10)
            .map(|at| format!("name {at}"))
            .collect();
        let mut number = |at: usize| shared.insert(hash(at), names[at].as_bytes(), &mut own).0;
        let ids: Vec<Id> = (0..names.len()).map(&mut number).collect();
        for (at, id) in ids.iter().enumerate() {
            assert_eq!(number(at), *id);
            assert_eq!(*shared.entry(*id).bytes, *names[at].as_bytes());
        }
        let distinct: HashSet<Id> = ids.iter().copied().collect();
        assert_eq!(distinct.len(), names.len());
        assert_eq!(lock(&shared.others).len(), 10);
    }

    #[test]
    fn workers_at_once_give_equal_numbers() {
        let shared = SharedNames::new();
        let names: Vec<String> = (0..40_000).map(|at| format!("NAME_{at}")).collect();
        let all = |threads: usize| -> Vec<Vec<Id>> {
            std::thread::scope(|scope| {
                let share = || {
                    let mut own = shared.numbers();
                    let mut number = |name: &String| {
                        let hash = super::super::hash_of(name.as_bytes());
                        shared.insert(hash, name.as_bytes(), &mut own).0
                    };
                    names.iter().map(&mut number).collect()
                };
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
                let ids = workers.into_iter().map(|worker| worker.join());
                ids.map(|ids| ids.expect("no worker panics")).collect()
            })
        };
        let ids = all(3);
        assert!(ids.iter().all(|other| *other == ids[0]));
        assert!(shared.weight() >= 20 * names.len());
        for (name, id) in names.iter().zip(&ids[0]) {
            assert_eq!(*shared.entry(*id).bytes, *name.as_bytes());
        }
    }
}
