//! Macro expansion, as gcc and clang do it: a stack of token lists, each disabling the macro it came from.

mod builtins;
mod spare;
mod substitute;

use crate::macros;
use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::Dialect;
use crate::parsing::tokens::{Kind, Token};

pub(crate) use spare::Spare;
use substitute::Arguments;

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
    /// Lists for expansions to use.
    fn spare(&mut self) -> &mut Spare;
    /// The lexing rules in force.
    fn dialect(&self) -> Dialect;
    /// [`Dialect::keeps_comma`]. Few files depend on it, so those that do say so by asking.
    fn keeps_comma(&mut self) -> bool;
    /// A built-in macro without arguments.
    fn builtin(&mut self, definition: Id) -> Result<Token, Trouble>;
    /// `__has_include(header)`; `header` with its quotes or brackets.
    fn has_include(&mut self, header: &[u8], next: bool) -> Result<bool, Trouble>;
    /// A question only the compiler can answer, such as `__has_builtin(x)`; the answer is a number as spelled.
    fn question(&mut self, question: &[u8]) -> Result<Id, Trouble>;
    /// `_Pragma(text)` in text; `text` with its quotes.
    fn pragma(&mut self, text: Id) -> Result<(), Trouble>;
    /// The steps that expansions may still take before the whole compile is given up.
    fn steps_left(&mut self) -> &mut u64;
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
    spare: Spare,
    levels: Vec<Level>,
    /// How many arguments are being expanded, each within another.
    nesting: u32,
    /// The tokens are text: pragmas act, the line is not known.
    text: bool,
}

/// What takes more than the reading of a token, in steps of about as much time. The last two also leave something
/// behind that is kept until all is forgotten.
mod cost {
    /// Replacing a name by its macro's body.
    pub(super) const ENTERING: usize = 3;
    /// Levels that are looked through in the time of a step.
    pub(super) const LEVELS: usize = 8;
    /// Making a token, by `##`, `#` or a built-in macro.
    pub(super) const MAKING: usize = 100;
    /// Obeying a pragma.
    pub(super) const PRAGMA: usize = 200;
}

/// Tokens of one list; it holds memory. In Boost a few thousand are many.
const MAX_TOKENS: usize = 10_000_000;

/// Arguments expanded each within another. Each takes stack. The most that was seen is 14.
const MAX_NESTING: u32 = 200;

/// Expands `tokens` as the line of an `#include`.
pub(crate) fn expand<S: Surroundings>(
    world: &mut S,
    tokens: &[Token],
) -> Result<Vec<Token>, Trouble> {
    Expansion::of(world, false, tokens, false)
}

/// Expands `tokens` as a condition: `defined` is answered. The list goes back to [`Surroundings::spare`].
pub(crate) fn expand_condition<S: Surroundings>(
    world: &mut S,
    tokens: &[Token],
) -> Result<Vec<Token>, Trouble> {
    match expand_plain(world, tokens) {
        Some(expanded) => Ok(expanded),
        // It reads the same names once more, in the same order.
        None => Expansion::of(world, false, tokens, true),
    }
}

/// The common case of a condition, in which macros stand for single numbers. `None`: it is not that plain.
fn expand_plain<S: Surroundings>(world: &mut S, tokens: &[Token]) -> Option<Vec<Token>> {
    let mut out = world.spare().list();
    if plain(world, tokens, &mut out).is_none() {
        world.spare().give(out);
        return None;
    }
    Some(out)
}

fn plain<S: Surroundings>(world: &mut S, tokens: &[Token], out: &mut Vec<Token>) -> Option<()> {
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
    Some(())
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
pub(crate) fn expand_text<S: Surroundings>(world: &mut S, tokens: &[Token]) -> Result<(), Trouble> {
    let expanded = Expansion::of(world, true, tokens, false)?;
    world.spare().give(expanded);
    Ok(())
}

fn is_short(tokens: &[Token]) -> Result<(), Trouble> {
    if tokens.len() > MAX_TOKENS {
        return Err(Trouble::Unmodelled("a macro's expansion is too long"));
    }
    Ok(())
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
    fn of(
        world: &'a mut S,
        text: bool,
        tokens: &[Token],
        condition: bool,
    ) -> Result<Vec<Token>, Trouble> {
        let spare = std::mem::take(world.spare());
        let mut expansion = Expansion {
            world,
            spare,
            levels: Vec::new(),
            nesting: 0,
            text,
        };
        let list = expansion.spare.list_of(tokens);
        let result = expansion.all(list, condition);
        let Expansion { world, spare, .. } = expansion;
        *world.spare() = spare;
        result
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
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(level) = self.levels.pop() {
            self.spare.give(level.tokens);
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
            Some(_) => {
                // It came from the level that is the last now.
                if let Some(level) = self.levels.last_mut() {
                    level.at -= 1;
                }
                false
            }
            None => false,
        }
    }

    fn spend(&mut self, steps: usize) -> Result<(), Trouble> {
        let left = self.world.steps_left();
        *left = left
            .checked_sub(steps as u64)
            .ok_or(Trouble::Unmodelled("expanding its macros takes too long"))?;
        Ok(())
    }

    fn is_being_expanded(&mut self, name: Id) -> Result<bool, Trouble> {
        self.spend(self.levels.len() / cost::LEVELS)?;
        Ok(self.levels.iter().any(|level| level.of == name))
    }

    fn all(&mut self, tokens: Vec<Token>, condition: bool) -> Result<Vec<Token>, Trouble> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Trouble::Unmodelled("macro calls are nested too deeply"));
        }
        self.push(tokens, 0, true);
        let mut out = self.spare.list();
        let mut owed_space = false;
        while let Some(mut token) = self.next() {
            self.spend(1)?;
            is_short(&out)?;
            token.space |= std::mem::take(&mut owed_space);
            if token.kind == Kind::Identifier && !token.painted {
                if condition && token.text == known::DEFINED {
                    out.push(self.defined(token.space)?);
                    continue;
                }
                let definition = self.world.value(token.text);
                if definition != 0 {
                    self.spend(cost::ENTERING)?;
                    if self.is_being_expanded(token.text)? {
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
        self.pop();
        self.nesting -= 1;
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
        if found.function && !self.next_is_paren() {
            return Ok(false);
        }
        let mut tokens = self.spare.list();
        if found.function {
            let mut arguments = self.arguments(found)?;
            self.substitute(found, &found.body, &mut arguments, &mut tokens)?;
            self.spare.give_arguments(arguments);
        } else if found.body.iter().any(|t| t.is(known::PASTE)) {
            self.substitute(found, &found.body, &mut Arguments::default(), &mut tokens)?;
        } else {
            tokens.extend_from_slice(&found.body);
        }
        tokens.retain(|t| t.kind != Kind::Placemarker);
        if let Some(first) = tokens.first_mut() {
            first.space = name.space;
        }
        self.push(tokens, name.text, false);
        Ok(true)
    }
}
