//! What text between directives can do: `_Pragma`, and facts worth reporting (time macros, assembler includes).

use std::ops::Range;

use memchr::memmem;

use crate::macros::calls::{Call, Calls};
use crate::macros::makers::Makers;
use crate::macros::option_pragmas::option_pragma;
use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::Dialect;
use crate::parsing::steps::{Bad, Note, Step};
use crate::parsing::tokens::{Kind, Token, is_blank, tokenize};

/// What is worth a closer look, makers aside.
pub(crate) const WORDS: [&[u8]; 4] = [b"__DATE__", b"__TIME", b"incbin", b".include"];

/// What may stand within a name, in some language.
pub(crate) fn is_part(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

/// Whether this begins with one of [`WORDS`] that can mean something: `__TIME` is the beginning of two of them.
pub(crate) fn is_word(text: &[u8]) -> bool {
    // A `$` is part of a name only in some languages.
    let is_whole = |rest: &[u8]| !rest.first().is_some_and(|b| is_part(b) && *b != b'$');
    WORDS.iter().any(|word| {
        text.strip_prefix(*word).is_some_and(|rest| match *word {
            b"__TIME" => [&b"__"[..], b"STAMP__"]
                .iter()
                .any(|end| rest.strip_prefix(*end).is_some_and(is_whole)),
            _ => is_whole(rest),
        })
    })
}

/// Finds the stretches of a file worth a closer look, by the bytes alone.
pub(crate) struct Finder {
    hits: Vec<usize>,
    /// A maker may be mentioned somewhere.
    pub(crate) pragmas: bool,
    /// A splice stands within a word, so a search for bytes does not find all words.
    pub(crate) split_words: bool,
}

/// Splices in the middle of a word, which hide it from a search for its bytes.
fn split_words(src: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memchr_iter(b'\\', src).filter(move |&at| {
        let blanks = src[at + 1..].iter().take_while(|&&b| is_blank(b)).count();
        at > 0
            && is_part(&src[at - 1])
            && src.get(at + 1 + blanks) == Some(&b'\n')
            && src
                .get(at + 2 + blanks)
                .is_some_and(|b| is_part(b) || *b == b'\\')
    })
}

impl Finder {
    pub(crate) fn new(src: &[u8], makers: &Makers) -> Self {
        let mut hits: Vec<usize> = split_words(src).collect();
        let split_words = !hits.is_empty();
        let pragmas = makers.find_all(src, &mut hits) || split_words;
        hits.sort_unstable();
        Finder {
            hits,
            pragmas,
            split_words,
        }
    }

    pub(crate) fn is_interesting(&self, range: &Range<usize>) -> bool {
        let first = self.hits.partition_point(|&hit| hit < range.start);
        self.hits.get(first).is_some_and(|&hit| hit < range.end)
    }
}

/// Whether the text of a definition mentions a macro that depends on time.
pub(crate) fn mentions_time(text: &[u8]) -> bool {
    [&b"__DATE__"[..], b"__TIME__", b"__TIMESTAMP__"]
        .iter()
        .any(|word| memmem::find(text, word).is_some())
}

/// Something found in text.
pub(crate) enum Seen {
    Call(Call),
    Note(Note),
}

/// Looks through a stretch of text.
pub(crate) fn look(
    tokens: &[Token],
    dialect: Dialect,
    clean: &[u8],
    calls: &mut Calls,
    makers: &Makers,
    names: &mut Names,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut time = false;
    for token in tokens {
        let bytes = names.entry(token.text).bytes.clone();
        match token.kind {
            Kind::Identifier => {
                time |= matches!(&*bytes, b"__DATE__" | b"__TIME__" | b"__TIMESTAMP__");
            }
            Kind::Text => seen.extend(assembler(&bytes).map(Seen::Note)),
            _ => {}
        }
    }
    if dialect.asm {
        seen.extend(assembler(clean).map(Seen::Note));
    }
    if time {
        seen.push(Seen::Note(Note::Time));
    }
    let found = calls.look(tokens, dialect, makers, names);
    seen.extend(found.into_iter().map(Seen::Call));
    seen
}

/// Whether a maker's name touches characters outside of ASCII, which may be part of the name or not.
pub(crate) fn touches_maker(tokens: &[Token], makers: &Makers, names: &mut Names) -> bool {
    tokens.iter().any(|token| {
        let bytes = names.entry(token.text).bytes.clone();
        let is_name = token.kind == Kind::Identifier && !bytes.is_ascii();
        is_name
            && bytes
                .split(|byte| !byte.is_ascii())
                .any(|part| part == b"_Pragma" || makers.knows(names.id(part)))
    })
}

/// The step that `_Pragma(text)` stands for.
pub(crate) fn destringed(
    text: Id,
    dialect: Dialect,
    names: &mut Names,
) -> Result<Option<Step>, Bad> {
    let bytes = names.entry(text).bytes.clone();
    let inner = match memchr::memchr(b'"', &bytes) {
        // gcc knows no other prefix here, and makes nothing of the string.
        Some(open) if !dialect.clang && !matches!(&bytes[..open], b"" | b"L") => return Ok(None),
        Some(open) if bytes.len() > open + 1 && bytes[..open].last() != Some(&b'R') => {
            &bytes[open + 1..bytes.len() - 1]
        }
        _ => return Err(Bad::Unmodelled("_Pragma with a raw string".into())),
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &byte in inner {
        if byte == b'\\' && !escaped {
            escaped = true;
            continue;
        }
        if escaped && !matches!(byte, b'"' | b'\\') {
            plain.push(b'\\');
        }
        escaped = false;
        plain.push(byte);
    }
    let mut tokens = Vec::new();
    tokenize(&plain, dialect, names, &mut tokens);
    pragma(&tokens, dialect, names)
}

/// The step that a pragma stands for, if it matters here.
pub(crate) fn pragma(
    tokens: &[Token],
    dialect: Dialect,
    names: &mut Names,
) -> Result<Option<Step>, Bad> {
    let mut word = |at: usize| tokens.get(at).map(|t| names.entry(t.text).bytes.clone());
    let first = word(0);
    match first.as_deref() {
        Some(b"once") => Ok(Some(Step::Once)),
        Some(keyword @ (b"push_macro" | b"pop_macro")) => {
            let name =
                word(2).filter(|_| tokens[1].is(known::LPAREN) && tokens[2].kind == Kind::Text);
            let Some(name) = name else {
                return Err(Bad::Unmodelled(
                    "a push_macro or pop_macro without a name".into(),
                ));
            };
            let name = name.trim_ascii_start();
            // Which gcc takes for no prefix at all.
            let plain = name.strip_prefix(b"L").filter(|_| !dialect.clang);
            let name = plain.unwrap_or(name);
            let name = names.id(name
                .strip_prefix(b"\"")
                .and_then(|n| n.strip_suffix(b"\""))
                .unwrap_or(name)
                .trim_ascii());
            Ok(Some(if keyword == b"push_macro" {
                Step::Push { name }
            } else {
                Step::Pop { name }
            }))
        }
        Some(b"GCC") if let Some(pragma) = word(1).as_deref().and_then(option_pragma) => {
            Ok(Some(Step::Options(pragma)))
        }
        Some(b"GCC") if word(1).as_deref() == Some(b"system_header") => Ok(Some(Step::System {
            on: true,
            marker: false,
        })),
        Some(b"GCC") if matches!(word(1).as_deref(), Some(b"dependency" | b"pch_preprocess")) => {
            Err(Bad::Unmodelled("#pragma GCC dependency".into()))
        }
        Some(b"clang") if matches!(word(1).as_deref(), Some(b"module")) => {
            Err(Bad::Unmodelled("#pragma clang module".into()))
        }
        Some(b"include_alias") => Err(Bad::Unmodelled("#pragma include_alias".into())),
        _ => Ok(None),
    }
}

/// The files that assembler text names by `.incbin` and `.include`; `None` for a name that is not written out.
pub fn assembler_includes(text: &[u8]) -> Vec<Option<Vec<u8>>> {
    let name = |note| match note {
        Note::Assembler(name) => Some(name),
        Note::Time => None,
    };
    assembler(text).filter_map(name).collect()
}

/// Assembler directives in `text` that read files.
fn assembler(text: &[u8]) -> impl Iterator<Item = Note> + '_ {
    let words: [&[u8]; 2] = [b".incbin", b".include"];
    words.into_iter().flat_map(move |word| {
        memmem::find_iter(text, word).filter_map(move |at| {
            let rest = &text[at + word.len()..];
            let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let rest = &rest[blanks..];
            let is_in_string = rest.first() == Some(&b'\\');
            let rest = &rest[usize::from(is_in_string)..];
            // `.include` must be followed by a name in quotes; `a.include(x)` is no assembler.
            let inner = rest.strip_prefix(b"\"");
            if blanks == 0 && inner.is_none() {
                return None;
            }
            // Closed as it was opened; what a macro or another string puts in its place is not plain to see.
            let closing: &[u8] = if is_in_string { b"\\\"" } else { b"\"" };
            let name = inner.and_then(|r| {
                let end = r.iter().position(|&b| matches!(b, b'"' | b'\\' | b'\n'))?;
                (end > 0 && r[end..].starts_with(closing)).then(|| r[..end].to_vec())
            });
            Some(Note::Assembler(name))
        })
    })
}
