//! The macros that the compiler answers itself: `__has_include`, feature questions, `_Pragma`, `__LINE__` and the like.

use super::{Expansion, Surroundings, Trouble, cost, header_name};
use crate::memory::names::{Id, known};
use crate::parsing::tokens::{Kind, Token};

impl<S: Surroundings> Expansion<'_, S> {
    pub(super) fn enter_builtin(
        &mut self,
        name: Token,
        definition: Id,
        out: &mut Vec<Token>,
    ) -> Result<bool, Trouble> {
        if definition != known::DEF_PRAGMA {
            self.spend(cost::MAKING)?;
        }
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
        match *expanded.as_slice() {
            [text] if text.kind == Kind::Text => {
                let len = self.world.names().spelling(text.text).len();
                self.spend(cost::PRAGMA + len)?;
                self.world.pragma(text.text)
            }
            _ => Err(bad),
        }
    }

    fn in_parentheses(&mut self) -> Result<Vec<Token>, Trouble> {
        if !self.next_is_paren() {
            return Err(Trouble::Malformed("a built-in macro lacks its argument"));
        }
        let mut inside = self.spare.list();
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
}
