//! How far a push is: what its events add up to, and how fast it goes. It prints nothing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::engine::narrate::size;
use crate::image::push::progress::Event;
use crate::image::push::tags::Fate;

use super::bars::{Bar, Pace, Picture};

/// A rate is that of so long.
const LATELY: Duration = Duration::from_secs(5);
/// Shorter than this, and nobody can tell a rate.
const TOO_SHORT: Duration = Duration::from_millis(500);
/// How often it is noted how much has gone.
const OFTEN: Duration = Duration::from_millis(250);

/// How far a push is.
#[derive(Default)]
pub(super) struct Far {
    blobs: Vec<Blob>,
    by_digest: HashMap<String, usize>,
    /// How much had gone when.
    gone: VecDeque<(Timestamp, u64)>,
}

struct Blob {
    name: String,
    size: u64,
    sent: u64,
    stands: Stands,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Waits,
    Travels,
    There,
    Arrived,
}

impl Far {
    /// Takes an event in; a line where it is worth one.
    pub(super) fn happened(&mut self, event: Event, now: Timestamp) -> Option<String> {
        match event {
            Event::Named { blob, size } => {
                self.by_digest.entry(blob.as_str().to_owned()).or_insert_with(|| {
                    self.blobs.push(Blob { name: blob.short().to_owned(), size, sent: 0, stands: Stands::Waits });
                    self.blobs.len() - 1
                });
                None
            }
            Event::There { blob } => self.change(blob.as_str(), |blob| blob.stands = Stands::There),
            Event::Arrived { blob } => self.change(blob.as_str(), |blob| blob.stands = Stands::Arrived),
            Event::Sent { blob, bytes } => {
                self.change(blob.as_str(), |blob| (blob.sent, blob.stands) = (blob.sent + bytes, Stands::Travels));
                self.note(now);
                None
            }
            Event::Again { blob, why } => {
                self.change(blob.as_str(), |blob| blob.sent = 0);
                self.gone.clear();
                Some(format!("sending the layer {} again: {why}", blob.short()))
            }
            Event::Manifest { .. } => None,
            Event::Tag(tagged) => Some(match tagged.fate {
                Fate::Written => format!("the tag {} is written", tagged.tag),
                Fate::Same => format!("the tag {} means it already", tagged.tag),
                Fate::Moved { .. } => format!("the tag {} has moved to it", tagged.tag),
                Fate::ToMove { .. } => format!("the tag {} moves once the release is live", tagged.tag),
            }),
        }
    }

    /// One thing alone that is pushed by somebody else.
    pub(super) fn advanced(&mut self, sent: u64, total: u64, now: Timestamp) {
        let whole = Blob { name: String::new(), size: total, sent, stands: Stands::Arrived };
        self.blobs = vec![whole];
        self.note(now);
    }

    fn change(&mut self, digest: &str, change: impl FnOnce(&mut Blob)) -> Option<String> {
        let blob = self.by_digest.get(digest).and_then(|index| self.blobs.get_mut(*index));
        blob.map(change);
        None
    }

    fn note(&mut self, now: Timestamp) {
        if self.gone.back().is_none_or(|(noted, _)| now.since(*noted) >= OFTEN) {
            self.gone.push_back((now, self.sent()));
        }
        while self.gone.len() > 2 && self.gone.front().is_some_and(|(noted, _)| now.since(*noted) > LATELY) {
            self.gone.pop_front();
        }
    }

    fn sent(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.sent).sum()
    }

    fn there(&self) -> u64 {
        self.blobs.iter().filter(|blob| blob.stands == Stands::There).map(|blob| blob.size).sum()
    }

    fn whole(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }

    fn pace(&self, now: Timestamp) -> Pace {
        let Some((since, before)) = self.gone.front() else { return Pace::default() };
        let (took, sent) = (now.since(*since), self.sent());
        if took < TOO_SHORT || sent <= *before {
            return Pace::default();
        }
        let rate = u128::from(sent - before) * 1000 / took.as_millis().max(1);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        let left = self.whole().saturating_sub(sent + self.there());
        Pace { rate: Some(rate), left: Some(Duration::from_secs(left.div_ceil(rate))) }
    }

    /// For a log.
    pub(super) fn line(&self, now: Timestamp) -> String {
        let pace = self.pace(now).words().map(|words| format!("; {words}")).unwrap_or_default();
        format!("pushing: {} sent, {} were there, {} in all{pace}", size(self.sent()), size(self.there()), size(self.whole()))
    }

    /// For a terminal; all of it is called `name`.
    pub(super) fn picture(&self, name: &str, now: Timestamp) -> Picture {
        let bar = |blob: &Blob| Bar { name: blob.name.clone(), done: blob.sent.min(blob.size), whole: blob.size };
        let under_way = self.blobs.iter().filter(|blob| blob.stands == Stands::Travels).map(bar).collect();
        let done = (self.sent() + self.there()).min(self.whole());
        Picture { under_way, total: Bar { name: name.to_owned(), done, whole: self.whole() }, pace: self.pace(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::hashing::digest_of;

    #[test]
    fn events_add_up_to_bars_a_rate_and_an_end() {
        let (mut far, start) = (Far::default(), Timestamp(1_000_000));
        let [one, two, three] = [b"1", b"2", b"3"].map(|bytes| digest_of(bytes).unwrap());
        for (blob, size) in [(&one, 10_000_000), (&two, 30_000_000), (&three, 20_000_000)] {
            assert_eq!(far.happened(Event::Named { blob: blob.clone(), size }, start), None);
        }
        far.happened(Event::There { blob: three }, start);
        far.happened(Event::Sent { blob: one.clone(), bytes: 1 }, start);
        assert_eq!(far.picture("web", start).pace, Pace::default(), "too early to tell");
        let later = start.plus(Duration::from_secs(2));
        far.happened(Event::Sent { blob: one.clone(), bytes: 9_999_999 }, later);
        far.happened(Event::Arrived { blob: one.clone() }, later);
        far.happened(Event::Sent { blob: two.clone(), bytes: 10_000_001 }, later);
        let picture = far.picture("web", later);
        assert_eq!(picture.under_way, [Bar { name: two.short().to_owned(), done: 10_000_001, whole: 30_000_000 }]);
        assert_eq!((picture.total.done, picture.total.whole), (40_000_001, 60_000_000));
        assert_eq!(picture.pace, Pace { rate: Some(10_000_000), left: Some(Duration::from_secs(2)) });
        assert_eq!(far.line(later), "pushing: 20.0 MB sent, 20.0 MB were there, 60.0 MB in all; 10.0 MB/s, 2s left");
        let again = far.happened(Event::Again { blob: two, why: "it was lost".to_owned() }, later).unwrap();
        assert!(again.contains("again: it was lost"), "{again}");
        assert_eq!(far.picture("web", later).total.done, 30_000_000, "what was lost is to be sent once more");
    }
}
