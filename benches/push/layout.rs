//! An OCI layout made of noise, and what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::{Value, json};
use touchdown::image::content::{Descriptor, Part};
use touchdown::image::hashing::digest_of;
use touchdown::image::manifest::{INDEXES, MANIFESTS, read};
use touchdown::values::Digest;

/// A layout in a folder, with one image tagged `v1`.
pub struct Layout {
    pub folder: PathBuf,
    pub parts: Vec<Part>,
}

/// Writes a layout with `platforms` images of layers of these sizes; more than one make an index.
pub fn write(folder: &Path, platforms: usize, layers: &[usize], seed: u64) {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8], media_type: &str| {
        let digest = digest_of(bytes).unwrap();
        std::fs::write(file(folder, &digest), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest.as_str(), "size": bytes.len() })
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let mut images: Vec<Value> = Vec::new();
    for platform in 0..platforms {
        let architecture = ["amd64", "arm64", "s390x", "ppc64le"][platform % 4];
        let config = json!({ "os": "linux", "architecture": architecture, "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let layers: Vec<Value> = layers
            .iter()
            .map(|size| {
                let mut bytes = vec![0; *size];
                random.fill(&mut bytes);
                put(&bytes, "application/vnd.oci.image.layer.v1.tar+gzip")
            })
            .collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFESTS[0], "config": config, "layers": layers });
        let mut image = put(manifest.to_string().as_bytes(), MANIFESTS[0]);
        image["platform"] = json!({ "os": "linux", "architecture": architecture });
        images.push(image);
    }
    let mut root = images[0].clone();
    if platforms > 1 {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEXES[0], "manifests": images });
        root = put(index.to_string().as_bytes(), INDEXES[0]);
    }
    root["annotations"] = json!({ "org.opencontainers.image.ref.name": "v1" });
    let index = json!({ "schemaVersion": 2, "manifests": [root] });
    std::fs::write(folder.join("index.json"), index.to_string()).unwrap();
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

fn file(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs/sha256").join(digest.as_str().trim_start_matches("sha256:"))
}

impl Layout {
    pub fn open(folder: &Path) -> Self {
        let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
        let mut layout = Self { folder: folder.to_owned(), parts: Vec::new() };
        layout.add(&Digest::parse(index["manifests"][0]["digest"].as_str().unwrap()).unwrap());
        layout.parts.sort_by_key(|part| matches!(part, Part::Manifest(_)));
        layout
    }

    fn add(&mut self, digest: &Digest) {
        let reading = read(Bytes::from(std::fs::read(file(&self.folder, digest)).unwrap()), None).unwrap();
        reading.children.iter().for_each(|child| self.add(&child.digest));
        self.parts.extend(reading.blobs.into_iter().map(Part::Blob));
        self.parts.push(Part::Manifest(reading.manifest));
    }

    /// The blobs, the biggest first, each once.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let blobs = self.parts.iter().filter_map(|part| match part {
            Part::Blob(blob) => Some((blob.digest.as_str().to_owned(), blob.clone())),
            Part::Manifest(_) => None,
        });
        let mut blobs: Vec<Descriptor> = blobs.collect::<BTreeMap<_, _>>().into_values().collect();
        blobs.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        blobs
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        file(&self.folder, digest)
    }
}
