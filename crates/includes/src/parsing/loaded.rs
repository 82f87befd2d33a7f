//! Files read and parsed, shared by all workers, and the marks by which a compiler knows them again.

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::locks::lock;
use crate::memory::names::{FastHasher, Id};
use crate::parsing::dialect::Dialect;
use crate::parsing::directives::parse;
use crate::parsing::steps::{Likeness, Parsed};
use crate::search::Place;
use crate::tree::Stamp;
use crate::worker::{Visit, Worker};

/// A file's bytes, parsed.
pub(crate) struct Loaded {
    pub(crate) stamp: Stamp,
    pub(crate) parsed: Parsed,
    /// The generation of makers it was last compared with.
    makers: AtomicU32,
    /// Of the content, for gcc's idea of "the same file".
    hash: u64,
    /// gcc would read other directives if it took this for a file of a system folder: for their `//`, in C90.
    pub(crate) is_other_in_system: bool,
    /// The rules it was parsed by, and those that another parse would have to share.
    pub(crate) dialect: Dialect,
    pub(crate) matters: Dialect,
}

impl Loaded {
    /// Words of memory, about.
    pub(crate) fn weight(&self) -> usize {
        let parsed = &self.parsed;
        let tokens: usize = parsed.lines.iter().map(|line| line.tokens.len()).sum();
        32 + 8 * parsed.steps.len() + 4 * parsed.lines.len() + 2 * tokens + 8 * parsed.calls.len()
    }

    /// Whether both are the same state of the file, parsed in the same way.
    pub(crate) fn is_equal(&self, other: &Loaded) -> bool {
        let makers = |of: &Loaded| of.makers.load(Ordering::Relaxed);
        self.stamp == other.stamp
            && self.hash == other.hash
            && self.dialect == other.dialect
            && self.matters == other.matters
            && makers(self) == makers(other)
            && self.likeness(other) == Likeness::Same
    }

    /// How alike two states of a file are for those who include it.
    pub(crate) fn likeness(&self, now: &Loaded) -> Likeness {
        let marks = |of: &Loaded| {
            let seconds = of.stamp.mtime_ns.div_euclid(1_000_000_000);
            (of.stamp.inode, of.stamp.size, seconds, of.hash)
        };
        let may_be_once = self.parsed.may_be_once || now.parsed.may_be_once;
        if self.stamp.names != now.stamp.names
            || (may_be_once && marks(self) != marks(now))
            || self.is_other_in_system != now.is_other_in_system
        {
            Likeness::Other
        } else {
            self.parsed.likeness(&now.parsed)
        }
    }
}

/// Bytes of text for which memory is kept until the next file.
const TEXT_KEPT: usize = 1 << 20;

/// Four words at a time, each mixed for itself: one after the other they would wait for each other's products.
fn hash_of(bytes: &[u8]) -> u64 {
    let mut lanes = [FastHasher::default(); 4];
    let mut blocks = bytes.chunks_exact(32);
    for block in &mut blocks {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            lane.write_u64(u64::from_le_bytes(word.try_into().unwrap_or([0; 8])));
        }
    }
    let mut all = FastHasher::default();
    lanes.iter().for_each(|lane| all.write_u64(lane.finish()));
    all.write(blocks.remainder());
    all.finish()
}

impl crate::worker::File {
    /// Its state when it was read, if it was.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        let mut stamps = self.loaded.iter().map(|(_, loaded)| loaded.stamp);
        let first = stamps.next()?;
        stamps.all(|stamp| stamp.is_equal(&first)).then_some(first)
    }
}

impl Worker {
    /// The parsed file; `None` if it cannot be read.
    pub(crate) fn load(&mut self, file: u32, dialect: Dialect) -> Option<Arc<Loaded>> {
        if let Some((_, loaded)) = self.files[file as usize]
            .loaded
            .iter()
            .find(|(rules, _)| *rules == dialect)
            && loaded.makers.load(Ordering::Relaxed) == self.makers.now().generation
        {
            return Some(Arc::clone(loaded));
        }
        let real = Arc::clone(&self.files[file as usize].real);
        // Before the kernel is asked for anything: others that come by find something else to read meanwhile.
        let thread = self.thread;
        let reading = lock(&self.shared.parsed).begin_reading(&real, dialect, thread);
        let loaded = self.load_anew(file, real, dialect);
        if let Some(real) = reading {
            lock(&self.shared.parsed).end_reading(&real);
        }
        loaded
    }

    fn load_anew(&mut self, file: u32, real: Arc<[u8]>, dialect: Dialect) -> Option<Arc<Loaded>> {
        self.folders.looks += 1;
        let is_watched = self.folders.watch_file(&real);
        let before = if is_watched {
            None
        } else {
            self.shared.tree.stamp(&real)
        };
        let loaded = self.load_shared(&real, dialect);
        if !is_watched {
            let read = loaded.as_ref().map(|loaded| loaded.stamp);
            // The first stamp counts: what was parsed then may still be in use.
            self.compared.entry(real).or_insert(read.or(before));
        }
        let loaded = loaded?;
        let file = &mut self.files[file as usize];
        // A summary may rest on what it was.
        for (_, before) in file.loaded.extract_if(.., |(rules, _)| *rules == dialect) {
            file.renewed = before.likeness(&loaded).min(file.renewed);
        }
        file.loaded.push((dialect, Arc::clone(&loaded)));
        Some(loaded)
    }

    /// The file as parsed by any worker, if it has not changed since.
    fn load_shared(&mut self, real: &Arc<[u8]>, dialect: Dialect) -> Option<Arc<Loaded>> {
        let known = lock(&self.shared.parsed).get(real, dialect);
        if let Some(known) = known
            && let Some(now) = self.shared.tree.stamp(real)
            && now.is_same_as(&known.stamp)
            && self.is_parsed_for_all_makers(real, &known)
        {
            return Some(known);
        }
        // Most files fit in the memory of one before; new memory for each is a good part of the time of a first pass.
        let mut bytes = std::mem::take(&mut self.text);
        let loaded = self.read_and_parse(real, dialect, &mut bytes);
        if bytes.capacity() <= TEXT_KEPT {
            self.text = bytes;
        }
        let tree = &*self.shared.tree;
        let mut parsed = lock(&self.shared.parsed);
        Some(parsed.keep(tree, self.position, real, loaded?))
    }

    /// By which rules another worker reads this file now, if we have not read it yet.
    pub(crate) fn read_elsewhere(&self, file: u32, dialect: Dialect) -> Option<Dialect> {
        let file = &self.files[file as usize];
        let is_known = file.loaded.iter().any(|(rules, _)| *rules == dialect);
        match is_known {
            true => None,
            false => lock(&self.shared.parsed).being_read(&file.real),
        }
    }

    fn read_and_parse(
        &mut self,
        real: &[u8],
        dialect: Dialect,
        bytes: &mut Vec<u8>,
    ) -> Option<Loaded> {
        let stamp = self.shared.tree.read_into(real, bytes)?;
        let bytes = bytes.as_slice();
        let matters = Dialect::that_matter_to(bytes);
        let dialect = dialect.masked(matters);
        let mut parsed = parse(bytes, dialect, self.makers.now(), &mut self.names);
        while self.makers.learn(&parsed.makers, &mut self.names) {
            parsed = parse(bytes, dialect, self.makers.now(), &mut self.names);
        }
        let system_rules = dialect.of_files(true).masked(matters);
        let is_other_in_system = !dialect.clang && system_rules != dialect && {
            let in_system = parse(bytes, system_rules, self.makers.now(), &mut self.names);
            parsed.likeness(&in_system) != Likeness::Same
        };
        self.stats.files_parsed += 1;
        self.stats.bytes_parsed += bytes.len() as u64;
        if !parsed.questions.is_empty() {
            let mut known = lock(&self.shared.questions);
            known.extend_from_slice(&parsed.questions);
            known.sort_unstable();
            known.dedup();
        }
        Some(Loaded {
            stamp,
            parsed,
            makers: AtomicU32::new(self.makers.now().generation),
            hash: hash_of(bytes),
            is_other_in_system,
            dialect,
            matters,
        })
    }

    /// Takes over the makers that all workers know, and says which generation they are. What files did whose text
    /// mentions the new ones is forgotten.
    pub(crate) fn catch_up_with_makers(&mut self) -> u32 {
        self.makers.catch_up();
        while self.makers.now().generation != self.summarised_makers {
            self.summarised_makers = self.makers.now().generation;
            // Reading files again may bring still more of them.
            if !self.renew_for_makers() {
                self.forget();
            }
        }
        self.summarised_makers
    }

    /// Whether a file that was parsed against fewer makers mentions none of the new ones.
    fn is_parsed_for_all_makers(&self, path: &[u8], loaded: &Loaded) -> bool {
        let (before, makers) = (loaded.makers.load(Ordering::Relaxed), self.makers.now());
        if before == makers.generation {
            return true;
        }
        let is_free = before < makers.generation
            && !loaded.parsed.hides_words
            && self.shared.tree.read(path).is_some_and(|(bytes, stamp)| {
                stamp.is_same_as(&loaded.stamp) && !makers.newer_are_in(&bytes, before)
            });
        if is_free {
            loaded.makers.store(makers.generation, Ordering::Relaxed);
        }
        is_free
    }

    /// The pseudo-name of a file's once-mark. gcc takes files of equal content, size and second for one; clang goes by inode.
    pub(crate) fn once_mark(&mut self, loaded: &Loaded, clang: bool) -> Id {
        let stamp = loaded.stamp;
        let text = if clang {
            format!("\u{4}once {:?}", stamp.inode)
        } else {
            format!(
                "\u{4}once {} {} {:x}",
                stamp.size,
                stamp.mtime_ns.div_euclid(1_000_000_000),
                loaded.hash
            )
        };
        self.names.id(text.as_bytes())
    }

    /// The pseudo-name that says a file was entered, found by this search (none for the main file). For gcc a file is a
    /// name found in one folder of one chain; that the name is replaced by a shorter one changes nothing of that.
    pub(crate) fn entered_mark(
        &mut self,
        visit: Visit,
        lookup: Option<u32>,
        loaded: &Loaded,
        clang: bool,
    ) -> Id {
        let mut text = b"\x04entered ".to_vec();
        if clang {
            text.extend_from_slice(format!("{:?}", loaded.stamp.inode).as_bytes());
        } else {
            let place = match visit.place {
                Place::Beside | Place::BesideSystem => 1,
                Place::Chain(at) => u32::from(at) + 2,
                Place::Main | Place::CommandLine | Place::Absolute => 0,
            };
            text.extend_from_slice(&place.to_le_bytes());
            let through = lookup.and_then(|lookup| self.lookups[lookup as usize].through.as_ref());
            let path = &self.files[visit.file as usize].path;
            text.extend_from_slice(through.map_or(path, |through| &through.path));
        }
        self.names.id(&text)
    }

    /// The pseudo-name that says which files with this content are known.
    pub(crate) fn known_mark(&mut self, loaded: &Loaded) -> Id {
        let once = self.once_mark(loaded, false);
        let mut text = b"\x04known ".to_vec();
        text.extend_from_slice(&self.names.entry(once).bytes);
        self.names.id(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::compilers::real_compiler::RealCompiler;
    use crate::engine::Settings;
    use crate::search::ChainRequest;
    use crate::tree::{Changes, EntryKind, Found, Tree};
    use crate::worker::{Noted, Shared};

    /// Has one file, which cannot be read without a panic.
    struct Broken;

    impl Tree for Broken {
        fn read(&self, _path: &[u8]) -> Option<(Vec<u8>, Stamp)> {
            panic!("on purpose")
        }
        fn look(&self, _path: &[u8]) -> Found {
            Found::Absent
        }
        fn stamp(&self, _path: &[u8]) -> Option<Stamp> {
            None
        }
        fn list(&self, _path: &[u8], _limit: usize) -> Option<Vec<(Vec<u8>, EntryKind)>> {
            None
        }
        fn watch(&self, _folder: &[u8]) -> bool {
            true
        }
        fn watch_file(&self, _file: &[u8]) -> bool {
            true
        }
        fn drain(&self) -> u64 {
            0
        }
        fn changes_since(&self, _position: u64) -> Changes {
            Changes::Entries(Vec::new())
        }
    }

    #[test]
    fn nobody_waits_for_a_worker_that_panicked() {
        let compiler = Arc::new(RealCompiler::new(None));
        let shared = Arc::new(Shared::new(Arc::new(Broken), compiler));
        let new_worker = |thread| {
            let mut worker = Worker::new(Arc::clone(&shared), &Settings::default());
            worker.thread = thread;
            worker.shared.offers.join();
            let file = worker.file(b"/p", b"a.h", b"/p/a.h".to_vec(), Vec::new(), 0);
            let rules = Dialect::default();
            let request = ChainRequest::default();
            let context = worker.context_for(b"/p", request, rules, Noted::default(), false);
            let visit = worker.visit(file, context, Place::Beside);
            (worker, file, visit)
        };
        let (other, file, visit) = new_worker(2);
        let waits = || {
            let visit = other.visits[visit as usize];
            let rules = Dialect::default();
            (
                other.read_elsewhere(file, rules).is_some(),
                other.is_made_elsewhere(visit),
            )
        };
        let (worker, file, visit) = new_worker(1);
        let mut seen = (false, false);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let visit = worker.visits[visit as usize];
            let _making = worker.begin_making(visit);
            let real = Arc::clone(&worker.files[file as usize].real);
            lock(&worker.shared.parsed).begin_reading(&real, Dialect::default(), worker.thread);
            seen = waits();
            let mut worker = worker;
            worker.load(file, Dialect::default())
        }));
        assert!(result.is_err());
        assert_eq!(seen, (true, true));
        assert_eq!(waits(), (false, false));
    }
}
