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

/// Names before open parentheses that may be copied for one file. Each mention of a maker and each conditional copies
/// those around it: without a limit, memory would grow with the square of a file that opens and does not close. In real
/// files hardly a handful is open at a directive.
const MAX_COPIED: usize = 1_000_000;

/// What is open in a file, stretch after stretch.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: Vec<Callees>,
    /// For each open conditional: what was open at its beginning, and at the ends of its groups.
    conditionals: Vec<(Vec<Callees>, Vec<Callees>)>,
    /// Names copied so far, and parentheses.
    copied: usize,
    /// A maker was mentioned where so much is open, so often, that it is not known what: its call was not told.
    lost_a_call: bool,
}

fn len(open: &[Callees]) -> usize {
    open.iter().map(|callees| 1 + callees.len()).sum()
}

/// Sorts `names`, and keeps one of each.
fn once_each(names: &mut Callees) {
    names.sort_unstable();
    names.dedup();
}

fn merge(into: &mut Vec<Callees>, other: Vec<Callees>) {
    for (at, callees) in other.into_iter().enumerate() {
        match into.get_mut(at) {
            Some(known) => {
                known.extend(callees);
                // Or conditionals one after the other would double it each time.
                once_each(known);
            }
            None => into.push(callees),
        }
    }
}

impl Calls {
    /// Notes that so many names are about to be copied. False: they are too many, and nothing is known any more.
    fn may_copy(&mut self, names: usize) -> bool {
        self.copied = self.copied.saturating_add(names);
        let may = self.copied <= MAX_COPIED;
        if !may {
            self.open = Vec::new();
            self.conditionals = Vec::new();
        }
        may
    }

    /// An `#if` stands here.
    pub(crate) fn conditional(&mut self) {
        if self.may_copy(len(&self.open)) {
            self.conditionals.push((self.open.clone(), Vec::new()));
        }
    }

    /// An `#else` or its like stands here.
    pub(crate) fn next_group(&mut self) {
        let Some((before, ends)) = self.conditionals.last() else {
            return;
        };
        if self.may_copy(len(before) + len(ends) + len(&self.open))
            && let Some((before, ends)) = self.conditionals.last_mut()
        {
            merge(ends, std::mem::replace(&mut self.open, before.clone()));
        }
    }

    /// An `#endif` stands here.
    pub(crate) fn end_conditional(&mut self) {
        if let Some((_, ends)) = self.conditionals.pop()
            && self.may_copy(len(&ends))
        {
            merge(&mut self.open, ends);
        }
    }

    /// Whether the stretch looked at last has calls that were not told, because too much is open there.
    pub(crate) fn has_lost_some(&mut self) -> bool {
        std::mem::take(&mut self.lost_a_call)
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
        // How much of what was open before is still open.
        let mut still_open = self.open.len();
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
                    None => still_open = still_open.saturating_sub(1),
                }
            } else if may_make(tokens, at, dialect, makers, names) {
                mentions.push(at);
            }
        }
        let calls = self.around(&mentions, &ended, &starts, tokens);
        self.open.truncate(still_open);
        let callees = starts
            .iter()
            .map(|&at| callee(tokens[at]).into_iter().collect());
        self.open.extend(callees);
        calls
    }

    /// The calls around `mentions`, each with what is open there: all that was before this stretch, and those of
    /// `starts` that stand in front.
    fn around(
        &mut self,
        mentions: &[usize],
        ended: &[(usize, usize)],
        mut starts: &[usize],
        tokens: &[Token],
    ) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::new();
        let mut within = Callees::new();
        let mut done = 0;
        for &at in mentions {
            if at < done {
                continue;
            }
            if calls.is_empty() {
                if !self.may_copy(len(&self.open)) {
                    self.lost_a_call = true;
                    return calls;
                }
                within = self.open.concat();
                once_each(&mut within);
            }
            let call = ended.get(ended.partition_point(|&(_, end)| end < at));
            let call = call.filter(|&&(start, _)| start <= at);
            let (start, end) = call.copied().unwrap_or((at, at));
            done = end + 1;
            let (before, after) = starts.split_at(starts.partition_point(|&start| start <= at));
            starts = after;
            if !before.is_empty() {
                within.extend(before.iter().flat_map(|&start| callee(tokens[start])));
                once_each(&mut within);
            }
            if !self.may_copy(within.len()) {
                self.lost_a_call = true;
                return calls;
            }
            calls.push(Call {
                within: within.clone(),
                tokens: tokens[start..=end].to_vec(),
            });
        }
        calls
    }
}

/// The name of what is called, if a call starts with this token.
fn callee(start: Token) -> Option<Id> {
    (start.kind == Kind::Identifier).then_some(start.text)
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
