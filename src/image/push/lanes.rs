//! What travels, and over how many connections: few that carry bytes, more that ask ahead of them so that a lane never waits for an answer.
//! Each lane does one thing from its beginning to its end; in which order is decided elsewhere.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failure::{Failure, Result};
use crate::image::content::{Body, Content, Descriptor, Manifest};
use crate::image::reference::RepositoryName;
use crate::image::registry::Repository;
use crate::image::registry::blobs::{Begun, Session};
use crate::image::registry::manifests::Placed;
use crate::image::registry::upload::{Told, Upload};
use crate::values::Digest;

use super::progress::{Event, Progress};

/// Connections that carry blobs. More do not help: the other side's work is the limit.
const DATA: usize = 8;
/// Connections that ask.
const CONTROL: usize = 16;
/// Blobs that may have their upload open before a lane is free: one that waits too long is forgotten by the registry.
const AHEAD: usize = 2 * DATA;

/// The lanes of one push.
pub(super) struct Lanes<'a> {
    pub(super) content: &'a dyn Content,
    pub(super) to: Repository,
    pub(super) progress: Progress,
    /// Where the blobs lie already, in the same registry.
    next_door: Option<RepositoryName>,
    data: Semaphore,
    control: Semaphore,
    ahead: Semaphore,
}

/// How a blob came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It was sent.
    Sent,
    /// It was there.
    WasThere,
}

impl<'a> Lanes<'a> {
    pub(super) fn new(content: &'a dyn Content, to: &Repository, progress: Progress) -> Self {
        let lies_at = content.lies_at().and_then(|place| RepositoryName::parse(place).ok());
        let next_door = lies_at.filter(|place| place.host() == to.name().host());
        let to = next_door.as_ref().map_or_else(|| to.clone(), |place| to.clone().mounting(place));
        let (data, control, ahead) = (Semaphore::new(0), Semaphore::new(CONTROL), Semaphore::new(AHEAD));
        Self { content, to, progress, next_door, data, control, ahead }
    }

    /// From now on bytes may travel.
    pub(super) fn open(&self) {
        self.data.add_permits(DATA);
    }

    /// Brings one blob there. The first ones, by `rank`, are asked for and begun at once: their lanes have nothing else to do.
    pub(super) async fn blob(&self, blob: Descriptor, rank: usize) -> Result<Came> {
        let ahead = permit(&self.ahead, 1).await?;
        let Some(session) = self.asked(&blob.digest, rank < DATA).await? else {
            (self.progress)(Event::There { blob: blob.digest });
            return Ok(Came::WasThere);
        };
        let _lane = permit(&self.data, 1).await?;
        drop(ahead);
        let (progress, digest) = (self.progress.clone(), blob.digest.clone());
        let open = || -> BoxFuture<'_, Result<Body>> { self.content.open(&blob) };
        let tell = Arc::new(move |told| {
            let blob = digest.clone();
            progress(match told {
                Told::Sent(bytes) => Event::Sent { blob, bytes },
                Told::Again(why) => Event::Again { blob, why },
            });
        });
        self.to.upload(session, &Upload { blob: &blob, open: &open, tell }).await?;
        (self.progress)(Event::Arrived { blob: blob.digest.clone() });
        Ok(Came::Sent)
    }

    /// `None`: the blob is there, or was mounted.
    async fn asked(&self, blob: &Digest, at_once: bool) -> Result<Option<Session>> {
        if let Some(source) = &self.next_door {
            let _lane = permit(&self.control, 1).await?;
            return match self.to.mount(blob, source).await? {
                Begun::There => Ok(None),
                Begun::Session(session) => self.unless_there(self.to.has_blob(blob).await?, session).await,
            };
        }
        if at_once {
            let _lanes = permit(&self.control, 2).await?;
            // A registry that has the blob says so to either question, most of them.
            let (begun, there) = tokio::join!(self.to.mount(blob, self.to.name()), self.to.has_blob(blob));
            return match (there?, begun?) {
                (_, Begun::There) => Ok(None),
                (there, Begun::Session(session)) => self.unless_there(there, session).await,
            };
        }
        let _lane = permit(&self.control, 1).await?;
        if self.to.has_blob(blob).await? {
            return Ok(None);
        }
        Ok(match self.to.begin().await? {
            Begun::There => None,
            Begun::Session(session) => Some(session),
        })
    }

    async fn unless_there(&self, there: bool, session: Session) -> Result<Option<Session>> {
        if there {
            self.to.abandon(&session).await;
            return Ok(None);
        }
        Ok(Some(session))
    }

    /// Writes a manifest by its digest or a new tag, and reads it back.
    pub(super) async fn manifest(&self, manifest: &Manifest, tag: Option<&str>) -> Result<Placed> {
        let _lane = permit(&self.control, 1).await?;
        let placed = self.to.place(manifest, tag.unwrap_or(manifest.descriptor.digest.as_str())).await?;
        (self.progress)(Event::Manifest { digest: manifest.descriptor.digest.clone() });
        Ok(placed)
    }
}

async fn permit(of: &Semaphore, count: u32) -> Result<SemaphorePermit<'_>> {
    of.acquire_many(count).await.map_err(|_| Failure::bug("the lanes of a push were closed"))
}
