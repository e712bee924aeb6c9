//! What went wrong, why, what to do; the evidence folded away beneath.

use crate::report::{Report, Trouble};

use super::escape::{fence, words};
use super::{Keep, Section, folded_lines, section, short};

/// From this many failures on the rest is folded into the JSON report.
const MOST: usize = 10;

/// Every failure, the early one first.
pub(super) fn troubles(report: &Report) -> Vec<Section> {
    let early = report.failure.iter().map(|failure| (None, failure));
    let of_services = report.services.iter().flat_map(|service| {
        let forward = service.failure.iter().map(|failure| (Some(service.name.clone()), failure));
        let back = service.rollback_failure.iter().map(|failure| (Some(format!("{}, on the way back", service.name)), failure));
        forward.chain(back)
    });
    let all: Vec<(Option<String>, &Trouble)> = early.chain(of_services).collect();
    let mut sections: Vec<Section> = all.iter().take(MOST).flat_map(|(of, trouble)| told(of.as_deref(), trouble)).collect();
    if all.len() > MOST {
        let more = format!("\n{} more failures are in the JSON report.\n", all.len() - MOST);
        sections.push(section(Keep::Detail, more));
    }
    sections
}

fn told(of: Option<&str>, trouble: &Trouble) -> Vec<Section> {
    let of = of.filter(|of| !trouble.what.starts_with(of)).map(|of| format!("{}: ", words(of))).unwrap_or_default();
    let mut text = format!("### Why: {of}{}\n", words(&short(&trouble.what)));
    if !trouble.why.is_empty() {
        text.push_str(&format!("\n{}\n", list(&trouble.why)));
    }
    if !trouble.fix.is_empty() {
        text.push_str(&format!("\n**What to do**\n\n{}\n", list(&trouble.fix)));
    }
    let evidence = trouble.evidence.iter().map(|material| section(Keep::Evidence, folded_lines(&material.title, &material.lines)));
    std::iter::once(section(Keep::Always, text)).chain(evidence).collect()
}

/// Texts as a list; one of several lines is its first line and a snippet.
fn list(texts: &[String]) -> String {
    texts.iter().map(|text| item(text)).collect::<Vec<_>>().join("\n")
}

fn item(text: &str) -> String {
    let Some((first, rest)) = text.split_once('\n') else { return format!("- {}", words(&short(text))) };
    let lines: Vec<String> = rest.lines().map(str::to_owned).collect();
    let snippet = fence(&lines).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
    format!("- {}\n\n{snippet}\n", words(&short(first)))
}
