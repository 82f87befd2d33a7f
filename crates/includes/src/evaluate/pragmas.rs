//! Pragmas that act on includes and macros: "once", the stacks of macros' definitions, options that change
//! predefined macros, and the calls in text that make any of them.

use std::sync::Arc;

use super::{Stop, Unit};
use crate::macros::calls::Call;
use crate::macros::expand::{Trouble, expand_text};
use crate::macros::option_pragmas::{self, OptionPragma};
use crate::memory::names::{Id, known};
use crate::parsing::steps::Bad;

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
        let next = u32::try_from(self.worker.stack_cells.len()).unwrap_or(u32::MAX);
        let cell = *self.worker.stacks.entry((value, top)).or_insert(next);
        if cell == next {
            self.worker.stack_cells.push((value, top));
        }
        self.worker.env.write(stack, cell);
    }

    pub(super) fn pop_macro(&mut self, name: Id) {
        let stack = self.stack_of(name);
        let top = self.worker.env.read(stack);
        if top != 0 {
            let (value, rest) = self.worker.stack_cells[top as usize];
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
