//! The report: what a journal comes to, and how it reads, in every way a run can end.

mod annotations;
pub mod document;
mod samples;
mod summary;
mod words;

use samples::endings::all;
use serde_json::Value;
use touchdown::report::Report;
use touchdown::report::summary::summary as rendered;
use touchdown::runner::env::Env;
use touchdown::runner::origin::Origin;

/// The step's variables, for what went wrong before a journal was there.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("GITHUB_SERVER_URL", "https://github.com"),
    ("GITHUB_REPOSITORY", "acme/shop"),
    ("GITHUB_SHA", "3f2a9c1d5e7b8091a2b3c4d5e6f708125f2b7a9c"),
    ("GITHUB_REF", "refs/heads/main"),
    ("GITHUB_RUN_ID", "1234567"),
    ("GITHUB_ACTOR", "octocat"),
];

/// Leaves a summary for `make pictures`.
fn picture(name: &str, summary: &str) {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("summaries");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.md")), summary).unwrap();
}

#[test]
fn every_ending_is_rendered_for_the_pictures() {
    for (name, entries, early) in all() {
        let env: Env = ENVIRONMENT.into_iter().collect();
        let text = rendered(&Report::of(&entries, early.as_ref()).begun_by(&Origin::of(&env)));
        assert!(text.starts_with("## "), "{name}: {text}");
        picture(name, &text);
    }
}

#[test]
fn every_text_that_may_be_foreign_passes_the_redactor() {
    fn texts(value: &Value, at: &str) -> Vec<(String, String)> {
        match value {
            Value::String(text) => vec![(at.to_owned(), text.clone())],
            Value::Array(items) => items.iter().flat_map(|item| texts(item, at)).collect(),
            Value::Object(keys) => keys.iter().flat_map(|(key, value)| texts(value, &format!("{at}/{key}"))).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
        }
    }
    let ours = ["/mode", "/outcome", "/began", "/services/outcome", "/services/before/was", "/timeline/sign", "/services/jobs/ended"];
    for (name, entries, early) in all() {
        let report = Report::of(&entries, early.as_ref()).redacted(&|_| "***".to_owned());
        for (at, text) in texts(&serde_json::to_value(report).unwrap(), "") {
            assert!(text == "***" || ours.contains(&at.as_str()) || at.ends_with("failure/kind"), "{name}: {at} is {text:?}");
        }
    }
}
