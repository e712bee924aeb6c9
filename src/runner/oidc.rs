//! The workflow's identity: a token from GitHub's issuer, minted afresh for every exchange, and its claims for explanations only.
//! <https://docs.github.com/en/actions/reference/security/oidc> (2026-11)

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;

use crate::failure::{Failure, Kind, Result};
use crate::http::{Answer, Http, Intent};
use crate::values::Secret;

use super::env::Env;
use super::log::Log;

/// The largest event that is looked into, in bytes.
const LARGEST_EVENT: u64 = 8 * 1024 * 1024;

/// GitHub's issuer, as this job may ask it.
#[derive(Debug, Clone)]
pub struct Oidc {
    http: Http,
    log: Log,
    url: String,
    bearer: Secret,
}

/// What a token says about the run; decoded for explanations, never trusted. A claim that is not there is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// `repo:owner/name:environment:production`, `…:ref:refs/heads/main`, or the immutable form with ids.
    pub sub: String,
    /// The audience asked for.
    pub aud: String,
    /// The job's environment.
    pub environment: Option<String>,
    /// `owner/name`.
    pub repository: String,
    /// The repository's number.
    pub repository_id: String,
    /// `owner`.
    pub repository_owner: String,
    /// The owner's number.
    pub repository_owner_id: String,
    /// Branch, tag or pull request: the claim `ref`.
    pub reference: String,
    /// The commit.
    pub sha: String,
    /// The called workflow, where there is one.
    pub job_workflow_ref: String,
    /// What started the run.
    pub event_name: String,
}

#[derive(Deserialize)]
struct Issued {
    value: String,
}

impl Oidc {
    /// The issuer named by the runner; the failure says which line is missing where.
    pub fn of(env: &Env, http: Http, log: Log) -> Result<Self> {
        let (Some(url), Some(bearer)) = (env.get("ACTIONS_ID_TOKEN_REQUEST_URL"), env.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")) else {
            return Err(missing(env));
        };
        let parsed =
            url::Url::parse(url).map_err(|error| Failure::config("ACTIONS_ID_TOKEN_REQUEST_URL is not a URL").why(error.to_string()))?;
        let loopback = matches!(parsed.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if parsed.scheme() != "https" && !(parsed.scheme() == "http" && loopback) {
            return Err(Failure::config("ACTIONS_ID_TOKEN_REQUEST_URL is not https").why("a token is never asked for in the clear"));
        }
        let bearer = Secret::new(bearer);
        log.mask(&bearer);
        Ok(Self { http, log, url: url.to_owned(), bearer })
    }

    /// A fresh token for `audience`, masked the moment it is born.
    pub async fn token(&self, audience: &str) -> Result<Secret> {
        let mut url = url::Url::parse(&self.url).map_err(|error| Failure::bug(error.to_string()))?;
        url.query_pairs_mut().append_pair("audience", audience);
        let request = http::Request::get(url.as_str())
            .header("authorization", format!("Bearer {}", self.bearer.expose()))
            .header("accept", "application/json")
            .body(Bytes::new())
            .map_err(|_| Failure::bug("the token request cannot be made"))?;
        let answer = self.http.send(request, Intent::Read, |_| false).await;
        let answer = answer.map_err(|cause| cause.into_failure("GitHub's token issuer could not be reached"))?;
        let issued: Option<Issued> = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200);
        let Some(issued) = issued.filter(|issued| !issued.value.is_empty()) else { return Err(refused(&answer)) };
        let token = Secret::new(issued.value);
        self.log.mask(&token);
        Ok(token)
    }
}

/// The issuer answered, but not with a token. The body of a good answer is not shown: it may hold half a one.
fn refused(answer: &Answer) -> Failure {
    let kind = if answer.status >= 500 || answer.status == 429 { Kind::Transient } else { Kind::Denied };
    let failure = Failure::new(kind, "GitHub did not issue an identity token");
    match answer.status {
        200 => failure.why("the answer holds no token"),
        status => {
            let mut body = String::from_utf8_lossy(&answer.body).trim().to_owned();
            crate::failure::cut(&mut body, 200);
            let failure = failure.why(format!("{status} {body}"));
            match kind {
                Kind::Transient => failure.fix("run the job again; https://www.githubstatus.com tells whether Actions has a problem"),
                _ => failure
                    .why("the job has the permission, but a token is only issued while it runs")
                    .fix("run the job again: a job that was cancelled or has ended gets no more tokens"),
            }
        }
    }
}

/// Why there is no token to be had, and which lines are missing where
/// (<https://docs.github.com/en/actions/reference/security/oidc>, 2026-11).
fn missing(env: &Env) -> Failure {
    let failure = Failure::new(Kind::Denied, "this job may not ask GitHub for an identity token");
    if !env.in_workflow() {
        return failure
            .why("ACTIONS_ID_TOKEN_REQUEST_URL is not set: this is not a step of a workflow")
            .fix("leave the role away to sign in by what this machine has (environment, profile, instance)");
    }
    let failure = failure.why("ACTIONS_ID_TOKEN_REQUEST_URL is not set: the job lacks `id-token: write`");
    if is_from_fork(env) {
        return failure
            .why("the pull request comes from a fork, and a fork never gets one, whatever its permissions say")
            .fix("deploy when the change is merged (on: push), not on the pull request");
    }
    let failure = match env.get("GITHUB_ACTOR") {
        Some("dependabot[bot]") => failure.why("runs that Dependabot starts on a pull request get a read-only token"),
        _ => failure,
    };
    failure
        .fix("add to the job that runs this step (permissions at the job replace those at the top of the workflow, they do not add to them):\npermissions:\n  id-token: write\n  contents: read")
        .fix("if that job is in a reusable workflow, add the same lines to the job that calls it: permissions only shrink on the way down")
}

/// Whether the event is a pull request whose branch lies in another repository.
fn is_from_fork(env: &Env) -> bool {
    let event = || {
        let file = std::fs::File::open(env.get("GITHUB_EVENT_PATH")?).ok()?;
        let event: serde_json::Value = serde_json::from_reader(file.take(LARGEST_EVENT)).ok()?;
        event.pointer("/pull_request/head/repo/full_name")?.as_str().map(str::to_owned)
    };
    env.get("GITHUB_EVENT_NAME") == Some("pull_request") && event().is_some_and(|head| Some(head.as_str()) != env.get("GITHUB_REPOSITORY"))
}

impl Claims {
    /// The claims of `token`; `None` when it is no JWT.
    pub fn decode(token: &Secret) -> Option<Self> {
        let payload = token.expose().split('.').nth(1)?;
        let claims: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let text = |name: &str| match claims.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(serde_json::Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        Some(Self {
            iss: text("iss"),
            sub: text("sub"),
            aud: text("aud"),
            environment: Some(text("environment")).filter(|name| !name.is_empty()),
            repository: text("repository"),
            repository_id: text("repository_id"),
            repository_owner: text("repository_owner"),
            repository_owner_id: text("repository_owner_id"),
            reference: text("ref"),
            sha: text("sha"),
            job_workflow_ref: text("job_workflow_ref"),
            event_name: text("event_name"),
        })
    }
}
