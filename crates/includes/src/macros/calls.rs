//! Calls in text that must be expanded because a maker of pragmas is mentioned in them.
//!
//! A call is taken from the name in front of its outermost parenthesis to the end of the last one (`F(x)(y)` is one
//! call: what `F(x)` leaves may be called with `(y)`), so whatever the macros around a maker do to it, expanding the
//! call does the same. Where directives stand between the parentheses the stretch of text ends within the call;
//! then the names that opened it are kept, because it matters only if one of them is a macro.
//!
//! Not seen: parentheses that a macro opens (`#define BEGIN F(`), or that another file opens by an include
//! among a macro's arguments.

use crate::macros::makers::{self, Makers};
use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::Dialect;
use crate::parsing::text::destringed;
use crate::parsing::tokens::{Kind, Token};

/// A call in which a pragma may be made.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// Names before parentheses that are open here and closed after a directive.
    pub(crate) within: Vec<Id>,
    pub(crate) tokens: Vec<Token>,
}

/// The names before one open parenthesis: several where groups of a conditional open different ones.
type Callees = Vec<Id>;

/// What is open in a file, stretch after stretch.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<Callees>,
    /// For each open conditional: what was open at its beginning, and at the ends of its groups.
    conditionals: Vec<(Vec<Callees>, Vec<Callees>)>,
}

fn merge(into: &mut Vec<Callees>, other: Vec<Callees>) {
    for (at, callees) in other.into_iter().enumerate() {
        match into.get_mut(at) {
            Some(known) => known.extend(callees),
            None => into.push(callees),
        }
    }
}

impl Calls {
    /// An `#if` stands here.
    pub(crate) fn conditional(&mut self) {
        self.conditionals.push((self.open.clone(), Vec::new()));
    }

    /// An `#else` or its like stands here.
    pub(crate) fn next_group(&mut self) {
        if let Some((before, ends)) = self.conditionals.last_mut() {
            merge(ends, std::mem::replace(&mut self.open, before.clone()));
        }
    }

    /// An `#endif` stands here.
    pub(crate) fn end_conditional(&mut self) {
        if let Some((_, ends)) = self.conditionals.pop() {
            merge(&mut self.open, ends);
        }
    }

    /// The calls of a stretch that must be expanded, in order.
    pub(crate) fn look(
        &mut self,
        tokens: &[Token],
        dialect: Dialect,
        makers: &Makers,
        names: &mut Names,
    ) -> Vec<Call> {
        // Tokens of the outermost calls that end in this stretch, and starts of those that do not.
        let mut ended: Vec<(usize, usize)> = Vec::new();
        let mut starts: Vec<usize> = Vec::new();
        let mut mentions = Vec::new();
        let carried = self.open.clone();
        for (at, token) in tokens.iter().enumerate() {
            if token.is(known::LPAREN) {
                starts.push(match (at.checked_sub(1), ended.last()) {
                    (Some(before), Some(&(start, end))) if end == before => start,
                    (Some(before), _) if tokens[before].kind == Kind::Identifier => before,
                    _ => at,
                });
            } else if token.is(known::RPAREN) {
                match starts.pop() {
                    Some(start) => {
                        while ended.last().is_some_and(|&(inner, _)| inner >= start) {
                            ended.pop();
                        }
                        ended.push((start, at));
                    }
                    None => {
                        self.open.pop();
                    }
                }
            } else if may_make(tokens, at, dialect, makers, names) {
                mentions.push(at);
            }
        }
        let callee = |start: usize| -> Callees {
            let name = tokens[start];
            (name.kind == Kind::Identifier)
                .then_some(name.text)
                .into_iter()
                .collect()
        };
        self.open.extend(starts.iter().map(|&start| callee(start)));
        let mut calls: Vec<Call> = Vec::new();
        let mut done = 0;
        for at in mentions {
            if at < done {
                continue;
            }
            let call = ended
                .iter()
                .find(|(start, end)| (*start..=*end).contains(&at));
            let (start, end) = call.copied().unwrap_or((at, at));
            done = end + 1;
            let around = starts.iter().filter(|&&start| start <= at);
            let mut within: Callees = carried.concat();
            within.extend(around.flat_map(|&start| callee(start)));
            within.sort_unstable();
            within.dedup();
            calls.push(Call {
                within,
                tokens: tokens[start..=end].to_vec(),
            });
        }
        calls
    }
}

/// Whether the token at `at` may make a pragma that acts.
fn may_make(
    tokens: &[Token],
    at: usize,
    dialect: Dialect,
    makers: &Makers,
    names: &mut Names,
) -> bool {
    if makers::is_operator(tokens, at) {
        return makers::plain_operand(tokens, at)
            .is_none_or(|operand| destringed(operand, dialect, names) != Ok(None));
    }
    makers.is_mention(tokens, at, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macros::makers::Kind as MakerKind;
    use crate::memory::names::SharedNames;
    use crate::parsing::tokens::tokenize;
    use std::sync::Arc;

    /// Stretches of text and directives between them; the calls, each as `within | tokens`.
    fn check(stretches: &[&str], expected: &[&str]) {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        let maker = (names.id(b"MAKER"), MakerKind::Any);
        let makers = Makers::default();
        let makers = makers.with(&[maker], &mut names).expect("it is new");
        let mut calls = Calls::default();
        let mut found = Vec::new();
        for stretch in stretches {
            match *stretch {
                "#if" => calls.conditional(),
                "#else" => calls.next_group(),
                "#endif" => calls.end_conditional(),
                text => {
                    let mut tokens = Vec::new();
                    tokenize(text.as_bytes(), Dialect::default(), &mut names, &mut tokens);
                    let here = calls.look(&tokens, Dialect::default(), &makers, &mut names);
                    for call in here {
                        let mut spell = |ids: Vec<Id>| {
                            let words: Vec<String> = ids
                                .iter()
                                .map(|&id| String::from_utf8_lossy(&names.entry(id).bytes).into())
                                .collect();
                            words.join(" ")
                        };
                        let tokens = spell(call.tokens.iter().map(|t| t.text).collect());
                        let within = spell(call.within);
                        let mut within: Vec<&str> = within.split(' ').collect();
                        // They stand by their numbers, whatever those are.
                        within.sort_unstable();
                        found.push(format!("{}|{tokens}", within.join(" ")));
                    }
                }
            }
        }
        assert_eq!(found, expected, "{stretches:?}");
    }

    #[test]
    fn a_call_is_as_wide_as_its_outermost_parentheses() {
        check(&["a MAKER b"], &["|MAKER"]);
        check(&["a MAKER(x) b"], &["|MAKER ( x )"]);
        check(
            &["a F(1, (MAKER))(2) b(3)"],
            &["|F ( 1 , ( MAKER ) ) ( 2 )"],
        );
        check(
            &["a F(MAKER, MAKER) + G(MAKER)"],
            &["|F ( MAKER , MAKER )", "|G ( MAKER )"],
        );
        check(&["a = (MAKER)"], &["|( MAKER )"]);
        check(&["F(x) \"MAKER\""], &[]);
    }

    #[test]
    fn what_is_open_at_a_directive_stays_known() {
        check(
            &["F(G(", "#if", "MAKER", "#endif", "))", "MAKER"],
            &["F G|MAKER", "|MAKER"],
        );
        check(&["MAKER(", "#if"], &["MAKER|MAKER"]);
        check(&["F(x) G(MAKER(1)", "#if"], &["G|MAKER ( 1 )"]);
    }

    #[test]
    fn groups_of_a_conditional_open_side_by_side() {
        check(
            &["#if", "F(", "#else", "G(", "#endif", "MAKER)", "MAKER"],
            &["F G|MAKER", "|MAKER"],
        );
        check(&["#if", "F(", "#else", "#endif", "MAKER"], &["F|MAKER"]);
    }
}
