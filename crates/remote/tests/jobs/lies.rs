//! What is believed of a server, and what is not.

use std::collections::BTreeSet;

use action::Digest;
use action::messages::action_cache_server::{ActionCache, ActionCacheServer};
use action::messages::capabilities_server::{Capabilities, CapabilitiesServer};
use action::messages::{
    ActionResult, CacheCapabilities, GetActionResultRequest, GetCapabilitiesRequest, OutputFile,
    OutputSymlink, ServerCapabilities, UpdateActionResultRequest, compressor,
};
use bazel_remote_apis::google::bytestream::byte_stream_server::{ByteStream, ByteStreamServer};
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use remote::Trouble;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{connect, order};

/// A server that answers each question for a result with this one.
#[derive(Clone, Default)]
struct Liar {
    result: ActionResult,
    /// It sends blobs packed.
    packs: bool,
    /// What it sends for each blob, in pieces.
    sends: Vec<u8>,
}

#[tonic::async_trait]
impl Capabilities for Liar {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        let zstd = self.packs.then(|| compressor::Value::Zstd.into());
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                max_batch_total_size_bytes: 1000,
                supported_compressors: zstd.into_iter().collect(),
                ..CacheCapabilities::default()
            }),
            ..ServerCapabilities::default()
        }))
    }
}

#[tonic::async_trait]
impl ByteStream for Liar {
    type ReadStream = tokio_stream::Iter<std::vec::IntoIter<Result<ReadResponse, Status>>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let name = request.into_inner().resource_name;
        assert_eq!(name.contains("/compressed-blobs/zstd/"), self.packs);
        let piece = |data: &[u8]| {
            Ok(ReadResponse {
                data: data.to_vec(),
            })
        };
        let pieces: Vec<_> = self.sends.chunks(1000).map(piece).collect();
        Ok(Response::new(tokio_stream::iter(pieces)))
    }

    async fn write(
        &self,
        _: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn query_write_status(
        &self,
        _: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[tonic::async_trait]
impl ActionCache for Liar {
    async fn get_action_result(
        &self,
        _: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Ok(Response::new(self.result.clone()))
    }

    async fn update_action_result(
        &self,
        _: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn told(result: ActionResult) -> Result<remote::Outcome, Trouble> {
    let liar = Liar {
        result,
        ..Liar::default()
    };
    told_by(liar).await
}

async fn told_by(liar: Liar) -> Result<remote::Outcome, Trouble> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tonic::transport::Server::builder()
        .add_service(CapabilitiesServer::new(liar.clone()))
        .add_service(ByteStreamServer::new(liar.clone()))
        .add_service(ActionCacheServer::new(liar))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let task = tokio::spawn(serving);
    let (order, _) = order(1, b"x", &["o"]);
    let outcome = connect(address).await.run(&order).await;
    task.abort();
    outcome
}

fn file(path: &str, digest: Digest, contents: &[u8]) -> OutputFile {
    OutputFile {
        path: path.to_owned(),
        digest: Some(digest.message()),
        contents: contents.to_vec(),
        ..OutputFile::default()
    }
}

#[tokio::test]
async fn only_what_was_declared_is_taken() {
    let [wanted, other] = [&b"wanted"[..], b"other"].map(Digest::of);
    let result = ActionResult {
        output_files: vec![
            file("../../etc/passwd", other, b"other"),
            file("o", wanted, b"wanted"),
            file("o", other, b"other"),
            file("/o", other, b"other"),
        ],
        output_symlinks: vec![OutputSymlink {
            path: "l".to_owned(),
            ..OutputSymlink::default()
        }],
        ..ActionResult::default()
    };
    let outcome = told(result).await.unwrap();
    let names: BTreeSet<_> = outcome.files.iter().map(|file| &*file.path).collect();
    assert_eq!(names, BTreeSet::from(["o"]));
    assert_eq!(outcome.files[0].content, b"wanted");
}

#[tokio::test]
async fn lies_are_found_out() {
    let digest = Digest::of(b"wanted");
    let link = OutputSymlink {
        path: "o".to_owned(),
        target: "/etc/passwd".to_owned(),
        ..OutputSymlink::default()
    };
    let big = Digest {
        size: 1 << 40,
        ..digest
    };
    for result in [
        ActionResult {
            output_files: vec![file("o", digest, b"tnawed")],
            ..ActionResult::default()
        },
        ActionResult {
            output_files: vec![file("o", big, b"")],
            ..ActionResult::default()
        },
        ActionResult {
            output_symlinks: vec![link],
            ..ActionResult::default()
        },
        ActionResult {
            stdout_digest: Some(digest.message()),
            stdout_raw: b"wanteb".to_vec(),
            ..ActionResult::default()
        },
        ActionResult {
            stderr_digest: Some(action::messages::Digest {
                hash: "x".into(),
                size_bytes: 1,
            }),
            ..ActionResult::default()
        },
    ] {
        let trouble = told(result.clone()).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Liar(_)), "{result:?}: {trouble}");
    }
    // One that keeps results only cannot do more than that.
    let missing = ActionResult {
        output_files: vec![file("o", digest, b"")],
        ..ActionResult::default()
    };
    assert_eq!(told(missing).await.unwrap_err(), Trouble::CacheOnly);
}

#[tokio::test]
async fn what_comes_in_pieces_is_checked_and_bounded() {
    let content = vec![7; 100_000];
    let longer = vec![7; 100_001];
    let pack = |content: &[u8]| zstd::encode_all(content, 1).unwrap();
    let cut = |content: &[u8]| content[..content.len() - 1].to_vec();
    for (packs, sends, is_right) in [
        (false, content.clone(), true),
        (false, longer.clone(), false),
        (false, cut(&content), false),
        (true, pack(&content), true),
        (true, pack(&longer), false),
        (true, pack(&cut(&content)), false),
        (true, cut(&pack(&content)), false),
        (true, content.clone(), false),
        (true, vec![7; 10 << 20], false),
    ] {
        let liar = Liar {
            result: ActionResult {
                output_files: vec![file("o", Digest::of(&content), b"")],
                ..ActionResult::default()
            },
            packs,
            sends,
        };
        match told_by(liar).await {
            Ok(outcome) => assert!(is_right && outcome.files[0].content == content),
            Err(trouble) => assert!(
                !is_right && matches!(trouble, Trouble::Liar(_)),
                "{trouble}"
            ),
        }
    }
}
