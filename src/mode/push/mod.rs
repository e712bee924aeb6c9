//! The stage `push`: every image to where it is deployed from, and those that lie there already pinned by digest; all of it journalled.

mod delivery;
mod origin;
mod progress;
mod registries;
pub(crate) mod tags;

use std::collections::BTreeMap;

use crate::cloud::aws::ecr;
use crate::config::plan::{ImageSource, MoveTags, Plan, PushPlan};
use crate::engine::journal::Journal;
use crate::engine::record::{Entry, Event, OriginRecord, PushRecord, Record, TagFate, TagRecord};
use crate::failure::{Failure, Kind, Result, cut};
use crate::image::configuration::Origin;
use crate::image::push::tags::{self as image_tags, Fate, Tagged};
use crate::image::push::{self, Moving, Push, Pushed};
use crate::image::reference::{RepositoryName, Source};
use crate::image::registry::{Absent, Purpose, Repository};
use crate::values::{PinnedImage, ServiceName};

use super::context::Context;
use super::members::{Images, Sessions};
use delivery::{Arrived, Order};
use origin::{Opened, Way};
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

    /// Pins the image of every service that names one, pushing it first where the settings ask for that.
    /// What goes wrong stands in the journal too, with the service whose image it is.
    pub(crate) async fn images(&self, journal: &mut Journal) -> Result<Images> {
        let (mut images, mut done) = (Images::new(), Vec::<(PushPlan, PinnedImage)>::new());
        for service in &self.plan.services {
            let pinned = match &service.image {
                None => continue,
                Some(ImageSource::Pinned(image)) => Ok(image.clone()),
                Some(ImageSource::Tagged { repository, tag }) => self.look_up(repository, tag).await,
                Some(ImageSource::Pushed(push)) => match done.iter().find(|(other, _)| *other == **push) {
                    Some((_, image)) => Ok(image.clone()),
                    None => self.push(&service.name, push, journal).await,
                },
            };
            let pinned = match pinned {
                Ok(pinned) => pinned,
                Err(failure) => {
                    journal.append(Record::Service { name: service.name.clone(), event: Event::Failed { failure: failure.clone() } })?;
                    return Err(failure);
                }
            };
            if let Some(ImageSource::Pushed(push)) = &service.image {
                done.push(((**push).clone(), pinned.clone()));
            }
            journal.append(Record::Pinned { service: service.name.clone(), image: pinned.clone() })?;
            images.insert(service.name.clone(), pinned);
        }
        Ok(images)
    }

    /// The images as a deploy would find or push them; nothing is pushed.
    pub(crate) async fn images_to_be(&self) -> Result<Images> {
        let mut images = Images::new();
        for service in &self.plan.services {
            let image = match &service.image {
                None => continue,
                Some(ImageSource::Pinned(image)) => image.clone(),
                Some(ImageSource::Tagged { repository, tag }) => self.look_up(repository, tag).await?,
                Some(ImageSource::Pushed(push)) => {
                    let (to, stands) = (self.registries.open(&push.to, Purpose::Pull), self.stands(&service.name).await?);
                    let opened = self.open(push, &to, &stands).await?;
                    opened.must_run_on(&stands, push)?;
                    PinnedImage { repository: push.to.to_string(), tag: push.tags.first().cloned(), digest: opened.root().await? }
                }
            };
            images.insert(service.name.clone(), image);
        }
        Ok(images)
    }

    /// The image of `tag` as it is now: by ECR's own call, which needs the least permission, or by the registry.
    async fn look_up(&self, repository: &RepositoryName, tag: &str) -> Result<PinnedImage> {
        let name = repository.to_string();
        let digest = match ecr::Repository::parse(&name) {
            Some(place) => {
                let session = self.sessions.in_region(&place.region)?;
                ecr::digest(&session, &place, tag).await?
            }
            None => {
                let found = self.registries.open(repository, Purpose::Pull).resolve(tag).await?;
                found.ok_or_else(|| {
                    Failure::new(Kind::Missing, format!("{name} has no tag {tag}"))
                        .fix("push the image first, or correct the tag")
                        .fix("where it is private, give the step a login: registry-username and registry-password, or docker/login-action")
                })?
            }
        };
        Ok(PinnedImage { repository: name, tag: Some(tag.to_owned()), digest })
    }

    /// Pushes, and says in the journal what came of it. Whoever is asked to stop leaves what has arrived, and no tag that moved.
    pub(crate) async fn push(&self, service: &ServiceName, plan: &PushPlan, journal: &mut Journal) -> Result<PinnedImage> {
        if !self.context.stop.is_requested() {
            let (from, to) = (plan.from.to_string(), plan.to.to_string());
            journal.append(Record::PushStarted { service: service.clone(), from, to })?;
        }
        let pushed = tokio::select! {
            biased;
            () = self.context.stop.requested() => None,
            pushed = self.pushed(service, plan) => Some(pushed?),
        };
        let Some(push) = pushed else {
            let by = self.context.stop.by();
            journal.append(Record::Interrupted { by: by.clone() })?;
            return Err(Failure::new(Kind::Cancelled, format!("the push to {} was stopped ({by})", plan.to))
                .why("no tag has moved; what has arrived is not sent again by the next run"));
        };
        let image = push.image.clone();
        journal.append(Record::Pushed { service: service.clone(), push })?;
        Ok(image)
    }

    async fn pushed(&self, service: &ServiceName, plan: &PushPlan) -> Result<PushRecord> {
        let absent = if self.plan.auth.registries.create { Absent::Make } else { Absent::Refuse };
        let mut to = self.registries.open(&plan.to, Purpose::Push).when_absent(absent);
        if let Source::Registry(from) = &plan.from
            && from.repository.host() == plan.to.host()
        {
            to = to.mounting(&from.repository);
        }
        let stands = self.stands(service).await?;
        let opened = self.open(plan, &to, &stands).await?;
        opened.must_run_on(&stands, plan)?;
        let origin = origin_record(&opened.origin);
        Ok(PushRecord { origin, ..self.sent(service, plan, &to, &opened).await? })
    }

    /// Sends what was opened, in the way it goes.
    async fn sent(&self, service: &ServiceName, plan: &PushPlan, to: &Repository, opened: &Opened) -> Result<PushRecord> {
        let moving = match plan.moving {
            MoveTags::Pushed => Moving::Now,
            MoveTags::Live if self.plan.skip.deploy => Moving::Now,
            MoveTags::Live => Moving::Report,
        };
        let (clock, progress) = (&self.context.clock, progress::lines(service, self.context.clock.clone()));
        let began = clock.now();
        let Arrived { image, sent, tags } = match &opened.way {
            // Promoted within its repository: tags, and nothing else.
            Way::Read(content) if content.lies_at() == Some(plan.to.to_string().as_str()) => {
                content.unchanged().await?;
                let (digest, tags) = image_tags::promote(to, opened.root().await?.as_str(), &plan.tags, moving).await?;
                tags.iter().for_each(|tagged| progress(push::progress::Event::Tag(tagged.clone())));
                let image = PinnedImage { repository: plan.to.to_string(), tag: plan.tags.first().cloned(), digest };
                Arrived { image, sent: 0, tags }
            }
            Way::Read(content) => {
                let pushed = push::push(Push { content: &**content, to, tags: &plan.tags, moving, progress }).await?;
                return Ok(told(&pushed, to));
            }
            Way::Delivered(delivery) => {
                let login = self.registries.login(&plan.to).await?;
                let order = Order { delivery, to, login, tags: &plan.tags, moving, progress };
                order.carry_out(&progress::advances(service, clock.clone())).await?
            }
        };
        let tags = tags.iter().map(tag_record).collect();
        let (requests, took) = (to.requests(), clock.now().since(began));
        Ok(PushRecord { image, sent, skipped: 0, requests, took, tags, origin: OriginRecord::default() })
    }
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
fn told(pushed: &Pushed, to: &Repository) -> PushRecord {
    PushRecord {
        image: PinnedImage { repository: to.name().to_string(), ..pushed.image.clone() },
        sent: pushed.sent,
        skipped: pushed.skipped,
        requests: pushed.requests,
        took: pushed.took,
        tags: pushed.tags.iter().map(tag_record).collect(),
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
