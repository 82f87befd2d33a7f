//! Names: every spelling the engine meets becomes a small number, equal for equal bytes.
//!
//! One number space holds identifiers, punctuators, macro definitions (as text) and the pseudo-names under
//! which the environment keeps once-marks, `push_macro` stacks and answers of the compiler. The tables (`shared`) are
//! those of all workers and only grow; each worker keeps its own copy of what it has met, so that looking
//! up a known name takes no lock and touches no memory that others write.

mod shared;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, OnceLock};

use crate::macros::Macro;

use shared::Numbers;
pub(crate) use shared::SharedNames;

/// The number of a spelling. 0 is the empty spelling and, as a value, "undefined".
pub(crate) type Id = u32;

/// A fast hasher for short keys inside one process; nothing here is chosen by an attacker who gains by collisions.
#[derive(Default, Clone, Copy)]
pub(crate) struct FastHasher(u64);

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.mix(u64::from_le_bytes(chunk.try_into().unwrap_or([0; 8])));
        }
        let mut last = [0; 8];
        let rest = chunks.remainder();
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }
    fn write_u8(&mut self, n: u8) {
        self.mix(u64::from(n));
    }
    fn write_u16(&mut self, n: u16) {
        self.mix(u64::from(n));
    }
    fn write_u32(&mut self, n: u32) {
        self.mix(u64::from(n));
    }
    fn write_u64(&mut self, n: u64) {
        self.mix(n);
    }
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }
}

/// A hash map with [`FastHasher`].
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// A spelling and, where it is the text of a macro definition, the parsed macro.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) parsed: OnceLock<Macro>,
}

/// One worker's view of the shared tables.
#[derive(Debug)]
pub(crate) struct Names {
    ids: FastMap<u64, Id>,
    /// Entries of its own.
    list: Vec<Option<Arc<Entry>>>,
    shared: Arc<SharedNames>,
    numbers: Numbers,
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = FastHasher::default();
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
    hasher.finish()
}

fn new_entry(bytes: &[u8]) -> Arc<Entry> {
    Arc::new(Entry {
        bytes: bytes.into(),
        parsed: OnceLock::new(),
    })
}

impl Names {
    pub(crate) fn new(shared: Arc<SharedNames>) -> Self {
        let mut names = Names {
            ids: FastMap::default(),
            list: Vec::new(),
            numbers: shared.numbers(),
            shared,
        };
        for (id, spelling) in (0..).zip(known::RESERVED) {
            names.keep(id, new_entry(spelling.as_bytes()));
            names.ids.insert(hash_of(spelling.as_bytes()), id);
        }
        names
    }

    /// The number of `bytes`, a new one if nobody met them before.
    pub(crate) fn id(&mut self, bytes: &[u8]) -> Id {
        let hash = hash_of(bytes);
        if let Some(&id) = self.ids.get(&hash)
            && let Some(Some(entry)) = self.list.get(id as usize)
            && *entry.bytes == *bytes
        {
            return id;
        }
        let (id, entry) = self.shared.insert(hash, bytes, &mut self.numbers);
        self.keep(id, entry);
        // The first of a hash stays: reserved spellings are known nowhere else.
        self.ids.entry(hash).or_insert(id);
        id
    }

    /// What `id` stands for.
    pub(crate) fn entry(&mut self, id: Id) -> Arc<Entry> {
        if let Some(Some(entry)) = self.list.get(id as usize) {
            return Arc::clone(entry);
        }
        let entry = self.shared.copy(id, &self.numbers);
        self.keep(id, Arc::clone(&entry));
        entry
    }

    /// The bytes that `id` stands for.
    pub(crate) fn spelling(&mut self, id: Id) -> &[u8] {
        let at = id as usize;
        if !matches!(self.list.get(at), Some(Some(_))) {
            self.entry(id);
        }
        match self.list.get(at) {
            Some(Some(entry)) => &entry.bytes,
            _ => &[],
        }
    }

    fn keep(&mut self, id: Id, entry: Arc<Entry>) {
        let at = id as usize;
        if self.list.len() <= at {
            self.list.resize(at + 1, None);
        }
        self.list[at] = Some(entry);
    }
}

/// Spellings with fixed numbers, so that code can compare numbers instead of bytes.
pub(crate) mod known {
    use super::Id;

    macro_rules! reserve {
        ($($name:ident = $text:expr;)*) => {
            /// The reserved spellings, in the order of their numbers.
            pub(crate) const RESERVED: &[&str] = &[$($text),*];
            #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only counts")]
            #[repr(u32)]
            enum Position { $($name),* }
            $(pub(crate) const $name: Id = Position::$name as Id;)*
        };
    }
    reserve! {
        EMPTY = ""; LPAREN = "("; RPAREN = ")"; COMMA = ","; HASH = "#"; PASTE = "##";
        PLUS = "+"; MINUS = "-"; TIMES = "*"; DIVIDE = "/"; MODULO = "%"; NOT = "!"; TILDE = "~";
        LESS = "<"; GREATER = ">"; LESS_EQUAL = "<="; GREATER_EQUAL = ">="; EQUAL = "=="; UNEQUAL = "!=";
        AND = "&"; OR = "|"; XOR = "^"; AND_AND = "&&"; OR_OR = "||"; SHIFT_LEFT = "<<"; SHIFT_RIGHT = ">>";
        QUESTION = "?"; COLON = ":";
        DEFINED = "defined"; TRUE = "true"; VA_ARGS = "__VA_ARGS__"; VA_OPT = "__VA_OPT__";
        W_AND = "and"; W_OR = "or"; W_NOT = "not"; W_BITAND = "bitand"; W_BITOR = "bitor"; W_XOR = "xor";
        W_COMPL = "compl"; W_NOT_EQ = "not_eq"; PRAGMA_OPERATOR = "_Pragma"; ZERO = "0"; ONE = "1";
        IS_ON = "\u{1}on"; IS_OFF = "\u{1}off"; IS_UNSURE = "\u{1}unsure";
        KEEPS_COMMA = "\u{4}keeps comma"; MAPPED = "\u{4}mapped";
        DEF_FILE = "\u{2}file"; DEF_LINE = "\u{2}line"; DEF_COUNTER = "\u{2}counter"; DEF_DATE = "\u{2}date";
        DEF_BASE_FILE = "\u{2}base file"; DEF_LEVEL = "\u{2}level"; DEF_HAS_INCLUDE = "\u{2}has_include";
        DEF_HAS_INCLUDE_NEXT = "\u{2}has_include_next"; DEF_HAS_EMBED = "\u{2}has_embed";
        DEF_QUESTION = "\u{2}question"; DEF_PRAGMA = "\u{2}pragma"; DEF_UNKNOWN = "\u{2}unmodelled";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_have_equal_numbers_in_all_workers() {
        let shared = Arc::new(SharedNames::new());
        let mut one = Names::new(Arc::clone(&shared));
        let mut two = Names::new(shared);
        let id = one.id(b"A_NAME");
        assert_eq!(two.id(b"A_NAME"), id);
        assert_ne!(two.id(b"ANOTHER"), id);
        let other = two.id(b"ANOTHER");
        assert_eq!(&*one.entry(other).bytes, b"ANOTHER");
    }

    #[test]
    fn reserved_spellings_have_their_constants() {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        assert_eq!(names.id(b"("), known::LPAREN);
        assert_eq!(names.id(b"defined"), known::DEFINED);
        assert_eq!(names.id(b""), 0);
        for (id, spelling) in (0..).zip(known::RESERVED) {
            assert_eq!(names.id(spelling.as_bytes()), id);
        }
    }
}
