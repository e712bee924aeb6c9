//! What happened, in its order, with how long it took. One moment for each piece of work, not for each record.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::engine::narrate::job_name;
use crate::engine::record::{Entry, Event, Record};
use crate::engine::service::{Phase, Service};
use crate::engine::state::State;
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
            service.fold(event, entry.at);
            if let Some(Told { sign, what, facts }) = of_event(event, service, name) {
                let from = since.get(name).copied().or_else(|| waits_for_nobody(name, state).then_some(began));
                let took_seconds = from.map(|from| entry.at.since(from).as_secs_f64());
                moments.push(Moment { service: Some(name.0.clone()), at_seconds, took_seconds, sign, what, facts });
            }
            if !goes_on(event) {
                since.insert(name, entry.at);
            }
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
        what: what.to_owned(),
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
                format!("committed: {}", names(&members))
            };
            Some(told(Sign::Good, what))
        }
        Record::Interrupted { by } => Some(told(Sign::Outside, format!("interrupted ({by}): nothing new starts"))),
        Record::TakenOver => Some(told(Sign::Outside, "the post step took over")),
        Record::Opened(_)
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
        Event::Prepared { prepared } if prepared.revision.is_empty() => told(Sign::Step, "compared").facts(&prepared.changes),
        Event::Prepared { prepared } => {
            told(Sign::Step, format!("{} is made, and serves nobody yet", prepared.revision)).facts(&prepared.changes)
        }
        Event::Settled { arrival } if after.unchanged() => told(Sign::Step, format!("{} serves already", revision())).facts(&arrival.facts),
        Event::Settled { arrival } => told(Sign::Step, format!("{} is rolled out", revision())).facts(&arrival.facts),
        Event::Verified { proof } => told(Sign::Good, "proven").facts(proof),
        Event::Advanced { step } => told(Sign::Step, format!("{} % of the users reach it", step.share.0)),
        Event::Failed { failure } => told(Sign::Bad, unprefixed(&failure.what, &name.0)),
        Event::JobNotBegun { job } => told(Sign::Outside, format!("the {} job was never begun", job_name(*job))),
        Event::UndoneAlready => told(Sign::Back, "the platform points at what stood before already"),
        Event::RolledBack { proof } => {
            let what =
                stood().map_or_else(|| "put back: nothing serves, as before".to_owned(), |stood| format!("{stood} serves again, proven"));
            told(Sign::Back, what).facts(proof)
        }
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

fn found(captured: &Captured<Opaque>, after: &Service) -> Told {
    use crate::health::Baseline;
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
fn under_way(service: &Service, state: &State, name: &ServiceName) -> Option<&'static str> {
    let group = state.plans.iter().position(|plan| plan.members.iter().any(|member| member.service == *name));
    if !state.interrupted || service.kept.is_some() || group.is_some_and(|group| state.committed.contains(&group)) {
        return None;
    }
    match &service.phase {
        Phase::JobStarted(_) | Phase::JobRunning(..) => Some("its job was still running"),
        Phase::Applying | Phase::Applied => Some("its rollout was still under way"),
        Phase::Advancing(_) => Some("it was being given more users"),
        Phase::Undoing | Phase::UndoBegun | Phase::Undone => Some("its way back was still under way"),
        Phase::New
        | Phase::Repairing
        | Phase::Captured
        | Phase::Prepared
        | Phase::Settled
        | Phase::Verified
        | Phase::Failed
        | Phase::RolledBack
        | Phase::RollbackFailed
        | Phase::Superseded => None,
    }
}
