//! What one client may have of the service: requests at the same time, and memory for what it sends.
//!
//! As with the old protocols nobody waits, and nobody can take all (`crate::shares`). Executions count by themselves:
//! they last as long as a compile, and keep no thread busy while they wait for their turn.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Bytes, Service};
use tower_layer::Layer;

use crate::shares::{Client, Growing, Part, Shares};

/// Requests at the same time, each of which may keep a thread busy.
pub(crate) const REQUESTS: u64 = 256;
/// What a request may hold of all that came: a message that is complete, and some pieces behind it.
const HELD: u64 = 12 << 20;
/// What a packed message unpacks to at most.
const MESSAGE: usize = 4 << 20;
/// gRPC's way to say that a request's messages are packed.
const ENCODING: &str = "grpc-encoding";
/// Executions that clients wait for.
const EXECUTIONS: u64 = 16 << 10;
const EXECUTION: &str = "/build.bazel.remote.execution.v2.Execution/";

/// What there is for all clients.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    requests: Arc<Shares>,
    executions: Arc<Shares>,
    memory: Arc<Shares>,
    patience: Duration,
}

impl Limits {
    /// Memory is shared with others; a request whose next bytes do not come for `patience` is given up.
    pub(crate) fn new(memory: Arc<Shares>, patience: Duration) -> Self {
        Self {
            requests: Shares::new(REQUESTS),
            executions: Shares::new(EXECUTIONS),
            memory,
            patience,
        }
    }
}

impl<S> Layer<S> for Limits {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited {
            limits: self.clone(),
            inner,
        }
    }
}

/// The services behind the limits.
#[derive(Clone, Debug)]
pub(crate) struct Limited<S> {
    limits: Limits,
    inner: S,
}

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let asks: engine::Client = request.extensions().get().copied().unwrap_or_default();
        let client = Client::of_address(asks.0);
        let is_execution = request.uri().path().starts_with(EXECUTION);
        let shares = match is_execution {
            true => &self.limits.executions,
            false => &self.limits.requests,
        };
        let Some(part) = shares.take(client, 1) else {
            let status = engine::later("too many requests of this client at once");
            return Box::pin(async { Ok(status.into_http()) });
        };
        let held = Arc::new(Mutex::new(Held {
            memory: Some(Growing::new(&self.limits.memory, client)),
            bytes: 0,
            _part: part,
        }));
        // A packed message is as large as it unpacks to, which may be all that a message can be.
        if request.headers().contains_key(ENCODING) && !lock(&held).grow(MESSAGE) {
            return Box::pin(async { Ok(no_memory().into_http()) });
        }
        let until_answered = Arc::clone(&held);
        let patience = self.limits.patience;
        let answered = self.inner.call(request.map(|inner| {
            Body::new(Weighed {
                inner,
                held,
                patience,
                silent: Box::pin(sleep(patience)),
            })
        }));
        Box::pin(async move {
            let response = answered.await?;
            if is_execution {
                // It is understood by now, and the answer may be long in coming.
                lock(&until_answered).memory = None;
            }
            Ok(response.map(|inner| {
                Body::new(Answer {
                    inner,
                    _held: until_answered,
                })
            }))
        })
    }
}

fn no_memory() -> Status {
    engine::later("no memory for more requests of this client now")
}

/// What a request has until it is answered.
#[derive(Debug)]
struct Held {
    memory: Option<Growing>,
    bytes: u64,
    _part: Part,
}

fn lock(held: &Mutex<Held>) -> MutexGuard<'_, Held> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    fn grow(&mut self, bytes: usize) -> bool {
        let more = (HELD - self.bytes).min(bytes as u64);
        self.bytes += more;
        self.memory.as_mut().is_none_or(|memory| memory.grow(more))
    }
}

/// What a client sends.
struct Weighed {
    inner: Body,
    held: Arc<Mutex<Held>>,
    patience: Duration,
    silent: Pin<Box<Sleep>>,
}

impl HttpBody for Weighed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) else {
            return this.silent.as_mut().poll(context).map(|()| {
                let text = "nothing more of the request came";
                Some(Err(Status::deadline_exceeded(text)))
            });
        };
        let until = Instant::now() + this.patience;
        this.silent.as_mut().reset(until);
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && !lock(&this.held).grow(data.len())
        {
            return Poll::Ready(Some(Err(no_memory())));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What it gets.
struct Answer {
    inner: Body,
    _held: Arc<Mutex<Held>>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(context)
    }

    // An error is headers only. Without this an empty frame of data would follow them, which gRPC for Java, and so Bazel,
    // takes for a broken stream in place of the error.
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::future::{Ready, ready};

    /// Gives back what it gets.
    #[derive(Clone)]
    struct Echo;

    impl Service<Request<Body>> for Echo {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            ready(Ok(Response::new(request.into_body())))
        }
    }

    /// Pieces of so many bytes, and then nothing more, or silence.
    struct Pieces {
        bytes: usize,
        left: u32,
        falls_silent: bool,
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            if self.left == 0 {
                return match self.falls_silent {
                    true => Poll::Pending,
                    false => Poll::Ready(None),
                };
            }
            self.left -= 1;
            Poll::Ready(Some(Ok(Frame::data(vec![0; self.bytes].into()))))
        }
    }

    fn pieces(bytes: usize, left: u32) -> Pieces {
        Pieces {
            bytes,
            left,
            falls_silent: false,
        }
    }

    fn limited(memory_bytes: u64) -> Limited<Echo> {
        let patience = Duration::from_millis(20);
        Limits::new(Shares::new(memory_bytes), patience).layer(Echo)
    }

    async fn ask<B>(limited: &mut Limited<Echo>, path: &'static str, body: B) -> Response<Body>
    where
        B: HttpBody<Data = Bytes, Error = Status> + Send + 'static,
    {
        let mut request = Request::new(Body::new(body));
        *request.uri_mut() = path.parse().unwrap();
        match limited.call(request).await {
            Ok(response) => response,
        }
    }

    /// Reads all; how much it was, or why it ended.
    async fn read(response: Response<Body>) -> Result<usize, Status> {
        let mut body = response.into_body();
        let mut bytes = 0;
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            match frame.await {
                Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(status)) => return Err(status),
                None => return Ok(bytes),
            }
        }
    }

    fn run(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work);
    }

    const CAS: &str = "/build.bazel.remote.execution.v2.ContentAddressableStorage/Any";

    fn is_refused(response: &Response<Body>) -> bool {
        let exhausted: Response<Body> = Status::resource_exhausted("").into_http();
        response.headers().get("grpc-status") == exhausted.headers().get("grpc-status")
    }

    #[test]
    fn requests_have_an_end_and_come_back() {
        run(async {
            let mut limited = limited(1 << 40);
            let mut open = Vec::new();
            loop {
                let response = ask(&mut limited, CAS, pieces(1, 1)).await;
                if is_refused(&response) {
                    break;
                }
                open.push(response);
            }
            assert_eq!(open.len() as u64, REQUESTS / 2, "all but what others need");
            // Who waits for an action does not count.
            let path = "/build.bazel.remote.execution.v2.Execution/Execute";
            assert!(!is_refused(&ask(&mut limited, path, pieces(1, 1)).await));
            drop(open.pop());
            assert!(!is_refused(&ask(&mut limited, CAS, pieces(1, 1)).await));
        });
    }

    #[test]
    fn memory_is_taken_as_it_is_needed_and_given_back() {
        run(async {
            let mut limited = limited(8 << 20);
            let large = ask(&mut limited, CAS, pieces(1 << 20, 5)).await;
            let refused = read(large).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
            for _ in 0..3 {
                let response = ask(&mut limited, CAS, pieces(1 << 20, 3)).await;
                assert_eq!(read(response).await.unwrap(), 3 << 20);
            }
        });
    }

    #[test]
    fn a_packed_request_has_as_much_as_it_may_unpack_to() {
        run(async {
            let mut limited = limited(8 << 20);
            let mut request = |bytes: usize| {
                let mut request = Request::new(Body::new(pieces(bytes, 1)));
                *request.uri_mut() = CAS.parse().unwrap();
                request
                    .headers_mut()
                    .insert(ENCODING, "zstd".parse().unwrap());
                limited.call(request)
            };
            let first = request(10).await.unwrap();
            assert!(!is_refused(&first));
            assert!(is_refused(&request(10).await.unwrap()));
            drop(first);
            assert!(!is_refused(&request(10).await.unwrap()));
        });
    }

    #[test]
    fn a_stream_of_any_length_holds_no_more_than_its_pieces() {
        run(async {
            let mut limited = limited(2 * HELD);
            let response = ask(&mut limited, CAS, pieces(1 << 20, 50)).await;
            assert_eq!(read(response).await.unwrap(), 50 << 20);
        });
    }

    #[test]
    fn an_answer_of_headers_alone_stays_one() {
        run(async {
            let answered = ask(&mut limited(8 << 20), CAS, Body::empty()).await;
            assert!(answered.body().is_end_stream());
            let answered = ask(&mut limited(8 << 20), CAS, Body::new(pieces(1, 1))).await;
            assert!(!answered.body().is_end_stream());
        });
    }

    #[test]
    fn silence_ends_a_request() {
        run(async {
            let body = Pieces {
                falls_silent: true,
                ..pieces(10, 1)
            };
            let response = ask(&mut limited(8 << 20), CAS, body).await;
            let given_up = read(response).await.unwrap_err();
            assert_eq!(given_up.code(), tonic::Code::DeadlineExceeded);
        });
    }
}
