//! STS: AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity; and who may call the other APIs (SigV4 with keys it has given out).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::simulator::fault::Fault;
use crate::simulator::oidc::{self, BadToken};
use crate::simulator::wire::{Call, Outcome, Refusal, element, like};
use crate::simulator::world::{ACCOUNT, State};

/// Roles, keys and sessions.
pub(crate) struct Identities {
    pub roles: Vec<Role>,
    pub keys: BTreeMap<String, Key>,
    /// Errors to answer the next sign-ins with.
    pub failures: Vec<(String, String)>,
    /// Exactly how long sessions last, instead of what is asked.
    pub session_length: Option<Duration>,
    /// Who the present call comes from.
    pub principal: String,
}

/// A role and whom it trusts.
pub(crate) struct Role {
    pub arn: String,
    /// Patterns of `sub`, with `*`.
    pub subjects: Vec<String>,
    pub external_id: Option<String>,
}

/// An access key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub secret: String,
    pub token: String,
    pub arn: String,
    pub until: Option<Timestamp>,
}

impl Default for Identities {
    fn default() -> Self {
        let static_key = Key {
            secret: "secret-key-of-the-simulator".to_owned(),
            token: String::new(),
            arn: format!("arn:aws:iam::{ACCOUNT}:user/developer"),
            until: None,
        };
        Self {
            roles: Vec::new(),
            keys: BTreeMap::from([("AKIATOUCHDOWNSTATIC0".to_owned(), static_key)]),
            failures: Vec::new(),
            session_length: None,
            principal: String::new(),
        }
    }
}

/// Carries out one action; the answer is the inside of its result element.
pub(crate) fn answer(state: &mut State, action: &str, form: &BTreeMap<String, String>) -> Outcome<String> {
    match action {
        "AssumeRoleWithWebIdentity" => by_web_identity(state, form),
        "AssumeRole" => by_role(state, form),
        "GetCallerIdentity" => Ok(who(state)),
        other => Err(Refusal::new("InvalidAction", format!("Could not find operation {other} for version 2011-06-15"))),
    }
}

fn field<'a>(form: &'a BTreeMap<String, String>, name: &str) -> &'a str {
    form.get(name).map(String::as_str).unwrap_or_default()
}

fn by_web_identity(state: &mut State, form: &BTreeMap<String, String>) -> Outcome<String> {
    if !state.identities.failures.is_empty() {
        let (code, message) = state.identities.failures.remove(0);
        let forbidden = matches!(code.as_str(), "AccessDenied" | "IDPRejectedClaim" | "RegionDisabledException");
        let status = if forbidden { 403 } else { 400 };
        return Err(Refusal::new(&code, message).status(status));
    }
    check_parameters(form)?;
    let claims = claims_of(form, state.platform.now)?;
    let claim = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (subject, role) = (claim("sub"), field(form, "RoleArn"));
    if claim("aud") != "sts.amazonaws.com" {
        return Err(Refusal::new("InvalidIdentityToken", "Incorrect token audience"));
    }
    let known = state.identities.roles.iter().find(|one| one.arn == role);
    let trusts = known.is_some_and(|role| role.subjects.iter().any(|pattern| like(pattern, &subject)));
    let denied = state.services.iter().any(|service| service.fault == Fault::DeniedSignIn);
    if !trusts || denied {
        return Err(Refusal::new("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity").status(403));
    }
    let (credentials, user) = session(state, form)?;
    let provider = format!("{}:oidc-provider/token.actions.githubusercontent.com", account_prefix(role));
    let told =
        element("SubjectFromWebIdentityToken", &subject) + &element("Audience", "sts.amazonaws.com") + &element("Provider", &provider);
    Ok(credentials + &user + &told)
}

fn check_parameters(form: &BTreeMap<String, String>) -> Outcome<()> {
    let invalid = |message: String| Err(Refusal::new("ValidationError", message));
    let (name, role) = (field(form, "RoleSessionName"), field(form, "RoleArn"));
    let allowed = name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
    if !(2..=64).contains(&name.len()) || !allowed {
        return invalid(format!("1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy constraint"));
    }
    if !role.starts_with("arn:") || !role.contains(":role/") {
        return invalid(format!("{role} is invalid"));
    }
    let seconds = field(form, "DurationSeconds");
    let duration = if seconds.is_empty() { Ok(3600) } else { seconds.parse::<u64>() };
    if duration.is_ok_and(|seconds| (900..=43_200).contains(&seconds)) {
        return Ok(());
    }
    invalid(format!("1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint"))
}

fn claims_of(form: &BTreeMap<String, String>, now: Timestamp) -> Outcome<Value> {
    oidc::verify(field(form, "WebIdentityToken"), now).map_err(|bad| match bad {
        BadToken::NotOurs => Refusal::new("InvalidIdentityToken", "No OpenIDConnect provider found in your account for the token's issuer"),
        BadToken::Expired { until } => {
            let message = format!("Token expired: current date/time {} must be before the expiration date/time {until}", now.0 / 1000);
            Refusal::new("ExpiredTokenException", message)
        }
    })
}

fn by_role(state: &mut State, form: &BTreeMap<String, String>) -> Outcome<String> {
    check_parameters(form)?;
    let role = field(form, "RoleArn");
    let principal = state.identities.principal.clone();
    let known = state.identities.roles.iter().find(|one| one.arn == role);
    let external = known.is_some_and(|one| one.external_id.as_deref().is_none_or(|id| id == field(form, "ExternalId")));
    if !external {
        let message = format!("User: {principal} is not authorized to perform: sts:AssumeRole on resource: {role}");
        return Err(Refusal::new("AccessDenied", message).status(403));
    }
    if principal.contains(":assumed-role/") && field(form, "DurationSeconds").parse::<u64>().is_ok_and(|seconds| seconds > 3600) {
        let message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(Refusal::new("ValidationError", message));
    }
    let (credentials, user) = session(state, form)?;
    Ok(credentials + &user)
}

/// `arn:aws:iam::123456789012` of a role's ARN.
fn account_prefix(role: &str) -> &str {
    role.split_once(":role/").map_or(role, |(prefix, _)| prefix)
}

/// New credentials for the role the form names, as the XML of `Credentials` and of `AssumedRoleUser`.
fn session(state: &mut State, form: &BTreeMap<String, String>) -> Outcome<(String, String)> {
    let (role, name) = (field(form, "RoleArn"), field(form, "RoleSessionName"));
    let asked = Duration::from_secs(field(form, "DurationSeconds").parse().unwrap_or(3600));
    // On a fast clock a session lasts at least a real minute: a stalled machine is not an expired session.
    let least = Duration::from_secs(60).mul_f64(state.platform.clock.factor().max(1.0));
    let lasts = state.identities.session_length.unwrap_or_else(|| asked.max(least));
    let until = state.platform.now.plus(lasts);
    let short = role.rsplit('/').next().unwrap_or_default();
    let arn = format!("{}:assumed-role/{short}/{name}", account_prefix(role).replacen(":iam:", ":sts:", 1));
    let id = format!("ASIA{}", state.platform.hex(16).to_ascii_uppercase());
    let (secret, token) = (state.platform.hex(40), format!("IQoJ{}", state.platform.hex(64)));
    let key = Key { secret: secret.clone(), token: token.clone(), arn: arn.clone(), until: Some(until) };
    let mut credentials = element("AccessKeyId", &id) + &element("SecretAccessKey", &secret);
    credentials += &(element("SessionToken", &token) + &element("Expiration", &until.rfc3339()));
    let unique = format!("AROA{}:{name}", state.platform.hex(16).to_ascii_uppercase());
    let user = element("AssumedRoleId", &unique) + &element("Arn", &arn);
    state.identities.keys.insert(id, key);
    Ok((format!("<Credentials>{credentials}</Credentials>"), format!("<AssumedRoleUser>{user}</AssumedRoleUser>")))
}

fn who(state: &State) -> String {
    let arn = &state.identities.principal;
    let account = arn.split(':').nth(4).unwrap_or(ACCOUNT);
    element("Arn", arn) + &element("UserId", "AROAEXAMPLE:touchdown") + &element("Account", account)
}

/// Who a signed call comes from, and the region it was signed for.
pub(crate) struct Caller {
    pub arn: String,
    pub region: String,
}

/// Looks at the signature's credential: a key that was given out, with its session token, and not expired.
pub(crate) fn caller(state: &State, call: &Call) -> Outcome<Caller> {
    let header = call.header("authorization");
    let Some(rest) = header.strip_prefix("AWS4-HMAC-SHA256 ") else {
        return Err(Refusal::new("MissingAuthenticationTokenException", "Missing Authentication Token").status(400));
    };
    let part = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)).unwrap_or_default();
    let (credential, signature) = (part("Credential="), part("Signature="));
    let mut scope = credential.split('/');
    let (id, _date, region) = (scope.next().unwrap_or_default(), scope.next(), scope.next().unwrap_or_default());
    if signature.len() != 64 || part("SignedHeaders=").is_empty() || region.is_empty() {
        return Err(Refusal::new(
            "IncompleteSignatureException",
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.",
        ));
    }
    let invalid = || Refusal::new("UnrecognizedClientException", "The security token included in the request is invalid.");
    let key = state.identities.keys.get(id).ok_or_else(invalid)?;
    if call.header("x-amz-security-token") != key.token {
        return Err(invalid());
    }
    if key.until.is_some_and(|until| until <= state.platform.now) {
        return Err(Refusal::new("ExpiredTokenException", "The security token included in the request is expired"));
    }
    crate::simulator::signature::check(call, key, credential, signature)?;
    Ok(Caller { arn: key.arn.clone(), region: region.to_owned() })
}
