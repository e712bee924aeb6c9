//! Services: CreateService, UpdateService, DescribeServices, ListServices, DeleteService, and the beginning of a deployment.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::simulator::ecs::model::{Alarms, Breaker, Definition, Deployment, Progress, Rollout, Service, Task};
use crate::simulator::ecs::{cluster_of, rollout, service_of};
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
pub(crate) fn create(state: &mut State, region: &str, body: &Value) -> Outcome {
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
        stale: None,
        fault: Fault::None,
        verdicts: std::collections::BTreeMap::new(),
        good: std::collections::BTreeSet::new(),
        answers: Answers::default(),
        hosts: Vec::new(),
        hostile: None,
        visits: 0,
        answer_lost: false,
    };
    service.settings.insert("taskDefinition".to_owned(), json!(definition));
    deploy(&mut service, &mut state.platform, definition, at);
    rollout::step(&mut service, &mut state.platform, at);
    let view = describe(&service, true);
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
    let before = describe(service, true);
    let changed = service.settings.get("taskDefinition").and_then(Value::as_str) != Some(&definition);
    let forced = body.get("forceNewDeployment").and_then(Value::as_bool) == Some(true);
    let deploys = apply_settings(service, body) || changed || forced;
    if let Some(count) = desired(body) {
        service.desired = count;
    }
    service.settings.insert("taskDefinition".to_owned(), json!(definition));
    if deploys {
        service.stale = Some((before, at.plus(platform.pace.stale))).filter(|_| !platform.pace.stale.is_zero());
        deploy(service, platform, definition, at);
    }
    rollout::step(service, platform, at);
    Ok(json!({ "service": describe(service, false) }))
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

/// Begins a deployment of `definition`: it becomes PRIMARY, whatever was under way is superseded.
pub(crate) fn deploy(service: &mut Service, platform: &mut Platform, definition: String, at: Timestamp) {
    let number = platform.number();
    let fault = fault_for(service, &definition);
    let breaker = breaker_for(service, fault);
    let alarms = alarms_for(service, fault);
    let alternate = service.shifting() && service.primary().is_some_and(|primary| !primary.alternate);
    let source = service.primary().map(|primary| match primary.rollout {
        Rollout::Completed => primary.revision.clone(),
        _ => service.last_completed().map(|good| good.revision.clone()).unwrap_or_default(),
    });
    if let Some(owner) = supersede(service, at) {
        let owner = service.deployments.iter_mut().find(|deployment| deployment.number == owner);
        owner.into_iter().for_each(|owner| owner.progress = Progress::Stopped);
    }
    let disturbed = matches!(fault, Fault::Superseded | Fault::Alarm | Fault::Placement);
    let middle = platform.pace.start + platform.pace.register / 2;
    let lag = platform.pace.lag;
    service.deployments.push(Deployment {
        revision: number.clone(),
        rollout_reason: format!("ECS deployment ecs-svc/{number} in progress."),
        number,
        definition,
        created_at: at,
        updated_at: at,
        finished_at: None,
        visible_at: at.plus(lag),
        progress: Progress::Pending,
        reason: None,
        rollout: Rollout::InProgress,
        failed: 0,
        breaker,
        alarms,
        fault,
        source: source.filter(|revision| !revision.is_empty()),
        rollback: None,
        rollback_of: None,
        settings: service.settings.clone(),
        due: Some(at.plus(lag / 2)),
        disturb_at: disturbed.then(|| at.plus(middle)),
        pause: None,
        stage: None,
        weight: 0.0,
        alternate,
    });
    service.restart_at = None;
}

/// Ends what is under way because something newer comes; names the failed deployment it was rolling back, if it was.
fn supersede(service: &mut Service, at: Timestamp) -> Option<String> {
    let primary = service.deployments.last_mut()?;
    if primary.progress.over() && primary.rollout != Rollout::InProgress {
        return None;
    }
    primary.progress = Progress::Stopped;
    primary.reason = Some("Service deployment stopped because a newer service deployment was started.".to_owned());
    primary.finished_at = Some(at);
    (primary.due, primary.disturb_at, primary.pause, primary.stage) = (None, None, None, None);
    primary.rollback_of.clone()
}

fn fault_for(service: &mut Service, definition: &str) -> Fault {
    let (fault, moved) = (service.fault, service.primary().is_some_and(|primary| primary.definition != definition));
    if service.good.contains(definition) {
        let fails = fault == Fault::RollbackFails && moved;
        return if fails { Fault::ImagePull } else { Fault::None };
    }
    let verdict = *service.verdicts.entry(definition.to_owned()).or_insert(fault);
    match verdict {
        Fault::CircuitBreakerRollback | Fault::CircuitBreakerNoRollback | Fault::RollbackFails => Fault::CrashOnStart,
        other => other,
    }
}

fn breaker_for(service: &Service, fault: Fault) -> Breaker {
    let configured = |path: &str| service.configured(path).and_then(Value::as_bool) == Some(true);
    let limit = |path: &str| service.configured(&format!("/deploymentCircuitBreaker/thresholdConfiguration/{path}"));
    let value = limit("value").and_then(Value::as_u64).and_then(|value| u32::try_from(value).ok());
    let threshold = match (limit("type").and_then(Value::as_str), value) {
        (Some("COUNT"), Some(value)) => value,
        (Some("BOUNDED_PERCENT"), Some(value)) => (service.desired * value).div_ceil(100).clamp(3, 200),
        (Some("UNBOUNDED_PERCENT"), Some(value)) => (service.desired * value).div_ceil(100).max(1),
        _ => service.desired.div_ceil(2).clamp(3, 200),
    };
    let (enabled, rollback) = match service.fault {
        Fault::CircuitBreakerRollback if fault == Fault::CrashOnStart => (true, true),
        Fault::CircuitBreakerNoRollback if fault == Fault::CrashOnStart => (true, false),
        Fault::RollbackFails if fault == Fault::ImagePull => (true, false),
        _ => (configured("/deploymentCircuitBreaker/enable"), configured("/deploymentCircuitBreaker/rollback")),
    };
    Breaker { enabled, rollback, threshold, triggered: false }
}

/// A rollback by ECS has no rollback of its own; it is ended when it cannot come up.
pub(crate) fn breaker_for_rollback(fails: bool) -> Breaker {
    Breaker { enabled: fails, rollback: false, threshold: 3, triggered: false }
}

fn alarms_for(service: &Service, fault: Fault) -> Alarms {
    let configured = |path: &str| service.configured(path).and_then(Value::as_bool) == Some(true);
    let names = service.configured("/alarms").map(|alarms| texts(alarms, "alarmNames")).unwrap_or_default();
    if fault == Fault::Alarm && !configured("/alarms/enable") {
        return Alarms { names: vec![format!("{}-5xx-rate", service.name)], enabled: true, rollback: true, triggered: false };
    }
    Alarms { names, enabled: configured("/alarms/enable"), rollback: configured("/alarms/rollback"), triggered: false }
}

/// The fault `superseded`: a copy of the task definition becomes the service's, by another hand.
pub(crate) fn deploy_by_somebody_else(service: &mut Service, platform: &mut Platform, at: Timestamp) {
    let Some(current) = service.primary().map(|primary| primary.definition.clone()) else { return };
    let Some(mut copy) = platform.definition(&service.region, &current).cloned() else { return };
    let Some((family, _)) = current.rsplit_once("task-definition/").and_then(|(_, short)| short.rsplit_once(':')) else { return };
    let revisions = platform.definitions.entry((service.region.clone(), family.to_owned())).or_default();
    copy.arn = format!("{}:{}", current.rsplit_once(':').map_or("", |(head, _)| head), revisions.len() + 1);
    copy.body.insert("revision".to_owned(), json!(revisions.len() + 1));
    copy.body.insert("taskDefinitionArn".to_owned(), json!(copy.arn));
    let theirs = copy.arn.clone();
    revisions.push(copy);
    service.verdicts.insert(theirs.clone(), Fault::None);
    service.settings.insert("taskDefinition".to_owned(), json!(theirs));
    deploy(service, platform, theirs, at);
}

/// The version a task tells: of its own build, or of the one before where the fault is `wrong-version`.
pub(crate) fn version_of(service: &Service, definition: &Definition, task: &Task) -> String {
    if task.fault == Fault::WrongVersion {
        let before = service.tasks.iter().find(|other| other.definition != task.definition && !other.version.is_empty());
        return before.map_or("unknown".to_owned(), |other| other.version.clone());
    }
    let main = definition.containers().iter().position(|container| container.get("essential") != Some(&Value::Bool(false))).unwrap_or(0);
    let environment = definition.containers().get(main).and_then(|container| container.get("environment")).and_then(Value::as_array);
    let variable = environment.into_iter().flatten().find(|entry| text(entry, "name") == service.answers.variable);
    let digest = task.containers.get(main).map(|container| container.digest.clone()).unwrap_or_default();
    let told = if definition.arn == service.answers.seeded { &service.answers.old } else { &service.answers.new };
    told.clone().or_else(|| variable.map(|entry| text(entry, "value").to_owned())).unwrap_or(digest)
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
        _ => describe(service, true),
    };
    if let Some(fields) = view.as_object_mut().filter(|_| !tags) {
        fields.remove("tags");
    }
    view
}

/// A service as DescribeServices shows it.
pub(crate) fn describe(service: &Service, tags: bool) -> Value {
    crate::simulator::ecs::views::service(service, tags)
}

/// ListServices.
pub(crate) fn list(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.clone();
    let inside = state.services.iter().filter(|service| service.cluster_arn == cluster.arn && service.status != "INACTIVE");
    Ok(json!({ "serviceArns": inside.map(|service| service.arn.clone()).collect::<Vec<_>>() }))
}

/// DeleteService: DRAINING is skipped, the service is INACTIVE at once.
pub(crate) fn delete(state: &mut State, region: &str, body: &Value) -> Outcome {
    let index = service_of(state, region, body)?;
    let service = &mut state.services[index];
    let force = body.get("force").and_then(Value::as_bool) == Some(true);
    if service.desired > 0 && !force {
        return Err(Refusal::parameter("The service cannot be stopped while it is scaled above 0."));
    }
    service.status = "INACTIVE";
    service.desired = 0;
    service.tasks.clear();
    service.stale = None;
    Ok(json!({ "service": describe(service, false) }))
}

/// Makes a new service one whose first deployment never came up: its image does not exist.
pub(crate) fn never_ran(service: &mut Service, platform: &mut Platform, at: Timestamp) {
    service.tasks.clear();
    service.events.clear();
    service.good.clear();
    let Some(first) = service.deployments.last_mut() else { return };
    first.rollout = Rollout::InProgress;
    first.progress = Progress::InProgress;
    first.rollout_reason = format!("ECS deployment ecs-svc/{} in progress.", first.number);
    first.fault = Fault::ImagePull;
    first.finished_at = None;
    service.verdicts.insert(first.definition.clone(), Fault::ImagePull);
    rollout::step(service, platform, at);
}
