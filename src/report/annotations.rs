//! The annotations of a run: at most one error, or else one warning and one notice. The summary has the rest.

use crate::failure::cut;
use crate::runner::log::Level;

use super::phrase::prefixed;
use super::{Ending, Report, headline};

/// The longest message, in bytes; the runner cuts at 4096 characters.
const LONGEST: usize = 2048;

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

fn failed(report: &Report) -> Annotation {
    let mut lines = Vec::new();
    if let Some((service, trouble)) = headline::cause(report) {
        if !report.sentence.ends_with(&trouble.what) {
            lines.push(service.map_or_else(|| trouble.what.clone(), |service| prefixed(&trouble.what, &service.name)));
        }
        lines.extend(trouble.why.first().map(|why| format!("why: {}", first_line(why))));
        lines.extend(trouble.fix.first().map(|fix| format!("fix: {}", first_line(fix))));
    }
    if report.services.iter().any(|service| matches!(service.outcome, Ending::Stuck | Ending::Failed)) {
        lines.push("the job summary has the commands to put it back by hand".to_owned());
    }
    annotation(Level::Error, report.sentence.clone(), lines)
}

fn unproven(report: &Report) -> Option<Annotation> {
    let told = report.services.iter().filter_map(|service| Some(format!("{}: {}", service.name, service.unproven.as_ref()?)));
    let lines: Vec<String> = told.collect();
    (!lines.is_empty()).then(|| annotation(Level::Warning, "deployed without proof".to_owned(), lines))
}

fn noted(report: &Report) -> Option<Annotation> {
    let of_services = report.services.iter().flat_map(|service| service.notes.iter().map(|note| format!("{}: {note}", service.name)));
    let lines: Vec<String> = report.notes.iter().cloned().chain(of_services).collect();
    (!lines.is_empty()).then(|| annotation(Level::Notice, report.sentence.clone(), lines))
}

fn annotation(level: Level, mut title: String, lines: Vec<String>) -> Annotation {
    let mut message = lines.join("\n");
    cut(&mut message, LONGEST);
    cut(&mut title, 200);
    if message.is_empty() {
        message.clone_from(&title);
    }
    Annotation { level, title, message }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
