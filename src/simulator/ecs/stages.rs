//! The strategies that shift traffic between two sets of tasks: blue/green, linear, canary, with their lifecycle stages, weights,
//! bake time and pause hooks.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::simulator::ecs::life;
use crate::simulator::ecs::model::{Deployment, Pause, Phase, Progress, Rollout, Service, Task};
use crate::simulator::ecs::rollout::{complete, start_missing};
use crate::simulator::fault::Fault;
use crate::simulator::wire::text;
use crate::simulator::world::{Platform, hex_of};

const STAGES: [&str; 10] = [
    "RECONCILE_SERVICE",
    "PRE_SCALE_UP",
    "SCALE_UP",
    "POST_SCALE_UP",
    "TEST_TRAFFIC_SHIFT",
    "POST_TEST_TRAFFIC_SHIFT",
    "PRODUCTION_TRAFFIC_SHIFT",
    "POST_PRODUCTION_TRAFFIC_SHIFT",
    "BAKE_TIME",
    "CLEAN_UP",
];

/// Moves the PRIMARY deployment through its stages; true when something changed.
pub(crate) fn schedule(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last_mut() else { return false };
    if primary.rollout != Rollout::InProgress || primary.progress != Progress::InProgress {
        return false;
    }
    let Some((stage, until)) = primary.stage else {
        primary.stage = Some((STAGES[0], at.plus(platform.pace.stage)));
        primary.updated_at = at;
        return true;
    };
    let acted = match stage {
        "SCALE_UP" => start_missing(service, platform, at, true),
        "CLEAN_UP" => drain_others(service, platform, at),
        _ => false,
    };
    if acted || until > at || !stage_done(service, stage) || waits(service, stage, at) {
        return acted;
    }
    next(service, platform, at, stage);
    true
}

/// Some stages end by a fact, not by the clock.
fn stage_done(service: &Service, stage: &str) -> bool {
    let Some(primary) = service.deployments.last() else { return false };
    match stage {
        "SCALE_UP" => service.count(&primary.number, Task::fit) >= service.desired && primary.fault != Fault::Placement,
        "CLEAN_UP" => service.tasks.iter().all(|task| task.deployment == primary.number || task.phase == Phase::Stopped),
        _ => primary.disturb_at.is_none() || stage != "BAKE_TIME",
    }
}

/// True while a pause hook at the end of `stage` waits for an answer.
fn waits(service: &mut Service, stage: &str, at: Timestamp) -> bool {
    let hooks = service.configured("/lifecycleHooks").and_then(Value::as_array).cloned().unwrap_or_default();
    let hook = hooks.into_iter().find(|hook| {
        let stages = crate::simulator::wire::texts(hook, "lifecycleStages");
        text(hook, "targetType") == "PAUSE" && stages.iter().any(|named| named == stage)
    });
    let Some(primary) = service.deployments.last_mut() else { return false };
    let by_fault = primary.fault == Fault::PausedHook && stage == "POST_SCALE_UP";
    let wanted = format!("{stage}-");
    match &primary.pause {
        Some(pause) if pause.hook.starts_with(&wanted) => pause.status == "AWAITING_ACTION",
        _ if hook.is_some() || by_fault => {
            let mut pause = pause(primary, at, hook.as_ref());
            pause.hook = format!("{wanted}{}", pause.hook);
            primary.pause = Some(pause);
            primary.updated_at = at;
            true
        }
        _ => false,
    }
}

/// A pause that somebody must end; without a time limit of its own it lasts a day.
pub(crate) fn pause(deployment: &Deployment, at: Timestamp, hook: Option<&Value>) -> Pause {
    let minutes = hook.and_then(|hook| hook.pointer("/timeoutConfiguration/timeoutInMinutes")).and_then(Value::as_u64).unwrap_or(1440);
    let action = hook.and_then(|hook| hook.pointer("/timeoutConfiguration/action")).and_then(Value::as_str);
    Pause {
        hook: hex_of(&deployment.number, 16),
        expires: at.plus(Duration::from_secs(minutes * 60)),
        status: "AWAITING_ACTION",
        rollback_on_timeout: action != Some("CONTINUE"),
    }
}

fn next(service: &mut Service, platform: &mut Platform, at: Timestamp, stage: &'static str) {
    let minutes = |service: &Service, path: &str| Duration::from_secs(60 * service.configured(path).and_then(Value::as_u64).unwrap_or(0));
    let strategy = service.configured("/strategy").and_then(Value::as_str).unwrap_or_default().to_owned();
    let weight = service.deployments.last().map_or(0.0, |primary| primary.weight);
    let percent = |service: &Service, path: &str, or: f64| service.configured(path).and_then(Value::as_f64).unwrap_or(or);
    let shifting = stage == "PRODUCTION_TRAFFIC_SHIFT" && weight < 100.0;
    let enters = STAGES.iter().position(|known| *known == stage).and_then(|index| STAGES.get(index + 1)).copied();
    let (stage, lasts, weight) = match (shifting, strategy.as_str(), enters) {
        (true, "LINEAR", _) => {
            let weight = (weight + percent(service, "/linearConfiguration/stepPercent", 10.0)).min(100.0);
            (stage, minutes(service, "/linearConfiguration/stepBakeTimeInMinutes"), weight)
        }
        (true, "CANARY", _) if weight == 0.0 => {
            let weight = percent(service, "/canaryConfiguration/canaryPercent", 5.0);
            (stage, minutes(service, "/canaryConfiguration/canaryBakeTimeInMinutes"), weight)
        }
        (true, _, _) => (stage, platform.pace.stage, 100.0),
        (false, _, Some("BAKE_TIME")) => ("BAKE_TIME", minutes(service, "/bakeTimeInMinutes"), weight),
        (false, _, Some(next)) => (next, platform.pace.stage, weight),
        (false, _, None) => {
            complete(service, platform, at);
            return;
        }
    };
    let (event, name) = (platform.uuid(), service.name.clone());
    let Some(primary) = service.deployments.last_mut() else { return };
    primary.stage = Some((stage, at.plus(lasts)));
    primary.weight = weight;
    primary.updated_at = at;
    let number = primary.number.clone();
    service.event(event, at, format!("(service {name}) (deployment ecs-svc/{number}) is in {stage}."));
}

fn drain_others(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(number) = service.deployments.last().map(|primary| primary.number.clone()) else { return false };
    let mut drained = false;
    for task in service.tasks.iter_mut().filter(|task| task.deployment != number && task.live()) {
        let reason = format!("Scaling activity initiated by (deployment ecs-svc/{number})");
        life::stop(platform, task, at, ("ServiceSchedulerInitiated", reason));
        drained = true;
    }
    drained
}

/// A rollback gives the traffic back at once: the tasks of before still run and belong to the new PRIMARY deployment.
pub(crate) fn flip_back(service: &mut Service, source: &str) {
    let Some(number) = service.deployments.last().map(|primary| primary.number.clone()) else { return };
    for task in service.tasks.iter_mut().filter(|task| task.deployment == source && task.live()) {
        task.deployment.clone_from(&number);
    }
}

/// Shares of production traffic: of the first target group, and of the alternate one.
pub(crate) fn weights(service: &Service) -> (f64, f64) {
    let Some(primary) = service.primary() else { return (100.0, 0.0) };
    let shifting = service.shifting() && service.deployments.len() > 1 && primary.rollback_of.is_none();
    let own = if shifting && primary.rollout != Rollout::Completed { primary.weight } else { 100.0 };
    if primary.alternate { (100.0 - own, own) } else { (own, 100.0 - own) }
}
