//! The action cache: results of what was run here.

use action::Digest;
use action::messages::action_cache_server::ActionCache;
use action::messages::{ActionResult, GetActionResultRequest, UpdateActionResultRequest};
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::content::blocking;
use crate::engine::{BATCH, Engine, INLINE};
use crate::{fault, folders};

#[tonic::async_trait]
impl ActionCache for Engine {
    async fn get_action_result(
        &self,
        request: Request<GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let request = request.into_inner();
        let digest = fault::digest(request.action_digest.as_ref())?;
        let engine = self.clone();
        blocking(move || {
            let result = engine.known(digest)?;
            let mut result = result
                .ok_or_else(|| Status::not_found(format!("no result of {digest} is known")))?;
            engine.put_inline(&mut result, |path| {
                request.inline_output_files.iter().any(|file| file == path)
            })?;
            Ok(Response::new(result))
        })
        .await
    }

    async fn update_action_result(
        &self,
        _: Request<UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::permission_denied(
            "results are what was run here; a client's word for one would be taken by all the others",
        ))
    }
}

impl Engine {
    /// A result of which all is here: of an action that brought its root, or of one that ran in what is around it now.
    pub(crate) fn known(&self, action: Digest) -> Result<Option<ActionResult>, Status> {
        let executor = self.shared.executor.as_ref();
        let surroundings = executor.and_then(|executor| executor.surroundings());
        match (self.kept(action)?, surroundings) {
            (None, Some(surroundings)) => self.kept(within(action, surroundings)),
            (result, _) => Ok(result),
        }
    }

    fn kept(&self, action: Digest) -> Result<Option<ActionResult>, Status> {
        let disk =
            |error: std::io::Error| Status::unavailable(format!("the store's disk: {error}"));
        let Some(bytes) = self.shared.results.get(action).map_err(disk)? else {
            return Ok(None);
        };
        let result = ActionResult::decode(&*bytes).ok();
        let whole = result.filter(|result| {
            let named = self.blobs(result);
            named.is_some_and(|named| self.shared.store.missing(named).is_empty())
        });
        if whole.is_none() {
            self.shared.results.remove(action).map_err(disk)?;
        }
        Ok(whole)
    }

    /// All blobs that a result rests on.
    fn blobs(&self, result: &ActionResult) -> Option<Vec<Digest>> {
        let files = result.output_files.iter().map(|file| file.digest.as_ref());
        let streams = [&result.stdout_digest, &result.stderr_digest];
        let streams = streams.into_iter().flatten().map(Some);
        let mut all = files
            .chain(streams)
            .map(|digest| fault::digest(digest).ok())
            .collect::<Option<Vec<Digest>>>()?;
        for folder in &result.output_directories {
            all.extend(folders::blobs(&self.shared.store, folder)?);
        }
        Some(all)
    }

    /// Puts contents into the result itself that are short, as far as a message has room: that saves a question.
    pub(crate) fn put_inline(
        &self,
        result: &mut ActionResult,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<(), Status> {
        let mut room = (BATCH - (64 << 10)) as u64;
        let mut read = |digest: &Option<action::messages::Digest>| -> Result<Vec<u8>, Status> {
            match digest {
                Some(digest) => {
                    let digest = fault::digest(Some(digest))?;
                    match room.checked_sub(digest.size) {
                        Some(left) if digest.size <= INLINE => room = left,
                        _ => return Ok(Vec::new()),
                    }
                    match self.shared.store.read(digest) {
                        // Its client asks for it, and learns that it is gone.
                        Err(store::Error::Missing(_)) => Ok(Vec::new()),
                        read => read.map_err(fault::store),
                    }
                }
                None => Ok(Vec::new()),
            }
        };
        result.stderr_raw = read(&result.stderr_digest)?;
        result.stdout_raw = read(&result.stdout_digest)?;
        for file in &mut result.output_files {
            if is_wanted(&file.path) {
                file.contents = read(&file.digest)?;
            }
        }
        Ok(())
    }
}

/// What the result of an action is kept under that needs more than it brings.
pub(crate) fn within(action: Digest, surroundings: Digest) -> Digest {
    Digest::of(&[action.hash, surroundings.hash].concat())
}
