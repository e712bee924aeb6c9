//! Reads an image as a push does: part by part, every blob counted and hashed, every manifest after what it names.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use futures_util::StreamExt;
use touchdown::failure::{Failure, Result};
use touchdown::image::content::{Content, Descriptor, Part};
use touchdown::image::hashing::digest_of;
use touchdown::values::Digest;

/// An image that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// The digest of its root.
    pub root: Digest,
    /// The root's type.
    pub media_type: String,
    /// Blobs and manifests by their digests.
    pub contents: BTreeMap<String, Vec<u8>>,
    /// The blobs, in the order in which they came.
    pub blobs: Vec<Descriptor>,
}

impl Read {
    /// The root, as JSON.
    pub fn manifest(&self) -> serde_json::Value {
        serde_json::from_slice(&self.contents[self.root.as_str()]).unwrap()
    }

    /// Writes a single image as skopeo's `dir:`, for skopeo to read.
    pub fn write(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (digest, bytes) in &self.contents {
            let name = if digest == self.root.as_str() { "manifest.json" } else { &digest["sha256:".len()..] };
            std::fs::write(folder.join(name), bytes).unwrap();
        }
        std::fs::write(folder.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    }
}

/// Reads all of it. Fails as a push would.
pub async fn read(content: &dyn Content) -> Result<Read> {
    let (mut contents, mut blobs, mut placed, mut root) = (BTreeMap::new(), Vec::new(), HashSet::new(), None);
    let mut parts = content.parts();
    while let Some(part) = parts.next().await {
        match part? {
            Part::Blob(blob) => {
                assert!(placed.insert(blob.digest.clone()), "{} came twice", blob.digest);
                contents.insert(blob.digest.to_string(), whole(content, &blob).await?);
                blobs.push(blob);
            }
            Part::Manifest(manifest) => {
                let named = manifest.blobs.iter().chain(&manifest.children);
                named.for_each(|named| assert!(placed.contains(named), "{named} is named before it came"));
                assert!(placed.insert(manifest.descriptor.digest.clone()));
                assert_eq!(digest_of(&manifest.bytes).unwrap(), manifest.descriptor.digest);
                contents.insert(manifest.descriptor.digest.to_string(), manifest.bytes.to_vec());
                root = Some(manifest.descriptor);
            }
        }
    }
    content.unchanged().await?;
    let root = root.expect("an image ends with its root");
    Ok(Read { root: root.digest, media_type: root.media_type, contents, blobs })
}

/// A blob, from its beginning.
pub async fn whole(content: &dyn Content, blob: &Descriptor) -> Result<Vec<u8>> {
    let mut body = content.open(blob).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
    }
    if digest_of(&bytes)? != blob.digest || bytes.len() as u64 != blob.size {
        return Err(Failure::config(format!("{} is not what its digest says", blob.digest)));
    }
    Ok(bytes)
}
