//! What a run came to, told once: the log's last block, one annotation, the summary, the outputs, the JSON report.
//! All are renderings of one fold of the journal; every secret is taken out of it before anything is rendered.

use std::path::PathBuf;

use crate::engine::journal::Journal;
use crate::engine::record::Entry;
use crate::failure::Failure;
use crate::report::{Report, annotations, json, outputs, summary, text};
use crate::runner::log::Level;
use crate::runner::origin::Origin;
use crate::runner::{outputs as output_file, report_file, summary_file};

use super::context::Surroundings;

/// What there is to tell.
pub(crate) enum Told<'a> {
    /// What happened.
    Journal(&'a Journal),
    /// It did not come to anything.
    Early(&'a Failure),
}

/// Tells it and answers with the exit status.
pub(crate) fn tell(surroundings: &Surroundings, told: Told<'_>) -> u8 {
    let entries: &[Entry] = match told {
        Told::Journal(journal) => journal.entries(),
        Told::Early(_) => &[],
    };
    let early = match told {
        Told::Journal(_) => None,
        Told::Early(failure) => Some(failure),
    };
    let report = Report::of(entries, early).begun_by(&Origin::of(&surroundings.env)).redacted(&|text| surroundings.log.redact(text));
    surroundings.log.line(&text::block(&report));
    // At a terminal the block above has said it all.
    if surroundings.env.in_workflow() {
        for annotation in annotations::annotations(&report) {
            surroundings.log.annotate(annotation.level, &annotation.title, &annotation.message);
        }
        write_files(surroundings, &report);
    }
    report.exit_status()
}

/// The runner's own files and the JSON report, which nobody at a terminal asked for; where they cannot be written the log says why, and
/// the outcome stands all the same.
fn write_files(surroundings: &Surroundings, report: &Report) {
    let written =
        json::document(report).map_err(std::io::Error::other).and_then(|document| report_file::write(&surroundings.env, &document));
    let path = written.unwrap_or_else(|error| {
        warn(surroundings, report, "there is no JSON report", &error.to_string());
        PathBuf::new()
    });
    if let Err(error) = summary_file::append(&surroundings.env, &summary::sections(report)) {
        warn(surroundings, report, "there is no job summary", &error.to_string());
    }
    match output_file::write(&surroundings.env, &outputs::outputs(report, &path.display().to_string())) {
        Ok(left_out) if left_out.is_empty() => {}
        Ok(left_out) => warn(surroundings, report, "outputs too long for the runner stay empty", &left_out.join(", ")),
        Err(error) => warn(surroundings, report, "there are no outputs", &error.to_string()),
    }
}

/// A warning beside a good outcome; beside an error, which says what matters, a line of the log.
fn warn(surroundings: &Surroundings, report: &Report, title: &str, message: &str) {
    if report.exit_status() == 0 {
        surroundings.log.annotate(Level::Warning, title, message);
    } else {
        surroundings.log.line(&format!("warning: {title}: {message}"));
    }
}
