//! Sizes as options say them: `4G`, `512M`, or `512`, which are mebibytes as well.

use std::ffi::OsStr;

use super::invalid_number;

const MIB: u64 = 1 << 20;

/// The bytes that an option's word says, if it was given. A letter behind the number is its unit, a power of 1024: K, M, G
/// or T, in either case.
///
/// # Errors
/// For the user: it is no size, or less than `least` bytes, or more than can be counted.
pub(super) fn size(option: &str, word: Option<&OsStr>, least: u64) -> Result<Option<u64>, String> {
    let Some(word) = word else { return Ok(None) };
    let word = word.to_string_lossy();
    let (digits, unit) = match word.char_indices().next_back() {
        Some((at, letter)) if letter.is_ascii_alphabetic() => (&word[..at], letter),
        _ => (&*word, 'M'),
    };
    let unit = match unit.to_ascii_uppercase() {
        'K' => Some(1 << 10),
        'M' => Some(1 << 20),
        'G' => Some(1 << 30),
        'T' => Some(1_i64 << 40),
        _ => None,
    };
    let (Ok(number), Some(unit)) = (digits.parse::<i64>(), unit) else {
        return Err(invalid_number(option, &word));
    };
    // All that a file may have.
    let too_large = || format!("{option}={word}: too large");
    let bytes = number.checked_mul(unit).ok_or_else(too_large)?;
    match u64::try_from(bytes) {
        Ok(bytes) if bytes >= least => Ok(Some(bytes)),
        _ if least == 0 => Err(format!("{option} argument must be 0 or more")),
        _ => {
            let least = least / MIB;
            Err(format!("{option} argument must be at least {least}M"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: Result<u64, &str>) {
        let read = size("--cache-size", Some(word.as_ref()), 256 << 20);
        let expected = expected
            .map(Some)
            .map_err(|text| format!("--cache-size{text}"));
        assert_eq!(read, expected, "{word:?}");
    }

    #[test]
    fn a_letter_is_the_unit_and_none_means_mebibytes() {
        check("4G", Ok(4 << 30));
        check("4g", Ok(4 << 30));
        check("2T", Ok(2 << 40));
        check("300M", Ok(300 << 20));
        check("300", Ok(300 << 20));
        check("262144K", Ok(256 << 20));
        assert_eq!(size("--cache-size", None, 1), Ok(None));
    }

    #[test]
    fn what_is_no_size_is_told() {
        check("8388608T", Err("=8388608T: too large"));
        for word in [
            "",
            "G",
            "4GB",
            "4GiB",
            "4 G",
            "4.5G",
            "4P",
            "4\u{212a}",
            "four",
        ] {
            check(word, Err(&format!("={word}: invalid numeric value")));
        }
        let least = " argument must be at least 256M";
        for word in ["0", "255", "-4G", "262143k"] {
            check(word, Err(least));
        }
        let text = "--scratch-memory argument must be 0 or more".to_owned();
        assert_eq!(size("--scratch-memory", Some("-1K".as_ref()), 0), Err(text));
    }
}
