//! The stage `push`: every image to where it is deployed from, and those that lie there already pinned by digest; all of it journalled.

mod bars;
mod delivery;
mod far;
mod found;
mod origin;
mod progress;
mod registries;
mod stands;
pub(crate) mod tags;

use std::collections::{BTreeMap, HashMap};

use crate::config::plan::{MoveTags, Plan, PushPlan};
use crate::engine::journal::Journal;
use crate::engine::record::{Entry, Event, OriginRecord, PushRecord, Record, TagFate, TagRecord};
use crate::failure::{Failure, Kind, Result, cut};
use crate::image::configuration::Origin;
use crate::image::content::Content;
use crate::image::push::progress::{Event as Happened, Progress};
use crate::image::push::tags::{self as image_tags, Fate, Tagged};
use crate::image::push::{self, Moving, Push, Pushed, referrers};
use crate::image::registry::{Purpose, Repository};
use crate::values::{Digest, PinnedImage, ServiceName};

use super::context::Context;
use super::members::{Images, Sessions};
use delivery::{Arrived, Order};
use found::{Awaiting, Found};
use origin::Way;
use progress::Watch;
pub(crate) use registries::Registries;

/// So much of what an image says of its origin is kept: all of a push stands in one line of the journal.
const LONGEST_ORIGIN: usize = 200;

/// What a stage of the run has to work with.
pub(crate) struct Stage<'a> {
    pub(crate) context: &'a Context,
    pub(crate) plan: &'a Plan,
    pub(crate) sessions: &'a Sessions,
    pub(crate) registries: Registries,
}

impl<'a> Stage<'a> {
    pub(crate) fn of(context: &'a Context, plan: &'a Plan, sessions: &'a Sessions) -> Result<Self> {
        Ok(Self { context, plan, sessions, registries: Registries::of(context, &plan.auth.registries, sessions)? })
    }

    /// Pins the image of every service that names one, pushing it first where the settings ask for that; all are found and fit before the first
    /// is pushed. What goes wrong stands in the journal too, with the service whose image it is.
    pub(crate) async fn images(&self, journal: &mut Journal) -> Result<Images> {
        let (mut found, mut waiting) = (Vec::new(), Vec::new());
        for service in &self.plan.services {
            let one = self.unless_stopped(journal, self.find(service, Purpose::Push, &mut waiting)).await;
            found.extend(told(journal, &service.name, one)?.map(|found| (&service.name, found)));
        }
        let (mut images, mut done) = (Images::new(), BTreeMap::<usize, PinnedImage>::new());
        for (service, found) in found {
            let image = match found {
                Found::Pinned(image) => image,
                Found::Awaiting(index) => match done.get(&index) {
                    Some(image) => image.clone(),
                    None => {
                        let image = self.send(&waiting[index], journal).await;
                        let image = told(journal, service, image)?;
                        done.insert(index, image.clone());
                        image
                    }
                },
            };
            journal.append(Record::Pinned { service: service.clone(), image: image.clone() })?;
            images.insert(service.clone(), image);
        }
        Ok(images)
    }

    /// The images as a deploy would find or push them; nothing is pushed.
    pub(crate) async fn images_to_be(&self) -> Result<Images> {
        let (mut images, mut waiting) = (Images::new(), Vec::new());
        for service in &self.plan.services {
            let image = match self.find(service, Purpose::Pull, &mut waiting).await? {
                None => continue,
                Some(Found::Pinned(image)) => image,
                Some(Found::Awaiting(index)) => {
                    let Awaiting { plan, opened, .. } = &waiting[index];
                    PinnedImage { repository: plan.to.to_string(), tag: plan.tags.first().cloned(), digest: opened.root().await? }
                }
            };
            images.insert(service.name.clone(), image);
        }
        Ok(images)
    }

    /// Pushes an image that is deployed nowhere.
    pub(crate) async fn push(&self, service: &'a ServiceName, plan: &'a PushPlan, journal: &mut Journal) -> Result<PinnedImage> {
        let waiting = self.unless_stopped(journal, self.await_push(service, plan, Purpose::Push)).await?;
        self.send(&waiting, journal).await
    }

    /// Pushes, and says in the journal what came of it.
    async fn send(&self, waiting: &Awaiting<'_>, journal: &mut Journal) -> Result<PinnedImage> {
        let Awaiting { service, plan, .. } = waiting;
        if !self.context.stop.is_requested() {
            let (from, to) = (plan.from.to_string(), plan.to.to_string());
            journal.append(Record::PushStarted { service: (*service).clone(), from, to })?;
        }
        let push = self.unless_stopped(journal, self.sent(waiting)).await?;
        let image = push.image.clone();
        journal.append(Record::Pushed { service: (*service).clone(), push })?;
        Ok(image)
    }

    /// Whoever is asked to stop leaves what has arrived, and no tag that moved.
    async fn unless_stopped<T>(&self, journal: &mut Journal, work: impl Future<Output = Result<T>>) -> Result<T> {
        let done = tokio::select! {
            biased;
            () = self.context.stop.requested() => None,
            done = work => Some(done),
        };
        let Some(done) = done else {
            let by = self.context.stop.by();
            journal.append(Record::Interrupted { by: by.clone() })?;
            return Err(Failure::new(Kind::Cancelled, format!("the run was stopped ({by}) before its images were where they belong"))
                .why("no tag has moved; what has arrived is not sent again by the next run"));
        };
        done
    }

    /// Sends what was opened, in the way it goes.
    async fn sent(&self, waiting: &Awaiting<'_>) -> Result<PushRecord> {
        let Awaiting { service, plan, to, opened } = waiting;
        let origin = origin_record(&opened.origin);
        let moving = match plan.moving {
            MoveTags::Pushed => Moving::Now,
            MoveTags::Live if self.plan.skip.deploy => Moving::Now,
            MoveTags::Live => Moving::Report,
        };
        let (clock, watch) = (&self.context.clock, Watch::of(self.context, service));
        let progress = watch.progress();
        let began = clock.now();
        let Arrived { image, sent, tags } = match &opened.way {
            // Promoted within its repository: tags, and nothing else.
            Way::Read(content) if content.lies_at() == Some(plan.to.to_string().as_str()) => {
                content.unchanged().await?;
                let (digest, tags) = image_tags::promote(to, opened.root().await?.as_str(), &plan.tags, moving).await?;
                tags.iter().for_each(|tagged| progress(Happened::Tag(tagged.clone())));
                let image = PinnedImage { repository: plan.to.to_string(), tag: plan.tags.first().cloned(), digest };
                Arrived { image, sent: 0, tags }
            }
            Way::Read(content) => {
                let pushed = self.pushed(waiting, &**content, moving, progress).await?;
                return Ok(PushRecord { origin, took: clock.now().since(began), ..pushed });
            }
            Way::Delivered(delivery) => {
                let login = self.registries.login(&plan.to).await?;
                let order = Order { delivery, to, login, tags: &plan.tags, moving, progress };
                order.carry_out(&watch.advances()).await?
            }
        };
        let tags = tags.iter().map(tag_record).collect();
        let (requests, took) = (to.requests(), clock.now().since(began));
        Ok(PushRecord { image, sent, skipped: 0, requests, took, tags, referrers: None, origin })
    }

    /// Pushes what we read ourselves. What refers to it is there before a tag moves to it.
    async fn pushed(&self, waiting: &Awaiting<'_>, content: &dyn Content, moving: Moving, progress: Progress) -> Result<PushRecord> {
        let Awaiting { plan, to, .. } = waiting;
        let first = if plan.referrers { Moving::Report } else { moving };
        let mut pushed = push::push(Push { content, to, tags: &plan.tags, moving: first, progress: progress.clone() }).await?;
        if !plan.referrers {
            return Ok(outcome(&pushed, to));
        }
        let along = referrers::copy(content, to, &pushed, &progress).await?.len();
        for tagged in pushed.tags.iter_mut().filter(|_| moving == Moving::Now) {
            if let Fate::ToMove { from } = &tagged.fate {
                tagged.fate = image_tags::move_tag(to, &tagged.tag, Some(from), &pushed.image.digest).await?;
                progress(Happened::Tag(tagged.clone()));
            }
        }
        Ok(PushRecord { referrers: Some(along), requests: to.requests(), ..outcome(&pushed, to) })
    }
}

/// Says in the journal what went wrong with the image of `service`.
fn told<T>(journal: &mut Journal, service: &ServiceName, done: Result<T>) -> Result<T> {
    if let Err(failure) = &done {
        journal.append(Record::Service { name: service.clone(), event: Event::Failed { failure: failure.clone() } })?;
    }
    done
}

fn origin_record(origin: &Origin) -> OriginRecord {
    let Origin { revision, source, created, version: _ } = origin.clone();
    let short = |text: Option<String>| {
        text.map(|mut text| {
            cut(&mut text, LONGEST_ORIGIN);
            text
        })
    };
    OriginRecord { revision: short(revision), source: short(source), created: short(created) }
}

/// What came of a push, as the journal and the report tell it.
fn outcome(pushed: &Pushed, to: &Repository) -> PushRecord {
    PushRecord {
        image: PinnedImage { repository: to.name().to_string(), ..pushed.image.clone() },
        sent: pushed.sent,
        skipped: pushed.skipped,
        requests: pushed.requests,
        took: pushed.took,
        tags: pushed.tags.iter().map(tag_record).collect(),
        referrers: None,
        origin: OriginRecord::default(),
    }
}

fn tag_record(tagged: &Tagged) -> TagRecord {
    let (fate, from) = match &tagged.fate {
        Fate::Written => (TagFate::Written, None),
        Fate::Same => (TagFate::Same, None),
        Fate::Moved { from } => (TagFate::Moved, Some(from.clone())),
        Fate::ToMove { from } => (TagFate::ToMove, Some(from.clone())),
    };
    TagRecord { tag: tagged.tag.clone(), fate, from }
}

/// The tags that are to move once the group stands, by service.
pub(crate) fn to_move(entries: &[Entry]) -> BTreeMap<ServiceName, PushRecord> {
    let pushed = entries.iter().filter_map(|entry| match &entry.record {
        Record::Pushed { service, push } => Some((service.clone(), push.clone())),
        _ => None,
    });
    pushed.filter(|(_, push)| push.tags.iter().any(TagRecord::is_to_move)).collect()
}

/// The commits that pushed images name as their own.
pub(crate) fn revisions(entries: &[Entry]) -> HashMap<Digest, String> {
    let pushed = entries.iter().filter_map(|entry| match &entry.record {
        Record::Pushed { push, .. } => Some((push.image.digest.clone(), push.origin.revision.clone()?)),
        _ => None,
    });
    pushed.collect()
}
