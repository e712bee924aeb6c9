//! Service deployments and revisions: list, describe, stop, continue.

use serde_json::{Value, json};

use crate::simulator::ecs::model::{Deployment, Progress, Rollout, Service};
use crate::simulator::ecs::rollout::{self, Cause};
use crate::simulator::ecs::{service_of, views};
use crate::simulator::wire::{Outcome, Refusal, seconds, text, texts};
use crate::simulator::world::State;

/// ListServiceDeployments; a new one is not in it for the first seconds.
pub(crate) fn list(state: &mut State, region: &str, body: &Value) -> Outcome {
    let now = state.platform.now;
    let service = &state.services[service_of(state, region, body)?];
    let wanted = texts(body, "status");
    let after = body.pointer("/createdAt/after").and_then(Value::as_f64).unwrap_or(0.0);
    let before = body.pointer("/createdAt/before").and_then(Value::as_f64).unwrap_or(f64::MAX);
    let listed = service.deployments.iter().rev().filter(|one| one.rollback_of.is_none() && one.visible_at <= now);
    let entries: Vec<Value> = listed
        .filter(|one| wanted.is_empty() || wanted.iter().any(|status| status == one.progress.as_str()))
        .filter(|one| seconds(one.created_at).as_f64().is_some_and(|at| at >= after && at <= before))
        .map(|one| views::brief(service, one))
        .take(100)
        .collect();
    Ok(json!({ "serviceDeployments": entries }))
}

/// DescribeServiceDeployments.
pub(crate) fn describe(state: &mut State, body: &Value) -> Outcome {
    let now = state.platform.now;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in limited(body, "serviceDeploymentArns")? {
        match find(&state.services, &arn).filter(|(_, one)| one.visible_at <= now) {
            Some((service, one)) => found.push(views::service_deployment(service, one)),
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "serviceDeployments": found, "failures": failures }))
}

/// DescribeServiceRevisions.
pub(crate) fn revisions(state: &mut State, body: &Value) -> Outcome {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for arn in limited(body, "serviceRevisionArns")? {
        let revision = state.services.iter().find_map(|service| {
            let one = service.deployments.iter().find(|one| one.rollback_of.is_none() && service.revision_arn(&one.revision) == arn)?;
            Some((service, one))
        });
        match revision {
            Some((service, one)) => found.push(revision_view(state, service, one)),
            None => failures.push(json!({ "arn": arn, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "serviceRevisions": found, "failures": failures }))
}

fn limited(body: &Value, name: &str) -> Outcome<Vec<String>> {
    let asked = texts(body, name);
    if asked.is_empty() || asked.len() > 20 {
        return Err(Refusal::parameter(format!("{name} must have between 1 and 20 entries.")));
    }
    Ok(asked)
}

fn find<'a>(services: &'a [Service], arn: &str) -> Option<(&'a Service, &'a Deployment)> {
    services.iter().find_map(|service| {
        let one = service.deployments.iter().find(|one| one.rollback_of.is_none() && service.deployment_arn(&one.number) == arn)?;
        Some((service, one))
    })
}

fn revision_view(state: &State, service: &Service, deployment: &Deployment) -> Value {
    let definition = state.platform.definition(&service.region, &deployment.definition);
    let images: Vec<Value> = definition
        .map_or(&[][..], |definition| definition.containers())
        .iter()
        .map(|container| {
            let image = text(container, "image");
            let digest = crate::simulator::ecs::life::digest_of(&state.platform, image);
            json!({ "containerName": text(container, "name"), "image": image, "imageDigest": digest })
        })
        .collect();
    let mut view = json!({
        "serviceRevisionArn": service.revision_arn(&deployment.revision),
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinition": deployment.definition,
        "containerImages": images,
        "guardDutyEnabled": false,
        "createdAt": seconds(deployment.created_at),
    });
    let Some(fields) = view.as_object_mut() else { return view };
    for key in ["launchType", "capacityProviderStrategy", "platformVersion", "networkConfiguration", "loadBalancers", "serviceRegistries"] {
        if let Some(value) = deployment.settings.get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    let groups = service.target_groups();
    let group = if deployment.alternate { groups.1 } else { groups.0 };
    if let Some(group) = group {
        fields.insert("resolvedConfiguration".to_owned(), json!({ "loadBalancers": [{ "targetGroupArn": group }] }));
    }
    view
}

fn locate(state: &State, arn: &str) -> Outcome<(usize, usize)> {
    for (place, service) in state.services.iter().enumerate() {
        let found = service.deployments.iter().position(|one| one.rollback_of.is_none() && service.deployment_arn(&one.number) == arn);
        if let Some(index) = found {
            return Ok((place, index));
        }
    }
    Err(Refusal::new("ServiceDeploymentNotFoundException", "Service deployment not found."))
}

/// StopServiceDeployment: ROLLBACK goes back to the last completed revision whether or not a rollback was configured.
pub(crate) fn stop(state: &mut State, body: &Value) -> Outcome {
    let arn = text(body, "serviceDeploymentArn").to_owned();
    let (place, index) = locate(state, &arn)?;
    let State { services, platform, .. } = state;
    let (service, at) = (&mut services[place], platform.now);
    let newest = index + 1 == service.deployments.len();
    let deployment = &mut service.deployments[index];
    if deployment.progress.over() || !newest {
        let message = format!("The service deployment is {} and cannot be stopped.", deployment.progress.as_str());
        return Err(Refusal::new("ConflictException", message));
    }
    if matches!(deployment.progress, Progress::Pending | Progress::InProgress) {
        deployment.progress = Progress::StopRequested;
        deployment.reason = Some("Service deployment stopped because of a StopServiceDeployment request.".to_owned());
        deployment.updated_at = at;
        deployment.due = Some(at.plus(platform.pace.lag / 2));
        deployment.disturb_at = None;
        deployment.pause = None;
        rollout::step(service, platform, at);
    }
    Ok(json!({ "serviceDeploymentArn": arn }))
}

/// ContinueServiceDeployment: the answer a pause hook waits for.
pub(crate) fn go_on(state: &mut State, body: &Value) -> Outcome {
    let arn = text(body, "serviceDeploymentArn").to_owned();
    let (place, index) = locate(state, &arn)?;
    let State { services, platform, .. } = state;
    let (service, at) = (&mut services[place], platform.now);
    let hook = text(body, "hookId");
    let deployment = &mut service.deployments[index];
    let waiting = |pause: &&mut crate::simulator::ecs::model::Pause| pause.hook == hook && pause.status == "AWAITING_ACTION";
    let Some(pause) = deployment.pause.as_mut().filter(waiting) else {
        return Err(Refusal::client("The lifecycle hook is not awaiting an action."));
    };
    let back = text(body, "action") == "ROLLBACK";
    pause.status = if back { "FAILED" } else { "SUCCEEDED" };
    deployment.updated_at = at;
    if back && deployment.rollout == Rollout::InProgress {
        rollout::fail(service, platform, at, (Cause::Hook, true));
    }
    rollout::step(service, platform, at);
    Ok(json!({ "serviceDeploymentArn": arn }))
}
