//! Makers: macros that may make a pragma which acts on includes or macros.
//!
//! Text is not expanded, which is most of the engine's speed. What a macro makes in text matters only through
//! `_Pragma`, so it is enough to expand text that mentions a maker: a name of which *some* definition, in any
//! file read so far, holds a `_Pragma` that acts or is not written out, or another maker. The set only grows.
//! A file is parsed against the set as it is; what was parsed against a smaller one is looked at again.
//!
//! Common makers never act, such as glibc's `__glibc_macro_warning1(message) _Pragma (#message)`, which is called
//! with `GCC warning ...`. A maker that does no more than this is a [`Kind::Stringizer`], and a call of it whose first
//! words are written out and harmless is no mention.
//!
//! Not seen: names that `##` puts together, if their first piece is shorter than half of the name or than four
//! bytes.

use std::sync::Arc;

use aho_corasick::packed::Searcher;
use memchr::memmem;

use crate::macros::Macro;
use crate::memory::names::{FastMap, Id, Names, known};
use crate::parsing::dialect::Dialect;
use crate::parsing::text::{WORDS, destringed, is_part, is_word, pragma};
use crate::parsing::tokens::{Kind as TokenKind, Token};

/// What a maker can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Only pragmas whose text is its first argument, as written.
    Stringizer,
    Any,
}

/// The makers known at some moment.
#[derive(Debug, Clone)]
pub(crate) struct Makers {
    /// Greater in every set that holds more.
    pub(crate) generation: u32,
    kinds: FastMap<Id, Kind>,
    /// Names in the order they came, each with the generation that brought it.
    needles: Vec<(u32, Arc<[u8]>)>,
    /// Those of them whose piece no other's piece is part of: finding these finds all.
    least: Vec<Arc<[u8]>>,
    /// Finds all of them that may be part of a word, the operator, and what else is looked for in text, at once. `None`:
    /// there are too many, or the processor cannot.
    searcher: Option<Arc<Searcher>>,
}

impl Default for Makers {
    fn default() -> Self {
        Makers {
            generation: 0,
            kinds: FastMap::default(),
            needles: Vec::new(),
            least: Vec::new(),
            searcher: searcher(&[]),
        }
    }
}

fn searcher(names: &[Arc<[u8]>]) -> Option<Arc<Searcher>> {
    let pieces = names
        .iter()
        .map(|name| Needle::of(name))
        .chain([Needle::OPERATOR])
        .filter(|needle| !needle.is_whole)
        .map(|needle| needle.bytes);
    Searcher::new(pieces.chain(WORDS)).map(Arc::new)
}

const OPERATOR: &[u8] = b"_Pragma";

/// How much of a name must stand there to be taken for its first piece.
fn piece_len(name: &[u8]) -> usize {
    name.len().div_ceil(2).max(name.len().min(4))
}

/// Bytes that occur wherever a maker, or its first piece, is mentioned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needle<'a> {
    bytes: &'a [u8],
    /// Short names are common parts of others.
    is_whole: bool,
}

impl<'a> Needle<'a> {
    /// The name of the operator; every maker mentions it or another maker.
    pub(crate) const OPERATOR: Needle<'static> = Needle {
        bytes: b"_Pra",
        is_whole: false,
    };

    fn of(name: &'a [u8]) -> Self {
        let bytes = &name[..piece_len(name)];
        Needle {
            bytes,
            is_whole: bytes.len() == name.len(),
        }
    }

    /// Whether this occurs wherever `other` does.
    fn covers(self, other: Needle<'_>) -> bool {
        !self.is_whole && memmem::find(other.bytes, self.bytes).is_some()
    }

    /// Where it occurs.
    pub(crate) fn find_in(self, src: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        memmem::find_iter(src, self.bytes).filter(move |&at| {
            !self.is_whole
                || !(at
                    .checked_sub(1)
                    .and_then(|at| src.get(at))
                    .is_some_and(is_sure_part)
                    || src.get(at + self.bytes.len()).is_some_and(is_sure_part))
        })
    }
}

/// Whether this is part of a name, as far as a search for names may take it for granted: characters outside
/// of ASCII are looked at more closely.
fn is_sure_part(byte: &u8) -> bool {
    byte.is_ascii() && is_part(byte)
}

impl Makers {
    /// Whether this is one.
    pub(crate) fn knows(&self, name: Id) -> bool {
        self.kinds.contains_key(&name)
    }

    /// This set and these makers; `None` if it holds them all.
    pub(crate) fn with(&self, found: &[(Id, Kind)], names: &mut Names) -> Option<Makers> {
        let is_new =
            |&&(name, kind): &&(Id, Kind)| self.kinds.get(&name).is_none_or(|&known| known < kind);
        let mut new = found.iter().filter(is_new).peekable();
        new.peek()?;
        let mut more = self.clone();
        more.generation += 1;
        for &(name, kind) in new {
            let known = more.kinds.entry(name).or_insert(kind);
            *known = kind.max(*known);
            let spelling: Arc<[u8]> = names.entry(name).bytes.as_ref().into();
            more.needles.push((more.generation, Arc::clone(&spelling)));
            let needle = Needle::of(&spelling);
            if !more
                .least
                .iter()
                .any(|known| Needle::of(known).covers(needle))
            {
                more.least.retain(|known| !needle.covers(Needle::of(known)));
                more.least.push(spelling);
            }
        }
        more.searcher = searcher(&more.least);
        Some(more)
    }

    /// What to look for where all makers matter.
    fn needles(&self) -> impl Iterator<Item = Needle<'_>> {
        self.least.iter().map(|name| Needle::of(name))
    }

    /// Adds where `src` may mention a maker or one of [`WORDS`]. Of two that overlap only one is told: both stand in the
    /// same line. True: a maker is among them.
    pub(crate) fn find_all(&self, src: &[u8], hits: &mut Vec<usize>) -> bool {
        let before = hits.len();
        if let Some(searcher) = &self.searcher {
            hits.extend(searcher.find_iter(src).map(|found| found.start()));
        } else {
            hits.extend(Needle::OPERATOR.find_in(src));
            hits.extend(WORDS.iter().flat_map(|word| memmem::find_iter(src, word)));
        }
        for needle in self.needles() {
            if needle.is_whole || self.searcher.is_none() {
                hits.extend(needle.find_in(src));
            }
        }
        let mut has_maker = false;
        let mut kept = before;
        for at in before..hits.len() {
            let hit = hits[at];
            let is_named = self.is_named_at(src, hit);
            has_maker |= is_named;
            if is_named || is_word(&src[hit..]) {
                hits[kept] = hit;
                kept += 1;
            }
        }
        hits.truncate(kept);
        has_maker
    }

    /// Whether the name around a hit is that of a maker or its first piece, or may be: pieces are parts of other names, too,
    /// and whole files are read more closely for a mention.
    fn is_named_at(&self, src: &[u8], hit: usize) -> bool {
        let hit = hit + usize::from(src[hit] == b'.');
        let is_end = |b: &u8| !is_part(b);
        let start = src[..hit].iter().rposition(is_end).map_or(0, |at| at + 1);
        let end = src[hit..].iter().position(is_end);
        let name = &src[start..end.map_or(src.len(), |len| hit + len)];
        // Whether these are part of a name depends on the language.
        let begins = |maker: &[u8]| name.len() >= piece_len(maker) && maker.starts_with(name);
        name.contains(&b'$')
            || !name.is_ascii()
            || begins(OPERATOR)
            || self.needles.iter().any(|(_, maker)| begins(maker))
    }

    /// What to look for where only makers newer than `generation` matter.
    pub(crate) fn needles_since(&self, generation: u32) -> impl Iterator<Item = Needle<'_>> {
        let from = self.needles.partition_point(|(g, _)| *g <= generation);
        self.needles[from..]
            .iter()
            .map(|(_, name)| Needle::of(name))
    }

    /// Whether the text of a definition may mention a maker or the operator.
    pub(crate) fn may_be_in(&self, text: &[u8]) -> bool {
        std::iter::once(Needle::OPERATOR)
            .chain(self.needles())
            .any(|needle| needle.find_in(text).next().is_some())
    }

    /// Whether `src` may mention a maker newer than `generation`.
    pub(crate) fn newer_are_in(&self, src: &[u8], generation: u32) -> bool {
        self.needles_since(generation)
            .any(|needle| needle.find_in(src).next().is_some())
    }

    /// Whether the token at `at` may make a pragma that acts: it names a maker, or is the first piece of such a name.
    pub(crate) fn is_mention(&self, tokens: &[Token], at: usize, names: &mut Names) -> bool {
        if tokens[at].kind != TokenKind::Identifier {
            return false;
        }
        match self.kinds.get(&tokens[at].text) {
            Some(Kind::Any) => true,
            Some(Kind::Stringizer) => !is_harmless_call(&tokens[at + 1..], names),
            None => self.is_piece(tokens, at, names),
        }
    }

    fn is_piece(&self, tokens: &[Token], at: usize, names: &mut Names) -> bool {
        let is_last = tokens.get(at + 1).is_none_or(|t| {
            matches!(t.text, known::COMMA | known::RPAREN | known::PASTE)
                && t.kind == TokenKind::Punctuator
        });
        if !is_last {
            return false;
        }
        let entry = names.entry(tokens[at].text);
        let piece = &*entry.bytes;
        let begins = |name: &[u8]| {
            piece.len() < name.len() && piece.len() >= piece_len(name) && name.starts_with(piece)
        };
        begins(OPERATOR) || self.needles.iter().any(|(_, name)| begins(name))
    }

    /// What a macro with this definition makes, if it is a maker.
    pub(crate) fn judge(&self, of: &Macro, dialect: Dialect, names: &mut Names) -> Option<Kind> {
        let body = &of.body;
        let mut kind = None;
        for at in 0..body.len() {
            if !is_operator(body, at) {
                if self.is_mention(body, at, names) {
                    return Some(Kind::Any);
                }
            } else if let Some(operand) = plain_operand(body, at) {
                if destringed(operand, dialect, names) != Ok(None) {
                    return Some(Kind::Any);
                }
            } else if is_first_argument_as_string(&body[at + 1..]) {
                kind = Some(Kind::Stringizer);
            } else {
                return Some(Kind::Any);
            }
        }
        kind
    }
}

/// Whether the token at `at` is `_Pragma`.
pub(crate) fn is_operator(tokens: &[Token], at: usize) -> bool {
    tokens[at].kind == TokenKind::Identifier && tokens[at].text == known::PRAGMA_OPERATOR
}

/// The operand of the `_Pragma` at `at`, if it is written out.
pub(crate) fn plain_operand(tokens: &[Token], at: usize) -> Option<Id> {
    let text = tokens.get(at + 2).filter(|t| t.kind == TokenKind::Text)?;
    let closed = tokens.get(at + 3).is_some_and(|t| t.is(known::RPAREN));
    (tokens[at + 1].is(known::LPAREN) && closed).then_some(text.text)
}

/// `(#x)` of the first parameter.
fn is_first_argument_as_string(tokens: &[Token]) -> bool {
    let [open, hash, parameter, close, ..] = tokens else {
        return false;
    };
    open.is(known::LPAREN)
        && hash.is(known::HASH)
        && parameter.kind == TokenKind::Parameter
        && parameter.arg == 0
        && close.is(known::RPAREN)
}

/// Whether `tokens`, which follow a stringizer's name, are a call for a pragma that does not act. Two words tell.
fn is_harmless_call(tokens: &[Token], names: &mut Names) -> bool {
    let [open, words @ ..] = tokens else {
        return false;
    };
    let written = words
        .iter()
        .take(2)
        .take_while(|t| t.kind == TokenKind::Identifier)
        .count();
    open.is(known::LPAREN)
        && written == 2
        && pragma(&words[..2], Dialect::default(), names) == Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macros;
    use crate::memory::names::SharedNames;

    /// Definitions in order, and what the last is judged to be.
    fn check(definitions: &[(&str, &str)], expected: Option<Kind>) {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        let mut makers = Makers::default();
        let mut last = None;
        for (name, text) in definitions {
            let dialect = Dialect::default();
            let id = macros::intern(text.as_bytes(), dialect, &mut names, &mut Vec::new());
            let entry = macros::parsed(id, &mut names);
            let parsed = entry.parsed.get().expect("parsed above");
            last = makers.judge(parsed, dialect, &mut names);
            let name = names.id(name.as_bytes());
            if let Some(kind) = last
                && let Some(more) = makers.with(&[(name, kind)], &mut names)
            {
                makers = more;
            }
        }
        assert_eq!(last, expected, "{definitions:?}");
    }

    #[test]
    fn literal_pragmas_are_judged_by_what_they_say() {
        check(&[("P", " _Pragma(\"GCC diagnostic push\")")], None);
        check(&[("P", " _Pragma(\"once\")")], Some(Kind::Any));
        check(&[("P", " _Pragma(W)")], Some(Kind::Any));
        check(&[("P", " _Pragma")], Some(Kind::Any));
    }

    #[test]
    fn a_stringizer_with_harmless_words_makes_no_maker() {
        let p = ("PRAGMA", "(x) _Pragma(#x)");
        check(&[p], Some(Kind::Stringizer));
        check(&[("P", "(y,x) _Pragma(#x)")], Some(Kind::Any));
        check(&[p, ("Q", "(m) PRAGMA(GCC warning #m)")], None);
        check(&[p, ("Q", "(m) PRAGMA(GCC m)")], Some(Kind::Any));
        check(&[p, ("Q", " PRAGMA(once)")], Some(Kind::Any));
        check(&[p, ("Q", "(m) PRAGMA(m)")], Some(Kind::Any));
        check(&[p, ("Q", " PRAGMA")], Some(Kind::Any));
    }

    #[test]
    fn mentions_are_found_whatever_the_number_of_makers() {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        for count in [0, 1, 20, 500] {
            let mut found: Vec<(Id, Kind)> = (0..count)
                .map(|n| (names.id(format!("{n}_SOME_MAKER").as_bytes()), Kind::Any))
                .collect();
            found.push((names.id(b"DO"), Kind::Any));
            let makers = Makers::default().with(&found, &mut names);
            let makers = makers.expect("they are new");
            let mut hits = Vec::new();
            let text = b"UNDO DO x 499_SOM+ 0_SOME_M _Pragma __DATE__";
            makers.find_all(text, &mut hits);
            hits.sort_unstable();
            let all = [
                (5, true),
                (10, count == 500),
                (19, count > 0),
                (28, true),
                (36, true),
            ];
            let expected = all.iter().filter(|(_, is)| *is).map(|(at, _)| *at);
            assert_eq!(hits, expected.collect::<Vec<_>>(), "{count}");
        }
    }

    #[test]
    fn only_whole_names_and_first_pieces_are_found() {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        let found = [(names.id(b"DO_GCC_PRAGMA"), Kind::Any)];
        let makers = Makers::default().with(&found, &mut names);
        let makers = makers.expect("it is new");
        let check = |text: &str, count: usize, has_maker: bool| {
            let mut hits = Vec::new();
            let found = makers.find_all(text.as_bytes(), &mut hits);
            assert_eq!((hits.len(), found), (count, has_maker), "{text}");
        };
        check("DO_GCC_VERSION UNDO_GCC_PRAGMA DO_GCC_PRAGMAS", 0, false);
        check("x _Pragmatic my_Pragma 1_Pragma", 0, false);
        check("__TIMESIZE __DATE__x .include_header .incbinary", 0, false);
        check("__TIME__ __TIMESTAMP__ .incbin\".include\\", 4, false);
        check("f(DO_GCC_, X) __TIME__", 2, true);
        check("x.DO_GCC_PRAGMA(y)", 1, true);
        check("a$DO_GCC_PRAGMA", 1, true);
        check("_Pra", 1, true);
    }

    #[test]
    fn a_first_piece_of_half_a_name_is_a_mention() {
        let p = ("PRAGMA", "(x) _Pragma(#x)");
        check(&[p, ("Q", "(x) PRAG##x")], Some(Kind::Any));
        check(&[p, ("Q", " C(PRAG, MA)")], Some(Kind::Any));
        check(&[p, ("Q", "(x) PRAG(x)")], None);
        check(&[p, ("Q", "(x) PRA##x")], None);
        check(&[("Q", "(x) _Pra##x")], Some(Kind::Any));
    }
}
