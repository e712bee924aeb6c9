//! The log's last block: what happened, why, what to do, and how every service stands now. Plain text, still to be disarmed by the log.

use super::phrase::{names, prefixed};
use super::{Report, Service, Trouble, advice, headline};

/// Evidence lines shown of one piece; the log has said them before in full where they came from a job.
const LINES: usize = 20;

/// The block.
pub fn block(report: &Report) -> String {
    let mut lines = vec![report.sentence.clone()];
    if let Some(failure) = &report.failure {
        lines.extend(trouble(report, "", failure));
    }
    for service in &report.services {
        lines.extend(of_service(report, service));
    }
    if report.services.len() > 1 || !report.outcome.is_good() {
        lines.extend(labelled("now", report.services.iter().map(|service| format!("{}: {}", service.name, headline::stands(service)))));
    }
    for group in report.groups.iter().filter(|group| group.mixture.is_some()) {
        let members: Vec<&str> = group.members.iter().map(String::as_str).collect();
        lines.extend(labelled("mix", [format!("{} stand or fall together, and do not stand at one version", names(&members))]));
    }
    if !report.skipped.is_empty() {
        lines.extend(labelled("skip", [format!("skipped by flag, not passed: {}", report.skipped.join(", "))]));
    }
    if !report.outcome.is_good() {
        lines.extend(labelled("do", advice::besides_the_fix(report).map(|to_do| to_do.to_string())));
    }
    lines.extend(report.services.iter().flat_map(commands));
    lines.join("\n")
}

fn of_service(report: &Report, service: &Service) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(failure) = &service.failure {
        lines.extend(trouble(report, &service.name, failure));
    }
    if let Some(failure) = &service.rollback_failure {
        lines.extend(trouble(report, &format!("{}, on the way back", service.name), failure));
    }
    if let Some(why) = &service.kept {
        lines.extend(labelled("left", [format!("{} was left as it is: {why}", service.name)]));
    }
    if let Some(why) = &service.unproven {
        lines.extend(labelled("note", [format!("{} is not proven: {why}", service.name)]));
    }
    lines
}

/// The commands to put it back; with a warning, where going back may do more harm than good.
fn commands(service: &Service) -> Vec<String> {
    let heading = match (advice::first_resort(service), advice::last_resort(service), advice::job_to_look_for(service)) {
        (true, ..) => format!("to put {} back by hand:", service.name),
        (_, true, _) => format!(
            "the last resort, once you know that {} works with the changed database; to go back by hand:",
            service.before.revision().unwrap_or("what stood before")
        ),
        (.., Some(job)) => format!("to see whether the {job} job of {} runs:", service.name),
        (false, false, None) => return Vec::new(),
    };
    labelled("hand", std::iter::once(heading).chain(service.by_hand.iter().cloned()))
}

/// Without what the first line has said already.
fn trouble(report: &Report, of: &str, trouble: &Trouble) -> Vec<String> {
    let mut lines = Vec::new();
    let said = of.is_empty() && report.sentence.ends_with(&trouble.what);
    lines.extend((!said).then(|| if of.is_empty() { trouble.what.clone() } else { prefixed(&trouble.what, of) }));
    lines.extend(labelled("why", trouble.why.iter().cloned()));
    lines.extend(labelled("fix", trouble.fix.iter().cloned()));
    for material in &trouble.evidence {
        let from = material.lines.len().saturating_sub(LINES);
        lines.push(format!("  {}", material.title));
        lines.extend(material.lines[from..].iter().map(|line| format!("    | {line}")));
    }
    lines
}

fn labelled(label: &str, texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines = Vec::new();
    for text in texts {
        for line in text.lines() {
            lines.push(format!("  {:<4} {line}", if lines.is_empty() { label } else { "" }));
        }
    }
    lines
}
