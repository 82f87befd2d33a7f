//! Macro definitions: from the text after the name to parameters and body.
//!
//! A definition is a name like any other (its text with a marker in front), so equal definitions have equal
//! numbers and the environment holds one number for each macro. The text is parsed when it is first expanded.

pub(crate) mod calls;
pub(crate) mod expand;
pub(crate) mod known_makers;
pub(crate) mod makers;
pub(crate) mod option_pragmas;
mod stock_makers;

use std::sync::Arc;

use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::{Dialect, DialectCode};
use crate::parsing::tokens::{Kind, Token, tokenize};

/// First byte of a definition's spelling; the dialect's code and the text follow.
const MARK: u8 = 1;

/// A macro ready to be expanded.
#[derive(Debug, Default)]
pub(crate) struct Macro {
    pub(crate) function: bool,
    pub(crate) parameters: usize,
    /// The last parameter takes all remaining arguments.
    pub(crate) variadic: bool,
    pub(crate) body: Vec<Token>,
    /// The text is no definition: using it must be refused.
    pub(crate) malformed: bool,
}

/// The number of the definition whose text after the macro's name is `text`.
pub(crate) fn intern(
    text: &[u8],
    dialect: Dialect,
    names: &mut Names,
    scratch: &mut Vec<u8>,
) -> Id {
    let end = text
        .iter()
        .rposition(|&b| !crate::parsing::tokens::is_blank(b))
        .map_or(0, |at| at + 1);
    let text = &text[..end];
    let dialect = dialect.masked(Dialect::that_matter_to_definition(text));
    scratch.clear();
    scratch.push(MARK);
    scratch.extend_from_slice(&dialect.code());
    scratch.extend_from_slice(text);
    names.id(scratch)
}

/// What `-D argument` defines: the name and the text after it.
pub(crate) fn split_argument(argument: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (head, value) = match memchr::memchr(b'=', argument) {
        Some(at) => (&argument[..at], &argument[at + 1..]),
        None => (argument, &b"1"[..]),
    };
    let name_len = memchr::memchr(b'(', head).unwrap_or(head.len());
    let mut text = head[name_len..].to_vec();
    text.push(b' ');
    // Only the first line counts, as with gcc and clang.
    text.extend_from_slice(value.split(|&b| b == b'\n').next().unwrap_or_default());
    (head[..name_len].to_vec(), text)
}

/// The definition behind `id`, parsed. The entry is returned because it owns the macro.
pub(crate) fn parsed(id: Id, names: &mut Names) -> Arc<crate::memory::names::Entry> {
    let entry = names.entry(id);
    if entry.parsed.get().is_none() {
        let (code, text) = entry
            .bytes
            .get(1..)
            .unwrap_or_default()
            .split_first_chunk()
            .map_or((DialectCode::default(), &[][..]), |(code, text)| {
                (*code, text)
            });
        let parsed = parse(text, Dialect::from_code(code), names);
        // Another worker may have been faster; both parsed the same text.
        let _ = entry.parsed.set(parsed);
    }
    entry
}

fn parse(text: &[u8], dialect: Dialect, names: &mut Names) -> Macro {
    let mut tokens = Vec::new();
    tokenize(text, dialect, names, &mut tokens);
    let function = text.first() == Some(&b'(');
    let mut parameters: Vec<Id> = Vec::new();
    let mut variadic = false;
    let mut start = 0;
    if function {
        let bad = || Macro {
            malformed: true,
            ..Macro::default()
        };
        let dots = names.id(b"...");
        let mut at = 1;
        loop {
            let Some(token) = tokens.get(at) else {
                return bad();
            };
            if token.is(known::RPAREN)
                && (parameters.is_empty() || !tokens[at - 1].is(known::COMMA))
            {
                break;
            }
            if token.is(dots) {
                variadic = true;
                if at == 1 || tokens[at - 1].is(known::COMMA) {
                    parameters.push(known::VA_ARGS);
                }
                if !tokens.get(at + 1).is_some_and(|t| t.is(known::RPAREN)) {
                    return bad();
                }
            } else if token.kind == Kind::Identifier {
                parameters.push(token.text);
                if !tokens
                    .get(at + 1)
                    .is_some_and(|t| t.is(known::COMMA) || t.is(known::RPAREN) || t.is(dots))
                {
                    return bad();
                }
            } else if !token.is(known::COMMA) || parameters.is_empty() {
                return bad();
            }
            at += 1;
        }
        start = at + 1;
    }
    let mut body = tokens.split_off(start.min(tokens.len()));
    for token in &mut body {
        if token.kind == Kind::Identifier
            && let Some(at) = parameters.iter().position(|&p| p == token.text)
        {
            token.kind = Kind::Parameter;
            token.arg = u16::try_from(at).unwrap_or(u16::MAX);
        }
    }
    if let Some(first) = body.first_mut() {
        first.space = false;
    }
    let is_paste = |t: Option<&Token>| t.is_some_and(|t| t.is(known::PASTE));
    let malformed = is_paste(body.first()) || is_paste(body.last()) || parameters.len() > 60_000;
    Macro {
        function,
        parameters: parameters.len(),
        variadic,
        body,
        malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::names::SharedNames;

    fn check(text: &str, function: bool, parameters: usize, variadic: bool, malformed: bool) {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        let id = intern(
            text.as_bytes(),
            Dialect::default(),
            &mut names,
            &mut Vec::new(),
        );
        let entry = parsed(id, &mut names);
        let m = entry.parsed.get().expect("parsed above");
        assert_eq!(
            (m.function, m.parameters, m.variadic, m.malformed),
            (function, parameters, variadic, malformed),
            "{text}"
        );
    }

    #[test]
    fn reads_parameters() {
        check(" (a)", false, 0, false, false);
        check("() x", true, 0, false, false);
        check("(a,b) a##b", true, 2, false, false);
        check("(a,...) __VA_ARGS__", true, 2, true, false);
        check("(a...) a", true, 1, true, false);
        check("(a,) a", false, 0, false, true);
        check("(a) ##a", true, 1, false, true);
    }

    #[test]
    fn splits_command_line_definitions() {
        assert_eq!(split_argument(b"A"), (b"A".to_vec(), b" 1".to_vec()));
        assert_eq!(split_argument(b"A="), (b"A".to_vec(), b" ".to_vec()));
        assert_eq!(
            split_argument(b"F(x)=x=1"),
            (b"F".to_vec(), b"(x) x=1".to_vec())
        );
    }
}
