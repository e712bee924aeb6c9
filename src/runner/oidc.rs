//! The workflow's identity: a token from GitHub's issuer, minted afresh for every exchange, and its claims for explanations only.
//! <https://docs.github.com/en/actions/reference/security/oidc> (2026-11)

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::Deserialize;

use crate::failure::{Failure, Kind, Result};
use crate::http::{Http, Intent};
use crate::values::Secret;

use super::env::Env;
use super::log::Log;

/// GitHub's issuer, as this job may ask it.
#[derive(Debug, Clone)]
pub struct Oidc {
    http: Http,
    log: Log,
    url: String,
    bearer: Secret,
}

/// What a token says about the run; decoded for explanations, never trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Claims {
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
    /// The owner's number.
    pub repository_owner_id: String,
    /// Branch, tag or pull request.
    #[serde(rename = "ref")]
    pub reference: String,
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
        if parsed.scheme() != "https" && !loopback {
            return Err(Failure::config("ACTIONS_ID_TOKEN_REQUEST_URL is not https").why("a token is never asked for in the clear"));
        }
        let bearer = Secret::new(bearer);
        log.mask(&bearer);
        Ok(Self { http, log, url: url.to_owned(), bearer })
    }

    /// A fresh token for `audience`, masked the moment it is born.
    pub async fn token(&self, audience: &str) -> Result<Secret> {
        let refused = |why: String| {
            Failure::new(Kind::Denied, "GitHub did not issue an identity token")
                .why(why)
                .fix("add to the job:\npermissions:\n  id-token: write\n  contents: read")
        };
        let mut url = url::Url::parse(&self.url).map_err(|error| Failure::bug(error.to_string()))?;
        url.query_pairs_mut().append_pair("audience", audience);
        let request = http::Request::get(url.as_str())
            .header("authorization", format!("Bearer {}", self.bearer.expose()))
            .header("accept", "application/json")
            .body(Bytes::new())
            .map_err(|_| Failure::bug("the token request cannot be made"))?;
        let answer = self.http.send(request, Intent::Read, |_| false).await;
        let answer = answer.map_err(|cause| cause.into_failure("GitHub's token issuer could not be reached"))?;
        if answer.status != 200 {
            let mut body = String::from_utf8_lossy(&answer.body).into_owned();
            crate::failure::cut(&mut body, 200);
            let failure = refused(format!("{} {body}", answer.status));
            return Err(if answer.status >= 500 || answer.status == 429 { Failure { kind: Kind::Transient, ..failure } } else { failure });
        }
        let issued: Issued = serde_json::from_slice(&answer.body).map_err(|_| refused("the answer holds no token".to_owned()))?;
        let token = Secret::new(issued.value);
        self.log.mask(&token);
        Ok(token)
    }
}

fn missing(env: &Env) -> Failure {
    let failure = Failure::new(Kind::Denied, "this job may not ask GitHub for an identity token")
        .why("ACTIONS_ID_TOKEN_REQUEST_URL is not set: the job lacks `id-token: write`");
    let failure = match env.get("GITHUB_EVENT_NAME") {
        Some("pull_request" | "pull_request_target") => {
            failure.why("a pull request from a fork never gets one").fix("deploy on push to the branch, not on the pull request of a fork")
        }
        _ => failure,
    };
    failure
        .fix("add to the job that runs this step:\npermissions:\n  id-token: write\n  contents: read")
        .fix("in a reusable workflow the calling job needs these lines as well: permissions only shrink on the way down")
}

impl Claims {
    /// The claims of `token`; `None` when it is no JWT.
    pub fn decode(token: &Secret) -> Option<Self> {
        let payload = token.expose().split('.').nth(1)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}
