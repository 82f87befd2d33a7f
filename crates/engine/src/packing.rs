//! zstd as clients may use it: `action::packing` with the answers to what is wrong, and blobs that come in pieces.

use action::packing;
use store::Writing;
use tonic::Status;
use zstd::stream::raw::{DParameter, InBuffer, Operation as _, OutBuffer};

use crate::fault;

pub(crate) fn pack(content: &[u8]) -> Result<Vec<u8>, Status> {
    packing::pack(content).map_err(|error| Status::internal(format!("zstd: {error}")))
}

/// Unpacks what has to be `size` bytes.
pub(crate) fn unpack(packed: &[u8], size: u64) -> Result<Vec<u8>, Status> {
    let content = packing::unpack(packed, size);
    content.map_err(|error| Status::invalid_argument(format!("the data is not as said: {error}")))
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
        let window = DParameter::WindowLogMax(packing::WINDOW);
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
