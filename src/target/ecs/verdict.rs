//! The decision table: from what ECS shows to whether the release has arrived, is on its way, or will not come. Pure.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind};
use crate::target::Observation;
use crate::target::{Arrival, Before};

use super::release::{Release, Way};
use super::settings::WaitUntil;

/// How many stopped tasks with the same fatal reason are enough to call it.
const FATAL: usize = 3;
/// How long ECS may go on showing the state before UpdateService.
const STALE_SECONDS: u64 = 60;

/// What one look at ECS brought.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The service as DescribeServices shows it.
    pub(super) service: Value,
    /// Our service deployment, where it is known and we may see it.
    pub(super) deployment: Option<Value>,
    /// Stopped tasks of our deployment.
    pub(super) stopped: Vec<Value>,
    /// The deployment that was PRIMARY with our task definition when we last looked.
    pub(super) ours: Option<String>,
    /// Now.
    pub(super) now: Timestamp,
}

/// What it means. `Ready` has no address yet: that is looked up once it matters.
pub(super) fn judge(seen: &Seen, release: &Release, wait_until: WaitUntil) -> Observation {
    let Some(primary) = primary(&seen.service) else {
        return progressing("ECS shows no deployment yet");
    };
    if let Some(ended) = rollback_status(seen, release) {
        return ended;
    }
    let task_definition = text(primary, "taskDefinition");
    if task_definition == release.task_definition {
        return if release.waits_for_new_deployment() && text(primary, "id") == release.deployment_before {
            stale(seen, release)
        } else {
            on_its_way(seen, release, primary, wait_until)
        };
    }
    let not_shown_yet = match release.way {
        Way::Forward => text(primary, "id") == release.deployment_before,
        Way::Back => task_definition == release.from,
    };
    if not_shown_yet {
        return stale(seen, release);
    }
    if task_definition == release.from && release.way == Way::Forward {
        return Observation::Broken(rolled_back(seen, primary, "ECS went back to the task definition that served before"));
    }
    Observation::Broken(superseded(primary))
}

/// ECS may show the old state for some seconds after UpdateService.
fn stale(seen: &Seen, release: &Release) -> Observation {
    if seen.now.since(release.at).as_secs() < STALE_SECONDS {
        return progressing("ECS does not show the deployment yet");
    }
    Observation::Broken(
        Failure::new(Kind::Conflict, "ECS never showed the deployment")
            .why(format!("a minute after UpdateService the service still runs deployment {}", release.deployment_before))
            .fix("look at the service's events, and whether somebody changed it back at the same time"),
    )
}

/// What the service deployment says about going back, whoever is PRIMARY.
fn rollback_status(seen: &Seen, release: &Release) -> Option<Observation> {
    let deployment = seen.deployment.as_ref()?;
    let status = text(deployment, "status");
    let back = release.way == Way::Back;
    Some(match status {
        "ROLLBACK_SUCCESSFUL" if back => return None,
        "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" if back => progressing(&format!("ECS is rolling back ({})", stage(deployment))),
        "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" | "ROLLBACK_SUCCESSFUL" => {
            Observation::Broken(rolled_back(seen, deployment, "ECS is rolling the deployment back by itself"))
        }
        "ROLLBACK_FAILED" => Observation::Broken(
            reasons(Failure::new(Kind::Conflict, "ECS could not roll the deployment back"), seen)
                .fix("look at the service in the console now: it may run a mixture of both releases"),
        ),
        _ => return None,
    })
}

fn on_its_way(seen: &Seen, release: &Release, primary: &Value, wait_until: WaitUntil) -> Observation {
    let deployment = seen.deployment.as_ref().filter(|_| release.way == Way::Forward || seen.ours.is_some());
    let status = deployment.map_or("", |deployment| text(deployment, "status"));
    let rollout = text(primary, "rolloutState");
    match (status, rollout) {
        ("STOPPED" | "STOP_REQUESTED", _) if release.way == Way::Forward => {
            Observation::Broken(reasons(Failure::new(Kind::Conflict, "the deployment was stopped"), seen))
        }
        (_, "FAILED") => Observation::Broken(reasons(Failure::new(Kind::Unhealthy, "the deployment failed"), seen)),
        ("SUCCESSFUL" | "ROLLBACK_SUCCESSFUL" | "", "COMPLETED") => ready(seen, release, primary),
        ("SUCCESSFUL" | "ROLLBACK_SUCCESSFUL", "") => ready(seen, release, primary),
        ("", "") => without_rollout_state(seen, release, primary),
        _ if far_enough(deployment, wait_until) => ready(seen, release, primary),
        _ => fatal(seen).map_or_else(|| progressing(&note(primary, deployment)), Observation::Broken),
    }
}

/// A service behind a Classic Load Balancer tells no rollout state: one deployment with all its tasks is the end of it.
fn without_rollout_state(seen: &Seen, release: &Release, primary: &Value) -> Observation {
    let alone = seen.service["deployments"].as_array().is_some_and(|deployments| deployments.len() == 1);
    let all = primary["runningCount"].as_u64() == primary["desiredCount"].as_u64();
    if alone && all {
        return ready(seen, release, primary);
    }
    fatal(seen).map_or_else(|| progressing(&note(primary, None)), Observation::Broken)
}

fn ready(seen: &Seen, release: &Release, primary: &Value) -> Observation {
    let count = |key: &str| primary[key].as_u64().unwrap_or_default();
    let name = short(&release.task_definition);
    let mut arrival =
        Arrival { facts: vec![format!("{} of {} tasks run {name}", count("runningCount"), count("desiredCount"))], ..Arrival::default() };
    if seen.service["desiredCount"].as_u64() == Some(0) {
        arrival.notes.push("the service's desired count is 0: nothing runs, so nothing is proven".to_owned());
    }
    if let Some(ours) = seen.ours.as_deref().filter(|ours| *ours != text(primary, "id")) {
        arrival.notes.push(format!(
            "a new deployment {} with our task definition took the place of {ours} (forced or scaled by somebody): it is adopted",
            text(primary, "id")
        ));
    }
    Observation::Ready(arrival)
}

/// The stages in their order; from this one on the wait may end.
fn far_enough(deployment: Option<&Value>, wait_until: WaitUntil) -> bool {
    const AFTER_SHIFT: [&str; 3] = ["POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"];
    let stage = deployment.map_or("", |deployment| text(deployment, "lifecycleStage"));
    match wait_until {
        WaitUntil::Completed => false,
        WaitUntil::ProductionTraffic => AFTER_SHIFT.contains(&stage),
        WaitUntil::Bake => AFTER_SHIFT[1..].contains(&stage),
    }
}

fn note(primary: &Value, deployment: Option<&Value>) -> String {
    let count = |key: &str| primary[key].as_u64().unwrap_or_default();
    let counts = format!("{} of {} tasks running, {} failed", count("runningCount"), count("desiredCount"), count("failedTasks"));
    let Some(deployment) = deployment else { return counts };
    if let Some(hook) = paused(deployment) {
        return format!("{counts}; {hook}");
    }
    match stage(deployment) {
        "" => counts,
        stage => format!("{counts}; {}{}", stage.to_lowercase().replace('_', " "), weight(deployment)),
    }
}

/// A pause hook that waits for somebody.
fn paused(deployment: &Value) -> Option<String> {
    let hooks = deployment["lifecycleHookDetails"].as_array()?;
    let hook = hooks.iter().find(|hook| hook["status"] == "AWAITING_ACTION")?;
    let expiry = hook.get("expiresAt").map(|at| format!(" until {at}")).unwrap_or_default();
    Some(format!("the pause hook {} waits for `aws ecs continue-service-deployment`{expiry}", text(hook, "hookId")))
}

fn weight(deployment: &Value) -> String {
    let weight = &deployment["targetServiceRevision"]["requestedProductionTrafficWeight"];
    weight.as_f64().map(|weight| format!(", {weight} % of production traffic")).unwrap_or_default()
}

fn stage(deployment: &Value) -> &str {
    text(deployment, "lifecycleStage")
}

/// Repeated deaths of the same cause: sooner than the circuit breaker.
fn fatal(seen: &Seen) -> Option<Failure> {
    let mut causes: Vec<String> = seen.stopped.iter().filter_map(super::evidence::fatal_cause).collect();
    causes.sort_unstable();
    let most = causes.chunk_by(|a, b| a == b).max_by_key(|same| same.len())?;
    (most.len() >= FATAL).then(|| {
        Failure::new(Kind::Unhealthy, "the new tasks do not stay up")
            .why(format!("{} tasks ended the same way: {}", most.len(), most[0]))
            .fix("look at the last log lines below")
    })
}

fn rolled_back(seen: &Seen, of: &Value, what: &str) -> Failure {
    let failure = reasons(Failure::new(Kind::Unhealthy, what), seen);
    let reason = ["rolloutStateReason", "statusReason"].iter().map(|key| text(of, key)).find(|reason| !reason.is_empty());
    match reason.filter(|reason| !failure.why.iter().any(|why| why.contains(*reason))) {
        Some(reason) => failure.why(reason),
        None => failure,
    }
}

/// Everything ECS tells about why.
fn reasons(mut failure: Failure, seen: &Seen) -> Failure {
    if let Some(deployment) = &seen.deployment {
        let reasons = [text(deployment, "statusReason"), text(&deployment["rollback"], "reason")];
        for reason in reasons.into_iter().filter(|reason| !reason.is_empty()) {
            failure = failure.why(reason);
        }
        let breaker = &deployment["deploymentCircuitBreaker"];
        if let (Some(count), Some(threshold)) = (breaker["failureCount"].as_u64(), breaker["threshold"].as_u64())
            && breaker["status"] == "TRIGGERED"
        {
            failure = failure.why(format!("the circuit breaker counted {count} failed tasks of {threshold}"));
        }
        let alarms: Vec<&str> =
            deployment["alarms"]["triggeredAlarmNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !alarms.is_empty() {
            failure = failure.why(format!("alarm {}", alarms.join(", ")));
        }
    }
    let mut deployments = seen.service["deployments"].as_array().into_iter().flatten();
    let told =
        deployments.find(|deployment| seen.ours.as_deref() == Some(text(deployment, "id"))).map(|ours| text(ours, "rolloutStateReason"));
    if let Some(told) = told.filter(|told| !told.is_empty() && !failure.why.iter().any(|why| why == told)) {
        failure = failure.why(told);
    }
    let mut causes: Vec<String> = seen.stopped.iter().filter_map(super::evidence::fatal_cause).collect();
    causes.dedup();
    causes.into_iter().take(2).fold(failure, Failure::why)
}

fn superseded(primary: &Value) -> Failure {
    let by = short(text(primary, "taskDefinition"));
    Failure::new(Kind::Superseded, format!("{by} (deployment {})", text(primary, "id")))
        .why("somebody else deployed since: it is left alone")
        .fix("deploy one after the other: give the jobs one `concurrency` group")
}

fn progressing(note: &str) -> Observation {
    Observation::Progressing { note: note.to_owned() }
}

/// The PRIMARY deployment.
pub(super) fn primary(service: &Value) -> Option<&Value> {
    service["deployments"].as_array()?.iter().find(|deployment| deployment["status"] == "PRIMARY")
}

/// A text member, empty when there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `web:42` of a task definition's ARN.
pub(super) fn short(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What an undo may do, given who is PRIMARY now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Guard {
    /// The release, or what ECS makes of it, is there: undo it.
    Ours,
    /// What stood before is there already.
    Restored,
    /// Somebody else's.
    Theirs(String),
}

/// Who is PRIMARY, seen from an undo.
pub(super) fn guard(service: &Value, release: &Release, before: &Before<super::release::Snapshot>) -> Guard {
    let Some(primary) = primary(service) else { return Guard::Restored };
    let task_definition = text(primary, "taskDefinition");
    let restored =
        matches!(before, Before::Running(snapshot) | Before::NeverServed(snapshot) if snapshot.task_definition == task_definition);
    match () {
        () if release.waits_for_new_deployment()
            && release.task_definition == task_definition
            && text(primary, "id") == release.deployment_before =>
        {
            Guard::Restored
        }
        () if task_definition == release.task_definition => Guard::Ours,
        () if restored => Guard::Restored,
        () => Guard::Theirs(short(task_definition)),
    }
}
