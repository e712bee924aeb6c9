//! Images of this machine as content for a push: OCI layouts, archives of `docker save` and of OCI, and Docker's daemon.
//! Whatever a maker wrote is passed on byte by byte; what has no manifest yet gets one here. Sources are foreign: nothing in them is trusted,
//! nothing is unpacked, and what is broken is told before anything has been tagged. It knows no registry but by a daemon's own push.

pub mod archive;
mod assembly;
mod blocks;
pub mod daemon;
pub mod layout;
mod pack;
mod place;
pub mod saved;
mod spool;
mod tape;
mod tree;

use std::collections::HashMap;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;

use crate::failure::{Failure, Kind, Result};

use super::configuration::{Configuration, Origin};
use super::content::{Body, Content, Descriptor, Manifest, Part, Platform, Referrer};
use super::manifest::Reading;
use crate::values::Digest;
use place::Place;

/// Which image of a source is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The one with this tag; none: there must be only one.
    pub tag: Option<String>,
    /// The one for this platform; none: all of them, as they are.
    pub platform: Option<Platform>,
    /// And what refers to it.
    pub referrers: bool,
}

/// How layers are compressed that come plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// What everything reads; the manifest is Docker's own kind then.
    Gzip,
    /// Smaller and sooner; the manifest is OCI's then.
    Zstd,
}

/// How an image is made ready that has no manifest yet.
#[derive(Debug, Clone)]
pub struct Packing {
    /// How plain layers are compressed.
    pub compression: Compression,
    /// A folder for files that only we see. It must hold all layers, compressed.
    pub spool: PathBuf,
    /// What the destination has already, by the digest of the plain layer: neither exported nor compressed again.
    pub known: HashMap<Digest, Descriptor>,
}

/// What an image has brought to the destination, for [`Packing::known`]: its layers by the digests of their plain bytes, and its configuration by its own.
pub fn known(image: &Reading, configuration: &Configuration) -> HashMap<Digest, Descriptor> {
    let Some((config, layers)) = image.blobs.split_first() else { return HashMap::new() };
    let mut known = HashMap::from([(config.digest.clone(), config.clone())]);
    let mut plain: Vec<&Digest> = Vec::new();
    configuration.layers.iter().for_each(|layer| {
        if !plain.contains(&layer) {
            plain.push(layer)
        }
    });
    // Each layer is there once, in the same order. Where some are not with the rest, nobody can tell which is which.
    if plain.len() == layers.len() {
        known.extend(plain.into_iter().cloned().zip(layers.iter().cloned()));
    }
    known
}

/// An image all of which lies ready.
#[derive(Clone)]
pub struct Image {
    parts: Vec<Part>,
    places: HashMap<Digest, Place>,
    root: Manifest,
    platforms: Vec<Platform>,
    origin: Origin,
    /// What refers to it.
    about: Vec<About>,
}

/// An image, or what is no image, that refers to `subject`.
#[derive(Clone)]
struct About {
    subject: Digest,
    tag: Option<String>,
    image: Image,
}

impl Image {
    /// Its manifest or index.
    pub fn root(&self) -> &Manifest {
        &self.root
    }

    /// Whether it has layers and none of them is compressed: nobody pushes it so.
    fn is_plain(&self) -> bool {
        let blobs = self.parts.iter().filter_map(|part| match part {
            Part::Blob(blob) => Some(blob.media_type.as_str()),
            Part::Manifest(_) => None,
        });
        let mut layers = blobs.filter(|media_type| media_type.contains(".layer.") || media_type.contains(".rootfs.")).peekable();
        self.root.children.is_empty() && layers.peek().is_some() && layers.all(|media_type| media_type.ends_with(".tar"))
    }

    /// What it runs on, as far as it says.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// Where it comes from, as it says.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Content for Image {
    fn parts(&self) -> BoxStream<'_, Result<Part>> {
        stream::iter(self.parts.iter().cloned().map(Ok)).boxed()
    }

    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>> {
        let place = self.places.get(&blob.digest).cloned();
        async move { place.ok_or_else(|| Failure::bug("a blob is asked for that is not of this image"))?.body() }.boxed()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<Vec<Referrer>>> {
        let of = |about: &About| {
            let About { tag, image, .. } = about.clone();
            Referrer { digest: image.root.descriptor.digest.clone(), tag, content: Box::new(image) }
        };
        let found = self.about.iter().filter(|about| about.subject == *subject).map(of).collect();
        async move { Ok(found) }.boxed()
    }

    fn lies_at(&self) -> Option<&str> {
        None
    }
}

/// Tells work that runs apart whether anybody still waits for it: a runtime does not end before such work does.
type Over<'a> = &'a (dyn Fn() -> bool + Sync);

/// Runs what reads files, apart from what must not wait for them.
async fn apart<T: Send + 'static>(work: impl FnOnce(Over) -> Result<T> + Send + 'static) -> Result<T> {
    let (waits, waited_for) = oneshot::channel::<()>();
    let done = tokio::task::spawn_blocking(move || work(&|| waits.is_closed())).await;
    drop(waited_for);
    done.unwrap_or_else(|error| Err(Failure::bug(format!("reading the image did not end: {error}"))))
}

/// Nobody waits any more.
fn over() -> std::io::Error {
    std::io::Error::other(Failure::new(Kind::Cancelled, "nobody waits for this image any more"))
}
