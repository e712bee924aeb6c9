//! The first lines: the outcome in a sentence, how it stands now, why, and what to do. People in a hurry read no further.
//! And the small print at the end: whose run it was.

use crate::report::phrase::{names, span};
use crate::report::{Ending, Report, Service, headline};

use super::address::{link, repository};
use super::{code, first_line, nothing_begun, phrase, prose, short, standing, words};

/// The heading and, unless all went well, the three lines beneath it.
pub(super) fn head(report: &Report) -> String {
    let heading = format!("## {} {}\n", glyph(report), phrase(&headline::sentence(report)));
    if report.outcome.is_good() || report.failure.is_some() {
        return heading;
    }
    let labelled = |label: &str, text: Option<String>| text.map(|text| format!("**{label}**: {text}"));
    let lines = [labelled("Now", now(report)), labelled("Why", why(report)), labelled("Do", to_do(report))];
    format!("{heading}\n{}\n", lines.into_iter().flatten().collect::<Vec<_>>().join("<br>\n"))
}

fn glyph(report: &Report) -> &'static str {
    let unproven = report.services.iter().any(|service| service.unproven.is_some());
    if report.outcome == Ending::Live && unproven { "⚠️" } else { report.outcome.glyph() }
}

/// How the only service stands; of several the table tells, but that a group stands at different versions is said at once.
fn now(report: &Report) -> Option<String> {
    if let [service] = report.services.as_slice() {
        let told = nothing_begun(report) || service.outcome == Ending::Untouched;
        return (!told).then(|| format!("{}{}", phrase(&headline::stands(service)), standing::last_proven(service)));
    }
    let mixed = report.groups.iter().find(|group| group.mixture.is_some())?;
    let members: Vec<&str> = mixed.members.iter().map(String::as_str).collect();
    Some(format!("⚠️ {} stand or fall together, and **do not stand at one version**", phrase(&names(&members))))
}

/// The first failure and its nearest reason.
fn why(report: &Report) -> Option<String> {
    let Some((service, trouble)) = headline::cause(report) else {
        return report.interrupted.as_ref().map(|by| format!("the run was interrupted ({}) before everything was proven", words(by)));
    };
    let of = service.filter(|service| report.services.len() > 1 && !trouble.what.starts_with(&service.name));
    let of = of.map(|service| format!("{}: ", words(&service.name))).unwrap_or_default();
    let what = service.map_or(trouble.what.as_str(), |service| super::unprefixed(&trouble.what, &service.name));
    let nearest = trouble.why.first().map(|why| format!(" – {}", prose(first_line(why)))).unwrap_or_default();
    Some(format!("**{of}{}**{nearest}", words(&short(what))))
}

fn to_do(report: &Report) -> Option<String> {
    let subject = |wanted: fn(&Service) -> bool| {
        let of: Vec<&str> = report.services.iter().filter(|service| wanted(service)).map(|service| service.name.as_str()).collect();
        (!of.is_empty()).then(|| phrase(&names(&of)))
    };
    if let Some(left) = subject(|service| !service.by_hand.is_empty()) {
        let or = if report.outcome == Ending::Failed { ", or deploy a release that works" } else { "" };
        return Some(format!("put {left} back by hand, with the commands below{or}"));
    }
    match report.outcome {
        Ending::RollingBack if !report.taken_over => {
            Some("wait for the post step of this job: it goes on, and tells how it ended".to_owned())
        }
        Ending::Stuck | Ending::Failed | Ending::RollingBack => {
            let open = subject(|service| matches!(service.outcome, Ending::Stuck | Ending::Failed | Ending::RollingBack))?;
            Some(format!("look at {open} on the platform: nobody saw where it ended"))
        }
        Ending::Superseded => Some(format!("deploy one after the other: give the jobs one {} group", code("concurrency"))),
        _ => match headline::cause(report) {
            Some((_, trouble)) => trouble.fix.first().map(|fix| below(fix)),
            None => Some("nothing is left to repair; run it again to deploy".to_owned()),
        },
    }
}

/// The first line of what to do; of a snippet its heading.
fn below(fix: &str) -> String {
    match first_line(fix).strip_suffix(':') {
        Some(heading) => format!("{}, as below", prose(heading)),
        None => prose(first_line(fix)),
    }
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
