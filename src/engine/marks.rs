//! The open mark on the platform, as the engine uses it: written before the first change, taken away when the run is done,
//! and, where the run that wrote it was lost, the way back to what it names. It decides nothing about groups.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind, Result};
use crate::target::{Arrival, Captured, Holder, Leavings, Mark, Opaque, Undo};
use crate::values::RunId;

use super::forward::{Ended, Tools, arrive};
use super::member::{Fate, Member};
use super::record::Event;
use super::service::Service;

/// How long a repair is tried again after transient failures.
const INSIST: Duration = Duration::from_secs(60);
/// How long the taking away of a mark is.
const TIDY: Duration = Duration::from_secs(10);

/// Says on the platform that this run has the service, until when, what to go back to and from what.
pub(crate) async fn open(member: &Member, tools: &Tools, service: &Service) {
    let (Some(marks), Some(captured), Some(prepared)) = (member.target.clone().marks(), &service.captured, &service.prepared) else {
        return;
    };
    let Some(back_to) = captured.revision.clone() else { return };
    let jobs: Duration = [&member.before, &member.migrate].into_iter().flatten().map(|job| job.timeout).sum();
    let until = tools.pace.now().plus(jobs + member.timeout + member.rollback_timeout);
    let mark = Mark::Open { by: member.holder(), until, back_to, to: prepared.revision.clone() };
    if let Err(failure) = marks.write(mark).await {
        tracing::warn!(service = %member.name, "no open mark: a lost run will not be repaired by the next one ({})", failure.what);
    }
}

/// This run is done with the service and leaves it as it is, proven or not.
pub(crate) async fn close(member: &Member, tools: &Tools) {
    let Some(marks) = member.target.clone().marks() else { return };
    if let Err(failure) = tools.pace.insist(TIDY, || marks.close(member.holder())).await {
        tracing::warn!(service = %member.name, "the open mark stays, and the next run waits for its end ({})", failure.what);
    }
}

/// What stood before is proven again.
pub(crate) async fn proven(member: &Member, tools: &Tools, revision: Option<&str>) {
    let Some(revision) = revision else { return };
    if let Err(failure) = tools.pace.insist(TIDY, || prove(member, revision)).await {
        tracing::debug!(service = %member.name, "the mark stays open: {}", failure.what);
    }
}

/// Says that this step proved `revision`; but what another step has open by now is not ours to write over.
pub(crate) async fn prove(member: &Member, revision: &str) -> Result<()> {
    let Some(marks) = member.target.clone().marks() else { return Ok(()) };
    match marks.read().await? {
        Some(Mark::Open { by, .. }) if by != member.holder() => Ok(()),
        _ => marks.write(Mark::Proven { revision: revision.to_owned() }).await,
    }
}

/// Whether another step has had the service since this one, with the very revision this one made: that is its release now, and not
/// ours to undo, although the platform shows no difference. What serves, in words.
pub(crate) async fn taken_since(member: &Member, tools: &Tools, service: &Service) -> Option<String> {
    let (marks, captured, prepared) = (member.target.clone().marks()?, service.captured.as_ref()?, service.prepared.as_ref()?);
    let mark = tools.pace.insist(TIDY, || marks.read()).await.ok()??;
    let (own, revision) = (member.holder(), &prepared.revision);
    match &mark {
        _ if captured.mark.as_deref() == Some(&mark) => None,
        Mark::Open { by, .. } | Mark::Closed { by } if *by == own => None,
        Mark::Open { by, to, .. } if to == revision => Some(format!("{revision} (of run {}, another step)", by.run)),
        Mark::Proven { revision: proven } if proven == revision => Some(format!("{revision} (proven by another step)")),
        Mark::Closed { by } => {
            let until = tools.pace.now();
            let ours = Mark::Open { by: own, until, back_to: captured.revision.clone()?, to: revision.clone() };
            let stands = marks.leavings(ours).await.ok()? == Leavings::Release;
            stands.then(|| format!("{revision} (left by run {}, another step)", by.run))
        }
        Mark::Open { .. } | Mark::Proven { .. } => None,
    }
}

/// Why the service is not free, in words; `None`: it is.
pub(crate) fn occupied(member: &Member, captured: &Captured<Opaque>, now: Timestamp) -> Option<String> {
    match captured.mark.as_deref() {
        Some(Mark::Open { by, until, .. }) if !has_ended(member, by, *until, now) => {
            Some(format!("run {} has it until {}", by.run, until.rfc3339()))
        }
        _ => captured.in_flight.clone(),
    }
}

/// Its time is over, or it is an earlier attempt or an earlier step of this very run.
fn has_ended(member: &Member, by: &Holder, until: Timestamp, now: Timestamp) -> bool {
    let own = &member.run;
    until < now || (by.run.id == own.id && (by.run.attempt < own.attempt || (member.fate)(&by.step) != Fate::Unknown))
}

/// The run that was lost with its release on the platform.
pub(crate) async fn lost(member: &Member, tools: &Tools, captured: &Captured<Opaque>) -> Option<RunId> {
    let Some(mark @ Mark::Open { by, until, .. }) = captured.mark.as_deref() else { return None };
    let is_lost = has_ended(member, by, *until, tools.pace.now()) && (member.fate)(&by.step) != Fate::Committed;
    let marks = member.target.clone().marks().filter(|_| is_lost)?;
    match tools.pace.insist(INSIST, || marks.leavings(mark.clone())).await {
        Ok(Leavings::Release) => Some(by.run.clone()),
        Ok(Leavings::Nothing) => None,
        Err(failure) => {
            tracing::debug!(service = %member.name, "what the lost run left cannot be told: {failure}");
            None
        }
    }
}

/// Puts back what a lost run left, then lets the service be captured afresh.
pub(crate) async fn repair(member: &Member, tools: &Tools) -> Ended {
    let Some(marks) = member.target.clone().marks() else {
        return Ok(vec![Event::Failed { failure: Failure::bug("a lost run cannot be repaired where no mark can be read") }]);
    };
    let found = match tools.pace.insist(INSIST, || member.target.clone().snapshot()).await {
        Ok(found) => found,
        Err(failure) => return Ok(vec![Event::Failed { failure }]),
    };
    let Some(mark @ Mark::Open { .. }) = found.mark.map(|mark| *mark) else {
        return Ok(vec![Event::Repaired { revision: found.revision.unwrap_or_default() }]);
    };
    let Mark::Open { back_to, .. } = &mark else { return Ok(Vec::new()) };
    let revision = back_to.clone();
    let undo = tools.pace.insist(INSIST, || marks.repair(mark.clone())).await;
    let settled = match undo {
        Ok(Undo::Begun(release)) => arrive(member, tools, &release, tools.pace.now().plus(member.rollback_timeout)).await?,
        Ok(Undo::NothingToUndo) => Ok(Arrival::default()),
        Ok(Undo::Superseded { by }) => Err(Failure::new(Kind::Superseded, format!("{by} serves: it is left alone"))),
        Err(failure) => Err(failure),
    };
    Ok(match settled {
        Ok(_) => {
            if let Err(failure) = marks.write(Mark::Proven { revision: revision.clone() }).await {
                tracing::warn!(service = %member.name, "the mark of the lost run stays: {}", failure.what);
            }
            vec![Event::Repaired { revision }]
        }
        Err(failure) => vec![Event::Failed { failure: failure.why("while putting back what a lost run had left") }],
    })
}
