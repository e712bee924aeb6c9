//! The annotations of a run: at most one error, or else one warning and one notice. The summary has the rest.

use crate::failure::{Kind, cut};
use crate::runner::log::Level;

use super::phrase::{count, prefixed};
use super::{Ending, Report, Service, Trouble, advice, headline};

/// The longest message, in bytes; the runner cuts at 4096 characters.
const LONGEST: usize = 4000;
/// Services whose standing is told one by one.
const MANY: usize = 8;

/// An annotation, still to be disarmed by the log that prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// How loud.
    pub level: Level,
    /// A few words.
    pub title: String,
    /// What, why, what to do and how it stands, each on a line.
    pub message: String,
}

/// What is worth an annotation.
pub fn annotations(report: &Report) -> Vec<Annotation> {
    if report.outcome.is_good() {
        return [unproven(report), noted(report)].into_iter().flatten().collect();
    }
    vec![failed(report)]
}

/// What and what to do are never left out for a reason; of reasons there are as many as fit.
fn failed(report: &Report) -> Annotation {
    let (mut first, mut reasons, mut then) = (Vec::new(), Vec::new(), Vec::new());
    if let Some((service, trouble)) = headline::cause(report) {
        first.extend(what(report, service, trouble));
        reasons.extend(why(trouble));
        let told = fixes(report, trouble);
        then.extend(told.iter().map(|fix| format!("fix: {fix}")));
    } else {
        reasons.extend(advice::without_failure(report).map(|why| format!("why: {why}")));
    }
    then.extend(others(report));
    then.extend(standing(report));
    then.extend(next(report));
    let room = LONGEST.saturating_sub(size(&first) + size(&then));
    let lines = [first, fitting(reasons, room), then].concat();
    annotation(Level::Error, report.sentence.clone(), &lines)
}

/// What failed, unless the title says it.
fn what(report: &Report, service: Option<&Service>, trouble: &Trouble) -> Option<String> {
    let what = service.map_or_else(|| trouble.what.clone(), |service| prefixed(&trouble.what, &service.name));
    let said = report.sentence.ends_with(&trouble.what) || report.sentence == what;
    (!said).then(|| first_line(&what).to_owned())
}

/// A mistake in the settings tells itself what to write; anything else is a reason.
fn why(trouble: &Trouble) -> Vec<String> {
    let label = if trouble.kind == Kind::Config { "" } else { "why: " };
    trouble.why.iter().map(|why| format!("{label}{}", first_line(why))).collect()
}

/// That settings are to be corrected goes without saying where each mistake says how.
fn fixes<'a>(report: &Report, trouble: &'a Trouble) -> &'a [String] {
    let mistakes = report.failure.is_some() && trouble.kind == Kind::Config && !trouble.why.is_empty() && trouble.fix.len() == 1;
    if mistakes { &[] } else { &trouble.fix }
}

/// What else failed, of other services.
fn others(report: &Report) -> Vec<String> {
    let cause = headline::cause(report);
    let is_cause = |service: &Service| matches!(cause, Some((Some(of), _)) if of.name == service.name);
    let forward = report.services.iter().filter(|service| !is_cause(service));
    let forward = forward.filter_map(|service| Some(format!("also: {}", prefixed(&service.failure.as_ref()?.what, &service.name))));
    let back = report.services.iter().filter_map(|service| {
        let failure = service.rollback_failure.as_ref()?;
        let why = failure.why.first().map(|why| format!(" ({})", first_line(why))).unwrap_or_default();
        Some(format!("not put back: {}{why}", prefixed(&failure.what, &service.name)))
    });
    listed(back.chain(forward).collect(), "failure")
}

/// How it stands now, where the title does not tell all of it.
fn standing(report: &Report) -> Vec<String> {
    let now = |service: &Service| format!("now: {}: {}", service.name, headline::stands(service));
    match report.services.as_slice() {
        [service] if told_by_the_title(service) => Vec::new(),
        [service] => vec![now(service)],
        services => {
            let mut services: Vec<&Service> = services.iter().collect();
            services.sort_by_key(|service| std::cmp::Reverse(service.outcome));
            listed(services.into_iter().map(now).collect(), "service")
        }
    }
}

/// A foreign text of several lines could look like a line of ours.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn told_by_the_title(service: &Service) -> bool {
    let simple = matches!(service.outcome, Ending::Untouched | Ending::RolledBack | Ending::Superseded | Ending::Unhealthy);
    simple && headline::migration(service).is_none()
}

fn listed(mut lines: Vec<String>, noun: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(MANY);
    if more > 0 {
        lines.truncate(MANY);
        lines.push(format!("and {} in the job summary", count(more, &format!("more {noun}"))));
    }
    lines
}

/// What to do, where no fix says it; and the first command to type for what is stuck.
fn next(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(advice::besides_the_fix(report).map(|to_do| format!("do: {to_do}")));
    let stuck = report.services.iter().filter(|service| service.outcome == Ending::Stuck);
    let commands = stuck.map(|service| match service.by_hand.first() {
        Some(command) => format!("type first, for {}: {command}", service.name),
        None => format!("look first at {} on the platform: what serves there is not known here", service.name),
    });
    lines.extend(listed(commands.collect(), "service"));
    let shown =
        |service: &Service| advice::first_resort(service) || advice::last_resort(service) || advice::job_to_look_for(service).is_some();
    let more = report.services.iter().any(shown);
    lines.extend(more.then(|| "the job summary has all the commands".to_owned()));
    lines
}

fn unproven(report: &Report) -> Option<Annotation> {
    let told = report.services.iter().filter_map(|service| Some(format!("{}: {}", service.name, service.unproven.as_ref()?)));
    let lines: Vec<String> = told.collect();
    let title = if report.outcome == Ending::Live { "deployed without proof" } else { "not proven" };
    (!lines.is_empty()).then(|| annotation(Level::Warning, title.to_owned(), &lines))
}

fn noted(report: &Report) -> Option<Annotation> {
    let of_services = report.services.iter().flat_map(|service| service.notes.iter().map(|note| format!("{}: {note}", service.name)));
    let lines: Vec<String> = report.notes.iter().cloned().chain(of_services).collect();
    (!lines.is_empty()).then(|| annotation(Level::Notice, report.sentence.clone(), &lines))
}

/// A message that only repeats the title says where to read on instead.
fn annotation(level: Level, mut title: String, lines: &[String]) -> Annotation {
    let mut message = lines.join("\n");
    if message.is_empty() || message == title {
        "the job summary tells what happened and how everything stands".clone_into(&mut message);
    }
    cut(&mut message, LONGEST);
    cut(&mut title, 200);
    Annotation { level, title, message }
}

/// As many of `lines` as there is `room` for, and how many there are more.
fn fitting(lines: Vec<String>, room: usize) -> Vec<String> {
    const MORE: usize = 32;
    if size(&lines) <= room {
        return lines;
    }
    let (mut shown, mut left) = (Vec::new(), room.saturating_sub(MORE));
    let all = lines.len();
    for line in lines {
        if line.len() + 1 > left {
            break;
        }
        left -= line.len() + 1;
        shown.push(line);
    }
    shown.push(format!("and {} more, in the log", all - shown.len()));
    shown
}

fn size(lines: &[String]) -> usize {
    lines.iter().map(|line| line.len() + 1).sum()
}
