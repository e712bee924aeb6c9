//! Copies what refers to an image along with it: signatures, SBOMs, attestations. They keep their bytes, and are listed where the registry keeps no list itself.

use std::collections::BTreeMap;

use crate::failure::Result;
use crate::image::content::{Content, Referrer};
use crate::image::registry::Repository;
use crate::values::Digest;

use super::progress::Progress;
use super::{Moving, Push, Pushed, push};

/// Signatures can be signed: so deep.
const DEPTH: usize = 3;

/// Copies what refers to the manifests of `pushed`, an image of `from`; the digests of what went along.
pub async fn copy(from: &dyn Content, to: &Repository, pushed: &Pushed, progress: &Progress) -> Result<Vec<Digest>> {
    let (mut copied, mut subjects) = (BTreeMap::new(), pushed.manifests.clone());
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for subject in &subjects {
            for Referrer { digest, tag, content } in from.referrers(subject).await? {
                let tags: Vec<String> = tag.into_iter().collect();
                if copied.insert(digest.as_str().to_owned(), digest.clone()).is_some() && tags.is_empty() {
                    continue;
                }
                push(Push { content: &*content, to, tags: &tags, moving: Moving::Now, progress: progress.clone() }).await?;
                if tags.is_empty() {
                    list(to, subject, &digest).await?;
                    next.push(digest);
                }
            }
        }
        subjects = next;
    }
    Ok(copied.into_values().collect())
}

/// The registry that keeps lists itself shows the referrer by now; else it is put onto the list that clients keep.
async fn list(to: &Repository, subject: &Digest, referrer: &Digest) -> Result<()> {
    if to.referrers(subject).await?.iter().any(|listed| listed.digest == *referrer) {
        return Ok(());
    }
    match to.manifest(referrer.as_str()).await? {
        Some(reading) => to.list_referrer(subject, &reading).await,
        None => Ok(()),
    }
}
