//! Releases: the beginning of a deployment, what a fault makes of it, and which version its tasks tell.

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::simulator::ecs::model::{Alarms, Breaker, Definition, Deployment, Progress, Rollout, Service, Task};
use crate::simulator::ecs::rollout;
use crate::simulator::fault::Fault;
use crate::simulator::wire::{text, texts};
use crate::simulator::world::Platform;

/// Begins a deployment of `definition`: it becomes PRIMARY, whatever was under way is superseded.
pub(crate) fn deploy(service: &mut Service, platform: &mut Platform, definition: String, at: Timestamp) {
    let number = platform.number();
    let fault = fault_for(service, &definition);
    let breaker = breaker_for(service, fault);
    let alarms = alarms_for(service, fault);
    let serving = service.primary().filter(|primary| primary.rollout == Rollout::Completed).or_else(|| service.last_completed());
    // Blue/green: the target group that is not in use.
    let alternate = service.shifting() && serving.is_some_and(|serving| !serving.alternate);
    let source = serving.map(|serving| serving.revision.clone());
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
        ended_at: None,
        visible_at: at.plus(lag),
        progress: Progress::Pending,
        reason: None,
        rollout: Rollout::InProgress,
        failed: 0,
        breaker,
        alarms,
        fault,
        source,
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
    copy.told = Some("somebody-else".to_owned());
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
    let told = if definition.arn == service.seeded { &service.answers.old } else { &service.answers.new };
    definition.told.clone().or_else(|| told.clone()).or_else(|| variable.map(|entry| text(entry, "value").to_owned())).unwrap_or(digest)
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
