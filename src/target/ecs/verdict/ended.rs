//! The failures of deployments that have ended, or will, other than well: what ECS did and why, in its own words.

use serde_json::Value;

use crate::failure::{Failure, Kind};

use super::super::evidence;
use super::super::shown::{list, moment, number, primary, short, text};
use super::{Deployments, Ours, Seen, service_deployment};

/// The service is not there any more.
pub(super) fn deleted(service: &Value, status: &str) -> Failure {
    let status = if status.is_empty() { "without a status" } else { status };
    Failure::new(Kind::Missing, format!("the service {} was deleted during the deployment", text(service, "serviceName")))
        .why(format!("ECS tells it as {status}"))
        .fix("create it again, then deploy")
}

/// ECS ended the deployment and leaves it there.
pub(super) fn failed(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value, listed: Option<&Value>) -> Failure {
    let failure = Failure::new(Kind::Unhealthy, format!("ECS ended the deployment of {}", short(ours.task_definition)));
    let reasons = [Some(primary).map(|one| text(one, "rolloutStateReason")), listed.map(|one| text(one, "statusReason"))];
    let failure = told(failure, reasons.into_iter().flatten());
    with_tasks(told_by_deployment(failure, listed), seen, text(primary, "id"))
}

/// ECS went back by itself, or is about to. `instead`: what is PRIMARY now, where that is not ours any more.
pub(super) fn rolled_back(seen: &Seen<'_>, ours: &Ours<'_>, instead: Option<&Value>) -> Failure {
    let id = ours.deployment.or_else(|| primary(seen.service).filter(|_| instead.is_none()).map(|one| text(one, "id")));
    let id = id.unwrap_or_default();
    let listed = service_deployment(seen.deployments, id);
    let status = listed.map(|one| text(one, "status")).unwrap_or_default();
    let to = instead.map(|one| short(text(one, "taskDefinition"))).or_else(|| ours.previous.map(short));
    let to = to.map_or_else(String::new, |to| format!(" to {to}"));
    let new = short(ours.task_definition);
    let what = match status {
        "ROLLBACK_FAILED" => format!("ECS gave {new} up and could not roll back{to}: the service may serve nobody"),
        "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" => format!("ECS gives {new} up and rolls back{to}"),
        _ => format!("ECS rolled {new} back{to}"),
    };
    let entry = list(seen.service, "deployments").find(|one| text(one, "id") == id);
    let reasons = [listed.map(|one| text(&one["rollback"], "reason")), listed.map(|one| text(one, "statusReason"))];
    let further = [entry.map(|one| text(one, "rolloutStateReason")), instead.map(|one| text(one, "rolloutStateReason"))];
    let failure = told(Failure::new(Kind::Unhealthy, what), reasons.into_iter().chain(further).flatten());
    let failure = match (seen.deployments, listed) {
        (Deployments::Hidden, _) => failure.why("the role may not see service deployments, so ECS's reason may be missing"),
        (Deployments::Known(_), _) => failure,
    };
    with_tasks(told_by_deployment(failure, listed), seen, id)
}

/// Somebody else's deployment took the place of ours; the engine takes the sentence as its name.
pub(super) fn superseded(ours: &Ours<'_>, primary: &Value) -> Failure {
    let (theirs, id) = (short(text(primary, "taskDefinition")), text(primary, "id"));
    let begun = moment(primary, "createdAt").rfc3339();
    Failure::new(Kind::Superseded, format!("{theirs} (deployment {id})"))
        .why(format!("it began at {begun} in place of {}, and nothing says that ECS rolled back", short(ours.task_definition)))
        .fix("deploy one after the other: give the jobs one `concurrency` group")
}

/// ECS's own rollback did not succeed.
pub(super) fn way_back_failed(seen: &Seen<'_>, ours: &Ours<'_>, listed: Option<&Value>, primary: &Value) -> Failure {
    let what = format!("ECS could not roll back to {}: the service may serve nobody", short(ours.task_definition));
    let reasons = [listed.map(|one| text(one, "statusReason")), Some(text(primary, "rolloutStateReason"))];
    let failure = told(Failure::new(Kind::Unhealthy, what), reasons.into_iter().flatten());
    with_tasks(failure, seen, text(primary, "id"))
}

/// The deployment ended before it could be stopped: nothing is on its way back.
pub(super) fn not_going_back(ours: &Ours<'_>, status: &str) -> Failure {
    let what = format!("ECS does not go back to {} by itself", short(ours.task_definition));
    Failure::new(Kind::Conflict, what).why(format!("the deployment had ended ({status}) before it could be stopped"))
}

/// UpdateService was answered, and ECS goes on showing what was there before.
pub(super) fn never_shown(ours: &Ours<'_>, primary: &Value) -> Failure {
    Failure::new(Kind::Conflict, format!("ECS never showed the deployment of {}", short(ours.task_definition)))
        .why(format!(
            "a minute after UpdateService the service still runs {} of {}",
            text(primary, "id"),
            short(text(primary, "taskDefinition"))
        ))
        .fix("look at the service's events, and whether somebody changed it back at the same time")
}

/// Adds each reason once.
fn told<'a>(failure: Failure, reasons: impl Iterator<Item = &'a str>) -> Failure {
    reasons.filter(|reason| !reason.is_empty()).fold(failure, |failure, reason| {
        let mut reason = reason.to_owned();
        crate::failure::cut(&mut reason, 400);
        if failure.why.contains(&reason) { failure } else { failure.why(reason) }
    })
}

/// The circuit breaker's count and the alarms.
fn told_by_deployment(failure: Failure, listed: Option<&Value>) -> Failure {
    listed.map(evidence::deployment_in_words).into_iter().flatten().fold(failure, Failure::why)
}

/// How the tasks of the deployment ended: the commonest way, with what to do about it.
fn with_tasks(failure: Failure, seen: &Seen<'_>, id: &str) -> Failure {
    let own = |task: &&Value| text(task, "startedBy") == id && !evidence::replaced(task);
    let tasks: Vec<&Value> = seen.stopped.iter().filter(own).collect();
    let Some(first) = tasks.first() else {
        let entry = list(seen.service, "deployments").find(|one| text(one, "id") == id);
        let count = entry.map_or(0, |one| number(one, "failedTasks"));
        return if count > 0 { failure.why(format!("{count} tasks failed")) } else { failure };
    };
    let failure = failure.why(evidence::task_in_words(first));
    evidence::remedies(&tasks).into_iter().fold(failure, Failure::fix)
}
