//! From a valid plan to the engine's members: signs in where the services live and builds each target.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cloud::aws::{AwsAuth, Entrance, Keep, Session};
use crate::config::plan::{Plan, ServicePlan, TargetPlan};
use crate::engine::member::{Checks, FateOf, Goal, Member};
use crate::failure::{Failure, Result};
use crate::health::HealthAt;
use crate::health::probe::Shipped;
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
    /// The session of `region`.
    pub(crate) fn aws(&self, region: &str) -> Result<&Session> {
        self.aws.get(region).ok_or_else(|| Failure::bug(format!("nobody signed in to {region}")))
    }
}

/// Signs in once for every region the plan's services live in.
pub(crate) async fn sign_in(context: &Context, plan: &Plan) -> Result<Sessions> {
    enter(context, &plan.auth.aws, &plan.services, None).await
}

/// Signs in again in the post step: a fresh token first, then what main kept.
pub(crate) async fn sign_in_again(context: &Context, auth: &AwsAuth, plans: &[ServicePlan], nonce: &str) -> Result<Sessions> {
    let kept = context.home.as_ref().ok().and_then(|home| home.credentials(nonce)).map(Secret::new);
    enter(context, auth, plans, kept).await
}

async fn enter(context: &Context, auth: &AwsAuth, plans: &[ServicePlan], kept: Option<Secret>) -> Result<Sessions> {
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
    for plan in plans {
        let TargetPlan::Ecs(settings) = &plan.target;
        if !sessions.aws.contains_key(&settings.region) {
            let session = Session::sign_in(&entrance, auth, &settings.region).await?;
            tracing::info!("signed in to AWS {} in {}", session.identity().account, settings.region);
            sessions.aws.insert(settings.region.clone(), session);
        }
    }
    Ok(sessions)
}

/// Rewrites the kept credentials at every renewal, for a post step that may not be given a token any more.
fn keep(context: &Context) -> Option<Keep> {
    let context = context.in_workflow().then(|| context.clone())?;
    Some(Arc::new(move |credentials: &Secret| super::keep::credentials(&context, credentials)))
}

/// The member for `plan`.
pub(crate) fn member(context: &Context, plan: &ServicePlan, sessions: &Sessions, goal: Goal, checks: Checks) -> Result<Member> {
    Ok(Member {
        name: plan.name.clone(),
        run: context.run.clone(),
        nonce: context.nonce.clone(),
        fate: fate_of(context),
        target: target(context, plan, sessions)?,
        shipped: shipped(&goal),
        goal,
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

fn fate_of(context: &Context) -> FateOf {
    let env = context.env.clone();
    Arc::new(move |step| super::keep::fate(&env, step))
}

/// A new release of the service's image.
pub(crate) fn goal(plan: &ServicePlan, images: &Images) -> Goal {
    images.get(&plan.name).map_or(Goal::WhatStoodBefore, |image| Goal::Image(image.clone()))
}

fn target(context: &Context, plan: &ServicePlan, sessions: &Sessions) -> Result<Arc<dyn AnyTarget>> {
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
        Goal::Image(image) => Shipped::Build { digest: Some(image.digest.clone()) },
        Goal::WhatStoodBefore => Shipped::Build { digest: None },
        Goal::Release(_) => Shipped::AnyBuild,
    }
}
