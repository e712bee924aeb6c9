//! From a valid plan to the engine's members: signs in where the services live and builds each target.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::aws::Session;
use crate::config::plan::{ServicePlan, TargetPlan};
use crate::engine::member::{Checks, Member};
use crate::failure::Result;
use crate::health::probe::Shipped;
use crate::health::{HealthAt, VersionIs};
use crate::target::ecs::{Ecs, EcsClusters};
use crate::target::{AnyTarget, Common};
use crate::values::{PinnedImage, ServiceName};

use super::context::Context;

/// Images by service.
pub(crate) type Images = BTreeMap<ServiceName, PinnedImage>;
/// Sessions by region.
pub(crate) type Sessions = BTreeMap<String, Session>;

/// The member for `plan`, with what is deployed where anything is.
pub(crate) fn member(context: &Context, plan: &ServicePlan, sessions: &Sessions, image: Option<PinnedImage>, checks: Checks) -> Result<Member> {
    Ok(Member {
        name: plan.name.clone(),
        run: context.origin.run.clone(),
        target: target(context, plan, sessions)?,
        shipped: shipped(plan, image.as_ref()),
        image,
        health: plan.health.clone(),
        checks,
        shares: plan.steps.clone(),
        hold: plan.hold,
        in_flight: plan.in_flight,
        before: plan.before.clone(),
        migrate: plan.migrate.clone(),
        timeout: plan.timeout,
        rollback_timeout: plan.rollback_timeout,
    })
}

fn shipped(plan: &ServicePlan, image: Option<&PinnedImage>) -> Shipped {
    let commit = plan.health.version.as_ref().and_then(|rule| match &rule.expected {
        VersionIs::Commit(commit) => Some(commit.clone()),
        VersionIs::Digest | VersionIs::Text(_) => None,
    });
    Shipped { commit, digest: image.map(|image| image.digest.clone()) }
}
