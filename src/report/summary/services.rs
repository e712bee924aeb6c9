//! The table of services, what is known about them besides, and how they stand now.

use crate::report::headline;
use crate::report::phrase::{count, span};
use crate::report::{Ending, Group, Report, Service, Stood};

use super::address::{link, target};
use super::{Keep, Section, change, code, fence, folded, phrase, prose, section, short, unprefixed, words};

/// From this many services on those that went well are folded away.
const MANY: usize = 12;
/// Lines of proof in one cell.
const PROOF_ALONE: usize = 5;
const PROOF_AMONG_OTHERS: usize = 2;
/// What is shorter than this, markup included, stays on one line of a cell.
const LINE: usize = 48;

/// The table: those that need a person first.
pub(super) fn table(report: &Report) -> Vec<Section> {
    match report.mode.as_str() {
        "plan" => return report.services.iter().map(planned).collect(),
        "history" => return report.services.iter().map(history).collect(),
        _ if super::nothing_begun(report) => return Vec::new(),
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
    let looking = report.services.iter().all(|service| matches!(service.outcome, Ending::Healthy | Ending::Unhealthy));
    let head = if looking { "| Service | Serves | Proof | Time |" } else { "| Service | Was → is now | Proof | Time |" };
    let mut lines = vec![head.to_owned(), "|:--|:--|:--|--:|".to_owned()];
    let shown = if report.services.len() == 1 { PROOF_ALONE } else { PROOF_AMONG_OTHERS };
    for service in services {
        let time = if service.duration_seconds > 0.0 { span(service.duration_seconds).replace(' ', "&nbsp;") } else { String::new() };
        lines.push(format!("| {} | {} | {} | {time} |", named(service), moved(service, looking), proof(service, shown)));
    }
    lines.join("\n") + "\n"
}

fn named(service: &Service) -> String {
    let mut small = vec![service.outcome.phrase().replace(' ', "&nbsp;")];
    small.extend((!service.target.is_empty()).then(|| words(&service.target)));
    small.extend(service.url.as_deref().and_then(|url| target(url).map(|_| link(Some(url), "open"))));
    format!("{}&nbsp;**{}**<br><sub>{}</sub>", service.outcome.glyph(), words(&service.name), small.join("&nbsp;·&nbsp;"))
}

/// The way of a service from what served to what serves.
fn moved(service: &Service, looking: bool) -> String {
    let was = match &service.before {
        Stood::Running { revision: Some(revision), .. } => code(revision),
        Stood::Running { revision: None, .. } => "a release".to_owned(),
        Stood::Absent | Stood::NeverServed => "<i>nothing</i>".to_owned(),
        Stood::Unknown => "<i>not read</i>".to_owned(),
    };
    let new = service.revision.as_deref().map_or_else(|| "a new release".to_owned(), code);
    let (gone, is) = (|new: &str| format!("<del>{new}</del>"), |now: &str| format!("**{now}**"));
    let stops = match service.outcome {
        Ending::Planned | Ending::Healthy | Ending::Unhealthy => vec![was],
        _ if looking => vec![was],
        Ending::Live => vec![was, is(&new)],
        Ending::Unchanged => vec![format!("{} as before", is(&new))],
        Ending::RolledBack => vec![was.clone(), gone(&new), is(&was)],
        Ending::RollingBack => vec![was.clone(), gone(&new), format!("⏳&nbsp;{was}")],
        Ending::Superseded => {
            let by = service.superseded_by.as_deref().and_then(|by| by.split(' ').next());
            vec![was, gone(&new), is(&by.map_or_else(|| "somebody's".to_owned(), code))]
        }
        Ending::Untouched => vec![format!("{} as before", is(&was))],
        Ending::Failed => vec![was, is(&new)],
        Ending::Stuck => vec![was, gone(&new), is("?")],
    };
    let arrow = if stops.iter().map(String::len).sum::<usize>() < LINE { "&nbsp;→&nbsp;" } else { "<br>→&nbsp;" };
    format!("{}{}", stops.join(arrow), image(service))
}

fn image(service: &Service) -> String {
    let digest = service.digest.as_deref().map(|digest| words(&short(digest)));
    let parts: Vec<String> = service.tag.as_deref().map(words).into_iter().chain(digest).collect();
    if parts.is_empty() { String::new() } else { format!("<br><sub>{}</sub>", parts.join(" · ")) }
}

fn proof(service: &Service, shown: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(service.unproven.as_ref().map(|why| format!("⚠️ **not proven** – {}", prose(why))));
    lines.extend(service.proof.iter().take(shown).map(|line| words(&short(line))));
    let more = service.proof.len().saturating_sub(shown);
    lines.extend((more > 0).then(|| format!("<sub>and {more} more</sub>")));
    if lines.is_empty() {
        lines.push(match &service.failure {
            Some(failure) => format!("none – {}", words(&short(unprefixed(&failure.what, &service.name)))),
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
    lines.extend(service.notes.iter().map(|note| format!("- <i>{}</i>", prose(note))));
    section(Keep::Always, lines.join("\n") + "\n")
}

/// `image: a → b` with its parts as code; anything else as it is.
fn changed(text: &str) -> String {
    let text = change(text);
    let parts = text.split_once(": ").and_then(|(key, rest)| Some((key, rest.split_once(" → ")?)));
    match parts {
        Some((key, (from, to))) => format!("- **{}**: {} → {}", words(key), code(from), code(to)),
        None => format!("- {}", code(&text)),
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
        let why = service.kept.as_ref().map(|why| format!(" It was left as it is: {}.", prose(why))).unwrap_or_default();
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
    lines.extend(report.groups.iter().filter_map(together));
    lines.extend(report.notes.iter().map(|note| format!("- {}", prose(note))));
    for service in &report.services {
        let name = words(&service.name);
        lines.extend(
            service
                .repaired
                .as_ref()
                .map(|run| format!("- **{name}**: run {} was lost while it changed it; what it left was put back first", words(run))),
        );
        if service.outcome == Ending::Superseded {
            lines.push(format!("- **{name}**: nothing was put back, as what serves now is not ours. Deploy one after the other: give the jobs one `concurrency` group"));
        }
        if report.mode != "plan" {
            lines.extend(service.notes.iter().map(|note| format!("- **{name}**: {}", prose(note))));
        }
    }
    (!lines.is_empty()).then(|| section(Keep::Story, lines.join("\n") + "\n"))
}

/// What being a group meant, where it was not proven as a whole.
fn together(group: &Group) -> Option<String> {
    let names = group.members.iter().map(|name| format!("**{}**", words(name))).collect::<Vec<_>>();
    let several = (names.len() > 1 && !group.committed).then(|| names.join(" and "))?;
    Some(match group.mixture {
        Some(_) => format!("- ⚠️ {several} are to stand or fall together, and **do not stand at one version now**"),
        None => format!("- {several} stand or fall together: what one of them could not prove was not kept of any"),
    })
}

/// How every service stands now. Where all went well the table has said it; of a single one the first lines have.
pub(super) fn standing(report: &Report) -> Option<Section> {
    if report.outcome.is_good() || report.services.len() < 2 || super::nothing_begun(report) {
        return None;
    }
    let lines = report.services.iter().map(|service| {
        let stands = phrase(&headline::stands(service));
        format!("- {} **{}**: {stands}{}", service.outcome.glyph(), words(&service.name), last_proven(service))
    });
    let body = lines.collect::<Vec<_>>().join("\n") + "\n";
    let few = report.services.len() < MANY;
    let text = if few { format!("### How everything stands now\n\n{body}") } else { folded("<b>How everything stands now</b>", &body) };
    Some(section(Keep::Story, text))
}

/// The last release that was proven, where it does not serve.
pub(super) fn last_proven(service: &Service) -> String {
    let good = service.known_good.as_deref().filter(|good| service.serving.as_deref() != Some(*good));
    good.map(|good| format!(" (last proven: {})", code(good))).unwrap_or_default()
}
