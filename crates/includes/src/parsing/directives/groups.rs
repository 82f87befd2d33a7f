//! The groups of conditionals: each step gets its jumps to the next group and to the end.

use super::{Builder, narrow, skip_blanks};
use crate::memory::names::Id;
use crate::parsing::steps::{Bad, Step};
use crate::parsing::tokens::identifier_len;

impl Builder<'_> {
    /// `X` and whether it is negated, if the condition is `defined X` or `!defined X`, with or without parentheses.
    pub(super) fn only_defined(&mut self, text: &[u8]) -> Option<(Id, bool)> {
        let text = skip_blanks(text);
        let (negated, text) = match text.strip_prefix(b"!") {
            Some(rest) => (true, skip_blanks(rest)),
            None => (false, text),
        };
        let text = text.strip_prefix(b"defined")?;
        if identifier_len(text, self.dialect) > 0 || text.first().is_some_and(u8::is_ascii_digit) {
            return None;
        }
        let text = skip_blanks(text);
        let (parenthesis, text) = match text.strip_prefix(b"(") {
            Some(rest) => (true, skip_blanks(rest)),
            None => (false, text),
        };
        let (name, rest) = self.name(text)?;
        let rest = skip_blanks(rest);
        let rest = if parenthesis {
            skip_blanks(rest.strip_prefix(b")")?)
        } else {
            rest
        };
        rest.is_empty().then_some((name, negated))
    }

    pub(super) fn continue_group(&mut self, step: Step) {
        let here = narrow(self.out.steps.len());
        let Some(open) = self.open.last_mut() else {
            self.out.broken = Some(Bad::Error("#else or #elif without #if".into()));
            return;
        };
        if let Some(&last) = open.last() {
            if matches!(self.out.steps.get(last as usize), Some(Step::Else { .. })) {
                self.out.broken = Some(Bad::Error("#else or #elif after #else".into()));
            }
            set_next(&mut self.out.steps, last, here);
        }
        open.push(here);
        self.push(step);
    }

    pub(super) fn endif(&mut self) {
        let here = narrow(self.out.steps.len());
        let Some(open) = self.open.pop() else {
            self.out.broken = Some(Bad::Error("#endif without #if".into()));
            return;
        };
        if let Some(&last) = open.last() {
            set_next(&mut self.out.steps, last, here);
        }
        for at in open {
            if let Some(Step::Elif { end, .. } | Step::Elifdef { end, .. } | Step::Else { end }) =
                self.out.steps.get_mut(at as usize)
            {
                *end = here;
            }
        }
        self.push(Step::Endif);
    }
}

fn set_next(steps: &mut [Step], at: u32, to: u32) {
    if let Some(
        Step::If { next, .. }
        | Step::Ifdef { next, .. }
        | Step::Elif { next, .. }
        | Step::Elifdef { next, .. },
    ) = steps.get_mut(at as usize)
    {
        *next = to;
    }
}
