//! A push as a person wants to see it: bars redrawn in place at a terminal, a line every few seconds in a log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::image::push::progress::{Event, Progress};
use crate::image::source::daemon::delivery::Advance;
use crate::mode::context::Context;
use crate::runner::log::Log;
use crate::values::ServiceName;

use super::bars::rows;
use super::far::Far;

/// How often a log is told how far it is, and a terminal.
const EVERY: Duration = Duration::from_secs(5);
const AT_A_TERMINAL: Duration = Duration::from_millis(100);

/// Watches one push until it is dropped; then nothing of it stays on the screen.
pub(super) struct Watch(Arc<Watching>);

struct Watching {
    service: ServiceName,
    clock: Clock,
    log: Log,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    far: Far,
    told: Option<Timestamp>,
    over: bool,
}

impl Watch {
    pub(super) fn of(context: &Context, service: &ServiceName) -> Self {
        Self(Arc::new(Watching {
            service: service.clone(),
            clock: context.clock.clone(),
            log: context.log.clone(),
            seen: Mutex::default(),
        }))
    }

    /// For a push that we do.
    pub(super) fn progress(&self) -> Progress {
        let watching = self.0.clone();
        Arc::new(move |event| watching.happened(event))
    }

    /// For one that the daemon does.
    pub(super) fn advances(&self) -> impl Fn(Advance) + Send + Sync + use<> {
        let watching = self.0.clone();
        move |advance| {
            let (mut seen, now) = (watching.seen(), watching.clock.now());
            seen.far.advanced(advance.sent, advance.total, now);
            watching.tell(&mut seen, now);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut seen = self.0.seen();
        seen.over = true;
        self.0.log.show(&[]);
    }
}

impl Watching {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happened(&self, event: Event) {
        let (mut seen, now, sends) = (self.seen(), self.clock.now(), matches!(event, Event::Sent { .. }));
        if let Some(line) = seen.far.happened(event, now) {
            tracing::info!(service = %self.service, "{line}");
        }
        if sends {
            self.tell(&mut seen, now);
        }
    }

    fn tell(&self, seen: &mut Seen, now: Timestamp) {
        let columns = self.log.columns();
        let every = if columns.is_some() { AT_A_TERMINAL } else { EVERY };
        // A log hears nothing of a push that is over before there is anything to say.
        let first = seen.told.is_none() && columns.is_some();
        let told = *seen.told.get_or_insert(now);
        if seen.over || !first && now.since(told) < every {
            return;
        }
        seen.told = Some(now);
        match columns {
            Some(columns) => self.log.show(&rows(&seen.far.picture(&self.service.0, now), columns)),
            None => tracing::info!(service = %self.service, "{}", seen.far.line(now)),
        }
    }
}
