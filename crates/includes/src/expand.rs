//! Macro expansion, as gcc and clang do it: a stack of token lists, each disabling the macro it came from.

use crate::dialect::Dialect;
use crate::macros;
use crate::names::{Id, Names, known};
use crate::tokens::{Kind, Token, tokenize};

/// Why an expansion cannot be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The line is not valid; the compiler reports an error here.
    Malformed(&'static str),
    /// The line is valid, but what it does is not modelled.
    Unmodelled(&'static str),
}

/// What expansion asks of its surroundings.
pub(crate) trait Surroundings {
    /// The definition of `name` now, 0 if none.
    fn value(&mut self, name: Id) -> Id;
    /// The names.
    fn names(&mut self) -> &mut Names;
    /// The lexing rules in force.
    fn dialect(&self) -> Dialect;
    /// A built-in macro without arguments.
    fn builtin(&mut self, definition: Id) -> Result<Token, Trouble>;
    /// `__has_include(header)`; `header` with its quotes or brackets.
    fn has_include(&mut self, header: &[u8], next: bool) -> Result<bool, Trouble>;
    /// A question only the compiler can answer, such as `__has_builtin(x)`; the answer is a number as spelled.
    fn question(&mut self, question: &[u8]) -> Result<Id, Trouble>;
    /// `_Pragma(text)` in text; `text` with its quotes.
    fn pragma(&mut self, text: Id) -> Result<(), Trouble>;
}

struct Level {
    tokens: Vec<Token>,
    at: usize,
    of: Id,
    barrier: bool,
}

/// The expansion of one line.
pub(crate) struct Expansion<'a, S: Surroundings> {
    world: &'a mut S,
    levels: Vec<Level>,
    steps: u32,
    /// The tokens are text: pragmas act, the line is not known.
    text: bool,
}

/// Steps after which an expansion is given up: it is exponential, or endless by a bug.
const MAX_STEPS: u32 = 50_000_000;

/// Expands `tokens` as the line of an `#include`.
pub(crate) fn expand<S: Surroundings>(
    world: &mut S,
    tokens: Vec<Token>,
) -> Result<Vec<Token>, Trouble> {
    Expansion::new(world, false).all(tokens, false)
}

/// Expands `tokens` as a condition: `defined` is answered.
pub(crate) fn expand_condition<S: Surroundings>(
    world: &mut S,
    tokens: &[Token],
) -> Result<Vec<Token>, Trouble> {
    match expand_plain(world, tokens) {
        Some(expanded) => Ok(expanded),
        // It reads the same names once more, in the same order.
        None => Expansion::new(world, false).all(tokens.to_vec(), true),
    }
}

/// The common case of a condition, in which macros stand for single numbers. `None`: it is not that plain.
fn expand_plain<S: Surroundings>(world: &mut S, tokens: &[Token]) -> Option<Vec<Token>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let [token, after @ ..] = rest {
        rest = after;
        if token.kind != Kind::Identifier {
            out.push(*token);
            continue;
        }
        if token.text == known::DEFINED {
            let name = match after {
                [open, name, close, ..] if open.is(known::LPAREN) && close.is(known::RPAREN) => {
                    rest = &after[3..];
                    name
                }
                [name, ..] => {
                    rest = &after[1..];
                    name
                }
                [] => return None,
            };
            if name.kind != Kind::Identifier {
                return None;
            }
            out.push(is_defined(world, *name, token.space));
            continue;
        }
        let definition = world.value(token.text);
        if definition == 0 {
            out.push(*token);
            continue;
        }
        if (known::DEF_FILE..=known::DEF_UNKNOWN).contains(&definition) {
            return None;
        }
        let entry = macros::parsed(definition, world.names());
        match entry.parsed.get()? {
            found if found.function || found.malformed => return None,
            found => match found.body.as_slice() {
                [number] if number.kind == Kind::Number => out.push(Token {
                    space: token.space,
                    ..*number
                }),
                _ => return None,
            },
        }
    }
    Some(out)
}

fn is_defined<S: Surroundings>(world: &mut S, name: Token, space: bool) -> Token {
    let text = if world.value(name.text) != 0 {
        known::ONE
    } else {
        known::ZERO
    };
    Token::new(Kind::Number, text, space)
}

/// Expands `tokens` as text, for the sake of the pragmas made.
pub(crate) fn expand_text<S: Surroundings>(
    world: &mut S,
    tokens: Vec<Token>,
) -> Result<(), Trouble> {
    Expansion::new(world, true).all(tokens, false).map(|_| ())
}

/// The header named by expanded `tokens`, with its quotes or brackets.
pub(crate) fn header_name(tokens: &[Token], names: &mut Names) -> Result<Vec<u8>, Trouble> {
    match tokens.first() {
        Some(first) if first.kind == Kind::Text => Ok(names.entry(first.text).bytes.to_vec()),
        Some(first) if first.is(known::LESS) => {
            let mut header = b"<".to_vec();
            for token in &tokens[1..] {
                if token.is(known::GREATER) {
                    header.push(b'>');
                    return Ok(header);
                }
                if token.space {
                    header.push(b' ');
                }
                header.extend_from_slice(&names.entry(token.text).bytes);
            }
            Err(Trouble::Malformed("a header name does not end"))
        }
        _ => Err(Trouble::Malformed("an include names no header")),
    }
}

impl<'a, S: Surroundings> Expansion<'a, S> {
    fn new(world: &'a mut S, text: bool) -> Self {
        Expansion {
            world,
            levels: Vec::new(),
            steps: 0,
            text,
        }
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let level = self.levels.last_mut()?;
            if let Some(&token) = level.tokens.get(level.at) {
                level.at += 1;
                return Some(token);
            }
            if level.barrier {
                return None;
            }
            self.levels.pop();
        }
    }

    fn push(&mut self, tokens: Vec<Token>, of: Id, barrier: bool) {
        self.levels.push(Level {
            tokens,
            at: 0,
            of,
            barrier,
        });
    }

    fn next_is_paren(&mut self) -> bool {
        match self.next() {
            Some(token) if token.is(known::LPAREN) => true,
            Some(token) => {
                self.push(vec![token], 0, false);
                false
            }
            None => false,
        }
    }

    fn all(&mut self, tokens: Vec<Token>, condition: bool) -> Result<Vec<Token>, Trouble> {
        self.push(tokens, 0, true);
        let mut out = Vec::new();
        let mut owed_space = false;
        while let Some(mut token) = self.next() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Trouble::Unmodelled("an expansion does not end"));
            }
            token.space |= std::mem::take(&mut owed_space);
            if token.kind == Kind::Identifier && !token.painted {
                if condition && token.text == known::DEFINED {
                    out.push(self.defined(token.space)?);
                    continue;
                }
                let definition = self.world.value(token.text);
                if definition != 0 {
                    if self.levels.iter().any(|level| level.of == token.text) {
                        token.painted = true;
                    } else if self.enter(token, definition, &mut out)? {
                        owed_space = token.space
                            && self
                                .levels
                                .last()
                                .is_some_and(|l| l.of == token.text && l.tokens.is_empty());
                        continue;
                    }
                }
            }
            out.push(token);
        }
        self.levels.pop();
        Ok(out)
    }

    fn defined(&mut self, space: bool) -> Result<Token, Trouble> {
        let mut name = self.next();
        let parenthesis = name.is_some_and(|t| t.is(known::LPAREN));
        if parenthesis {
            name = self.next();
        }
        let Some(name) = name.filter(|t| t.kind == Kind::Identifier) else {
            return Err(Trouble::Malformed("`defined` names nothing"));
        };
        if parenthesis && !self.next().is_some_and(|t| t.is(known::RPAREN)) {
            return Err(Trouble::Malformed("`defined` is not closed"));
        }
        Ok(is_defined(self.world, name, space))
    }

    /// Starts the expansion of `name`. False: it is a function-like macro without arguments, an ordinary word.
    fn enter(
        &mut self,
        name: Token,
        definition: Id,
        out: &mut Vec<Token>,
    ) -> Result<bool, Trouble> {
        if (known::DEF_FILE..=known::DEF_UNKNOWN).contains(&definition) {
            return self.enter_builtin(name, definition, out);
        }
        let entry = macros::parsed(definition, self.world.names());
        let Some(found) = entry.parsed.get() else {
            return Err(Trouble::Unmodelled("a definition was lost"));
        };
        if found.malformed {
            return Err(Trouble::Malformed("a macro's definition is not valid"));
        }
        let mut tokens = if found.function {
            if !self.next_is_paren() {
                return Ok(false);
            }
            let arguments = self.arguments(found)?;
            let mut result = Vec::new();
            self.substitute(found, &found.body, &arguments, &mut result)?;
            result
        } else if found.body.iter().any(|t| t.is(known::PASTE)) {
            let mut result = Vec::new();
            self.substitute(found, &found.body, &Arguments::default(), &mut result)?;
            result
        } else {
            found.body.clone()
        };
        tokens.retain(|t| t.kind != Kind::Placemarker);
        if let Some(first) = tokens.first_mut() {
            first.space = name.space;
        }
        self.push(tokens, name.text, false);
        Ok(true)
    }

    fn enter_builtin(
        &mut self,
        name: Token,
        definition: Id,
        out: &mut Vec<Token>,
    ) -> Result<bool, Trouble> {
        let mut token = match definition {
            // In arguments it waits: both compilers obey each copy that is left in the end, and no other.
            known::DEF_PRAGMA if self.text && self.is_outermost() => {
                self.pragma()?;
                return Ok(true);
            }
            known::DEF_PRAGMA => return Ok(false),
            known::DEF_LINE | known::DEF_COUNTER | known::DEF_LEVEL if self.text => {
                Token::new(Kind::Number, known::ZERO, false)
            }
            known::DEF_DATE | known::DEF_FILE | known::DEF_BASE_FILE | known::DEF_UNKNOWN
                if self.text =>
            {
                Token::new(Kind::Text, self.world.names().id(b"\"\""), false)
            }
            known::DEF_HAS_INCLUDE | known::DEF_HAS_INCLUDE_NEXT => {
                let inside = self.in_parentheses()?;
                let header = match inside.first() {
                    Some(first) if first.kind == Kind::Text || first.is(known::LESS) => {
                        header_name(&inside, self.world.names())?
                    }
                    _ => {
                        let expanded = self.all(inside, false)?;
                        header_name(&expanded, self.world.names())?
                    }
                };
                let yes = self
                    .world
                    .has_include(&header, definition == known::DEF_HAS_INCLUDE_NEXT)?;
                Token::new(
                    Kind::Number,
                    if yes { known::ONE } else { known::ZERO },
                    false,
                )
            }
            known::DEF_QUESTION => {
                let inside = self.in_parentheses()?;
                let mut question = self.world.names().entry(name.text).bytes.to_vec();
                question.push(b'(');
                for (at, token) in inside.iter().enumerate() {
                    if token.kind == Kind::Identifier
                        && !token.painted
                        && self.world.value(token.text) != 0
                    {
                        return Err(Trouble::Unmodelled(
                            "a feature question about a macro's name",
                        ));
                    }
                    if token.space && at > 0 {
                        question.push(b' ');
                    }
                    question.extend_from_slice(&self.world.names().entry(token.text).bytes);
                }
                question.push(b')');
                Token::new(Kind::Number, self.world.question(&question)?, false)
            }
            _ => self.world.builtin(definition)?,
        };
        token.space = name.space;
        out.push(token);
        Ok(true)
    }

    /// Whether what is expanded is the text itself, and not a macro's argument.
    fn is_outermost(&self) -> bool {
        self.levels.iter().filter(|level| level.barrier).count() == 1
    }

    /// `_Pragma` was read: obeys it. The operand may come from macros.
    fn pragma(&mut self) -> Result<(), Trouble> {
        let bad = Trouble::Malformed("_Pragma lacks its string");
        let inside = self.in_parentheses().map_err(|_| bad.clone())?;
        let expanded = self.all(inside, false)?;
        match expanded.as_slice() {
            [text] if text.kind == Kind::Text => self.world.pragma(text.text),
            _ => Err(bad),
        }
    }

    fn in_parentheses(&mut self) -> Result<Vec<Token>, Trouble> {
        if !self.next_is_paren() {
            return Err(Trouble::Malformed("a built-in macro lacks its argument"));
        }
        let mut inside = Vec::new();
        let mut depth = 0;
        while let Some(token) = self.next() {
            if token.is(known::LPAREN) {
                depth += 1;
            } else if token.is(known::RPAREN) {
                if depth == 0 {
                    return Ok(inside);
                }
                depth -= 1;
            }
            inside.push(token);
        }
        Err(Trouble::Malformed("an argument list is not closed"))
    }

    fn arguments(&mut self, of: &macros::Macro) -> Result<Arguments, Trouble> {
        let mut raw: Vec<Vec<Token>> = vec![Vec::new()];
        let mut depth = 0;
        loop {
            let Some(token) = self.next() else {
                return Err(Trouble::Malformed("an argument list is not closed"));
            };
            self.steps += 1;
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

    fn expanded(&mut self, arguments: &Arguments, at: usize) -> Result<Vec<Token>, Trouble> {
        if let Some(Some(done)) = arguments.expanded.borrow().get(at) {
            return Ok(done.clone());
        }
        let result = self.all(arguments.raw.get(at).cloned().unwrap_or_default(), false)?;
        if let Some(slot) = arguments.expanded.borrow_mut().get_mut(at) {
            *slot = Some(result.clone());
        }
        Ok(result)
    }

    fn substitute(
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
                piece = vec![stringify(raw, token.space, self.world.names())];
            } else if token.kind == Kind::Parameter {
                let index = usize::from(token.arg);
                let variadic = of.variadic && index == last_argument;
                let raw = arguments.raw.get(index).map_or(&[][..], Vec::as_slice);
                if variadic && pasting && at >= 2 && body[at - 2].is(known::COMMA) {
                    // GNU: `, ## __VA_ARGS__` drops the comma if there is nothing after it, and pastes nothing.
                    pasting = false;
                    if raw.is_empty() && !(of.parameters == 1 && self.world.dialect().keeps_comma) {
                        out.pop();
                    }
                    piece = raw.to_vec();
                } else if pasting || paste_follows(1) {
                    piece = raw.to_vec();
                } else {
                    piece = self.expanded(arguments, index)?;
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
                if !self.expanded(arguments, last_argument)?.is_empty() {
                    self.substitute(of, inside, arguments, &mut piece)?;
                    if let Some(first) = piece.first_mut() {
                        first.space = token.space;
                    }
                }
            } else {
                piece = vec![token];
            }
            if piece.is_empty() && (pasting || paste_follows(width)) {
                piece.push(Token::new(Kind::Placemarker, known::EMPTY, token.space));
            }
            let mut rest = piece.into_iter();
            if pasting {
                pasting = false;
                if let (Some(left), Some(right)) = (out.pop(), rest.next()) {
                    self.paste(left, right, out);
                }
            }
            out.extend(rest);
            at += width;
        }
        Ok(())
    }

    fn paste(&mut self, left: Token, right: Token, out: &mut Vec<Token>) {
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
            let start = out.len();
            // Two tokens mean an error in the compiler, which goes on with both.
            tokenize(&spelling, dialect, names, out);
            if let Some(first) = out.get_mut(start) {
                first.space = left.space;
            }
        }
    }
}

#[derive(Default)]
struct Arguments {
    raw: Vec<Vec<Token>>,
    expanded: std::cell::RefCell<Vec<Option<Vec<Token>>>>,
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
