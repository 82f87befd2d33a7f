//! zstd, within bounds.

use std::io::Read as _;

use store::Writing;
use tonic::Status;
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

use crate::fault;

/// Fast, and most of what it can give: what is packed here is read once.
const LEVEL: i32 = 1;

pub(crate) fn pack(content: &[u8]) -> Result<Vec<u8>, Status> {
    zstd::bulk::compress(content, LEVEL).map_err(|error| Status::internal(format!("zstd: {error}")))
}

/// How far back packed data may reach, as a power of two: that much memory it takes to unpack. What clients make of all
/// but zstd's slowest levels needs no more.
const WINDOW: u32 = 23;

/// Unpacks what has to be `size` bytes. Memory grows with what really comes out.
pub(crate) fn unpack(packed: &[u8], size: u64) -> Result<Vec<u8>, Status> {
    let bad =
        |error: std::io::Error| Status::invalid_argument(format!("the data is no zstd: {error}"));
    let mut content = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(bad)?;
    decoder.window_log_max(WINDOW).map_err(bad)?;
    decoder
        .take(size + 1)
        .read_to_end(&mut content)
        .map_err(bad)?;
    if content.len() as u64 != size {
        let text = format!("the data unpacks to other than the {size} bytes that its digest says");
        return Err(Status::invalid_argument(text));
    }
    Ok(content)
}

/// Unpacks what comes in pieces.
pub(crate) struct Unpacking {
    decoder: zstd::stream::raw::Decoder<'static>,
    buffer: Vec<u8>,
}

impl Unpacking {
    pub(crate) fn new() -> Result<Unpacking, Status> {
        let failed = |error: std::io::Error| Status::internal(format!("zstd: {error}"));
        let mut decoder = zstd::stream::raw::Decoder::new().map_err(failed)?;
        let window = DParameter::WindowLogMax(WINDOW);
        decoder.set_parameter(window).map_err(failed)?;
        Ok(Unpacking {
            decoder,
            buffer: vec![0; 1 << 17],
        })
    }

    /// Takes the next piece. `to` refuses more than its digest says.
    pub(crate) fn write(&mut self, piece: &[u8], to: &mut Writing) -> Result<(), Status> {
        let mut input = InBuffer::around(piece);
        loop {
            let mut output = OutBuffer::around(&mut self.buffer[..]);
            let step = self.decoder.run(&mut input, &mut output);
            step.map_err(|error| {
                Status::invalid_argument(format!("the data is no zstd: {error}"))
            })?;
            let count = output.pos();
            to.write(&self.buffer[..count]).map_err(fault::store)?;
            // A full buffer may not have been all.
            if input.pos() == piece.len() && count < self.buffer.len() {
                return Ok(());
            }
        }
    }
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
}
