//! Lines kept as tokens: conditions and computed includes, and the questions to the compiler that they hold.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Builder, narrow, skip_blanks};
use crate::memory::names::known;
use crate::parsing::steps::Line;
use crate::parsing::tokens::{Kind, Token, tokenize};

/// How the names of questions to the compiler begin.
static QUESTION_STARTS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("__has_"), Finder::new("__is_")]);

impl Builder<'_> {
    pub(super) fn line(&mut self, text: &[u8], number: u32) -> u32 {
        let mut tokens = Vec::new();
        let mut rest = text;
        // The compiler reads `<...>` as one word here, whatever quotes are in it.
        while let Some(header) = asked_header(rest) {
            tokenize(&rest[..header.start], self.dialect, self.names, &mut tokens);
            let name = self.names.id(&rest[header.clone()]);
            tokens.push(Token::new(Kind::Text, name, false));
            rest = &rest[header.end..];
        }
        tokenize(rest, self.dialect, self.names, &mut tokens);
        if QUESTION_STARTS
            .iter()
            .any(|start| start.find(text).is_some())
        {
            self.collect_questions(&tokens);
        }
        self.out.lines.push(Line { tokens, number });
        narrow(self.out.lines.len() - 1)
    }

    /// Notes `__has_x(y)` so that it can be asked together with others.
    fn collect_questions(&mut self, tokens: &[Token]) {
        for (at, token) in tokens.iter().enumerate() {
            let name = self.names.entry(token.text);
            if !(name.bytes.starts_with(b"__has_") || name.bytes.starts_with(b"__is_"))
                || name.bytes.starts_with(b"__has_include")
            {
                continue;
            }
            let Some(end) = tokens[at..].iter().position(|t| t.is(known::RPAREN)) else {
                continue;
            };
            if end < 3 || !tokens[at + 1].is(known::LPAREN) {
                continue;
            }
            let mut question = name.bytes.to_vec();
            question.push(b'(');
            for (nth, token) in tokens[at + 2..at + end].iter().enumerate() {
                if token.space && nth > 0 {
                    question.push(b' ');
                }
                question.extend_from_slice(&self.names.entry(token.text).bytes);
            }
            question.push(b')');
            let id = self.names.id(&question);
            self.out.questions.push(id);
        }
    }
}

/// Where the first `<...>` after `__has_include(` stands.
fn asked_header(text: &[u8]) -> Option<Range<usize>> {
    const WORD: &[u8] = b"__has_include";
    memchr::memmem::find_iter(text, WORD).find_map(|at| {
        let rest = &text[at + WORD.len()..];
        let rest = skip_blanks(rest.strip_prefix(b"_next").unwrap_or(rest));
        let rest = skip_blanks(rest.strip_prefix(b"(")?);
        let end = memchr::memchr(b'>', rest).filter(|_| rest.starts_with(b"<"))?;
        let start = text.len() - rest.len();
        Some(start..start + end + 1)
    })
}
