//! The image of a service, found before anything is changed: the one a tag means, and that one which is to be pushed, each held to the machines it must run on.

use crate::cloud::aws::ecr;
use crate::config::plan::{ImageSource, PushPlan, ServicePlan};
use crate::failure::{Failure, Kind, Result};
use crate::image::content::Platform;
use crate::image::platform::listed;
use crate::image::reference::{RepositoryName, Source};
use crate::image::registry::{Absent, Purpose, Repository};
use crate::values::{PinnedImage, ServiceName};

use super::Stage;
use super::origin::Opened;

/// The image of a service.
pub(super) enum Found {
    /// It lies in its repository.
    Pinned(PinnedImage),
    /// It is pushed first: the one of that number of those that wait.
    Awaiting(usize),
}

/// An image that is opened where it lies, and fits where it is to run.
pub(super) struct Awaiting<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) plan: &'a PushPlan,
    pub(super) to: Repository,
    pub(super) opened: Opened,
}

impl<'a> Stage<'a> {
    /// The image of `service`, where it names one. What is pushed for several services is opened once.
    pub(super) async fn find(&self, service: &'a ServicePlan, purpose: Purpose, waiting: &mut Vec<Awaiting<'a>>) -> Result<Option<Found>> {
        Ok(Some(match &service.image {
            None => return Ok(None),
            Some(ImageSource::Pinned(image)) => Found::Pinned(image.clone()),
            Some(ImageSource::Tagged { repository, tag, platform }) => {
                Found::Pinned(self.look_up(&service.name, repository, tag, platform.as_ref()).await?)
            }
            Some(ImageSource::Pushed(push)) => match waiting.iter().position(|other| *other.plan == **push) {
                Some(index) => {
                    self.stands(&service.name).await?.must_run(&push.from.to_string(), &waiting[index].opened.platforms)?;
                    Found::Awaiting(index)
                }
                None => {
                    waiting.push(self.await_push(&service.name, push, purpose).await?);
                    Found::Awaiting(waiting.len() - 1)
                }
            },
        }))
    }

    /// Opens the image that `plan` pushes.
    pub(super) async fn await_push(&self, service: &'a ServiceName, plan: &'a PushPlan, purpose: Purpose) -> Result<Awaiting<'a>> {
        let absent = if self.plan.auth.registries.create && purpose == Purpose::Push { Absent::Make } else { Absent::Refuse };
        let mut to = self.registries.open(&plan.to, purpose).when_absent(absent);
        if let Source::Registry(from) = &plan.from
            && from.repository.host() == plan.to.host()
        {
            to = to.mounting(&from.repository);
        }
        let mut stands = self.stands(service).await?;
        // It is packed once, for whoever reads the least.
        for other in self.plan.services.iter().filter(|other| other.name != *service && pushes(other, plan)) {
            stands.reads_zstd &= self.stands(&other.name).await?.reads_zstd;
        }
        let opened = self.open(plan, &to, &stands).await?;
        stands.must_run(&plan.from.to_string(), &opened.platforms)?;
        Ok(Awaiting { service, plan, to, opened })
    }

    /// The image `tag` means now, held to the machines of `service` as far as its registry lets it be read.
    async fn look_up(
        &self,
        service: &ServiceName,
        repository: &RepositoryName,
        tag: &str,
        platform: Option<&Platform>,
    ) -> Result<PinnedImage> {
        let (image, stands) = tokio::join!(self.resolve(repository, tag), self.stands(service));
        let (image, stands) = (image?, stands?);
        let name = format!("{repository}:{tag}");
        tracing::info!(service = %service, "{name} is {}", image.digest);
        if let Some(machine) = &stands.machine {
            match self.read(repository, &image).await {
                Ok(platforms) => stands.must_run(&name, &asked_for(platforms, &name, platform)?)?,
                Err(failure) => tracing::info!(service = %service, "{}", unread(&name, machine, &failure)),
            }
        }
        Ok(image)
    }

    /// By ECR's own call, which needs the least permission, or by the registry.
    async fn resolve(&self, repository: &RepositoryName, tag: &str) -> Result<PinnedImage> {
        let name = repository.to_string();
        let digest = match ecr::Repository::parse(&name) {
            Some(place) => {
                let session = self.sessions.in_region(&place.region)?;
                ecr::digest(&session, &place, tag).await?
            }
            None => {
                let found = self.registries.open(repository, Purpose::Pull).resolve(tag).await?;
                found.ok_or_else(|| {
                    Failure::new(Kind::Missing, format!("{name} has no tag {tag}"))
                        .fix("push the image first, or correct the tag")
                        .fix("where it is private, give the step a login: registry-username and registry-password, or docker/login-action")
                })?
            }
        };
        Ok(PinnedImage { repository: name, tag: Some(tag.to_owned()), digest })
    }

    /// What `image` runs on, as its manifest or its configuration says.
    async fn read(&self, repository: &RepositoryName, image: &PinnedImage) -> Result<Vec<Platform>> {
        let from = self.registries.open(repository, Purpose::Pull);
        let reading = from.manifest(image.digest.as_str()).await?;
        let reading = reading.ok_or_else(|| Failure::new(Kind::Missing, "its registry does not show it"))?;
        Ok(from.says(&reading).await?.0)
    }
}

fn pushes(service: &ServicePlan, plan: &PushPlan) -> bool {
    matches!(&service.image, Some(ImageSource::Pushed(push)) if **push == *plan)
}

/// Those of `platforms` that are meant.
fn asked_for(platforms: Vec<Platform>, name: &str, asked: Option<&Platform>) -> Result<Vec<Platform>> {
    let Some(asked) = asked.filter(|_| !platforms.is_empty()) else { return Ok(platforms) };
    let (meant, others): (Vec<Platform>, Vec<Platform>) = platforms.into_iter().partition(|platform| platform.suits(asked));
    if meant.is_empty() {
        return Err(Failure::config(format!("{name} is not built for {asked}"))
            .why(format!("it is an image for {}", listed(&others)))
            .fix("build it for this platform too, or correct platform"));
    }
    Ok(meant)
}

/// What is told where an image could not be looked into: it is deployed all the same.
fn unread(name: &str, machine: &Platform, failure: &Failure) -> String {
    let why = failure.why.first().map(|why| format!(" ({why})")).unwrap_or_default();
    let lacking = match failure.kind {
        Kind::Denied => "; on ECR that takes ecr:GetAuthorizationToken, ecr:BatchGetImage and ecr:GetDownloadUrlForLayer",
        _ => "",
    };
    format!("not checked: whether {name} is built for {machine}: {}{why}{lacking}", failure.what)
}
