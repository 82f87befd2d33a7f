//! Conditions: the arithmetic of `#if` on tokens that are already expanded.

mod literals;

use crate::macros::expand::Trouble;
use crate::memory::names::{Id, Names, known};
use crate::parsing::dialect::Dialect;
use crate::parsing::tokens::{Kind, Token};
use literals::{character, number};

#[derive(Debug, Clone, Copy)]
struct Value {
    bits: u64,
    unsigned: bool,
}

impl Value {
    fn signed(n: i64) -> Self {
        Value {
            bits: n.cast_unsigned(),
            unsigned: false,
        }
    }
    fn truth(yes: bool) -> Self {
        Value::signed(i64::from(yes))
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    dialect: Dialect,
    names: &'a mut Names,
    /// Parentheses, signs and choices that are open, each within another.
    nesting: u32,
}

/// More than this of them are refused: each takes stack.
const MAX_NESTING: u32 = 256;

/// Whether the condition `tokens` holds.
pub(crate) fn holds(
    tokens: &[Token],
    dialect: Dialect,
    names: &mut Names,
) -> Result<bool, Trouble> {
    let mut reader = Reader {
        tokens,
        at: 0,
        dialect,
        names,
        nesting: 0,
    };
    let value = reader.comma(true)?;
    if reader.at != tokens.len() {
        return Err(Trouble::Malformed(
            "a condition has something after its end",
        ));
    }
    Ok(value.bits != 0)
}

impl Reader<'_> {
    fn peek(&self) -> Id {
        match self.tokens.get(self.at) {
            Some(token) if token.kind == Kind::Punctuator => token.text,
            Some(token) if token.kind == Kind::Identifier && self.dialect.named_operators => {
                match token.text {
                    known::W_AND => known::AND_AND,
                    known::W_OR => known::OR_OR,
                    known::W_NOT => known::NOT,
                    known::W_BITAND => known::AND,
                    known::W_BITOR => known::OR,
                    known::W_XOR => known::XOR,
                    known::W_COMPL => known::TILDE,
                    known::W_NOT_EQ => known::UNEQUAL,
                    _ => 0,
                }
            }
            _ => 0,
        }
    }

    /// `live`: the value counts. A division by zero is an error only then.
    fn comma(&mut self, live: bool) -> Result<Value, Trouble> {
        let mut value = self.choice(live)?;
        while self.peek() == known::COMMA {
            self.at += 1;
            value = self.choice(live)?;
        }
        Ok(value)
    }

    fn choice(&mut self, live: bool) -> Result<Value, Trouble> {
        let condition = self.binary(1, live)?;
        if self.peek() != known::QUESTION {
            return Ok(condition);
        }
        self.at += 1;
        let yes = condition.bits != 0;
        let first = self.deeper(|reader| reader.comma(live && yes))?;
        if self.peek() != known::COLON {
            return Err(Trouble::Malformed("a condition lacks its `:`"));
        }
        self.at += 1;
        let second = self.deeper(|reader| reader.choice(live && !yes))?;
        let picked = if yes { first } else { second };
        Ok(Value {
            bits: picked.bits,
            unsigned: first.unsigned || second.unsigned,
        })
    }

    fn binary(&mut self, lowest: u8, live: bool) -> Result<Value, Trouble> {
        let mut left = self.unary(live)?;
        loop {
            let operator = self.peek();
            let strength = strength(operator);
            if strength < lowest {
                return Ok(left);
            }
            self.at += 1;
            let right_live = match operator {
                known::AND_AND => live && left.bits != 0,
                known::OR_OR => live && left.bits == 0,
                _ => live,
            };
            let right = self.binary(strength + 1, right_live)?;
            left = match operator {
                known::SHIFT_LEFT | known::SHIFT_RIGHT if self.dialect.clang => {
                    clang_shift(operator, left, right)
                }
                _ => apply(operator, left, right, right_live)?,
            };
        }
    }

    fn unary(&mut self, live: bool) -> Result<Value, Trouble> {
        self.deeper(|reader| reader.operand(live))
    }

    fn deeper(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Value, Trouble>,
    ) -> Result<Value, Trouble> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(Trouble::Unmodelled("a condition is nested too deeply"));
        }
        let value = read(self)?;
        self.nesting -= 1;
        Ok(value)
    }

    fn operand(&mut self, live: bool) -> Result<Value, Trouble> {
        let operator = self.peek();
        if matches!(
            operator,
            known::NOT | known::TILDE | known::MINUS | known::PLUS
        ) {
            self.at += 1;
            let value = self.unary(live)?;
            return Ok(match operator {
                known::NOT => Value::truth(value.bits == 0),
                known::TILDE => Value {
                    bits: !value.bits,
                    ..value
                },
                known::MINUS => Value {
                    bits: value.bits.wrapping_neg(),
                    ..value
                },
                _ => value,
            });
        }
        if operator == known::LPAREN {
            self.at += 1;
            let value = self.comma(live)?;
            if self.peek() != known::RPAREN {
                return Err(Trouble::Malformed("a condition lacks a `)`"));
            }
            self.at += 1;
            return Ok(value);
        }
        let Some(&token) = self.tokens.get(self.at) else {
            return Err(Trouble::Malformed("a condition ends too early"));
        };
        self.at += 1;
        match token.kind {
            Kind::Identifier if operator == 0 => Ok(Value::truth(
                self.dialect.has_true && token.text == known::TRUE,
            )),
            Kind::Number if token.text == known::ZERO || token.text == known::ONE => {
                Ok(Value::truth(token.text == known::ONE))
            }
            Kind::Number => number(self.names.spelling(token.text)),
            Kind::Character => character(self.names.spelling(token.text), self.dialect),
            _ if token.is(known::HASH) => Err(Trouble::Unmodelled("an assertion in a condition")),
            _ => Err(Trouble::Malformed(
                "a condition holds something that is no number",
            )),
        }
    }
}

fn strength(operator: Id) -> u8 {
    match operator {
        known::OR_OR => 1,
        known::AND_AND => 2,
        known::OR => 3,
        known::XOR => 4,
        known::AND => 5,
        known::EQUAL | known::UNEQUAL => 6,
        known::LESS | known::GREATER | known::LESS_EQUAL | known::GREATER_EQUAL => 7,
        known::SHIFT_LEFT | known::SHIFT_RIGHT => 8,
        known::PLUS | known::MINUS => 9,
        known::TIMES | known::DIVIDE | known::MODULO => 10,
        _ => 0,
    }
}

fn apply(operator: Id, a: Value, b: Value, live: bool) -> Result<Value, Trouble> {
    let unsigned = a.unsigned || b.unsigned;
    let (x, y) = (a.bits.cast_signed(), b.bits.cast_signed());
    let bits = match operator {
        known::OR_OR => return Ok(Value::truth(a.bits != 0 || b.bits != 0)),
        known::AND_AND => return Ok(Value::truth(a.bits != 0 && b.bits != 0)),
        known::EQUAL => return Ok(Value::truth(a.bits == b.bits)),
        known::UNEQUAL => return Ok(Value::truth(a.bits != b.bits)),
        known::LESS => return Ok(Value::truth(if unsigned { a.bits < b.bits } else { x < y })),
        known::GREATER => return Ok(Value::truth(if unsigned { a.bits > b.bits } else { x > y })),
        known::LESS_EQUAL => {
            return Ok(Value::truth(if unsigned {
                a.bits <= b.bits
            } else {
                x <= y
            }));
        }
        known::GREATER_EQUAL => {
            return Ok(Value::truth(if unsigned {
                a.bits >= b.bits
            } else {
                x >= y
            }));
        }
        known::SHIFT_LEFT | known::SHIFT_RIGHT => {
            let count = if !b.unsigned && y < 0 {
                -i128::from(y)
            } else {
                i128::from(b.bits)
            };
            let left = (operator == known::SHIFT_LEFT) == (b.unsigned || y >= 0);
            return Ok(Value {
                bits: shift(a, count, left),
                unsigned: a.unsigned,
            });
        }
        known::OR => a.bits | b.bits,
        known::XOR => a.bits ^ b.bits,
        known::AND => a.bits & b.bits,
        known::PLUS => a.bits.wrapping_add(b.bits),
        known::MINUS => a.bits.wrapping_sub(b.bits),
        known::TIMES => a.bits.wrapping_mul(b.bits),
        _ if b.bits == 0 => {
            if live {
                return Err(Trouble::Malformed("a condition divides by zero"));
            }
            0
        }
        known::DIVIDE if unsigned => a.bits / b.bits,
        known::DIVIDE => x.wrapping_div(y).cast_unsigned(),
        _ if unsigned => a.bits % b.bits,
        _ => x.wrapping_rem(y).cast_unsigned(),
    };
    Ok(Value { bits, unsigned })
}

/// clang takes counts as unsigned, and of a count to the right only 32 bits, at most 63.
fn clang_shift(operator: Id, a: Value, b: Value) -> Value {
    let bits = if operator == known::SHIFT_LEFT {
        shift(a, i128::from(b.bits), true)
    } else {
        shift(a, i128::from((b.bits & 0xffff_ffff).min(63)), false)
    };
    Value { bits, ..a }
}

fn shift(a: Value, count: i128, left: bool) -> u64 {
    let all_sign = if !a.unsigned && a.bits.cast_signed() < 0 {
        u64::MAX
    } else {
        0
    };
    match (u32::try_from(count).ok().filter(|&n| n < 64), left) {
        (Some(n), true) => a.bits << n,
        (Some(n), false) if a.unsigned => a.bits >> n,
        (Some(n), false) => (a.bits.cast_signed() >> n).cast_unsigned(),
        (None, true) => 0,
        (None, false) => all_sign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::names::SharedNames;
    use crate::parsing::tokens::tokenize;
    use std::sync::Arc;

    fn check(condition: &str, expected: Option<bool>) {
        check_with(condition, false, expected);
    }

    fn check_with(condition: &str, clang: bool, expected: Option<bool>) {
        let mut names = Names::new(Arc::new(SharedNames::new()));
        let mut tokens = Vec::new();
        let dialect = Dialect {
            cplusplus: true,
            named_operators: true,
            has_true: true,
            unicode_characters: true,
            utf8_characters: true,
            clang,
            ..Dialect::default()
        };
        tokenize(condition.as_bytes(), dialect, &mut names, &mut tokens);
        assert_eq!(
            holds(&tokens, dialect, &mut names).ok(),
            expected,
            "{condition}"
        );
    }

    #[test]
    fn compilers_differ_in_shifts_by_odd_counts() {
        for (condition, gcc, clang) in [
            ("(10 >> 4294967296) == 10", false, true),
            ("(0xFFFFFFFFFFFFFFFFu >> 64) == 1", false, true),
            ("(1 << -1) == 0", true, true),
            ("(4 >> -1) == 0", false, true),
            ("(1 << 4294967296) == 0", true, true),
            ("(-1 >> 100) == -1", true, true),
        ] {
            check_with(condition, false, Some(gcc));
            check_with(condition, true, Some(clang));
        }
    }

    #[test]
    fn computes_like_the_compiler() {
        check("1 + 2 * 3 == 7", Some(true));
        check("(2 || 3) != 1", Some(false));
        check("-1 > 0u", Some(true));
        check("-1 > 0", Some(false));
        check("0 && 1 / 0", Some(false));
        check("1 / 0", None);
        check("1 ? 0 : 1 / 0", Some(false));
        check("'\\377' < 0 && 'ab' == 24930", Some(true));
        check("0x10 == 020 and 0b11 == 3", Some(true));
        check("1 << 63 < 0 && -8 >> 1 == -4", Some(true));
        check("true && unknown == 0", Some(true));
        check("L'\\0' - 1 > 0", Some(false));
        check("L'ab'", None);
        check("u'a' == 97 && U'\\0' - 1 > 0", Some(true));
        check("u'\u{e9}'", None);
        check("u8'a' == 97 && u8'\\xff' - 1 < 0", Some(true));
        check("u8'ab'", None);
        check("L'\\x80000000' < 0 && L'\\xffffffff' == -1", Some(true));
        check("U'\\x80000000' > 0 && u'\\x80ff' == 33023", Some(true));
        check("u8'\u{e9}'", None);
        check("1\0==\x001", Some(true));
        check("'\0' == 0", Some(true));
        check("not 1 or 1'000 == 1000", None);
        check("1.0", None);
        check("201703L >= 201703", Some(true));
        check("18446744073709551615u == -1", Some(true));
        check("1 2", None);
        check("", None);
    }
}
