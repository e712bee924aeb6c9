//! A push as lines of a log: how far it is every few seconds, and what it came to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::engine::narrate::size;
use crate::image::push::progress::{Event, Progress};
use crate::image::push::tags::Fate;
use crate::image::source::daemon::delivery::Advance;
use crate::values::ServiceName;

/// How often it is told how far it is.
const EVERY: Duration = Duration::from_secs(5);

/// Lines for a push that the daemon does.
pub(super) fn advances(service: &ServiceName, clock: Clock) -> impl Fn(Advance) + Send + Sync + use<> {
    let (service, told) = (service.clone(), Mutex::new(None::<Timestamp>));
    move |advance| {
        let (now, mut told) = (clock.now(), told.lock().unwrap_or_else(PoisonError::into_inner));
        if told.is_none_or(|told| now.since(told) >= EVERY) {
            *told = Some(now);
            tracing::info!(service = %service, "the daemon pushes: {} of {} sent", size(advance.sent), size(advance.total));
        }
    }
}

#[derive(Default)]
struct Far {
    whole: u64,
    sent: u64,
    there: u64,
    sizes: std::collections::HashMap<String, u64>,
    told: Option<Timestamp>,
}

/// Lines for the log.
pub(super) fn lines(service: &ServiceName, clock: Clock) -> Progress {
    let (service, far) = (service.clone(), Arc::new(Mutex::new(Far::default())));
    Arc::new(move |event| {
        let mut far = far.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = far.line(event, clock.now()) {
            tracing::info!(service = %service, "{line}");
        }
    })
}

impl Far {
    fn line(&mut self, event: Event, now: Timestamp) -> Option<String> {
        match event {
            Event::Named { blob, size } => {
                self.whole += size;
                self.sizes.insert(blob.as_str().to_owned(), size);
                None
            }
            Event::There { blob } => {
                self.there += self.sizes.get(blob.as_str()).copied().unwrap_or_default();
                None
            }
            Event::Sent { bytes, .. } => {
                self.sent += bytes;
                let due = self.told.is_none_or(|told| now.since(told) >= EVERY);
                due.then(|| {
                    let first = self.told.replace(now).is_none();
                    (!first)
                        .then(|| format!("pushing: {} sent, {} were there, {} in all", size(self.sent), size(self.there), size(self.whole)))
                })?
            }
            Event::Again { blob, why } => Some(format!("sending the layer {} again: {why}", blob.short())),
            Event::Arrived { .. } | Event::Manifest { .. } => None,
            Event::Tag(tagged) => Some(match tagged.fate {
                Fate::Written => format!("the tag {} is written", tagged.tag),
                Fate::Same => format!("the tag {} means it already", tagged.tag),
                Fate::Moved { .. } => format!("the tag {} has moved to it", tagged.tag),
                Fate::ToMove { .. } => format!("the tag {} moves once the release is live", tagged.tag),
            }),
        }
    }
}
