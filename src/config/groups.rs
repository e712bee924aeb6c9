//! Services that stand or fall together, and what comes after what. Names only.

use std::collections::BTreeSet;

use crate::engine::record::{GroupPlan, MemberPlan};
use crate::runner::mistake::{Mistake, nearest};
use crate::values::ServiceName;

use super::service::Draft;

/// A name in `groups`, and its line.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) line: u32,
}

/// The groups as written; a service in none stands alone.
pub(super) fn groups(written: &[Vec<Named>], drafts: &[Draft]) -> Result<Vec<GroupPlan>, Vec<Mistake>> {
    let names: Vec<&str> = drafts.iter().map(|draft| draft.plan.name.0.as_str()).collect();
    let mut mistakes = misnamed(written, &names);
    mistakes.extend(drafts.iter().flat_map(|draft| wrong_after(draft, &names)));
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let together = written.iter().map(|group| group.iter().map(|named| named.name.as_str()).collect::<Vec<_>>());
    let grouped: BTreeSet<&str> = together.clone().flatten().collect();
    let alone = names.iter().filter(|name| !grouped.contains(*name)).map(|name| vec![*name]);
    let all: Vec<Vec<&str>> = together.filter(|group| !group.is_empty()).chain(alone).collect();
    let read: Vec<_> = all.iter().map(|group| plan(group, drafts)).collect();
    let (plans, wrong): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    mistakes.extend(wrong.into_iter().filter_map(Result::err));
    mistakes.extend(circle(&all, drafts));
    if mistakes.is_empty() { Ok(plans.into_iter().filter_map(Result::ok).collect()) } else { Err(mistakes) }
}

fn misnamed(written: &[Vec<Named>], names: &[&str]) -> Vec<Mistake> {
    let mut seen = BTreeSet::new();
    let wrong = |named: &Named| {
        let line = Some(named.line);
        if !names.contains(&named.name.as_str()) {
            return Some(unknown("groups", &named.name, names).at(line));
        }
        let twice = !seen.insert(named.name.clone());
        twice.then(|| Mistake::new("groups", format!("names {} twice", named.name), "keep it in one group").at(line))
    };
    written.iter().flatten().filter_map(wrong).collect()
}

fn wrong_after(draft: &Draft, names: &[&str]) -> Vec<Mistake> {
    let own = &draft.plan.name.0;
    let place = format!("services.{own}.after");
    let wrong = |before: &String| match names.contains(&before.as_str()) {
        true if before == own => Some(Mistake::new(&place, "names the service itself", "remove it").at(draft.lines.after)),
        true => None,
        false => Some(unknown(&place, before, names).at(draft.lines.after)),
    };
    draft.after.iter().filter_map(wrong).collect()
}

fn unknown(place: &str, name: &str, names: &[&str]) -> Mistake {
    let near = nearest(name, names);
    let write = near.as_ref().map_or_else(|| format!("write one of {}", names.join(", ")), |near| format!("write {near}"));
    Mistake { nearest: near, ..Mistake::new(place, format!("names {name:?}, no service here"), write) }
}

fn plan(group: &[&str], drafts: &[Draft]) -> Result<GroupPlan, Mistake> {
    let members: Vec<&Draft> = drafts.iter().filter(|draft| group.contains(&draft.plan.name.0.as_str())).collect();
    let Some(first) = members.first() else { return Err(Mistake::new("groups", "has an empty group", "remove it")) };
    for member in &members {
        let differs = |setting: &str| {
            let what = format!("differs between {} and {}, which stand or fall together", first.plan.name, member.plan.name);
            Err(Mistake::new(setting, what, "write the same for both, or once in defaults").at(member.lines.service))
        };
        if member.plan.on_failure != first.plan.on_failure {
            return differs("on-failure");
        }
        if member.on_cancel != first.on_cancel {
            return differs("on-cancel");
        }
    }
    let after = |draft: &Draft| draft.after.iter().cloned().map(ServiceName).collect();
    Ok(GroupPlan {
        on_failure: first.plan.on_failure,
        on_cancel: first.on_cancel,
        members: members.iter().map(|draft| MemberPlan { service: draft.plan.name.clone(), after: after(draft) }).collect(),
    })
}

/// A circle of `after`. Across groups a whole group waits for a whole group, since only a commit lets the later one begin.
fn circle(groups: &[Vec<&str>], drafts: &[Draft]) -> Option<Mistake> {
    let group_of = |name: &str| groups.iter().position(|group| group.contains(&name));
    let waits: Vec<(&str, &str)> =
        drafts.iter().flat_map(|draft| draft.after.iter().map(|before| (draft.plan.name.0.as_str(), before.as_str()))).collect();
    let (inside, across): (Vec<_>, Vec<_>) = waits.into_iter().partition(|(name, before)| group_of(name) == group_of(before));
    let line = drafts.iter().find_map(|draft| draft.lines.after);
    let (mut edges, mut labels) = (Vec::new(), Vec::new());
    for (name, before) in across {
        edges.extend(group_of(name).zip(group_of(before)));
        labels.push(format!("{name} waits for {before}"));
    }
    let index = |name: &str| drafts.iter().position(|draft| draft.plan.name.0 == name);
    let inner: Vec<(usize, usize)> = inside.iter().filter_map(|(name, before)| Some((index(name)?, index(before)?))).collect();
    let told: Vec<String> = inside.iter().map(|(name, before)| format!("{name} waits for {before}")).collect();
    let found = around(&inner, &told).or_else(|| around(&edges, &labels))?;
    Some(Mistake::new("after", format!("goes round in a circle: {}", found.join(", ")), "remove one of them").at(line))
}

/// The labels of the edges that remain when everything that waits for nothing has been taken away, again and again.
fn around(edges: &[(usize, usize)], labels: &[String]) -> Option<Vec<String>> {
    let mut left: Vec<usize> = (0..edges.len()).collect();
    loop {
        let kept: Vec<usize> = left
            .iter()
            .copied()
            .filter(|edge| {
                let (from, to) = edges[*edge];
                left.iter().any(|other| edges[*other].0 == to) && left.iter().any(|other| edges[*other].1 == from)
            })
            .collect();
        if kept.len() == left.len() {
            return (!kept.is_empty()).then(|| kept.iter().map(|edge| labels[*edge].clone()).collect());
        }
        left = kept;
    }
}
