//! Blobs in pieces.

use std::io::{Read, Seek, SeekFrom};

use action::Digest;
use bazel_remote_apis::google::bytestream::byte_stream_server::ByteStream;
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use store::Store;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Engine;
use crate::names::{self, Named};
use crate::{fault, packing};

/// Bytes of one piece.
const PIECE: usize = 256 << 10;

#[tonic::async_trait]
impl ByteStream for Engine {
    type ReadStream = ReceiverStream<Result<ReadResponse, Status>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let request = request.into_inner();
        let named =
            names::read(&request.resource_name).ok_or_else(|| no_blob(&request.resource_name))?;
        let offset = u64::try_from(request.read_offset)
            .map_err(|_| Status::out_of_range("a negative offset"))?;
        let limit = u64::try_from(request.read_limit)
            .map_err(|_| Status::invalid_argument("a negative limit"))?;
        if offset > named.digest.size {
            return Err(Status::out_of_range("an offset behind the blob's end"));
        }
        if named.zstd && limit != 0 {
            return Err(Status::invalid_argument(
                "a limit has no meaning for packed blobs",
            ));
        }
        let limit = if limit == 0 { u64::MAX } else { limit };
        let mut file = self.shared.store.file(named.digest).map_err(fault::store)?;
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let sent = file.seek(SeekFrom::Start(offset)).and_then(|_| {
                let content = Read::take(file, limit);
                if named.zstd {
                    send_all(zstd::stream::read::Encoder::new(content, 1)?, &sender)
                } else {
                    send_all(content, &sender)
                }
            });
            if let Err(error) = sent {
                let _ = sender.blocking_send(Err(Status::unavailable(error.to_string())));
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        let client = request.extensions().get().copied().unwrap_or_default();
        let mut pieces = request.into_inner();
        let first = pieces
            .message()
            .await?
            .ok_or_else(|| Status::invalid_argument("nothing was written"))?;
        let Named { digest, zstd } =
            names::written(&first.resource_name).ok_or_else(|| no_blob(&first.resource_name))?;
        if self.shared.store.missing([digest]).is_empty() {
            // Who sends it may stop at once.
            let size = if zstd { -1 } else { digest.size.cast_signed() };
            return Ok(Response::new(WriteResponse {
                committed_size: size,
            }));
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let store = self.store_of(client);
        let writing = tokio::task::spawn_blocking(move || receive(&store, digest, zstd, receiver));
        let mut at = 0;
        let mut next = Some(first);
        while let Some(piece) = next {
            if piece.write_offset != at {
                return Err(Status::invalid_argument(
                    "the pieces do not follow one another",
                ));
            }
            at += piece.data.len().cast_signed() as i64;
            let last = piece.finish_write;
            // If it takes no more, it says why below.
            if sender.send(piece).await.is_err() || last {
                break;
            }
            next = pieces.message().await?;
        }
        drop(sender);
        let written = writing
            .await
            .map_err(|_| Status::internal("a thread of this server panicked"))?;
        written.map(|()| Response::new(WriteResponse { committed_size: at }))
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        let name = &request.get_ref().resource_name;
        let Named { digest, .. } = names::written(name).ok_or_else(|| no_blob(name))?;
        let complete = self.shared.store.missing([digest]).is_empty();
        // Writes that were cut off begin anew.
        let committed_size = if complete {
            digest.size.cast_signed()
        } else {
            0
        };
        Ok(Response::new(QueryWriteStatusResponse {
            committed_size,
            complete,
        }))
    }
}

fn no_blob(name: &str) -> Status {
    Status::invalid_argument(format!("{name:?} names no blob of this server"))
}

fn send_all(
    mut content: impl Read,
    sender: &tokio::sync::mpsc::Sender<Result<ReadResponse, Status>>,
) -> std::io::Result<()> {
    loop {
        let mut data = Vec::with_capacity(PIECE);
        let count = content.by_ref().take(PIECE as u64).read_to_end(&mut data)?;
        // Nobody may want the rest.
        if count == 0 || sender.blocking_send(Ok(ReadResponse { data })).is_err() {
            return Ok(());
        }
    }
}

/// Writes a blob as it comes. Cut off before its end, nothing of it stays.
fn receive(
    store: &Store,
    digest: Digest,
    zstd: bool,
    mut pieces: tokio::sync::mpsc::Receiver<WriteRequest>,
) -> Result<(), Status> {
    let mut writing = store.write(digest).map_err(fault::store)?;
    let mut unpacking = zstd.then(packing::Unpacking::new).transpose()?;
    loop {
        let Some(piece) = pieces.blocking_recv() else {
            return Err(Status::cancelled("the blob was not written to its end"));
        };
        match &mut unpacking {
            Some(unpacking) => unpacking.write(&piece.data, &mut writing)?,
            None => writing.write(&piece.data).map_err(fault::store)?,
        }
        if piece.finish_write {
            return writing.finish().map_err(fault::store);
        }
    }
}
