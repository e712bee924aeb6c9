//! A refused sign-in in the user's terms: what the token says, which trust policy would admit exactly this run, what is likely wrong.

use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::runner::oidc::Claims;

use super::signed::Refusal;

/// The failure of an exchange that will not succeed.
pub(super) fn refused(refusal: &Refusal, role: &str, claims: Option<&Claims>, external_id: bool) -> Failure {
    let kind = match refusal.code.as_str() {
        "AccessDenied" | "InvalidIdentityToken" | "IDPRejectedClaim" | "IDPRejectedClaimException" => Kind::Denied,
        _ => refusal.kind(),
    };
    let failure =
        Failure::new(kind, format!("AWS did not let this run assume {role}")).why(format!("{}: {}", refusal.code, refusal.message));
    let failure = claims.map_or(failure.clone(), |claims| told(failure, claims));
    match refusal.code.as_str() {
        "AccessDenied" => denied(failure, role, claims, external_id),
        "InvalidIdentityToken" | "InvalidIdentityTokenException" => failure
            .fix("make the identity provider token.actions.githubusercontent.com in the account, with the audience sts.amazonaws.com (or the issuer of your GitHub Enterprise)"),
        "RegionDisabledException" => failure.fix("activate STS for this region in the account's settings, or set aws-region to one that is active"),
        "ValidationError" => failure.fix("check aws-role (a whole ARN) and aws-role-duration (900 s to the role's own maximum)"),
        "IDPRejectedClaim" | "IDPRejectedClaimException" => failure.fix("the provider refused a claim: check its audience and the role's conditions"),
        _ => failure,
    }
}

fn told(failure: Failure, claims: &Claims) -> Failure {
    failure.why(format!("the token's subject is {}", claims.sub)).why(format!("its audience is {}", claims.aud)).why(
        claims.environment.as_ref().map_or_else(|| "the job has no environment".to_owned(), |name| format!("its environment is {name}")),
    )
}

fn denied(failure: Failure, role: &str, claims: Option<&Claims>, external_id: bool) -> Failure {
    let Some(claims) = claims else { return failure.fix("check that the role's trust policy admits this repository") };
    let failure =
        failure.fix(format!("a statement in the trust policy of {role} that admits exactly this run:\n{}", statement(role, &claims.sub)));
    let failure = likely(claims).into_iter().fold(failure, Failure::fix);
    if external_id { failure.fix("the external id is sent with the role: the trust policy must ask for the same one") } else { failure }
}

/// The trust-policy statement that would admit exactly this run.
fn statement(role: &str, sub: &str) -> String {
    let mut parts = role.split(':');
    let partition = parts.nth(1).unwrap_or("aws");
    let account = parts.nth(2).unwrap_or("ACCOUNT");
    let statement = json!({
        "Effect": "Allow",
        "Principal": { "Federated": format!("arn:{partition}:iam::{account}:oidc-provider/token.actions.githubusercontent.com") },
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": { "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": sub,
        }},
    });
    serde_json::to_string_pretty(&statement).unwrap_or_default()
}

/// What is most often wrong, when it can be the case here.
fn likely(claims: &Claims) -> Vec<String> {
    let mut likely = Vec::new();
    let subject_repository = claims.sub.strip_prefix("repo:").and_then(|rest| rest.split(':').next()).unwrap_or_default();
    if subject_repository.contains('@') {
        likely.push(format!(
            "this repository's subjects carry ids (repositories made, renamed or transferred since 2026-07-15 do): a policy written for repo:{} does not match {}",
            claims.repository, claims.sub
        ));
    }
    if claims.sub.chars().any(|letter| letter.is_ascii_uppercase()) {
        likely.push("letter case counts in trust policies: copy the subject exactly, capitals included".to_owned());
    }
    if claims.environment.is_none() {
        likely.push(
            "if the policy names an environment, give the job `environment: NAME`: without it the subject names the branch".to_owned(),
        );
    } else if !claims.sub.contains(":environment:") {
        likely.push(
            "the job has an environment, but the subject's template leaves it out: check the repository's OIDC subject customisation"
                .to_owned(),
        );
    }
    likely
}
