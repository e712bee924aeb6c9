//! Asks a service once and compares what it answers with what was expected.
//! It knows neither how often it is asked nor what follows from an answer.

use std::time::Duration;

use crate::failure::{Failure, Kind, Result};
use crate::http::{Answer, Http, Visit, VisitError, Visited};
use crate::values::{Address, Digest};

use super::expect::{self, short};
use super::{HealthAt, HealthSettings, Sample, Sign, Smoke, VersionIs, VersionRule, VersionTold, Wrong};

/// Bounds a smoke test.
const SMOKE: Duration = Duration::from_secs(30);

/// What a version rule compares the answering build with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shipped {
    /// Nothing: any build may answer. Before a deploy, and on the way back.
    AnyBuild,
    /// The build the settings tell of, with its image where that is known.
    Build {
        /// The image.
        digest: Option<Digest>,
        /// The commit it was built from, as it says itself: one that was built in another run says another than this run's.
        revision: Option<String>,
    },
}

/// One look at the service.
pub async fn probe(http: &Http, address: &Address, settings: &HealthSettings, shipped: &Shipped) -> Sample {
    let at = http.clock().now();
    let (address, path) = place(address, settings);
    let visit = Visit {
        address,
        path,
        method: http::Method::GET,
        headers: Vec::new(),
        body: None,
        timeout: settings.timeout,
        wanted: settings.status.0.clone(),
    };
    match http.visit(visit).await {
        Visited::Failed(error) => {
            Sample { at, latency: http.clock().now().since(at), version: VersionTold::Nothing, wrong: Some(unanswered(error)) }
        }
        Visited::Answered { answer, latency } => {
            let told = settings.version.as_ref().and_then(|rule| expect::told(&answer, &rule.at));
            let expected = settings.version.as_ref().and_then(|rule| expected(rule, shipped));
            let other = || wrong_version(told.as_deref(), settings.version.as_ref()?, (expected.as_ref()?, revision(shipped)));
            let asked = settings.clone();
            let wrong = apart(move || mismatch(&answer, &asked)).await;
            let wrong = wrong.unwrap_or_else(|why| Some(Wrong { sign: Sign::Content, told: why })).or_else(other);
            let version = match (told, expected) {
                (None, _) => VersionTold::Nothing,
                (Some(version), None) => VersionTold::Version(version),
                (Some(version), Some(_)) => VersionTold::Compared(version),
            };
            Sample { at, latency, version, wrong }
        }
    }
}

/// A pattern may take a while over a large body: meanwhile signals are heard and the other services are looked at.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::result::Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("the answer could not be judged: {error}"))
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
            .why(format!("{} {}: {why}", test.method, test.path.split('?').next().unwrap_or_default()))
            .fix("the service is healthy, but does not do what the test asks")
    };
    let method = http::Method::from_bytes(test.method.as_bytes()).map_err(|_| failed(format!("{:?} is no method", test.method)))?;
    let visit = Visit {
        address: address.clone(),
        path: test.path.clone(),
        method,
        headers: test.headers.clone(),
        body: test.send.clone(),
        timeout: SMOKE.max(test.max_latency.unwrap_or_default()),
        wanted: test.status.0.clone(),
    };
    let (answer, latency) = match http.visit(visit).await {
        Visited::Failed(error) => return Err(failed(unanswered(error).told)),
        Visited::Answered { answer, latency } => (answer, latency),
    };
    let slow = || test.max_latency.filter(|limit| latency > *limit).map(|limit| slower(latency, limit));
    let (status, expected) = (answer.status, test.clone());
    let wrong = apart(move || unexpected(&answer, &expected)).await.unwrap_or_else(Some);
    match wrong.or_else(slow) {
        None => Ok(format!("smoke test {}: {status} in {} ms", test.name, latency.as_millis())),
        Some(why) => Err(failed(why)),
    }
}

fn unexpected(answer: &Answer, test: &Smoke) -> Option<String> {
    expect::status(answer, &test.status)
        .or_else(|| test.body.as_ref().and_then(|expected| expect::text(answer, expected)))
        .or_else(|| test.json.iter().find_map(|(pointer, expected)| expect::json(answer, pointer, expected)))
}

fn slower(took: Duration, limit: Duration) -> String {
    format!("it took {} ms, at most {} ms are expected", took.as_millis(), limit.as_millis())
}

fn mismatch(answer: &Answer, settings: &HealthSettings) -> Option<Wrong> {
    let content = || {
        (settings.body.as_ref().and_then(|expected| expect::text(answer, expected)))
            .or_else(|| settings.json.iter().find_map(|(pointer, expected)| expect::json(answer, pointer, expected)))
            .or_else(|| settings.header.iter().find_map(|(name, expected)| expect::header(answer, name, expected)))
    };
    expect::status(answer, &settings.status)
        .map(|told| Wrong { sign: Sign::Status(answer.status), told })
        .or_else(|| content().map(|told| Wrong { sign: Sign::Content, told }))
}

/// What must be told; `None`: nothing is known to compare with.
fn expected(rule: &VersionRule, shipped: &Shipped) -> Option<String> {
    let Shipped::Build { digest, .. } = shipped else { return None };
    match &rule.expected {
        VersionIs::Text(text) | VersionIs::Commit(text) => Some(text.clone()),
        VersionIs::Digest => digest.as_ref().map(ToString::to_string),
    }
}

/// The commit that the image itself names, where it is one.
fn revision(shipped: &Shipped) -> Option<&str> {
    let Shipped::Build { revision, .. } = shipped else { return None };
    revision.as_deref().filter(|commit| (40..=64).contains(&commit.len()) && commit.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// Expected and got, when the answer is not the shipped build's.
fn wrong_version(got: Option<&str>, rule: &VersionRule, (expected, revision): (&str, Option<&str>)) -> Option<Wrong> {
    let same = got.is_some_and(|got| match &rule.expected {
        VersionIs::Commit(commit) => same_commit(got, commit) || revision.is_some_and(|revision| same_commit(got, revision)),
        VersionIs::Digest => got == expected || Some(got) == expected.strip_prefix("sha256:"),
        VersionIs::Text(text) => got == text,
    });
    let told = || match got {
        Some(got) => format!("expected version {}, got {}: another build answers", short(expected), short(got)),
        None => format!("expected version {}, the answer tells none at {}", short(expected), expect::place(&rule.at)),
    };
    (!same).then(|| Wrong { sign: Sign::Version, told: told() })
}

/// The commit, or at least seven digits of its beginning.
fn same_commit(got: &str, commit: &str) -> bool {
    let begins = |start: &str| commit.get(..start.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(start));
    got.len() >= 7 && begins(got)
}

fn unanswered(error: VisitError) -> Wrong {
    let (sign, told) = match error {
        VisitError::Dns(why) => (Sign::Name, why),
        VisitError::Refused(why) => (Sign::Refused, why),
        VisitError::Connect(why) => (Sign::Connection, format!("no connection to {why}")),
        VisitError::Tls(why) => (Sign::Certificate, why),
        VisitError::Timeout(why) => (Sign::Silence, why),
        VisitError::Broken(why) => (Sign::Broken, format!("the answer broke off or was not HTTP: {why}")),
    };
    Wrong { sign, told }
}
