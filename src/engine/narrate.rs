//! What a colleague would be told while it happens: one line for each entry that is worth one. Pure.

use crate::failure::Failure;
use crate::health::Baseline;
use crate::target::{Before, Captured, Opaque};

use super::record::{Asked, Entry, Event, Job, PushRecord, Record};

/// The service and the line, or nothing.
pub fn line(entry: &Entry) -> Option<(Option<&str>, String)> {
    match &entry.record {
        Record::Service { name, event } => Some((Some(name.0.as_str()), of_event(event)?)),
        Record::Pinned { service, image } => Some((Some(service.0.as_str()), format!("the image is {}", image.reference()))),
        Record::PushStarted { service, from, to } => Some((Some(service.0.as_str()), format!("pushing {from} to {to}"))),
        Record::Pushed { service, push } => Some((Some(service.0.as_str()), pushed(push))),
        Record::Noted { service, note } => Some((service.as_ref().map(|service| service.0.as_str()), note.clone())),
        Record::Committed { .. } => Some((None, "committed: from here on it stays".to_owned())),
        Record::Interrupted { by } => Some((None, format!("{by}: nothing new starts"))),
        Record::TakenOver => Some((None, "the post step takes over".to_owned())),
        Record::Opened(_) | Record::Planned { .. } | Record::Finished { .. } => None,
    }
}

/// `pushed 12.3 MB (45.0 MB were there, 21 requests)`.
pub fn pushed(push: &PushRecord) -> String {
    let requests = format!("{} requests", push.requests);
    let along = match push.referrers {
        None => String::new(),
        Some(0) => ", and nothing refers to it".to_owned(),
        Some(1) => ", and 1 signature, SBOM or attestation of it".to_owned(),
        Some(many) => format!(", and {many} signatures, SBOMs or attestations of it"),
    };
    let told = match (push.sent, push.skipped) {
        (0, 0) => format!("it was there already ({requests})"),
        (0, there) => format!("all of it was there already ({}, {requests})", size(there)),
        (sent, 0) => format!("pushed {} ({requests})", size(sent)),
        (sent, there) => format!("pushed {} ({} were there, {requests})", size(sent), size(there)),
    };
    told + &along
}

/// `12.3 MB`, `45 kB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// The names a pushed image has, and those it gets: `tagged v1.2.3; latest once it is live`.
pub fn tagged(push: &PushRecord) -> Option<String> {
    let named = |to_move: bool| push.tags.iter().filter(move |tag| tag.is_to_move() == to_move).map(|tag| tag.tag.as_str());
    let (has, gets) = (named(false).collect::<Vec<_>>().join(", "), named(true).collect::<Vec<_>>().join(", "));
    match (has.is_empty(), gets.is_empty()) {
        (true, true) => None,
        (false, true) => Some(format!("tagged {has}")),
        (true, false) => Some(format!("tagged {gets} once it is live")),
        (false, false) => Some(format!("tagged {has}; {gets} once it is live")),
    }
}

/// Where a pushed image says it comes from.
pub fn built(push: &PushRecord) -> Option<String> {
    let origin = &push.origin;
    let parts = [("from ", &origin.revision), ("of ", &origin.source), ("at ", &origin.created)];
    let said: Vec<String> = parts.into_iter().filter_map(|(word, text)| Some(format!("{word}{}", text.as_ref()?))).collect();
    (!said.is_empty()).then(|| format!("the image says that it was built {}", said.join(" ")))
}

fn of_event(event: &Event) -> Option<String> {
    Some(match event {
        Event::RepairStarted { lost } => format!("run {lost} was lost while it changed this service: putting back what it left"),
        Event::Repaired { revision } => format!("repaired: {revision} serves again"),
        Event::Captured { captured, baseline } => found(captured, baseline),
        Event::JobStarted { job, .. } => format!("starting the {} job", job_name(*job)),
        Event::JobRunning { job, handle } => format!("the {} job runs as {}", job_name(*job), handle.0),
        Event::JobNotBegun { job } => format!("the {} job was never begun", job_name(*job)),
        Event::JobEnded { job, .. } => format!("the {} job ended well", job_name(*job)),
        Event::Prepared { prepared } if prepared.changes.is_empty() => format!("nothing differs from {}", prepared.revision),
        Event::Prepared { prepared } => format!("{} is ready: {}", prepared.revision, prepared.changes.join(", ")),
        Event::ApplyStarted => "deploying".to_owned(),
        Event::Settled { arrival } => sentence("arrived", &arrival.facts),
        Event::Verified { proof, asked } => looked_at("proven", "not proven", proof, asked),
        Event::Advancing { step } => format!("giving it {} % of the users", step.share.0),
        Event::Failed { failure } => short("failed", failure),
        Event::UndoStarted => "rolling back".to_owned(),
        Event::UndoBegun { .. } => "the rollback is on its way".to_owned(),
        Event::UndoneAlready => "what stood before serves already".to_owned(),
        Event::RolledBack { proof, asked } => looked_at("rolled back", "rolled back, not proven", proof, asked),
        Event::RollbackFailed { failure, .. } => short("the rollback failed", failure),
        Event::Kept { why, .. } => format!("left as it is: {why}"),
        Event::Superseded { by } => format!("superseded: {by}"),
        Event::Applied | Event::Advanced { .. } | Event::Evidence { .. } => return None,
    })
}

fn found(captured: &Captured<Opaque>, baseline: &Baseline) -> String {
    let serves = match (&captured.before, &captured.revision) {
        (Before::Absent, _) => "does not exist yet".to_owned(),
        (Before::NeverServed(_), _) => "exists and has never served".to_owned(),
        (Before::Running(_), Some(revision)) => format!("{revision} serves"),
        (Before::Running(_), None) => "serves".to_owned(),
    };
    match baseline {
        Baseline::Healthy { version: Some(version) } => format!("{serves}, healthy, version {version}"),
        Baseline::Healthy { version: None } => format!("{serves}, healthy"),
        Baseline::Unhealthy { how } => format!("{serves}, and is not healthy: {how}"),
        Baseline::Unknown => serves,
    }
}

fn sentence(what: &str, facts: &[String]) -> String {
    if facts.is_empty() { what.to_owned() } else { format!("{what}: {}", facts.join(", ")) }
}

/// `proven` only what was asked about; of anything else, why not, and what was looked at.
fn looked_at(proven: &str, unproven: &str, proof: &[String], asked: &Asked) -> String {
    match not_asked(asked) {
        None => sentence(proven, proof),
        Some(why) if proof.is_empty() => format!("{unproven}: {why}"),
        Some(why) => format!("{unproven}: {why}; on the platform {}", proof.join(", ")),
    }
}

/// What and its nearest reason: the end of the log has all of it, once.
fn short(what: &str, failure: &Failure) -> String {
    let why = failure.why.first().and_then(|why| why.lines().next());
    why.map_or_else(|| format!("{what}: {}", failure.what), |why| format!("{what}: {} – {why}", failure.what))
}

/// Why nothing is proven, where health was not asked.
pub fn not_asked(asked: &Asked) -> Option<String> {
    match asked {
        Asked::Health | Asked::Platform => None,
        Asked::Nothing => Some("its health was not asked (skip-verify)".to_owned()),
        Asked::Waived { reason } => Some(format!("its health is waived: {reason}")),
    }
}

/// The job's name as the settings have it.
pub fn job_name(job: Job) -> &'static str {
    match job {
        Job::Before => "before",
        Job::Migrate => "migrate",
    }
}
