//! What repeats itself and will not get better: told early, long before ECS gives up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::failure::{Failure, Kind};

use super::super::evidence;
use super::super::shown::{list, moment, number, short, text};
use super::{Ours, Seen};

/// Tasks of one deployment that ended for the same fatal reason.
const TASKS: usize = 3;
/// Events that tell the same mistake in the settings (a role that cannot be assumed, a secret that cannot be read).
const MISTAKES: usize = 3;
/// Events that tell of no capacity: a cluster that scales up needs a while.
const PLACEMENTS: usize = 8;

/// The failure, where the same thing has happened often enough.
pub(super) fn out(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value) -> Option<Failure> {
    by_tasks(seen, ours, primary).or_else(|| by_events(seen, ours))
}

fn by_tasks(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value) -> Option<Failure> {
    let mut reasons: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    let grace = Duration::from_secs(number(seen.service, "healthCheckGracePeriodSeconds"));
    let counts = |task: &&Value| evidence::failed_checks(task).is_none() || evidence::outlived(task, grace);
    for task in seen.stopped.iter().filter(|task| text(task, "startedBy") == text(primary, "id")).filter(counts) {
        if let Some(reason) = evidence::fatal(task, ours.essential) {
            reasons.entry(reason).or_default().push(task);
        }
    }
    let (reason, tasks) =
        reasons.into_iter().filter(|(_, tasks)| tasks.len() >= enough(tasks, primary)).max_by_key(|(_, tasks)| tasks.len())?;
    let first = tasks.first()?;
    let does_not = if evidence::failed_checks(first).is_some() { "does not become healthy" } else { "does not start" };
    let what = format!("{} {does_not}: {} tasks ended the same way ({reason})", short(ours.task_definition), tasks.len());
    let failure = Failure::new(Kind::Unhealthy, what).why(evidence::task_in_words(first));
    Some(evidence::remedies(&tasks).into_iter().fold(failure, Failure::fix))
}

/// How many tasks with one reason are enough. Tasks that begin together may all be slow once: of those that failed health checks,
/// one must have been started in the place of another.
fn enough(tasks: &[&Value], primary: &Value) -> usize {
    let together = usize::try_from(number(primary, "desiredCount")).unwrap_or(usize::MAX);
    let checked = tasks.first().is_some_and(|task| evidence::failed_checks(task).is_some());
    if checked { TASKS.max(together.saturating_add(1)) } else { TASKS }
}

/// An event that tells of a lasting problem: what it is, and how often it must be told.
struct Sign {
    phrase: &'static str,
    enough: usize,
    what: &'static str,
    fix: &'static str,
}

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html> (2026-11)
const SIGNS: [Sign; 3] = [
    Sign {
        phrase: "unable to place a task",
        enough: PLACEMENTS,
        what: "ECS finds no place for the new tasks",
        fix: "give the cluster capacity (instances, a capacity provider, the Fargate quota), or ask for less cpu and memory",
    },
    Sign {
        phrase: "unable to assume",
        enough: MISTAKES,
        what: "ECS may not assume a role of the task definition",
        fix: "let ecs-tasks.amazonaws.com assume the role in its trust policy, and check its name",
    },
    Sign {
        phrase: "unable to pull secrets",
        enough: MISTAKES,
        what: "ECS cannot read the secrets of the task definition",
        fix: "allow the execution role to read them (secretsmanager:GetSecretValue, ssm:GetParameters, kms:Decrypt), and check their names",
    },
];

fn by_events(seen: &Seen<'_>, ours: &Ours<'_>) -> Option<Failure> {
    SIGNS.iter().find_map(|sign| {
        let told = told(seen, ours, sign);
        let newest = told.first().filter(|_| told.len() >= sign.enough)?;
        Some(Failure::new(Kind::Unhealthy, sign.what).why(format!("{newest} ({} times)", told.len())).fix(sign.fix))
    })
}

/// One event is a warning, not yet a failure.
pub(super) fn warning(seen: &Seen<'_>, ours: &Ours<'_>, primary: &Value) -> Option<String> {
    let event = SIGNS.iter().find_map(|sign| told(seen, ours, sign).first().copied());
    let checks = |task: &&Value| text(task, "startedBy") == text(primary, "id") && text(task, "stoppedReason").contains("health check");
    let checked = seen.stopped.iter().filter(checks).count();
    event.map(str::to_owned).or_else(|| (checked > 0).then(|| format!("{checked} ended because their health checks failed")))
}

/// The messages of this sign since our deployment began, newest first.
fn told<'a>(seen: &Seen<'a>, ours: &Ours<'_>, sign: &Sign) -> Vec<&'a str> {
    let events = list(seen.service, "events");
    let recent = events.filter(|event| moment(event, "createdAt") >= ours.since);
    recent.map(|event| text(event, "message")).filter(|message| message.contains(sign.phrase)).collect()
}
