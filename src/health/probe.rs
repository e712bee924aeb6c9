//! Asks a service once and compares what it answers with what was expected.

use serde_json::Value;

use crate::failure::{Failure, Kind, Result, cut};
use crate::http::{Answer, Http, Visit, VisitError, Visited};
use crate::values::{Address, Digest};

use super::{HealthAt, HealthSettings, Sample, Smoke, StatusSet, VersionAt, VersionIs};

/// What was shipped, for a version rule to compare with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shipped {
    /// The commit.
    pub commit: Option<String>,
    /// The image.
    pub digest: Option<Digest>,
}

/// One look at the service.
pub async fn probe(http: &Http, address: &Address, settings: &HealthSettings, shipped: &Shipped) -> Sample {
    let at = http.clock().now();
    let (address, path) = place(address, settings);
    let visit = Visit { address, path, method: http::Method::GET, headers: Vec::new(), body: None, timeout: settings.timeout };
    match http.visit(visit).await {
        Visited::Failed(error) => Sample { at, latency: http.clock().now().since(at), version: None, wrong: Some(in_words(error)) },
        Visited::Answered { answer, latency } => {
            let version = settings.version.as_ref().and_then(|rule| told(&answer, &rule.at));
            let wrong = mismatch(&answer, settings).or_else(|| wrong_version(version.as_deref(), settings, shipped));
            Sample { at, latency, version, wrong }
        }
    }
}

/// A whole URL is split into the base and the path.
fn place(address: &Address, settings: &HealthSettings) -> (Address, String) {
    match &settings.at {
        HealthAt::Path(path) => (address.clone(), path.clone()),
        HealthAt::Waived(_) => (address.clone(), "/".to_owned()),
        HealthAt::Url(whole) => match url::Url::parse(whole) {
            Ok(url) => (
                Address { url: url[..url::Position::BeforePath].to_owned(), ..address.clone() },
                url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
            ),
            Err(_) => (address.clone(), String::new()),
        },
    }
}

/// One smoke test: the line that proves it, or expected and got.
pub async fn smoke(http: &Http, address: &Address, test: &Smoke) -> Result<String> {
    let failed = |why: String| {
        Failure::new(Kind::Unhealthy, format!("the smoke test {:?} failed", test.name))
            .why(why)
            .fix("the service is healthy, but does not do what the test asks")
    };
    let method = http::Method::from_bytes(test.method.as_bytes()).map_err(|_| failed(format!("{} is no method", test.method)))?;
    let base = url::Url::parse(&address.url).map(|url| url[..url::Position::BeforePath].to_owned()).unwrap_or_else(|_| address.url.clone());
    let visit = Visit {
        address: Address { url: base, ..address.clone() },
        path: test.path.clone(),
        method,
        headers: test.headers.clone(),
        body: test.send.clone(),
        timeout: test.max_latency.unwrap_or(std::time::Duration::from_secs(30)),
    };
    match http.visit(visit).await {
        Visited::Failed(error) => Err(failed(in_words(error))),
        Visited::Answered { answer, latency } => {
            let wrong = status(&answer, &test.status)
                .or_else(|| test.body.as_ref().and_then(|expected| text(&answer, expected)))
                .or_else(|| test.json.iter().find_map(|(pointer, expected)| json(&answer, pointer, expected)));
            wrong.map_or_else(
                || Ok(format!("smoke test {}: {} in {} ms", test.name, answer.status, latency.as_millis())),
                |why| Err(failed(why)),
            )
        }
    }
}

fn mismatch(answer: &Answer, settings: &HealthSettings) -> Option<String> {
    status(answer, &settings.status)
        .or_else(|| settings.body.as_ref().and_then(|expected| text(answer, expected)))
        .or_else(|| settings.json.iter().find_map(|(pointer, expected)| json(answer, pointer, expected)))
        .or_else(|| settings.header.iter().find_map(|(name, expected)| header(answer, name, expected)))
}

fn status(answer: &Answer, expected: &StatusSet) -> Option<String> {
    let held = expected.0.iter().any(|(from, to)| (*from..=*to).contains(&answer.status));
    (!held).then(|| format!("expected status {expected}, got {}: {}", answer.status, shown(&answer.body)))
}

fn text(answer: &Answer, expected: &str) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.body);
    let held = match expected.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(pattern) => regex_lite::Regex::new(pattern).is_ok_and(|regex| regex.is_match(&body)),
        None => body.contains(expected),
    };
    (!held).then(|| format!("expected the body to hold {expected}, got: {}", shown(&answer.body)))
}

fn json(answer: &Answer, pointer: &str, expected: &Value) -> Option<String> {
    let got: Option<Value> = serde_json::from_slice::<Value>(&answer.body).ok().and_then(|body| body.pointer(pointer).cloned());
    match got {
        Some(got) if got == *expected => None,
        Some(got) => Some(format!("expected {pointer} to be {expected}, got {}", short(&got.to_string()))),
        None => Some(format!("expected {pointer} to be {expected}, the body has none: {}", shown(&answer.body))),
    }
}

fn header(answer: &Answer, name: &str, expected: &str) -> Option<String> {
    let mut values = answer.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let first = values.next();
    let held = first.as_deref() == Some(expected) || values.any(|value| value == expected);
    (!held).then(|| format!("expected the header {name} to be {expected}, got {}", short(first.as_deref().unwrap_or("none"))))
}

fn told(answer: &Answer, at: &VersionAt) -> Option<String> {
    match at {
        VersionAt::Header(name) => answer.headers.get(name).map(|value| short(&String::from_utf8_lossy(value.as_bytes()))),
        VersionAt::Pointer(pointer) => {
            let body: Value = serde_json::from_slice(&answer.body).ok()?;
            Some(match body.pointer(pointer)? {
                Value::String(text) => short(text),
                other => short(&other.to_string()),
            })
        }
    }
}

/// Expected and got, when the answer is not the shipped build's. Nothing shipped is known: any version will do.
fn wrong_version(got: Option<&str>, settings: &HealthSettings, shipped: &Shipped) -> Option<String> {
    let rule = settings.version.as_ref()?;
    let expected = match &rule.expected {
        VersionIs::Text(_) | VersionIs::Commit(_) if *shipped == Shipped::default() => return None,
        VersionIs::Text(text) | VersionIs::Commit(text) => text.clone(),
        VersionIs::Digest => shipped.digest.as_ref()?.to_string(),
    };
    let same = got.is_some_and(|got| match &rule.expected {
        VersionIs::Commit(commit) => got == commit || (got.len() >= 7 && commit.starts_with(got)),
        VersionIs::Digest => got == expected || Some(got) == expected.strip_prefix("sha256:"),
        VersionIs::Text(text) => got == text,
    });
    (!same).then(|| format!("expected version {expected}, got {}: another build answers", got.unwrap_or("none")))
}

fn in_words(error: VisitError) -> String {
    match error {
        VisitError::Dns(why) => why,
        VisitError::Refused(why) => format!("not asked: {why}"),
        VisitError::Connect(why) => format!("no connection: {why}"),
        VisitError::Tls(why) => format!("the certificate or handshake failed: {why}"),
        VisitError::Timeout(why) => why,
        VisitError::Broken(why) => format!("the answer broke off or was not HTTP: {why}"),
    }
}

fn shown(body: &[u8]) -> String {
    short(&String::from_utf8_lossy(&body[..body.len().min(1024)]))
}

fn short(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, 200);
    text
}
