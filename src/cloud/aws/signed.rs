//! Signed calls that need no SDK: JSON 1.1 (ECR, Logs) and query (STS, ELBv2), by aws-sigv4 over our own client.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use serde_json::Value;

use crate::failure::{Failure, Kind, Result, cut};
use crate::http::aws::throttled;
use crate::http::{Answer, Intent};

use super::{Session, suffix};

/// An error as AWS tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `AccessDeniedException`, `ThrottlingException`, …
    pub code: String,
    /// Its message, foreign.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

/// Which service is called and how it is addressed.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Signing name, and key of endpoint overrides: `logs`.
    pub name: &'static str,
    /// The first part of its host: `logs`, `api.ecr`.
    pub host: &'static str,
    /// The prefix of `X-Amz-Target`, or the version of a query API.
    pub api: &'static str,
}

/// CloudWatch Logs.
pub const LOGS: Service = Service { name: "logs", host: "logs", api: "Logs_20140328" };
/// ECR.
pub const ECR: Service = Service { name: "ecr", host: "api.ecr", api: "AmazonEC2ContainerRegistry_V20150921" };
/// Elastic Load Balancing v2.
pub const ELB: Service = Service { name: "elasticloadbalancing", host: "elasticloadbalancing", api: "2015-12-01" };
/// Certificate Manager.
pub const ACM: Service = Service { name: "acm", host: "acm", api: "CertificateManager" };
/// STS.
pub const STS: Service = Service { name: "sts", host: "sts", api: "2011-06-15" };

/// Describe, list, get and look-ups read; everything else changes.
pub(super) fn intent_of(operation: &str) -> Intent {
    let reads = ["Describe", "List", "Get", "Batch", "Filter"];
    if reads.iter().any(|prefix| operation.starts_with(prefix)) { Intent::Read } else { Intent::Change }
}

/// Calls `operation` of a JSON 1.1 service.
pub async fn json(session: &Session, service: Service, operation: &str, body: &Value) -> Result<Result<Value, Refusal>> {
    let headers = [("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", format!("{}.{operation}", service.api))];
    let answer = call(session, service, intent_of(operation), &headers, body.to_string()).await?;
    if answer.status == 200 {
        let read = serde_json::from_slice(&answer.body);
        return read.map(Ok).map_err(|error| unreadable(operation, &error.to_string()));
    }
    Ok(Err(refusal_of_json(&answer)))
}

/// Calls `action` of a query service; the answer is XML.
pub async fn query(session: &Session, service: Service, action: &str, fields: &[(String, String)]) -> Result<Result<String, Refusal>> {
    let form = form(service, action, fields);
    let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
    let answer = call(session, service, intent_of(action), &headers, form).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    match answer.status {
        200 if roxmltree::Document::parse(&text).is_err() => {
            Err(Failure::new(Kind::Transient, format!("the answer to {action} cannot be read")).why("it is no XML"))
        }
        200 => Ok(Ok(text)),
        status => Ok(Err(refusal_of_xml(status, &text))),
    }
}

/// The body of a query call.
pub(super) fn form(service: Service, action: &str, fields: &[(String, String)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", action).append_pair("Version", service.api);
    fields.iter().for_each(|(name, value)| {
        form.append_pair(name, value);
    });
    form.finish()
}

/// Where `service` is called from `region`.
pub(super) fn endpoint(session_endpoint: Option<&str>, service: Service, region: &str) -> String {
    session_endpoint
        .map_or_else(|| format!("https://{}.{region}.{}", service.host, suffix(region)), |url| url.trim_end_matches('/').to_owned())
}

async fn call(session: &Session, service: Service, intent: Intent, headers: &[(&str, String)], body: String) -> Result<Answer> {
    let url = format!("{}/", endpoint(session.endpoints.of(service.name), service, &session.region));
    let credentials = session.keys.current().await?;
    let request = signed_request(Unsigned { url: &url, name: service.name, region: &session.region, headers, body }, credentials)?;
    let answer = session.http.send(request, intent, throttled).await;
    answer.map_err(|cause| cause.into_failure(format!("AWS ({}) could not be reached", service.name)))
}

/// A POST before it is signed.
pub(super) struct Unsigned<'a> {
    pub(super) url: &'a str,
    pub(super) name: &'a str,
    pub(super) region: &'a str,
    pub(super) headers: &'a [(&'a str, String)],
    pub(super) body: String,
}

/// The POST with its signature.
pub(super) fn signed_request(unsigned: Unsigned<'_>, credentials: Credentials) -> Result<http::Request<Bytes>> {
    let bug = |error: String| Failure::bug("a request to AWS could not be signed").why(error);
    let Unsigned { url, name, region, headers, body } = unsigned;
    let identity = credentials.into();
    let params = v4::SigningParams::builder().identity(&identity).region(region).name(name);
    let params = params.time(SystemTime::now()).settings(SigningSettings::default()).build().map_err(|error| bug(error.to_string()))?;
    let mut request = http::Request::post(url);
    for (header, value) in headers {
        request = request.header(*header, value);
    }
    let mut request = request.body(Bytes::from(body)).map_err(|error| bug(error.to_string()))?;
    let signable_headers = headers.iter().map(|(header, value)| (*header, value.as_str()));
    let signable = SignableRequest::new("POST", url, signable_headers, SignableBody::Bytes(request.body()));
    let signable = signable.map_err(|error| bug(error.to_string()))?;
    let (instructions, _) = sign(signable, &params.into()).map_err(|error| bug(error.to_string()))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// An error in the JSON form.
pub fn refusal_of_json(answer: &Answer) -> Refusal {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    let code = text(["__type", "code"]).map(|code| code.rsplit('#').next().unwrap_or_default().to_owned());
    let mut message = text(["message", "Message"]).unwrap_or_default();
    cut(&mut message, 400);
    Refusal { code: code.unwrap_or_else(|| format!("HTTP {}", answer.status)), message, status: answer.status }
}

/// An error in the XML form.
pub(super) fn refusal_of_xml(status: u16, text: &str) -> Refusal {
    let (code, mut message) = (element(text, "Code"), element(text, "Message").unwrap_or_default());
    cut(&mut message, 400);
    Refusal { code: code.unwrap_or_else(|| format!("HTTP {status}")), message, status }
}

/// The text of the first element of this name.
pub fn element(xml: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let found = document.descendants().find(|node| node.has_tag_name(name) || node.tag_name().name() == name)?;
    found.text().map(str::to_owned)
}

fn unreadable(operation: &str, why: &str) -> Failure {
    Failure::new(Kind::Transient, format!("the answer to {operation} cannot be read")).why(why)
}

impl Refusal {
    /// Which kind of failure it is.
    pub fn kind(&self) -> Kind {
        let code = self.code.as_str();
        match () {
            () if code.contains("AccessDenied") || code.contains("Unauthorized") || code == "AuthFailure" => Kind::Denied,
            () if code.contains("ExpiredToken") || code.contains("UnrecognizedClient") || code.contains("InvalidClientTokenId") => {
                Kind::Denied
            }
            () if self.status == 429 || self.status >= 500 || code.contains("Throttl") || code.contains("TooManyRequests") => {
                Kind::Transient
            }
            () if code.contains("NotFound") => Kind::Missing,
            () if code.contains("Conflict") => Kind::Conflict,
            () => Kind::Config,
        }
    }

    /// As a failure to do `what`.
    pub fn into_failure(self, what: impl Into<String>) -> Failure {
        let said = if self.message.is_empty() { "AWS gave no reason" } else { self.message.as_str() };
        let failure = Failure::new(self.kind(), what).why(format!("{}: {said}", self.code));
        // A server's own error may have come after the effect.
        Failure { unchanged: self.status < 500, ..failure }
    }

    /// Whether a permission is missing.
    pub fn is_denied(&self) -> bool {
        self.kind() == Kind::Denied
    }
}
