//! Puts an image into a repository: blobs over several lanes, biggest first; manifests as soon as they can; each read back by its digest; tags last.
//! It can be dropped at any moment: what has arrived stays and is not sent again, and no tag has moved. It knows registries only by what a repository can do.

mod landing;
mod lanes;
pub mod progress;
pub mod referrers;
mod run;
pub mod tags;

use std::time::{Duration, Instant};

use crate::failure::Result;
use crate::values::{Digest, PinnedImage};

use super::content::{Content, Manifest};
use super::reference::checked_tag;
use super::registry::Repository;
use landing::Landing;
use lanes::Lanes;
use progress::Progress;
use run::Run;
use tags::Tagged;

/// What is to be pushed where.
pub struct Push<'a> {
    /// The image.
    pub content: &'a dyn Content,
    /// The repository, opened for pushing.
    pub to: &'a Repository,
    /// The tags it is to have; none: it is known by its digest alone.
    pub tags: &'a [String],
    /// What happens to a tag that means another image now.
    pub moving: Moving,
    /// Is told what happens.
    pub progress: Progress,
}

/// What happens to a tag that means another image now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moving {
    /// It stays, and is reported with what it means.
    Report,
    /// It moves.
    Now,
}

/// What a push brought about.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The image where it is now.
    pub image: PinnedImage,
    /// Its manifest or index.
    pub root: Manifest,
    /// Every manifest in it, the root's included.
    pub manifests: Vec<Digest>,
    /// Bytes of the blobs that were sent.
    pub sent: u64,
    /// Bytes of the blobs that were there.
    pub skipped: u64,
    /// Requests to the registry, its token server's included.
    pub requests: u64,
    /// On the clock.
    pub took: Duration,
    /// Each tag asked for, and what became of it.
    pub tags: Vec<Tagged>,
    /// The registry itself keeps lists of what is about an image.
    pub keeps_referrers: bool,
}

/// Pushes. Nothing is written where everything is as it should be.
pub async fn push(push: Push<'_>) -> Result<Pushed> {
    push.tags.iter().try_for_each(|tag| checked_tag(tag).map(|_| ()))?;
    let (began, before) = (Instant::now(), push.to.requests());
    let lanes = Lanes::new(push.content, push.to, push.progress.clone());
    let gathered = Run::new(&lanes, push.tags).gather().await?;
    let landed = Landing { push: &push, lanes: &lanes }.land(&gathered).await?;
    let digest = gathered.root.descriptor.digest.clone();
    Ok(Pushed {
        image: PinnedImage { repository: push.to.name().to_string(), tag: push.tags.first().cloned(), digest },
        root: gathered.root,
        manifests: gathered.manifests,
        sent: gathered.sent,
        skipped: gathered.skipped,
        requests: push.to.requests() - before,
        took: began.elapsed().mul_f64(push.to.http().clock().factor()),
        tags: landed.tags,
        keeps_referrers: landed.keeps_referrers,
    })
}
