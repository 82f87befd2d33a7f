//! A macro's arguments, and its body with the arguments in their places: `#`, `##` and `__VA_OPT__`.

use super::{Expansion, Surroundings, Trouble, cost, is_short};
use crate::macros;
use crate::memory::names::{Names, known};
use crate::parsing::tokens::{Kind, Token, tokenize};

/// The arguments of a call. Its lists are used again: only the first `count` count.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    count: usize,
    raw: Vec<Vec<Token>>,
    expanded: Vec<Expanded>,
}

/// An argument's expansion, made when it is first asked for.
#[derive(Debug, Default)]
struct Expanded {
    tokens: Vec<Token>,
    how: How,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum How {
    #[default]
    Unknown,
    AsWritten,
    Made,
}

impl Arguments {
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Opens one more.
    fn open(&mut self) {
        if self.count == self.raw.len() {
            self.raw.push(Vec::new());
            self.expanded.push(Expanded::default());
        }
        self.raw[self.count].clear();
        self.expanded[self.count].how = How::Unknown;
        self.count += 1;
    }

    fn raw(&self, at: usize) -> &[Token] {
        self.raw[..self.count]
            .get(at)
            .map_or(&[][..], Vec::as_slice)
    }

    /// The expansion, which was made before.
    fn expanded(&self, at: usize) -> &[Token] {
        match self.expanded[..self.count].get(at) {
            Some(expanded) if expanded.how == How::Made => &expanded.tokens,
            _ => self.raw(at),
        }
    }
}

impl<S: Surroundings> Expansion<'_, S> {
    pub(super) fn arguments(&mut self, of: &macros::Macro) -> Result<Arguments, Trouble> {
        let mut arguments = self.spare.arguments();
        arguments.open();
        let mut depth = 0;
        loop {
            let Some(token) = self.next() else {
                return Err(Trouble::Malformed("an argument list is not closed"));
            };
            self.spend(1)?;
            if token.is(known::LPAREN) {
                depth += 1;
            } else if token.is(known::RPAREN) {
                if depth == 0 {
                    break;
                }
                depth -= 1;
            } else if token.is(known::COMMA)
                && depth == 0
                && !(of.variadic && arguments.count == of.parameters)
            {
                arguments.open();
                continue;
            }
            let mut token = token;
            token.painted |=
                token.kind == Kind::Identifier && self.is_being_expanded(token.text)?;
            arguments.raw[arguments.count - 1].push(token);
        }
        let given = arguments.count;
        if of.parameters == 0 && given == 1 && arguments.raw(0).is_empty() {
            arguments.clear();
        } else if of.variadic && given + 1 == of.parameters {
            arguments.open();
        } else if given != of.parameters {
            return Err(Trouble::Malformed(
                "a macro has another number of arguments",
            ));
        }
        Ok(arguments)
    }

    pub(super) fn substitute(
        &mut self,
        of: &macros::Macro,
        body: &[Token],
        arguments: &mut Arguments,
        out: &mut Vec<Token>,
    ) -> Result<(), Trouble> {
        let last_argument = of.parameters.wrapping_sub(1);
        let mut at = 0;
        let mut pasting = false;
        while let Some(&token) = body.get(at) {
            self.spend(1)?;
            is_short(out)?;
            if token.is(known::PASTE) && at > 0 && at + 1 < body.len() {
                pasting = true;
                at += 1;
                continue;
            }
            let mut width = 1;
            let paste_follows = |width: usize| {
                body.get(at + width).is_some_and(|t| t.is(known::PASTE))
                    && at + width + 1 < body.len()
            };
            let is_plain = !pasting && !paste_follows(1);
            if is_plain && token.kind == Kind::Parameter {
                self.push_expanded(arguments, token, out)?;
                at += 1;
                continue;
            }
            let is_word = !(token.is(known::HASH)
                || token.kind == Kind::Parameter
                || (token.kind == Kind::Identifier && token.text == known::VA_OPT));
            if is_plain && is_word {
                out.push(token);
                at += 1;
                continue;
            }
            let mut piece = self.spare.list();
            if of.function
                && token.is(known::HASH)
                && body.get(at + 1).is_some_and(|t| t.kind == Kind::Parameter)
            {
                width = 2;
                let raw = arguments.raw(usize::from(body[at + 1].arg));
                let made = stringify(raw, token.space, self.world.names());
                let len = self.world.names().spelling(made.text).len();
                self.spend(cost::MAKING + len)?;
                piece.push(made);
            } else if token.kind == Kind::Parameter {
                let index = usize::from(token.arg);
                let variadic = of.variadic && index == last_argument;
                let raw = arguments.raw(index);
                if variadic && pasting && at >= 2 && body[at - 2].is(known::COMMA) {
                    // GNU: `, ## __VA_ARGS__` drops the comma if there is nothing after it, and pastes nothing.
                    pasting = false;
                    if raw.is_empty() && !(of.parameters == 1 && self.world.keeps_comma()) {
                        out.pop();
                    }
                }
                piece.extend_from_slice(raw);
                if let Some(first) = piece.first_mut() {
                    first.space = token.space;
                }
            } else if token.kind == Kind::Identifier
                && token.text == known::VA_OPT
                && of.variadic
                && self.world.dialect().va_opt
            {
                let inside = parenthesised(&body[at + 1..])
                    .ok_or(Trouble::Malformed("`__VA_OPT__` is not closed"))?;
                width = inside.len() + 3;
                piece = Vec::new();
                if !self.is_empty_when_expanded(arguments, last_argument)? {
                    self.substitute(of, inside, arguments, &mut piece)?;
                    if let Some(first) = piece.first_mut() {
                        first.space = token.space;
                    }
                }
            } else {
                piece.push(token);
            }
            if piece.is_empty() && (pasting || paste_follows(width)) {
                piece.push(Token::new(Kind::Placemarker, known::EMPTY, token.space));
            }
            self.spend(piece.len())?;
            let mut rest = piece.as_slice();
            if pasting {
                pasting = false;
                if let (Some(left), [right, others @ ..]) = (out.pop(), rest) {
                    self.paste(left, *right, out)?;
                    rest = others;
                }
            }
            out.extend_from_slice(rest);
            self.spare.give(piece);
            at += width;
        }
        Ok(())
    }

    /// The expansion of an argument in the place of `parameter`.
    fn push_expanded(
        &mut self,
        arguments: &mut Arguments,
        parameter: Token,
        out: &mut Vec<Token>,
    ) -> Result<(), Trouble> {
        let at = usize::from(parameter.arg);
        self.expand_argument(arguments, at)?;
        let start = out.len();
        let expanded = arguments.expanded(at);
        self.spend(expanded.len())?;
        out.extend_from_slice(expanded);
        if let Some(first) = out.get_mut(start) {
            first.space = parameter.space;
        }
        Ok(())
    }

    fn expand_argument(&mut self, arguments: &mut Arguments, at: usize) -> Result<(), Trouble> {
        if arguments.count <= at || arguments.expanded[at].how != How::Unknown {
            return Ok(());
        }
        let is_final = |token: &Token| token.kind != Kind::Identifier || token.painted;
        let raw = arguments.raw(at);
        if raw.iter().all(is_final) {
            arguments.expanded[at].how = How::AsWritten;
        } else {
            let list = self.spare.list_of(raw);
            let made = self.all(list, false)?;
            let before = std::mem::replace(&mut arguments.expanded[at].tokens, made);
            self.spare.give(before);
            arguments.expanded[at].how = How::Made;
        }
        Ok(())
    }

    fn is_empty_when_expanded(
        &mut self,
        arguments: &mut Arguments,
        at: usize,
    ) -> Result<bool, Trouble> {
        self.expand_argument(arguments, at)?;
        Ok(arguments.expanded(at).is_empty())
    }

    fn paste(&mut self, left: Token, right: Token, out: &mut Vec<Token>) -> Result<(), Trouble> {
        if right.kind == Kind::Placemarker {
            out.push(left);
        } else if left.kind == Kind::Placemarker {
            out.push(Token {
                space: left.space,
                ..right
            });
        } else {
            let dialect = self.world.dialect();
            let names = self.world.names();
            let mut spelling = names.spelling(left.text).to_vec();
            spelling.extend_from_slice(names.spelling(right.text));
            self.spend(cost::MAKING + spelling.len())?;
            let names = self.world.names();
            let start = out.len();
            // Two tokens mean an error in the compiler, which goes on with both.
            tokenize(&spelling, dialect, names, out);
            if let Some(first) = out.get_mut(start) {
                first.space = left.space;
            }
        }
        Ok(())
    }
}

/// What stands between the parentheses at the start of `body`.
fn parenthesised(body: &[Token]) -> Option<&[Token]> {
    if !body.first()?.is(known::LPAREN) {
        return None;
    }
    let mut depth = 0;
    for (at, token) in body.iter().enumerate() {
        if token.is(known::LPAREN) {
            depth += 1;
        } else if token.is(known::RPAREN) {
            depth -= 1;
            if depth == 0 {
                return Some(&body[1..at]);
            }
        }
    }
    None
}

fn stringify(tokens: &[Token], space: bool, names: &mut Names) -> Token {
    let mut text = b"\"".to_vec();
    for (at, token) in tokens.iter().enumerate() {
        if token.space && at > 0 {
            text.push(b' ');
        }
        let entry = names.entry(token.text);
        if matches!(token.kind, Kind::Text | Kind::Character) {
            for &byte in &entry.bytes {
                if matches!(byte, b'"' | b'\\') {
                    text.push(b'\\');
                }
                text.push(byte);
            }
        } else {
            text.extend_from_slice(&entry.bytes);
        }
    }
    text.push(b'"');
    Token::new(Kind::Text, names.id(&text), space)
}
