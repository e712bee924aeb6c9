//! Where the image of a push lies: opens it there, and asks it what it runs on and where it comes from. What the service runs now tells
//! which layers need not come out of the daemon again.

use std::collections::HashMap;

use crate::config::plan::PushPlan;
use crate::failure::{Failure, Result};
use crate::http::docker::Engine;
use crate::image::configuration::Origin;
use crate::image::content::{Content, Descriptor, Part, Platform};
use crate::image::reference::Source;
use crate::image::registry::Repository;
use crate::image::registry::source::RegistryImage;
use crate::image::source::archive::Archived;
use crate::image::source::daemon::delivery::Delivery;
use crate::image::source::daemon::{self, Held};
use crate::image::source::{Compression, Packing, Wanted, archive, known, layout};
use crate::runner::workspace::Workspace;
use crate::values::Digest;

use super::Stage;
use super::stands::Stands;

/// An image that can be pushed.
pub(super) struct Opened {
    pub(super) way: Way,
    /// What it runs on, as far as it says.
    pub(super) platforms: Vec<Platform>,
    pub(super) origin: Origin,
}

/// How it gets there.
pub(super) enum Way {
    /// Read and sent by us.
    Read(Box<dyn Content>),
    /// Sent by the daemon that has it.
    Delivered(Box<Delivery>),
}

impl Stage<'_> {
    /// The image `plan` is about, on its way to `to`.
    pub(super) async fn open(&self, plan: &PushPlan, to: &Repository, stands: &Stands) -> Result<Opened> {
        let workspace = Workspace::of(&self.context.env);
        let wanted = |tag: Option<&String>| Wanted { tag: tag.cloned(), platform: plan.platform.clone(), referrers: plan.referrers };
        match &plan.from {
            Source::Registry(reference) => {
                let from = self.registries.source(&reference.repository, &plan.to);
                let image = RegistryImage::look(from, reference, plan.platform.as_ref()).await?;
                let (platforms, origin) = image.says().await;
                Ok(Opened { way: Way::Read(Box::new(image)), platforms, origin })
            }
            Source::Archive { file } => {
                let archived = archive::open(&workspace.find(file)?, &wanted(None), &self.packing(plan, stands, HashMap::new())).await?;
                let (platforms, origin) = (archived.platforms().to_vec(), archived.origin().clone());
                let content: Box<dyn Content> = match archived {
                    Archived::Whole(image) => image,
                    Archived::Saved(_) if plan.referrers => return Err(none_refer(plan)),
                    Archived::Saved(saved) => Box::new(saved),
                };
                Ok(Opened { way: Way::Read(content), platforms, origin })
            }
            Source::Layout { folder, tag } => {
                let image = layout::open(&workspace.find(folder)?, &wanted(tag.as_ref())).await?;
                let (platforms, origin) = (image.platforms().to_vec(), image.origin().clone());
                Ok(Opened { way: Way::Read(Box::new(image)), platforms, origin })
            }
            Source::Daemon(kept) => {
                let engine = Engine::at(self.context.http.clone(), &daemon::socket(self.context.env.get("DOCKER_HOST"))?);
                let packing = self.packing(plan, stands, there(to, plan, stands).await);
                let held = daemon::open(&engine, kept, &wanted(None), &packing).await?;
                let (platforms, origin) = (held.platforms(), held.origin());
                let way = match held {
                    Held::Legacy(export) => Way::Read(Box::new(export)),
                    Held::Containerd(delivery) => Way::Delivered(delivery),
                };
                Ok(Opened { way, platforms, origin })
            }
        }
    }

    /// Every registry keeps either; everything that pulls reads gzip.
    fn packing(&self, plan: &PushPlan, stands: &Stands, known: HashMap<Digest, Descriptor>) -> Packing {
        let best = if stands.reads_zstd { Compression::Zstd } else { Compression::Gzip };
        Packing { compression: plan.compression.unwrap_or(best), spool: Workspace::temporary(&self.context.env), known }
    }
}

impl Opened {
    /// The digest it will have, where that is known without sending it: its last manifest is its root.
    pub(super) async fn root(&self) -> Result<Digest> {
        let content = match &self.way {
            Way::Read(content) => content,
            Way::Delivered(delivery) => {
                return delivery.expected().cloned().ok_or_else(|| Failure::config("the daemon cannot tell the digest before it pushes"));
            }
        };
        let (mut parts, mut root) = (content.parts(), None);
        while let Some(part) = futures_util::StreamExt::next(&mut parts).await {
            if let Part::Manifest(manifest) = part? {
                root = Some(manifest.descriptor.digest);
            }
        }
        root.ok_or_else(|| Failure::config("the image has no manifest"))
    }
}

/// Asked for is what the source cannot hold.
fn none_refer(plan: &PushPlan) -> Failure {
    Failure::config(format!("referrers is set, and {} holds nothing that refers to its image", plan.from))
        .why("it is as docker save writes it: an image, and nothing about it")
        .fix("remove referrers, or push from a registry or from a layout that has them")
}

/// The layers that lie at the destination already, of the image that serves or else of one with the same tag.
async fn there(to: &Repository, plan: &PushPlan, stands: &Stands) -> HashMap<Digest, Descriptor> {
    let serving = stands.image.iter().filter(|image| image.repository == plan.to).filter_map(|image| image.digest.as_ref());
    for by in serving.map(Digest::as_str).chain(plan.tags.iter().map(String::as_str)) {
        if let Ok(Some(reading)) = to.manifest(by).await
            && let Ok(Some(configuration)) = to.configuration(&reading).await
        {
            return known(&reading, &configuration);
        }
    }
    HashMap::new()
}
