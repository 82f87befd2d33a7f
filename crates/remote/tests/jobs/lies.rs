//! What is believed of a server, and what is not.

use std::collections::BTreeSet;

use action::Digest;
use action::messages::action_cache_server::{ActionCache, ActionCacheServer};
use action::messages::capabilities_server::{Capabilities, CapabilitiesServer};
use action::messages::{
    ActionResult, GetActionResultRequest, GetCapabilitiesRequest, OutputFile, OutputSymlink,
    ServerCapabilities, UpdateActionResultRequest,
};
use remote::Trouble;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::{connect, order};

/// A server that answers each question for a result with this one.
#[derive(Clone)]
struct Liar(ActionResult);

#[tonic::async_trait]
impl Capabilities for Liar {
    async fn get_capabilities(
        &self,
        _: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<ServerCapabilities>, Status> {
        Ok(Response::new(ServerCapabilities::default()))
    }
}

#[tonic::async_trait]
impl ActionCache for Liar {
    async fn get_action_result(
        &self,
        _: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn update_action_result(
        &self,
        _: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::unimplemented(""))
    }
}

async fn told(result: ActionResult) -> Result<remote::Outcome, Trouble> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let liar = Liar(result);
    let serving = tonic::transport::Server::builder()
        .add_service(CapabilitiesServer::new(liar.clone()))
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
