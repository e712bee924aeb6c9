//! What stands where an image is to run, and the one rule about the machines there. It only looks.

use crate::failure::{Failure, Kind, Result};
use crate::image::content::Platform;
use crate::image::platform::listed;
use crate::image::reference::Reference;
use crate::mode::members;
use crate::values::ServiceName;

use super::Stage;

/// What stands where an image is to run.
#[derive(Default)]
pub(super) struct Stands {
    /// The image that serves.
    pub(super) image: Option<Reference>,
    /// The machines, where the platform tells.
    pub(super) machine: Option<Platform>,
    /// Whether whoever pulls it there reads zstd.
    pub(super) reads_zstd: bool,
}

impl Stage<'_> {
    /// What `service` runs now; an image that is deployed nowhere runs nowhere.
    pub(super) async fn stands(&self, service: &ServiceName) -> Result<Stands> {
        let Some(plan) = self.plan.services.iter().find(|plan| plan.name == *service) else { return Ok(Stands::default()) };
        match members::target(self.context, plan, self.sessions)?.snapshot().await {
            Ok(captured) => Ok(Stands {
                image: captured.image.and_then(|image| Reference::parse(&image).ok()),
                machine: captured.runs_on.and_then(|text| Platform::parse(text).ok()),
                reads_zstd: captured.reads_zstd,
            }),
            Err(failure) if failure.kind == Kind::Transient => Ok(Stands::default()),
            Err(failure) => Err(failure),
        }
    }
}

impl Stands {
    /// Refuses an image, called `image`, that cannot run here. One that says of no platform that it is for it may be for any.
    pub(super) fn must_run(&self, image: &str, platforms: &[Platform]) -> Result<()> {
        let Some(machine) = &self.machine else { return Ok(()) };
        if platforms.is_empty() || platforms.iter().any(|platform| platform.suits(machine)) {
            return Ok(());
        }
        Err(Failure::config(format!("{image} does not run on {machine}"))
            .why(format!("it is an image for {}, and the service's machines are {machine}", listed(platforms)))
            .fix(format!("build it for them: docker buildx build --platform {machine}"))
            .fix("or change the processor where the service is defined (ECS: runtimePlatform of the task definition)"))
    }
}
