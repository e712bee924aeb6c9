//! An image as a registry keeps it: a manifest's own bytes and what they name. It knows no repository.

use bytes::Bytes;
use ring::digest::SHA256;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::simulator::wire::text;

/// A manifest of one image.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A list of manifests.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// An image or a list of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub media_type: String,
    /// What its configuration, or the image itself, is said to be.
    pub artifact_type: Option<String>,
    /// Its manifest; empty for one that only a test's word has put there.
    pub bytes: Bytes,
    /// Of everything it names.
    pub size: u64,
    pub pushed_at: Timestamp,
    /// The image it is about.
    pub subject: Option<String>,
    /// Configuration and layers.
    pub blobs: Vec<String>,
}

/// What a manifest says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    pub artifact_type: Option<String>,
    pub blobs: Vec<String>,
    pub children: Vec<String>,
    pub subject: Option<String>,
    pub size: u64,
}

/// The digest of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&SHA256, bytes);
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Reads a manifest or an index; the reason where it is none.
pub(crate) fn contents(media_type: &str, bytes: &[u8]) -> Result<Contents, String> {
    let body: Value = serde_json::from_slice(bytes).map_err(|_| "'Invalid JSON syntax'".to_owned())?;
    let inside = text(&body, "mediaType");
    if !inside.is_empty() && inside != media_type {
        return Err(format!("'mediaType in manifest should be '{media_type}' not '{inside}''"));
    }
    let list = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let digest_of = |one: &Value| text(one, "digest").to_owned();
    let subject = body.get("subject").map(digest_of);
    let own_type = body.get("artifactType").and_then(Value::as_str).map(str::to_owned);
    match media_type {
        INDEX | DOCKER_LIST if body.get("manifests").is_some_and(Value::is_array) => {
            let children = list("manifests").iter().map(digest_of).collect();
            Ok(Contents { artifact_type: own_type, children, subject, ..Contents::default() })
        }
        MANIFEST | DOCKER_MANIFEST if body.get("config").is_some_and(Value::is_object) => {
            let mut parts = list("layers");
            // Layers that may not be given away lie elsewhere.
            parts.retain(|layer| layer.get("urls").is_none_or(|urls| urls.as_array().is_some_and(Vec::is_empty)));
            parts.extend(body.get("config").cloned());
            let size = parts.iter().filter_map(|part| part.get("size")?.as_u64()).sum();
            let config = body.pointer("/config/mediaType").and_then(Value::as_str).map(str::to_owned);
            Ok(Contents {
                artifact_type: own_type.or(config),
                blobs: parts.iter().map(digest_of).collect(),
                subject,
                size,
                ..Contents::default()
            })
        }
        MANIFEST | DOCKER_MANIFEST | INDEX | DOCKER_LIST => Err("'Manifest is missing required parts'".to_owned()),
        _ => Err(format!("'Unsupported manifest media type '{media_type}''")),
    }
}

/// A small image for `platform` that differs from every other by `label`, and its blobs by digest.
pub(crate) fn small(label: &str, platform: &str, now: Timestamp) -> (String, Image, Vec<(String, Bytes)>) {
    // An archive of nothing.
    let layer = Bytes::from_static(&[0; 1024]);
    let (os, architecture) = platform.split_once('/').unwrap_or_default();
    let config = json!({
        "architecture": architecture, "os": os,
        "config": { "Labels": { "touchdown.simulator": label } },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let config = Bytes::from(config.to_string());
    let named = |media_type: &str, bytes: &Bytes| json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() });
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": named(CONFIG, &config), "layers": [named(LAYER, &layer)] });
    let bytes = Bytes::from(manifest.to_string());
    let blobs: Vec<(String, Bytes)> = [config, layer].map(|bytes| (digest(&bytes), bytes)).into();
    let image = Image {
        media_type: MANIFEST.to_owned(),
        artifact_type: Some(CONFIG.to_owned()),
        size: blobs.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
        pushed_at: now,
        subject: None,
        blobs: blobs.iter().map(|(digest, _)| digest.clone()).collect(),
        bytes: bytes.clone(),
    };
    (digest(&bytes), image, blobs)
}
