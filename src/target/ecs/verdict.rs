//! How far a deployment has come, judged from one look at ECS. Pure: it asks nothing, waits for nothing and keeps nothing.
//! <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ServiceDeployment.html> (2026-11)

mod ended;
mod strikes;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::failure::Failure;

use super::settings::WaitUntil;
use super::shown::{list, moment, number, primary, short, text};

/// Said once where the role may not look at service deployments.
pub(super) const WITHOUT_DEPLOYMENTS: &str = "without ecs:ListServiceDeployments, ecs:DescribeServiceDeployments and ecs:StopServiceDeployment \
     stages, alarms and the reason of a rollback by ECS are not seen, and a rollback cannot stop a running deployment but only replace it";

/// How long a deployment that is complete may be missing from the list of service deployments.
const UNLISTED: std::time::Duration = std::time::Duration::from_secs(60);

/// How long ECS may go on showing only what was there before UpdateService.
const UNSHOWN: std::time::Duration = std::time::Duration::from_secs(60);

/// The stages of a blue/green, linear or canary deployment, in their order.
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

/// One look, as ECS tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    /// The service, of DescribeServices.
    pub service: &'a Value,
    /// The service deployments begun since ours.
    pub deployments: Deployments<'a>,
    /// The service's stopped tasks; none where nobody looked.
    pub stopped: &'a [Value],
    /// When it was.
    pub now: Timestamp,
}

/// What is known of service deployments.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deployments<'a> {
    /// The role may not see them, or there is no such API here.
    Hidden,
    /// Those begun since ours (entries of DescribeServiceDeployments or of the list); a new one is missing for seconds.
    Known(&'a [Value]),
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours<'a> {
    /// ARN of the task definition the service shall run.
    pub task_definition: &'a str,
    /// ARN of the one that served before; `None`: none did, or this is a way back.
    pub previous: Option<&'a str>,
    /// How its deployment is known.
    pub awaited: Awaited<'a>,
    /// Its id, once it has been seen: `ecs-svc/…`.
    pub deployment: Option<&'a str>,
    /// When it began; older events are somebody else's.
    pub since: Timestamp,
    /// When its update was sent: a migration may lie between the two.
    pub sent: Timestamp,
    /// When it counts as arrived.
    pub wait_until: WaitUntil,
    /// Names of the essential containers; empty: not known.
    pub essential: &'a [String],
}

/// How a deployment of ours is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited<'a> {
    /// The one that is there: nothing new was begun.
    Present,
    /// A new one after this id; the id is empty where there was none.
    After(&'a str),
    /// ECS's own way back out of the deployment with this id.
    WayBack(&'a str),
}

/// What the look means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Not there yet.
    Progressing(String),
    /// There.
    Arrived {
        /// The id of the deployment.
        deployment: String,
        /// Lines worth a notice.
        notes: Vec<String>,
    },
    /// It will not arrive.
    Broken(Failure),
}

/// Judges one look.
pub(super) fn judge(seen: &Seen<'_>, ours: &Ours<'_>) -> Verdict {
    let status = text(seen.service, "status");
    if status != "ACTIVE" {
        return Verdict::Broken(ended::deleted(seen.service, status));
    }
    let Some(primary) = primary(seen.service) else {
        return Verdict::Progressing("ECS shows no deployment of the service yet".to_owned());
    };
    if let Awaited::WayBack(left) = ours.awaited {
        return way_back(seen, ours, primary, left);
    }
    match whose(seen, ours, primary) {
        Whose::Earlier if seen.now.since(ours.sent) > UNSHOWN => Verdict::Broken(ended::never_shown(ours, primary)),
        Whose::Earlier => Verdict::Progressing("ECS does not show the new deployment yet".to_owned()),
        Whose::Ours => followed(seen, ours, primary, Vec::new()),
        Whose::Adopted => followed(seen, ours, primary, vec![adopted(ours, primary)]),
        Whose::WayBack => Verdict::Broken(ended::rolled_back(seen, ours, Some(primary))),
        Whose::Foreign => Verdict::Broken(ended::superseded(ours, primary)),
    }
}

/// The id of our deployment, where this look shows it: the newest one with our task definition that was not there before.
pub(super) fn id_of_ours<'a>(service: &'a Value, ours: &Ours<'_>) -> Option<&'a str> {
    let earlier = match ours.awaited {
        Awaited::After(id) | Awaited::WayBack(id) => id,
        Awaited::Present => "",
    };
    let fits = |one: &&Value| text(one, "taskDefinition") == ours.task_definition && text(one, "id") != earlier;
    list(service, "deployments").find(fits).map(|one| text(one, "id"))
}

/// The service deployment that belongs to `id`: the digits of `ecs-svc/<N>` are in the ARN of its target revision.
pub(super) fn service_deployment<'a>(known: Deployments<'a>, id: &str) -> Option<&'a Value> {
    let Deployments::Known(all) = known else { return None };
    let digits = id.strip_prefix("ecs-svc/").filter(|digits| !digits.is_empty())?;
    let target = |one: &Value| {
        let described = text(&one["targetServiceRevision"], "arn").to_owned();
        if described.is_empty() { text(one, "targetServiceRevisionArn").to_owned() } else { described }
    };
    all.iter().find(|one| target(one).rsplit('/').next().is_some_and(|last| last == digits))
}

/// Whose deployment is PRIMARY.
enum Whose {
    /// The one from before.
    Earlier,
    Ours,
    /// Somebody began another one with our task definition.
    Adopted,
    /// ECS has gone back.
    WayBack,
    Foreign,
}

fn whose(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value) -> Whose {
    let (id, definition) = (text(primary, "id"), text(primary, "taskDefinition"));
    let same = definition == ours.task_definition;
    let forced_again = ours.previous == Some(ours.task_definition);
    match ours.awaited {
        // Right after the update ECS may still show what was before; later, traffic given back makes that PRIMARY again.
        Awaited::After(before) if id == before && ended_by_ecs(seen, ours) => Whose::WayBack,
        Awaited::After(before) if id == before => Whose::Earlier,
        Awaited::Present if same => Whose::Ours,
        _ if ours.deployment == Some(id) => Whose::Ours,
        _ if same && forced_again && went_back(seen, ours, primary) => Whose::WayBack,
        _ if same && ours.deployment.is_none() => Whose::Ours,
        _ if same => Whose::Adopted,
        _ if ours.previous == Some(definition) || went_back(seen, ours, primary) => Whose::WayBack,
        _ => Whose::Foreign,
    }
}

/// Whether anything says that ECS rolled back by itself.
fn went_back(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value) -> bool {
    let reason = text(primary, "rolloutStateReason").to_lowercase();
    reason.contains("rolling back") || reason.contains("rolled back") || ended_by_ecs(seen, ours)
}

/// Whether ECS calls our deployment failed or rolled back.
fn ended_by_ecs(seen: &Seen<'_>, ours: &Ours<'_>) -> bool {
    let Some(id) = ours.deployment else { return false };
    let told_by_deployment = service_deployment(seen.deployments, id)
        .is_some_and(|one| text(one, "status").starts_with("ROLLBACK") || one["rollback"].is_object());
    let failed = list(seen.service, "deployments").any(|one| text(one, "id") == id && text(one, "rolloutState") == "FAILED");
    told_by_deployment || failed
}

fn adopted(ours: &Ours<'_>, primary: &Value) -> String {
    format!(
        "somebody began {} with the same task definition ({}), by a forced deployment or a change of its settings: it was followed instead of {}",
        text(primary, "id"),
        short(ours.task_definition),
        ours.deployment.unwrap_or("ours")
    )
}

/// The PRIMARY deployment is the one to follow.
fn followed(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value, notes: Vec<String>) -> Verdict {
    let rollout = text(primary, "rolloutState");
    let listed = service_deployment(seen.deployments, text(primary, "id"));
    let status = listed.map(|one| text(one, "status")).unwrap_or_default();
    match (status, rollout) {
        ("ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS" | "ROLLBACK_SUCCESSFUL" | "ROLLBACK_FAILED", _) => {
            Verdict::Broken(ended::rolled_back(seen, ours, None))
        }
        ("STOPPED", _) | (_, "FAILED") => Verdict::Broken(ended::failed(seen, ours, primary, listed)),
        ("SUCCESSFUL", "COMPLETED" | "") => arrived(seen, primary, notes),
        ("SUCCESSFUL", _) => Verdict::Progressing("ECS calls the deployment successful and is not done with it yet".to_owned()),
        ("", "COMPLETED") if counts_without_list(seen, ours, primary) => arrived(seen, primary, notes),
        ("", "COMPLETED") => Verdict::Progressing("the tasks have been replaced; ECS has not recorded the deployment yet".to_owned()),
        ("", "") if steady(seen.service, primary) => arrived(seen, primary, notes),
        _ => running(seen, ours, primary, (listed, notes)),
    }
}

/// A completed rollout without its record: by the fall-back, because nothing was begun, or because the record is long overdue.
fn counts_without_list(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value) -> bool {
    let overdue = seen.now.since(moment(primary, "updatedAt").max(ours.since)) > UNLISTED;
    matches!(seen.deployments, Deployments::Hidden) || ours.awaited == Awaited::Present || overdue
}

/// Behind a Classic Load Balancer ECS tells no rollout state: then numbers must do.
fn steady(service: &Value, primary: &Value) -> bool {
    let (desired, running) = (number(primary, "desiredCount"), number(primary, "runningCount"));
    list(service, "deployments").count() == 1 && running == desired && number(service, "desiredCount") == desired
}

fn arrived(seen: &Seen<'_>, primary: &Value, mut notes: Vec<String>) -> Verdict {
    if number(seen.service, "desiredCount") == 0 {
        notes.push("the service's desired count is 0: no task runs, so the deployment proves nothing about the build".to_owned());
    }
    Verdict::Arrived { deployment: text(primary, "id").to_owned(), notes }
}

/// Under way: still early enough to see that it will not succeed, or far enough for `wait-until`.
fn running(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value, (listed, notes): (Option<&Value>, Vec<String>)) -> Verdict {
    if let Some(failure) = strikes::out(seen, ours, primary) {
        return Verdict::Broken(failure);
    }
    let stage = listed.map(|one| text(one, "lifecycleStage")).unwrap_or_default();
    if far_enough(stage, ours.wait_until) {
        let mut notes = notes;
        notes.push(format!("the deployment is in {} and ECS goes on with it: wait-until asked for no more", words(stage)));
        return arrived(seen, primary, notes);
    }
    Verdict::Progressing(note(seen, ours, primary, listed))
}

fn far_enough(stage: &str, until: WaitUntil) -> bool {
    let wanted = match until {
        WaitUntil::Completed => return false,
        WaitUntil::ProductionTraffic => "POST_PRODUCTION_TRAFFIC_SHIFT",
        WaitUntil::Bake => "BAKE_TIME",
    };
    let place = |name: &str| STAGES.iter().position(|stage| *stage == name);
    place(stage).is_some_and(|now| place(wanted).is_some_and(|wanted| now >= wanted))
}

/// Where it stands, in a few words.
fn note(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value, listed: Option<&Value>) -> String {
    let mut parts = Vec::new();
    if let Some(one) = listed {
        let (status, stage) = (text(one, "status"), text(one, "lifecycleStage"));
        if !stage.is_empty() {
            parts.push(words(stage) + &weight(one));
        }
        match status {
            "STOP_REQUESTED" => parts.push("somebody asked ECS to stop the deployment".to_owned()),
            "PENDING" => parts.push("waiting for ECS to begin".to_owned()),
            _ => {}
        }
        parts.extend(pauses(one));
    }
    parts.push(tasks(primary));
    parts.extend(strikes::warning(seen, ours, primary));
    parts.join("; ")
}

fn tasks(primary: &Value) -> String {
    let count = |key: &str| number(primary, key);
    let (pending, failed) = (count("pendingCount"), count("failedTasks"));
    let mut said = format!("{} of {} tasks running", count("runningCount"), count("desiredCount"));
    if pending > 0 {
        said += &format!(", {pending} pending");
    }
    if failed > 0 {
        said += &format!(", {failed} failed");
    }
    said
}

fn weight(listed: &Value) -> String {
    let share = listed["targetServiceRevision"]["requestedProductionTrafficWeight"].as_f64();
    share.map_or_else(String::new, |share| format!(" with {share:.0} % of the traffic"))
}

/// `PRODUCTION_TRAFFIC_SHIFT` as a person says it.
fn words(stage: &str) -> String {
    format!("stage {}", stage.to_lowercase().replace('_', " "))
}

/// Pause hooks that wait for somebody. Going on is a person's decision (or another tool's), so it is told and not taken.
fn pauses(listed: &Value) -> Vec<String> {
    let hooks = list(listed, "lifecycleHookDetails");
    let waiting = hooks.filter(|hook| text(hook, "status") == "AWAITING_ACTION");
    let told = waiting.map(|hook| {
        let (id, arn) = (text(hook, "hookId"), text(listed, "serviceDeploymentArn"));
        let until = moment(hook, "expiresAt");
        let then = text(hook, "timeoutAction").to_lowercase();
        let then = if then.is_empty() { String::new() } else { format!(" (then ECS does {then})") };
        format!(
            "paused at hook {id} until {}{then}: aws ecs continue-service-deployment --service-deployment-arn {arn} --hook-id {id} --action CONTINUE",
            until.rfc3339()
        )
    });
    told.collect()
}

/// ECS goes back by itself, because we asked it to or before we could.
fn way_back(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value, left: &str) -> Verdict {
    let listed = service_deployment(seen.deployments, left);
    let status = listed.map(|one| text(one, "status")).unwrap_or_default();
    let rollout = text(primary, "rolloutState");
    let back = text(primary, "taskDefinition") == ours.task_definition && text(primary, "id") != left;
    let foreign = !back && text(primary, "id") != left;
    match (status, rollout) {
        ("ROLLBACK_FAILED", _) => Verdict::Broken(ended::way_back_failed(seen, ours, listed, primary)),
        _ if foreign => Verdict::Broken(ended::superseded(ours, primary)),
        ("SUCCESSFUL" | "STOPPED", _) if !back => Verdict::Broken(ended::not_going_back(ours, status)),
        (_, "FAILED") if back => Verdict::Broken(ended::way_back_failed(seen, ours, listed, primary)),
        ("ROLLBACK_SUCCESSFUL" | "SUCCESSFUL" | "STOPPED" | "", "COMPLETED") if back => arrived(seen, primary, Vec::new()),
        ("ROLLBACK_SUCCESSFUL", "") if back => arrived(seen, primary, Vec::new()),
        ("", "") if back && steady(seen.service, primary) => arrived(seen, primary, Vec::new()),
        _ => Verdict::Progressing(format!("ECS goes back to {}: {}", short(ours.task_definition), tasks(primary))),
    }
}
