//! LZO1X blocks, the packing of bulk data in protocols 2 and 3.
//!
//! A body is one raw block: no header, no checksum, no uncompressed length, ended by the code
//! `11 00 00`. The encoder is ours (`encode`); blocks are decoded by `lzokay`. Because a block does not
//! say how long its content is, [`decompressed_len`] walks its instructions first: the caller
//! learns the exact size, and whether the block is sound, before anything is allocated. (distcc
//! 3.4 guesses eight times the block and doubles until it fits, without a limit.)

use std::fmt;

mod encode;

pub use encode::{compress, compress_into};

/// Why bytes are not a usable LZO1X block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LzoError {
    /// The block ends in the middle of an instruction, or has no end code.
    Truncated,
    /// A match reaches back before the start of the output.
    LookBehind,
    /// An end code of a form that no encoder writes.
    BadEnd,
    /// Bytes follow the end code.
    TrailingBytes,
    /// The content is longer than the caller allows.
    TooLong {
        /// The content's length in bytes.
        len: u64,
        /// The caller's limit in bytes.
        max: usize,
    },
}

impl fmt::Display for LzoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LZO1X block ")?;
        match self {
            Self::Truncated => f.write_str("ends too early"),
            Self::LookBehind => f.write_str("refers to bytes before its start"),
            Self::BadEnd => f.write_str("has a malformed end code"),
            Self::TrailingBytes => f.write_str("is followed by more bytes"),
            Self::TooLong { len, max } => {
                write!(f, "unpacks to {len} bytes, more than the limit of {max}")
            }
        }
    }
}

impl std::error::Error for LzoError {}

/// A block's instructions, as far as they concern lengths.
struct Walk<'a> {
    rest: std::slice::Iter<'a, u8>,
    out: u64,
}

impl Walk<'_> {
    fn byte(&mut self) -> Result<u64, LzoError> {
        self.rest
            .next()
            .map(|&b| u64::from(b))
            .ok_or(LzoError::Truncated)
    }

    /// The two bytes behind a long match: 14 bits of distance, two bits of literals.
    fn distance_and_literals(&mut self) -> Result<(u64, u64), LzoError> {
        let word = self.byte()? | self.byte()? << 8;
        Ok((word >> 2, word & 3))
    }

    /// A length whose field was 0: `base`, 255 for each zero byte, and the first other byte.
    fn extended(&mut self, base: u64) -> Result<u64, LzoError> {
        let mut len = base;
        loop {
            match self.byte()? {
                0 => len += 255,
                last => return Ok(len + last),
            }
        }
    }

    fn literals(&mut self, count: u64) -> Result<(), LzoError> {
        let count_here = usize::try_from(count).map_err(|_| LzoError::Truncated)?;
        let bytes = self.rest.as_slice();
        self.rest = bytes.get(count_here..).ok_or(LzoError::Truncated)?.iter();
        self.out += count;
        Ok(())
    }

    fn copy(&mut self, distance: u64, len: u64) -> Result<(), LzoError> {
        if distance > self.out {
            return Err(LzoError::LookBehind);
        }
        self.out += len;
        Ok(())
    }
}

/// The length in bytes of a block's content, without unpacking it.
///
/// # Errors
/// Any [`LzoError`] but `TooLong`: the block is unsound.
pub fn decompressed_len(block: &[u8]) -> Result<u64, LzoError> {
    let mut walk = Walk {
        rest: block.iter(),
        out: 0,
    };
    // How the instruction before ended: 0-3 literals behind a match, 4 a run of literals.
    let mut state = 0;
    if let Some(&first) = block.first()
        && first > 17
    {
        let count = walk.byte()? - 17;
        walk.literals(count)?;
        state = count.min(4);
    }
    loop {
        let code = walk.byte()?;
        let (distance, len, literals) = match code {
            0..=15 if state == 0 => {
                let count = match code {
                    0 => 3 + walk.extended(15)?,
                    _ => 3 + code,
                };
                walk.literals(count)?;
                state = 4;
                continue;
            }
            0..=15 => {
                let near = walk.byte()? << 2 | (code >> 2 & 3);
                match state {
                    4 => (near + 2049, 3, code & 3),
                    _ => (near + 1, 2, code & 3),
                }
            }
            16..=31 => {
                let len = match code & 7 {
                    0 => 2 + walk.extended(7)?,
                    l => 2 + l,
                };
                let (d, literals) = walk.distance_and_literals()?;
                let distance = 0x4000 + ((code & 8) << 11) + d;
                if distance == 0x4000 {
                    return match (len, walk.rest.len()) {
                        (3, 0) => Ok(walk.out),
                        (3, _) => Err(LzoError::TrailingBytes),
                        _ => Err(LzoError::BadEnd),
                    };
                }
                (distance, len, literals)
            }
            32..=63 => {
                let len = match code & 31 {
                    0 => 2 + walk.extended(31)?,
                    l => 2 + l,
                };
                let (d, literals) = walk.distance_and_literals()?;
                (d + 1, len, literals)
            }
            _ => {
                let len = match code {
                    64..=127 => 3 + (code >> 5 & 1),
                    _ => 5 + (code >> 5 & 3),
                };
                let distance = (walk.byte()? << 3 | (code >> 2 & 7)) + 1;
                (distance, len, code & 3)
            }
        };
        walk.copy(distance, len)?;
        walk.literals(literals)?;
        state = literals;
    }
}

/// A block's content, at most `max` bytes; nothing is allocated for a longer or unsound one.
///
/// # Errors
/// Any [`LzoError`].
pub fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, LzoError> {
    let len = decompressed_len(block)?;
    let exact = usize::try_from(len)
        .ok()
        .filter(|&len| len <= max)
        .ok_or(LzoError::TooLong { len, max })?;
    let mut out = vec![0; exact];
    if exact > 0 {
        // The walk above went through the same instructions, so an error here would be a
        // difference between it and lzokay; the tests look for one.
        lzokay::decompress::decompress(block, &mut out).map_err(|error| match error {
            lzokay::Error::LookbehindOverrun => LzoError::LookBehind,
            lzokay::Error::InputNotConsumed => LzoError::TrailingBytes,
            _ => LzoError::Truncated,
        })?;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::encode::EMPTY;
    use super::*;
    use proptest::prelude::*;

    fn check(data: &[u8]) {
        let block = compress(data);
        assert_eq!(decompressed_len(&block), Ok(data.len() as u64));
        assert_eq!(decompress(&block, data.len()).unwrap(), data);
    }

    #[test]
    fn short_text_is_one_run_of_literals() {
        // As distcc 3.4's include server sends it.
        assert_eq!(
            compress(b"#define S 1\n"),
            b"\x1d#define S 1\n\x11\x00\x00".as_slice()
        );
    }

    #[test]
    fn empty_input_is_the_end_code() {
        assert_eq!(compress(b""), EMPTY);
        assert_eq!(decompress(&EMPTY, 0).unwrap(), b"");
    }

    #[test]
    fn literal_runs_of_every_form() {
        let mut noise = Vec::new();
        let mut seed = 1u32;
        while noise.len() < 70_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.push((seed >> 24) as u8);
        }
        for len in (0..1_100).chain([4_000, 65_535, 65_536, 70_000]) {
            check(&noise[..len]);
        }
    }

    #[test]
    fn matches_of_every_length_and_distance_form() {
        for distance in [
            1, 2, 7, 8, 9, 2047, 2048, 2049, 16383, 16384, 16385, 32767, 32768, 49150, 49151,
            49152, 60_000,
        ] {
            for len in (4..40).chain([255, 256, 263, 264, 287, 288, 289, 600, 5_000]) {
                let mut data: Vec<u8> = (0..distance as u64)
                    .map(|i| (i * i / 7 % 251) as u8)
                    .collect();
                for i in 0..len {
                    data.push(data[i]);
                }
                for tail in 0..5 {
                    data.push(200 + tail);
                    check(&data);
                }
            }
        }
    }

    #[test]
    fn reads_the_instructions_that_our_encoder_does_not_write() {
        // A two-byte match behind a match with one literal, a three-byte match behind a run.
        let two = b"\x15abcd\x41\x00e\x00\x00\x11\x00\x00";
        assert_eq!(decompress(two, 100).unwrap(), b"abcddddeee".as_slice());
        let mut far = b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf5".to_vec(); // 18 + 8*255 + 245 literals
        far.extend((0..2_303).map(|i| (i % 255) as u8));
        far.extend(b"\x00\x00\x11\x00\x00"); // three bytes from 2049 back
        let out = decompress(&far, 1 << 20).unwrap();
        assert_eq!(out.len(), 2_306);
        assert_eq!(out[2_303..], out[2_303 - 2_049..2_306 - 2_049]);
    }

    #[test]
    fn refuses_unsound_blocks() {
        assert_eq!(decompress(b"", 9), Err(LzoError::Truncated));
        assert_eq!(decompress(&[0xff; 50], 9), Err(LzoError::Truncated));
        assert_eq!(
            decompress(b"\x12a\x11\x00\x00x", 9),
            Err(LzoError::TrailingBytes)
        );
        assert_eq!(
            decompress(b"\x12a\x40\x01\x11\x00\x00", 9),
            Err(LzoError::LookBehind)
        );
        assert_eq!(decompress(b"\x12a\x12\x00\x00", 9), Err(LzoError::BadEnd));
    }

    #[test]
    fn sizes_beyond_32_bits_are_counted() {
        // Four literals, and a match whose length goes on for so many bytes.
        let count = 17 << 20;
        let mut block = b"\x15abcd\x20".to_vec();
        block.resize(block.len() + count, 0);
        block.extend_from_slice(b"\x01\0\0\x11\0\0");
        let len = 4 + 34 + 255 * count as u64;
        assert!(len > 1 << 32);
        assert_eq!(decompressed_len(&block), Ok(len));
    }

    #[test]
    fn refuses_a_bomb_before_it_unpacks() {
        let bomb = compress(&vec![0; 50 << 20]);
        assert!(bomb.len() < 300_000);
        assert_eq!(
            decompress(&bomb, 1 << 20),
            Err(LzoError::TooLong {
                len: 50 << 20,
                max: 1 << 20
            })
        );
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(words in prop::collection::vec(prop::sample::select(vec![
            "#include ", "<stdio.h>\n", "int", " ", "a", "struct foo ", "}\n", "\0\0\0\0\0\0\0\0\0",
        ]), 0..800)) {
            check(words.concat().as_bytes());
        }

        #[test]
        fn the_walk_and_lzokay_agree_on_any_bytes(
            mut data in prop::collection::vec(any::<u8>(), 0..200),
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            pack in any::<bool>(),
        ) {
            if pack {
                data = compress(&data.repeat(3));
            }
            for (at, byte) in edits {
                if !data.is_empty() {
                    let at = at.index(data.len());
                    data[at] = byte;
                }
            }
            match decompressed_len(&data) {
                Ok(0) => {}
                Ok(len) if len < 1 << 20 => {
                    let mut out = vec![0; len as usize];
                    prop_assert_eq!(lzokay::decompress::decompress(&data, &mut out), Ok(len as usize));
                }
                Ok(_) => {}
                Err(_) => {
                    let mut out = vec![0; 1 << 20];
                    prop_assert!(lzokay::decompress::decompress(&data, &mut out).is_err());
                }
            }
        }
    }
}
