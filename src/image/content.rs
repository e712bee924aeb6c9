//! What an image is made of, and the way its parts travel from a source to a push: blobs as they become ready, then the manifests that name them.
//! Manifest bytes are never altered. It knows neither sources nor registries.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::failure::Result;
use crate::values::Digest;

/// Names some content by its digest (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What it runs on; only in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What else its maker says of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What an image runs on: `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`, `arm64`, …; `unknown` for an attestation.
    pub architecture: String,
    /// `v8`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A manifest or an index, in its maker's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Names `bytes`.
    pub descriptor: Descriptor,
    /// As made; what is pushed.
    pub bytes: Bytes,
    /// The manifests it names: of an index.
    pub children: Vec<Digest>,
    /// The blobs it names: config and layers.
    pub blobs: Vec<Digest>,
}

/// One part of an image on its way. A blob comes once, before every manifest that names it; children before their index; the root is last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A blob that [`Content::open`] can now read.
    Blob(Descriptor),
    /// A manifest.
    Manifest(Manifest),
}

/// Something that refers to an image.
pub struct Referrer {
    /// Its manifest.
    pub digest: Digest,
    /// The tag by which alone it is known to refer to it, where it does not say so itself.
    pub tag: Option<String>,
    /// It, to be read.
    pub content: Box<dyn Content>,
}

/// The tag that stands for `subject` where a registry keeps no list of what refers to it: `sha256-…`
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema> (2026-11)
pub fn tag_of(subject: &Digest) -> String {
    subject.as_str().replacen(':', "-", 1)
}

/// The tags under which cosign keeps what is about `subject`.
/// <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery> (2026-11)
pub fn cosign_tags_of(subject: &Digest) -> [String; 3] {
    ["sig", "att", "sbom"].map(|ending| format!("{}.{ending}", tag_of(subject)))
}

/// The bytes of a blob, from its first. The reader counts and hashes them.
pub type Body = BoxStream<'static, Result<Bytes>>;

/// An image that can be read, wherever it lies.
pub trait Content: Send + Sync {
    /// Its parts as they become ready. Parts that are known at once are ready at once, so that the largest blob can go first.
    fn parts(&self) -> BoxStream<'_, Result<Part>>;

    /// Reads a blob from its beginning; again for each retry.
    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>>;

    /// Fails when what it is called by means something else by now. Asked when the last blob has been read, before any tag is written.
    fn unchanged(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What refers to `subject`, a manifest of this image or one of what refers to it: signatures, SBOMs, attestations. Most sources have none.
    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<Vec<Referrer>>> {
        let _ = subject;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// The registry host and repository where all its blobs lie already: the same registry can mount them.
    fn lies_at(&self) -> Option<&str>;
}
