//! An image in a registry as a source: its manifests read and checked at once, its blobs streamed when they are asked for.
//! A tag that moves while its image is copied is noticed.

use std::collections::HashSet;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use crate::failure::{Failure, Kind, Result};
use crate::image::configuration::{Configuration, LARGEST, Origin};
use crate::image::content::{Body, Content, Descriptor, Manifest, Part, Platform, Referrer};
use crate::image::manifest::Reading;
use crate::values::Digest;

use super::Repository;
use crate::image::reference::Reference;

/// So many manifests are read at once.
const AT_ONCE: usize = 4;

/// An image as it was when it was looked at.
pub struct RegistryImage {
    repository: Repository,
    place: String,
    /// The tag it was found by, while that is to mean the same to the end.
    tag: Option<(String, Digest)>,
    parts: Vec<Part>,
    root: Reading,
}

impl RegistryImage {
    /// Looks at the image that `reference` means in `repository`: of an index the `platform`, where one is chosen.
    /// A reference with tag and digest means the digest, and the tag must mean it too.
    pub async fn look(repository: Repository, reference: &Reference, platform: Option<&Platform>) -> Result<Self> {
        let by = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => digest.as_str(),
            (None, Some(tag)) => tag,
            (None, None) => "latest",
        };
        let found = repository.manifest(by).await?.ok_or_else(|| missing(&repository, by))?;
        let tag = reference.tag.clone().map(|tag| (tag, found.manifest.descriptor.digest.clone()));
        let mut root = found;
        if let Some(platform) = platform.filter(|_| !root.children.is_empty()) {
            root = chosen(&repository, &root, platform).await?;
        }
        let mut readings = Vec::new();
        gather(&repository, &root, &mut readings).await?;
        let place = repository.name().to_string();
        Ok(Self { repository, place, tag, parts: in_order(&readings), root })
    }

    /// Its manifest or index.
    pub fn root(&self) -> &Manifest {
        &self.root.manifest
    }

    /// What it runs on and where it comes from, as far as it says.
    pub async fn says(&self) -> (Vec<Platform>, Origin) {
        let said = self.repository.says(&self.root).await;
        said.unwrap_or_else(|_| (Vec::new(), Origin::of(&[&self.root.annotations])))
    }

    /// The manifests in it, children before their index.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.parts.iter().filter_map(|part| match part {
            Part::Manifest(manifest) => Some(manifest),
            Part::Blob(_) => None,
        })
    }

    /// Where it lies.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    async fn still(&self) -> Result<()> {
        let Some((tag, digest)) = &self.tag else { return Ok(()) };
        let now = self.repository.resolve(tag).await?;
        if now.as_ref() == Some(digest) {
            return Ok(());
        }
        let name = self.repository.name();
        let now = now.map_or_else(|| "nothing".to_owned(), |now| now.to_string());
        Err(Failure::new(Kind::Conflict, format!("the tag {tag} of {name} has moved while its image was copied"))
            .why(format!("it meant {digest} and means {now} now"))
            .fix(format!("run it again, or name the image by its digest: {name}@{digest}")))
    }
}

impl Repository {
    /// What `image` runs on and where it comes from, as far as it says: of a single image that takes one request.
    pub async fn says(&self, image: &Reading) -> Result<(Vec<Platform>, Origin)> {
        if !image.children.is_empty() {
            let listed = image.children.iter().filter_map(|child| child.platform.clone()).filter(Platform::is_known);
            return Ok((listed.collect(), Origin::of(&[&image.annotations])));
        }
        Ok(match self.configuration(image).await? {
            Some(own) => {
                let origin = Origin::of(&[&image.annotations, &own.labels]);
                (Some(own.platform).into_iter().filter(Platform::is_known).collect(), origin)
            }
            None => (Vec::new(), Origin::of(&[&image.annotations])),
        })
    }

    /// The configuration of the single image `image`; none of an index.
    pub async fn configuration(&self, image: &Reading) -> Result<Option<Configuration>> {
        match image.blobs.first().filter(|_| image.children.is_empty()) {
            Some(blob) if blob.size <= LARGEST as u64 => Configuration::read(&self.small_blob(blob).await?).map(Some),
            Some(_) | None => Ok(None),
        }
    }
}

impl Content for RegistryImage {
    fn parts(&self) -> BoxStream<'_, Result<Part>> {
        stream::iter(self.parts.iter().cloned().map(Ok)).boxed()
    }

    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>> {
        let blob = blob.clone();
        async move { self.repository.read_blob(&blob).await }.boxed()
    }

    fn unchanged(&self) -> BoxFuture<'_, Result<()>> {
        self.still().boxed()
    }

    fn referrers<'a>(&'a self, subject: &'a Digest) -> BoxFuture<'a, Result<Vec<Referrer>>> {
        async move {
            let listed = self.repository.referrers(subject).await?.into_iter().map(|listed| (None, listed.digest));
            let tagged = self.repository.cosign_tags(subject).await?.into_iter().map(|(tag, digest)| (Some(tag), digest));
            let mut found = Vec::new();
            for (tag, digest) in listed.chain(tagged) {
                let reference = Reference { repository: self.repository.name().clone(), tag: None, digest: Some(digest.clone()) };
                let content = Box::new(Self::look(self.repository.clone(), &reference, None).await?);
                found.push(Referrer { digest, tag, content });
            }
            Ok(found)
        }
        .boxed()
    }

    fn lies_at(&self) -> Option<&str> {
        Some(&self.place)
    }
}

/// The manifests below `root` and itself, children first.
async fn gather(repository: &Repository, root: &Reading, into: &mut Vec<Reading>) -> Result<()> {
    let children: Vec<Reading> = stream::iter(root.children.clone())
        .map(|child| async move {
            let by = child.digest.as_str();
            repository.manifest(by).await?.ok_or_else(|| missing(repository, by))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    for child in children {
        // An index in an index is allowed and rare; deeper nesting is nobody's image.
        let nested: Vec<Reading> = stream::iter(child.children.clone())
            .then(|grandchild| async move {
                let by = grandchild.digest.as_str();
                repository.manifest(by).await?.ok_or_else(|| missing(repository, by))
            })
            .try_collect()
            .await?;
        if nested.iter().any(|reading| !reading.children.is_empty()) {
            return Err(Failure::config(format!("the index in {} is nested too deeply", repository.name())));
        }
        into.extend(nested);
        into.push(child);
    }
    into.push(root.clone());
    Ok(())
}

/// The manifest for `platform` of an index.
async fn chosen(repository: &Repository, index: &Reading, platform: &Platform) -> Result<Reading> {
    let fits = |descriptor: &&Descriptor| {
        descriptor.platform.as_ref().is_some_and(|one| {
            let variant = platform.variant.is_none() || one.variant == platform.variant;
            one.os == platform.os && one.architecture == platform.architecture && variant
        })
    };
    let Some(child) = index.children.iter().find(fits) else {
        let written = |one: &Platform| {
            [Some(&one.os), Some(&one.architecture), one.variant.as_ref()]
                .map(|part| part.map(String::as_str))
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("/")
        };
        let there: Vec<String> = index.children.iter().filter_map(|child| child.platform.as_ref()).map(written).collect();
        return Err(Failure::new(Kind::Missing, format!("the image in {} is not built for {}", repository.name(), written(platform)))
            .why(format!("it is built for {}", there.join(", ")))
            .fix("build it for this platform too, or set platform to one it is built for"));
    };
    let by = child.digest.as_str();
    repository.manifest(by).await?.ok_or_else(|| missing(repository, by))
}

/// Blobs once each, the manifests after all that they name.
fn in_order(readings: &[Reading]) -> Vec<Part> {
    let mut seen = HashSet::new();
    let blobs = readings.iter().flat_map(|reading| &reading.blobs).filter(|blob| seen.insert(&blob.digest)).cloned().map(Part::Blob);
    let mut parts: Vec<Part> = blobs.collect();
    let mut placed = HashSet::new();
    let manifests = readings.iter().filter(|reading| placed.insert(&reading.manifest.descriptor.digest));
    parts.extend(manifests.map(|reading| Part::Manifest(reading.manifest.clone())));
    parts
}

fn missing(repository: &Repository, by: &str) -> Failure {
    let name = repository.name();
    let between = if by.starts_with("sha256:") { '@' } else { ':' };
    Failure::new(Kind::Missing, format!("there is no {name}{between}{by}"))
        .why("the registry knows no such manifest")
        .fix("check the name, and that the step which pushes it runs before this one")
}
