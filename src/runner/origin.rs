//! What started this run, as the runner tells it: for people, and for the rules about pull requests.

use crate::values::RunId;

use super::env::Env;

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
        }
    }

    /// Whether somebody who may not push could have chosen what runs.
    pub fn is_pull_request(&self) -> bool {
        matches!(self.event.as_str(), "pull_request" | "pull_request_target")
    }
}
