//! A step of one service: what is written before it starts, and the work that it is. Which step comes when is decided elsewhere.

use std::sync::Arc;

use crate::target::Before;

use super::forward::{self, Ended, Tools};
use super::member::Member;
use super::record::Event;
use super::service::{Back, Need, Service};
use super::{back, marks};

/// A step of one service.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Activity {
    /// On its way forward.
    Forward(Need),
    /// Putting back what a lost run left.
    Repair,
    /// The last look before the commit.
    Recheck,
    /// On its way back.
    Back(Back),
    /// Not committed, and nothing more to put back: the open mark is taken away.
    Close,
    /// Committed: tidying up.
    Finish,
}

impl Activity {
    /// What is written before a step that may change something starts.
    pub(crate) fn intent(&self, member: &Member) -> Option<Event> {
        match self {
            Activity::Forward(Need::StartJob(job)) => {
                Some(Event::JobStarted { job: *job, rollback: member.job(*job).map(|plan| plan.rollback).unwrap_or_default() })
            }
            Activity::Forward(Need::Apply) => Some(Event::ApplyStarted),
            Activity::Forward(Need::Advance(step)) => Some(Event::Advancing { step: *step }),
            Activity::Back(Back::Undo) => Some(Event::UndoStarted),
            Activity::Forward(
                Need::Capture | Need::FollowJob(..) | Need::Prepare | Need::Settle | Need::Verify | Need::Watch | Need::Nothing,
            )
            | Activity::Back(Back::Follow(_) | Back::FindJob(_) | Back::FollowJob(..) | Back::Keep | Back::Nothing)
            | Activity::Repair
            | Activity::Recheck
            | Activity::Close
            | Activity::Finish => None,
        }
    }

    /// Does it.
    pub(crate) async fn work(self, member: Arc<Member>, tools: Tools, service: Service) -> Ended {
        match self {
            Activity::Forward(need) => ahead(need, &member, &tools, &service).await,
            Activity::Repair => marks::repair(&member, &tools).await,
            Activity::Recheck => forward::recheck(&member, &tools, &service).await,
            Activity::Close => {
                marks::close(&member, &tools).await;
                Ok(Vec::new())
            }
            Activity::Finish => {
                for left in forward::finish(&member, &tools, &service).await {
                    tracing::warn!("not tidied up: {left}");
                }
                Ok(Vec::new())
            }
            Activity::Back(Back::Undo) => back::undo(&member, &tools, &service).await,
            Activity::Back(Back::Follow(release)) => back::follow(&member, &tools, &service, release).await,
            Activity::Back(Back::FindJob(job)) => back::find_job(&member, &tools, job).await,
            Activity::Back(Back::FollowJob(job, handle)) => back::follow_job(&member, &tools, job, handle).await,
            Activity::Back(Back::Keep | Back::Nothing) => Ok(Vec::new()),
        }
    }
}

async fn ahead(need: Need, member: &Member, tools: &Tools, service: &Service) -> Ended {
    let before = || service.captured.as_ref().map_or(Before::Absent, |captured| captured.before.clone());
    match need {
        Need::Capture => forward::capture(member, tools).await,
        Need::StartJob(job) => forward::start_job(member, tools, service, job).await,
        Need::FollowJob(job, handle) => forward::follow_job(member, tools, job, handle).await,
        Need::Prepare => forward::prepare(member, tools, before()).await,
        Need::Apply => forward::apply(member, tools, service).await,
        Need::Settle => forward::settle(member, tools, service).await,
        Need::Verify => forward::verify(member, tools, service).await,
        Need::Advance(step) => forward::advance(member, tools, service, step).await,
        Need::Watch => forward::watch(member, tools, service).await,
        Need::Nothing => Ok(Vec::new()),
    }
}
