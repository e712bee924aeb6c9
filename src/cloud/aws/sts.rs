//! STS: a role by web identity, further roles by chaining, and who we are. Each exchange gets a token minted for it.
//! <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html> (2026-11)

use std::time::Duration;

use bytes::Bytes;

use crate::failure::{Failure, Kind, Result};
use crate::http::Intent;
use crate::http::aws::throttled;
use crate::runner::oidc::Claims;
use crate::values::Secret;

use super::keys::{Held, Keys};
use super::signed::{self, Refusal, STS, Unsigned, element};
use super::{Identity, Session, explain};

/// The audience AWS expects.
const AUDIENCE: &str = "sts.amazonaws.com";
/// The longest session a chained role may have.
const CHAINED: Duration = Duration::from_secs(3600);
/// Tries of an exchange whose error is worth one: each with a fresh token.
const TRIES: u32 = 4;
/// Tries when the role says no: a trust policy made seconds ago may not have arrived everywhere.
const TRIES_WHEN_DENIED: u32 = 2;

/// The role of the settings by web identity, then the chain.
pub(super) async fn assume(keys: &Keys) -> Result<Held> {
    let role = keys.auth.role.clone().unwrap_or_default();
    let mut held = by_web_identity(keys, &role).await?;
    let last = keys.auth.role_chain.len().saturating_sub(1);
    for (index, role) in keys.auth.role_chain.iter().enumerate() {
        let external = keys.auth.external_id.as_ref().filter(|_| index == last);
        held = chained(keys, &held, role, external).await?;
    }
    Ok(held)
}

async fn by_web_identity(keys: &Keys, role: &str) -> Result<Held> {
    let clock = keys.entrance.http.clock();
    let oidc = keys.entrance.oidc.as_ref().map_err(Clone::clone)?;
    let mut tries = 0;
    loop {
        tries += 1;
        let token = oidc.token(AUDIENCE).await?;
        let refusal = match exchange(keys, role, &token).await? {
            Ok(held) => return Ok(held),
            Err(refusal) => refusal,
        };
        let limit = match class(&refusal) {
            Class::Denied => TRIES_WHEN_DENIED,
            Class::Again => TRIES,
            Class::Final => 1,
        };
        if tries >= limit {
            return Err(explain::refused(&refusal, role, Claims::decode(&token).as_ref(), keys.auth.external_id.is_some()));
        }
        clock.sleep(Duration::from_millis(600) * tries).await;
    }
}

async fn exchange(keys: &Keys, role: &str, token: &Secret) -> Result<Result<Held, Refusal>> {
    let mut fields = vec![
        ("RoleArn".to_owned(), role.to_owned()),
        ("RoleSessionName".to_owned(), session_name(keys)),
        ("WebIdentityToken".to_owned(), token.expose().to_owned()),
    ];
    if let Some(duration) = keys.auth.role_duration {
        fields.push(("DurationSeconds".to_owned(), duration.as_secs().to_string()));
    }
    if keys.auth.role_chain.is_empty()
        && let Some(external) = &keys.auth.external_id
    {
        fields.push(("ExternalId".to_owned(), external.expose().to_owned()));
    }
    let url = format!("{}/", signed::endpoint(keys.entrance.endpoints.of("sts"), STS, &keys.region));
    let request = http::Request::post(url)
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Bytes::from(signed::form(STS, "AssumeRoleWithWebIdentity", &fields)))
        .map_err(|error| Failure::bug("the request to STS cannot be made").why(error.to_string()))?;
    let answer = keys.entrance.http.send(request, Intent::Read, throttled).await;
    let answer = answer.map_err(|cause| cause.into_failure("AWS (sts) could not be reached"))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    Ok(if answer.status == 200 { Ok(held(&text)?) } else { Err(signed::refusal_of_xml(answer.status, &text)) })
}

async fn chained(keys: &Keys, from: &Held, role: &str, external: Option<&Secret>) -> Result<Held> {
    let duration = keys.auth.role_duration.unwrap_or(CHAINED).min(CHAINED);
    let mut fields = vec![
        ("RoleArn".to_owned(), role.to_owned()),
        ("RoleSessionName".to_owned(), session_name(keys)),
        ("DurationSeconds".to_owned(), duration.as_secs().to_string()),
    ];
    if let Some(external) = external {
        fields.push(("ExternalId".to_owned(), external.expose().to_owned()));
    }
    let url = format!("{}/", signed::endpoint(keys.entrance.endpoints.of("sts"), STS, &keys.region));
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
    let body = signed::form(STS, "AssumeRole", &fields);
    let request =
        signed::signed_request(Unsigned { url: &url, name: "sts", region: &keys.region, headers: &headers, body }, from.credentials())?;
    let answer = keys.entrance.http.send(request, Intent::Read, throttled).await;
    let answer = answer.map_err(|cause| cause.into_failure("AWS (sts) could not be reached"))?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 200 {
        return held(&text);
    }
    let failure = signed::refusal_of_xml(answer.status, &text).into_failure(format!("the role {role} could not be assumed"));
    Err(failure
        .fix(format!(
            "let {role} trust the role before it in aws-role-chain: sts:AssumeRole in its trust policy and in the other's permissions"
        ))
        .fix("where its trust policy asks for an external id, set aws-external-id"))
}

/// Who we are: needs no permission.
pub(super) async fn caller_identity(session: &Session) -> Result<Identity> {
    let answer = signed::query(session, STS, "GetCallerIdentity", &[]).await?;
    let text = answer.map_err(|refusal| refusal.into_failure("AWS does not accept the credentials"))?;
    Ok(Identity { account: element(&text, "Account").unwrap_or_default(), arn: element(&text, "Arn").unwrap_or_default() })
}

fn session_name(keys: &Keys) -> String {
    let wanted = keys.auth.session_name.as_ref().unwrap_or(&keys.entrance.session_name);
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || "_+=,.@-".contains(*letter);
    wanted.chars().filter(allowed).take(64).collect()
}

fn held(xml: &str) -> Result<Held> {
    let missing = || Failure::new(Kind::Transient, "the answer of STS holds no credentials");
    let until = element(xml, "Expiration").and_then(|text| {
        let moment = time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339).ok()?;
        u64::try_from(moment.unix_timestamp()).ok().map(|seconds| seconds * 1000)
    });
    Ok(Held {
        id: element(xml, "AccessKeyId").ok_or_else(missing)?,
        secret: element(xml, "SecretAccessKey").ok_or_else(missing)?,
        token: Some(element(xml, "SessionToken").ok_or_else(missing)?),
        until: Some(until.ok_or_else(missing)?),
    })
}

/// What to do about a refused exchange.
enum Class {
    /// The trust policy says no.
    Denied,
    /// Worth another try with a fresh token.
    Again,
    /// Not.
    Final,
}

fn class(refusal: &Refusal) -> Class {
    match refusal.code.as_str() {
        "AccessDenied" => Class::Denied,
        "IDPCommunicationError" | "ExpiredTokenException" | "ExpiredToken" => Class::Again,
        "InvalidIdentityToken" if refusal.message.contains("retrieve verification key") => Class::Again,
        _ if refusal.kind() == Kind::Transient => Class::Again,
        _ => Class::Final,
    }
}
