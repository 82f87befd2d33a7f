//! A macro's arguments, and its body with the arguments in their places: `#`, `##` and `__VA_OPT__`.

use super::{Expansion, Surroundings, Trouble, is_short};
use crate::macros;
use crate::memory::names::{Names, known};
use crate::parsing::tokens::{Kind, Token, tokenize};

#[derive(Default)]
pub(super) struct Arguments {
    raw: Vec<Vec<Token>>,
    expanded: std::cell::RefCell<Vec<Option<Vec<Token>>>>,
}

impl<S: Surroundings> Expansion<'_, S> {
    pub(super) fn arguments(&mut self, of: &macros::Macro) -> Result<Arguments, Trouble> {
        let mut raw: Vec<Vec<Token>> = vec![Vec::new()];
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
                && !(of.variadic && raw.len() == of.parameters)
            {
                raw.push(Vec::new());
                continue;
            }
            if let Some(last) = raw.last_mut() {
                let mut token = token;
                token.painted |= token.kind == Kind::Identifier
                    && self.levels.iter().any(|l| l.of == token.text);
                last.push(token);
            }
        }
        let given = raw.len();
        if of.parameters == 0 && given == 1 && raw[0].is_empty() {
            raw.clear();
        } else if of.variadic && given + 1 == of.parameters {
            raw.push(Vec::new());
        } else if given != of.parameters {
            return Err(Trouble::Malformed(
                "a macro has another number of arguments",
            ));
        }
        let expanded = vec![None; raw.len()];
        Ok(Arguments {
            raw,
            expanded: std::cell::RefCell::new(expanded),
        })
    }

    pub(super) fn substitute(
        &mut self,
        of: &macros::Macro,
        body: &[Token],
        arguments: &Arguments,
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
            let mut piece: Vec<Token>;
            if of.function
                && token.is(known::HASH)
                && body.get(at + 1).is_some_and(|t| t.kind == Kind::Parameter)
            {
                width = 2;
                let raw = arguments
                    .raw
                    .get(usize::from(body[at + 1].arg))
                    .map_or(&[][..], Vec::as_slice);
                let made = stringify(raw, token.space, self.world.names());
                let bytes = self.world.names().entry(made.text).bytes.len();
                self.spend(bytes)?;
                piece = vec![made];
            } else if token.kind == Kind::Parameter {
                let index = usize::from(token.arg);
                let variadic = of.variadic && index == last_argument;
                let raw = arguments.raw.get(index).map_or(&[][..], Vec::as_slice);
                if variadic && pasting && at >= 2 && body[at - 2].is(known::COMMA) {
                    // GNU: `, ## __VA_ARGS__` drops the comma if there is nothing after it, and pastes nothing.
                    pasting = false;
                    if raw.is_empty() && !(of.parameters == 1 && self.world.keeps_comma()) {
                        out.pop();
                    }
                    piece = raw.to_vec();
                } else {
                    piece = raw.to_vec();
                }
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
            } else if is_plain {
                out.push(token);
                at += 1;
                continue;
            } else {
                piece = vec![token];
            }
            if piece.is_empty() && (pasting || paste_follows(width)) {
                piece.push(Token::new(Kind::Placemarker, known::EMPTY, token.space));
            }
            self.spend(piece.len())?;
            let mut rest = piece.into_iter();
            if pasting {
                pasting = false;
                if let (Some(left), Some(right)) = (out.pop(), rest.next()) {
                    self.paste(left, right, out)?;
                }
            }
            out.extend(rest);
            at += width;
        }
        Ok(())
    }

    /// The expansion of an argument in the place of `parameter`.
    fn push_expanded(
        &mut self,
        arguments: &Arguments,
        parameter: Token,
        out: &mut Vec<Token>,
    ) -> Result<(), Trouble> {
        let at = usize::from(parameter.arg);
        self.expand_argument(arguments, at)?;
        let start = out.len();
        if let Some(Some(done)) = arguments.expanded.borrow().get(at) {
            self.spend(done.len())?;
            out.extend_from_slice(done);
        }
        if let Some(first) = out.get_mut(start) {
            first.space = parameter.space;
        }
        Ok(())
    }

    fn expand_argument(&mut self, arguments: &Arguments, at: usize) -> Result<(), Trouble> {
        if arguments
            .expanded
            .borrow()
            .get(at)
            .is_none_or(Option::is_some)
        {
            return Ok(());
        }
        let raw = arguments.raw.get(at).map_or(&[][..], Vec::as_slice);
        let is_final = |token: &Token| token.kind != Kind::Identifier || token.painted;
        let result = if raw.iter().all(is_final) {
            raw.to_vec()
        } else {
            self.all(raw.to_vec(), false)?
        };
        if let Some(slot) = arguments.expanded.borrow_mut().get_mut(at) {
            *slot = Some(result);
        }
        Ok(())
    }

    fn is_empty_when_expanded(
        &mut self,
        arguments: &Arguments,
        at: usize,
    ) -> Result<bool, Trouble> {
        self.expand_argument(arguments, at)?;
        let expanded = arguments.expanded.borrow();
        Ok(!matches!(expanded.get(at), Some(Some(done)) if !done.is_empty()))
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
            let mut spelling = names.entry(left.text).bytes.to_vec();
            spelling.extend_from_slice(&names.entry(right.text).bytes);
            self.spend(spelling.len())?;
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
