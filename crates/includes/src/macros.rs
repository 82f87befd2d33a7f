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

use crate::macros::expand::Trouble;
use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::{Dialect, DialectCode};
use crate::parsing::scanner::Scanner;
use crate::parsing::tokens::{Kind, Token, identifier_len, is_blank, tokenize};
use crate::parsing::trigraphs;

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
        .rposition(|&b| !is_blank(b))
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
pub(crate) fn split_argument(
    argument: &[u8],
    dialect: Dialect,
) -> Result<(Vec<u8>, Vec<u8>), Trouble> {
    // Only the first line counts, as with gcc and clang.
    let line = argument.split(|&b| b == b'\n').next().unwrap_or_default();
    if line.len() < argument.len() && line.ends_with(b"\\") {
        return Err(Trouble::Unmodelled("a -D of several lines"));
    }
    let (head, value) = match memchr::memchr(b'=', line) {
        Some(at) => (&line[..at], &line[at + 1..]),
        None if line.len() < argument.len() => (line, &b""[..]),
        None => (line, &b"1"[..]),
    };
    split_line([head, b" ", value].concat(), dialect)
}

/// The name that `-U argument` takes away.
pub(crate) fn name_in_argument(argument: &[u8], dialect: Dialect) -> Result<Vec<u8>, Trouble> {
    let line = argument.split(|&b| b == b'\n').next().unwrap_or_default();
    split_line(line.to_vec(), dialect).map(|(name, _)| name)
}

/// The name at the start of the text of a directive, and what follows.
fn split_line(mut line: Vec<u8>, dialect: Dialect) -> Result<(Vec<u8>, Vec<u8>), Trouble> {
    // A comment, a trigraph or a splice, if anything.
    if memchr::memchr3(b'/', b'\\', b'?', &line).is_some() {
        line = trigraphs::replaced(&line, dialect).unwrap_or(line);
        line = Scanner::clean_text(&line, 0..line.len(), dialect);
    }
    let blanks = line.iter().take_while(|&&b| is_blank(b)).count();
    line.drain(..blanks);
    let len = identifier_len(&line, dialect);
    let rest = line.split_off(len);
    if rest.starts_with(b"\\u") || rest.starts_with(b"\\U") {
        return Err(Trouble::Unmodelled(
            "a universal character name on the command line",
        ));
    }
    if len == 0 || line == b"defined" {
        return Err(Trouble::Malformed(
            "what the command line defines or undefines is no name",
        ));
    }
    Ok((line, rest))
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
        // It is this worker's own entry, and empty.
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
        let split = |argument: &str| {
            let dialect = Dialect {
                line_comments: true,
                ..Dialect::default()
            };
            split_argument(argument.as_bytes(), dialect).map(|(name, text)| {
                (
                    String::from_utf8(name).expect("ASCII"),
                    String::from_utf8(text)
                        .expect("ASCII")
                        .trim_end()
                        .to_owned(),
                )
            })
        };
        let check = |argument: &str, name: &str, text: &str| {
            assert_eq!(
                split(argument),
                Ok((name.into(), text.into())),
                "{argument}"
            );
        };
        check("A", "A", " 1");
        check("A=", "A", "");
        check("F(x)=x=1", "F", "(x) x=1");
        check("A B=3", "A", " B 3");
        check(" A (x)=x", "A", " (x) x");
        check("A-B", "A", "-B 1");
        check("A/**/=/* x */1//2", "A", "   1");
        check("A=\"//\"", "A", " \"//\"");
        check("A\nB=1", "A", "");
        for odd in ["\\u00e9=1", "A\\u00e9", "A\\\nB=1"] {
            assert!(matches!(split(odd), Err(Trouble::Unmodelled(_))), "{odd}");
        }
        for wrong in ["1A", "=1", "defined=1", "\"A\"=1"] {
            assert!(
                matches!(split(wrong), Err(Trouble::Malformed(_))),
                "{wrong}"
            );
        }
    }
}
