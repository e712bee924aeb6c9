//! Tags: written when they are new, left where they mean the same, moved only when that is asked for.

use crate::failure::{Failure, Kind, Result};
use crate::image::content::Manifest;
use crate::image::registry::Repository;
use crate::values::Digest;

use super::Moving;

/// A tag, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// There was none; it means the image now.
    Written,
    /// It meant the image already.
    Same,
    /// It means another image, and was left so.
    ToMove {
        /// What it means.
        from: Digest,
    },
    /// It meant another image, and means this one now.
    Moved {
        /// What it meant.
        from: Digest,
    },
}

/// Makes `tags` mean what `from`, a tag or a digest of the same repository, means: a promotion moves no bytes.
pub async fn promote(to: &Repository, from: &str, tags: &[String], moving: Moving) -> Result<(Digest, Vec<Tagged>)> {
    let root = to.manifest(from).await?.map(|reading| reading.manifest);
    let root = root.ok_or_else(|| Failure::new(Kind::Missing, format!("{} has no {from} to take tags from", to.name())))?;
    let mut tagged = Vec::new();
    for tag in tags {
        let means = to.resolve(tag).await?;
        tagged.push(Tagged { tag: tag.clone(), fate: write(to, &root, tag, means, moving).await? });
    }
    Ok((root.descriptor.digest, tagged))
}

/// Moves `tag` to the manifest `digest`, which lies in the repository; only while it still means `from`, or the manifest already.
/// What somebody else has moved meanwhile is left alone.
pub async fn move_tag(to: &Repository, tag: &str, from: Option<&Digest>, digest: &Digest) -> Result<Fate> {
    let means = to.resolve(tag).await?;
    if let Some(other) = means.as_ref().filter(|means| Some(*means) != from && *means != digest) {
        let before = from.map_or_else(|| "there was none".to_owned(), |from| format!("it meant {from}"));
        return Err(Failure::new(Kind::Superseded, format!("the tag {tag} of {} was moved by somebody else", to.name()))
            .why(format!("before this run {before}, and now it means {other}")));
    }
    let root = to.manifest(digest.as_str()).await?.map(|reading| reading.manifest);
    let root = root.ok_or_else(|| Failure::new(Kind::Missing, format!("{} has no {digest} to move {tag} to", to.name())))?;
    write(to, &root, tag, means, Moving::Now).await
}

pub(super) async fn write(to: &Repository, root: &Manifest, tag: &str, means: Option<Digest>, moving: Moving) -> Result<Fate> {
    match (means, moving) {
        (Some(digest), _) if digest == root.descriptor.digest => Ok(Fate::Same),
        (Some(from), Moving::Report) => Ok(Fate::ToMove { from }),
        (Some(from), Moving::Now) => to.put_manifest(root, tag).await.map(|_| Fate::Moved { from }),
        (None, _) => to.put_manifest(root, tag).await.map(|_| Fate::Written),
    }
}
