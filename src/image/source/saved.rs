//! What `docker save` writes, when it lies in a file: `manifest.json` names a configuration and plain layers, which are packed side by side with
//! their sending. <https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format> (2026-11)

use std::cmp::Reverse;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::failure::{Failure, Kind, Result};
use crate::image::configuration::{self, Configuration, Origin};
use crate::image::content::{Body, Content, Descriptor, Part, Platform};
use crate::image::hashing::digest_of;
use crate::image::manifest;
use crate::values::Digest;

use super::assembly::{Assembly, Out, Ready};
use super::pack;
use super::place::Place;
use super::tape::broken;
use super::tree::unsuited;
use super::{Packing, Wanted};

/// An image saved in a file.
pub struct Saved {
    inside: Arc<Inside>,
    ready: Ready,
    platforms: Vec<Platform>,
    origin: Origin,
}

struct Inside {
    packing: Packing,
    bytes: Bytes,
    configuration: Configuration,
    /// Each layer once, the largest first, and where it lies.
    layers: Vec<(Digest, Place)>,
}

/// Reads the image that is `wanted` of what `find` finds.
pub(super) fn read(find: &dyn Fn(&str) -> Result<Place>, wanted: &Wanted, packing: Packing) -> Result<Saved> {
    let listed = find("manifest.json")?.whole(manifest::LARGEST)?;
    let listed: Vec<Entry> =
        serde_json::from_slice(&listed).map_err(|error| broken(format!("its manifest.json cannot be read: {error}")))?;
    let entry = meant(&listed, wanted)?;
    let bytes = find(&entry.config)?.whole(configuration::LARGEST)?;
    check_name(&entry.config, &digest_of(&bytes)?)?;
    let configuration = Configuration::read(&bytes)?;
    if configuration.layers.len() != entry.layers.len() {
        let (named, there) = (configuration.layers.len(), entry.layers.len());
        return Err(broken(format!("its configuration names {named} layers, and its manifest.json {there}")));
    }
    if let Some(asked) = &wanted.platform
        && configuration.platform.is_known()
        && !configuration.platform.suits(asked)
    {
        return Err(unsuited(asked, std::slice::from_ref(&configuration.platform)));
    }
    let mut layers: Vec<(Digest, Place)> = Vec::new();
    for (plain, name) in configuration.layers.iter().zip(&entry.layers) {
        let place = find(name)?;
        if layers.iter().all(|(known, _)| known != plain) {
            layers.push((plain.clone(), place));
        }
    }
    layers.sort_by_key(|(_, place)| Reverse(place.size));
    let origin = Origin::of(&[&configuration.labels]);
    let platforms = Some(configuration.platform.clone()).filter(Platform::is_known).into_iter().collect();
    let inside = Arc::new(Inside { packing, bytes, configuration, layers });
    Ok(Saved { inside, ready: Ready::default(), platforms, origin })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn meant<'a>(listed: &'a [Entry], wanted: &Wanted) -> Result<&'a Entry> {
    let tags = |entry: &'a Entry| entry.repo_tags.iter().flatten().map(String::as_str);
    let is_called = |entry: &'a Entry, tag: &str| tags(entry).any(|name| name.rsplit_once(':').is_some_and(|(_, own)| own == tag));
    let found: Vec<&Entry> = listed.iter().filter(|entry| wanted.tag.as_ref().is_none_or(|tag| is_called(entry, tag))).collect();
    if let Some(first) = found.first().filter(|first| found.iter().all(|one| one.config == first.config)) {
        return Ok(first);
    }
    let mut names: Vec<&str> = listed.iter().flat_map(tags).collect();
    names.truncate(10);
    let holds =
        if names.is_empty() { format!("it holds {} without names", listed.len()) } else { format!("it holds {}", names.join(", ")) };
    Err(match &wanted.tag {
        Some(tag) => Failure::new(Kind::Missing, format!("the archive holds no one image {tag:?}")).why(holds),
        None => Failure::config("the archive does not hold exactly one image")
            .why(holds)
            .fix("save just one: docker save --output FILE NAME:TAG"),
    })
}

/// A configuration is usually called by its digest, and then that is what it must be.
fn check_name(name: &str, found: &Digest) -> Result<()> {
    let bare = name.rsplit('/').next().unwrap_or(name);
    let bare = bare.strip_suffix(".json").unwrap_or(bare);
    match Digest::parse(&format!("sha256:{}", bare.strip_prefix("sha256:").unwrap_or(bare))) {
        Ok(told) if told != *found => Err(broken(format!("its configuration is called {told} and is {found}"))),
        _ => Ok(()),
    }
}

impl Saved {
    /// What it runs on, as far as it says.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// Where it comes from, as it says.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Inside {
    /// Packs what must be packed. Blocks.
    fn pack(&self, ready: Ready, out: Out) -> Result<()> {
        let mut assembly = Assembly::new(&self.configuration.layers, &self.packing, ready, out);
        for (plain, place) in &self.layers {
            if assembly.is_over() {
                return Ok(());
            }
            if !assembly.lacks(plain) {
                continue;
            }
            let packed = pack::layer_at(place, &self.packing, &|| assembly.is_over())?;
            if packed.plain != *plain {
                return Err(broken(format!("one of its layers is {}, where its configuration names {plain}", packed.plain)));
            }
            assembly.take(packed);
        }
        assembly.finish(self.bytes.clone(), &self.configuration)
    }

    /// Whether the destination has all its layers.
    fn is_known(&self) -> bool {
        let mut nothing = Vec::new();
        let assembly = Assembly::new(&self.configuration.layers, &self.packing, Ready::default(), Out::Kept(&mut nothing));
        self.configuration.layers.iter().all(|plain| !assembly.lacks(plain))
    }
}

impl Content for Saved {
    fn parts(&self) -> BoxStream<'_, Result<Part>> {
        if self.inside.is_known() {
            let mut parts = Vec::new();
            let packed = self.inside.pack(self.ready.clone(), Out::Kept(&mut parts));
            return stream::iter(parts.into_iter().map(Ok).chain(packed.err().map(Err))).boxed();
        }
        let (inside, ready) = (self.inside.clone(), self.ready.clone());
        let (out, parts) = mpsc::unbounded_channel();
        tokio::task::spawn_blocking(move || {
            if let Err(failure) = inside.pack(ready, Out::Sent(&out)) {
                drop(out.send(Err(failure)));
            }
        });
        stream::unfold(parts, |mut parts| async { parts.recv().await.map(|part| (part, parts)) }).boxed()
    }

    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>> {
        let opened = self.ready.open(blob);
        async move { opened }.boxed()
    }

    fn lies_at(&self) -> Option<&str> {
        None
    }
}
