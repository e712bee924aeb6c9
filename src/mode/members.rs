//! From a valid plan to the engine's members: signs in where the services live and builds each target.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::cloud::aws::ecr;
use crate::cloud::aws::{AwsAuth, Entrance, Keep, Session};
use crate::config::plan::{Plan, PushPlan, ServicePlan, TargetPlan};
use crate::engine::member::{Checks, FateOf, Goal, Member};
use crate::failure::{Failure, Result};
use crate::health::HealthAt;
use crate::health::probe::Shipped;
use crate::image::reference::Source;
use crate::runner::oidc::Oidc;
use crate::target::ServiceOrder;
use crate::target::any::AnyTarget;
use crate::target::ecs::{Clusters, Ecs};
use crate::values::{PinnedImage, Secret, ServiceName};

use super::context::Context;

/// Images by service.
pub(crate) type Images = BTreeMap<ServiceName, PinnedImage>;

/// Sessions by region, and what the targets of one cluster share.
#[derive(Default)]
pub(crate) struct Sessions {
    aws: BTreeMap<String, Session>,
    clusters: Clusters,
}

impl Sessions {
    /// Every session.
    pub(crate) fn by_region(&self) -> BTreeMap<String, Session> {
        self.aws.clone()
    }

    /// A session that calls `region`, where no service has to live.
    pub(crate) fn in_region(&self, region: &str) -> Result<Session> {
        let own = self.aws.get(region).cloned().or_else(|| self.aws.values().next()?.in_region(region));
        own.ok_or_else(|| Failure::config(format!("nobody signed in to AWS for {region}")).fix("set aws-role and aws-region"))
    }

    /// The session of `region`.
    pub(crate) fn aws(&self, region: &str) -> Result<&Session> {
        self.aws.get(region).ok_or_else(|| Failure::bug(format!("nobody signed in to {region}")))
    }
}

/// Signs in once for every region the plan's services live in.
pub(crate) async fn sign_in(context: &Context, plan: &Plan) -> Result<Sessions> {
    let pushed = plan.push_only.iter().flat_map(|(_, push)| registries(push));
    enter(context, &plan.auth.aws, regions(&plan.services).chain(pushed), None).await
}

/// The regions of ECR that a push reads from or writes to.
fn registries(push: &PushPlan) -> impl Iterator<Item = String> {
    let from = match &push.from {
        Source::Registry(reference) => Some(&reference.repository),
        Source::Daemon(_) | Source::Archive { .. } | Source::Layout { .. } => None,
    };
    [Some(&push.to), from].into_iter().flatten().filter_map(|name| ecr::Repository::parse(&name.to_string())).map(|place| place.region)
}

/// Signs in again in the post step: a fresh token first, then what main kept.
pub(crate) async fn sign_in_again(context: &Context, auth: &AwsAuth, plans: &[ServicePlan], nonce: &str) -> Result<Sessions> {
    let kept = context.home.as_ref().ok().and_then(|home| home.credentials(nonce)).map(Secret::new);
    enter(context, auth, regions(plans), kept).await
}

/// Where the services live.
fn regions(plans: &[ServicePlan]) -> impl Iterator<Item = String> {
    plans.iter().map(|plan| {
        let TargetPlan::Ecs(settings) = &plan.target;
        settings.region.clone()
    })
}

async fn enter(context: &Context, auth: &AwsAuth, regions: impl Iterator<Item = String>, kept: Option<Secret>) -> Result<Sessions> {
    let entrance = Entrance {
        http: context.http.clone(),
        oidc: Oidc::of(&context.env, context.http.clone(), context.log.clone()),
        log: context.log.clone(),
        endpoints: context.aws.clone(),
        session_name: format!("touchdown-{}", context.run.id),
        kept,
        keep: keep(context),
    };
    let mut sessions = Sessions::default();
    for region in regions {
        if let Entry::Vacant(vacant) = sessions.aws.entry(region) {
            let session = Session::sign_in(&entrance, auth, vacant.key()).await?;
            tracing::info!("signed in to AWS {} in {}", session.identity().account, vacant.key());
            vacant.insert(session);
        }
    }
    Ok(sessions)
}

/// Rewrites the kept credentials at every renewal, for a post step that may not be given a token any more.
fn keep(context: &Context) -> Option<Keep> {
    let context = context.in_workflow().then(|| context.clone())?;
    Some(Arc::new(move |credentials: &Secret| super::keep::credentials(&context, credentials)))
}

/// What members are built of.
pub(crate) struct Building<'a> {
    pub(crate) context: &'a Context,
    pub(crate) sessions: &'a Sessions,
    pub(crate) checks: Checks,
}

/// The member for `plan`.
pub(crate) fn member(building: &Building<'_>, plan: &ServicePlan, goal: Goal) -> Result<Member> {
    let Building { context, sessions, checks } = building;
    Ok(Member {
        name: plan.name.clone(),
        run: context.run.clone(),
        nonce: context.nonce.clone(),
        fate: fate_of(context),
        target: target(context, plan, sessions)?,
        shipped: shipped(&goal),
        goal,
        health: plan.health.clone(),
        checks: *checks,
        shares: plan.steps.clone(),
        hold: plan.hold,
        in_flight: plan.in_flight,
        before: plan.before.clone(),
        migrate: plan.migrate.clone(),
        epilogue: None,
        timeout: plan.timeout,
        rollback_timeout: plan.rollback_timeout,
    })
}

fn fate_of(context: &Context) -> FateOf {
    let env = context.env.clone();
    Arc::new(move |step| super::keep::fate(&env, step))
}

/// A new release of the service's image.
pub(crate) fn goal(plan: &ServicePlan, images: &Images) -> Goal {
    images.get(&plan.name).map_or(Goal::WhatStoodBefore, |image| Goal::Image(image.clone()))
}

/// The target of one service.
pub(crate) fn target(context: &Context, plan: &ServicePlan, sessions: &Sessions) -> Result<Arc<dyn AnyTarget>> {
    let order = ServiceOrder {
        name: plan.name.clone(),
        service: plan.service.clone(),
        container: plan.container.clone(),
        env: plan.env.clone(),
        secrets: plan.secrets.clone(),
        in_flight: plan.in_flight,
        address_given: matches!(plan.health.at, HealthAt::Url(_)),
        health_waived: matches!(plan.health.at, HealthAt::Waived(_)),
        run: context.run.clone(),
        timeout: plan.timeout,
    };
    match &plan.target {
        TargetPlan::Ecs(settings) => {
            let session = sessions.aws(&settings.region)?.clone();
            Ok(Arc::new(Ecs::new(order, settings.clone(), plan.definition.clone(), session, &sessions.clusters)))
        }
    }
}

/// A release that the platform has already may be of any build; what runs now is held to what the settings say.
fn shipped(goal: &Goal) -> Shipped {
    match goal {
        Goal::Image(image) => Shipped::Build { digest: Some(image.digest.clone()), revision: None },
        Goal::WhatStoodBefore => Shipped::Build { digest: None, revision: None },
        Goal::Release(_) => Shipped::AnyBuild,
    }
}
