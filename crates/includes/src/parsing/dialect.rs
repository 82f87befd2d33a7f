//! Dialect: how bytes become lines and tokens, as the compiler itself answered.

use std::sync::LazyLock;

use aho_corasick::packed::Searcher;
use memchr::memmem::Finder;

use crate::parsing::tokens::is_blank;

static LINE_COMMENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("//"));
static ELIF: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("elif"));

/// Pairs of bytes that most files do not hold, so that all of a file is searched for them: at once.
const RARE_PAIRS: [&[u8]; 3] = [b"R\"", b"??", b"%:"];
static RARE: LazyLock<Option<Searcher>> = LazyLock::new(|| Searcher::new(RARE_PAIRS));

/// Which of [`RARE_PAIRS`] the text holds.
fn rare_pairs(text: &[u8]) -> [bool; 3] {
    let Some(searcher) = &*RARE else {
        return RARE_PAIRS.map(|pair| memchr::memmem::find(text, pair).is_some());
    };
    let mut found = [false; 3];
    // No two of them overlap but `??` itself.
    for hit in searcher.find_iter(text) {
        found[hit.pattern().as_usize()] = true;
    }
    found
}

/// Whether a splice stands within one of the signs that rules are known by: `//`, `%:`, `elifdef`, `R"` or `u8'`. They
/// are searched for as bytes.
fn has_split_signs(text: &[u8], trigraphs: bool) -> bool {
    let splits = |(at, len): (usize, usize)| {
        let mut after = &text[at + len..];
        loop {
            let blanks = after.iter().take_while(|&&b| is_blank(b)).count();
            let Some(rest) = after[blanks..].strip_prefix(b"\n") else {
                return false;
            };
            // More of them may follow.
            let next = rest.strip_prefix(b"\\").or(rest.strip_prefix(b"??/"));
            let Some(next) = next else {
                let before = at.checked_sub(1).map(|before| text[before]);
                return may_be_one_sign(before, rest.first().copied());
            };
            after = next;
        }
    };
    let mut plain = memchr::memchr_iter(b'\\', text).map(|at| (at, 1));
    let mut written = memchr::memmem::find_iter(text, b"??/").map(|at| (at, 3));
    plain.any(splits) || (trigraphs && written.any(splits))
}

fn may_be_one_sign(before: Option<u8>, after: Option<u8>) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        return false;
    };
    let in_word = |byte: u8| b"elifdn".contains(&byte);
    match after {
        b'/' | b':' => before == if after == b'/' { b'/' } else { b'%' },
        b'"' | b'R' | b'8' | b'\'' => b"RuUL8".contains(&before),
        // A splice that begins another one stands before it.
        _ => in_word(before) && in_word(after),
    }
}

/// The bits of a dialect.
pub(crate) type DialectCode = [u8; 3];

/// What differs in lexing between languages, standards and compilers. All of it is asked, not derived from `-std`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Dialect {
    pub(crate) raw_strings: bool,
    pub(crate) digit_separators: bool,
    pub(crate) trigraphs: bool,
    pub(crate) line_comments: bool,
    pub(crate) elifdef: bool,
    pub(crate) cplusplus: bool,
    /// `and`, `not` and so on are operators.
    pub(crate) named_operators: bool,
    /// `true` is 1 in a condition.
    pub(crate) has_true: bool,
    pub(crate) unsigned_char: bool,
    pub(crate) unsigned_wide: bool,
    /// `, ## __VA_ARGS__` keeps its comma in a macro without named parameters.
    pub(crate) keeps_comma: bool,
    /// `%:` is `#`.
    pub(crate) digraphs: bool,
    /// `__VA_OPT__` is known.
    pub(crate) va_opt: bool,
    /// `u'a'` and `U'a'` are characters.
    pub(crate) unicode_characters: bool,
    /// `u8'a'` is a character.
    pub(crate) utf8_characters: bool,
    /// Its type is unsigned.
    pub(crate) unsigned_utf8: bool,
    /// Letters outside of ASCII may be part of names.
    pub(crate) letters: bool,
    /// Assembler with directives: `'` and unknown `#` lines are harmless.
    pub(crate) asm: bool,
    pub(crate) clang: bool,
}

impl Dialect {
    /// The rules that can matter when this text is parsed. The others count when conditions are evaluated and macros
    /// expanded, so one parse serves many standards.
    pub(crate) fn that_matter_to(text: &[u8]) -> Self {
        let [mut raw_strings, trigraphs, mut digraphs] = rare_pairs(text);
        let splits = has_split_signs(text, trigraphs);
        raw_strings |= splits;
        digraphs |= splits;
        let [mut unicode_characters, mut utf8_characters] = [splits; 2];
        for quote in memchr::memchr_iter(b'\'', text) {
            let before = &text[..quote];
            unicode_characters |= matches!(before.last(), Some(b'u' | b'U'));
            utf8_characters |= before.ends_with(b"u8");
        }
        // Every rule is named here: one that parsing looks at must not be forgotten.
        Dialect {
            raw_strings,
            digit_separators: memchr::memchr(b'\'', text).is_some(),
            trigraphs,
            line_comments: splits || LINE_COMMENT.find(text).is_some(),
            elifdef: splits
                || ELIF
                    .find_iter(text)
                    .any(|at| matches!(text.get(at + 4), Some(b'd' | b'n' | b'\\' | b'?'))),
            digraphs,
            unicode_characters,
            utf8_characters,
            letters: !text.is_ascii(),
            cplusplus: true,
            asm: true,
            clang: true,
            named_operators: false,
            has_true: false,
            unsigned_char: false,
            unsigned_wide: false,
            unsigned_utf8: false,
            keeps_comma: false,
            va_opt: false,
        }
    }

    /// The rules that can matter to the text of a definition: what a line is was settled before.
    pub(crate) fn that_matter_to_definition(text: &[u8]) -> Self {
        let matters = text.iter().any(|b| matches!(b, b'\'' | b'"' | b'%'));
        Dialect {
            raw_strings: matters,
            digit_separators: matters,
            digraphs: matters,
            unicode_characters: matters,
            utf8_characters: matters,
            cplusplus: true,
            asm: true,
            clang: true,
            letters: false,
            trigraphs: false,
            line_comments: false,
            elifdef: false,
            named_operators: false,
            has_true: false,
            unsigned_char: false,
            unsigned_wide: false,
            unsigned_utf8: false,
            keeps_comma: false,
            va_opt: false,
        }
    }

    /// The rules without those that summaries know of: those that only parsing looks at, and the comma, which is read
    /// like a macro.
    pub(crate) fn of_summaries(self) -> Self {
        Dialect {
            trigraphs: false,
            elifdef: false,
            keeps_comma: false,
            letters: false,
            ..self
        }
    }

    /// The rules for files that gcc takes for ones of a system folder, or for none: in the first it knows `//` in C90 too.
    pub(crate) fn of_files(self, in_system: bool) -> Self {
        Dialect {
            line_comments: self.line_comments || in_system,
            ..self
        }
    }

    /// These rules, where `mask` has them.
    pub(crate) fn masked(self, mask: Self) -> Self {
        let (mut code, mask) = (self.code(), mask.code());
        code.iter_mut()
            .zip(mask)
            .for_each(|(byte, mask)| *byte &= mask);
        Self::from_code(code)
    }

    /// The bits, for keys.
    pub(crate) fn code(self) -> DialectCode {
        let bits = [
            self.raw_strings,
            self.digit_separators,
            self.trigraphs,
            self.line_comments,
            self.elifdef,
            self.cplusplus,
            self.named_operators,
            self.has_true,
            self.unsigned_char,
            self.asm,
            self.clang,
            self.unsigned_wide,
            self.va_opt,
            self.keeps_comma,
            self.digraphs,
            self.unicode_characters,
            self.utf8_characters,
            self.unsigned_utf8,
            self.letters,
        ];
        let mut code = DialectCode::default();
        for (at, &bit) in bits.iter().enumerate() {
            code[at / 8] |= u8::from(bit) << (at % 8);
        }
        code
    }

    /// The inverse of [`Dialect::code`].
    pub(crate) fn from_code(code: DialectCode) -> Self {
        let bit = |at: usize| code[at / 8] >> (at % 8) & 1 == 1;
        Dialect {
            raw_strings: bit(0),
            digit_separators: bit(1),
            trigraphs: bit(2),
            line_comments: bit(3),
            elifdef: bit(4),
            cplusplus: bit(5),
            named_operators: bit(6),
            has_true: bit(7),
            unsigned_char: bit(8),
            asm: bit(9),
            clang: bit(10),
            unsigned_wide: bit(11),
            va_opt: bit(12),
            keeps_comma: bit(13),
            digraphs: bit(14),
            unicode_characters: bit(15),
            utf8_characters: bit(16),
            unsigned_utf8: bit(17),
            letters: bit(18),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_matter_where_their_signs_stand() {
        let check = |text: &str, expected: &[&str]| {
            let matter = Dialect::that_matter_to(text.as_bytes());
            let all = [
                ("raw", matter.raw_strings),
                ("trigraphs", matter.trigraphs),
                ("digraphs", matter.digraphs),
                ("quote", matter.digit_separators),
                ("unicode", matter.unicode_characters),
                ("utf8", matter.utf8_characters),
                ("comment", matter.line_comments),
                ("elifdef", matter.elifdef),
            ];
            let found = all.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
            assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
        };
        check("int x; /* */ #elif 1 ? : R %", &[]);
        check("R\"(\")", &["raw"]);
        check("a ??? b", &["trigraphs"]);
        check("%:", &["digraphs"]);
        check("1'000 u8'a'", &["quote", "utf8"]);
        check("U'a'", &["quote", "unicode"]);
        let all = &["raw", "digraphs", "unicode", "utf8", "comment", "elifdef"];
        for split in [
            "/\\\n/",
            "/\\ \n\\\n/",
            "#eli\\\nfdef",
            "#e\\\nlifdef",
            "%\\\n:",
            "u\\\n8R\"",
            "R\\\n\"",
        ] {
            check(split, all);
        }
        check("\\\n/ x\\\ny else \\\n  if do {\\\n}", &[]);
        check(
            "//\n#elifndef R\"%:??",
            &["raw", "trigraphs", "digraphs", "comment", "elifdef"],
        );
    }

    #[test]
    fn a_code_keeps_every_bit() {
        for at in 0..19 {
            let mut code = DialectCode::default();
            code[at / 8] = 1 << (at % 8);
            assert_eq!(Dialect::from_code(code).code(), code);
        }
    }
}
