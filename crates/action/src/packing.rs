//! Blobs packed for the wire: zstd, within bounds.

use std::io::{self, Read as _};

/// Fast, and most of what it can give: what is packed here is read once.
const LEVEL: i32 = 1;

/// How far back packed data may reach, as a power of two: that much memory it takes to unpack. What all but zstd's slowest
/// levels make needs no more.
pub const WINDOW: u32 = 23;

/// Packs a blob.
///
/// # Errors
/// There is no memory for it.
pub fn pack(content: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(content, LEVEL)
}

/// Unpacks what has to be `size` bytes. Memory grows with what really comes out, and by [`WINDOW`].
///
/// # Errors
/// It is no zstd, reaches back too far, or unpacks to another size.
pub fn unpack(packed: &[u8], size: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(packed)?;
    decoder.window_log_max(WINDOW)?;
    decoder
        .take(size.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 != size {
        let text = format!("it unpacks to other than {size} bytes");
        return Err(io::Error::other(text));
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
        assert!(packed.len() < 1000);
        assert_eq!(unpack(&packed, 100_000).unwrap(), content);
        for size in [0, 99_999, 100_001] {
            assert!(unpack(&packed, size).is_err(), "{size}");
        }
        assert!(unpack(&packed[..packed.len() - 1], 100_000).is_err());
        assert!(unpack(b"no zstd", 7).is_err());
    }

    #[test]
    fn what_reaches_back_too_far_is_refused() {
        let content = vec![7; 100_000];
        for (window, is_taken) in [(WINDOW, true), (WINDOW + 1, false)] {
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), LEVEL).unwrap();
            encoder.window_log(window).unwrap();
            io::copy(&mut &content[..], &mut encoder).unwrap();
            let packed = encoder.finish().unwrap();
            assert_eq!(unpack(&packed, 100_000).is_ok(), is_taken, "{window}");
        }
    }
}
