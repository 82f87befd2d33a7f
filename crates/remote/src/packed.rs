//! Messages that go out packed as wholes, as gRPC's `grpc-encoding: zstd` has it.
//!
//! The generated code can do so, too, but not knowing how long a message is it clears tables for a megabyte each time:
//! 50 µs for messages of ten KiB, a part of what a whole compile costs.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::HeaderValue;
use http_body_util::{BodyExt as _, Full};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

/// What gives most of what zstd can give for names and digests.
const LEVEL: i32 = 3;
/// The head of a gRPC message: whether it is packed, and its bytes.
const HEAD: usize = 5;
/// Shorter messages gain nothing.
const WORTH_PACKING: usize = 256;

/// A connection whose requests are packed if the server takes such, and they are one message that is worth it.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    pub(crate) channel: Channel,
    pub(crate) is_taken: bool,
}

type Failure = Box<dyn Error + Send + Sync>;
type Answer = Result<http::Response<Body>, Failure>;

impl Service<http::Request<Body>> for Packed {
    type Response = http::Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.channel.poll_ready(context).map_err(Failure::from)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if !self.is_taken {
            let answer = self.channel.call(request);
            return Box::pin(async move { Ok(answer.await?) });
        }
        // This one is ready, and its copy need not be.
        let next = self.channel.clone();
        let mut channel = std::mem::replace(&mut self.channel, next);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let plain = body.collect().await?.to_bytes();
            let body = match pack(&plain) {
                Some(packed) => {
                    let name = HeaderValue::from_static("zstd");
                    head.headers.insert("grpc-encoding", name);
                    packed.into()
                }
                None => plain,
            };
            let body = Body::new(Full::new(body).map_err(|never| -> Status { match never {} }));
            let request = http::Request::from_parts(head, body);
            Ok(channel.call(request).await?)
        })
    }
}

/// The message packed, with its head, if that is shorter.
fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    let (head, message) = plain.split_at_checked(HEAD)?;
    let [is_packed, length @ ..] = <[u8; HEAD]>::try_from(head).ok()?;
    let is_one = u32::from_be_bytes(length) as usize == message.len();
    if is_packed != 0 || !is_one || message.len() < WORTH_PACKING {
        return None;
    }
    let packed = zstd::bulk::compress(message, LEVEL).ok()?;
    let length = u32::try_from(packed.len()).ok()?;
    (packed.len() < message.len()).then(|| [&[1][..], &length.to_be_bytes(), &packed].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[0][..], &length, content].concat()
    }

    #[test]
    fn one_message_is_packed_if_that_is_shorter() {
        let content = b"one name after the other, ".repeat(100);
        let packed = pack(&message(&content)).unwrap();
        assert_eq!(packed[0], 1);
        let length = u32::from_be_bytes(packed[1..HEAD].try_into().unwrap());
        assert_eq!(length as usize, packed.len() - HEAD);
        let unpacked = zstd::bulk::decompress(&packed[HEAD..], content.len()).unwrap();
        assert_eq!(unpacked, content);
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let short = message(b"one name after the other, one name after the other");
        let long = message(&b"one name after the other, ".repeat(100));
        let two = [&long[..], &long].concat();
        let mut packed_already = long.clone();
        packed_already[0] = 1;
        // As good as random.
        let random: Vec<u8> = (0u8..20)
            .flat_map(|number| action::Digest::of(&[number]).hash)
            .collect();
        for plain in [
            &short,
            &two,
            &packed_already,
            &message(&random),
            &vec![0; 3],
        ] {
            assert_eq!(pack(plain), None);
        }
    }
}
