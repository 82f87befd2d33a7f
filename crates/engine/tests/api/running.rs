//! A running engine, and a client of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use action::messages::content_addressable_storage_client::ContentAddressableStorageClient;
use action::messages::execution_client::ExecutionClient;
use action::messages::{
    BatchUpdateBlobsRequest, ExecuteRequest, ExecuteResponse, FindMissingBlobsRequest,
    batch_update_blobs_request, compressor,
};
use action::{Digest, Hermetic, Root};
use bazel_remote_apis::google::longrunning::operation;
use engine::{Client, Engine};
use prost::Message;
use store::{Results, Store};
use tokio::sync::Semaphore;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};

use crate::plain::Plain;

/// The header in which a test says from where it comes.
pub(crate) const FROM: &str = "x-from";

pub(crate) struct Running {
    _folder: tempfile::TempDir,
    pub(crate) plain: Arc<Plain>,
    pub(crate) channel: Channel,
}

pub(crate) async fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("blobs"), 64 << 20).unwrap();
    let results = Results::open(&folder.path().join("results"), 100).unwrap();
    let plain = Arc::new(Plain {
        store: store.clone(),
        runs: AtomicUsize::new(0),
        stopped: AtomicUsize::new(0),
        slots: Arc::new(Semaphore::new(2)),
        queued: Arc::default(),
        surroundings: Mutex::new(None),
    });
    let engine = Engine::new(store, results, Some(Arc::clone(&plain) as _));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // As who accepts connections does it.
    let told = |mut request: tonic::Request<()>| {
        let from = request.metadata().get(FROM);
        let from = from.map(|from| from.to_str().unwrap().parse().unwrap());
        request.extensions_mut().insert(Client(from));
        Ok(request)
    };
    let layer = tonic::service::InterceptorLayer::new(told);
    let mut serving = Server::builder().layer(layer);
    let serving = serving.add_routes(engine.routes());
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    Running {
        _folder: folder,
        plain,
        channel: channel.connect().await.unwrap(),
    }
}

/// An action that runs a line of shell in `w`, where `in.txt` is, and makes `out.txt`.
pub(crate) fn shell(line: &str, do_not_cache: bool) -> Hermetic {
    let words = ["/bin/sh", "-c", line].map(|word| word.as_bytes().to_vec());
    let job = action::Job {
        arguments: &words,
        environment: &BTreeMap::new(),
        working_folder: b"/w",
        outputs: &BTreeSet::from([b"out.txt".to_vec()]),
        do_not_cache,
    };
    let mut root = Root::default();
    root.add_file(b"/w/in.txt", Digest::of(b"content"), false)
        .unwrap();
    Hermetic::new(&job, root).unwrap()
}

impl Running {
    pub(crate) async fn put(&self, blobs: Vec<(Digest, Vec<u8>)>, zstd: bool) -> Vec<i32> {
        let mut client = ContentAddressableStorageClient::new(self.channel.clone());
        let requests =
            blobs
                .into_iter()
                .map(|(digest, content)| batch_update_blobs_request::Request {
                    digest: Some(digest.message()),
                    data: if zstd {
                        zstd::bulk::compress(&content, 3).unwrap()
                    } else {
                        content
                    },
                    compressor: if zstd {
                        compressor::Value::Zstd.into()
                    } else {
                        0
                    },
                });
        let request = BatchUpdateBlobsRequest {
            requests: requests.collect(),
            ..Default::default()
        };
        let response = client
            .batch_update_blobs(request)
            .await
            .unwrap()
            .into_inner();
        response
            .responses
            .into_iter()
            .map(|response| response.status.unwrap().code)
            .collect()
    }

    pub(crate) async fn put_action(&self, action: &Hermetic) {
        let mut blobs = action.packed.blobs.clone();
        blobs.push((Digest::of(b"content"), b"content".to_vec()));
        assert!(self.put(blobs, false).await.iter().all(|code| *code == 0));
    }

    pub(crate) async fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        let mut client = ContentAddressableStorageClient::new(self.channel.clone());
        let request = FindMissingBlobsRequest {
            blob_digests: digests.iter().map(Digest::message).collect(),
            ..Default::default()
        };
        let response = client
            .find_missing_blobs(request)
            .await
            .unwrap()
            .into_inner();
        response
            .missing_blob_digests
            .iter()
            .map(|digest| Digest::try_from(digest).unwrap())
            .collect()
    }

    pub(crate) async fn execute(
        &self,
        action: &Hermetic,
    ) -> Result<ExecuteResponse, tonic::Status> {
        let mut client = ExecutionClient::new(self.channel.clone());
        let request = ExecuteRequest {
            action_digest: Some(action.packed.digest.message()),
            ..Default::default()
        };
        let mut stream = client.execute(request).await?.into_inner();
        loop {
            let message = stream.message().await?.unwrap();
            if let Some(operation::Result::Response(any)) = message.result {
                assert!(message.done);
                return Ok(ExecuteResponse::decode(&*any.value).unwrap());
            }
        }
    }
}
