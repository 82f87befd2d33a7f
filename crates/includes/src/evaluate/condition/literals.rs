//! What numbers and characters in a condition are worth, and whether they are unsigned.

use super::Value;
use crate::macros::expand::Trouble;
use crate::parsing::dialect::Dialect;

/// A number of few digits and nothing else, which most are.
fn plain_decimal(text: &[u8]) -> Option<u64> {
    let is_decimal = text.first() != Some(&b'0') && text.iter().all(u8::is_ascii_digit);
    (is_decimal && text.len() < 19).then(|| {
        text.iter()
            .fold(0, |bits, digit| bits * 10 + u64::from(digit - b'0'))
    })
}

pub(super) fn number(text: &[u8]) -> Result<Value, Trouble> {
    const BAD: Trouble = Trouble::Malformed("a condition holds a number that is no integer");
    if let Some(bits) = plain_decimal(text) {
        return Ok(Value {
            bits,
            unsigned: false,
        });
    }
    let lower: Vec<u8> = text
        .iter()
        .filter(|&&b| b != b'\'')
        .map(u8::to_ascii_lowercase)
        .collect();
    let (digits, radix) = match lower.as_slice() {
        [b'0', b'x', rest @ ..] => (rest, 16),
        [b'0', b'b', rest @ ..] => (rest, 2),
        [b'0', ..] => (&lower[..], 8),
        _ => (&lower[..], 10),
    };
    let len = digits
        .iter()
        .take_while(|b| {
            if radix == 16 {
                b.is_ascii_hexdigit()
            } else {
                b.is_ascii_digit()
            }
        })
        .count();
    let (digits, suffix) = digits.split_at(len);
    if digits.is_empty() {
        return Err(BAD);
    }
    let mut bits: u64 = 0;
    for &digit in digits {
        let n = char::from(digit).to_digit(radix).ok_or(BAD)?;
        // Too large: the compiler warns and goes on with what is left.
        bits = bits
            .wrapping_mul(u64::from(radix))
            .wrapping_add(u64::from(n));
    }
    let unsigned = suffix.contains(&b'u') || (radix != 10 && bits > i64::MAX as u64);
    match suffix {
        b"" | b"u" | b"l" | b"ul" | b"lu" | b"ll" | b"ull" | b"llu" | b"z" | b"uz" | b"zu" => {
            // A decimal number beyond the signed range is taken as unsigned, with a warning.
            Ok(Value {
                bits,
                unsigned: unsigned || bits > i64::MAX as u64,
            })
        }
        _ => Err(BAD),
    }
}

pub(super) fn character(text: &[u8], dialect: Dialect) -> Result<Value, Trouble> {
    let is_utf8 = text.starts_with(b"u8");
    // `mask`: what of an escape counts.
    let (wide, mask, text, unsigned) = match text.first() {
        Some(b'L') => (true, u32::MAX, &text[1..], dialect.unsigned_wide),
        _ if is_utf8 => (false, 0xff, &text[2..], dialect.unsigned_utf8),
        // `char16_t` and `char32_t` are unsigned.
        Some(b'u') => (true, 0xffff, &text[1..], true),
        Some(b'U') => (true, u32::MAX, &text[1..], true),
        _ => (false, 0xff, text, dialect.unsigned_char),
    };
    let Some(inner) = text.strip_prefix(b"'").and_then(|t| t.strip_suffix(b"'")) else {
        return Err(Trouble::Malformed("a character constant does not end"));
    };
    let mut values: Vec<u32> = Vec::new();
    let mut at = 0;
    while at < inner.len() {
        let byte = inner[at];
        at += 1;
        if byte != b'\\' {
            values.push(byte.into());
            continue;
        }
        let escape = inner.get(at).copied().unwrap_or(b'\\');
        at += 1;
        values.push(match escape {
            b'n' => 10,
            b't' => 9,
            b'r' => 13,
            b'a' => 7,
            b'b' => 8,
            b'v' => 11,
            b'f' => 12,
            b'e' | b'E' => 27,
            b'0'..=b'7' => {
                let mut n = u32::from(escape - b'0');
                for _ in 0..2 {
                    match inner.get(at) {
                        Some(d @ b'0'..=b'7') => n = n * 8 + u32::from(d - b'0'),
                        _ => break,
                    }
                    at += 1;
                }
                n & mask
            }
            b'x' => {
                let mut n = 0u32;
                while let Some(d) = inner.get(at).and_then(|&d| char::from(d).to_digit(16)) {
                    n = (n << 4 | d) & mask;
                    at += 1;
                }
                n
            }
            b'u' | b'U' | b'N' => {
                return Err(Trouble::Unmodelled("a universal character in a condition"));
            }
            other => other.into(),
        });
    }
    match values.as_slice() {
        [] => Err(Trouble::Malformed("an empty character constant")),
        // How wide they are nobody has asked where they are unsigned.
        [one] if mask == u32::MAX && dialect.unsigned_wide && *one > 0xffff => {
            Err(Trouble::Unmodelled("a large wide character in a condition"))
        }
        [one] if wide && (*one < 0x80 || inner.starts_with(b"\\")) => Ok(match unsigned {
            true => Value {
                bits: u64::from(*one),
                unsigned,
            },
            false => Value::signed(i64::from(one.cast_signed())),
        }),
        _ if wide => Err(Trouble::Unmodelled("a wide character in a condition")),
        many if is_utf8 && (many.len() > 1 || !inner.is_ascii()) => Err(Trouble::Malformed(
            "a UTF-8 character of several bytes in a condition",
        )),
        [one] if unsigned => Ok(Value {
            bits: u64::from(*one),
            unsigned,
        }),
        [one] => Ok(Value::signed(i64::from(one.cast_signed() << 24 >> 24))),
        many => {
            let n = many.iter().fold(0u32, |n, &b| n << 8 | b);
            Ok(if unsigned && dialect.clang {
                Value {
                    bits: u64::from(n),
                    unsigned,
                }
            } else {
                Value::signed(i64::from(n.cast_signed()))
            })
        }
    }
}
