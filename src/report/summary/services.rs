//! The table of services: what served, what serves now, what proves it, how long it took.

use crate::report::phrase::{count, span};
use crate::report::{Ending, Report, Service, Stood, headline};

use super::address::{link, target};
use super::{Keep, Section, cell, code, code_cell, folded, prose, section, short, unprefixed, words};

/// From this many services on those that went well are folded away.
pub(super) const MANY: usize = 12;
/// Lines of proof in one cell.
const PROOF_ALONE: usize = 5;
const PROOF_AMONG_OTHERS: usize = 2;
/// What is shorter than this, markup included, stays on one line of a cell.
const LINE: usize = 48;

/// The table: those that need a person first.
pub(super) fn table(report: &Report) -> Vec<Section> {
    if super::nothing_begun(report) {
        return Vec::new();
    }
    let mut services: Vec<&Service> = report.services.iter().collect();
    services.sort_by_key(|service| std::cmp::Reverse(service.outcome.max(Ending::Live)));
    let (well, badly): (Vec<&Service>, Vec<&Service>) = services.iter().partition(|service| service.outcome.is_good());
    if services.len() < MANY || badly.is_empty() {
        return vec![section(Keep::Always, rows(report, &services))];
    }
    let mut sections = vec![section(Keep::Always, rows(report, &badly))];
    if !well.is_empty() {
        let title = format!("{} in order", count(well.len(), "more service"));
        sections.push(section(Keep::Story, folded(&title, &rows(report, &well))));
    }
    sections
}

fn rows(report: &Report, services: &[&Service]) -> String {
    let looking = report.services.iter().all(|service| matches!(service.outcome, Ending::Healthy | Ending::Unhealthy));
    let head = if looking { "| Service | Serves | Proof |" } else { "| Service | Was → is now | Proof |" };
    let mut lines = vec![head.to_owned(), "|:--|:--|:--|".to_owned()];
    let shown = if report.services.len() == 1 { PROOF_ALONE } else { PROOF_AMONG_OTHERS };
    for service in services {
        lines.push(format!("| {} | {} | {} |", named(service, &report.services), moved(service, looking), proof(service, shown)));
    }
    lines.join("\n") + "\n"
}

/// Its name, how it ended, how long that took, and where it is; its platform, where not all are on the same.
fn named(service: &Service, among: &[Service]) -> String {
    let took = service.duration_seconds >= 0.05;
    let mut small = vec![service.outcome.phrase().to_owned()];
    small.extend(took.then(|| span(service.duration_seconds).replace(' ', "&nbsp;")));
    small.extend(among.iter().any(|other| other.target != service.target).then(|| words(&service.target)));
    small.extend(service.url.as_deref().and_then(|url| target(url).map(|_| link(Some(url), "open"))));
    let glyph = if service.unproven.is_some() { "⚠️" } else { service.outcome.glyph() };
    format!("{glyph}&nbsp;**{}**<br><sub>{}</sub>", cell(&service.name), small.join(" · "))
}

/// The way of a service from what served to what serves.
fn moved(service: &Service, looking: bool) -> String {
    let was = match &service.before {
        Stood::Running { revision: Some(revision), .. } => code_cell(revision),
        Stood::Running { revision: None, .. } => "a release".to_owned(),
        Stood::Absent | Stood::NeverServed => "<i>nothing</i>".to_owned(),
        Stood::Unknown => "<i>not read</i>".to_owned(),
    };
    let new = service.revision.as_deref().map_or_else(|| "a new release".to_owned(), code_cell);
    let (gone, is) = (|new: &str| format!("<del>{new}</del>"), |now: &str| format!("**{now}**"));
    let stops = match service.outcome {
        Ending::Planned | Ending::Healthy | Ending::Unhealthy => vec![was],
        _ if looking => vec![was],
        Ending::Live => vec![was, is(&new)],
        Ending::Unchanged if service.revision.is_none() => vec![was],
        Ending::Unchanged => vec![format!("{} as before", is(&new))],
        Ending::RolledBack => vec![was.clone(), gone(&new), is(&was)],
        Ending::RollingBack => vec![was.clone(), gone(&new), format!("⏳&nbsp;{was}")],
        Ending::Superseded => {
            let by = service.superseded_by.as_deref().and_then(|by| by.split(' ').next());
            vec![was, gone(&new), is(&by.map_or_else(|| "somebody's".to_owned(), code_cell))]
        }
        Ending::Untouched if service.before == Stood::Unknown => vec!["not looked at".to_owned()],
        Ending::Untouched => vec![format!("{} as before", is(&was))],
        Ending::Failed if !service.touched => vec![format!("{} as before", is(&was))],
        Ending::Failed => vec![was, is(&new)],
        Ending::Stuck => vec![was, gone(&new), is("?")],
    };
    let arrow = if stops.iter().map(String::len).sum::<usize>() < LINE { " → " } else { "<br>→&nbsp;" };
    format!("{}{}{}", stops.join(arrow), image(service), database(service))
}

/// A service that was not touched beside a database that may have been.
fn database(service: &Service) -> &'static str {
    let beside = !service.touched && headline::migration(service).is_some();
    if beside { "<br><sub>⚠️ its database may have changed</sub>" } else { "" }
}

/// The image that was to serve.
fn image(service: &Service) -> String {
    let tried = match service.outcome {
        Ending::Failed if !service.touched => return String::new(),
        Ending::Live | Ending::Unchanged | Ending::Failed => "",
        Ending::RolledBack | Ending::RollingBack | Ending::Superseded | Ending::Stuck => "tried ",
        Ending::Untouched | Ending::Planned | Ending::Healthy | Ending::Unhealthy => return String::new(),
    };
    let digest = service.digest.as_deref().map(|digest| code(short(digest).trim_start_matches("sha256:")));
    let parts: Vec<String> = service.tag.as_deref().map(cell).into_iter().chain(digest).collect();
    if parts.is_empty() { String::new() } else { format!("<br><sub>{tried}{}</sub>", parts.join(" · ")) }
}

fn proof(service: &Service, shown: usize) -> String {
    let small = |text: String| format!("<sub>{text}</sub>");
    let mut lines: Vec<String> = Vec::new();
    lines.extend(service.unproven.as_ref().map(|why| format!("⚠️ **not proven** – {}", prose(why))));
    lines.extend(service.proof.iter().take(shown).map(|line| small(cell(&short(line)))));
    let more = service.proof.len().saturating_sub(shown);
    lines.extend((more > 0).then(|| small(format!("and {more} more"))));
    if lines.is_empty() {
        lines.push(match &service.failure {
            Some(failure) => format!("none<br>{}", small(cell(&short(unprefixed(&failure.what, &service.name))))),
            None if service.outcome == Ending::Untouched => "not started".to_owned(),
            None => "–".to_owned(),
        });
    }
    lines.join("<br>")
}
