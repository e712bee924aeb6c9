//! An OCI layout, wherever its blobs lie: `index.json` → the one image that is meant → everything below it, in its maker's bytes.
//! It knows neither folders nor archives. <https://github.com/opencontainers/image-spec/blob/main/image-layout.md> (2026-11)

mod about;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use serde::Deserialize;

use crate::failure::{Failure, Kind, Result};
use crate::image::configuration::{self, Configuration, Origin};
use crate::image::content::{Descriptor, Part, Platform};
use crate::image::hashing::digest_of;
use crate::image::manifest::{self, Reading};
use crate::image::platform::{chosen, listed};
use crate::values::Digest;

use super::place::Place;
use super::{Image, Wanted};

/// An index in an index is allowed and rare; deeper, or with more in it, is nobody's image.
const DEEPEST: usize = 3;
const MOST: usize = 2000;
/// Names of an image in `index.json`: its tag, and its whole name.
const TAG: &str = "org.opencontainers.image.ref.name";
const NAME: &str = "io.containerd.image.name";

/// Where the blobs of a layout lie.
pub(super) trait Blobs {
    /// The place of one; none where it is not.
    fn place(&self, digest: &Digest) -> Result<Option<Place>>;
}

/// Reads the image that is `wanted` of the layout whose `index.json` this is.
pub(super) fn read(blobs: &dyn Blobs, index: &[u8], wanted: &Wanted) -> Result<Image> {
    let (tree, entries) = (Tree { blobs, wanted }, entries(index)?);
    let root = tree.root(&meant(&entries, wanted)?, 0)?;
    let image = tree.image(root)?;
    let about = if wanted.referrers { about::of(&tree, &entries, &image)? } else { Vec::new() };
    Ok(Image { about, ..image })
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// What stands in `index.json`.
fn entries(index: &[u8]) -> Result<Vec<Descriptor>> {
    let broken = |why: String| Failure::config("the layout's index.json cannot be read").why(why).fix("build or save the image again");
    if index.len() > manifest::LARGEST {
        return Err(broken(format!("it has {} bytes", index.len())));
    }
    let index: Index = serde_json::from_slice(index).map_err(|error| broken(error.to_string()))?;
    Ok(index.manifests)
}

/// The one of `entries` that is meant.
fn meant(entries: &[Descriptor], wanted: &Wanted) -> Result<Descriptor> {
    let mut named: Vec<&Descriptor> = match &wanted.tag {
        Some(tag) => entries.iter().filter(|one| is_called(one, tag)).collect(),
        None => entries.iter().collect(),
    };
    // One image may stand there under several names.
    named.dedup_by_key(|one| &one.digest);
    let first = named.first().copied();
    match first.filter(|first| named.iter().all(|one| one.digest == first.digest)) {
        Some(one) => Ok(one.clone()),
        None => Err(ambiguous(entries, wanted)),
    }
}

fn is_called(descriptor: &Descriptor, tag: &str) -> bool {
    let called = |key: &str| descriptor.annotations.get(key).map(String::as_str).unwrap_or_default();
    called(TAG) == tag || [TAG, NAME].iter().any(|key| called(key).strip_suffix(tag).is_some_and(|name| name.ends_with(':')))
}

fn ambiguous(all: &[Descriptor], wanted: &Wanted) -> Failure {
    let mut names: Vec<&str> =
        all.iter().filter_map(|one| one.annotations.get(TAG).or_else(|| one.annotations.get(NAME))).map(String::as_str).collect();
    names.truncate(10);
    let holds = match all.len() {
        0 => "it holds no image".to_owned(),
        many if names.is_empty() => format!("it holds {many} images without names"),
        _ => format!("it holds {}", names.join(", ")),
    };
    match &wanted.tag {
        Some(tag) => Failure::new(Kind::Missing, format!("the layout holds no one image {tag:?}"))
            .why(holds)
            .fix("write one of its tags after the folder: oci:FOLDER:TAG"),
        None => Failure::config("the layout does not hold exactly one image")
            .why(holds)
            .fix("write one of its tags after the folder, oci:FOLDER:TAG, or save just one image"),
    }
}

struct Tree<'a> {
    blobs: &'a dyn Blobs,
    wanted: &'a Wanted,
}

#[derive(Default)]
struct Gathered {
    /// Children before their index, each once.
    readings: Vec<Reading>,
    blobs: Vec<Descriptor>,
    places: HashMap<Digest, Place>,
    /// Of the first image.
    annotations: BTreeMap<String, String>,
}

impl Tree<'_> {
    /// Everything below `root`, ready to be read.
    fn image(&self, root: Reading) -> Result<Image> {
        let mut gathered = Gathered::default();
        self.gather(&root, 0, &mut gathered)?;
        let configuration = self.first_configuration(&root, &gathered)?;
        self.check_platform(&root, configuration.as_ref())?;
        let platforms = match &configuration {
            Some(one) if root.children.is_empty() => vec![one.platform.clone()],
            _ => root.children.iter().filter_map(|child| child.platform.clone()).filter(Platform::is_known).collect(),
        };
        let labels = configuration.map(|one| one.labels).unwrap_or_default();
        let origin = Origin::of(&[&root.annotations, &gathered.annotations, &labels]);
        let mut parts: Vec<Part> = gathered.blobs.into_iter().map(Part::Blob).collect();
        parts.extend(gathered.readings.into_iter().map(|reading| Part::Manifest(reading.manifest)));
        Ok(Image { parts, places: gathered.places, root: root.manifest, platforms, origin, about: Vec::new() })
    }

    /// The manifest or index that is to be pushed.
    fn root(&self, descriptor: &Descriptor, depth: usize) -> Result<Reading> {
        let reading = self.load(descriptor)?;
        let Some(platform) = &self.wanted.platform else { return Ok(reading) };
        if reading.children.is_empty() {
            return Ok(reading);
        }
        // An index that holds nothing but another says nothing of platforms itself.
        if let [only] = reading.children.as_slice()
            && manifest::INDEXES.contains(&only.media_type.as_str())
            && depth < DEEPEST
        {
            return self.root(only, depth + 1);
        }
        let named = reading.children.iter().any(|child| child.platform.is_some());
        let found = if named { chosen(&reading.children, platform).cloned() } else { self.chosen_by_configuration(&reading, platform)? };
        match found {
            Some(child) => self.load(&child),
            None => {
                let there: Vec<Platform> =
                    reading.children.iter().filter_map(|child| child.platform.clone()).filter(Platform::is_known).collect();
                Err(unsuited(platform, &there))
            }
        }
    }

    fn chosen_by_configuration(&self, index: &Reading, platform: &Platform) -> Result<Option<Descriptor>> {
        for child in &index.children {
            let reading = self.load(child)?;
            if self.configuration(&reading)?.is_some_and(|one| one.platform.suits(platform)) {
                return Ok(Some(child.clone()));
            }
        }
        Ok(None)
    }

    /// A manifest, held against what names it.
    fn load(&self, descriptor: &Descriptor) -> Result<Reading> {
        let place = self.place(descriptor)?;
        let bytes: Bytes = place.whole(manifest::LARGEST)?;
        let found = digest_of(&bytes)?;
        if found != descriptor.digest {
            return Err(Failure::config("a manifest of the image is not what its digest says")
                .why(format!("it is called {} and is {found}", descriptor.digest))
                .fix("build or save the image again"));
        }
        manifest::read(bytes, Some(&descriptor.media_type))
    }

    /// Everything below `reading` and itself.
    fn gather(&self, reading: &Reading, depth: usize, into: &mut Gathered) -> Result<()> {
        if depth > DEEPEST || into.readings.len() > MOST {
            return Err(Failure::config("the image's index is nested too deeply, or holds too much"));
        }
        for child in &reading.children {
            if into.readings.iter().any(|known| known.manifest.descriptor.digest == child.digest) {
                continue;
            }
            let below = self.load(child)?;
            self.gather(&below, depth + 1, into)?;
        }
        for blob in &reading.blobs {
            if !into.places.contains_key(&blob.digest) {
                into.places.insert(blob.digest.clone(), self.place(blob)?);
                into.blobs.push(blob.clone());
            }
        }
        if reading.children.is_empty() && into.annotations.is_empty() {
            into.annotations = reading.annotations.clone();
        }
        into.readings.push(reading.clone());
        Ok(())
    }

    /// Where something lies that a manifest names; it must be as long as is said.
    fn place(&self, descriptor: &Descriptor) -> Result<Place> {
        let Descriptor { digest, size, .. } = descriptor;
        let Some(place) = self.blobs.place(digest)? else {
            let failure = Failure::config("the image is not whole").why(format!("{digest} is named and not there"));
            return Err(match (&descriptor.platform, &self.wanted.platform) {
                (Some(platform), None) => {
                    failure.fix(format!("save every platform of it (this is {platform}), or choose one with platform"))
                }
                _ => failure.fix("build or save the image again"),
            });
        };
        if place.size != *size {
            return Err(Failure::config("the image is not whole")
                .why(format!("{digest} has {} bytes where {size} are named", place.size))
                .fix("build or save the image again"));
        }
        Ok(place)
    }

    /// The configuration of the first image below `root`.
    fn first_configuration(&self, root: &Reading, gathered: &Gathered) -> Result<Option<Configuration>> {
        if root.children.is_empty() {
            return self.configuration(root);
        }
        let first = root.children.iter().find(|child| child.platform.as_ref().is_none_or(Platform::is_known));
        let reading = first.and_then(|child| gathered.readings.iter().find(|one| one.manifest.descriptor.digest == child.digest));
        reading.map_or(Ok(None), |reading| self.configuration(reading))
    }

    /// The configuration of an image; what is no image has none.
    fn configuration(&self, reading: &Reading) -> Result<Option<Configuration>> {
        let Some(blob) = reading.blobs.first().filter(|blob| is_configuration(&blob.media_type)) else { return Ok(None) };
        let bytes = self.place(blob)?.whole(configuration::LARGEST)?;
        let found = digest_of(&bytes)?;
        if found != blob.digest {
            return Err(Failure::config("the image's configuration is not what its digest says")
                .why(format!("it is called {} and is {found}", blob.digest))
                .fix("build or save the image again"));
        }
        Configuration::read(&bytes).map(Some)
    }

    fn check_platform(&self, root: &Reading, configuration: Option<&Configuration>) -> Result<()> {
        let own = configuration.map(|one| &one.platform).filter(|own| own.is_known() && root.children.is_empty());
        match (&self.wanted.platform, own) {
            (Some(asked), Some(own)) if !own.suits(asked) => Err(unsuited(asked, std::slice::from_ref(own))),
            _ => Ok(()),
        }
    }
}

/// Configurations that are read; others belong to charts, policies and what else registries keep.
fn is_configuration(media_type: &str) -> bool {
    matches!(media_type, "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json")
}

/// No image is for what is asked.
pub(super) fn unsuited(asked: &Platform, there: &[Platform]) -> Failure {
    Failure::new(Kind::Missing, format!("the image is not built for {asked}"))
        .why(format!("it is built for {}", listed(there)))
        .fix(format!("build it with --platform {asked}, or set platform to one it is built for"))
}
