//! The table of services, what is known about them besides, and how they stand now.

use crate::report::headline;
use crate::report::phrase::{count, span};
use crate::report::{Ending, Report, Service, Stood};

use super::escape::{self, code, fence, words};
use super::{Keep, Section, folded, link, phrase, section, short};

/// From this many services on those that went well are folded away.
const MANY: usize = 12;
/// Lines of proof in one cell.
const PROOF_ALONE: usize = 5;
const PROOF_AMONG_OTHERS: usize = 2;

/// The table: those that need a person first.
pub(super) fn table(report: &Report) -> Vec<Section> {
    match report.mode.as_str() {
        "plan" => return report.services.iter().map(planned).collect(),
        "history" => return report.services.iter().map(history).collect(),
        _ if report.services.is_empty() => return Vec::new(),
        _ => {}
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
    let looking = report.mode == "verify";
    let head = if looking { "| Service | Serves | Proof | Time |" } else { "| Service | Was → is now | Proof | Time |" };
    let mut lines = vec![head.to_owned(), "|---|---|---|---:|".to_owned()];
    let shown = if report.services.len() == 1 { PROOF_ALONE } else { PROOF_AMONG_OTHERS };
    for service in services {
        let time = if service.duration_seconds > 0.0 { span(service.duration_seconds).replace(' ', "&nbsp;") } else { String::new() };
        lines.push(format!("| {} | {} | {} | {time} |", named(service), moved(service, looking), proof(service, shown)));
    }
    lines.join("\n") + "\n"
}

fn named(service: &Service) -> String {
    let mut small = vec![service.outcome.phrase().to_owned()];
    small.extend((!service.target.is_empty()).then(|| words(&service.target)));
    small.extend(service.url.as_deref().and_then(|url| escape::address(url).map(|_| link(Some(url), "open"))));
    format!("{} **{}**<br><sub>{}</sub>", service.outcome.glyph(), words(&service.name), small.join(" · "))
}

fn moved(service: &Service, looking: bool) -> String {
    let was = match &service.before {
        Stood::Running { revision: Some(revision), .. } => code(revision),
        Stood::Running { revision: None, .. } => "a release".to_owned(),
        Stood::Absent | Stood::NeverServed => "<i>nothing</i>".to_owned(),
        Stood::Unknown => "<i>not read</i>".to_owned(),
    };
    let new = service.revision.as_deref().map_or_else(|| "a new release".to_owned(), code);
    let arrow = " → ";
    let path = match service.outcome {
        _ if looking => was,
        Ending::Live => format!("{was}{arrow}**{new}**"),
        Ending::Unchanged => format!("**{new}** as before"),
        Ending::RolledBack => format!("{was}{arrow}<del>{new}</del>{arrow}**{was}**"),
        Ending::RollingBack => format!("{was}{arrow}<del>{new}</del>{arrow}⏳&nbsp;{was}"),
        Ending::Superseded => {
            let theirs = service.superseded_by.as_deref().map_or_else(|| "theirs".to_owned(), |by| code(&short(by)));
            format!("{was}{arrow}<del>{new}</del>{arrow}**{theirs}**")
        }
        Ending::Untouched => format!("**{was}** as before"),
        Ending::Failed => format!("{was}{arrow}**{new}**"),
        Ending::Stuck => format!("{was}{arrow}<del>{new}</del>{arrow}**?**"),
        Ending::Planned | Ending::Healthy | Ending::Unhealthy => was,
    };
    format!("{path}{}", image(service))
}

fn image(service: &Service) -> String {
    let digest = service.digest.as_deref().map(|digest| words(&short(digest)));
    let parts: Vec<String> = service.tag.as_deref().map(words).into_iter().chain(digest).collect();
    if parts.is_empty() { String::new() } else { format!("<br><sub>{}</sub>", parts.join(" · ")) }
}

fn proof(service: &Service, shown: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(service.unproven.as_ref().map(|why| format!("⚠️ **not proven** – {}", words(why))));
    lines.extend(service.proof.iter().take(shown).map(|line| words(&short(line))));
    let more = service.proof.len().saturating_sub(shown);
    lines.extend((more > 0).then(|| format!("<sub>and {more} more</sub>")));
    if lines.is_empty() {
        lines.push(match &service.failure {
            Some(failure) => words(&short(&failure.what)),
            None if service.outcome == Ending::RolledBack => "put back with its group".to_owned(),
            None if service.outcome == Ending::Untouched => "not started".to_owned(),
            None => "–".to_owned(),
        });
    }
    lines.join("<br>")
}

fn planned(service: &Service) -> Section {
    if let Some(failure) = &service.failure {
        let text = format!("### ⛔ {}\n\n{}\n", words(&service.name), words(&failure.what));
        return section(Keep::Always, text);
    }
    let (glyph, title) = match service.changes.len() {
        0 => ("✅", "nothing would change".to_owned()),
        changes => ("📋", count(changes, "change")),
    };
    let mut lines = vec![format!("### {glyph} {} – {title}\n", words(&service.name))];
    lines.push(format!("{}.\n", phrase(&headline::stands(service))));
    lines.extend(service.changes.iter().map(|change| changed(change)));
    lines.extend(service.notes.iter().map(|note| format!("- <i>{}</i>", words(note))));
    section(Keep::Always, lines.join("\n") + "\n")
}

/// `image: a → b` with its parts as code; anything else as it is.
fn changed(change: &str) -> String {
    let change = short(change);
    let parts = change.split_once(": ").and_then(|(key, rest)| Some((key, rest.split_once(" → ")?)));
    match parts {
        Some((key, (from, to))) => format!("- **{}**: {} → {}", words(key), code(from), code(to)),
        None => format!("- {}", code(&change)),
    }
}

fn history(service: &Service) -> Section {
    let heading = format!("### {}\n", words(&service.name));
    let body = match &service.failure {
        Some(failure) => words(&failure.what),
        None if service.releases.is_empty() => "no releases".to_owned(),
        None => fence(&service.releases),
    };
    section(Keep::Always, format!("{heading}\n{body}\n"))
}

/// The commands that put back by hand what could not be, or was not, put back.
pub(super) fn by_hand(report: &Report) -> Vec<Section> {
    let left = report.services.iter().filter(|service| !service.by_hand.is_empty());
    let told = left.map(|service| {
        let to = service.before.revision().map_or_else(|| "what stood before".to_owned(), code);
        let why = service.kept.as_ref().map(|why| format!(" It was left as it is: {}.", words(why))).unwrap_or_default();
        let text = format!("**To put {} back on {to} by hand:**{why}\n\n{}\n", words(&service.name), fence(&service.by_hand));
        section(Keep::Always, text)
    });
    told.collect()
}

/// What a person should know besides: notes, skipped stages, what was repaired.
pub(super) fn known(report: &Report) -> Option<Section> {
    let mut lines: Vec<String> = Vec::new();
    if !report.skipped.is_empty() {
        let stages = report.skipped.iter().map(|stage| code(stage)).collect::<Vec<_>>().join(", ");
        lines.push(format!("- Skipped by flag, so not done: {stages}"));
    }
    lines.extend(report.notes.iter().map(|note| format!("- {}", words(note))));
    for service in &report.services {
        let name = words(&service.name);
        lines.extend(
            service
                .repaired
                .as_ref()
                .map(|run| format!("- **{name}**: run {} was lost while it changed it; what it left was put back first", words(run))),
        );
        if report.mode != "plan" {
            lines.extend(service.notes.iter().map(|note| format!("- **{name}**: {}", words(note))));
        }
    }
    (!lines.is_empty()).then(|| section(Keep::Story, lines.join("\n") + "\n"))
}

/// How every service stands now. Where all went well the table has said it.
pub(super) fn standing(report: &Report) -> Option<Section> {
    if report.outcome.is_good() || report.services.is_empty() {
        return None;
    }
    let lines: Vec<String> = report
        .services
        .iter()
        .map(|service| {
            let good = service.known_good.as_deref().filter(|good| service.serving.as_deref() != Some(*good));
            let good = good.map(|good| format!(" <sub>last proven: {}</sub>", code(good))).unwrap_or_default();
            format!("- {} **{}**: {}{good}", service.outcome.glyph(), words(&service.name), phrase(&headline::stands(service)))
        })
        .collect();
    let body = lines.join("\n") + "\n";
    let text = if lines.len() < MANY {
        format!("### How everything stands now\n\n{body}")
    } else {
        folded("<b>How everything stands now</b>", &body)
    };
    Some(section(Keep::Story, text))
}
