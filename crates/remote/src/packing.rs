//! zstd, within bounds.

use std::io::{self, Read as _};

/// Fast, and most of what it can give.
const LEVEL: i32 = 1;

/// Packs a blob for the wire.
pub(crate) fn pack(content: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(content, LEVEL)
}

/// Unpacks what has to be `size` bytes. Memory grows with what really comes out.
pub(crate) fn unpack(packed: &[u8], size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(packed)?;
    decoder
        .take(size.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 != size {
        return Err(io::Error::other(format!(
            "it unpacks to other than {size} bytes"
        )));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_no_more_than_said() {
        let content = vec![7; 100_000];
        let packed = pack(&content).unwrap();
        assert_eq!(unpack(&packed, 100_000).unwrap(), content);
        for size in [0, 99_999, 100_001] {
            assert!(unpack(&packed, size).is_err(), "{size}");
        }
        assert!(unpack(b"no zstd", 7).is_err());
    }
}
