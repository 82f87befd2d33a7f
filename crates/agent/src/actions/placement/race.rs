//! One compile, here and elsewhere: where it begins, and who is first.

use std::pin::pin;

use remote::{Order, Outcome};
use tokio::time::Instant;

use super::here::{Racing, Start};
use super::{NotRun, Placement, Reach, Shown};

/// Servers that take so much longer, or more, are slower; less may be chance.
const SLOWER: f64 = 1.5;

/// Who waits for a compile, and may run it.
pub trait Client: Send {
    /// What monitors show of it.
    fn shown(&self) -> Option<Shown> {
        None
    }

    /// Has the client run it, too; whether it can.
    fn begin(&mut self) -> impl Future<Output = bool> + Send;

    /// Waits until the client goes away, or its own compile fails.
    fn end(&mut self) -> impl Future<Output = End> + Send;
}

/// What becomes of a client that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has gone, with a result of its own.
    Done,
    /// It has gone, or is to be taken for that.
    Gone,
    /// Its own compile failed, and it goes on waiting.
    Failed,
}

/// A compile that was begun here.
struct Begun<'h> {
    since: Instant,
    /// It had as much time here as elsewhere, or more.
    fairly: bool,
    place: Racing<'h>,
}

/// A compile here.
enum Own<'h> {
    NotYet,
    Runs(Begun<'h>),
    /// It may not run here, cannot, or has failed.
    Never,
}

impl<W: Reach> Placement<W> {
    /// Has a compile run on a server or, where it `may_run_here`, by its client; none if the client has gone.
    /// [`Self::prospect`] comes before.
    pub async fn compile(
        &self,
        order: &Order,
        client: &mut impl Client,
        may_run_here: bool,
    ) -> Option<Result<(String, Outcome), NotRun>> {
        let mut own = match may_run_here {
            true => match self.begin(client).await {
                Ok(own) => own,
                Err(Gone) => return None,
            },
            false => Own::Never,
        };
        let (sent, job) = (Instant::now(), self.job(client.shown()));
        let mut running = pin!(self.run(order, &job));
        loop {
            tokio::select! {
                ran = &mut running => {
                    if ran.is_ok() && matches!(own, Own::Runs(Begun { fairly: true, .. })) {
                        self.here.measured(false);
                    }
                    return Some(ran);
                }
                end = client.end() => match (end, own) {
                    (End::Failed, _) => own = Own::Never,
                    (End::Done, Own::Runs(begun)) => {
                        let (took, fairly) = (begun.since.elapsed(), begun.fairly);
                        drop(begun.place);
                        self.here.took(took);
                        // A server that is about as fast has it soon.
                        let limit = sent + took.mul_f64(SLOWER);
                        let ran = tokio::time::timeout_at(limit, running).await;
                        // One that failed was not fast.
                        if ran.is_err() || (fairly && matches!(ran, Ok(Ok(_)))) {
                            self.here.measured(ran.is_err());
                        }
                        return None;
                    }
                    _ => return None,
                },
                place = self.race(&job), if matches!(own, Own::NotYet) => {
                    own = begin_in(place, false, client).await;
                }
            }
        }
    }

    /// Begins a compile here if that is where it is to begin; waits as long as it is to be here only.
    async fn begin(&self, client: &mut impl Client) -> Result<Own<'_>, Gone> {
        let (start, place) = self.here.next();
        let Some(place) = place else {
            return Ok(Own::NotYet);
        };
        let own = begin_in(place, true, client).await;
        let (Own::Runs(begun), Start::Here(head_start)) = (&own, start) else {
            return Ok(own);
        };
        match tokio::time::timeout(head_start, client.end()).await {
            Ok(End::Failed) => Ok(Own::Never),
            Ok(End::Done) => {
                self.here.took(begun.since.elapsed());
                Err(Gone)
            }
            Ok(End::Gone) => Err(Gone),
            Err(_) => Ok(own),
        }
    }
}

/// The client has gone.
struct Gone;

async fn begin_in<'h>(place: Racing<'h>, fairly: bool, client: &mut impl Client) -> Own<'h> {
    let begun = Begun {
        since: Instant::now(),
        fairly,
        place,
    };
    match client.begin().await {
        true => Own::Runs(begun),
        false => Own::Never,
    }
}
