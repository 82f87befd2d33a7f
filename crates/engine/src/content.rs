//! Blobs in batches.

use std::collections::HashSet;

use action::Digest;
use action::messages::content_addressable_storage_server::ContentAddressableStorage;
use action::messages::{
    BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse, Directory, FindMissingBlobsRequest, FindMissingBlobsResponse,
    GetChunkMappingRequest, GetChunkMappingResponse, GetTreeRequest, GetTreeResponse,
    RegisterChunkMappingRequest, RegisterChunkMappingResponse, SpliceBlobRequest,
    SpliceBlobResponse, SplitBlobRequest, SplitBlobResponse, batch_read_blobs_response,
    batch_update_blobs_request, batch_update_blobs_response, compressor,
};
use prost::Message as _;
use store::Store;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::engine::{BATCH, Engine};
use crate::{fault, packing};

/// Folders of a tree in one answer.
const PAGE: usize = 1000;
/// Folders of a tree in all.
const MOST_FOLDERS: usize = 1 << 20;

#[tonic::async_trait]
impl ContentAddressableStorage for Engine {
    type GetTreeStream = ReceiverStream<Result<GetTreeResponse, Status>>;

    type GetChunkMappingStream = ReceiverStream<Result<GetChunkMappingResponse, Status>>;

    async fn find_missing_blobs(
        &self,
        request: Request<FindMissingBlobsRequest>,
    ) -> Result<Response<FindMissingBlobsResponse>, Status> {
        let digests = request
            .get_ref()
            .blob_digests
            .iter()
            .map(|digest| fault::digest(Some(digest)));
        let digests = digests.collect::<Result<HashSet<Digest>, Status>>()?;
        let missing = self.shared.store.missing(digests);
        Ok(Response::new(FindMissingBlobsResponse {
            missing_blob_digests: missing.iter().map(Digest::message).collect(),
        }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<BatchUpdateBlobsRequest>,
    ) -> Result<Response<BatchUpdateBlobsResponse>, Status> {
        let client = request.extensions().get().copied().unwrap_or_default();
        let store = self.store_of(client);
        blocking(move || {
            let requests = request.into_inner().requests;
            let responses = requests.into_iter().map(|request| {
                let status = update(&store, &request).err();
                batch_update_blobs_response::Response {
                    digest: request.digest,
                    status: Some(
                        status.map_or_else(Default::default, |status| fault::message(&status)),
                    ),
                }
            });
            Ok(Response::new(BatchUpdateBlobsResponse {
                responses: responses.collect(),
            }))
        })
        .await
    }

    async fn batch_read_blobs(
        &self,
        request: Request<BatchReadBlobsRequest>,
    ) -> Result<Response<BatchReadBlobsResponse>, Status> {
        let request = request.into_inner();
        let digests = request
            .digests
            .iter()
            .map(|digest| fault::digest(Some(digest)));
        let digests = digests.collect::<Result<Vec<Digest>, Status>>()?;
        // Nothing is known of these numbers.
        let size = digests
            .iter()
            .try_fold(0, |sum: u64, digest| sum.checked_add(digest.size));
        if size.is_none_or(|size| size > BATCH as u64) {
            let text = format!("more bytes are asked for at once than {BATCH}");
            return Err(Status::invalid_argument(text));
        }
        let zstd = i32::from(compressor::Value::Zstd);
        let packed = request.acceptable_compressors.contains(&zstd);
        let engine = self.clone();
        blocking(move || {
            let responses = digests.into_iter().map(|digest| {
                let read = engine.shared.store.read(digest).map_err(fault::store);
                let (data, status) = match read {
                    Ok(content) => (content, Default::default()),
                    Err(status) => (Vec::new(), fault::message(&status)),
                };
                // Small ones do not become smaller.
                let small = packed.then(|| packing::pack(&data).ok()).flatten();
                let small = small.filter(|small| small.len() < data.len());
                let compressor = if small.is_some() { zstd } else { 0 };
                batch_read_blobs_response::Response {
                    digest: Some(digest.message()),
                    data: small.unwrap_or(data),
                    compressor,
                    status: Some(status),
                }
            });
            Ok(Response::new(BatchReadBlobsResponse {
                responses: responses.collect(),
            }))
        })
        .await
    }

    async fn get_tree(
        &self,
        request: Request<GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        let root = fault::digest(request.get_ref().root_digest.as_ref())?;
        self.shared.store.file(root).map_err(fault::store)?;
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let engine = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut left = vec![root];
            let mut seen = HashSet::from([root]);
            let mut directories = Vec::new();
            while let Some(digest) = left.pop() {
                // What is missing below is left out, as the API has it.
                let Ok(bytes) = engine.shared.store.read(digest) else {
                    continue;
                };
                let Ok(directory) = Directory::decode(&*bytes) else {
                    continue;
                };
                let inner = directory
                    .directories
                    .iter()
                    .filter_map(|node| fault::digest(node.digest.as_ref()).ok());
                left.extend(inner.filter(|digest| seen.insert(*digest)));
                directories.push(directory);
                if directories.len() == PAGE || left.is_empty() {
                    let directories = std::mem::take(&mut directories);
                    let page = GetTreeResponse {
                        directories,
                        next_page_token: String::new(),
                    };
                    if sender.blocking_send(Ok(page)).is_err() || seen.len() > MOST_FOLDERS {
                        return;
                    }
                }
            }
            if !directories.is_empty() {
                let page = GetTreeResponse {
                    directories,
                    next_page_token: String::new(),
                };
                let _ = sender.blocking_send(Ok(page)); // The client may have gone.
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    // Chunks of blobs are not offered (`split_blob_support` is off): sources are small.

    async fn split_blob(
        &self,
        _: Request<SplitBlobRequest>,
    ) -> Result<Response<SplitBlobResponse>, Status> {
        Err(no_chunks())
    }

    async fn get_chunk_mapping(
        &self,
        _: Request<GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        Err(no_chunks())
    }

    async fn splice_blob(
        &self,
        _: Request<SpliceBlobRequest>,
    ) -> Result<Response<SpliceBlobResponse>, Status> {
        Err(no_chunks())
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<RegisterChunkMappingRequest>>,
    ) -> Result<Response<RegisterChunkMappingResponse>, Status> {
        Err(no_chunks())
    }
}

fn no_chunks() -> Status {
    Status::unimplemented("this server has blobs as wholes only")
}

fn update(store: &Store, request: &batch_update_blobs_request::Request) -> Result<(), Status> {
    let digest = fault::digest(request.digest.as_ref())?;
    let put = |content: &[u8]| store.put(digest, content).map_err(fault::store);
    match compressor::Value::try_from(request.compressor) {
        Ok(compressor::Value::Identity) => put(&request.data),
        // Packed, the largest of these would come to hundreds of megabytes in one message.
        Ok(compressor::Value::Zstd) if digest.size <= BATCH as u64 * 4 => {
            put(&packing::unpack(&request.data, digest.size)?)
        }
        Ok(compressor::Value::Zstd) => Err(Status::invalid_argument(
            "a blob of this size has to be written in pieces",
        )),
        _ => Err(Status::invalid_argument(
            "blobs may be plain or packed by zstd",
        )),
    }
}

/// Does what waits for the disk where it stands in nobody's way.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Status::internal("a thread of this server panicked")))
}
