//! What went wrong, why, what to do; the evidence folded away beneath. What went wrong the same way is told once.

use crate::failure::Evidence;
use crate::report::phrase::names;
use crate::report::{Ending, Report, Service, Trouble};

use super::{Keep, Section, fence, first_line, folded_lines, phrase, prose, section, short, unprefixed, words};

/// The most failures told; the JSON report has all.
const MOST: usize = 10;
/// The most services whose evidence is shown of one failure.
const SHOWN: usize = 5;

/// A failure, and the services that failed so.
struct Same<'a> {
    did: &'static str,
    trouble: &'a Trouble,
    of: Vec<(&'a Service, &'a [Evidence])>,
}

/// Every failure, the early one first.
pub(super) fn troubles(report: &Report) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    if let Some(failure) = &report.failure {
        sections.push(section(Keep::Always, reasons(failure)));
        sections.extend(failure.evidence.iter().map(|material| section(Keep::Evidence, folded_lines(&material.title, &material.lines))));
    }
    let all = alike(report);
    sections.extend(all.iter().take(MOST).flat_map(told));
    if all.len() > MOST {
        let more = format!("\n{} more failures are in the JSON report.\n", all.len() - MOST);
        sections.push(section(Keep::Detail, more));
    }
    sections
}

fn alike(report: &Report) -> Vec<Same<'_>> {
    let mut all: Vec<Same> = Vec::new();
    for service in &report.services {
        let forward = service.failure.iter().map(|trouble| (failed(service), trouble));
        let back = service.rollback_failure.iter().map(|trouble| ("could not be put back", trouble));
        for (did, trouble) in forward.chain(back) {
            let of = (service, trouble.evidence.as_slice());
            match all.iter_mut().find(|same| {
                same.did == did && same.trouble.why == trouble.why && same.trouble.what == trouble.what && same.trouble.fix == trouble.fix
            }) {
                Some(same) => same.of.push(of),
                None => all.push(Same { did, trouble, of: vec![of] }),
            }
        }
    }
    all
}

fn failed(service: &Service) -> &'static str {
    match service.outcome {
        Ending::Unhealthy => "is not healthy",
        Ending::Untouched => "was not touched",
        Ending::Live | Ending::Unchanged | Ending::Planned | Ending::Healthy => "is told about",
        Ending::RolledBack | Ending::RollingBack | Ending::Superseded | Ending::Failed | Ending::Stuck => "failed",
    }
}

fn told(same: &Same) -> Vec<Section> {
    let who: Vec<&str> = same.of.iter().map(|(service, _)| service.name.as_str()).collect();
    let what = who.first().map_or(same.trouble.what.as_str(), |name| unprefixed(&same.trouble.what, name));
    let named = who.first().is_some_and(|name| what.starts_with(name)) && who.len() == 1;
    let who_did = if named { String::new() } else { format!(" {} {}", phrase(&names(&who)), same.did) };
    let heading = format!("### Why{who_did}: {}\n", words(&short(what)));
    let evidence = same.of.iter().take(SHOWN).flat_map(|(service, evidence)| {
        let alone = who.len() == 1;
        evidence.iter().map(move |material| {
            let title = if alone { material.title.clone() } else { format!("{}: {}", service.name, material.title) };
            section(Keep::Evidence, folded_lines(&title, &material.lines))
        })
    });
    std::iter::once(section(Keep::Always, heading + &reasons(same.trouble))).chain(evidence).collect()
}

fn reasons(trouble: &Trouble) -> String {
    let mut text = String::new();
    if !trouble.why.is_empty() {
        text.push_str(&format!("\n{}\n", list(&trouble.why)));
    }
    if !trouble.fix.is_empty() {
        text.push_str(&format!("\n**What to do**\n\n{}\n", list(&trouble.fix)));
    }
    text
}

/// Texts as a list; one of several lines is its first line and a snippet.
fn list(texts: &[String]) -> String {
    texts.iter().map(|text| item(text)).collect::<Vec<_>>().join("\n")
}

fn item(text: &str) -> String {
    let rest: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    if rest.is_empty() {
        return format!("- {}", prose(text));
    }
    let snippet = fence(&rest).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
    format!("- {}\n\n{snippet}\n", prose(first_line(text)))
}
