//! Images that lie in memory, made of noise: as many layers and platforms as are asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

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

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Bytes come in pieces of this size, as from a file.
const PIECE: usize = 256 * 1024;

/// An image.
pub struct MemoryImage {
    pub parts: Vec<Part>,
    pub blobs: HashMap<Digest, Bytes>,
    pub lies_at: Option<String>,
    /// Parts come one by one and are not ready at once.
    pub gradual: bool,
    pub opened: Mutex<Vec<Digest>>,
}

impl MemoryImage {
    /// One image with layers of these sizes; another `seed` makes another image.
    pub fn new(layers: &[usize], seed: u64) -> Self {
        let mut image = Self::empty();
        image.add(layers, seed, "amd64");
        image
    }

    /// An index of images, each with layers of these sizes.
    pub fn index(platforms: usize, layers: &[usize], seed: u64) -> Self {
        let mut image = Self::empty();
        let mut children = Vec::new();
        for platform in 0..platforms {
            let architecture = ["amd64", "arm64", "s390x", "ppc64le", "riscv64"][platform % 5];
            let child = image.add(layers, seed * 100 + platform as u64, architecture);
            let mut descriptor = serde_json::to_value(child).unwrap();
            descriptor["platform"] = json!({ "os": "linux", "architecture": architecture });
            children.push(descriptor);
        }
        image.add_manifest(&json!({ "schemaVersion": 2, "mediaType": INDEXES[0], "manifests": children }));
        image
    }

    pub fn empty() -> Self {
        Self { parts: Vec::new(), blobs: HashMap::new(), lies_at: None, gradual: false, opened: Mutex::default() }
    }

    fn add(&mut self, layers: &[usize], seed: u64, architecture: &str) -> Descriptor {
        let config = json!({ "os": "linux", "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": [] }, "seed": seed });
        let config = self.add_blob(Bytes::from(config.to_string()), CONFIG);
        let layers: Vec<Descriptor> =
            layers.iter().enumerate().map(|(at, size)| self.add_blob(noise(*size, seed * 1000 + at as u64), LAYER)).collect();
        self.add_manifest(&json!({ "schemaVersion": 2, "mediaType": MANIFESTS[0], "config": config, "layers": layers }))
    }

    pub fn add_blob(&mut self, bytes: Bytes, media_type: &str) -> Descriptor {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: digest_of(&bytes).unwrap(),
            size: bytes.len() as u64,
            platform: None,
            annotations: BTreeMap::new(),
        };
        self.blobs.insert(descriptor.digest.clone(), bytes);
        self.parts.push(Part::Blob(descriptor.clone()));
        descriptor
    }

    pub fn add_manifest(&mut self, manifest: &Value) -> Descriptor {
        let manifest = read(Bytes::from(serde_json::to_vec_pretty(manifest).unwrap()), None).unwrap().manifest;
        let descriptor = manifest.descriptor.clone();
        self.parts.push(Part::Manifest(manifest));
        descriptor
    }

    pub fn root(&self) -> &Manifest {
        match self.parts.last().unwrap() {
            Part::Manifest(manifest) => manifest,
            Part::Blob(blob) => panic!("the last part is the blob {}", blob.digest),
        }
    }

    pub fn digest(&self) -> Digest {
        self.root().descriptor.digest.clone()
    }

    pub fn opened(&self) -> usize {
        self.opened.lock().unwrap().len()
    }

    pub fn bytes(&self) -> u64 {
        self.blobs.values().map(|bytes| bytes.len() as u64).sum()
    }
}

/// Bytes that do not repeat and cannot be compressed.
pub fn noise(size: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed + 1);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    Bytes::from(bytes)
}

impl Content for MemoryImage {
    fn parts(&self) -> BoxStream<'_, Result<Part>> {
        let gradual = self.gradual;
        let parts = stream::iter(self.parts.iter().cloned().map(Ok));
        parts
            .then(move |part| async move {
                if gradual {
                    tokio::task::yield_now().await;
                }
                part
            })
            .boxed()
    }

    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>> {
        self.opened.lock().unwrap().push(blob.digest.clone());
        let mut bytes = self.blobs[&blob.digest].clone();
        let pieces = std::iter::from_fn(move || (!bytes.is_empty()).then(|| Ok(bytes.split_to(bytes.len().min(PIECE)))));
        std::future::ready(Ok(stream::iter(pieces).boxed())).boxed()
    }

    fn lies_at(&self) -> Option<&str> {
        self.lies_at.as_deref()
    }
}
