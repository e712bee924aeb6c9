//! What happened, as a table of moments: open while it is short, folded when it is not.

use crate::report::phrase::{clock, count, span};
use crate::report::{Moment, Report, Sign};

use super::escape::words;
use super::{Keep, Section, folded, section, short};

/// The most moments shown open.
const OPEN: usize = 14;
/// Facts shown under a moment.
const FACTS: usize = 4;

/// The story.
pub(super) fn story(report: &Report) -> Option<Section> {
    let looking = matches!(report.mode.as_str(), "plan" | "history" | "verify");
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
    let several = report.services.len() > 1;
    let mut lines = match several {
        true => vec!["| At | Service | What | Took |".to_owned(), "|---:|---|---|---:|".to_owned()],
        false => vec!["| At | What | Took |".to_owned(), "|---:|---|---:|".to_owned()],
    };
    lines.extend(report.timeline.iter().map(|moment| row(moment, several)));
    lines.join("\n") + "\n"
}

fn row(moment: &Moment, several: bool) -> String {
    let took = moment.took_seconds.filter(|took| *took >= 0.05).map(|took| span(took).replace(' ', "&nbsp;")).unwrap_or_default();
    let service = if several { format!(" {} |", words(moment.service.as_deref().unwrap_or_default())) } else { String::new() };
    let facts: String = moment.facts.iter().take(FACTS).map(|fact| format!("<br><sub>{}</sub>", words(&short(fact)))).collect();
    let more = moment.facts.len().saturating_sub(FACTS);
    let more = if more > 0 { format!("<br><sub>and {more} more</sub>") } else { String::new() };
    format!("| {} |{service} {} {}{facts}{more} | {took} |", clock(moment.at_seconds), sign(moment.sign), words(&short(&moment.what)))
}

fn sign(sign: Sign) -> &'static str {
    match sign {
        Sign::Step => "▫️",
        Sign::Good => "✅",
        Sign::Bad => "❌",
        Sign::Back => "↩️",
        Sign::Outside => "⚠️",
    }
}
