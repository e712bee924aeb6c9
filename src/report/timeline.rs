//! What happened, in its order, with how long it took. One moment for each piece of work, not for each record.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::engine::narrate::{self, job_name, not_asked};
use crate::engine::record::{Asked, Entry, Event, Job, Record};
use crate::engine::service::{Phase, Service};
use crate::engine::state::State;
use crate::failure::Failure;
use crate::health::Baseline;
use crate::target::{Before, Captured, Opaque};
use crate::values::ServiceName;

use super::phrase::{names, unprefixed};
use super::{Moment, Sign};

/// A moment without its times.
struct Told {
    sign: Sign,
    what: String,
    facts: Vec<String>,
}

fn told(sign: Sign, what: impl Into<String>) -> Told {
    Told { sign, what: what.into(), facts: Vec::new() }
}

impl Told {
    fn facts(self, facts: &[String]) -> Self {
        Self { facts: facts.to_vec(), ..self }
    }
}

/// The moments of `entries`.
pub(super) fn of(entries: &[Entry], state: &State) -> Vec<Moment> {
    let Some(began) = entries.first().map(|entry| entry.at) else { return Vec::new() };
    let mut folding: BTreeMap<&ServiceName, Service> = BTreeMap::new();
    let mut since: BTreeMap<&ServiceName, Timestamp> = BTreeMap::new();
    let mut moments = Vec::new();
    for entry in entries {
        let at_seconds = entry.at.since(began).as_secs_f64();
        if let Record::Service { name, event } = &entry.record {
            let service = folding.entry(name).or_default();
            let job = job_of(service);
            service.fold(event, entry.at);
            let told = job.and_then(|job| end_of_job(job, event, name)).or_else(|| of_event(event, service, name));
            if let Some(Told { sign, what, facts }) = told {
                let from = since.get(name).copied().or_else(|| waits_for_nobody(name, state).then_some(began));
                let took_seconds = from.map(|from| entry.at.since(from).as_secs_f64());
                moments.push(Moment { service: Some(name.0.clone()), at_seconds, took_seconds, sign, what, facts });
            }
            if !goes_on(event) {
                since.insert(name, entry.at);
            }
        } else if let Record::Pushed { service, push } = &entry.record {
            let (what, facts) = (narrate::pushed(push), narrate::tagged(push).into_iter().chain(narrate::built(push)).collect());
            let took_seconds = Some(push.took.as_secs_f64());
            moments.push(Moment { service: Some(service.0.clone()), at_seconds, took_seconds, sign: Sign::Step, what, facts });
        } else if let Some(Told { sign, what, facts }) = of_run(&entry.record, state) {
            moments.push(Moment { service: None, at_seconds, took_seconds: None, sign, what, facts });
        }
    }
    let at_seconds = entries.last().map_or(began, |entry| entry.at).since(began).as_secs_f64();
    let under_way = folding.iter().filter_map(|(name, service)| Some((name, under_way(service, state, name)?)));
    moments.extend(under_way.map(|(name, what)| Moment {
        service: Some(name.0.clone()),
        at_seconds,
        took_seconds: None,
        sign: Sign::Outside,
        what,
        facts: Vec::new(),
    }));
    moments
}

/// Whether `event` lies in the middle of a piece of work, whose time goes on.
fn goes_on(event: &Event) -> bool {
    matches!(event, Event::Applied | Event::JobRunning { .. } | Event::UndoBegun { .. } | Event::UndoneAlready | Event::Evidence { .. })
}

fn waits_for_nobody(name: &ServiceName, state: &State) -> bool {
    let mut members = state.plans.iter().flat_map(|plan| &plan.members);
    members.find(|member| member.service == *name).is_none_or(|member| member.after.is_empty())
}

fn of_run(record: &Record, state: &State) -> Option<Told> {
    match record {
        Record::Committed { group } => {
            let plan = state.plans.get(usize::from(*group))?;
            let members: Vec<&str> = plan.members.iter().map(|member| member.service.0.as_str()).collect();
            let what = if state.services.len() == 1 {
                "committed: from here on it stays".to_owned()
            } else {
                format!("committed: from here on {} {}", names(&members), if members.len() == 1 { "stays" } else { "stay" })
            };
            Some(told(Sign::Good, what))
        }
        Record::Interrupted { by } => Some(told(Sign::Outside, format!("interrupted ({by}): nothing new starts"))),
        Record::TakenOver => Some(told(Sign::Outside, "the post step took over")),
        Record::PushStarted { .. }
        | Record::Pushed { .. }
        | Record::Opened(_)
        | Record::Planned { .. }
        | Record::Pinned { .. }
        | Record::Noted { .. }
        | Record::Service { .. }
        | Record::Finished { .. } => None,
    }
}

fn of_event(event: &Event, after: &Service, name: &ServiceName) -> Option<Told> {
    let revision = || after.prepared.as_ref().map_or("the release", |prepared| prepared.revision.as_str());
    let stood = || after.captured.as_ref().and_then(|captured| captured.revision.as_deref());
    Some(match event {
        Event::RepairStarted { lost } => {
            told(Sign::Back, format!("run {lost} was lost while it changed this service: putting back what it left"))
        }
        Event::Repaired { revision } => told(Sign::Good, format!("{revision} serves again, as before the lost run")),
        Event::Captured { captured, .. } => found(captured, after),
        Event::JobEnded { job, .. } => told(Sign::Step, format!("the {} job ended well", job_name(*job))),
        Event::Prepared { prepared } if prepared.changes.is_empty() => told(Sign::Step, "nothing would change"),
        Event::Prepared { prepared } if prepared.revision.is_empty() => {
            told(Sign::Step, "what would change is known").facts(&prepared.changes)
        }
        Event::Prepared { prepared } => {
            told(Sign::Step, format!("{} is made, and serves nobody yet", prepared.revision)).facts(&prepared.changes)
        }
        Event::Settled { arrival } if after.unchanged() => told(Sign::Step, format!("{} serves already", revision())).facts(&arrival.facts),
        Event::Settled { arrival } => told(Sign::Step, format!("{} is rolled out", revision())).facts(&arrival.facts),
        Event::Verified { proof, asked } => verified(asked).facts(proof),
        Event::Advanced { step } => told(Sign::Step, format!("{} % of the users reach it", step.share.0)),
        Event::Failed { failure } => told(Sign::Bad, unprefixed(&failure.what, &name.0)),
        Event::JobNotBegun { job } => told(Sign::Outside, format!("the {} job was never begun", job_name(*job))),
        Event::UndoneAlready => told(Sign::Back, "what stood before serves already"),
        Event::RolledBack { proof, asked } => told(Sign::Back, put_back(stood(), after, asked)).facts(proof),
        Event::RollbackFailed { failure, .. } => told(Sign::Bad, format!("could not be put back: {}", unprefixed(&failure.what, &name.0))),
        Event::Kept { why, .. } => told(Sign::Outside, format!("left as it is: {why}")),
        Event::Superseded { by } => told(Sign::Outside, format!("{by} serves: left alone")),
        Event::JobStarted { .. }
        | Event::JobRunning { .. }
        | Event::ApplyStarted
        | Event::Applied
        | Event::Advancing { .. }
        | Event::Evidence { .. }
        | Event::UndoStarted
        | Event::UndoBegun { .. } => return None,
    })
}

/// The job that is being started or runs.
fn job_of(service: &Service) -> Option<Job> {
    match service.phase {
        Phase::JobStarted(job) | Phase::JobRunning(job, _) => Some(job),
        _ => None,
    }
}

/// A job's bad end: what it was, how it ended, and what it may have left.
fn end_of_job(job: Job, event: &Event, name: &ServiceName) -> Option<Told> {
    let Event::Failed { failure } = event else { return None };
    let mut facts: Vec<String> = nearest(failure).into_iter().collect();
    facts.extend((job == Job::Migrate && !failure.unchanged).then(|| "whatever it did to the database stays".to_owned()));
    let (job, what) = (format!("the {} job", job_name(job)), unprefixed(&failure.what, &name.0));
    let what = if what.contains(&job) { what.to_owned() } else { format!("{job}: {what}") };
    Some(told(Sign::Bad, what).facts(&facts))
}

fn nearest(failure: &Failure) -> Option<String> {
    failure.why.first().and_then(|why| why.lines().next()).map(str::to_owned)
}

fn verified(asked: &Asked) -> Told {
    not_asked(asked).map_or_else(|| told(Sign::Good, "proven"), |why| told(Sign::Outside, format!("not proven: {why}")))
}

fn put_back(stood: Option<&str>, after: &Service, asked: &Asked) -> String {
    match (stood, &after.baseline, not_asked(asked)) {
        (None, ..) => "put back: nothing serves, as before".to_owned(),
        (Some(stood), _, Some(why)) => format!("{stood} serves again, not proven: {why}"),
        (Some(stood), Some(Baseline::Unhealthy { .. }), None) => format!("{stood} serves again, no healthier than before"),
        (Some(stood), _, None) => format!("{stood} serves again, proven"),
    }
}

fn found(captured: &Captured<Opaque>, after: &Service) -> Told {
    let revision = captured.revision.as_deref().unwrap_or("a release");
    let what = match (&captured.before, &after.baseline) {
        (Before::Absent, _) => "there is no such service yet".to_owned(),
        (Before::NeverServed(_), _) => "it exists and has never served anybody".to_owned(),
        (Before::Running(_), Some(Baseline::Healthy { .. })) => format!("{revision} serves, healthy"),
        (Before::Running(_), Some(Baseline::Unhealthy { how })) => format!("{revision} serves, and is not healthy: {how}"),
        (Before::Running(_), Some(Baseline::Unknown) | None) => format!("{revision} serves"),
    };
    told(Sign::Step, what)
}

/// What nobody saw the end of.
fn under_way(service: &Service, state: &State, name: &ServiceName) -> Option<String> {
    let group = state.plans.iter().position(|plan| plan.members.iter().any(|member| member.service == *name));
    if !state.interrupted || service.kept.is_some() || group.is_some_and(|group| state.committed.contains(&group)) {
        return None;
    }
    let what = match &service.phase {
        Phase::JobStarted(job) | Phase::JobRunning(job, _) => return Some(format!("its {} job was still running", job_name(*job))),
        Phase::Applying | Phase::Applied => "its rollout was still under way",
        Phase::Advancing(_) => "it was being given more users",
        Phase::Undoing | Phase::UndoBegun | Phase::Undone => "its way back was still under way",
        Phase::New
        | Phase::Repairing
        | Phase::Captured
        | Phase::Prepared
        | Phase::Settled
        | Phase::Verified
        | Phase::Failed
        | Phase::RolledBack
        | Phase::RollbackFailed
        | Phase::Superseded => return None,
    };
    Some(what.to_owned())
}
