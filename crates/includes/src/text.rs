//! What text between directives can do: `_Pragma`, and facts worth reporting (time macros, assembler includes).

use std::ops::Range;

use memchr::memmem;

use crate::dialect::Dialect;
use crate::directives::{Bad, Note, Step};
use crate::made_pragmas::{
    is_piece, is_pragma_operator, is_pragma_word, names_of_call, plain_operand,
};
use crate::names::{Id, Names, known};
use crate::tokens::{Kind, Token, tokenize};

const WORDS: [&[u8]; 11] = [
    b"_Pragma",
    b"__DATE__",
    b"__TIME",
    b"incbin",
    b".include",
    b"__COUNTER__",
    b"once",
    b"push_",
    b"pop_",
    b"_macro",
    b"include_alias",
];

/// Whether the `once` at `at` is a word of its own: it is a common part of others, and of comments.
fn stands_alone(src: &[u8], at: usize, word: &[u8]) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$');
    let before = at.checked_sub(1).and_then(|at| src.get(at)).copied();
    let after = src.get(at + word.len()).copied();
    !before.is_some_and(is_part) && !after.is_some_and(is_part)
}

/// Finds the stretches of a file worth a closer look, by the bytes alone.
pub(crate) struct Finder {
    hits: Vec<usize>,
}

impl Finder {
    pub(crate) fn new(src: &[u8]) -> Self {
        let mut hits: Vec<usize> = WORDS
            .iter()
            .flat_map(|&word| {
                memmem::find_iter(src, word)
                    .filter(move |&at| word != b"once" || stands_alone(src, at, word))
            })
            .collect();
        hits.sort_unstable();
        Finder { hits }
    }

    pub(crate) fn interesting(&self, range: Range<usize>) -> Option<Range<usize>> {
        let first = self.hits.partition_point(|&hit| hit < range.start);
        self.hits
            .get(first)
            .filter(|&&hit| hit < range.end)
            .map(|_| range)
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
    Step(Step),
    /// The word `once`, or a piece of another, in a call, and all names of that call.
    Once(Vec<Token>),
    Note(Note),
    Bad(Bad),
}

/// Looks through a stretch of text.
pub(crate) fn look(
    tokens: &[Token],
    dialect: Dialect,
    clean: &[u8],
    names: &mut Names,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    let (mut time, mut words, mut depth) = (false, false, 0_usize);
    let mut outermost = None;
    for (at, token) in tokens.iter().enumerate() {
        let bytes = names.entry(token.text).bytes.clone();
        match token.kind {
            Kind::Identifier => match &*bytes {
                b"__DATE__" | b"__TIME__" | b"__TIMESTAMP__" => time = true,
                b"_Pragma" => match plain_operand(tokens, at) {
                    Some(operand) => match destringed(operand, dialect, names) {
                        // A macro may drop its argument, repeat it or make a string of it.
                        Ok(Some(_)) if depth > 0 => seen.push(Seen::Bad(Bad::Unmodelled(
                            "_Pragma within parentheses".into(),
                        ))),
                        Ok(Some(step)) => seen.push(Seen::Step(step)),
                        Ok(None) => {}
                        Err(bad) => seen.push(Seen::Bad(bad)),
                    },
                    None => seen.push(Seen::Step(Step::PragmaMaker)),
                },
                _ => match outermost.filter(|_| depth > 0) {
                    Some(call) if &*bytes == b"once" || is_piece(&bytes) => {
                        seen.push(Seen::Once(names_of_call(&tokens[call..])));
                    }
                    _ if &*bytes == b"once" => {}
                    _ => words |= is_pragma_word(tokens, at, dialect, names),
                },
            },
            Kind::Text => {
                seen.extend(assembler(&bytes).map(Seen::Note));
                let is_operand = at >= 2
                    && is_pragma_operator(tokens, at - 2)
                    && plain_operand(tokens, at - 2).is_some();
                if !is_operand && is_pragma_word(tokens, at, dialect, names) {
                    let is_once = memmem::find(&bytes, b"_macro").is_none()
                        && memmem::find(&bytes, b"once").is_some();
                    match outermost.filter(|_| depth > 0) {
                        _ if !is_once => words = true,
                        Some(call) => seen.push(Seen::Once(names_of_call(&tokens[call..]))),
                        None => {}
                    }
                }
            }
            _ if token.is(known::LPAREN) => {
                if depth == 0 && !(at > 0 && tokens[at - 1].is(known::RPAREN)) {
                    outermost = Some(at.saturating_sub(1));
                }
                depth += 1;
            }
            _ if token.is(known::RPAREN) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if dialect.asm {
        seen.extend(assembler(clean).map(Seen::Note));
    }
    if time {
        seen.push(Seen::Note(Note::Time));
    }
    if words {
        seen.push(Seen::Step(Step::PragmaWords));
    }
    seen
}

/// The step that `_Pragma(text)` stands for.
pub(crate) fn destringed(
    text: Id,
    dialect: Dialect,
    names: &mut Names,
) -> Result<Option<Step>, Bad> {
    let bytes = names.entry(text).bytes.clone();
    let inner = match memchr::memchr(b'"', &bytes) {
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
    pragma(&tokens, names)
}

/// The step that a pragma stands for, if it matters here.
pub(crate) fn pragma(tokens: &[Token], names: &mut Names) -> Result<Option<Step>, Bad> {
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
            let name = names.id(name
                .trim_ascii_start()
                .strip_prefix(b"\"")
                .and_then(|n| n.strip_suffix(b"\""))
                .unwrap_or(&name)
                .trim_ascii());
            Ok(Some(if keyword == b"push_macro" {
                Step::Push { name }
            } else {
                Step::Pop { name }
            }))
        }
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

/// Assembler directives in `text` that read files.
fn assembler(text: &[u8]) -> impl Iterator<Item = Note> + '_ {
    let words: [&[u8]; 2] = [b".incbin", b".include"];
    words.into_iter().flat_map(move |word| {
        memmem::find_iter(text, word).filter_map(move |at| {
            let rest = &text[at + word.len()..];
            let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let rest = &rest[blanks..];
            let rest = rest.strip_prefix(b"\\").unwrap_or(rest);
            // `.include` must be followed by a name in quotes; `a.include(x)` is no assembler.
            let inner = rest.strip_prefix(b"\"");
            if blanks == 0 && inner.is_none() {
                return None;
            }
            let name = inner.and_then(|r| {
                r.iter()
                    .position(|&b| b == b'"' || b == b'\\')
                    .map(|end| r[..end].to_vec())
            });
            Some(Note::Assembler(name))
        })
    })
}
