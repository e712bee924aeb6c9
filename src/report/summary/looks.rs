//! What the modes that only look found: the changes a deploy would make, and the releases there are.

use crate::report::phrase::{count, names};
use crate::report::{Report, Service, headline};

use super::{Keep, Section, change, code, folded, phrase, prose, section, short, words};

/// What would change, service by service; those that would stay as they are in one line.
pub(super) fn plan(report: &Report) -> Vec<Section> {
    let stays = |service: &&Service| service.failure.is_none() && service.changes.is_empty() && service.notes.is_empty();
    let (same, told): (Vec<&Service>, Vec<&Service>) = report.services.iter().partition(stays);
    let mut sections: Vec<Section> = told.into_iter().map(planned).collect();
    if let [only] = same.as_slice() {
        sections.push(planned(only));
    } else if !same.is_empty() {
        let subject = phrase(&names(&same.iter().map(|service| service.name.as_str()).collect::<Vec<_>>()));
        let lines = same.iter().map(|service| format!("- **{}**: {}", words(&service.name), phrase(&headline::stands(service))));
        let list = folded(&format!("{} as they are", count(same.len(), "service")), &lines.collect::<Vec<_>>().join("\n"));
        sections.push(section(Keep::Story, format!("### ✅ {subject} – nothing would change\n\n{list}")));
    }
    sections
}

fn planned(service: &Service) -> Section {
    if let Some(failure) = &service.failure {
        return section(Keep::Always, format!("### ⛔ {}\n\n{}\n", words(&service.name), words(&failure.what)));
    }
    let (glyph, title) = match service.changes.len() {
        0 => ("✅", "nothing would change".to_owned()),
        changes => ("📋", count(changes, "change")),
    };
    let mut lines = vec![format!("### {glyph} {} – {title}\n", words(&service.name))];
    lines.push(format!("Now {}.\n", phrase(&headline::stands(service))));
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

/// The releases of each service, newest first.
pub(super) fn history(report: &Report) -> Vec<Section> {
    let of = |service: &Service| {
        let heading = if report.services.len() == 1 { String::new() } else { format!("### {}\n\n", words(&service.name)) };
        let body = match &service.failure {
            Some(_) => "not read".to_owned(),
            None if service.releases.is_empty() => "no releases".to_owned(),
            None => service.releases.iter().map(|release| released(release)).collect::<Vec<_>>().join("\n"),
        };
        section(Keep::Always, format!("{heading}{body}\n"))
    };
    report.services.iter().map(of).collect()
}

/// Its revision, and what else is known of it, which two spaces part. Of an image the registry is left out.
fn released(release: &str) -> String {
    let mut parts = release.split("  ");
    let revision = parts.next().unwrap_or_default();
    let rest = parts.map(|part| words(&short(part.rsplit('/').next().unwrap_or(part))));
    std::iter::once(format!("- **{}**", code(revision))).chain(rest).collect::<Vec<_>>().join(" · ")
}
