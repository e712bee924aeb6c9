//! How long a registry is tried again: with growing, jittered pauses, as late as it asks for, and out of one budget for all its requests,
//! so that a registry that is down is not hammered by every lane.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use crate::clock::Clock;

/// Tries of one request after the first.
const TRIES: usize = 7;
/// The first pause is short: most often it is a connection that was dropped.
const SHORTEST: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_secs(12);
/// Tries after the first, of all requests together.
const BUDGET: u32 = 200;

/// What is left for all requests to one registry.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    clock: Clock,
    left: Arc<AtomicU32>,
}

/// What is left for one request.
#[derive(Debug)]
pub(super) struct Patience {
    budget: Budget,
    delays: ExponentialBackoff,
}

impl Budget {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, left: Arc::new(AtomicU32::new(BUDGET)) }
    }

    /// For one more request.
    pub(super) fn patience(&self) -> Patience {
        let delays = ExponentialBuilder::default().with_min_delay(SHORTEST).with_max_delay(LONGEST).with_factor(4.0);
        Patience { budget: self.clone(), delays: delays.with_max_times(TRIES).with_jitter().build() }
    }
}

impl Patience {
    /// Waits before the next try, at least as long as was `asked` for; `false`: there is none left.
    pub(super) async fn again(&mut self, asked: Option<Duration>) -> bool {
        let Some(delay) = self.delays.next() else { return false };
        let granted = self.budget.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if granted.is_err() {
            return false;
        }
        self.budget.clock.sleep(delay.max(asked.unwrap_or_default())).await;
        true
    }
}
