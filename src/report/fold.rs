//! The fold: from the journal's entries to the report. The state of each service is the engine's own fold; this adds what people want to read.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::engine::group;
use crate::engine::narrate::{job_name, not_asked};
use crate::engine::record::{Asked, Entry, Event, GroupPlan, Job as Which, JobRollback, Opening, Record};
use crate::engine::service::Service as Folded;
use crate::engine::state::{self, State};
use crate::failure::{Failure, Kind};
use crate::health::{Baseline, HealthAt, HealthSettings};
use crate::target::{Before, Mark};
use crate::values::{PinnedImage, ServiceName};

use super::ending::{self, Ending, Standing};
use super::{FORMAT, Group, Job, JobEnd, PushedImage, Report, Run, Service, Stood, Trouble, headline, timeline};

/// What the records tell of a service besides its state.
#[derive(Default)]
struct Told {
    target: String,
    health: Option<HealthSettings>,
    image: Option<PinnedImage>,
    notes: Vec<String>,
    first: Option<Timestamp>,
    last: Timestamp,
    kept: Option<String>,
    by_hand: Vec<String>,
    jobs: Vec<Job>,
    job_runs: bool,
    rollback_failure: Option<Trouble>,
    superseded_by: Option<String>,
    repaired: Option<String>,
    skip_verify: bool,
}

/// The report on `entries`.
pub(super) fn report(entries: &[Entry], early: Option<&Failure>) -> Report {
    let state = state::fold(entries);
    let mut opening = state.opening.clone().unwrap_or_else(nothing_opened);
    let done = done(&opening);
    let asked = std::mem::replace(&mut opening.mode, done);
    let (told, notes) = told(entries, &opening);
    let services: Vec<Service> = order(entries, &state).iter().map(|name| service(name, &opening, &state, &told[name])).collect();
    let ends = |entry: Option<&Entry>| entry.map(|entry| entry.at);
    let (began, ended) = (ends(entries.first()), ends(entries.last()));
    let mut report = Report {
        format: FORMAT,
        outcome: ending::whole(services.iter().map(|service| service.outcome), early.is_some(), &opening.mode),
        sentence: String::new(),
        began: began.map(Timestamp::rfc3339).unwrap_or_default(),
        duration_seconds: seconds(began, ended),
        skipped: opening.skipped.clone(),
        interrupted: entries.iter().find_map(interrupted),
        taken_over: state.taken_over,
        notes,
        failure: early.map(Trouble::from),
        groups: state.plans.iter().enumerate().map(|(index, plan)| together(index, plan, &state, &services)).collect(),
        timeline: timeline::of(entries, &state),
        images: deployed_nowhere(entries, &services),
        services,
        run: run(&opening),
        mode: asked,
    };
    report.sentence = headline::sentence(&report).to_string();
    report
}

/// What was pushed for none of `services`.
fn deployed_nowhere(entries: &[Entry], services: &[Service]) -> Vec<PushedImage> {
    let pushed = entries.iter().filter_map(|entry| match &entry.record {
        Record::Pushed { service, push } if services.iter().all(|one| one.name != service.0) => Some((service, push)),
        _ => None,
    });
    pushed
        .map(|(name, push)| PushedImage { name: name.0.clone(), image: push.image.reference(), digest: push.image.digest.to_string() })
        .collect()
}

/// What a run really does: without its deploy stage a deploy only looks.
fn done(opening: &Opening) -> String {
    let looks = opening.skipped.iter().any(|stage| stage == "deploy");
    if looks && matches!(opening.mode.as_str(), "deploy" | "rollback") { "verify".to_owned() } else { opening.mode.clone() }
}

fn nothing_opened() -> Opening {
    Opening {
        format: crate::engine::record::FORMAT,
        run: crate::values::RunId { id: String::new(), attempt: 0 },
        mode: "deploy".to_owned(),
        step: String::new(),
        origin: crate::engine::record::Origin::default(),
        groups: Vec::new(),
        skipped: Vec::new(),
        auth: serde_json::Value::Null,
        container: None,
    }
}

fn run(opening: &Opening) -> Run {
    let origin = opening.origin.clone();
    Run {
        id: opening.run.id.clone(),
        attempt: opening.run.attempt,
        url: origin.run_url,
        repository: origin.repository,
        commit: origin.commit,
        reference: origin.reference,
        environment: origin.environment,
        actor: origin.actor,
    }
}

fn interrupted(entry: &Entry) -> Option<String> {
    match &entry.record {
        Record::Interrupted { by } => Some(by.clone()),
        _ => None,
    }
}

/// As the settings have them; then any the records name besides.
fn order(entries: &[Entry], state: &State) -> Vec<ServiceName> {
    let planned = entries.iter().filter_map(|entry| match &entry.record {
        Record::Planned { service, .. } => Some(service),
        _ => None,
    });
    let mut names: Vec<ServiceName> = Vec::new();
    for name in planned.chain(state.services.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn told(entries: &[Entry], opening: &Opening) -> (BTreeMap<ServiceName, Told>, Vec<String>) {
    let (mut services, mut notes) = (BTreeMap::<ServiceName, Told>::new(), Vec::new());
    let members = opening.groups.iter().flat_map(|group| &group.members);
    members.for_each(|member| {
        services.entry(member.service.clone()).or_default();
    });
    for entry in entries {
        match &entry.record {
            Record::Planned { service, target, settings } => {
                let told = services.entry(service.clone()).or_default();
                told.target.clone_from(target);
                told.health = settings.get("health").and_then(|health| serde_json::from_value(health.clone()).ok());
            }
            Record::Pinned { service, image } => {
                services.entry(service.clone()).and_modify(|told| told.image = Some(image.clone()));
            }
            Record::Noted { service: Some(service), note } => services.entry(service.clone()).or_default().notes.push(note.clone()),
            Record::Noted { service: None, note } => notes.push(note.clone()),
            Record::Service { name, event } => services.entry(name.clone()).or_default().event(event, entry.at),
            Record::PushStarted { .. }
            | Record::Pushed { .. }
            | Record::Opened(_)
            | Record::Committed { .. }
            | Record::Finished { .. }
            | Record::Interrupted { .. }
            | Record::TakenOver => {}
        }
    }
    let skip_verify = opening.skipped.iter().any(|stage| stage == "verify");
    services.values_mut().for_each(|told| told.skip_verify = skip_verify);
    (services, notes)
}

impl Told {
    fn event(&mut self, event: &Event, at: Timestamp) {
        self.first.get_or_insert(at);
        self.last = at;
        match event {
            Event::RepairStarted { lost } => self.repaired = Some(lost.to_string()),
            Event::Captured { captured, .. } => self.note(&captured.notes),
            Event::Settled { arrival } => self.note(&arrival.notes),
            Event::RollbackFailed { failure, by_hand } => {
                self.rollback_failure = Some(Trouble::from(failure));
                self.by_hand.clone_from(by_hand);
            }
            Event::Kept { why, by_hand } => {
                self.kept = Some(why.clone());
                self.by_hand.clone_from(by_hand);
            }
            Event::JobStarted { job, rollback } => self.job_started(*job, *rollback),
            Event::JobRunning { .. } => self.job_runs = true,
            Event::JobNotBegun { .. } => self.job_ended(JobEnd::NotStarted),
            Event::JobEnded { .. } => self.job_ended(JobEnd::Well),
            Event::Failed { failure } => self.job_ended(end_of_job(failure, self.job_runs)),
            Event::Superseded { by } => self.superseded_by = Some(by.clone()),
            Event::Repaired { .. }
            | Event::Prepared { .. }
            | Event::ApplyStarted
            | Event::Applied
            | Event::Verified { .. }
            | Event::Advancing { .. }
            | Event::Advanced { .. }
            | Event::Evidence { .. }
            | Event::UndoStarted
            | Event::UndoBegun { .. }
            | Event::UndoneAlready
            | Event::RolledBack { .. } => {}
        }
    }
}

impl Told {
    /// Each once: what is missing before the change is mostly missing after it too.
    fn note(&mut self, notes: &[String]) {
        for note in notes {
            self.notes.extend((!self.notes.contains(note)).then(|| note.clone()));
        }
    }

    fn job_started(&mut self, job: Which, rollback: JobRollback) {
        let name = job_name(job).to_owned();
        self.job_runs = false;
        self.jobs.retain(|known| known.name != name);
        self.jobs.push(Job { name, ended: JobEnd::Unseen, old_release_can_run: rollback == JobRollback::Safe });
    }

    /// Whatever happens while a job's end has not been seen is about it.
    fn job_ended(&mut self, ended: JobEnd) {
        if let Some(job) = self.jobs.last_mut().filter(|job| job.ended == JobEnd::Unseen) {
            job.ended = ended;
        }
    }
}

/// What a failure says of the job that was being started, or seen to its end.
fn end_of_job(failure: &Failure, runs: bool) -> JobEnd {
    match (failure.kind, runs) {
        (_, false) if failure.unchanged => JobEnd::NotStarted,
        (_, false) => JobEnd::Unseen,
        (Kind::Unhealthy, true) => JobEnd::Failed,
        (Kind::TimedOut | Kind::Cancelled, true) => JobEnd::Stopped,
        (Kind::Config | Kind::Denied | Kind::Missing | Kind::Conflict | Kind::Transient | Kind::Superseded | Kind::Bug, true) => {
            JobEnd::Unseen
        }
    }
}

fn service(name: &ServiceName, opening: &Opening, state: &State, told: &Told) -> Service {
    let folded = state.services.get(name).cloned().unwrap_or_default();
    let group = state.plans.iter().position(|plan| plan.members.iter().any(|member| member.service == *name));
    let plan = group.map(|group| &state.plans[group]);
    let in_trouble =
        |plan: &GroupPlan| plan.members.iter().any(|member| state.services.get(&member.service).is_some_and(Folded::in_trouble));
    let standing = Standing {
        mode: &opening.mode,
        committed: group.is_some_and(|group| state.committed.contains(&group)),
        group: plan,
        trouble_in_group: plan.is_some_and(in_trouble),
        interrupted: state.interrupted || state.taken_over,
        skip_verify: told.skip_verify,
    };
    let outcome = ending::of(&folded, &standing);
    let mut service = described(name, &folded, outcome, told);
    if !folded.in_trouble() && matches!(outcome, Ending::RolledBack | Ending::RollingBack | Ending::Untouched) {
        service.because_of = plan.and_then(|plan| first_in_trouble(plan, state));
    }
    if opening.mode == "history" {
        service.releases = std::mem::take(&mut service.notes);
    }
    service.stands = headline::stands(&service).to_string();
    service
}

fn first_in_trouble(plan: &GroupPlan, state: &State) -> Option<String> {
    let mut names = plan.members.iter().map(|member| &member.service);
    names.find(|name| state.services.get(*name).is_some_and(Folded::in_trouble)).map(|name| name.0.clone())
}

fn described(name: &ServiceName, folded: &Folded, outcome: Ending, told: &Told) -> Service {
    let before = before(folded);
    let prepared = folded.prepared.as_ref().filter(|prepared| !prepared.revision.is_empty());
    let revision = prepared.map(|prepared| prepared.revision.clone());
    Service {
        name: name.0.clone(),
        target: told.target.clone(),
        outcome,
        stands: String::new(),
        url: url(folded, told),
        image: told.image.as_ref().map(PinnedImage::reference),
        tag: told.image.as_ref().and_then(|image| image.tag.clone()),
        digest: told.image.as_ref().map(|image| image.digest.to_string()),
        serving: serving(outcome, revision.as_deref(), &before, (folded, told)),
        known_good: known_good(outcome, revision.as_deref(), folded, told),
        revision,
        before,
        proof: proof(outcome, folded),
        unproven: unproven(outcome, &asked(folded, told)),
        jobs: told.jobs.clone(),
        touched: folded.touched.is_some(),
        changes: folded.prepared.as_ref().map(|prepared| prepared.changes.clone()).unwrap_or_default(),
        failure: folded.failure.as_ref().map(Trouble::from).filter(|failure| told.rollback_failure.as_ref() != Some(failure)),
        rollback_failure: told.rollback_failure.clone(),
        kept: told.kept.clone(),
        by_hand: told.by_hand.clone(),
        superseded_by: told.superseded_by.clone(),
        because_of: None,
        repaired: told.repaired.clone(),
        notes: told.notes.clone(),
        releases: Vec::new(),
        duration_seconds: seconds(told.first, Some(told.last)),
    }
}

fn before(folded: &Folded) -> Stood {
    let Some(captured) = &folded.captured else { return Stood::Unknown };
    match &captured.before {
        Before::Absent => Stood::Absent,
        Before::NeverServed(_) => Stood::NeverServed,
        Before::Running(_) => {
            let health = match &folded.baseline {
                Some(Baseline::Healthy { version: Some(version) }) => Some(format!("healthy, version {version}")),
                Some(Baseline::Healthy { version: None }) => Some("healthy".to_owned()),
                Some(Baseline::Unhealthy { how }) => Some(format!("not healthy: {how}")),
                Some(Baseline::Unknown) | None => None,
            };
            Stood::Running { revision: captured.revision.clone(), image: captured.image.clone(), health }
        }
    }
}

fn url(folded: &Folded, told: &Told) -> Option<String> {
    let arrived = folded.arrival.as_ref().and_then(|arrival| arrival.main.as_ref());
    let captured = folded.captured.as_ref().and_then(|captured| captured.address.as_ref());
    let asked = || match told.health.as_ref().map(|health| &health.at) {
        Some(HealthAt::Url(url)) => url::Url::parse(url).ok().map(|url| url.origin().ascii_serialization()),
        Some(HealthAt::Path(_) | HealthAt::Waived(_)) | None => None,
    };
    arrived.or(captured).map(|address| address.url.clone()).or_else(asked)
}

fn serving(outcome: Ending, revision: Option<&str>, before: &Stood, (folded, told): (&Folded, &Told)) -> Option<String> {
    match outcome {
        Ending::Live | Ending::Unchanged if revision.is_some() => revision.map(str::to_owned),
        Ending::Superseded => told.superseded_by.clone(),
        Ending::Stuck | Ending::RollingBack => None,
        Ending::Failed if folded.touched.is_some() => None,
        Ending::Live
        | Ending::Unchanged
        | Ending::Planned
        | Ending::Healthy
        | Ending::Unhealthy
        | Ending::Untouched
        | Ending::Failed
        | Ending::RolledBack => before.revision().map(str::to_owned),
    }
}

fn known_good(outcome: Ending, revision: Option<&str>, folded: &Folded, told: &Told) -> Option<String> {
    let captured = folded.captured.as_ref();
    let marked = captured.and_then(|captured| match captured.mark.as_deref() {
        Some(Mark::Proven { revision }) => Some(revision.clone()),
        Some(Mark::Open { .. } | Mark::Closed { .. }) | None => None,
    });
    let was_healthy = !matches!(folded.baseline, Some(Baseline::Unhealthy { .. }));
    match outcome {
        Ending::Live | Ending::Unchanged if asked(folded, told).proves() => revision.map(str::to_owned).or(marked),
        Ending::RolledBack if was_healthy && asked(folded, told).proves() => {
            captured.and_then(|captured| captured.revision.clone()).or(marked)
        }
        _ => marked,
    }
}

/// What proves the service as it stands now; the proof of a release that was put back since proves nothing any more.
fn proof(outcome: Ending, folded: &Folded) -> Vec<String> {
    match outcome {
        Ending::Live | Ending::Unchanged | Ending::Healthy | Ending::RolledBack => folded.proof.clone(),
        Ending::Planned
        | Ending::Untouched
        | Ending::Unhealthy
        | Ending::Superseded
        | Ending::RollingBack
        | Ending::Failed
        | Ending::Stuck => Vec::new(),
    }
}

fn unproven(outcome: Ending, asked: &Asked) -> Option<String> {
    let told = matches!(outcome, Ending::Live | Ending::Unchanged | Ending::Healthy | Ending::RolledBack);
    not_asked(asked).filter(|_| told)
}

/// What was asked of the service as it stands; a flag for the whole run tells that also where nobody looked.
fn asked(folded: &Folded, told: &Told) -> Asked {
    if told.skip_verify { Asked::Nothing } else { folded.asked.clone() }
}

fn together(index: usize, plan: &GroupPlan, state: &State, services: &[Service]) -> Group {
    let names: Vec<String> = plan.members.iter().map(|member| member.service.0.clone()).collect();
    let committed = state.committed.contains(&index);
    let members = || services.iter().filter(|service| names.contains(&service.name));
    let still_moving = members().any(|service| service.outcome == Ending::RollingBack);
    let mixed = !committed && !still_moving && group::mixed(plan, &state.services);
    let mixture = mixed.then(|| members().map(|service| format!("{}: {}", service.name, service.stands)).collect::<Vec<_>>().join("; "));
    Group { members: names, committed, mixture }
}

fn seconds(from: Option<Timestamp>, to: Option<Timestamp>) -> f64 {
    match (from, to) {
        (Some(from), Some(to)) => to.since(from).as_secs_f64(),
        _ => 0.0,
    }
}
