//! An image as written → where it comes from. It asks no registry.

use crate::cloud::aws::ecr::Repository;
use crate::values::{Digest, PinnedImage};

use super::plan::ImageSource;
use super::reader::Reader;

impl Reader<'_> {
    /// The image; missing where one is `needed` is a mistake.
    pub(super) fn image(&mut self, needed: bool) -> Option<ImageSource> {
        if !self.has("image") {
            if needed {
                self.wrong("image", "is missing", "write repository@sha256:… or an ECR repository:tag");
            }
            return None;
        }
        let text = self.text("image")?;
        match source(&text) {
            Ok(source) => Some(source),
            Err((what, write)) => {
                self.wrong("image", what, write);
                None
            }
        }
    }
}

fn source(text: &str) -> Result<ImageSource, (&'static str, &'static str)> {
    if ["docker://", "archive:", "oci:"].iter().any(|local| text.starts_with(local)) {
        return Err(("names a local image, and pushing is not served yet", "push it in a step before, and write repository@sha256:…"));
    }
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (name, None),
    };
    if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(("has capital letters in its repository, which no registry takes", "write it in small letters"));
    }
    let sound = !repository.is_empty() && repository.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte));
    let tagged = tag
        .is_none_or(|tag| (1..=128).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
    if !sound || !tagged {
        return Err(("is no image", "write repository@sha256:… or an ECR repository:tag"));
    }
    let (repository, tag) = (repository.to_owned(), tag.map(str::to_owned));
    match (digest, tag) {
        (Some(digest), tag) => match Digest::parse(digest) {
            Ok(digest) => Ok(ImageSource::Pinned(PinnedImage { repository, tag, digest })),
            Err(_) => Err(("has a digest that is none", "write repository@sha256: and 64 hexadecimal digits")),
        },
        (None, Some(tag)) if Repository::parse(&repository).is_some() => Ok(ImageSource::Tagged { repository, tag }),
        (None, Some(_)) => Err(("has no digest, and tags of this registry are not looked up yet", "write repository@sha256:…")),
        (None, None) => Err(("has neither a tag nor a digest", "write repository@sha256:… or an ECR repository:tag")),
    }
}
