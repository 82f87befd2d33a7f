//! The life of one action on a server: is the result known? If not, what is missing goes there, the server runs it, and
//! what it declared to make comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use action::Digest;
use action::messages::action_cache_client::ActionCacheClient;
use action::messages::execution_client::ExecutionClient;
use action::messages::{
    ActionResult, ExecuteRequest, ExecuteResponse, GetActionResultRequest, WaitExecutionRequest,
};
use bazel_remote_apis::google::longrunning::{Operation, operation};
use prost::Message as _;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::fetch::Wanted;
use crate::server::Server;
use crate::trouble::{Trouble, said_within};
use crate::upload::Contents;

/// So often is sent anew what a server has forgotten, or an execution begun anew that it has.
const TRIES: u32 = 4;

/// An action to be run.
#[derive(Clone)]
pub struct Order {
    /// Of the `Action` message.
    pub action: Digest,
    /// All blobs that it needs: the `Action`, the `Command`, folders, files.
    pub blobs: Arc<[Digest]>,
    /// The paths that it declares, as in its `Command`.
    pub outputs: Arc<BTreeSet<String>>,
    /// A result that is known already will do.
    pub cached: bool,
    /// Where blobs come from.
    pub contents: Arc<dyn Contents>,
}

/// What came of an action.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// As a shell tells it.
    pub exit_code: i32,
    /// What the command wrote.
    pub stdout: Vec<u8>,
    /// What the command wrote.
    pub stderr: Vec<u8>,
    /// Those of the declared files that it made.
    pub files: Vec<Made>,
    /// It was known already.
    pub cached: bool,
    /// Bytes to and from the server since its last outcome; actions at the same time share them.
    pub sent: u64,
    /// The other way.
    pub received: u64,
}

/// A file that an action made.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    /// As declared.
    pub path: String,
    /// All of it.
    pub content: Vec<u8>,
    /// May be executed.
    pub executable: bool,
}

/// How one try ended.
enum Tried {
    Done(Box<ExecuteResponse>),
    /// The server does not hold these, or does not say which.
    Missing(Vec<Digest>),
    /// It has forgotten the execution.
    Lost,
}

impl Server {
    /// Has an action run, or its result looked up. Dropping the future ends the job there.
    ///
    /// # Errors
    ///
    /// [`Trouble`]. A command that fails by itself is none.
    pub async fn run(&self, order: &Order) -> Result<Outcome, Trouble> {
        // Where contents are new, so is what would come of them; and to run it is to look once more.
        let may_be_known = !self.offers.executes || !self.held.lacked_any(&order.blobs);
        let mut is_to_be_noted = order.cached && may_be_known;
        let mut may_be_cached = order.cached;
        if is_to_be_noted && (!self.offers.executes || self.lookups.are_worth_it()) {
            let known = self.known(order).await?;
            is_to_be_noted = false;
            self.lookups.note(known.is_some());
            if let Some(result) = known {
                // What the cache names may have gone; then it is made anew.
                match self.take(result, order, true).await {
                    Err(Trouble::Broken(_)) => may_be_cached = false,
                    other => return other,
                }
            }
        }
        if !self.offers.executes {
            return Err(Trouble::CacheOnly);
        }
        let mut was_forgotten = false;
        for _ in 0..TRIES {
            self.provide(&order.blobs, &order.contents).await?;
            let tried = match self.execute(order, may_be_cached).await {
                Err(trouble @ Trouble::Broken(_)) => {
                    // Who knows what of it was lost.
                    self.held.forget(&order.blobs);
                    return Err(trouble);
                }
                tried => tried?,
            };
            match tried {
                Tried::Done(response) => {
                    if let Some(trouble) = response.status.as_ref().and_then(of_action) {
                        return Err(trouble);
                    }
                    if std::mem::take(&mut is_to_be_noted) {
                        self.lookups.note(response.cached_result);
                    }
                    let none = || Trouble::Liar("it is done, and gives no result".to_owned());
                    let result = response.result.ok_or_else(none)?;
                    match self.take(result, order, response.cached_result).await {
                        // What was known may have gone meanwhile; then it is made anew.
                        Err(Trouble::Broken(_)) if response.cached_result => may_be_cached = false,
                        other => return other,
                    }
                }
                Tried::Missing(digests) => {
                    // Below a folder that is missing it cannot know what else is.
                    self.held.forget(&order.blobs);
                    if std::mem::replace(&mut was_forgotten, true) {
                        return Err(Trouble::Forgetful(match digests.first() {
                            Some(digest) => digest.to_string(),
                            None => "it does not say what".to_owned(),
                        }));
                    }
                }
                Tried::Lost => {}
            }
        }
        Err(Trouble::Broken("it forgets what it runs".to_owned()))
    }

    /// The result, if it is known. What goes wrong here is no reason to give up.
    async fn known(&self, order: &Order) -> Result<Option<ActionResult>, Trouble> {
        let request = GetActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(order.action.message()),
            inline_stdout: true,
            inline_stderr: true,
            inline_output_files: order.outputs.iter().cloned().collect(),
            ..GetActionResultRequest::default()
        };
        let mut client = ActionCacheClient::new(self.channel.clone())
            .max_decoding_message_size(crate::server::MESSAGE);
        match client.get_action_result(request).await {
            Ok(result) => Ok(Some(result.into_inner())),
            Err(status) => match Trouble::from(status) {
                away @ Trouble::Away(_) => Err(away),
                _ => Ok(None),
            },
        }
    }

    async fn execute(&self, order: &Order, may_be_cached: bool) -> Result<Tried, Trouble> {
        let mut client = ExecutionClient::new(self.channel.clone())
            .max_decoding_message_size(crate::server::MESSAGE);
        let request = ExecuteRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(order.action.message()),
            skip_cache_lookup: !may_be_cached,
            ..ExecuteRequest::default()
        };
        let mut stream = match client.execute(request).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return missing(status),
        };
        let mut name = String::new();
        for _ in 0..TRIES {
            match follow(&mut stream, &mut name).await {
                Ok(Some(response)) => {
                    tokio::spawn(part(stream));
                    return Tried::of(response);
                }
                Ok(None) => {} // It ended in between.
                Err(status) if status.code() == Code::FailedPrecondition => return missing(status),
                Err(status) if status.code() != Code::Unavailable => return Err(status.into()),
                Err(_) => {}
            }
            if name.is_empty() {
                return Ok(Tried::Lost);
            }
            let request = WaitExecutionRequest { name: name.clone() };
            match client.wait_execution(request).await {
                Ok(again) => stream = again.into_inner(),
                Err(status) if status.code() == Code::NotFound => return Ok(Tried::Lost),
                Err(status) => return Err(status.into()),
            }
        }
        Ok(Tried::Lost)
    }

    /// What was declared, with its contents.
    async fn take(
        &self,
        result: ActionResult,
        order: &Order,
        cached: bool,
    ) -> Result<Outcome, Trouble> {
        if let Some(path) = links(&result).find(|path| order.outputs.contains(*path)) {
            return Err(Trouble::Liar(format!("{path:?} is a link there")));
        }
        let mut folders = result.output_directories.iter().map(|folder| &folder.path);
        if let Some(path) = folders.find(|path| order.outputs.contains(*path)) {
            return Err(Trouble::Liar(format!("{path:?} is a folder there")));
        }
        let mut wanted = vec![
            Wanted::new(result.stdout_digest.as_ref(), result.stdout_raw)?,
            Wanted::new(result.stderr_digest.as_ref(), result.stderr_raw)?,
        ];
        let mut names = Vec::new();
        let mut seen = BTreeSet::new();
        for file in result.output_files {
            // Only what was declared, and once.
            if order.outputs.contains(&file.path) && seen.insert(file.path.clone()) {
                wanted.push(Wanted::new(file.digest.as_ref(), file.contents)?);
                names.push((file.path, file.is_executable));
            }
        }
        let mut contents = self.fetch(wanted).await?.into_iter();
        let stdout = contents.next().unwrap_or_default();
        let stderr = contents.next().unwrap_or_default();
        let files = names.into_iter().zip(contents);
        let files = files.map(|((path, executable), content)| Made {
            path,
            content,
            executable,
        });
        let (sent, received) = self.traffic.take();
        Ok(Outcome {
            exit_code: result.exit_code,
            stdout,
            stderr,
            files: files.collect(),
            cached,
            sent,
            received,
        })
    }
}

#[expect(
    deprecated,
    reason = "servers of the API before 2.1 tell of links there"
)]
fn links(result: &ActionResult) -> impl Iterator<Item = &String> {
    let links = result
        .output_symlinks
        .iter()
        .chain(&result.output_file_symlinks)
        .chain(&result.output_directory_symlinks);
    links.map(|link| &link.path)
}

/// What went wrong with an action that a server took. One that needs more than it may have will do so again.
fn of_action(status: &bazel_remote_apis::google::rpc::Status) -> Option<Trouble> {
    if status.code == 0 {
        return None;
    }
    Some(match Trouble::from(said_within(status)) {
        Trouble::Busy { said, again: None } => Trouble::Refused(said),
        other => other,
    })
}

impl Tried {
    fn of(response: ExecuteResponse) -> Result<Tried, Trouble> {
        let status = response.status.as_ref();
        match status.filter(|status| status.code == i32::from(Code::FailedPrecondition)) {
            Some(status) => missing(said_within(status)),
            None => Ok(Tried::Done(Box::new(response))),
        }
    }
}

/// Reads on until the execution is done, or the stream ends.
async fn follow(
    stream: &mut Streaming<Operation>,
    name: &mut String,
) -> Result<Option<ExecuteResponse>, Status> {
    while let Some(message) = stream.message().await? {
        if !message.name.is_empty() {
            *name = message.name;
        }
        match message.result {
            Some(operation::Result::Response(any)) => {
                let response = ExecuteResponse::decode(&*any.value);
                let odd = |error| Status::internal(format!("its answer makes no sense: {error}"));
                return response.map(Some).map_err(odd);
            }
            Some(operation::Result::Error(status)) => return Err(said_within(&status)),
            None if message.done => return Err(Status::internal("it is done, without a result")),
            None => {}
        }
    }
    Ok(None)
}

/// Reads a stream to its end, of which nothing more is expected. Broken off instead, its end comes to nobody, and a
/// connection on which that happens a thousand times is ended by HTTP/2.
async fn part(mut stream: Streaming<Operation>) {
    /// More than it takes over any line.
    const PARTING: Duration = Duration::from_secs(30);
    let rest = async { while let Ok(Some(_)) = stream.message().await {} };
    let _ = tokio::time::timeout(PARTING, rest).await; // Then it is broken off.
}

/// What a refusal says of blobs that are missing; any other is trouble.
fn missing(status: Status) -> Result<Tried, Trouble> {
    if status.code() != Code::FailedPrecondition {
        return Err(status.into());
    }
    let failure = status.get_details_precondition_failure();
    let violations = failure
        .map(|failure| failure.violations)
        .unwrap_or_default();
    let missing = violations
        .iter()
        .filter(|violation| violation.r#type == "MISSING");
    Ok(Tried::Missing(
        missing
            .filter_map(|violation| digest(&violation.subject))
            .collect(),
    ))
}

/// `blobs/HASH/SIZE`
fn digest(subject: &str) -> Option<Digest> {
    let (rest, size) = subject.rsplit_once('/')?;
    let hash = rest.rsplit('/').next()?;
    let message = action::messages::Digest {
        hash: hash.to_owned(),
        size_bytes: size.parse().ok()?,
    };
    Digest::try_from(&message).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::{ErrorDetails, PreconditionViolation};

    #[test]
    fn what_is_missing_is_read_wherever_it_is_said() {
        let blob = Digest::of(b"x");
        let violations = vec![
            PreconditionViolation::new("MISSING", format!("blobs/{blob}"), ""),
            PreconditionViolation::new("OTHER", format!("blobs/{blob}"), ""),
            PreconditionViolation::new("MISSING", "blobs/x", ""),
        ];
        let details = ErrorDetails::with_precondition_failure(violations);
        let status = Status::with_error_details(Code::FailedPrecondition, "missing", details);
        let Ok(Tried::Missing(digests)) = missing(status.clone()) else {
            panic!("{status:?}");
        };
        assert_eq!(digests, [blob]);
        let inside = bazel_remote_apis::google::rpc::Status::decode(status.details()).unwrap();
        let response = ExecuteResponse {
            status: Some(inside),
            ..ExecuteResponse::default()
        };
        assert!(matches!(Tried::of(response), Ok(Tried::Missing(digests)) if digests == [blob]));
    }
}
