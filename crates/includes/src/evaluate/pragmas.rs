//! Pragmas that act on includes and macros: "once", the stacks of macros' definitions, options that change
//! predefined macros, and the calls in text that make any of them.

use std::sync::Arc;

use super::{Stop, Unit};
use crate::macros::calls::Call;
use crate::macros::expand::{Trouble, expand_text};
use crate::macros::option_pragmas::{self, OptionPragma};
use crate::memory::names::{Id, known};
use crate::parsing::steps::Bad;

/// How the name of a stack's cell begins: behind it the value on top and the cell below. Stacks are named by what they
/// hold, so that equal ones are equal to all workers.
const CELL: &[u8] = b"\x04cell ";

fn cell(name: &[u8]) -> Option<(Id, Id)> {
    let ids = name.strip_prefix(CELL)?;
    let (value, below) = ids.split_at_checked(size_of::<Id>())?;
    let id = |bytes: &[u8]| Some(Id::from_le_bytes(bytes.try_into().ok()?));
    Some((id(value)?, id(below)?))
}

impl Unit<'_> {
    pub(super) fn mark_once(&mut self) {
        // clang only warns of it in the main file, as long as that does not include itself.
        if self.dialect.clang && self.depth == 0 {
            return;
        }
        let loaded = Arc::clone(&self.loaded);
        let mark = self.worker.once_mark(&loaded, self.dialect.clang);
        self.worker.env.write(mark, known::IS_ON);
    }

    pub(super) fn push_macro(&mut self, name: Id) {
        let stack = self.stack_of(name);
        let (top, value) = (self.worker.env.read(stack), self.worker.env.read(name));
        let mut cell = CELL.to_vec();
        cell.extend_from_slice(&value.to_le_bytes());
        cell.extend_from_slice(&top.to_le_bytes());
        let cell = self.worker.names.id(&cell);
        self.worker.env.write(stack, cell);
    }

    pub(super) fn pop_macro(&mut self, name: Id) {
        let stack = self.stack_of(name);
        let top = self.worker.env.read(stack);
        if let Some((value, rest)) = cell(self.worker.names.spelling(top)) {
            self.worker.env.write(name, value);
            self.worker.env.write(stack, rest);
        }
    }

    /// gcc obeys in C alone, where it reads and compiles at once.
    pub(super) fn options(&mut self, pragma: OptionPragma) {
        if self.dialect.clang || self.dialect.cplusplus || self.dialect.asm {
            return;
        }
        let [target, optimize] = option_pragmas::STATES.map(|state| self.worker.names.id(state));
        match pragma {
            OptionPragma::Target => self.worker.env.write(target, known::IS_ON),
            OptionPragma::Optimize => self.worker.env.write(optimize, known::IS_ON),
            OptionPragma::Push => [target, optimize]
                .into_iter()
                .for_each(|state| self.push_macro(state)),
            OptionPragma::Pop => [target, optimize]
                .into_iter()
                .for_each(|state| self.pop_macro(state)),
            OptionPragma::Reset => [target, optimize]
                .into_iter()
                .for_each(|state| self.worker.env.write(state, 0)),
        }
    }

    /// Refuses what was decided by a macro that a pragma may have changed.
    pub(super) fn sure(&self) -> Result<(), Stop> {
        if !self.is_unsure {
            return Ok(());
        }
        Err(self.bad(&Bad::Unmodelled(
            "a condition on a macro that `#pragma GCC target` or `optimize` may change".into(),
        )))
    }

    /// Expands a call in text, and obeys the pragmas that it makes.
    pub(super) fn call(&mut self, call: &Call) -> Result<(), Stop> {
        for &name in &call.within {
            if self.worker.env.read(name) != 0 {
                return Err(self.bad(&Bad::Unmodelled(
                    "a pragma in a macro's arguments that hold directives".into(),
                )));
            }
        }
        let expanded = expand_text(self, &call.tokens);
        // In text such a macro decides nothing that matters here.
        self.is_unsure = false;
        expanded.map_err(|trouble| {
            // Of what the compiler finds wrong in text, we see but a part.
            let (Trouble::Malformed(what) | Trouble::Unmodelled(what)) = trouble;
            self.stop(Trouble::Unmodelled(what))
        })
    }

    fn stack_of(&mut self, name: Id) -> Id {
        let mut text = b"\x04stack ".to_vec();
        text.extend_from_slice(&self.worker.names.entry(name).bytes);
        self.worker.names.id(&text)
    }
}
