//! Lists of tokens that are not in use: expansion needs many short ones, and most of its time would go into making them.

use crate::parsing::tokens::Token;

use super::substitute::Arguments;

/// Lists longer than this are not kept.
const KEPT: usize = 1 << 14;

/// Lists out of use, empty and with room.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    lists: Vec<Vec<Token>>,
    arguments: Vec<Arguments>,
}

impl Spare {
    /// An empty list.
    pub(crate) fn list(&mut self) -> Vec<Token> {
        self.lists.pop().unwrap_or_default()
    }

    /// A list of these.
    pub(super) fn list_of(&mut self, tokens: &[Token]) -> Vec<Token> {
        let mut list = self.list();
        list.extend_from_slice(tokens);
        list
    }

    /// Takes back a list.
    pub(crate) fn give(&mut self, mut list: Vec<Token>) {
        if list.capacity() <= KEPT {
            list.clear();
            self.lists.push(list);
        }
    }

    /// No arguments.
    pub(super) fn arguments(&mut self) -> Arguments {
        self.arguments.pop().unwrap_or_default()
    }

    /// Takes back arguments.
    pub(super) fn give_arguments(&mut self, mut arguments: Arguments) {
        arguments.clear();
        self.arguments.push(arguments);
    }
}
