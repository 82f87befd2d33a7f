//! Running actions.

use std::sync::Arc;
use std::time::Duration;

use action::Digest;
use action::messages::execution_server::Execution;
use action::messages::{
    ActionResult, ExecuteOperationMetadata, ExecuteRequest, ExecuteResponse, OutputFile,
    OutputSymlink, WaitExecutionRequest, execution_stage,
};
use bazel_remote_apis::google::longrunning::{Operation as Message, operation};
use bazel_remote_apis::google::protobuf::Any;
use prost::Message as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use crate::content::blocking;
use crate::engine::{Client, Engine, Executed, Failure, Output, Refusal, Slot};
use crate::operations::{Operation, Progress, Waiting};
use crate::reading::Job;
use crate::results;
use crate::{fault, folders};

const PACKAGE: &str = "type.googleapis.com/build.bazel.remote.execution.v2";

/// Who loses its connection before it has the name of its operation asks for the action again, and finds it running.
const SOON: Duration = Duration::from_secs(1);

/// What is to be done about an action.
enum Found {
    /// Nothing: this came of it.
    Known(Box<ActionResult>),
    /// To run it, with what it takes of the server.
    Job(Box<Job>, Slot),
}

type Stream = ReceiverStream<Result<Message, Status>>;

#[tonic::async_trait]
impl Execution for Engine {
    type ExecuteStream = Stream;
    type WaitExecutionStream = Stream;

    async fn execute(&self, request: Request<ExecuteRequest>) -> Result<Response<Stream>, Status> {
        let client = request.extensions().get().copied().unwrap_or_default();
        let request = request.into_inner();
        let action = fault::digest(request.action_digest.as_ref())?;
        if self.shared.executor.is_none() {
            return Err(runs_nothing());
        }
        let engine = self.clone();
        // In one go: each change of threads costs as much as a look at the disk.
        let found = blocking(move || {
            if !request.skip_cache_lookup
                && let Some(result) = engine.known(action)?
            {
                return Ok(Found::Known(Box::new(result)));
            }
            let job = Job::read(&engine.store_of(client), action)?;
            let executor = engine.shared.executor.as_ref();
            let executor = executor.ok_or_else(runs_nothing)?;
            let taken = executor
                .accept(client, &job)
                .map_err(|refusal| match refusal {
                    Refusal::Never(text) => Status::invalid_argument(text),
                    Refusal::Busy(text) => fault::later(&text),
                })?;
            Ok(Found::Job(Box::new(job), taken))
        });
        let (job, taken) = match found.await? {
            Found::Job(job, taken) => (*job, taken),
            Found::Known(result) => {
                let (waiting, _) = self.shared.operations.enter(action, false);
                self.end(&waiting.operation, &self.response(Ok(*result), true));
                return Ok(Response::new(follow(waiting)));
            }
        };
        let may_share = !job.do_not_cache && !request.skip_cache_lookup;
        let (waiting, is_new) = self.shared.operations.enter(action, may_share);
        if is_new {
            tokio::spawn(
                self.clone()
                    .run(Arc::clone(&waiting.operation), job, taken, client),
            );
        }
        Ok(Response::new(follow(waiting)))
    }

    async fn wait_execution(
        &self,
        request: Request<WaitExecutionRequest>,
    ) -> Result<Response<Stream>, Status> {
        let name = &request.get_ref().name;
        let waiting = self.shared.operations.join(name);
        let waiting = waiting.ok_or_else(|| {
            Status::not_found(format!("nothing is known of the operation {name:?}"))
        })?;
        Ok(Response::new(follow(waiting)))
    }
}

impl Engine {
    /// Runs a job, from the queue to its end.
    async fn run(self, operation: Arc<Operation>, job: Job, taken: Slot, client: Client) {
        let Some(executor) = self.shared.executor.clone() else {
            return;
        };
        let slot = tokio::select! {
            slot = executor.slot(client) => slot,
            // Nobody waits for it any more: those behind it in the queue move up.
            () = operation.stop.stopped() => return,
        };
        operation
            .progress
            .send_replace(Progress::At(execution_stage::Value::Executing));
        let engine = self.clone();
        let stop = operation.stop.clone();
        let done = blocking(move || {
            // From before it ran: whatever changes meanwhile is not the state that its result is kept for.
            let surroundings = executor.surroundings();
            let executed = executor.execute(client, &job, &stop);
            drop(slot);
            let result = engine.keep(&job, client, executed.map_err(status)?)?;
            if result.exit_code == 0 && !job.do_not_cache {
                let name = match (job.brings_its_root(), surroundings) {
                    (true, _) | (false, None) => job.digest,
                    (false, Some(surroundings)) => results::within(job.digest, surroundings),
                };
                // One that cannot be kept is a result all the same.
                let _ = engine.shared.results.put(name, &result.encode_to_vec());
            }
            drop(taken);
            Ok(result)
        });
        let done = done.await;
        self.end(&operation, &self.response(done, false));
    }

    /// Puts what a command made into the store.
    fn keep(&self, job: &Job, client: Client, executed: Executed) -> Result<ActionResult, Status> {
        let store = self.store_of(client);
        let put = |content: &[u8]| -> Result<Option<action::messages::Digest>, Status> {
            let digest = Digest::of(content);
            store.put(digest, content).map_err(fault::store)?;
            Ok(Some(digest.message()))
        };
        let mut result = ActionResult {
            exit_code: executed.exit_code,
            stdout_digest: put(&executed.stdout)?,
            stderr_digest: put(&executed.stderr)?,
            ..ActionResult::default()
        };
        for (path, output) in executed.outputs {
            if !job.outputs.contains(&path) {
                continue; // Only what was declared.
            }
            job.check_kind(&path, &output)?;
            match output {
                Output::Folder(folder) => {
                    let format = job.command.output_directory_format;
                    let kept = folders::keep(&store, &*folder, &path, format)?;
                    result.output_directories.push(kept);
                }
                Output::Link(target) => put_link(
                    &mut result,
                    job,
                    OutputSymlink {
                        path,
                        target,
                        node_properties: None,
                    },
                ),
                Output::File {
                    content,
                    executable,
                } => {
                    let digest = store.put_file(&content);
                    let digest = digest.map_err(fault::store)?.message();
                    result.output_files.push(OutputFile {
                        digest: Some(digest),
                        path,
                        is_executable: executable,
                        ..OutputFile::default()
                    });
                }
            }
        }
        Ok(result)
    }

    /// The answer, with all contents that fit into it: that saves each client a question.
    fn response(&self, done: Result<ActionResult, Status>, cached: bool) -> ExecuteResponse {
        let done = done.and_then(|mut result| {
            self.put_inline(&mut result, |_| true)?;
            Ok(result)
        });
        match done {
            Ok(result) => ExecuteResponse {
                result: Some(result),
                cached_result: cached,
                status: Some(Default::default()),
                ..ExecuteResponse::default()
            },
            Err(status) => ExecuteResponse {
                status: Some(fault::message(&status)),
                ..ExecuteResponse::default()
            },
        }
    }

    fn end(&self, operation: &Arc<Operation>, response: &ExecuteResponse) {
        self.shared.operations.close(operation);
        operation
            .progress
            .send_replace(Progress::Over(Arc::new(response.clone())));
    }
}

fn runs_nothing() -> Status {
    Status::unimplemented("this server keeps results, and runs nothing")
}

pub(crate) fn status(failure: Failure) -> Status {
    match failure {
        Failure::Ending => Status::unavailable("this server ends"),
        Failure::Invalid(text) => Status::invalid_argument(text),
        Failure::TimedOut => Status::deadline_exceeded("the command took longer than it may"),
        Failure::Exceeded(text) => Status::new(Code::ResourceExhausted, text),
        Failure::Stopped => Status::cancelled("nobody waited for it any more"),
        Failure::Broken(text) => Status::internal(text),
    }
}

#[expect(
    deprecated,
    reason = "clients of the API before 2.1 look for links there"
)]
fn put_link(result: &mut ActionResult, job: &Job, link: OutputSymlink) {
    if !job.command.output_paths.is_empty() {
        result.output_symlinks.push(link);
    } else if job.command.output_files.contains(&link.path) {
        result.output_file_symlinks.push(link);
    } else {
        result.output_directory_symlinks.push(link);
    }
}

/// Tells a client about an operation until it is over. Of one that is over soon it hears the end alone: each stage is some
/// 250 bytes on the wire.
fn follow(mut waiting: Waiting) -> Stream {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let is_over = |progress: &Progress| matches!(progress, Progress::Over(_));
        tokio::select! {
            _ = waiting.progress.wait_for(is_over) => {} // What it is now is told below.
            () = tokio::time::sleep(SOON) => {}
            () = sender.closed() => return,
        }
        loop {
            let progress = waiting.progress.borrow_and_update().clone();
            let is_over = is_over(&progress);
            let message = message(&waiting.operation, progress);
            if sender.send(Ok(message)).await.is_err() || is_over {
                return;
            }
            tokio::select! {
                changed = waiting.progress.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
        }
    });
    ReceiverStream::new(receiver)
}

fn message(operation: &Operation, progress: Progress) -> Message {
    let stage = match &progress {
        Progress::At(stage) => *stage,
        Progress::Over(_) => execution_stage::Value::Completed,
    };
    let metadata = ExecuteOperationMetadata {
        stage: stage.into(),
        action_digest: Some(operation.action.message()),
        ..ExecuteOperationMetadata::default()
    };
    let any = |name: &str, value: Vec<u8>| Any {
        type_url: format!("{PACKAGE}.{name}"),
        value,
    };
    let result = match progress {
        Progress::At(_) => None,
        Progress::Over(response) => {
            let response = any("ExecuteResponse", response.encode_to_vec());
            Some(operation::Result::Response(response))
        }
    };
    Message {
        name: operation.name.clone(),
        metadata: Some(any("ExecuteOperationMetadata", metadata.encode_to_vec())),
        done: result.is_some(),
        result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::Operations;
    use tokio::time::{Instant, timeout};
    use tokio_stream::StreamExt as _;

    const EXECUTING: Progress = Progress::At(execution_stage::Value::Executing);

    fn over() -> Progress {
        Progress::Over(Arc::new(ExecuteResponse::default()))
    }

    /// The clock stands still but where all wait for it.
    #[tokio::test(start_paused = true)]
    async fn of_what_is_over_soon_the_end_alone_is_told() {
        let operations = Operations::default();
        let (waiting, _) = operations.enter(Digest::of(b"a"), true);
        let operation = Arc::clone(&waiting.operation);
        let mut told = follow(waiting);
        operation.progress.send_replace(EXECUTING);
        assert!(timeout(SOON / 2, told.next()).await.is_err());
        operation.progress.send_replace(over());
        let message = told.next().await.unwrap().unwrap();
        assert!(message.done && message.name == operation.name);
        assert!(told.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn of_what_takes_longer_each_stage_is_told() {
        let operations = Operations::default();
        let (waiting, _) = operations.enter(Digest::of(b"a"), true);
        let operation = Arc::clone(&waiting.operation);
        let begun = Instant::now();
        let mut told = follow(waiting);
        let mut stage = async || {
            let message = told.next().await.unwrap().unwrap();
            let metadata = message.metadata.unwrap().value;
            assert_eq!(message.name, operation.name);
            ExecuteOperationMetadata::decode(&*metadata)
                .unwrap()
                .stage()
        };
        assert_eq!(stage().await, execution_stage::Value::Queued);
        assert_eq!(begun.elapsed(), SOON);
        operation.progress.send_replace(EXECUTING);
        assert_eq!(stage().await, execution_stage::Value::Executing);
        operation.progress.send_replace(over());
        assert_eq!(stage().await, execution_stage::Value::Completed);
        assert_eq!(begun.elapsed(), SOON);
    }
}
