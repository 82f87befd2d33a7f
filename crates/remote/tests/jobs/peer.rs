//! A server of the API in memory, as small as it can be: it keeps blobs, and "runs" each action by repeating the first
//! file of `/w` as often as the first argument says, with each output's own name behind it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use action::Digest;
use action::messages::action_cache_server::{ActionCache, ActionCacheServer};
use action::messages::capabilities_server::{Capabilities, CapabilitiesServer};
use action::messages::content_addressable_storage_server::{
    ContentAddressableStorage, ContentAddressableStorageServer,
};
use action::messages::execution_server::{Execution, ExecutionServer};
use action::messages::{
    Action, ActionResult, BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest,
    BatchUpdateBlobsResponse, CacheCapabilities, Command, Directory, ExecuteRequest,
    ExecuteResponse, ExecutionCapabilities, FindMissingBlobsRequest, FindMissingBlobsResponse,
    GetActionResultRequest, GetCapabilitiesRequest, GetChunkMappingRequest,
    GetChunkMappingResponse, GetTreeRequest, GetTreeResponse, OutputFile,
    RegisterChunkMappingRequest, RegisterChunkMappingResponse, ServerCapabilities,
    SpliceBlobRequest, SpliceBlobResponse, SplitBlobRequest, SplitBlobResponse,
    UpdateActionResultRequest, WaitExecutionRequest, batch_read_blobs_response,
    batch_update_blobs_response, compressor,
};
use bazel_remote_apis::google::bytestream::byte_stream_server::{ByteStream, ByteStreamServer};
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use bazel_remote_apis::google::longrunning::{Operation, operation};
use bazel_remote_apis::google::protobuf::Any;
use prost::Message as _;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

/// Bytes of a piece of a stream.
const PIECE: usize = 256 << 10;

/// A server on the loopback address, as long as this lives.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) peer: Peer,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts one.
pub(crate) async fn start() -> Running {
    let peer = Peer::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tonic::transport::Server::builder()
        .add_service(CapabilitiesServer::new(peer.clone()))
        .add_service(ContentAddressableStorageServer::new(peer.clone()))
        .add_service(ByteStreamServer::new(peer.clone()))
        .add_service(ActionCacheServer::new(peer.clone()))
        .add_service(ExecutionServer::new(peer.clone()));
    let task = tokio::spawn(async move {
        let _ = serving
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await;
    });
    Running {
        address,
        peer,
        task,
    }
}

/// What it keeps.
#[derive(Clone, Default)]
pub(crate) struct Peer {
    blobs: Arc<Mutex<HashMap<Digest, Vec<u8>>>>,
    results: Arc<Mutex<HashMap<Digest, ActionResult>>>,
    runs: Arc<AtomicUsize>,
    /// What it was asked about.
    asked: Arc<Mutex<Vec<Digest>>>,
    /// Nothing stays.
    full: Arc<AtomicBool>,
    /// Blobs that came.
    sent: Arc<AtomicUsize>,
    /// Questions for results.
    looked_up: Arc<AtomicUsize>,
    /// It has no room for blobs.
    no_room: Arc<AtomicBool>,
    /// Commands need more than they may have.
    exceeds: Arc<AtomicBool>,
    /// What it says it lacks, whatever it is asked.
    wants: Arc<Mutex<Option<Digest>>>,
    /// The task that ends the last execution; it tells whether the client still listened.
    parting: Arc<Mutex<Option<JoinHandle<bool>>>>,
}

impl Peer {
    /// What it was asked about since the last time, sorted.
    pub(crate) fn asked(&self) -> Vec<Digest> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.sort_unstable();
        asked
    }

    /// How often anything was run.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// How often it was asked for a result.
    pub(crate) fn looked_up(&self) -> usize {
        self.looked_up.load(Ordering::SeqCst)
    }

    /// From now on it says that it lacks this, whatever it is asked.
    pub(crate) fn want(&self, digest: Digest) {
        *self.wants.lock().unwrap() = Some(digest);
    }

    /// Waits for the end of the last execution: whether the client did, too.
    pub(crate) async fn parted(&self) -> bool {
        let parting = self.parting.lock().unwrap().take().unwrap();
        parting.await.unwrap()
    }

    /// All blobs and results are gone.
    pub(crate) fn forget(&self) {
        self.blobs.lock().unwrap().clear();
        self.results.lock().unwrap().clear();
    }

    /// All blobs are gone; results are not.
    pub(crate) fn forget_blobs(&self) {
        self.blobs.lock().unwrap().clear();
    }

    /// One blob is gone.
    pub(crate) fn lose(&self, digest: &Digest) {
        self.blobs.lock().unwrap().remove(digest).unwrap();
    }

    /// From now on it has no room for anything, and says so, or runs what needs too much.
    pub(crate) fn is_short_of(&self, room: bool) {
        let short = if room { &self.no_room } else { &self.exceeds };
        short.store(true, Ordering::SeqCst);
    }

    /// From now on it says that it has taken what it is sent, and keeps nothing.
    pub(crate) fn fill(&self) {
        self.full.store(true, Ordering::SeqCst);
    }

    /// How many blobs came.
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    fn put(&self, content: Vec<u8>) -> Digest {
        let digest = Digest::of(&content);
        self.sent.fetch_add(1, Ordering::SeqCst);
        if !self.full.load(Ordering::SeqCst) {
            self.blobs.lock().unwrap().insert(digest, content);
        }
        digest
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, Status> {
        let found = self.blobs.lock().unwrap().get(digest).cloned();
        found.ok_or_else(|| missing(digest))
    }

    fn message<M: prost::Message + Default>(
        &self,
        digest: Option<&action::messages::Digest>,
    ) -> Result<M, Status> {
        let bytes = self.blob(&named(digest)?)?;
        M::decode(&*bytes).map_err(|error| Status::invalid_argument(error.to_string()))
    }

    fn run(&self, digest: Digest) -> Result<ActionResult, Status> {
        let action: Action = self.message(Some(&digest.message()))?;
        let command: Command = self.message(action.command_digest.as_ref())?;
        let root: Directory = self.message(action.input_root_digest.as_ref())?;
        let folder: Directory = self.message(root.directories[0].digest.as_ref())?;
        let files = folder.files.iter();
        let files: Vec<_> = files
            .map(|file| named(file.digest.as_ref()).unwrap())
            .collect();
        let blobs = self.blobs.lock().unwrap();
        let lacks = files.iter().filter(|digest| !blobs.contains_key(digest));
        let lacks: Vec<_> = lacks.collect();
        if !lacks.is_empty() {
            return Err(all_missing(&lacks));
        }
        drop(blobs);
        let input = self.blob(&files[0])?;
        self.runs.fetch_add(1, Ordering::SeqCst);
        let times: usize = command.arguments[0].parse().unwrap();
        let output = |path: &String| {
            let content = [&*input.repeat(times), path.as_bytes()].concat();
            OutputFile {
                path: path.clone(),
                digest: Some(self.put(content).message()),
                is_executable: path == "x",
                ..OutputFile::default()
            }
        };
        let result = ActionResult {
            exit_code: if times == 2 { 3 } else { 0 },
            stdout_raw: b"out".to_vec(),
            output_files: command.output_paths.iter().map(output).collect(),
            ..ActionResult::default()
        };
        if result.exit_code == 0 {
            self.results.lock().unwrap().insert(digest, result.clone());
        }
        Ok(result)
    }
}

fn named(digest: Option<&action::messages::Digest>) -> Result<Digest, Status> {
    let digest = digest.ok_or_else(|| Status::invalid_argument("no digest"))?;
    Digest::try_from(digest).map_err(|bad| Status::invalid_argument(bad.to_string()))
}

fn missing(digest: &Digest) -> Status {
    all_missing(&[digest])
}

fn all_missing(digests: &[&Digest]) -> Status {
    let violations = digests
        .iter()
        .map(|digest| PreconditionViolation::new("MISSING", format!("blobs/{digest}"), ""));
    let details = ErrorDetails::with_precondition_failure(violations.collect::<Vec<_>>());
    Status::with_error_details(Code::FailedPrecondition, "missing", details)
}

fn unused<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("nobody needs it here"))
}

fn unpacked(data: Vec<u8>, kind: i32) -> Vec<u8> {
    match compressor::Value::try_from(kind).unwrap() {
        compressor::Value::Zstd => zstd::decode_all(&*data).unwrap(),
        _ => data,
    }
}

#[tonic::async_trait]
impl Capabilities for Peer {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let zstd = vec![compressor::Value::Zstd.into()];
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                supported_compressors: zstd.clone(),
                supported_batch_update_compressors: zstd,
                ..CacheCapabilities::default()
            }),
            execution_capabilities: Some(ExecutionCapabilities {
                exec_enabled: true,
                ..ExecutionCapabilities::default()
            }),
            ..ServerCapabilities::default()
        }))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Peer {
    type GetTreeStream = tokio_stream::Empty<Result<GetTreeResponse, Status>>;
    type GetChunkMappingStream = tokio_stream::Empty<Result<GetChunkMappingResponse, Status>>;

    async fn find_missing_blobs(
        &self,
        request: Request<FindMissingBlobsRequest>,
    ) -> Result<Response<FindMissingBlobsResponse>, Status> {
        let mut missing_blob_digests = request.into_inner().blob_digests;
        let asked = missing_blob_digests.iter();
        let asked = asked.filter_map(|digest| named(Some(digest)).ok());
        self.asked.lock().unwrap().extend(asked);
        let blobs = self.blobs.lock().unwrap();
        missing_blob_digests
            .retain(|digest| named(Some(digest)).is_ok_and(|digest| !blobs.contains_key(&digest)));
        let wants = self.wants.lock().unwrap().map(|digest| digest.message());
        missing_blob_digests.extend(wants);
        Ok(Response::new(FindMissingBlobsResponse {
            missing_blob_digests,
        }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<BatchUpdateBlobsRequest>,
    ) -> Result<Response<BatchUpdateBlobsResponse>, Status> {
        let put = |request: action::messages::batch_update_blobs_request::Request| {
            let digest = self.put(unpacked(request.data, request.compressor));
            assert_eq!(Some(digest.message()), request.digest);
            let status = bazel_remote_apis::google::rpc::Status {
                code: Code::ResourceExhausted.into(),
                ..Default::default()
            };
            batch_update_blobs_response::Response {
                digest: request.digest,
                status: self.no_room.load(Ordering::SeqCst).then_some(status),
            }
        };
        let responses = request.into_inner().requests.into_iter().map(put).collect();
        Ok(Response::new(BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<BatchReadBlobsRequest>,
    ) -> Result<Response<BatchReadBlobsResponse>, Status> {
        let read = |digest| -> Result<_, Status> {
            let data = self.blob(&named(Some(&digest))?)?;
            Ok(batch_read_blobs_response::Response {
                data: zstd::encode_all(&*data, 1).unwrap(),
                compressor: compressor::Value::Zstd.into(),
                digest: Some(digest),
                status: None,
            })
        };
        let responses = request.into_inner().digests.into_iter().map(read);
        let responses = responses.collect::<Result<_, _>>()?;
        Ok(Response::new(BatchReadBlobsResponse { responses }))
    }

    async fn get_tree(
        &self,
        _: Request<GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        unused()
    }

    async fn split_blob(
        &self,
        _: Request<SplitBlobRequest>,
    ) -> Result<Response<SplitBlobResponse>, Status> {
        unused()
    }

    async fn get_chunk_mapping(
        &self,
        _: Request<GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        unused()
    }

    async fn splice_blob(
        &self,
        _: Request<SpliceBlobRequest>,
    ) -> Result<Response<SpliceBlobResponse>, Status> {
        unused()
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<RegisterChunkMappingRequest>>,
    ) -> Result<Response<RegisterChunkMappingResponse>, Status> {
        unused()
    }
}

#[tonic::async_trait]
impl ByteStream for Peer {
    type ReadStream = tokio_stream::Iter<std::vec::IntoIter<Result<ReadResponse, Status>>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let name = &request.get_ref().resource_name;
        let content = self.blob(&at_the_end_of(name)?)?;
        let content = match name.contains("/compressed-blobs/zstd/") {
            true => zstd::encode_all(&*content, 1).unwrap(),
            false => content,
        };
        let piece = |data: &[u8]| {
            Ok(ReadResponse {
                data: data.to_vec(),
            })
        };
        let pieces: Vec<_> = content.chunks(PIECE).map(piece).collect();
        Ok(Response::new(tokio_stream::iter(pieces)))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        let mut pieces = request.into_inner();
        let (mut name, mut content) = (String::new(), Vec::new());
        while let Some(piece) = pieces.message().await? {
            name.push_str(&piece.resource_name);
            assert_eq!(piece.write_offset, content.len() as i64);
            content.extend(piece.data);
        }
        let committed_size = content.len() as i64;
        let is_packed = name.contains("/compressed-blobs/zstd/");
        let digest = self.put(unpacked(content, is_packed.into()));
        assert_eq!(digest, at_the_end_of(&name)?);
        Ok(Response::new(WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        _: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        unused()
    }
}

/// ".../HASH/SIZE"
fn at_the_end_of(name: &str) -> Result<Digest, Status> {
    let mut parts = name.rsplit('/');
    let (size, hash) = (parts.next().unwrap(), parts.next().unwrap());
    named(Some(&action::messages::Digest {
        hash: hash.to_owned(),
        size_bytes: size.parse().unwrap(),
    }))
}

#[tonic::async_trait]
impl ActionCache for Peer {
    async fn get_action_result(
        &self,
        request: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let digest = named(request.get_ref().action_digest.as_ref())?;
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        let known = self.results.lock().unwrap().get(&digest).cloned();
        known
            .map(Response::new)
            .ok_or_else(|| Status::not_found("unknown"))
    }

    async fn update_action_result(
        &self,
        _: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        unused()
    }
}

type Operations = ReceiverStream<Result<Operation, Status>>;

#[tonic::async_trait]
impl Execution for Peer {
    type ExecuteStream = Operations;
    type WaitExecutionStream = Operations;

    async fn execute(
        &self,
        request: Request<ExecuteRequest>,
    ) -> Result<Response<Operations>, Status> {
        let request = request.get_ref();
        let digest = named(request.action_digest.as_ref())?;
        let known = self.results.lock().unwrap().get(&digest).cloned();
        let known = known.filter(|_| !request.skip_cache_lookup);
        let exceeded = bazel_remote_apis::google::rpc::Status {
            code: Code::ResourceExhausted.into(),
            message: "too many processes".to_owned(),
            ..Default::default()
        };
        let response = ExecuteResponse {
            status: self.exceeds.load(Ordering::SeqCst).then_some(exceeded),
            cached_result: known.is_some(),
            result: Some(match known {
                Some(known) => known,
                None => self.run(digest)?,
            }),
            ..ExecuteResponse::default()
        };
        let done = Operation {
            name: "one".to_owned(),
            done: true,
            result: Some(operation::Result::Response(Any {
                value: response.encode_to_vec(),
                ..Any::default()
            })),
            ..Operation::default()
        };
        // The end comes a moment after the result.
        let (sender, operations) = tokio::sync::mpsc::channel(1);
        let parting = tokio::spawn(async move {
            const MOMENT: Duration = Duration::from_millis(200);
            sender.send(Ok(done)).await.unwrap();
            timeout(MOMENT, sender.closed()).await.is_err()
        });
        *self.parting.lock().unwrap() = Some(parting);
        Ok(Response::new(ReceiverStream::new(operations)))
    }

    async fn wait_execution(
        &self,
        _: Request<WaitExecutionRequest>,
    ) -> Result<Response<Operations>, Status> {
        unused()
    }
}
