//! Images as they will be deployed: pinned by digest. A tag is looked up in its registry first.

use crate::cloud::aws::ecr;
use crate::config::plan::{ImageSource, Plan};
use crate::failure::{Failure, Result};
use crate::values::PinnedImage;

use super::members::{Images, Sessions};

/// Pins the image of every service that names one.
pub(crate) async fn pin(plan: &Plan, sessions: &Sessions) -> Result<Images> {
    let mut images = Images::new();
    for service in &plan.services {
        let pinned = match &service.image {
            None => continue,
            Some(ImageSource::Pinned(image)) => image.clone(),
            Some(ImageSource::Tagged { repository, tag }) => look_up(sessions, repository, tag).await?,
        };
        images.insert(service.name.clone(), pinned);
    }
    Ok(images)
}

async fn look_up(sessions: &Sessions, repository: &str, tag: &str) -> Result<PinnedImage> {
    let Some(place) = ecr::Repository::parse(repository) else {
        return Err(Failure::config(format!("{repository}:{tag}: tags of this registry are not looked up yet"))
            .fix(format!("give the image by its digest: {repository}@sha256:…")));
    };
    let session = sessions.aws(&place.region).map_err(|_| {
        Failure::config(format!("{repository}:{tag} lies in {}, where no service of this run lives", place.region))
            .fix(format!("give the image by its digest: {repository}@sha256:…"))
    })?;
    let digest = ecr::digest(session, &place, tag).await?;
    Ok(PinnedImage { repository: repository.to_owned(), tag: Some(tag.to_owned()), digest })
}
