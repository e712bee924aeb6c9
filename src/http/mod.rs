//! The only door to the network: one client, one retry policy, one log, one fence before every request that changes something.
//! It knows no cloud. Whoever calls says whether a request reads or changes, and how its errors are told apart.

pub mod aws;
mod client;
pub mod docker;
pub mod lane;
mod line;
pub(crate) mod lookup;
mod proxy;
mod visit;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backon::BackoffBuilder;
use bytes::{Bytes, BytesMut};
use http::HeaderValue;

use crate::clock::Clock;
use crate::failure::{Failure, Result};
use crate::values::Address;

use proxy::Proxies;

/// Tries after the first.
const TRIES: usize = 4;
/// Bounds a reading request.
const READ: Duration = Duration::from_secs(30);
/// The longest a changing request is under way: whoever lost its answer waits so long before it looks.
pub const LONGEST_CHANGE: Duration = Duration::from_secs(20);
/// The largest answer that is read.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;

/// What a request does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Changes nothing: retried on connection errors, 429, 5xx and throttling.
    Read,
    /// Changes something: passes the fence first, and is retried only where it certainly was not carried out
    /// (no connection, 429, throttled). A lost answer is `Lost`: the caller looks before it writes again.
    Change,
}

/// Where hosts are reached instead of their own address: by host as `TOUCHDOWN_ENDPOINT_<HOST>` writes it, in capitals,
/// dots and hyphens as underscores.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints(pub BTreeMap<String, String>);

/// Held before every changing request of `main`: once the post step has made the file, nothing changes any more.
#[derive(Debug, Clone, Default)]
pub struct Fence(pub Option<PathBuf>);

/// How the client is made. It has no `Debug`: a proxy's address may hold a password.
#[derive(Clone)]
pub struct Options {
    /// Times retries; requests themselves get `Clock::patience`.
    pub clock: Clock,
    /// Overridden addresses, already checked by `config`.
    pub endpoints: Endpoints,
    /// The fence.
    pub fence: Fence,
    /// Proxy and certificate variables by name: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, …
    pub environment: BTreeMap<String, String>,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Http {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    client: reqwest::Client,
    tls: rustls::ClientConfig,
    proxies: Proxies,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: http::HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum NoAnswer {
    /// The request certainly did not arrive: DNS, TLS, connection refused. In plain words.
    NotSent(String),
    /// It may have arrived: reset or timed out afterwards. In plain words.
    Lost(String),
    /// The fence stands: nothing changes any more.
    Fenced,
}

/// Tells whether an answer means "not carried out, come back later" beyond 429 (AWS throttles with 400).
pub type Throttled = fn(&Answer) -> bool;

impl Http {
    /// Makes the client. Fails when `SSL_CERT_FILE` or a proxy variable cannot be used.
    pub fn new(options: Options) -> Result<Self> {
        let tls = client::tls(&options.environment)?;
        let proxies = Proxies::of(&options.environment)?;
        let client = client::client(&tls, proxies.clone())?;
        Ok(Self { shared: Arc::new(Shared { options, client, tls, proxies }) })
    }

    /// Sends `request` by the policy of `intent` and reads the whole answer (at most 8 MiB).
    /// A 5xx that outlasts the retries is returned as the answer; for `Change`, a 5xx is returned at once.
    pub async fn send(&self, request: http::Request<Bytes>, intent: Intent, throttled: Throttled) -> Result<Answer, NoAnswer> {
        let mut delays = backon::ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(250))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(TRIES)
            .with_jitter()
            .build();
        loop {
            let tried = self.once(&request, intent).await;
            let again = match &tried {
                Ok(answer) if answer.status == 429 || throttled(answer) => true,
                Ok(answer) => intent == Intent::Read && answer.status >= 500,
                Err(NoAnswer::NotSent(_)) => true,
                Err(NoAnswer::Lost(_)) => intent == Intent::Read,
                Err(NoAnswer::Fenced) => false,
            };
            let Some(delay) = delays.next().filter(|_| again) else { return tried };
            let asked = tried.as_ref().ok().and_then(Answer::retry_after).unwrap_or_default();
            self.clock().sleep(delay.max(asked)).await;
        }
    }

    async fn once(&self, request: &http::Request<Bytes>, intent: Intent) -> Result<Answer, NoAnswer> {
        if intent == Intent::Change && self.shared.options.fence.stands() {
            return Err(NoAnswer::Fenced);
        }
        let began = std::time::Instant::now();
        let (method, host, path) = (request.method().clone(), request.uri().host().unwrap_or_default().to_owned(), request.uri().path());
        let timeout = match intent {
            Intent::Read => READ,
            Intent::Change => LONGEST_CHANGE,
        };
        let answered = tokio::time::timeout(self.clock().patience(timeout), self.exchange(request)).await;
        let answered = answered.unwrap_or_else(|_| Err(NoAnswer::Lost(format!("{host} did not answer in time"))));
        let milliseconds = began.elapsed().as_millis();
        match &answered {
            Ok(answer) => tracing::debug!(%method, host, path, status = answer.status, milliseconds, "request"),
            Err(cause) => tracing::debug!(%method, host, path, %cause, milliseconds, "request"),
        }
        answered
    }

    async fn exchange(&self, request: &http::Request<Bytes>) -> Result<Answer, NoAnswer> {
        let (head, body) = request.clone().into_parts();
        let outgoing = self.outgoing(&head).body(body);
        let mut response = outgoing.send().await.map_err(|error| no_answer(error, &self.path_to(&head.uri)))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| NoAnswer::Lost(words::plain(&error.without_url())))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(NoAnswer::Lost(format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// A request on its way to where its host is really reached, still without a body.
    fn outgoing(&self, head: &http::request::Parts) -> reqwest::RequestBuilder {
        let (url, authority) = self.shared.options.endpoints.route(&head.uri);
        let mut headers = head.headers.clone();
        if let Some(authority) = authority.and_then(|authority| HeaderValue::from_str(&authority).ok()) {
            headers.insert(http::header::HOST, authority);
        }
        self.shared.client.request(head.method.clone(), url).headers(headers)
    }

    /// Whether the fence stands: whoever holds this client changes nothing any more.
    pub fn fenced(&self) -> bool {
        self.shared.options.fence.stands()
    }

    /// The host, and the proxy on the way to it, as people name them.
    fn path_to(&self, uri: &http::Uri) -> String {
        let host = uri.host().unwrap_or_default();
        let url = url::Url::parse(&uri.to_string()).ok();
        let proxy = url.as_ref().and_then(|url| self.shared.proxies.for_url(url)).and_then(url::Url::host_str);
        proxy.map_or_else(|| host.to_owned(), |proxy| format!("{host} (through the proxy {proxy})"))
    }

    /// The clock retries run on.
    pub fn clock(&self) -> &Clock {
        &self.shared.options.clock
    }
}

/// Whether the request certainly did not arrive.
fn no_answer(error: reqwest::Error, host: &str) -> NoAnswer {
    let (name_unknown, not_sent) = (error.is_dns(), error.is_connect() || error.is_builder());
    let why = words::plain(&error.without_url());
    match (name_unknown, not_sent) {
        (true, _) => NoAnswer::NotSent(format!("{host} does not resolve: {why}")),
        (false, true) => NoAnswer::NotSent(format!("{host}: {why}")),
        (false, false) => NoAnswer::Lost(format!("{host}: {why}")),
    }
}

/// `Basic` credentials for the user and password in `url`.
fn basic_credentials(url: &url::Url) -> Result<Option<HeaderValue>, VisitError> {
    use base64::Engine as _;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let pair = [decoded(url.username()), decoded(url.password().unwrap_or_default())].join(&b':');
    let value = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&value).map_err(|_| VisitError::Refused("its password cannot be sent".to_owned()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

impl Answer {
    /// Seconds of a `Retry-After`, at most a minute.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
        Some(Duration::from_secs(seconds.min(60)))
    }
}

impl Fence {
    fn stands(&self) -> bool {
        // Where it cannot be told, it stands: two writers are worse than one that stops.
        self.0.as_ref().is_some_and(|file| !matches!(file.try_exists(), Ok(false)))
    }
}

impl Endpoints {
    /// `RUN_GOOGLEAPIS_COM` of `run.googleapis.com`.
    pub fn key(host: &str) -> String {
        host.to_uppercase().replace(['.', '-'], "_")
    }

    /// Where `host` is reached instead of its own address.
    pub fn of(&self, host: &str) -> Option<&str> {
        self.0.get(&Self::key(host)).map(String::as_str)
    }

    /// Where `uri` is really reached, and the `Host` header to send when that is elsewhere.
    fn route(&self, uri: &http::Uri) -> (String, Option<String>) {
        match self.of(uri.host().unwrap_or_default()) {
            None => (uri.to_string(), None),
            Some(base) => {
                let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
                (format!("{}{path}", base.trim_end_matches('/')), uri.authority().map(ToString::to_string))
            }
        }
    }
}

/// A single health request.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Where; `via` is connected to while `url` gives the `Host` header and the certificate name.
    pub address: Address,
    /// Path and query.
    pub path: String,
    /// `GET`, `POST`, …
    pub method: http::Method,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body to send.
    pub body: Option<String>,
    /// Bounds the whole visit, on the clock.
    pub timeout: Duration,
    /// Statuses that are asked for, as inclusive ranges: a redirect among them is the answer and is not followed.
    pub wanted: Vec<(u16, u16)>,
}

/// What a visit brought.
#[derive(Debug, Clone)]
pub enum Visited {
    /// An answer; its body is read to 64 KiB.
    Answered {
        /// The answer.
        answer: Answer,
        /// From the first byte sent to the last byte read, on the clock; without looking up, connecting and shaking hands.
        latency: Duration,
    },
    /// None.
    Failed(VisitError),
}

/// Why a visit brought no answer; the text is in plain words and may be foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitError {
    /// The name does not resolve.
    Dns(String),
    /// The address is one we do not go to: link-local, metadata, or a redirect to another host.
    Refused(String),
    /// No connection.
    Connect(String),
    /// The certificate or the handshake.
    Tls(String),
    /// No answer in time.
    Timeout(String),
    /// The connection broke, or it was not HTTP.
    Broken(String),
}

impl VisitError {
    /// The text, whatever sort it is of.
    pub(crate) fn why(self) -> String {
        match self {
            Self::Dns(why) | Self::Refused(why) | Self::Connect(why) | Self::Tls(why) | Self::Timeout(why) | Self::Broken(why) => why,
        }
    }
}

impl NoAnswer {
    /// As a failure of `what`.
    pub fn into_failure(self, what: impl Into<String>) -> Failure {
        use crate::failure::Kind;
        match self {
            NoAnswer::Lost(why) => Failure::new(Kind::Transient, what).why(why),
            NoAnswer::NotSent(why) => Failure::new(Kind::Transient, what).why(why).unchanged(),
            NoAnswer::Fenced => {
                let why = "the post step has taken over: this run changes nothing any more";
                Failure::new(Kind::Cancelled, what).why(why).unchanged()
            }
        }
    }
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoAnswer::NotSent(why) | NoAnswer::Lost(why) => f.write_str(why),
            NoAnswer::Fenced => f.write_str("the post step has taken over"),
        }
    }
}

impl std::error::Error for NoAnswer {}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").finish_non_exhaustive()
    }
}
