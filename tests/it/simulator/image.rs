//! Small images that lie in memory.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use touchdown::failure::Result;
use touchdown::image::content::{Body, Content, Descriptor, Manifest, Part};
use touchdown::image::hashing::digest_of;
use touchdown::image::manifest::{INDEXES, MANIFESTS, read};
use touchdown::values::Digest;

/// An image, or an index of several.
pub struct Packed {
    parts: Vec<Part>,
    pub blobs: HashMap<Digest, Bytes>,
}

impl Packed {
    /// An image of three layers; another `seed` makes another image, of which the first layer is the same.
    pub fn image(seed: u64) -> Self {
        let mut packed = Self { parts: Vec::new(), blobs: HashMap::new() };
        packed.add(seed, "amd64");
        packed
    }

    /// An index of two platforms.
    pub fn index(seed: u64) -> Self {
        let mut packed = Self { parts: Vec::new(), blobs: HashMap::new() };
        let children: Vec<Descriptor> = ["amd64", "arm64"].iter().map(|platform| packed.add(seed, platform)).collect();
        packed.add_manifest(&json!({ "schemaVersion": 2, "mediaType": INDEXES[0], "manifests": children }));
        packed
    }

    fn add(&mut self, seed: u64, architecture: &str) -> Descriptor {
        let layers: Vec<Descriptor> = [(0, 60_000), (seed, 20_000), (seed + 1000, 300)]
            .map(|(seed, size)| {
                let mut bytes = vec![0; size];
                fastrand::Rng::with_seed(seed + architecture.len() as u64).fill(&mut bytes);
                self.add_blob(Bytes::from(bytes), "application/vnd.oci.image.layer.v1.tar+gzip")
            })
            .into();
        let diffs: Vec<&Digest> = layers.iter().map(|layer| &layer.digest).collect();
        let config = json!({ "os": "linux", "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": diffs } });
        let config = self.add_blob(Bytes::from(config.to_string()), "application/vnd.oci.image.config.v1+json");
        self.add_manifest(&json!({ "schemaVersion": 2, "mediaType": MANIFESTS[0], "config": config, "layers": layers }))
    }

    fn add_blob(&mut self, bytes: Bytes, media_type: &str) -> Descriptor {
        let (digest, size) = (digest_of(&bytes).unwrap(), bytes.len() as u64);
        let descriptor =
            Descriptor { media_type: media_type.to_owned(), digest: digest.clone(), size, platform: None, annotations: BTreeMap::new() };
        if self.blobs.insert(digest, bytes).is_none() {
            self.parts.push(Part::Blob(descriptor.clone()));
        }
        descriptor
    }

    fn add_manifest(&mut self, manifest: &Value) -> Descriptor {
        let manifest = read(Bytes::from(manifest.to_string()), None).unwrap().manifest;
        let descriptor = manifest.descriptor.clone();
        self.parts.push(Part::Manifest(manifest));
        descriptor
    }

    /// What a tag of it means.
    pub fn root(&self) -> &Manifest {
        match self.parts.last() {
            Some(Part::Manifest(manifest)) => manifest,
            _ => panic!("an image ends with its manifest"),
        }
    }

    /// The root's digest.
    pub fn digest(&self) -> &Digest {
        &self.root().descriptor.digest
    }
}

impl Content for Packed {
    fn parts(&self) -> BoxStream<'_, Result<Part>> {
        stream::iter(self.parts.iter().cloned().map(Ok)).boxed()
    }

    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>> {
        let bytes = self.blobs[&blob.digest].clone();
        let pieces: Vec<Result<Bytes>> = bytes.chunks(16 * 1024).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        std::future::ready(Ok(stream::iter(pieces).boxed())).boxed()
    }

    fn lies_at(&self) -> Option<&str> {
        None
    }
}
