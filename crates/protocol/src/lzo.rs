//! LZO1X blocks, the packing of bulk data in protocols 2 and 3.
//!
//! A body is one raw block: no header, no checksum, no uncompressed length, ended by the code
//! `11 00 00`. Encoder and decoder are ours (`encode`, `decode`). Because a block does not
//! say how long its content is, [`decompressed_len`] walks its instructions: a caller who has to know learns
//! the exact size, and whether the block is sound, before anything is allocated. (distcc
//! 3.4 guesses eight times the block and doubles until it fits, without a limit.)

use std::fmt;

mod decode;
mod encode;

pub use encode::{compress, compress_into, compress_once};

use decode::{Counted, Kept, Out, walk};

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

/// The length in bytes of a block's content, without unpacking it.
///
/// # Errors
/// Any [`LzoError`] but `TooLong`: the block is unsound.
pub fn decompressed_len(block: &[u8]) -> Result<u64, LzoError> {
    let mut out = Counted::default();
    walk(block, &mut out)?;
    Ok(out.bytes())
}

/// A block's content, at most `max` bytes. Memory grows with what was unpacked.
///
/// # Errors
/// Any [`LzoError`]. A block that is too long is walked to its end, for its length.
pub fn decompress(block: &[u8], max: usize) -> Result<Vec<u8>, LzoError> {
    let mut out = Kept::new(block.len(), max);
    match walk(block, &mut out) {
        Ok(()) => Ok(out.content()),
        Err(LzoError::TooLong { .. }) => {
            drop(out);
            let len = decompressed_len(block)?;
            Err(LzoError::TooLong { len, max })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::encode::EMPTY;
    use super::*;
    use proptest::prelude::*;

    fn check(data: &[u8]) {
        for block in [compress(data), compress_once(data)] {
            assert_eq!(decompressed_len(&block), Ok(data.len() as u64));
            assert_eq!(decompress(&block, data.len()).unwrap(), data);
        }
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
        fn the_decoder_and_lzokay_agree_on_any_bytes(
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
                Ok(0) => prop_assert_eq!(decompress(&data, 9), Ok(Vec::new())),
                Ok(len) if len < 1 << 20 => {
                    let len = len as usize;
                    let mut out = vec![0; len];
                    prop_assert_eq!(lzokay::decompress::decompress(&data, &mut out), Ok(len));
                    prop_assert_eq!(decompress(&data, len), Ok(out));
                    let short = LzoError::TooLong { len: len as u64, max: len - 1 };
                    prop_assert_eq!(decompress(&data, len - 1), Err(short));
                }
                Ok(_) => {}
                Err(error) => {
                    prop_assert_eq!(decompress(&data, 1 << 20), Err(error));
                    let mut out = vec![0; 1 << 20];
                    prop_assert!(lzokay::decompress::decompress(&data, &mut out).is_err());
                }
            }
        }
    }
}
