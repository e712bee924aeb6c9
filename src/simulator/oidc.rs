//! GitHub's token endpoint: `GET /_oidc/token?api-version=2.0&audience=…` with the runner's bearer, answered with a fresh JWT.
//! STS asks it whether a token is one of its own.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::simulator::wire::{Call, Reply};
use crate::simulator::world::{Platform, hex_of};

/// The issuer of GitHub's cloud.
pub(crate) const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// What tokens will say, and how it is to be asked.
pub(crate) struct Issuer {
    /// The bearer the runner hands to steps.
    pub bearer: String,
    /// Claims besides the times, the audience and the id.
    pub claims: Value,
    /// Statuses to answer the next requests with instead.
    pub failures: Vec<u16>,
}

impl Default for Issuer {
    fn default() -> Self {
        let claims = json!({
            "sub": "repo:acme/shop:environment:production",
            "environment": "production",
            "ref": "refs/heads/main",
            "ref_type": "branch",
            "sha": "3f2a9c1d7be04418f6a5c1b2d3e4f5a6b7c8d9e0",
            "repository": "acme/shop",
            "repository_id": "74001",
            "repository_owner": "acme",
            "repository_owner_id": "65001",
            "repository_visibility": "private",
            "actor": "octocat",
            "workflow": "deploy",
            "event_name": "push",
            "run_id": "1",
            "run_number": "1",
            "run_attempt": "1",
            "runner_environment": "github-hosted",
            "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
            "job_workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
            "iss": ISSUER,
        });
        Self { bearer: "runner-request-token-of-the-simulator".to_owned(), claims, failures: Vec::new() }
    }
}

/// Answers a token request.
pub(crate) fn answer(issuer: &mut Issuer, platform: &mut Platform, call: &Call) -> Reply {
    if !issuer.failures.is_empty() {
        return problem(issuer.failures.remove(0), "the token service is having a bad day");
    }
    if call.method != "GET" {
        return problem(405, "only GET");
    }
    if call.header("authorization") != format!("Bearer {}", issuer.bearer) {
        return problem(401, "the request token is not valid for this job");
    }
    let audience = call.query.get("audience").cloned().unwrap_or_else(|| "https://github.com/acme".to_owned());
    let jwt = mint(issuer, platform, &audience);
    Reply::new(200, "application/json; charset=utf-8", json!({ "count": jwt.len(), "value": jwt }).to_string())
}

fn problem(status: u16, message: &str) -> Reply {
    Reply::new(status, "application/json; charset=utf-8", json!({ "message": message, "$id": "1" }).to_string())
}

/// Tokens live five minutes, but on a fast clock never less than ten real seconds.
fn lifetime(clock: &Clock) -> u64 {
    let least = Duration::from_secs(10).mul_f64(clock.factor().max(1.0)).as_secs();
    least.max(300)
}

fn mint(issuer: &Issuer, platform: &mut Platform, audience: &str) -> String {
    let now = platform.now.0 / 1000;
    let mut claims = issuer.claims.clone();
    if let Some(fields) = claims.as_object_mut() {
        let times = json!({ "jti": platform.uuid(), "aud": audience, "iat": now, "nbf": now.saturating_sub(600), "exp": now + lifetime(&platform.clock) });
        fields.extend(times.as_object().cloned().unwrap_or_default());
    }
    let header =
        json!({ "typ": "JWT", "alg": "RS256", "x5t": "eBZ_cn3sXYAd0ch4THBKHIgOwOE", "kid": "38826b17-6a30-5f9b-b169-8beb8202f723" });
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = sign(&signed);
    format!("{signed}.{signature}")
}

/// As long as an RS256 signature, and made by nobody else.
fn sign(signed: &str) -> String {
    let bytes: String = (0..8).map(|block| hex_of(&format!("the simulator's signing key {block} {signed}"), 64)).collect();
    let bytes: Vec<u8> =
        bytes.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is wrong with a token.
pub(crate) enum BadToken {
    NotOurs,
    Expired { until: u64 },
}

/// The claims of a token this issuer has minted.
pub(crate) fn verify(token: &str, now: Timestamp) -> Result<Value, BadToken> {
    let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::NotOurs)?;
    if sign(signed) != signature {
        return Err(BadToken::NotOurs);
    }
    let payload = signed.split_once('.').and_then(|(_, payload)| URL_SAFE_NO_PAD.decode(payload).ok()).ok_or(BadToken::NotOurs)?;
    let claims: Value = serde_json::from_slice(&payload).map_err(|_| BadToken::NotOurs)?;
    let until = claims.get("exp").and_then(Value::as_u64).unwrap_or(0);
    if now.0 / 1000 > until { Err(BadToken::Expired { until }) } else { Ok(claims) }
}
