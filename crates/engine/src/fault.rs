//! Errors as the API wants them.

use std::time::Duration;

use action::Digest;
use bazel_remote_apis::google::rpc;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};

/// How many missing blobs are named: all have to fit into the header of an answer, of which many clients take 8 KiB.
const MOST_MISSING: usize = 32;

/// An action whose blobs are not all here: the client shall send these, or the first of them, and ask again.
pub(crate) fn missing(digests: &[Digest]) -> Status {
    let text = format!(
        "{} blobs of the action are not here, {} for one",
        digests.len(),
        digests[0]
    );
    let missing =
        |digest: &Digest| PreconditionViolation::new("MISSING", format!("blobs/{digest}"), "");
    let violations: Vec<_> = digests.iter().take(MOST_MISSING).map(missing).collect();
    let details = ErrorDetails::with_precondition_failure(violations);
    Status::with_error_details(Code::FailedPrecondition, text, details)
}

/// What a store says.
pub(crate) fn store(error: store::Error) -> Status {
    let text = error.to_string();
    match error {
        store::Error::OtherContent(_) => Status::invalid_argument(text),
        store::Error::Full { .. } => Status::resource_exhausted(text),
        store::Error::Missing(_) => Status::not_found(text),
        store::Error::Disk(_) => Status::unavailable(text),
    }
}

/// Not now: the client shall ask again in a second.
pub fn later(why: &str) -> Status {
    let again = ErrorDetails::with_retry_info(Some(Duration::from_secs(1)));
    Status::with_error_details(Code::ResourceExhausted, why, again)
}

/// A digest of a message.
pub(crate) fn digest(message: Option<&action::messages::Digest>) -> Result<Digest, Status> {
    let message = message.ok_or_else(|| Status::invalid_argument("a digest is missing"))?;
    Digest::try_from(message).map_err(|bad| Status::invalid_argument(bad.to_string()))
}

/// A status as a field of answers.
pub(crate) fn message(status: &Status) -> rpc::Status {
    let details = rpc::Status::decode(status.details()).map(|all| all.details);
    rpc::Status {
        code: status.code().into(),
        message: status.message().into(),
        details: details.unwrap_or_default(),
    }
}
