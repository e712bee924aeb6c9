//! The log's last block: what happened, why, what to do, and how every service stands now. Plain text, still to be disarmed by the log.

use super::phrase::prefixed;
use super::{Report, Service, Trouble, headline};

/// Evidence lines shown of one piece; the log has said them before in full where they came from a job.
const LINES: usize = 20;

/// The block.
pub fn block(report: &Report) -> String {
    let mut lines = vec![report.sentence.clone()];
    if let Some(failure) = &report.failure {
        lines.extend(trouble("", failure));
    }
    for service in &report.services {
        lines.extend(of_service(service));
    }
    if report.services.len() > 1 || !report.outcome.is_good() {
        lines.extend(labelled("now", report.services.iter().map(|service| format!("{}: {}", service.name, headline::stands(service)))));
    }
    for group in report.groups.iter().filter_map(|group| group.mixture.as_ref()) {
        lines.extend(labelled("mix", [format!("this group stands at different versions: {group}")]));
    }
    if !report.skipped.is_empty() {
        lines.extend(labelled("skip", [format!("skipped by flag, not passed: {}", report.skipped.join(", "))]));
    }
    lines.join("\n")
}

fn of_service(service: &Service) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(failure) = &service.failure {
        lines.extend(trouble(&service.name, failure));
    }
    if let Some(failure) = &service.rollback_failure {
        lines.extend(trouble(&format!("{}, on the way back", service.name), failure));
    }
    if let Some(why) = &service.kept {
        lines.extend(labelled("left", [format!("{}: {why}", service.name)]));
    }
    lines.extend(labelled("hand", service.by_hand.iter().cloned()));
    if let Some(why) = &service.unproven {
        lines.extend(labelled("note", [format!("{}: {why}", service.name)]));
    }
    lines
}

fn trouble(of: &str, trouble: &Trouble) -> Vec<String> {
    let mut lines = vec![if of.is_empty() { trouble.what.clone() } else { prefixed(&trouble.what, of) }];
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
