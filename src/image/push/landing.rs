//! The end of a push: the root, which makes an image of what has arrived, and its tags. A tag that does not exist yet comes into being with the root;
//! any other is written when the root has been read back.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::failure::Result;
use crate::image::content::Manifest;
use crate::image::registry::manifests::Placed;
use crate::values::Digest;

use super::Push;
use super::lanes::Lanes;
use super::progress::Event;
use super::run::{Gathered, Meanings};
use super::tags::{Fate, Tagged, write};

/// What was looked up longer ago is looked up again before a tag is written.
const FRESH: Duration = Duration::from_secs(10);
/// So many tags are asked for or written at once.
const AT_ONCE: usize = 4;

/// The end of one push.
pub(super) struct Landing<'a> {
    pub(super) push: &'a Push<'a>,
    pub(super) lanes: &'a Lanes<'a>,
}

/// An image that has arrived.
pub(super) struct Landed {
    pub(super) tags: Vec<Tagged>,
    pub(super) keeps_referrers: bool,
}

impl Landing<'_> {
    /// Writes what is still missing. What every tag means is looked up anew where that was long ago.
    pub(super) async fn land(&self, gathered: &Gathered) -> Result<Landed> {
        let means = self.meanings(&gathered.tags).await?;
        let root = Some(&gathered.root.descriptor.digest);
        let (placed, written) = if gathered.complete || means.values().any(|means| means.as_ref() == root) {
            self.push.content.unchanged().await?;
            (Placed::default(), None)
        } else {
            self.placed(&gathered.root, &means).await?
        };
        let tags = self.tagged(&gathered.root, &means, written).await?;
        Ok(Landed { tags, keeps_referrers: placed.keeps_referrers || gathered.keeps_referrers })
    }

    async fn meanings(&self, known: &Meanings) -> Result<HashMap<String, Option<Digest>>> {
        if self.lanes.to.http().clock().now().since(known.since) < FRESH {
            return Ok(known.of.clone());
        }
        let looking = |tag: String| async move { Ok((tag.clone(), self.lanes.to.resolve(&tag).await?)) };
        stream::iter(self.push.tags.to_vec()).map(looking).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Writes the root and reads it back; the tag that came into being with it.
    async fn placed(&self, root: &Manifest, means: &HashMap<String, Option<Digest>>) -> Result<(Placed, Option<String>)> {
        let new = self.push.tags.iter().find(|tag| matches!(means.get(*tag), Some(None)));
        let mut asking = self.push.content.unchanged();
        // Who must ask others whether the source is still the same has no tag written before the answer.
        match (&mut asking).now_or_never() {
            Some(unchanged) => {
                unchanged?;
                let placed = self.lanes.manifest(root, new.map(String::as_str)).await?;
                Ok((placed, new.cloned()))
            }
            None => {
                let (unchanged, placed) = tokio::join!(asking, self.lanes.manifest(root, None));
                unchanged?;
                Ok((placed?, None))
            }
        }
    }

    async fn tagged(&self, root: &Manifest, means: &HashMap<String, Option<Digest>>, written: Option<String>) -> Result<Vec<Tagged>> {
        let one = |tag: String| {
            let (means, is_written) = (means.get(&tag).cloned().flatten(), written.as_ref() == Some(&tag));
            async move {
                let fate = if is_written { Fate::Written } else { write(&self.lanes.to, root, &tag, means, self.push.moving).await? };
                let tagged = Tagged { tag, fate };
                (self.push.progress)(Event::Tag(tagged.clone()));
                Ok(tagged)
            }
        };
        stream::iter(self.push.tags.to_vec()).map(one).buffered(AT_ONCE).try_collect().await
    }
}
