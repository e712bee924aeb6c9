//! How the engine waits: on the clock, until told to stop or to hurry. Never in the middle of a write.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::failure::{Failure, Kind, Result};

/// A verb that fails for the moment is called at least so often.
const TRIES: u32 = 3;

/// Given to every step; clones agree.
#[derive(Clone)]
pub(crate) struct Pace {
    clock: Clock,
    halt: watch::Receiver<bool>,
    hurry: watch::Receiver<bool>,
}

/// The run was told to stop while this step only waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Halted;

impl Pace {
    pub(crate) fn new(clock: Clock, halt: watch::Receiver<bool>, hurry: watch::Receiver<bool>) -> Self {
        Self { clock, halt, hurry }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long a request may be under way that was granted `duration`.
    pub(crate) fn longest(&self, duration: Duration) -> Duration {
        self.clock.longest(duration)
    }

    /// Waits `duration`, give or take a tenth, so that parallel services do not ask in step.
    pub(crate) async fn pause(&self, duration: Duration) -> Result<(), Halted> {
        let mut halt = self.halt.clone();
        tokio::select! {
            () = self.clock.sleep(duration.mul_f64(0.9 + 0.2 * fastrand::f64())) => Ok(()),
            Ok(_) = halt.wait_for(|halted| *halted) => Err(Halted),
        }
    }

    /// Whether the run was told to stop.
    pub(crate) fn halted(&self) -> bool {
        *self.halt.borrow()
    }

    /// Waits `duration`, whatever the run was told: between two tries of what must not be given up.
    pub(crate) async fn breathe(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    /// Waits at most `duration`: less when the group is about to commit.
    pub(crate) async fn idle(&self, duration: Duration) -> Result<(), Halted> {
        let mut hurry = self.hurry.clone();
        tokio::select! {
            waited = self.pause(duration) => waited,
            Ok(_) = hurry.wait_for(|hurry| *hurry) => Ok(()),
        }
    }

    /// Calls `verb` again while its failure is transient, for about `patience`, and at least three times however slow it is;
    /// verbs look before they write. A failure says that nothing was changed only where every call before it did, too.
    pub(crate) async fn insist<T, F: Future<Output = Result<T>>>(&self, patience: Duration, mut verb: impl FnMut() -> F) -> Result<T> {
        let until = self.now().plus(patience);
        let mut delay = Duration::from_millis(500);
        let (mut tries, mut unchanged) = (0, true);
        loop {
            let failure = match verb().await {
                Ok(done) => return Ok(done),
                Err(failure) => Failure { unchanged: failure.unchanged && unchanged, ..failure },
            };
            unchanged = failure.unchanged;
            if failure.kind != Kind::Transient {
                return Err(failure);
            }
            tries += 1;
            let over = tries >= TRIES && self.now().plus(delay) > until;
            if over || self.pause(delay).await == Err(Halted) {
                return Err(failure);
            }
            tracing::warn!("trying again: {}", failure.what);
            delay = (delay * 2).min(Duration::from_secs(8));
        }
    }
}
