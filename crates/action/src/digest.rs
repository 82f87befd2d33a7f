//! What a blob is called: the SHA-256 of its content, and its size.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};

use crate::messages;

/// The name of a blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest {
    /// SHA-256 of the content.
    pub hash: [u8; 32],
    /// Bytes of the content.
    pub size: u64,
}

impl Hash for Digest {
    /// Its first bytes are as good as a hash of all of them.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.hash.as_chunks::<8>().0 else {
            return;
        };
        state.write(first);
    }
}

/// A digest in a message that names no blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadDigest {
    /// As it came.
    pub hash: String,
    /// As it came.
    pub size: i64,
}

impl fmt::Display for BadDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BadDigest { hash, size } = self;
        write!(
            f,
            "{hash:?} of {size} bytes is no SHA-256 digest: 64 hexadecimal digits in lower case and a size are wanted"
        )
    }
}

impl std::error::Error for BadDigest {}

impl Digest {
    /// The name of this content.
    pub fn of(content: &[u8]) -> Digest {
        Digest {
            hash: Sha256::digest(content).into(),
            size: content.len() as u64,
        }
    }

    /// The hash in lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        let digits = self.hex_digits();
        str::from_utf8(&digits)
            .expect("digits are ASCII")
            .to_owned()
    }

    pub(crate) fn hex_digits(&self) -> [u8; 64] {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut digits = [0; 64];
        for (two, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.hash) {
            *two = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
        }
        digits
    }

    /// As messages have it.
    pub fn message(&self) -> messages::Digest {
        messages::Digest {
            hash: self.hex(),
            size_bytes: i64::try_from(self.size).expect("no content has 2^63 bytes"),
        }
    }
}

/// "HASH/SIZE", as logs and resource names have it.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hex(), self.size)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<&messages::Digest> for Digest {
    type Error = BadDigest;

    /// Upper-case digits are refused: the API wants lower case, and one blob must not have two names.
    fn try_from(message: &messages::Digest) -> Result<Digest, BadDigest> {
        let bad = || BadDigest {
            hash: message.hash.clone(),
            size: message.size_bytes,
        };
        let text = message.hash.as_bytes();
        if text.len() != 64 {
            return Err(bad());
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.chunks(2)) {
            let [high, low] = [digits[0], digits[1]].map(|digit| match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            });
            *byte = high.ok_or_else(bad)? << 4 | low.ok_or_else(bad)?;
        }
        let size = u64::try_from(message.size_bytes).map_err(|_| bad())?;
        Ok(Digest { hash, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_has_the_name_that_other_programs_give_it() {
        // sha256sum </dev/null
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855/0";
        assert_eq!(Digest::of(b"").to_string(), empty);
    }

    #[test]
    fn a_message_names_the_same_blob() {
        let digest = Digest::of(b"int main(void) {}\n");
        assert_eq!(Digest::try_from(&digest.message()), Ok(digest));
    }

    #[test]
    fn what_names_no_blob_is_refused() {
        let good = Digest::of(b"x").message();
        let size = |size_bytes| messages::Digest {
            size_bytes,
            ..good.clone()
        };
        let hash = |hash: String| messages::Digest {
            hash,
            ..good.clone()
        };
        for bad in [
            size(-1),
            hash(String::new()),
            hash(good.hash.to_uppercase()),
            hash(format!("{}0", good.hash)),
            hash("é".repeat(32)),
        ] {
            assert!(Digest::try_from(&bad).is_err(), "{bad:?}");
        }
    }
}
