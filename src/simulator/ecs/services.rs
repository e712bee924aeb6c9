//! Services: CreateService, UpdateService, DescribeServices, ListServices, DeleteService.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::simulator::ecs::model::Service;
use crate::simulator::ecs::{cluster_of, releases, rollout, service_of, views};
use crate::simulator::fault::Fault;
use crate::simulator::seed::Answers;
use crate::simulator::wire::{Outcome, Refusal, text, texts};
use crate::simulator::world::{Platform, State, arn};

/// Settings whose change begins a new deployment (API_UpdateService, 2026-11); `taskDefinition` and force come on top.
const DEPLOYING: [&str; 8] = [
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "volumeConfigurations",
    "serviceConnectConfiguration",
    "capacityProviderStrategy",
    "vpcLatticeConfigurations",
];

/// CreateService.
pub(crate) fn create(state: &mut State, region: &str, body: &Value, answers: Answers) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.clone();
    let name = text(body, "serviceName");
    if name.is_empty() {
        return Err(Refusal::parameter("Service name cannot be empty."));
    }
    let taken = |service: &Service| service.cluster_arn == cluster.arn && service.name == name && service.status != "INACTIVE";
    if state.services.iter().any(taken) {
        return Err(Refusal::parameter("Creation of service was not idempotent."));
    }
    let definition = resolve(&state.platform, region, text(body, "taskDefinition"))?;
    let at = state.platform.now;
    let mut service = Service {
        region: region.to_owned(),
        cluster: cluster.name.clone(),
        cluster_arn: cluster.arn.clone(),
        name: name.to_owned(),
        arn: arn("ecs", region, &format!("service/{}/{name}", cluster.name)),
        status: "ACTIVE",
        settings: defaults(body),
        tags: body.get("tags").and_then(Value::as_array).cloned().unwrap_or_default(),
        desired: desired(body).unwrap_or(1),
        created_at: at,
        deployments: Vec::new(),
        tasks: Vec::new(),
        events: std::collections::VecDeque::new(),
        restart_at: None,
        stepped_at: at,
        stale: None,
        fault: Fault::None,
        verdicts: std::collections::BTreeMap::new(),
        good: std::collections::BTreeSet::new(),
        answers,
        seeded: definition.clone(),
        hosts: Vec::new(),
        hostile: None,
        visits: 0,
        answer_lost: false,
    };
    service.settings.insert("taskDefinition".to_owned(), json!(definition));
    releases::deploy(&mut service, &mut state.platform, definition, at);
    rollout::step(&mut service, &mut state.platform, at);
    let view = views::service(&service, true, at);
    state.services.push(service);
    Ok(json!({ "service": view }))
}

fn desired(body: &Value) -> Option<u32> {
    body.get("desiredCount").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok())
}

fn defaults(body: &Value) -> Map<String, Value> {
    let mut settings = json!({
        "schedulingStrategy": "REPLICA",
        "deploymentController": { "type": "ECS" },
        "deploymentConfiguration": {},
        "loadBalancers": [],
        "serviceRegistries": [],
        "placementConstraints": [],
        "placementStrategy": [],
        "enableECSManagedTags": false,
        "propagateTags": "NONE",
        "enableExecuteCommand": false,
        "availabilityZoneRebalancing": "DISABLED",
        "healthCheckGracePeriodSeconds": 0,
    });
    let Some(fields) = settings.as_object_mut() else { return Map::new() };
    let asked = body.as_object().cloned().unwrap_or_default();
    let own = ["cluster", "serviceName", "desiredCount", "tags", "clientToken"];
    fields.extend(asked.into_iter().filter(|(key, _)| !own.contains(&key.as_str())));
    complete_configuration(fields);
    fields.clone()
}

/// Fills what DescribeServices always shows of a deployment configuration.
fn complete_configuration(settings: &mut Map<String, Value>) {
    let daemon = settings.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON");
    let Some(configuration) = settings.get_mut("deploymentConfiguration").and_then(Value::as_object_mut) else { return };
    let fill = json!({
        "deploymentCircuitBreaker": { "enable": false, "rollback": false },
        "maximumPercent": if daemon { 100 } else { 200 },
        "minimumHealthyPercent": if daemon { 0 } else { 100 },
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    });
    for (key, value) in fill.as_object().into_iter().flatten() {
        configuration.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// The ARN of an active task definition.
fn resolve(platform: &Platform, region: &str, name: &str) -> Outcome<String> {
    match platform.definition(region, name) {
        None => Err(Refusal::client("TaskDefinition not found.")),
        Some(definition) if !definition.active => Err(Refusal::client("TaskDefinition is inactive")),
        Some(definition) => Ok(definition.arn.clone()),
    }
}

/// UpdateService.
pub(crate) fn update(state: &mut State, region: &str, body: &Value) -> Outcome {
    let (index, at) = (service_of(state, region, body)?, state.platform.now);
    let State { services, platform, .. } = state;
    let service = &mut services[index];
    if service.status != "ACTIVE" {
        return Err(Refusal::new("ServiceNotActiveException", "Service was not ACTIVE."));
    }
    let definition = match text(body, "taskDefinition") {
        "" => text(&Value::Object(service.settings.clone()), "taskDefinition").to_owned(),
        name => resolve(platform, region, name)?,
    };
    refuse_controller(service, body)?;
    let before = views::service(service, true, at);
    let changed = service.settings.get("taskDefinition").and_then(Value::as_str) != Some(&definition);
    let forced = body.get("forceNewDeployment").and_then(Value::as_bool) == Some(true);
    let deploys = apply_settings(service, body) || changed || forced;
    if let Some(count) = desired(body) {
        service.desired = count;
    }
    service.settings.insert("taskDefinition".to_owned(), json!(definition));
    if deploys {
        service.stale = Some((before, at.plus(platform.pace.stale))).filter(|_| !platform.pace.stale.is_zero());
        releases::deploy(service, platform, definition, at);
    }
    rollout::step(service, platform, at);
    Ok(json!({ "service": views::service(service, false, at) }))
}

fn refuse_controller(service: &Service, body: &Value) -> Outcome<()> {
    let kind = service.settings.get("deploymentController").map(|controller| text(controller, "type")).unwrap_or_default();
    let touches = body.get("taskDefinition").is_some() || body.get("loadBalancers").is_some();
    if touches && kind == "CODE_DEPLOY" {
        let advice = "Use AWS CodeDeploy to trigger a new deployment.";
        return Err(Refusal::parameter(format!(
            "Unable to update task definition on services with a CODE_DEPLOY deployment controller. {advice}"
        )));
    }
    if touches && kind == "EXTERNAL" {
        return Err(Refusal::parameter("Unable to update task definition on services with an EXTERNAL deployment controller."));
    }
    let daemon = service.settings.get("schedulingStrategy").and_then(Value::as_str) == Some("DAEMON");
    if daemon && body.get("desiredCount").is_some() {
        return Err(Refusal::parameter("The daemon scheduling strategy does not support a desired count."));
    }
    Ok(())
}

/// Takes over what the request sets; true when something of it begins a deployment.
fn apply_settings(service: &mut Service, body: &Value) -> bool {
    let own = ["cluster", "service", "taskDefinition", "desiredCount", "forceNewDeployment"];
    let mut deploys = false;
    for (key, value) in body.as_object().into_iter().flatten().filter(|(key, value)| !own.contains(&key.as_str()) && !value.is_null()) {
        if key == "deploymentConfiguration" {
            let kept = service.settings.entry(key.clone()).or_insert_with(|| json!({}));
            if let (Some(kept), Some(new)) = (kept.as_object_mut(), value.as_object()) {
                kept.extend(new.clone());
            }
            continue;
        }
        deploys |= DEPLOYING.contains(&key.as_str()) && service.settings.get(key) != Some(value);
        service.settings.insert(key.clone(), value.clone());
    }
    deploys
}

/// DescribeServices.
pub(crate) fn describe_services(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.clone();
    let asked = texts(body, "services");
    if asked.is_empty() || asked.len() > 10 {
        return Err(Refusal::parameter("Services cannot be empty and may have at most 10 entries."));
    }
    let tags = texts(body, "include").iter().any(|include| include == "TAGS");
    let (mut found, mut failures, now) = (Vec::new(), Vec::new(), state.platform.now);
    for name in asked {
        let short = name.rsplit('/').next().unwrap_or(&name);
        let service = state.services.iter().rev().find(|service| service.cluster_arn == cluster.arn && service.name == short);
        match service {
            Some(service) => found.push(shown(service, tags, now)),
            None => {
                let missing = arn("ecs", region, &format!("service/{}/{short}", cluster.name));
                failures.push(json!({ "arn": missing, "reason": "MISSING" }));
            }
        }
    }
    Ok(json!({ "services": found, "failures": failures }))
}

/// For a moment after a change DescribeServices may still show the service as it was.
fn shown(service: &Service, tags: bool, now: Timestamp) -> Value {
    let mut view = match &service.stale {
        Some((before, until)) if now < *until => before.clone(),
        _ => views::service(service, true, now),
    };
    if let Some(fields) = view.as_object_mut().filter(|_| !tags) {
        fields.remove("tags");
    }
    view
}

/// ListServices.
pub(crate) fn list(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.clone();
    let inside = state.services.iter().filter(|service| service.cluster_arn == cluster.arn && service.status != "INACTIVE");
    Ok(json!({ "serviceArns": inside.map(|service| service.arn.clone()).collect::<Vec<_>>() }))
}

/// DeleteService: DRAINING is skipped, the service is INACTIVE at once.
pub(crate) fn delete(state: &mut State, region: &str, body: &Value) -> Outcome {
    let (index, at) = (service_of(state, region, body)?, state.platform.now);
    let service = &mut state.services[index];
    let force = body.get("force").and_then(Value::as_bool) == Some(true);
    if service.desired > 0 && !force {
        return Err(Refusal::parameter("The service cannot be stopped while it is scaled above 0."));
    }
    service.status = "INACTIVE";
    service.desired = 0;
    service.tasks.clear();
    service.stale = None;
    Ok(json!({ "service": views::service(service, false, at) }))
}
