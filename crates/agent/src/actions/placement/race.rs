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

    /// Waits until the client goes away; whether that is because it has a result of its own.
    fn end(&mut self) -> impl Future<Output = bool> + Send;
}

/// A compile that was begun here.
struct Begun<'h> {
    since: Instant,
    /// It had as much time here as elsewhere, or more.
    fairly: bool,
    place: Racing<'h>,
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
        let mut begun = match may_run_here {
            true => match self.begin(client).await {
                Ok(begun) => begun,
                Err(Gone) => return None,
            },
            false => None,
        };
        let is_measured = begun.as_ref().is_some_and(|begun| begun.fairly);
        let (sent, job) = (Instant::now(), self.job(client.shown()));
        let mut running = pin!(self.run(order, &job));
        if begun.is_none() {
            let place = tokio::select! {
                ran = &mut running => return Some(ran),
                _ = client.end() => return None,
                place = self.race(&job), if may_run_here => place,
            };
            begun = begin_in(place, false, client).await;
        }
        tokio::select! {
            ran = &mut running => {
                if is_measured && ran.is_ok() {
                    self.here.measured(false);
                }
                return Some(ran);
            }
            is_done = client.end() => match begun {
                Some(begun) if is_done => {
                    let took = begun.since.elapsed();
                    drop(begun.place);
                    self.here.took(took);
                    // A server that is about as fast has it soon.
                    let limit = sent + took.mul_f64(SLOWER);
                    let ran = tokio::time::timeout_at(limit, running).await;
                    // One that failed was not fast.
                    if ran.is_err() || (is_measured && matches!(ran, Ok(Ok(_)))) {
                        self.here.measured(ran.is_err());
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// Begins a compile here if that is where it is to begin; waits as long as it is to be here only.
    async fn begin(&self, client: &mut impl Client) -> Result<Option<Begun<'_>>, Gone> {
        let (start, place) = self.here.next();
        let Some(place) = place else { return Ok(None) };
        let Some(begun) = begin_in(place, true, client).await else {
            return Ok(None);
        };
        if let Start::Here(head_start) = start
            && let Ok(is_done) = tokio::time::timeout(head_start, client.end()).await
        {
            if is_done {
                self.here.took(begun.since.elapsed());
            }
            return Err(Gone);
        }
        Ok(Some(begun))
    }
}

/// The client has gone.
struct Gone;

async fn begin_in<'h>(
    place: Racing<'h>,
    fairly: bool,
    client: &mut impl Client,
) -> Option<Begun<'h>> {
    let begun = Begun {
        since: Instant::now(),
        fairly,
        place,
    };
    client.begin().await.then_some(begun)
}
