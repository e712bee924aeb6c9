//! What a person should know besides: notes, skipped stages, what was repaired, what being a group meant.

use crate::report::phrase::names;
use crate::report::{Ending, Group, Report, Service};

use super::{Keep, Section, code, phrase, prose, section, words};

/// The notes as a list, with a marker of its own, as it may follow another list.
pub(super) fn known(report: &Report) -> Option<Section> {
    let mut lines: Vec<String> = Vec::new();
    if !report.skipped.is_empty() {
        let stages = report.skipped.iter().map(|stage| code(stage)).collect::<Vec<_>>().join(", ");
        lines.push(format!("Skipped by flag, so not done: {stages}"));
    }
    lines.extend(report.groups.iter().filter_map(together));
    lines.extend(report.notes.iter().map(|note| prose(note)));
    lines.extend(report.services.iter().flat_map(|service| of_service(service, report)));
    (!lines.is_empty()).then(|| section(Keep::Story, lines.iter().map(|line| format!("* {line}\n")).collect()))
}

fn of_service(service: &Service, report: &Report) -> Vec<String> {
    let named = |text: String| if report.services.len() == 1 { text } else { format!("**{}**: {text}", words(&service.name)) };
    let mut lines = Vec::new();
    if let Some(run) = &service.repaired {
        lines.push(named(format!("run {} was lost while it changed this service; what it left was put back first", words(run))));
    }
    if service.outcome == Ending::Superseded {
        lines.push(named("nothing was put back, as what serves now is not ours".to_owned()));
    }
    if report.mode != "plan" {
        lines.extend(service.notes.iter().map(|note| named(prose(note))));
    }
    lines
}

/// What being a group meant, where it was not proven as a whole. That it is mixed the first lines say.
fn together(group: &Group) -> Option<String> {
    let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
    let told = members.len() > 1 && !group.committed && group.mixture.is_none();
    told.then(|| format!("{} stand or fall together: what one of them could not prove was not kept of any", phrase(&names(&members))))
}
