//! What went wrong, why, what to do; the evidence folded away beneath. What went wrong the same way is told once.

use crate::failure::{Evidence, Kind};
use crate::report::phrase::{count, names};
use crate::report::{Ending, Report, Service, Trouble};

use super::address::place;
use super::{Keep, Section, code, fence, first_line, folded, head, phrase, prose, section, short, unprefixed, words};

/// The most failures told; the JSON report has all.
const MOST: usize = 10;
/// The most services whose evidence is shown of one failure.
const SHOWN: usize = 5;
/// The most lines of evidence that stand open.
const OPEN: usize = 24;

/// A failure, and the services that failed so.
struct Same<'a> {
    did: &'static str,
    back: bool,
    trouble: &'a Trouble,
    of: Vec<(&'a Service, &'a [Evidence])>,
}

/// Every failure, the early one first.
pub(super) fn troubles(report: &Report) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    if let Some(failure) = &report.failure {
        sections.push(section(Keep::Always, reasons(report, failure)));
        sections.extend(pieces(&failure.evidence));
    }
    let all = alike(report);
    sections.extend(all.iter().take(MOST).flat_map(|same| told(report, same)));
    if all.len() > MOST {
        let more = format!("{} more failures are in the JSON report.\n", all.len() - MOST);
        sections.push(section(Keep::Detail, more));
    }
    sections
}

/// How many different failures there were on the way forward.
pub(super) fn failures(report: &Report) -> usize {
    alike(report).iter().filter(|same| !same.back).count()
}

fn alike(report: &Report) -> Vec<Same<'_>> {
    let mut all: Vec<Same> = Vec::new();
    for service in &report.services {
        let forward = service.failure.iter().map(|trouble| (failed(service), false, trouble));
        let back = service.rollback_failure.iter().map(|trouble| ("could not be put back", true, trouble));
        for (did, back, trouble) in forward.chain(back) {
            let of = (service, trouble.evidence.as_slice());
            let told = |trouble: &Trouble| (trouble.what.clone(), trouble.why.clone(), trouble.fix.clone());
            match all.iter_mut().find(|same| same.did == did && told(same.trouble) == told(trouble)) {
                Some(same) => same.of.push(of),
                None => all.push(Same { did, back, trouble, of: vec![of] }),
            }
        }
    }
    all
}

fn failed(service: &Service) -> &'static str {
    match service.outcome {
        Ending::Unhealthy => "is not healthy",
        Ending::Untouched => "was not deployed",
        Ending::Live | Ending::Unchanged | Ending::Planned | Ending::Healthy => "is told about",
        Ending::RolledBack | Ending::RollingBack | Ending::Superseded | Ending::Failed | Ending::Stuck => "failed",
    }
}

fn told(report: &Report, same: &Same) -> Vec<Section> {
    let who: Vec<&str> = same.of.iter().map(|(service, _)| service.name.as_str()).collect();
    let what = who.first().map_or(same.trouble.what.as_str(), |name| unprefixed(&same.trouble.what, name));
    let named = who.first().is_some_and(|name| what.starts_with(name)) && who.len() == 1;
    let who_did = if named { String::new() } else { format!(" {} {}", phrase(&names(&who)), same.did) };
    let evidence: Vec<Section> = match same.of.as_slice() {
        [(_, evidence)] => pieces(evidence),
        of => of.iter().take(SHOWN).filter_map(|(service, evidence)| of_one(service, evidence)).collect(),
    };
    let text = match (head::tells_all(report, same.trouble), evidence.is_empty()) {
        (true, true) => return Vec::new(),
        (true, false) => "### Evidence\n".to_owned(),
        (false, _) => format!("### Why{who_did}: {}\n{}", words(&short(what)), reasons(report, same.trouble)),
    };
    std::iter::once(section(Keep::Always, text)).chain(evidence).collect()
}

/// Each piece folded, but the first stands open when it is not much to read.
fn pieces(evidence: &[Evidence]) -> Vec<Section> {
    let shown = evidence.iter().enumerate().map(|(index, piece)| {
        let open = if index == 0 && piece.lines.len() <= OPEN { " open" } else { "" };
        let title = format!("{} ({})", words(&piece.title), count(piece.lines.len(), "line"));
        let text = format!("<details{open}><summary>{title}</summary>\n\n{}\n</details>\n", fence(&piece.lines));
        section(Keep::Evidence, text)
    });
    shown.collect()
}

/// All the evidence of one of several services that failed the same way.
fn of_one(service: &Service, evidence: &[Evidence]) -> Option<Section> {
    let titles: Vec<String> = evidence.iter().map(|piece| words(&piece.title)).collect();
    let bodies: Vec<String> = evidence.iter().map(|piece| format!("{}:\n\n{}", words(&piece.title), fence(&piece.lines))).collect();
    let title = format!("<b>{}</b>: {}", words(&service.name), titles.join(", "));
    (!evidence.is_empty()).then(|| section(Keep::Evidence, folded(&title, &bodies.join("\n"))))
}

fn reasons(report: &Report, trouble: &Trouble) -> String {
    let mut text = String::new();
    if !trouble.why.is_empty() {
        let why = trouble.why.iter().map(|why| match place(&report.run, why).filter(|_| trouble.kind == Kind::Config) {
            Some((place, rest)) => {
                let (name, what) = rest.split_once(' ').unwrap_or((rest, ""));
                format!("- {place}: {} {}", code(name), prose(what))
            }
            None => item(why),
        });
        text.push_str(&format!("\n{}\n", why.collect::<Vec<_>>().join("\n")));
    }
    match trouble.fix.as_slice() {
        [] => {}
        [one] if !one.contains('\n') => text.push_str(&format!("\n**What to do**: {}\n", prose(one))),
        several => text.push_str(&format!("\n**What to do**\n\n{}\n", several.iter().map(|fix| item(fix)).collect::<Vec<_>>().join("\n"))),
    }
    text
}

/// A text in a list; one of several lines is its first line and a snippet.
fn item(text: &str) -> String {
    let rest: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    if rest.is_empty() {
        return format!("- {}", prose(text));
    }
    let snippet = fence(&rest).lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
    format!("- {}\n\n{snippet}\n", prose(first_line(text)))
}
