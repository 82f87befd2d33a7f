//! Directives: a file's bytes become a list of steps with jump targets. Done once per content and dialect.

mod groups;
mod lines;

use std::ops::Range;

use memchr::memmem;

use crate::macros;
use crate::macros::calls::Calls;
use crate::macros::makers::Makers;
use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::Dialect;
use crate::parsing::line_ends;
use crate::parsing::scanner::{Piece, Scanner};
use crate::parsing::steps::{Bad, Form, Note, Parsed, Step};
use crate::parsing::text;
use crate::parsing::tokens::{Kind, Token, identifier_len, is_blank, quoted_len, tokenize};
use crate::parsing::trigraphs;

struct Builder<'a> {
    out: Parsed,
    dialect: Dialect,
    makers: &'a Makers,
    calls: Calls,
    names: &'a mut Names,
    scratch: Vec<u8>,
    tokens: Vec<Token>,
    /// For each open conditional: its steps so far that want a `next`, and all that want an `end`.
    open: Vec<Vec<u32>>,
    /// The directive at hand holds a word that `text` looks for.
    closer: bool,
}

/// Parses a file; `makers` are the macros whose mention in text matters.
pub(crate) fn parse(bytes: &[u8], dialect: Dialect, makers: &Makers, names: &mut Names) -> Parsed {
    let settled = line_ends::with_line_feeds(bytes, dialect);
    let bytes = settled.as_deref().unwrap_or(bytes);
    let replaced = trigraphs::replaced(bytes, dialect);
    let src = replaced.as_deref().unwrap_or(bytes);
    let mut builder = Builder {
        out: Parsed::default(),
        dialect,
        makers,
        calls: Calls::default(),
        names,
        scratch: Vec::new(),
        tokens: Vec::new(),
        open: Vec::new(),
        closer: false,
    };
    let finder = text::Finder::new(src, makers);
    builder.out.hides_words = finder.split_words || replaced.is_some();
    let mut scanner = Scanner::new(src, dialect);
    let mut line = Vec::new();
    let mut counted = (0, 1);
    while let Some(piece) = scanner.next(&mut line) {
        match piece {
            Piece::Text(range) => {
                // Beside a maker every parenthesis counts.
                if finder.pragmas || finder.is_interesting(&range) {
                    builder.text(src, range);
                }
            }
            Piece::Directive { start, end, plain } => {
                builder.closer = finder.is_interesting(&(start..end));
                let lines = count_lines(src, &mut counted, start);
                let number = if src[start..end.min(src.len())]
                    .trim_ascii_end()
                    .contains(&b'\n')
                {
                    0
                } else {
                    lines
                };
                match plain {
                    Some(range) => builder.directive(&src[range], number),
                    None => builder.directive(&line, number),
                }
            }
        }
        for _ in scanner.hidden.drain(..) {
            builder.out.hidden.push(narrow(builder.out.steps.len()));
        }
    }
    if dialect.raw_strings && begins_across_splice(src) {
        let what = "a raw string whose beginning is on two lines";
        builder.out.broken = Some(Bad::Unmodelled(what.into()));
    }
    if dialect.raw_strings && begins_beside_others(src) {
        builder.out.broken = Some(outside_of_ascii());
    }
    if scanner.unmodelled.is_some() {
        builder.out.broken = Some(Bad::Unmodelled("a raw string that does not end".into()));
    }
    builder.finish()
}

/// Whether a splice may stand between the `R` of a raw string and its quote, or in the word that ends with this `R`.
fn begins_across_splice(src: &[u8]) -> bool {
    let quote = |at: usize| {
        let rest = &src[at..];
        let splices = rest
            .iter()
            .take_while(|&&b| b == b'\\' || is_blank(b) || b == b'\n')
            .count();
        // Without the end of a line it is an escape in a string: "ERROR\"".
        rest[..splices].contains(&b'\n') && rest.get(splices) == Some(&b'"')
    };
    let before = |at: usize| {
        let line = src[..at].strip_suffix(b"\n").map(<[u8]>::trim_ascii_end);
        let line = line.and_then(|line| line.strip_suffix(b"\\"));
        line.is_some_and(|line| {
            line.last()
                .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        })
    };
    memmem::find_iter(src, b"R\\").any(|at| quote(at + 1))
        || memmem::find_iter(src, b"R\"").any(|at| before(at) || before(start_of_prefix(src, at)))
}

/// Where the letters in front of a raw string's `R` begin, as far as they stand on its line.
fn start_of_prefix(src: &[u8], at: usize) -> usize {
    let letters = src[..at].iter().rev().take(2);
    at - letters.take_while(|b| b"uUL8".contains(b)).count()
}

/// Whether a byte outside of ASCII touches the beginning of a raw string: only some languages have it in names.
fn begins_beside_others(src: &[u8]) -> bool {
    memmem::find_iter(src, b"R\"").any(|at| {
        let start = start_of_prefix(src, at);
        start > 0 && !src[start - 1].is_ascii()
    })
}

/// Which characters names are made of differs from language to language and from compiler to compiler.
fn outside_of_ascii() -> Bad {
    Bad::Unmodelled("a character outside of ASCII where names count".into())
}

fn is_all_letters(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes);
    text.is_ok_and(|text| text.chars().all(|c| c.is_ascii() || c.is_alphabetic()))
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The number of the line at `offset`, counted on from `counted` (offset, line).
fn count_lines(src: &[u8], counted: &mut (usize, u32), offset: usize) -> u32 {
    counted.1 += narrow(memchr::memchr_iter(b'\n', &src[counted.0..offset]).count());
    counted.0 = offset;
    counted.1
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&b| is_blank(b)).count()..]
}

/// Whether a header's name is open after this much of a directive.
fn is_in_name(before: &[u8]) -> bool {
    let bracket = memchr::memrchr2(b'<', b'>', before);
    memchr::memchr_iter(b'"', before).count() % 2 == 1
        || bracket.is_some_and(|at| before[at] == b'<')
}

impl Builder<'_> {
    fn push(&mut self, step: Step) {
        self.out.steps.push(step);
    }

    fn bad(&mut self, why: Bad) {
        let at = narrow(self.out.bads.len());
        self.out.bads.push(why);
        self.push(Step::Bad { why: at });
    }

    /// The name at the start of `text` and what follows it.
    fn name<'t>(&mut self, text: &'t [u8]) -> Option<(Id, &'t [u8])> {
        let text = skip_blanks(text);
        let len = identifier_len(text, self.dialect);
        (len > 0).then(|| (self.names.id(&text[..len]), &text[len..]))
    }

    /// Whether the name that a directive defines or asks for has a character written as `\\u`: the compiler takes it for
    /// the same as the character itself.
    fn names_universally(&self, keyword: &[u8], rest: &[u8]) -> bool {
        let rest = match keyword {
            b"define" | b"undef" | b"ifdef" | b"ifndef" | b"elifdef" | b"elifndef" => {
                let rest = skip_blanks(rest);
                &rest[identifier_len(rest, self.dialect)..]
            }
            // A macro in a condition: wherever it stands, outside of characters.
            b"if" | b"elif" => {
                let at = memchr::memchr(b'\\', rest).filter(|_| !rest.contains(&b'\''));
                at.map_or(&[][..], |at| &rest[at..])
            }
            _ => return false,
        };
        rest.starts_with(b"\\u") || rest.starts_with(b"\\U")
    }

    /// Whether a directive that acts holds a character outside of ASCII where names count that is no letter of a name for
    /// all compilers: it may end one, as a no-break space does.
    fn has_other_names(&mut self, keyword: &[u8], rest: &[u8]) -> bool {
        if !keyword.is_ascii() {
            return true;
        }
        let is_written = matches!(skip_blanks(rest).first(), Some(b'"' | b'<'));
        let first = match keyword {
            b"define" | b"undef" | b"ifdef" | b"ifndef" | b"elifdef" | b"elifndef" | b"if"
            | b"elif" => usize::MAX,
            b"include" | b"include_next" | b"import" if !is_written => usize::MAX,
            b"else" | b"endif" => return false,
            // Many are headings: `mark - ...`.
            b"pragma" => 2,
            _ => return false,
        };
        let mut tokens = Vec::new();
        tokenize(rest, self.dialect, self.names, &mut tokens);
        tokens.iter().take(first).any(|token| {
            let bytes = &self.names.entry(token.text).bytes;
            let is_part = !matches!(token.kind, Kind::Text | Kind::Character);
            is_part
                && !(self.dialect.letters && is_all_letters(bytes) || bytes.is_ascii())
                && (keyword != b"pragma" || bytes.first().is_some_and(u8::is_ascii_alphabetic))
        })
    }

    fn directive(&mut self, text: &[u8], number: u32) {
        let text = skip_blanks(text);
        let len = identifier_len(text, self.dialect);
        let (keyword, rest) = text.split_at(len);
        if self.names_universally(keyword, rest) {
            self.out.broken = Some(Bad::Unmodelled("a universal character name".into()));
        }
        if !text.is_ascii() && self.has_other_names(keyword, rest) {
            self.out.broken = Some(outside_of_ascii());
        }
        // gcc ends the name there, clang does not.
        if memchr::memchr_iter(0, rest).any(|nul| is_in_name(&rest[..nul])) {
            self.out.broken = Some(Bad::Unmodelled("a NUL byte in a name".into()));
        }
        match keyword {
            b"if" | b"ifdef" | b"ifndef" => self.calls.conditional(),
            b"elif" | b"elifdef" | b"elifndef" | b"else" => self.calls.next_group(),
            b"endif" => self.calls.end_conditional(),
            _ => {}
        }
        match keyword {
            b"define" => self.define(rest),
            b"undef" => match self.name(rest) {
                Some((name, _)) => self.push(Step::Undefine { name }),
                None => self.bad(Bad::Error("#undef without a name".into())),
            },
            b"ifdef" | b"ifndef" => {
                let name = self.name(rest).map(|(name, _)| name);
                self.open.push(vec![narrow(self.out.steps.len())]);
                match name {
                    Some(name) => self.push(Step::Ifdef {
                        name,
                        next: 0,
                        negated: keyword == b"ifndef",
                    }),
                    None => {
                        // An error, but only where it is evaluated: like `#if` without a condition.
                        let line = self.line(b"", number);
                        self.push(Step::If { line, next: 0 });
                    }
                }
            }
            b"if" => {
                self.open.push(vec![narrow(self.out.steps.len())]);
                match self.only_defined(rest) {
                    Some((name, negated)) => self.push(Step::Ifdef {
                        name,
                        next: 0,
                        negated,
                    }),
                    None => {
                        let line = self.line(rest, number);
                        self.push(Step::If { line, next: 0 });
                    }
                }
            }
            b"elif" => {
                let line = self.line(rest, number);
                self.continue_group(Step::Elif {
                    line,
                    next: 0,
                    end: 0,
                });
            }
            b"elifdef" | b"elifndef" if self.dialect.elifdef => match self.name(rest) {
                Some((name, _)) => self.continue_group(Step::Elifdef {
                    name,
                    next: 0,
                    end: 0,
                    negated: keyword == b"elifndef",
                }),
                None => {
                    let line = self.line(b"", number);
                    self.continue_group(Step::Elif {
                        line,
                        next: 0,
                        end: 0,
                    });
                }
            },
            b"else" => self.continue_group(Step::Else { end: 0 }),
            b"endif" => self.endif(),
            b"include" => self.include(rest, Form::Include, number),
            b"include_next" => self.include(rest, Form::Next, number),
            b"import" => self.include(rest, Form::Import, number),
            b"pragma" => self.pragma(rest),
            b"line" => self.out.renumbered = true,
            b"ident" | b"sccs" | b"warning" => {}
            b"error" if self.dialect.asm => self.bad(Bad::Error("#error".into())),
            b"error" => self.bad(Bad::Error(format!(
                "#error{}",
                String::from_utf8_lossy(rest)
            ))),
            b"" if text.first().is_some_and(u8::is_ascii_digit) => {
                self.out.renumbered = true;
                if !self.dialect.clang && !self.dialect.asm {
                    self.marker(text);
                }
            }
            b"" if text.is_empty() || self.dialect.asm => {}
            // Only a condition that asks for an assertion matters, and that one is refused.
            b"assert" | b"unassert" if !self.dialect.clang => {}
            b"assert" | b"unassert" | b"embed" | b"include_macros" | b"__include_macros"
            | b"__public_macro" | b"__private_macro" => {
                self.bad(Bad::Unmodelled(format!(
                    "#{}",
                    String::from_utf8_lossy(keyword)
                )));
            }
            _ if self.dialect.asm => {}
            _ => self.bad(Bad::Error(format!(
                "unknown directive #{}",
                String::from_utf8_lossy(keyword)
            ))),
        }
    }

    fn define(&mut self, rest: &[u8]) {
        let Some((name, text)) = self.name(rest) else {
            return self.bad(Bad::Error("#define without a name".into()));
        };
        if name == known::DEFINED {
            return self.bad(Bad::Error("`defined` cannot be defined".into()));
        }
        let definition = macros::intern(text, self.dialect, self.names, &mut self.scratch);
        self.push(Step::Define { name, definition });
        if text::mentions_time(text) {
            self.note(Note::Time);
        }
        if self.closer {
            let entry = macros::parsed(definition, self.names);
            let judged = entry
                .parsed
                .get()
                .and_then(|parsed| self.makers.judge(parsed, self.dialect, self.names));
            self.out.makers.extend(judged.map(|kind| (name, kind)));
        }
    }

    fn note(&mut self, note: Note) {
        let at = narrow(self.out.notes.len());
        self.out.notes.push(note);
        self.push(Step::Note { note: at });
    }

    /// gcc's `# 1 "file" 3`: the 3 says that the file is one of a system folder. Without a name it says nothing.
    fn marker(&mut self, text: &[u8]) {
        let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
        let name = skip_blanks(&text[digits..]);
        if name.is_empty() {
            return;
        }
        let len = quoted_len(name).filter(|_| name.starts_with(b"\""));
        let flags = len.map(|len| {
            let words = name[len..].split(|&b| is_blank(b));
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>()
        });
        let on = match flags.as_deref() {
            Some([]) => false,
            Some([b"3"] | [b"3", b"4"]) => true,
            _ => return self.push(Step::Marker),
        };
        self.push(Step::System { on, marker: true });
    }

    fn include(&mut self, rest: &[u8], form: Form, number: u32) {
        let rest = skip_blanks(rest);
        let close = match rest.first() {
            Some(b'"') => memchr::memchr(b'"', &rest[1..]),
            Some(b'<') => memchr::memchr(b'>', &rest[1..]),
            _ => {
                let line = self.line(rest, number);
                return self.push(Step::Computed { line, form });
            }
        };
        match close {
            Some(0) => self.bad(Bad::Error("an include with an empty name".into())),
            Some(len) => {
                let header = self.names.id(&rest[..len + 2]);
                self.push(Step::Include { header, form });
            }
            None => self.bad(Bad::Error("an include whose name does not end".into())),
        }
    }

    fn pragma(&mut self, rest: &[u8]) {
        self.tokens.clear();
        let mut tokens = std::mem::take(&mut self.tokens);
        tokenize(rest, self.dialect, self.names, &mut tokens);
        let steps = text::pragma(&tokens, self.dialect, self.names);
        self.tokens = tokens;
        match steps {
            Ok(Some(step)) => {
                self.out.may_be_once |= step == Step::Once;
                self.push(step);
            }
            Ok(None) => {}
            Err(bad) => self.bad(bad),
        }
    }

    fn text(&mut self, src: &[u8], range: Range<usize>) {
        let clean = Scanner::clean_text(src, range, self.dialect);
        self.tokens.clear();
        let mut tokens = std::mem::take(&mut self.tokens);
        tokenize(&clean, self.dialect, self.names, &mut tokens);
        if !clean.is_ascii() && text::touches_maker(&tokens, self.makers, self.names) {
            self.out.broken = Some(outside_of_ascii());
        }
        let found = text::look(
            &tokens,
            self.dialect,
            &clean,
            &mut self.calls,
            self.makers,
            self.names,
        );
        for found in found {
            match found {
                text::Seen::Call(call) => {
                    self.out.may_be_once = true;
                    self.out.calls.push(call);
                    let call = narrow(self.out.calls.len() - 1);
                    self.push(Step::Call { call });
                }
                text::Seen::Note(note) => self.note(note),
            }
        }
        if self.calls.has_lost_some() {
            self.bad(Bad::Unmodelled(
                "a pragma in parentheses that are too many".into(),
            ));
        }
        self.tokens = tokens;
    }

    fn finish(mut self) -> Parsed {
        if !self.open.is_empty() && self.out.broken.is_none() {
            self.out.broken = Some(Bad::Error("a condition without #endif".into()));
        }
        let steps = &self.out.steps;
        // Before a guard too, this acts in its own file alone.
        let first = steps
            .iter()
            .find(|step| !matches!(step, Step::System { .. }));
        self.out.guard = match (first, steps.last()) {
            (
                Some(&Step::Ifdef {
                    name,
                    next,
                    negated: true,
                }),
                Some(Step::Endif),
            ) if next as usize == steps.len() - 1 => Some(name),
            _ => None,
        };
        self.out.steps.shrink_to_fit();
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::names::SharedNames;
    use std::sync::Arc;

    fn parsed(src: &str) -> Parsed {
        let dialect = Dialect {
            line_comments: true,
            elifdef: true,
            ..Dialect::default()
        };
        parse(
            src.as_bytes(),
            dialect,
            &Makers::default(),
            &mut Names::new(Arc::new(SharedNames::new())),
        )
    }

    #[test]
    fn a_guard_may_have_text_but_no_directive_around_it() {
        assert!(
            parsed("// c\n#ifndef A\n#define A\n#endif\nint x;\n")
                .guard
                .is_some()
        );
        assert!(
            parsed("#if !defined(A)\n#if 1\n#else\n#endif\n#endif\n")
                .guard
                .is_some()
        );
        assert!(parsed("#ifndef A\n#else\n#endif\n").guard.is_none());
        assert!(parsed("#ifndef A\n#endif\n#undef B\n").guard.is_none());
        assert!(parsed("#ifdef A\n#endif\n").guard.is_none());
    }

    #[test]
    fn groups_jump_to_their_next_and_their_end() {
        let steps = parsed("#if 1\n#elif 2\n#else\n#endif\n").steps;
        assert!(matches!(steps[0], Step::If { next: 1, .. }));
        assert!(matches!(
            steps[1],
            Step::Elif {
                next: 2,
                end: 3,
                ..
            }
        ));
        assert!(matches!(steps[2], Step::Else { end: 3 }));
    }

    #[test]
    fn unbalanced_groups_break_the_file() {
        for src in [
            "#if 1\n",
            "#endif\n",
            "#else\n",
            "#if 1\n#else\n#else\n#endif\n",
        ] {
            assert!(parsed(src).broken.is_some(), "{src}");
        }
    }

    #[test]
    fn only_the_end_of_a_line_splits_the_beginning_of_a_raw_string() {
        for split in ["auto q=R\\\n\"(\n)\";", "R\\ \n\\\n\"(", "u8\\\nR\"()\";"] {
            assert!(begins_across_splice(split.as_bytes()), "{split}");
        }
        for whole in ["puts(\"ERROR\\\"\");", "q = \\\nR\"()\";", "R\"(\\\n)\";"] {
            assert!(!begins_across_splice(whole.as_bytes()), "{whole}");
        }
    }
}
