//! The whole state as the fold of a journal: for the loop that goes on with it, and for the report that tells it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Services;
use super::record::{Entry, GroupPlan, Opening, Record};
use super::service::Back;

/// What a journal comes to.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The first line.
    pub opening: Option<Opening>,
    /// The groups.
    pub plans: Vec<GroupPlan>,
    /// Every service.
    pub services: Services,
    /// Groups that stand.
    pub committed: BTreeSet<usize>,
    /// Groups that are tidied up.
    pub finished: BTreeSet<usize>,
    /// A signal came.
    pub interrupted: bool,
    /// The post step took over.
    pub taken_over: bool,
}

impl State {
    /// Whether nothing is left to do or undo: the post step has no work.
    pub fn settled(&self) -> bool {
        self.plans.iter().enumerate().all(|(group, plan)| {
            let members = plan.members.iter().filter_map(|member| self.services.get(&member.service));
            if self.committed.contains(&group) {
                return self.finished.contains(&group);
            }
            members.into_iter().all(|service| service.backward() == Back::Nothing || service.kept.is_some())
        })
    }
}

/// Folds `entries`.
pub fn fold(entries: &[Entry]) -> State {
    let mut state = State::default();
    for entry in entries {
        match &entry.record {
            Record::Opened(opening) => {
                state.plans.clone_from(&opening.groups);
                let names = opening.groups.iter().flat_map(|group| &group.members).map(|member| member.service.clone());
                state.services = names.map(|name| (name, Default::default())).collect::<BTreeMap<_, _>>();
                state.opening = Some(opening.clone());
            }
            Record::Service { name, event } => {
                state.services.entry(name.clone()).or_default().fold(event, entry.at);
            }
            Record::Committed { group } => {
                state.committed.insert(usize::from(*group));
            }
            Record::Finished { group } => {
                state.finished.insert(usize::from(*group));
            }
            Record::Interrupted { .. } => state.interrupted = true,
            Record::TakenOver => state.taken_over = true,
            Record::Planned { .. } | Record::PushStarted { .. } | Record::Pushed { .. } | Record::Pinned { .. } | Record::Noted { .. } => {}
        }
    }
    state
}
