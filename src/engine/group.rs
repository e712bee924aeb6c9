//! A group: what its members together are told. Pure. One law: a group's commit is ONE record.

use std::collections::{BTreeMap, BTreeSet};

use crate::values::ServiceName;

use super::record::{GroupPlan, OnTrouble};
use super::service::{Back, Phase, Service, Wants};

/// What the idle members of a group are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Forward,
    /// Every member is proven at full share: look once more at all of them, then commit.
    Commit,
    /// Put back what was changed.
    Unwind,
    /// Start nothing more and leave everything as it is.
    Leave,
    /// It stands: tidy up.
    Committed,
}

/// What else bears on a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// A commit is in the journal.
    pub committed: bool,
    /// A signal has come, or the post step drives.
    pub interrupted: bool,
}

/// Services by name.
pub type Services = BTreeMap<ServiceName, Service>;

/// What the settings ask, by name.
pub type Wanted = BTreeMap<ServiceName, Wants>;

/// What the members of `plan` are told.
pub fn verdict(plan: &GroupPlan, services: &Services, wanted: &Wanted, circumstances: Circumstances) -> Verdict {
    if circumstances.committed {
        return Verdict::Committed;
    }
    let trouble = members(plan, services).any(|(_, service)| service.in_trouble());
    let undoing = members(plan, services).any(|(_, service)| service.undo_started.is_some());
    let response = match (trouble, circumstances.interrupted) {
        _ if undoing => Some(OnTrouble::Rollback),
        (true, _) => Some(plan.on_failure),
        (false, true) => Some(plan.on_cancel),
        (false, false) => None,
    };
    match response {
        Some(OnTrouble::Rollback) => Verdict::Unwind,
        Some(OnTrouble::Leave) => Verdict::Leave,
        None if members(plan, services).all(|(name, service)| service.proven(&wants(wanted, name))) => Verdict::Commit,
        None => Verdict::Forward,
    }
}

/// Whether `name` may begin: what stands before it in its group is proven, what stands before it elsewhere is committed.
pub fn may_begin(name: &ServiceName, plans: &[GroupPlan], services: &Services, wanted: &Wanted, committed: &BTreeSet<usize>) -> bool {
    let Some((own, member)) = find(plans, name) else { return false };
    member.iter().all(|before| match find(plans, before) {
        Some((group, _)) if group == own => services.get(before).is_some_and(|service| service.proven(&wants(wanted, before))),
        Some((group, _)) => committed.contains(&group),
        None => true,
    })
}

/// Whether something `name` waits for in another group will never be committed, so that it never begins.
pub fn never_begins(name: &ServiceName, plans: &[GroupPlan], ended: &BTreeSet<usize>, committed: &BTreeSet<usize>) -> Option<ServiceName> {
    let (own, after) = find(plans, name)?;
    after
        .iter()
        .find(|before| find(plans, before).is_some_and(|(group, _)| group != own && ended.contains(&group) && !committed.contains(&group)))
        .cloned()
}

/// Whether `name` may be put back: everything in its group that came after it has been.
pub fn may_unwind(name: &ServiceName, plan: &GroupPlan, services: &Services) -> bool {
    plan.members
        .iter()
        .filter(|member| member.after.contains(name))
        .all(|member| services.get(&member.service).is_none_or(|service| service.backward() == Back::Nothing))
}

/// Whether nothing more happens to the members of `plan` under `verdict`.
pub fn ended(plan: &GroupPlan, services: &Services, verdict: Verdict) -> bool {
    match verdict {
        Verdict::Forward | Verdict::Commit => false,
        Verdict::Committed | Verdict::Leave => true,
        Verdict::Unwind => members(plan, services).all(|(_, service)| service.backward() == Back::Nothing),
    }
}

/// Whether a group's members stand at different versions now, so that the report must name the mixture.
pub fn mixed(plan: &GroupPlan, services: &Services) -> bool {
    let stands_new = |service: &Service| service.touched.is_some() && !matches!(service.phase, Phase::RolledBack);
    let new = members(plan, services).filter(|(_, service)| stands_new(service)).count();
    new != 0 && new != plan.members.len()
}

fn members<'a>(plan: &'a GroupPlan, services: &'a Services) -> impl Iterator<Item = (&'a ServiceName, &'a Service)> {
    plan.members.iter().filter_map(|member| services.get_key_value(&member.service))
}

fn find<'a>(plans: &'a [GroupPlan], name: &ServiceName) -> Option<(usize, &'a [ServiceName])> {
    plans.iter().enumerate().find_map(|(index, plan)| {
        let member = plan.members.iter().find(|member| member.service == *name)?;
        Some((index, member.after.as_slice()))
    })
}

fn wants(wanted: &Wanted, name: &ServiceName) -> Wants {
    wanted.get(name).cloned().unwrap_or_default()
}
