//! Time, real or scaled. Rehearsals and tests with sockets run on a scaled clock: an hour of rollout passes in seconds.
//! Everything that waits for a platform waits on this; what bounds a single request on the wire uses `patience`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long after `earlier` this is; zero when it is before.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment, `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// RFC 3339 in UTC with seconds, e.g. `2026-11-21T17:03:09Z`.
    pub fn rfc3339(self) -> String {
        let seconds = i64::try_from(self.0 / 1000).unwrap_or(i64::MAX);
        let format = &time::format_description::well_known::Rfc3339;
        let moment = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        moment.format(format).unwrap_or_default()
    }
}

/// A clock that runs `factor` times as fast as the wall. Cheap to clone; clones agree.
#[derive(Debug, Clone)]
pub struct Clock {
    factor: f64,
    began: Instant,
    epoch: u64,
}

impl Clock {
    /// The wall clock.
    pub fn real() -> Self {
        Self::scaled(1.0)
    }

    /// A clock on which `factor` seconds pass in one real second.
    pub fn scaled(factor: f64) -> Self {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { factor, began: Instant::now(), epoch: u64::try_from(epoch.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Now, on this clock.
    pub fn now(&self) -> Timestamp {
        let passed = self.began.elapsed().as_secs_f64() * self.factor * 1000.0;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "non-negative, centuries away from u64::MAX")]
        Timestamp(self.epoch + passed as u64)
    }

    /// Waits `duration` of this clock.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.on_the_wall(duration)).await;
    }

    /// How long `duration` of this clock is in real time.
    pub fn on_the_wall(&self, duration: Duration) -> Duration {
        duration.div_f64(self.factor)
    }

    /// The real time to grant one request that may take `duration` of this clock: scaled, but never so short
    /// that a busy machine is taken for a dead server (at least two real seconds, unless `duration` is shorter).
    pub fn patience(&self, duration: Duration) -> Duration {
        self.on_the_wall(duration).max(duration.min(Duration::from_secs(2)))
    }

    /// What `work` brings within `duration` of this clock, as [`Clock::patience`] grants it; `None`: it took too long and was dropped.
    pub async fn within<T>(&self, duration: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.patience(duration), work).await.ok()
    }

    /// How long on this clock a request may be under way that was granted `patience(duration)`: at least `duration`.
    pub fn longest(&self, duration: Duration) -> Duration {
        self.patience(duration).mul_f64(self.factor)
    }

    /// How many times as fast as the wall this clock runs.
    pub fn factor(&self) -> f64 {
        self.factor
    }
}
