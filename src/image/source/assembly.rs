//! An image that has layers and a configuration but no manifest yet: its parts as they become ready, and at the end the manifest that is made for it.
//! The same layers make the same bytes, so that its digest repeats. Where the layers come from, others know.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::failure::{Failure, Kind, Result};
use crate::image::configuration::Configuration;
use crate::image::content::{Body, Descriptor, Part};
use crate::image::hashing::digest_of;
use crate::image::manifest;
use crate::values::Digest;

use super::pack::Packed;
use super::place::Place;
use super::{Compression, Packing};

/// What lies ready of an image that is put together.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready(Arc<Mutex<HashMap<Digest, Place>>>);

impl Ready {
    fn places(&self) -> MutexGuard<'_, HashMap<Digest, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a blob of it.
    pub(super) fn open(&self, blob: &Descriptor) -> Result<Body> {
        let place = self.places().get(&blob.digest).cloned();
        let gone = || {
            Failure::new(Kind::Conflict, format!("the layer {} is no longer where it was said to be", blob.digest.short()))
                .why("it was not exported again, because the registry was said to hold it")
                .fix("run it again: it will be exported")
        };
        place.ok_or_else(gone)?.body()
    }
}

/// An image being put together.
pub(super) struct Assembly<'a> {
    packing: &'a Packing,
    ready: Ready,
    out: Out<'a>,
    /// By the digest of its plain bytes.
    layers: HashMap<Digest, Descriptor>,
    told: HashSet<Digest>,
}

/// Where its parts go.
pub(super) enum Out<'a> {
    /// To who reads them as they come.
    Sent(&'a UnboundedSender<Result<Part>>),
    /// Into a list.
    Kept(&'a mut Vec<Part>),
}

impl<'a> Assembly<'a> {
    /// Begins; layers that the destination has already are taken at once.
    pub(super) fn new(layers: &[Digest], packing: &'a Packing, ready: Ready, out: Out<'a>) -> Self {
        let mut assembly = Self { packing, ready, out, layers: HashMap::new(), told: HashSet::new() };
        for plain in layers {
            if let Some(known) = packing.known.get(plain).and_then(|known| assembly.named(known)) {
                assembly.tell(Part::Blob(known.clone()));
                assembly.layers.insert(plain.clone(), known);
            }
        }
        assembly
    }

    /// A known layer as this image's manifest names it; none where its compression is not what may be sent.
    fn named(&self, known: &Descriptor) -> Option<Descriptor> {
        let compression = compression_of(&known.media_type)?;
        if compression == Compression::Zstd && self.packing.compression == Compression::Gzip {
            return None;
        }
        Some(self.layer(known.digest.clone(), known.size, compression))
    }

    /// Whether nobody listens any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(&self.out, Out::Sent(out) if out.is_closed())
    }

    /// Whether the layer must still come.
    pub(super) fn lacks(&self, plain: &Digest) -> bool {
        !self.layers.contains_key(plain)
    }

    /// Takes a layer that was packed.
    pub(super) fn take(&mut self, packed: Packed) {
        let descriptor = self.layer(packed.digest.clone(), packed.place.size, packed.compression);
        self.ready.places().insert(packed.digest, packed.place);
        self.layers.insert(packed.plain, descriptor.clone());
        self.tell(Part::Blob(descriptor));
    }

    /// Ends it: the configuration and the manifest.
    pub(super) fn finish(self, bytes: Bytes, configuration: &Configuration) -> Result<()> {
        let (digest, size) = (digest_of(&bytes)?, bytes.len() as u64);
        self.ready.places().insert(digest.clone(), Place::memory(bytes));
        self.close(digest, size, &configuration.layers)
    }

    /// Ends it with a configuration that the destination has already.
    pub(super) fn finish_known(self, configuration: &Descriptor, layers: &[Digest]) -> Result<()> {
        self.close(configuration.digest.clone(), configuration.size, layers)
    }

    fn close(mut self, digest: Digest, size: u64, layers: &[Digest]) -> Result<()> {
        let types = Types::of(self.packing.compression);
        let config = named(types.config, digest, size);
        let lacking =
            |plain: &Digest| Failure::config("the image is not whole").why(format!("the layer {plain} is named and did not come"));
        let layers = layers.iter().map(|plain| self.layers.get(plain).cloned().ok_or_else(|| lacking(plain)));
        let layers: Vec<Descriptor> = layers.collect::<Result<_>>()?;
        let wire = Wire { schema_version: 2, media_type: types.manifest, config: &config, layers: &layers };
        let manifest = serde_json::to_vec(&wire).map_err(|error| Failure::bug(format!("a manifest cannot be written: {error}")))?;
        let reading = manifest::read(manifest.into(), Some(types.manifest))?;
        self.tell(Part::Blob(config));
        self.tell(Part::Manifest(reading.manifest));
        Ok(())
    }

    fn layer(&self, digest: Digest, size: u64, compression: Compression) -> Descriptor {
        let types = Types::of(self.packing.compression);
        let media_type = match compression {
            Compression::Gzip => types.gzip,
            Compression::Zstd => types.zstd,
        };
        named(media_type, digest, size)
    }

    fn tell(&mut self, part: Part) {
        if let Part::Blob(blob) = &part
            && !self.told.insert(blob.digest.clone())
        {
            return;
        }
        match &mut self.out {
            // Who does not listen any more is asked elsewhere.
            Out::Sent(out) => drop(out.send(Ok(part))),
            Out::Kept(parts) => parts.push(part),
        }
    }
}

fn named(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), digest, size, platform: None, annotations: BTreeMap::new() }
}

/// The types of a manifest: Docker's own, which every registry and platform takes, and OCI's, which alone has a word for zstd.
struct Types {
    manifest: &'static str,
    config: &'static str,
    gzip: &'static str,
    zstd: &'static str,
}

impl Types {
    fn of(compression: Compression) -> Self {
        let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
        match compression {
            Compression::Gzip => Self {
                manifest: manifest::MANIFESTS[1],
                config: "application/vnd.docker.container.image.v1+json",
                gzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
                zstd,
            },
            Compression::Zstd => Self {
                manifest: manifest::MANIFESTS[0],
                config: "application/vnd.oci.image.config.v1+json",
                gzip: "application/vnd.oci.image.layer.v1.tar+gzip",
                zstd,
            },
        }
    }
}

/// How a layer of this type is compressed; none where it is not, or nobody knows.
fn compression_of(media_type: &str) -> Option<Compression> {
    match media_type {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" | "application/vnd.oci.image.layer.v1.tar+gzip" => Some(Compression::Gzip),
        "application/vnd.oci.image.layer.v1.tar+zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: &'a Descriptor,
    layers: &'a [Descriptor],
}
