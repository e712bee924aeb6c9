//! What a run came to, told once: summary, outputs, one annotation, the JSON report. All are renderings of one fold of the journal.

use crate::engine::journal::Journal;
use crate::engine::record::Outcome;
use crate::engine::state;
use crate::failure::Failure;
use crate::runner::{outputs, summary_file};

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
    let (outcome, text) = match told {
        Told::Early(failure) => ("untouched".to_owned(), failure.to_string()),
        Told::Journal(journal) => {
            let state = state::fold(journal.entries());
            let outcome =
                state.services.values().map(|service| service.outcome(state.committed.contains(&0))).next().unwrap_or(Outcome::Untouched);
            let text = state.services.values().filter_map(|service| service.failure.as_ref()).map(ToString::to_string).collect();
            (serde_json::to_value(outcome).unwrap_or_default().as_str().unwrap_or_default().to_owned(), text)
        }
    };
    surroundings.log.line(&text);
    let _ = outputs::write(&surroundings.env, &[("outcome", outcome.clone())]);
    let markdown = surroundings.log.redact(&text);
    let _ = summary_file::append(&surroundings.env, &[summary_file::Section { rank: 0, markdown }]);
    u8::from(!matches!(outcome.as_str(), "live" | "unchanged" | "planned" | "healthy"))
}
