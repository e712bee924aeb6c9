//! Copies what refers to an image along with it: signatures, SBOMs, attestations. They keep their bytes, and are listed where the registry keeps no list itself.

use std::collections::BTreeSet;

use crate::failure::Result;
use crate::image::reference::Reference;
use crate::image::registry::Repository;
use crate::image::registry::source::RegistryImage;
use crate::values::Digest;

use super::progress::Progress;
use super::{Moving, Push, Pushed, push};

/// Signatures can be signed: so deep.
const DEPTH: usize = 3;

/// Copies what refers to the manifests of `pushed` in `from`, where they lie too; the digests of what was copied.
pub async fn copy(from: &Repository, to: &Repository, pushed: &Pushed, progress: &Progress) -> Result<Vec<Digest>> {
    let mut copied = BTreeSet::new();
    let mut subjects = pushed.manifests.clone();
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for subject in &subjects {
            for referrer in from.referrers(subject).await? {
                if copied.insert(referrer.digest.as_str().to_owned()) {
                    one(from, to, &referrer.digest, &[], progress).await?;
                    list(from, to, subject, &referrer.digest).await?;
                    next.push(referrer.digest);
                }
            }
            for (tag, digest) in from.cosign_tags(subject).await? {
                one(from, to, &digest, &[tag], progress).await?;
                copied.insert(digest.as_str().to_owned());
            }
        }
        subjects = next;
    }
    copied.iter().map(|digest| Digest::parse(digest)).collect()
}

async fn one(from: &Repository, to: &Repository, digest: &Digest, tags: &[String], progress: &Progress) -> Result<Pushed> {
    let reference = Reference { repository: from.name().clone(), tag: None, digest: Some(digest.clone()) };
    let content = RegistryImage::look(from.clone(), &reference, None).await?;
    push(Push { content: &content, to, tags, moving: Moving::Now, progress: progress.clone() }).await
}

/// The registry that keeps lists itself shows the referrer by now; else it is put onto the list that clients keep.
async fn list(from: &Repository, to: &Repository, subject: &Digest, referrer: &Digest) -> Result<()> {
    if to.referrers(subject).await?.iter().any(|listed| listed.digest == *referrer) {
        return Ok(());
    }
    match from.manifest(referrer.as_str()).await? {
        Some(reading) => to.list_referrer(subject, &reading).await,
        None => Ok(()),
    }
}
