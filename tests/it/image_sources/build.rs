//! Builds small images for the tests: layers, configurations, manifests and indexes, as a layout in a folder or in a tar, and as `docker save` writes them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use touchdown::image::hashing::digest_of;
use touchdown::values::Digest;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The digest of `bytes`.
pub fn digest(bytes: &[u8]) -> Digest {
    digest_of(bytes).unwrap()
}

/// Bytes that are the same every time and compress a little.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&(state & 0x0f0f_ffff_0f0f_ffff).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A layer with one file: its plain tar.
pub fn layer(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    append(&mut builder, name, content);
    builder.into_inner().unwrap()
}

pub fn append<W: Write>(builder: &mut tar::Builder<W>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(plain: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(plain, 1).unwrap()
}

/// A configuration for `platform` (`linux/amd64`) with these plain layers.
pub fn configuration(platform: &str, layers: &[Vec<u8>]) -> Value {
    let parts: Vec<&str> = platform.split('/').collect();
    let layers: Vec<String> = layers.iter().map(|layer| digest(layer).to_string()).collect();
    let mut config = json!({
        "os": parts[0],
        "architecture": parts[1],
        "created": "2026-01-02T03:04:05Z",
        "config": { "Cmd": ["/app"], "Labels": { "org.opencontainers.image.revision": "abc123", "org.opencontainers.image.version": "of the base" } },
        "rootfs": { "type": "layers", "diff_ids": layers },
    });
    if let Some(variant) = parts.get(2) {
        config["variant"] = json!(variant);
    }
    config
}

/// A layout in the making: blobs by digest.
#[derive(Clone, Default)]
pub struct Layout {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub top: Vec<Value>,
}

impl Layout {
    /// Puts a blob in; its descriptor.
    pub fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let named = json!({ "mediaType": media_type, "digest": digest(&bytes).as_str(), "size": bytes.len() });
        self.blobs.insert(digest(&bytes).to_string(), bytes);
        named
    }

    /// Puts an image of these plain layers in, gzipped; its descriptor.
    pub fn image(&mut self, platform: &str, layers: &[Vec<u8>]) -> Value {
        let config = self.blob(OCI_CONFIG, configuration(platform, layers).to_string().into_bytes());
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(&format!("{OCI_LAYER}+gzip"), gzip(layer))).collect();
        // Spaces and an order of its own: bytes that nobody may write anew.
        let manifest = format!(
            "{{ \"schemaVersion\": 2,\n  \"layers\": {}, \"config\": {config}, \"mediaType\": \"{OCI_MANIFEST}\",\n  \"annotations\": {{ \"org.opencontainers.image.version\": \"v1.4\" }} }}",
            json!(layers)
        );
        self.blob(OCI_MANIFEST, manifest.into_bytes())
    }

    /// Puts an index of these images in; its descriptor.
    pub fn index(&mut self, children: &[(&str, Value)]) -> Value {
        let children: Vec<Value> = children.iter().map(|(platform, child)| on(platform, child.clone())).collect();
        self.blob(OCI_INDEX, json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children }).to_string().into_bytes())
    }

    /// Names an image at the top.
    pub fn name(&mut self, mut image: Value, tag: Option<&str>) -> &mut Self {
        if let Some(tag) = tag {
            image["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        }
        self.top.push(image);
        self
    }

    /// Every file of it.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let index = json!({ "schemaVersion": 2, "manifests": self.top }).to_string().into_bytes();
        let mut files = vec![("oci-layout".to_owned(), b"{\"imageLayoutVersion\":\"1.0.0\"}".to_vec()), ("index.json".to_owned(), index)];
        files.extend(self.blobs.iter().map(|(digest, bytes)| (format!("blobs/{}", digest.replace(':', "/")), bytes.clone())));
        files
    }

    /// Writes it into `folder`.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        for (name, bytes) in self.files() {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }

    /// All of it in a tar.
    pub fn tar(&self) -> Vec<u8> {
        archive(&self.files())
    }
}

/// `child` with a platform.
pub fn on(platform: &str, mut child: Value) -> Value {
    let parts: Vec<&str> = platform.split('/').collect();
    child["platform"] = json!({ "os": parts[0], "architecture": parts[1] });
    if let Some(variant) = parts.get(2) {
        child["platform"]["variant"] = json!(variant);
    }
    child
}

/// A tar of these files, in this order.
pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        append(&mut builder, name, content);
    }
    builder.into_inner().unwrap()
}

/// An image of these plain layers as `docker save` of the legacy store writes it: the list of files.
pub fn saved(platform: &str, layers: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    let config = configuration(platform, layers).to_string().into_bytes();
    let name = format!("{}.json", &digest(&config).as_str()["sha256:".len()..]);
    let names: Vec<String> = (0..layers.len()).map(|index| format!("{}/layer.tar", digest(&[index as u8]).short())).collect();
    let mut files: Vec<(String, Vec<u8>)> = names.iter().cloned().zip(layers.iter().cloned()).collect();
    files.push((name.clone(), config));
    let manifest = json!([{ "Config": name, "RepoTags": ["web:ci"], "Layers": names }]);
    files.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    files.push(("repositories".to_owned(), b"{}".to_vec()));
    files
}
