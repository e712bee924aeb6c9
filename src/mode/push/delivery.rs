//! A push that the daemon does itself: asked for only where the image is not there yet, under a tag that is new, read back afterwards.
//! Tags that exist are given by us, once it has arrived.

use crate::failure::{Kind, Result};
use crate::image::push::tags::{Tagged, promote};
use crate::image::push::{Moving, progress};
use crate::image::registry::Repository;
use crate::image::registry::login::Login;
use crate::image::source::daemon::delivery::{Advance, Delivery, Destination};
use crate::values::{Digest, PinnedImage};

/// What the daemon is to deliver.
pub(super) struct Order<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) to: &'a Repository,
    pub(super) login: Login,
    pub(super) tags: &'a [String],
    pub(super) moving: Moving,
    pub(super) progress: progress::Progress,
}

/// What came of it.
pub(super) struct Arrived {
    pub(super) image: PinnedImage,
    pub(super) sent: u64,
    pub(super) tags: Vec<Tagged>,
}

impl Order<'_> {
    pub(super) async fn carry_out(&self, tell: &(dyn Fn(Advance) + Send + Sync)) -> Result<Arrived> {
        let sent = std::sync::atomic::AtomicU64::new(0);
        let digest = match self.lies_there().await? {
            Some(digest) => digest,
            None => {
                let watched = |advance: Advance| {
                    sent.store(advance.sent, std::sync::atomic::Ordering::Relaxed);
                    tell(advance);
                };
                self.push(&watched).await?
            }
        };
        let (digest, tags) = promote(self.to, digest.as_str(), self.tags, self.moving).await?;
        tags.iter().for_each(|tagged| (self.progress)(progress::Event::Tag(tagged.clone())));
        let image = PinnedImage { repository: self.to.name().to_string(), tag: self.tags.first().cloned(), digest };
        Ok(Arrived { image, sent: sent.into_inner(), tags })
    }

    /// The image's digest where it is known and lies in the repository.
    async fn lies_there(&self) -> Result<Option<Digest>> {
        match self.delivery.expected() {
            Some(expected) if self.to.has_manifest(expected).await? => Ok(Some(expected.clone())),
            Some(_) | None => Ok(None),
        }
    }

    async fn push(&self, tell: &(dyn Fn(Advance) + Send + Sync)) -> Result<Digest> {
        let tag = self.new_tag().await?;
        let destination = Destination { repository: self.to.name(), tag: &tag, login: &self.login };
        let delivered = match self.delivery.deliver(&destination, tell).await {
            Err(failure) if failure.kind == Kind::Missing && self.to.make().await? => self.delivery.deliver(&destination, tell).await?,
            other => other?,
        };
        if !delivered.as_expected {
            tracing::info!("the daemon chose which image it pushed: {}", delivered.digest);
        }
        self.to.confirm(&delivered.digest).await?;
        Ok(delivered.digest)
    }

    /// A tag that nothing has yet: a push of the daemon writes it, whatever it meant before.
    async fn new_tag(&self) -> Result<String> {
        for tag in self.tags {
            if self.to.resolve(tag).await?.is_none() {
                return Ok(tag.clone());
            }
        }
        let mark = self.delivery.expected().map_or("image", Digest::short);
        Ok(format!("touchdown-{mark}"))
    }
}
