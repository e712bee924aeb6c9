//! What of the settings a rehearsal cannot keep, each told in the summary: nothing is left out in silence.

use std::time::Duration;

use crate::cloud::aws::ecr;
use crate::config::plan::{ImageSource, Plan, PushPlan, ServicePlan};
use crate::image::hashing::digest_of;
use crate::image::reference::{Reference, RepositoryName, Source};
use crate::values::PinnedImage;

/// The simulator answers at once by the wall, and its clock runs many times as fast: so much is forgiven a limit of latencies.
const FORGIVEN: Duration = Duration::from_millis(1500);

/// Adjusts the plan and notes what was adjusted.
pub(super) fn to_a_rehearsal(plan: &mut Plan) {
    let mut notes: Vec<String> = plan.services.iter_mut().flat_map(service).collect();
    if let Some(account) = plan.auth.aws.expected_account.take() {
        notes.push(format!("a rehearsal has an account of its own: aws-expected-account {account} was not rehearsed"));
    }
    plan.notes.extend(notes);
}

fn service(service: &mut ServicePlan) -> Vec<String> {
    let (health, mut notes) = (&mut service.health, Vec::new());
    // The application of a rehearsal has no text that would match a pattern.
    for body in std::iter::once(&mut health.body).chain(health.smoke.iter_mut().map(|test| &mut test.body)) {
        if body.as_deref().and_then(crate::health::pattern).is_some() {
            notes.extend(body.take().map(|pattern| format!("no body here matches {pattern}: that was not rehearsed")));
        }
    }
    for limit in std::iter::once(&mut health.max_latency).chain(health.smoke.iter_mut().map(|test| &mut test.max_latency)) {
        *limit = limit.map(|limit| limit + FORGIVEN);
    }
    if health.max_latency.is_some() {
        notes.push(format!("its clock is fast: limits of latencies are {} longer", humantime::format_duration(FORGIVEN)));
    }
    if let Some(ImageSource::Pushed(push)) = &service.image
        && copied(service, push).is_none()
    {
        notes.push(format!("nothing is pushed: {} to {} was not rehearsed", push.from, push.to));
        service.image = made_up(&push.to, push.tags.first());
    }
    if let Some(ImageSource::Tagged { repository, tag, .. }) = &service.image
        && ecr::Repository::parse(&repository.to_string()).is_none()
    {
        notes.push(format!("no registry is asked: what {repository}:{tag} means was not rehearsed"));
        service.image = made_up(repository, Some(tag));
    }
    notes.into_iter().map(|note| format!("{}: {note}", service.name)).collect()
}

/// A copy by tag from one of ECR's repositories to another is rehearsed as it is: the simulator has both. Its image is one for Intel.
pub(super) fn copied<'a>(service: &ServicePlan, push: &'a PushPlan) -> Option<(&'a RepositoryName, &'a str)> {
    let Source::Registry(Reference { repository, tag: Some(tag), digest: None }) = &push.from else { return None };
    let both = [repository, &push.to].iter().all(|name| ecr::Repository::parse(&name.to_string()).is_some());
    (both && push.platform.is_none() && service.definition.is_none()).then_some((repository, tag.as_str()))
}

/// An image with a digest of its name.
fn made_up(repository: &RepositoryName, tag: Option<&String>) -> Option<ImageSource> {
    let digest = digest_of(repository.to_string().as_bytes()).ok()?;
    Some(ImageSource::Pinned(PinnedImage { repository: repository.to_string(), tag: tag.cloned(), digest }))
}
