//! What happened, as a table of moments: open while it is short, folded when it is not.

use crate::report::phrase::{clock, count, span};
use crate::report::{Moment, Report, Sign};

use super::{Keep, Section, cell, change, folded, section, short};

/// The most moments shown open.
const OPEN: usize = 14;
/// Facts shown under a moment.
const FACTS: usize = 4;

/// The story.
pub(super) fn story(report: &Report) -> Option<Section> {
    let looking = matches!(report.mode.as_str(), "plan" | "history" | "verify") && report.images.is_empty();
    if report.timeline.is_empty() || looking {
        return None;
    }
    let table = table(report);
    let text = match report.timeline.len() {
        0..=OPEN => format!("### What happened\n\n{table}"),
        moments => folded(&format!("<b>What happened</b>, in {}", count(moments, "step")), &table),
    };
    Some(section(Keep::Story, text))
}

fn table(report: &Report) -> String {
    let mut lines = vec!["| At | What | Took |".to_owned(), "|--:|:--|--:|".to_owned()];
    lines.extend(report.timeline.iter().map(|moment| row(report, moment)));
    lines.join("\n") + "\n"
}

fn row(report: &Report, moment: &Moment) -> String {
    let took = moment.took_seconds.filter(|took| *took >= 0.05).map(|took| span(took).replace(' ', "&nbsp;")).unwrap_or_default();
    let service = moment.service.as_deref().filter(|_| report.services.len() > 1);
    let service = service.map(|service| format!("**{}**: ", cell(service))).unwrap_or_default();
    let facts: Vec<&String> = moment.facts.iter().filter(|fact| !is_in_the_table(report, fact)).collect();
    let more = facts.len().saturating_sub(FACTS);
    let mut small: Vec<String> = facts.iter().take(FACTS).map(|fact| cell(&change(fact))).collect();
    small.extend((more > 0).then(|| format!("and {more} more")));
    let small = if small.is_empty() { String::new() } else { format!("<br><sub>{}</sub>", small.join(" · ")) };
    format!("| {} | {}{service}{}{small} | {took} |", clock(moment.at_seconds), sign(moment.sign), cell(&short(&moment.what)))
}

/// The table of services shows the whole proof of the only one.
fn is_in_the_table(report: &Report, fact: &String) -> bool {
    matches!(report.services.as_slice(), [service] if service.proof.contains(fact))
}

fn sign(sign: Sign) -> &'static str {
    match sign {
        Sign::Step => "",
        Sign::Good => "✅&nbsp;",
        Sign::Bad => "❌&nbsp;",
        Sign::Back => "↩️&nbsp;",
        Sign::Outside => "⚠️&nbsp;",
    }
}
