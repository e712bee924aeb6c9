//! One push from its first part until everything but the root is there and read back: owns what is known, waited for and done;
//! everything else happens on the lanes. It asks before it works: an image that is there costs one request.

use std::cmp::Reverse;
use std::collections::HashMap;

use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind, Result};
use crate::image::content::{Descriptor, Manifest, Part};
use crate::values::Digest;

use super::lanes::{Came, Lanes};
use super::progress::Event;

/// An image of which only the root is still to be written.
pub(super) struct Gathered {
    pub(super) root: Manifest,
    /// The root is there too.
    pub(super) complete: bool,
    pub(super) manifests: Vec<Digest>,
    pub(super) sent: u64,
    pub(super) skipped: u64,
    pub(super) keeps_referrers: bool,
    pub(super) tags: Meanings,
}

/// What the tags asked for mean.
#[derive(Debug, Clone)]
pub(super) struct Meanings {
    pub(super) of: HashMap<String, Option<Digest>>,
    /// When the first of them was looked up.
    pub(super) since: Timestamp,
}

/// A push under way.
pub(super) struct Run<'a> {
    lanes: &'a Lanes<'a>,
    asked_for: &'a [String],
    under_way: FuturesUnordered<BoxFuture<'a, Result<Step>>>,
    parts: Option<BoxStream<'a, Result<Part>>>,
    blobs: HashMap<Digest, Blob>,
    /// In their order: the last one known is taken for the root.
    manifests: Vec<Waiting>,
    begun: usize,
    complete: bool,
    sent: u64,
    skipped: u64,
    keeps_referrers: bool,
    tags: Meanings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blob {
    size: u64,
    there: bool,
}

struct Waiting {
    manifest: Manifest,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// For blobs or children.
    Waits,
    UnderWay,
    ReadBack,
}

/// Something that was done.
enum Step {
    Blob(Digest, Came),
    /// Written and read back; whether the registry keeps lists of referrers.
    Manifest(Digest, bool),
    /// Whether the whole image is there already.
    Found(bool),
    /// What a tag means now.
    Means(String, Option<Digest>),
}

impl<'a> Run<'a> {
    pub(super) fn new(lanes: &'a Lanes<'a>, asked_for: &'a [String]) -> Self {
        Self {
            lanes,
            asked_for,
            under_way: FuturesUnordered::new(),
            parts: None,
            blobs: HashMap::new(),
            manifests: Vec::new(),
            begun: 0,
            complete: false,
            sent: 0,
            skipped: 0,
            keeps_referrers: false,
            tags: Meanings { of: HashMap::new(), since: lanes.to.http().clock().now() },
        }
    }

    pub(super) async fn gather(mut self) -> Result<Gathered> {
        let mut parts = self.lanes.content.parts();
        let (known, ended) = ready_at_once(&mut parts)?;
        self.parts = (!ended).then_some(parts);
        let root = root_of(&known).filter(|_| ended);
        let up_to_date = match &root {
            Some(root) => self.is_up_to_date(root).await?,
            None => false,
        };
        let blobs = self.take(known);
        self.look_up_tags();
        if up_to_date {
            self.all_there();
        } else {
            match root.filter(|_| !self.asked_for.is_empty()) {
                // Bytes travel when it is known that not all of it is there; what asks ahead of them need not wait for that.
                Some(root) => self.look_for(root),
                None => self.lanes.open(),
            }
            self.begin(blobs);
            self.place();
        }
        self.work().await?;
        self.gathered()
    }

    async fn work(&mut self) -> Result<()> {
        loop {
            tokio::select! {
                Some(step) = self.under_way.next(), if !self.under_way.is_empty() => self.done(step?),
                part = next_part(&mut self.parts), if self.parts.is_some() => match part {
                    Some(part) => {
                        let blobs = self.take(vec![part?]);
                        self.begin(blobs);
                    }
                    None => self.parts = None,
                },
                else => return Ok(()),
            }
            self.place();
        }
    }

    /// One request tells it, most of the time.
    async fn is_up_to_date(&mut self, root: &Digest) -> Result<bool> {
        let Some(tag) = self.asked_for.first() else { return self.lanes.to.has_manifest(root).await };
        let means = self.lanes.to.resolve(tag).await?;
        let same = means.as_ref() == Some(root);
        self.tags.of.insert(tag.clone(), means);
        Ok(same)
    }

    fn look_for(&mut self, root: Digest) {
        let lanes = self.lanes;
        self.under_way.push(async move { lanes.to.has_manifest(&root).await.map(Step::Found) }.boxed());
    }

    fn look_up_tags(&mut self) {
        let lanes = self.lanes;
        for tag in self.asked_for.iter().filter(|tag| !self.tags.of.contains_key(*tag)) {
            self.under_way.push(async move { lanes.to.resolve(tag).await.map(|means| Step::Means(tag.clone(), means)) }.boxed());
        }
    }

    /// Takes parts in; the blobs among them that are new.
    fn take(&mut self, parts: Vec<Part>) -> Vec<Descriptor> {
        let mut new = Vec::new();
        for part in parts {
            match part {
                Part::Manifest(manifest) => self.manifests.push(Waiting { manifest, stage: Stage::Waits }),
                Part::Blob(blob) if self.blobs.contains_key(&blob.digest) => {}
                Part::Blob(blob) => {
                    (self.lanes.progress)(Event::Named { blob: blob.digest.clone(), size: blob.size });
                    self.blobs.insert(blob.digest.clone(), Blob { size: blob.size, there: false });
                    new.push(blob);
                }
            }
        }
        new
    }

    /// Sends blobs on their way, the biggest first.
    fn begin(&mut self, mut blobs: Vec<Descriptor>) {
        blobs.sort_by_key(|blob| Reverse(blob.size));
        for blob in blobs {
            let (lanes, rank, digest) = (self.lanes, self.begun, blob.digest.clone());
            self.begun += 1;
            self.under_way.push(async move { lanes.blob(blob, rank).await.map(|came| Step::Blob(digest, came)) }.boxed());
        }
    }

    fn done(&mut self, step: Step) {
        match step {
            Step::Blob(digest, came) => self.blob_is_there(&digest, came),
            Step::Manifest(digest, keeps_referrers) => {
                self.keeps_referrers |= keeps_referrers;
                let found = self.manifests.iter_mut().filter(|waiting| waiting.manifest.descriptor.digest == digest);
                found.for_each(|waiting| waiting.stage = Stage::ReadBack);
            }
            Step::Found(false) => self.lanes.open(),
            Step::Found(true) => {
                // What was begun is let go of: nothing has been sent yet.
                self.under_way.clear();
                self.look_up_tags();
                self.all_there();
            }
            Step::Means(tag, digest) => {
                self.tags.of.insert(tag, digest);
            }
        }
    }

    fn blob_is_there(&mut self, digest: &Digest, came: Came) {
        let Some(blob) = self.blobs.get_mut(digest).filter(|blob| !blob.there) else { return };
        blob.there = true;
        match came {
            Came::Sent => self.sent += blob.size,
            Came::WasThere => self.skipped += blob.size,
        }
    }

    fn all_there(&mut self) {
        let missing: Vec<Digest> = self.blobs.iter().filter(|(_, blob)| !blob.there).map(|(digest, _)| digest.clone()).collect();
        for blob in missing {
            self.blob_is_there(&blob, Came::WasThere);
            (self.lanes.progress)(Event::There { blob });
        }
        self.manifests.iter_mut().for_each(|waiting| waiting.stage = Stage::ReadBack);
        self.complete = true;
    }

    /// Writes every manifest that can be: its blobs are there and its children were read back. The last one is left: it may be the root.
    fn place(&mut self) {
        for index in 0..self.manifests.len().saturating_sub(1) {
            let waiting = &self.manifests[index];
            if waiting.stage != Stage::Waits || !self.can_be_placed(&waiting.manifest) {
                continue;
            }
            let (lanes, manifest) = (self.lanes, waiting.manifest.clone());
            self.manifests[index].stage = Stage::UnderWay;
            let placing = async move {
                let placed = lanes.manifest(&manifest, None).await?;
                Ok(Step::Manifest(manifest.descriptor.digest, placed.keeps_referrers))
            };
            self.under_way.push(placing.boxed());
        }
    }

    fn can_be_placed(&self, manifest: &Manifest) -> bool {
        let is_read_back = |child: &Digest| {
            let mut known = self.manifests.iter();
            known.any(|waiting| waiting.manifest.descriptor.digest == *child && waiting.stage == Stage::ReadBack)
        };
        manifest.blobs.iter().all(|blob| self.blobs.get(blob).is_some_and(|blob| blob.there)) && manifest.children.iter().all(is_read_back)
    }

    fn gathered(mut self) -> Result<Gathered> {
        let last = self.manifests.pop().ok_or_else(|| Failure::new(Kind::Missing, "the image has no manifest"))?;
        let is_stuck = |waiting: &&Waiting| waiting.stage != Stage::ReadBack;
        if let Some(stuck) = self.manifests.iter().find(is_stuck) {
            return Err(self.incomplete(&stuck.manifest));
        }
        if !self.complete && !self.can_be_placed(&last.manifest) {
            return Err(self.incomplete(&last.manifest));
        }
        let root = last.manifest;
        let mut manifests: Vec<Digest> = self.manifests.into_iter().map(|waiting| waiting.manifest.descriptor.digest).collect();
        manifests.push(root.descriptor.digest.clone());
        let Self { complete, sent, skipped, keeps_referrers, tags, .. } = self;
        Ok(Gathered { root, complete, manifests, sent, skipped, keeps_referrers, tags })
    }

    fn incomplete(&self, manifest: &Manifest) -> Failure {
        let named = manifest.blobs.iter().filter(|blob| !self.blobs.contains_key(*blob));
        let is_known = |child: &&Digest| self.manifests.iter().any(|waiting| waiting.manifest.descriptor.digest == **child);
        let missing: Vec<&str> =
            named.chain(manifest.children.iter().filter(|child| !is_known(child))).map(Digest::as_str).take(5).collect();
        Failure::new(Kind::Missing, format!("the image is not whole: {} names what is not in it", manifest.descriptor.digest.short()))
            .why(format!("missing: {}", missing.join(", ")))
            .fix("build or save the image again")
    }
}

/// The parts that are known at once, and whether that is all of them.
fn ready_at_once(parts: &mut BoxStream<'_, Result<Part>>) -> Result<(Vec<Part>, bool)> {
    let mut known = Vec::new();
    loop {
        match parts.next().now_or_never() {
            None => return Ok((known, false)),
            Some(None) => return Ok((known, true)),
            Some(Some(part)) => known.push(part?),
        }
    }
}

async fn next_part(parts: &mut Option<BoxStream<'_, Result<Part>>>) -> Option<Result<Part>> {
    match parts {
        Some(parts) => parts.next().await,
        None => std::future::pending().await,
    }
}

/// The digest of the last part, where that is a manifest.
fn root_of(known: &[Part]) -> Option<Digest> {
    match known.last() {
        Some(Part::Manifest(manifest)) => Some(manifest.descriptor.digest.clone()),
        _ => None,
    }
}
