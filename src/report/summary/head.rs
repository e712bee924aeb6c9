//! The first lines: the outcome in a sentence, how it stands now, why, and what to do. People in a hurry read no further.
//! And the small print at the end: whose run it was.

use crate::report::phrase::{count, names, prefixed, span, unprefixed};
use crate::report::{Ending, Report, Trouble, advice, headline};

use super::address::{link, repository};
use super::{code, first_line, nothing_begun, phrase, prose, short, standing, trouble, words};

/// The heading and, unless all went well, the lines beneath it.
pub(super) fn head(report: &Report) -> String {
    let heading = format!("## {} {}\n", glyph(report), phrase(&headline::sentence(report)));
    let lines = match (report.outcome.is_good(), &report.failure) {
        (_, Some(_)) => Vec::new(),
        (true, None) => vec![rehearsed(report).map(|told| ("Now", told))],
        (false, None) => {
            let now = rehearsed(report).or_else(|| now(report)).map(|told| ("Now", told));
            let back = not_put_back(report).map(|told| ("Not put back", told));
            vec![now, why(report).map(|told| ("Why", told)), back, advice::to_do(report).map(|told| ("Do", phrase(&told)))]
        }
    };
    let lines: Vec<String> = lines.into_iter().flatten().map(|(label, told)| format!("**{label}**: {told}")).collect();
    if lines.is_empty() { heading } else { format!("{heading}\n{}\n", lines.join("<br>\n")) }
}

fn glyph(report: &Report) -> &'static str {
    let unproven = report.services.iter().any(|service| service.unproven.is_some());
    if report.outcome.is_good() && unproven { "⚠️" } else { report.outcome.glyph() }
}

/// What a rehearsal did to production, whatever else it came to.
fn rehearsed(report: &Report) -> Option<String> {
    let told = "production is as it was: this ran on the built-in simulator, and no cloud was asked anything";
    (report.mode == "rehearse").then(|| told.to_owned())
}

/// How the only service stands; of several the table tells, but that a group stands at different versions is said at once.
fn now(report: &Report) -> Option<String> {
    if let [service] = report.services.as_slice() {
        let told = nothing_begun(report) || (service.outcome == Ending::Untouched && service.jobs.is_empty());
        return (!told).then(|| format!("{}{}", phrase(&headline::stands(service)), standing::last_proven(service)));
    }
    let mixed = report.groups.iter().find(|group| group.mixture.is_some())?;
    let members: Vec<&str> = mixed.members.iter().map(String::as_str).collect();
    Some(format!("⚠️ {} stand or fall together, and **do not stand at one version**", phrase(&names(&members))))
}

/// The first failure and its nearest reason.
fn why(report: &Report) -> Option<String> {
    let Some((service, trouble)) = headline::cause(report) else {
        return advice::without_failure(report).map(|told| phrase(&told));
    };
    let what = match service {
        Some(service) if report.services.len() > 1 => prefixed(&trouble.what, &service.name),
        Some(service) => unprefixed(&trouble.what, &service.name).to_owned(),
        None => trouble.what.clone(),
    };
    let others = match trouble::failures(report).saturating_sub(1) {
        0 => String::new(),
        others => format!(" (and {}, below)", count(others, "other failure")),
    };
    Some(format!("**{}**{}{others}", words(&short(&what)), nearest(trouble)))
}

fn nearest(trouble: &Trouble) -> String {
    trouble.why.first().map(|why| format!(" – {}", prose(first_line(why)))).unwrap_or_default()
}

/// Why the way back failed too.
fn not_put_back(report: &Report) -> Option<String> {
    let (service, trouble) = report.services.iter().find_map(|service| Some((service, service.rollback_failure.as_ref()?)))?;
    Some(format!("{}{}", words(&short(unprefixed(&trouble.what, &service.name))), nearest(trouble)))
}

/// Whether the first lines tell all of a failure but its evidence.
pub(super) fn tells_all(report: &Report, trouble: &Trouble) -> bool {
    let is_line = |texts: &[String]| texts.len() <= 1 && texts.iter().all(|text| !text.contains('\n'));
    let is_cause = report.failure.is_none() && headline::cause(report).is_some_and(|(_, cause)| cause == trouble);
    let told_what_to_do = trouble.fix.first().is_none_or(|fix| advice::to_do(report) == Some(advice::below(fix)));
    is_cause && is_line(&trouble.why) && is_line(&trouble.fix) && told_what_to_do
}

/// Who, what and when, in small print.
pub(super) fn foot(report: &Report) -> String {
    let run = &report.run;
    let mut parts = Vec::new();
    parts.extend(run.environment.as_ref().map(|environment| format!("**{}**", words(environment))));
    parts.extend((!run.commit.is_empty()).then(|| commit(report)));
    let branch = run.reference.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
    parts.extend((!branch.is_empty()).then(|| format!("on {}", words(branch))));
    parts.extend((!run.repository.is_empty()).then(|| words(&run.repository)));
    parts.extend(run.actor.as_ref().map(|actor| format!("by {}", words(actor))));
    parts.extend((!run.id.is_empty()).then(|| number(report)));
    parts.extend((!report.began.is_empty()).then(|| words(&report.began.replace('T', " ").replace('Z', " UTC"))));
    parts.extend((report.duration_seconds > 0.0).then(|| format!("took {}", span(report.duration_seconds))));
    parts.push(format!("Touchdown {}", env!("CARGO_PKG_VERSION")));
    format!("\n<sub>{}</sub>\n", parts.join(" · "))
}

fn number(report: &Report) -> String {
    let attempt = if report.run.attempt > 1 { format!(", attempt {}", report.run.attempt) } else { String::new() };
    let text = format!("run {}{attempt}", words(&report.run.id));
    link(report.run.url.as_deref(), &text)
}

fn commit(report: &Report) -> String {
    let commit = &report.run.commit;
    let place = repository(&report.run);
    let text = code(if place.is_some() { &commit[..7] } else { commit });
    link(place.map(|place| format!("{place}/commit/{commit}")).as_deref(), &text)
}
