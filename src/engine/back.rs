//! The steps on the way back: send the undo, see it arrive, prove that what stood before serves again.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind, Result};
use crate::health::probe::{Shipped, probe};
use crate::health::verdict::judge_rollback;
use crate::health::{Baseline, Sample, Verdict};
use crate::http::LONGEST_CHANGE;
use crate::target::{Arrival, Before, Opaque, TaskHandle, Undo};
use crate::values::Address;

use super::forward::{self, Ended, Tools};
use super::marks;
use super::member::{JobOnCancel, Member};
use super::narrate::job_name;
use super::record::{Asked, Event, Job};
use super::service::Service;

/// Pause between two looks for a job.
const LOOK: Duration = Duration::from_secs(2);
/// Pause between two tries of an undo after a signal.
const AGAIN: Duration = Duration::from_secs(1);
/// How long an undo is tried again after transient failures.
const INSIST: Duration = Duration::from_secs(90);

/// Sends the undo.
pub(crate) async fn undo(member: &Member, tools: &Tools, service: &Service) -> Ended {
    let (Some(prepared), Some(captured)) = (&service.prepared, &service.captured) else { return Ok(vec![Event::UndoneAlready]) };
    if let Some(by) = marks::taken_since(member, tools, service).await {
        return Ok(vec![Event::Superseded { by }]);
    }
    let verb = || member.target.clone().rollback(captured.before.clone(), prepared.release.clone());
    let until = tools.pace.now().plus(INSIST);
    let mut undone = tools.pace.insist(INSIST, verb).await;
    // A signal is no reason to call it stuck: whoever waits no longer leaves the undo to the post step.
    while tools.pace.halted() && tools.pace.now() < until && matches!(&undone, Err(failure) if failure.kind == Kind::Transient) {
        tools.pace.breathe(AGAIN).await;
        undone = tools.pace.insist(INSIST, verb).await;
    }
    Ok(match undone {
        Ok(Undo::Begun(release)) => vec![Event::UndoBegun { release }],
        Ok(Undo::NothingToUndo) => vec![Event::UndoneAlready],
        Ok(Undo::Superseded { by }) => vec![Event::Superseded { by }],
        Err(failure) => vec![failed(member, &captured.before, failure)],
    })
}

/// Sees the undo arrive and proves it; `None`: the platform points there already.
pub(crate) async fn follow(member: &Member, tools: &Tools, service: &Service, undo: Option<Opaque>) -> Ended {
    let Some(captured) = &service.captured else { return Ok(Vec::new()) };
    let since = service.undo_started.unwrap_or_else(|| tools.pace.now());
    let until = since.plus(member.rollback_timeout);
    let arrived = match undo {
        Some(release) => forward::arrive(member, tools, &release, until).await?,
        None => Ok(Arrival { main: captured.address.clone(), ..Arrival::default() }),
    };
    let arrival = match arrived {
        Ok(arrival) => arrival,
        Err(failure) if failure.kind == Kind::Superseded => return Ok(vec![Event::Superseded { by: failure.what }]),
        Err(failure) => return Ok(vec![failed(member, &captured.before, failure)]),
    };
    if !matches!(captured.before, Before::Running(_)) {
        let proof = "nothing served before, so there is nothing to prove".to_owned();
        return Ok(vec![Event::RolledBack { proof: [arrival.facts, vec![proof]].concat(), asked: Asked::Health }]);
    }
    let named = arrival.main.as_ref().or(captured.address.as_ref());
    let baseline = service.baseline.clone().unwrap_or(Baseline::Unknown);
    Ok(match prove(member, tools, named, &baseline, until).await? {
        Ok((proof, asked)) => {
            if asked.proves() {
                marks::proven(member, tools, captured.revision.as_deref()).await;
            }
            vec![Event::RolledBack { proof: [arrival.facts, proof].concat(), asked }]
        }
        Err(failure) => vec![failed(member, &captured.before, failure)],
    })
}

/// Looks for a job whose start was not answered. It did not begin where none is found once its request must have arrived.
pub(crate) async fn find_job(member: &Member, tools: &Tools, job: Job) -> Ended {
    let Some(runner) = member.target.clone().runs_task() else {
        return Ok(vec![Event::Failed { failure: Failure::bug("a job was asked of a platform that runs none") }]);
    };
    let (token, until) = (member.token(job), tools.pace.now().plus(tools.pace.longest(LONGEST_CHANGE)));
    loop {
        match tools.pace.insist(INSIST, || runner.find(token.clone())).await {
            Ok(Some(handle)) => return Ok(vec![Event::JobRunning { job, handle }]),
            Ok(None) if tools.pace.now() > until => return Ok(vec![Event::JobNotBegun { job }]),
            Ok(None) => tools.pace.pause(LOOK).await?,
            Err(failure) => return Ok(forward::unseen(member, runner.as_ref(), job, failure)),
        }
    }
}

/// Sees a job that a cancelled run left behind to its end, or stops it where the settings ask for that.
pub(crate) async fn follow_job(member: &Member, tools: &Tools, job: Job, handle: TaskHandle) -> Ended {
    let stop = member.job(job).is_some_and(|plan| plan.on_cancel == JobOnCancel::Stop);
    if stop && let Some(runner) = member.target.clone().runs_task() {
        let stopped = runner.stop(handle.clone(), "the run was cancelled".to_owned()).await;
        let failure =
            Failure::new(Kind::Cancelled, format!("{}: the {} job was stopped, as the run was cancelled", member.name, job_name(job)));
        let failure = match stopped {
            Ok(()) => failure,
            Err(stopping) => failure.why(format!("stopping it failed: {}", stopping.what)),
        };
        return Ok(vec![Event::Failed { failure }]);
    }
    forward::follow_job(member, tools, job, handle).await
}

/// Proves that the answers are no worse than before the deploy.
async fn prove(
    member: &Member,
    tools: &Tools,
    named: Option<&Address>,
    baseline: &Baseline,
    until: Timestamp,
) -> Result<Result<(Vec<String>, Asked)>, super::pace::Halted> {
    let address = match forward::whom_to_ask(member, named) {
        Ok(address) => address,
        Err(asked) => return Ok(Ok((asked.facts(), asked))),
    };
    let mut samples: Vec<Sample> = Vec::new();
    loop {
        samples.push(probe(&tools.http, &address, &member.health, &Shipped::AnyBuild).await);
        let after = match judge_rollback(baseline, &samples, &member.health) {
            Verdict::Healthy { proof } => return Ok(Ok((proof, Asked::Health))),
            Verdict::Unhealthy(failure) => return Ok(Err(failure)),
            Verdict::Undecided { after } => after,
        };
        if tools.pace.now() > until {
            return Ok(Err(Failure::new(Kind::TimedOut, format!("{} was not proven restored when its time was up", member.name))));
        }
        tools.pace.pause(after).await?;
    }
}

/// A failed rollback, with what a person can type.
pub(crate) fn failed(member: &Member, before: &Before<Opaque>, failure: Failure) -> Event {
    Event::RollbackFailed { failure, by_hand: member.target.by_hand(before) }
}
