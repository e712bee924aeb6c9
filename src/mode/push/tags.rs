//! Tags that mean another image move when the group stands, and not before: after a rollback nobody pulls the bad image by name.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::engine::member::Epilogue;
use crate::engine::record::{PushRecord, TagRecord};
use crate::failure::{Kind, Result};
use crate::image::push::tags::move_tag;
use crate::image::reference::RepositoryName;
use crate::image::registry::Purpose;

use super::Registries;

/// The tags of one service's image that are to move.
pub(crate) struct TagsMove {
    pub(crate) registries: Registries,
    pub(crate) push: PushRecord,
}

impl TagsMove {
    pub(crate) fn of(registries: &Registries, push: PushRecord) -> Arc<dyn Epilogue> {
        Arc::new(Self { registries: registries.clone(), push })
    }
}

impl Epilogue for TagsMove {
    fn run(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        async move {
            let repository = self.registries.open(&RepositoryName::parse(&self.push.image.repository)?, Purpose::Push);
            for TagRecord { tag, from, .. } in self.push.tags.iter().filter(|tag| tag.is_to_move()) {
                match move_tag(&repository, tag, from.as_ref(), &self.push.image.digest).await {
                    Ok(_) => tracing::info!("the tag {tag} of {} has moved", self.push.image.repository),
                    // Somebody else's newer image stays where it is.
                    Err(failure) if failure.kind == Kind::Superseded => tracing::warn!("{failure}"),
                    Err(failure) => return Err(failure),
                }
            }
            Ok(())
        }
        .boxed()
    }
}
