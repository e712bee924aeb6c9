//! What started this run, as the runner tells it: for people, and for the rules about pull requests.

use crate::values::RunId;

use super::env::Env;

/// The largest payload of an event that is read, in bytes: GitHub's own limit.
const LARGEST_EVENT: u64 = 25 * 1024 * 1024;

/// Where a run came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `owner/name`; empty outside a workflow.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// `refs/heads/main`.
    pub reference: String,
    /// `push`, `workflow_dispatch`, …
    pub event: String,
    /// Who started it.
    pub actor: Option<String>,
    /// Which run, and which try of it; none outside a workflow.
    pub run: Option<RunId>,
    /// Its page.
    pub run_url: Option<String>,
    /// The repository's default branch, as the event tells it.
    pub default_branch: Option<String>,
    /// The branch a pull request is to be merged into.
    pub base: Option<String>,
    /// On `workflow_run`: the event of the run that has ended.
    pub begun_by: Option<String>,
}

impl Origin {
    /// The run `env` belongs to.
    pub fn of(env: &Env) -> Self {
        let text = |name: &str| env.get(name).unwrap_or_default().to_owned();
        let attempt = env.get("GITHUB_RUN_ATTEMPT").and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
        let run = env.get("GITHUB_RUN_ID").map(|id| RunId { id: id.to_owned(), attempt });
        let page = |run: &RunId| {
            let (server, repository) = (env.get("GITHUB_SERVER_URL")?, env.get("GITHUB_REPOSITORY")?);
            Some(format!("{server}/{repository}/actions/runs/{}/attempts/{}", run.id, run.attempt))
        };
        Self {
            repository: text("GITHUB_REPOSITORY"),
            commit: text("GITHUB_SHA"),
            reference: text("GITHUB_REF"),
            event: text("GITHUB_EVENT_NAME"),
            actor: env.get("GITHUB_ACTOR").map(str::to_owned),
            run_url: run.as_ref().and_then(page),
            run,
            default_branch: default_branch(env),
            base: env.get("GITHUB_BASE_REF").filter(|base| !base.is_empty()).map(str::to_owned),
            begun_by: begun_by(env),
        }
    }

    /// Whether somebody who may not push could have chosen what is checked out, or when this runs
    /// (<https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>, 2026-11).
    pub fn is_pull_request(&self) -> bool {
        let event = if self.event == "workflow_run" { self.begun_by.as_deref().unwrap_or_default() } else { &self.event };
        event.starts_with("pull_request") || event == "issue_comment"
    }
}

/// `repository.default_branch` of the event's payload
/// (<https://docs.github.com/en/webhooks/webhook-events-and-payloads>, 2026-11); a payload that cannot be read tells none.
fn default_branch(env: &Env) -> Option<String> {
    payload(env)?.pointer("/repository/default_branch")?.as_str().map(str::to_owned)
}

/// `workflow_run.event` of the event's payload; one that cannot be read counts as a pull request's, where there should be one.
fn begun_by(env: &Env) -> Option<String> {
    if env.get("GITHUB_EVENT_NAME") != Some("workflow_run") {
        return None;
    }
    let told = payload(env).and_then(|payload| payload.pointer("/workflow_run/event")?.as_str().map(str::to_owned));
    Some(told.unwrap_or_else(|| "pull_request".to_owned()))
}

/// The event's payload.
fn payload(env: &Env) -> Option<serde_json::Value> {
    let file = std::fs::File::open(env.get("GITHUB_EVENT_PATH")?).ok()?;
    serde_json::from_reader(std::io::Read::take(file, LARGEST_EVENT)).ok()
}
